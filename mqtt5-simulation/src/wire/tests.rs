use super::*;

#[test]
fn reads_what_the_standard_shows() {
    let publish = [0x32, 10, 0, 3, b'a', b'/', b'b', 0, 10, 0, b'h', b'i'];
    let Ok(Packet::Publish(publish)) = read(&publish) else {
        panic!("no PUBLISH")
    };
    assert_eq!(
        (
            publish.qos,
            publish.packet_id,
            publish.topic,
            publish.payload
        ),
        (1, 10, "a/b", &b"hi"[..])
    );
    let connack = [0x20, 6, 1, 0, 3, 0x21, 0, 10];
    let Ok(Packet::Connack {
        session_present: true,
        code: 0,
        properties,
    }) = read(&connack)
    else {
        panic!("no CONNACK")
    };
    assert_eq!(properties.number(Property::ReceiveMaximum), Some(10));
    let subscribe = [0x82, 9, 0, 10, 0, 0, 3, b'a', b'/', b'b', 1];
    let Ok(Packet::Subscribe {
        packet_id: 10,
        mut filters,
        ..
    }) = read(&subscribe)
    else {
        panic!("no SUBSCRIBE")
    };
    assert_eq!(filters.next(), Some(("a/b", 1)));
    assert_eq!(filters.next(), None);
    assert!(matches!(
        read(&[0x40, 3, 0, 10, 0x87]),
        Ok(Packet::Ack {
            kind: AckKind::Puback,
            packet_id: 10,
            code: 0x87
        })
    ));
    assert!(matches!(
        read(&[0xE0, 0]),
        Ok(Packet::Disconnect { code: 0, .. })
    ));
}

#[test]
fn refuses_what_the_standard_forbids() {
    let header = |bytes: &[u8]| packet_size(bytes, 100).map_err(|fault| fault.code);
    assert_eq!(header(&[0xC0, 0x80, 0]), Err(0x81));
    assert_eq!(header(&[0x30, 0x80, 0x80, 0x80, 0x80]), Err(0x81));
    assert_eq!(header(&[0x60, 2]), Err(0x81));
    assert_eq!(header(&[0x36, 2]), Err(0x81));
    assert_eq!(header(&[0x38, 2]), Err(0x81));
    assert_eq!(header(&[0x00]), Err(0x81));
    assert_eq!(header(&[0x30, 99]), Err(0x95));
    assert_eq!(header(&[0x30, 98]), Ok(Some(100)));
    assert_eq!(header(&[0x30]), Ok(None));
    let body = |bytes: &[u8]| read(bytes).map(|_| ()).map_err(|fault| fault.code);
    assert_eq!(body(&[0x20, 6, 0, 0, 3, 0x21, 0, 0]), Err(0x82));
    assert_eq!(
        body(&[0x20, 9, 0, 0, 6, 0x21, 0, 10, 0x21, 0, 10]),
        Err(0x82)
    );
    assert_eq!(body(&[0x20, 6, 0, 0, 3, 0x23, 0, 1]), Err(0x81));
    assert_eq!(body(&[0x40, 2, 0, 0]), Err(0x82));
    assert_eq!(body(&[0x30, 4, 0, 1, b'+', 0]), Err(0x81));
    assert_eq!(body(&[0x30, 3, 0, 0, 0]), Err(0x81));
    assert_eq!(body(&[0xA2, 7, 0, 1, 0, 0, 2, b'a', b'#']), Err(0x81));
    assert_eq!(body(&[0xC0, 1, 0]), Err(0x81));
}
