//! Where bytes lie: what is kept in place, what is shared, and what is reserved.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are no tests to clippy"
)]

mod session_support;

use bytes::{Bytes, BytesMut};
use mqtt5_proto::codec::{Decoder, Encode, Frame, Utf8String};
use mqtt5_proto::packet::{ApplicationMessage, Delivery};
use mqtt5_proto::session::Event;
use mqtt5_proto::{Instant, Topic};
use session_support::Peer;

/// Whether `bytes` lie within `value` itself, not in an allocation.
fn lies_within<T>(bytes: &[u8], value: &T) -> bool {
    let start = std::ptr::from_ref(value) as usize;
    (start..start + size_of::<T>()).contains(&(bytes.as_ptr() as usize))
}

/// A PUBLISH of exactly `size` bytes.
fn publish(size: usize) -> Bytes {
    let topic = Topic::new("t").unwrap();
    // Two bytes of fixed header or three, three of topic, one of Property Length.
    let header = if size < 130 { 2 } else { 3 };
    let message = ApplicationMessage::new(topic, vec![7; size - header - 3 - 1]);
    let mut out = BytesMut::new();
    let written = message.to_publish(Delivery::AtMostOnce).encode(&mut out);
    assert_eq!(written, Ok(size));
    out.freeze()
}

#[test]
fn a_frame_of_up_to_94_bytes_is_kept_in_place() {
    for (size, in_place) in [(10, true), (93, true), (94, true), (95, false)] {
        let packet = publish(size);
        // Were it not in place, it would be shared: it is all of its chunk.
        let mut buffer = BytesMut::from(&packet[..]);
        let taken = Decoder::default().next_frame(&mut buffer).unwrap().unwrap();
        let copied = Frame::copy_from(&packet);
        for frame in [taken, copied] {
            assert_eq!(frame.as_slice(), packet);
            assert_eq!(lies_within(frame.as_slice(), &frame), in_place, "{size}");
        }
    }
}

#[test]
fn a_short_string_is_kept_in_place() {
    let short = Utf8String::new("a/b").unwrap();
    assert!(lies_within(short.as_bytes(), &short));
    let long = Utf8String::new(&"a/b".repeat(100)).unwrap();
    assert!(!lies_within(long.as_bytes(), &long));
}

#[test]
fn a_payload_that_leaves_from_where_it_lies_gets_no_room_in_the_buffer() {
    let message = ApplicationMessage::new(Topic::new("t").unwrap(), vec![7; 1 << 20]);
    let mut out = BytesMut::new();
    let size = message
        .to_publish(Delivery::AtMostOnce)
        .encode_without_payload(&mut out);
    assert_eq!(size, Ok((1 << 20) + 8));
    assert!(out.capacity() < 1024, "{}", out.capacity());
}

#[test]
fn a_decoder_that_waited_still_knows_how_large_the_chunk_is() {
    let (first, second) = (publish(900), publish(300));
    let chunk = [&first[..], &second].concat();
    let mut buffer = BytesMut::with_capacity(2000);
    buffer.extend_from_slice(&chunk[..1100]);
    let mut decoder = Decoder::default();
    assert!(decoder.next_frame(&mut buffer).unwrap().is_some());
    // In vain, twice: the second time the buffer is as large as the time before.
    assert_eq!(decoder.next_frame(&mut buffer), Ok(None));
    assert_eq!(decoder.next_frame(&mut buffer), Ok(None));
    buffer.extend_from_slice(&chunk[1100..]);
    let range = buffer.as_ptr_range();
    let frame = decoder.next_frame(&mut buffer).unwrap().unwrap();
    // 1,100 bytes are left of the chunk, less than four times the frame, but it would keep all
    // 2,000 of it alive.
    assert_eq!(frame.as_slice(), second);
    assert!(!range.contains(&frame.as_slice().as_ptr()));
}

#[test]
fn a_detached_message_shares_nothing_with_the_chunk() {
    let mut session = Peer::connected().session;
    let packet = publish(1000);
    let mut chunk = BytesMut::from(&packet[..]);
    let range = chunk.as_ptr_range();
    session.handle_input(&mut chunk, Instant::ZERO);
    let Some(Event::Message(message)) = session.poll_event() else {
        panic!("no message");
    };
    assert!(range.contains(&message.payload().as_ptr()));
    let detached = message.detach();
    assert_eq!(detached.payload(), message.payload());
    assert!(!range.contains(&detached.payload().as_ptr()));
}

#[test]
fn a_frame_pins_at_most_four_times_its_size() {
    // A whole chunk of packets of 1,000 bytes, the last of which find a buffer with little room
    // left, but keep all of the chunk alive if they are shared.
    let one = publish(1000);
    let chunk = one.repeat(64);
    let mut buffer = BytesMut::from(&chunk[..]);
    let range = buffer.as_ptr_range();
    let mut decoder = Decoder::default();
    let mut count = 0;
    while let Some(frame) = decoder.next_frame(&mut buffer).unwrap() {
        assert_eq!(frame.as_slice(), one);
        assert!(
            !range.contains(&frame.as_slice().as_ptr()),
            "frame {count} pins the chunk"
        );
        count += 1;
    }
    assert_eq!(count, 64);

    // In a chunk of its own, and of up to four times its size, it is shared.
    for (capacity, shared) in [
        (one.len(), true),
        (one.len() * 4, true),
        (one.len() * 4 + 1, false),
    ] {
        let mut buffer = BytesMut::with_capacity(capacity);
        buffer.extend_from_slice(&one);
        let range = buffer.as_ptr_range();
        let frame = decoder.next_frame(&mut buffer).unwrap().unwrap();
        assert_eq!(
            range.contains(&frame.as_slice().as_ptr()),
            shared,
            "{capacity}"
        );
        assert!(!range.contains(&frame.detach().as_slice().as_ptr()));
        // A small one is in the frame itself.
        let mut buffer = BytesMut::from(&b"\xC0\0"[..]);
        let frame = decoder.next_frame(&mut buffer).unwrap().unwrap();
        assert!(!range.contains(&frame.as_slice().as_ptr()));
    }
}
