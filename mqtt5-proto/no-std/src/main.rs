//! Takes a session through CONNECT, a QoS 2 message each way and DISCONNECT, and compares what it
//! writes with what MQTT 5.0 says, byte by byte. Ends with status 0 if all agrees; else with the
//! number of the step that did not.

#![no_std]
#![no_main]

use core::ffi::{c_char, c_int};
use core::panic::PanicInfo;

use bytes::BytesMut;
use mqtt5_proto::packet::{ApplicationMessage, Disconnect, PublishReasonCode};
use mqtt5_proto::session::{Event, PublishVerdict, SessionConfig, Transmit};
use mqtt5_proto::{Instant, QoS, Session, Topic};

/// A heap in a static: a megabyte is more than enough.
#[global_allocator]
static HEAP: emballoc::Allocator<{ 1 << 20 }> = emballoc::Allocator::new();

#[allow(unsafe_code, reason = "the C library that starts and ends the program")]
#[link(name = "c")]
unsafe extern "C" {
    safe fn abort() -> !;
}

#[panic_handler]
fn panicked(_: &PanicInfo<'_>) -> ! {
    abort()
}

#[allow(
    unsafe_code,
    reason = "the name by which the C library calls a program"
)]
#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, _: *const *const c_char) -> c_int {
    match run() {
        Ok(()) => 0,
        Err(Failed(step)) => step,
    }
}

struct Failed(c_int);

fn ensure(holds: bool, step: c_int) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(Failed(step)) }
}

fn run() -> Result<(), Failed> {
    let mut session = Session::new(SessionConfig::default());
    session.handle_opened(Instant::ZERO);
    let connect = written(&mut session);
    ensure(connect.starts_with(b"\x10"), 1)?;
    receive(&mut session, b"\x20\x07\0\0\x04\x12\0\x01c"); // CONNACK: you are "c"
    ensure(matches!(session.poll_event(), Some(Event::Connected(_))), 2)?;

    publish(&mut session)?;
    deliver(&mut session)?;

    let ended = session.disconnect(Disconnect::default());
    ensure(ended.is_ok(), 20)?;
    ensure(written(&mut session) == b"\xE0\0"[..], 21)?;
    session.handle_closed(Instant::ZERO);
    ensure(
        matches!(session.poll_event(), Some(Event::Disconnected(_))),
        22,
    )?;
    ensure(session.poll_event().is_none(), 23)
}

/// A message of QoS 2 to the server.
fn publish(session: &mut Session) -> Result<(), Failed> {
    let topic = Topic::new("t").map_err(|_| Failed(3))?;
    let message = ApplicationMessage::new(topic, "hi").with_qos(QoS::ExactlyOnce);
    let accepted = session.publish(message, Instant::ZERO);
    let accepted = accepted.map_err(|_| Failed(4))?;
    ensure(written(session) == b"\x34\x08\0\x01t\0\x01\0hi"[..], 5)?;
    receive(session, b"\x50\x02\0\x01"); // PUBREC
    ensure(written(session) == b"\x62\x02\0\x01"[..], 6)?;
    receive(session, b"\x70\x02\0\x01"); // PUBCOMP
    let Some(Event::Published { operation, verdict }) = session.poll_event() else {
        return Err(Failed(7));
    };
    ensure(operation == accepted, 8)?;
    ensure(matches!(verdict, PublishVerdict::Acknowledged(_)), 9)
}

/// A message of QoS 2 from the server.
fn deliver(session: &mut Session) -> Result<(), Failed> {
    receive(session, b"\x34\x08\0\x01t\0\x07\0hi");
    let Some(Event::Message(message)) = session.poll_event() else {
        return Err(Failed(10));
    };
    ensure(message.topic() == "t" && message.payload() == b"hi", 11)?;
    let token = message.token().ok_or(Failed(12))?;
    let answered = session.acknowledge(token, PublishReasonCode::Success);
    ensure(answered.is_ok(), 12)?;
    ensure(written(session) == b"\x50\x02\0\x07"[..], 13)?;
    receive(session, b"\x62\x02\0\x07"); // PUBREL
    ensure(written(session) == b"\x70\x02\0\x07"[..], 14)
}

/// What the session has to say, as if the transport had taken it.
fn written(session: &mut Session) -> BytesMut {
    let mut out = BytesMut::new();
    while let Some(transmit) = session.poll_transmit(&mut out, Instant::ZERO) {
        match transmit {
            Transmit::Buffered => {}
            Transmit::Payload(payload) => out.extend_from_slice(&payload),
            Transmit::Close => break,
        }
    }
    session.handle_transmitted(out.len(), Instant::ZERO);
    out
}

fn receive(session: &mut Session, bytes: &[u8]) {
    let mut input = BytesMut::from(bytes);
    session.handle_input(&mut input, Instant::ZERO);
}
