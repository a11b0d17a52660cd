//! The packets that are decoded and encoded, byte by byte as the standard writes them, and what is
//! in them.

use crate::work::{Facts, Proof};

/// A usual topic.
pub const TOPIC: &str = "house/kitchen/temp";
/// The payload of a small message.
pub const SMALL: [u8; 16] = *b"21.5 C @ 12:34:5";
/// Content Type of the message with properties.
pub const CONTENT_TYPE: &str = "application/json";
/// Its Correlation Data.
pub const CORRELATION: &[u8; 8] = b"\x00\x01\x02\x03\xFC\xFD\xFE\xFF";
/// Its Topic Alias.
pub const ALIAS: u16 = 5;
/// Its User Properties.
pub const USER_PROPERTIES: [(&str, &str); 3] =
    [("unit", "celsius"), ("room", "kitchen"), ("revision", "17")];
/// A Packet Identifier.
pub const PACKET_ID: u16 = 0x1234;
/// Client Identifier of the CONNECT.
pub const CLIENT_ID: &str = "sensor-0123456789";
/// Topic of its Will.
pub const WILL_TOPIC: &str = "house/kitchen/status";
/// Payload of its Will.
pub const WILL_PAYLOAD: &str = "offline";
/// User Name.
pub const USER_NAME: &str = "sensor";
/// Password.
pub const PASSWORD: &str = "correct horse";
/// Keep Alive in seconds.
pub const KEEP_ALIVE: u16 = 60;
/// Session Expiry Interval in seconds.
pub const SESSION_EXPIRY: u32 = 3600;
/// Receive Maximum.
pub const RECEIVE_MAXIMUM: u16 = 100;
/// Will Delay Interval in seconds.
pub const WILL_DELAY: u32 = 30;
/// Content Type of the Will.
pub const WILL_CONTENT_TYPE: &str = "text/plain";
/// The filters of the SUBSCRIBE.
pub const FILTERS: [&str; 10] = [
    "house/kitchen/temp",
    "house/+/humidity",
    "house/cellar/#",
    "garden/north/light",
    "garden/+/+/rain",
    "$share/workers/jobs/+",
    "car/battery",
    "car/position/#",
    "alarm/+",
    "weather/forecast/tomorrow",
];
/// Its Subscription Identifier.
pub const SUBSCRIPTION_IDENTIFIER: u8 = 7;

/// A packet of this first byte and body.
#[must_use]
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut left = body.len();
    loop {
        let low = (left & 0x7F) as u8;
        left >>= 7;
        if left == 0 {
            bytes.push(low);
            break;
        }
        bytes.push(low | 0x80);
    }
    bytes.extend_from_slice(body);
    bytes
}

fn prefixed(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn user_property(name: &str, value: &str) -> Vec<u8> {
    [
        vec![0x26],
        prefixed(name.as_bytes()),
        prefixed(value.as_bytes()),
    ]
    .concat()
}

/// A payload of `len` bytes.
#[must_use]
pub fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|index| b'a' + (index % 26) as u8).collect()
}

/// A PUBLISH of QoS 0 without properties.
#[must_use]
pub fn publish(payload: &[u8]) -> Vec<u8> {
    packet(
        0x30,
        &[prefixed(TOPIC.as_bytes()), vec![0], payload.to_vec()].concat(),
    )
}

/// What is in it.
#[must_use]
pub fn publish_facts(payload: &[u8]) -> Facts {
    vec![
        ("packet", vec![3]),
        ("qos", vec![0]),
        ("topic", TOPIC.into()),
        ("payload", payload.to_vec()),
    ]
}

/// A PUBLISH of QoS 1 with all the properties above.
#[must_use]
pub fn full_publish() -> Vec<u8> {
    let mut properties = [vec![0x03], prefixed(CONTENT_TYPE.as_bytes())].concat();
    properties.push(0x09);
    properties.extend(prefixed(CORRELATION));
    for (name, value) in USER_PROPERTIES {
        properties.extend(user_property(name, value));
    }
    properties.push(0x23);
    properties.extend(ALIAS.to_be_bytes());
    let body = [
        prefixed(TOPIC.as_bytes()),
        PACKET_ID.to_be_bytes().to_vec(),
        vec![properties.len() as u8],
        properties,
        SMALL.to_vec(),
    ];
    packet(0x32, &body.concat())
}

/// What is in it.
#[must_use]
pub fn full_publish_facts() -> Facts {
    let mut facts = vec![
        ("packet", vec![3]),
        ("qos", vec![1]),
        ("topic", TOPIC.into()),
        ("payload", SMALL.to_vec()),
        ("id", PACKET_ID.to_be_bytes().to_vec()),
        ("alias", ALIAS.to_be_bytes().to_vec()),
        ("content type", CONTENT_TYPE.into()),
        ("correlation", CORRELATION.to_vec()),
    ];
    for (name, value) in USER_PROPERTIES {
        facts.push(("name", name.into()));
        facts.push(("value", value.into()));
    }
    facts
}

/// A PUBACK that says yes.
#[must_use]
pub fn puback(packet_id: u16) -> Vec<u8> {
    packet(0x40, &packet_id.to_be_bytes())
}

/// What is in it.
#[must_use]
pub fn puback_facts(packet_id: u16) -> Facts {
    vec![
        ("packet", vec![4]),
        ("id", packet_id.to_be_bytes().to_vec()),
        ("reason", vec![0]),
    ]
}

/// A CONNECT with Will and properties.
#[must_use]
pub fn connect() -> Vec<u8> {
    let properties = [
        vec![0x11],
        SESSION_EXPIRY.to_be_bytes().to_vec(),
        vec![0x21],
        RECEIVE_MAXIMUM.to_be_bytes().to_vec(),
        user_property("model", "T-1000"),
    ]
    .concat();
    let will_properties = [
        vec![0x18],
        WILL_DELAY.to_be_bytes().to_vec(),
        vec![0x03],
        prefixed(WILL_CONTENT_TYPE.as_bytes()),
    ]
    .concat();
    let body = [
        b"\x00\x04MQTT\x05".to_vec(),
        // User Name, Password, Will Retain, Will QoS 1, Will, Clean Start.
        vec![0b1110_1110],
        KEEP_ALIVE.to_be_bytes().to_vec(),
        vec![properties.len() as u8],
        properties,
        prefixed(CLIENT_ID.as_bytes()),
        vec![will_properties.len() as u8],
        will_properties,
        prefixed(WILL_TOPIC.as_bytes()),
        prefixed(WILL_PAYLOAD.as_bytes()),
        prefixed(USER_NAME.as_bytes()),
        prefixed(PASSWORD.as_bytes()),
    ];
    packet(0x10, &body.concat())
}

/// What is in it.
#[must_use]
pub fn connect_facts() -> Facts {
    vec![
        ("packet", vec![1]),
        ("client", CLIENT_ID.into()),
        ("clean start", vec![1]),
        ("keep alive", KEEP_ALIVE.to_be_bytes().to_vec()),
        ("session expiry", SESSION_EXPIRY.to_be_bytes().to_vec()),
        ("receive maximum", RECEIVE_MAXIMUM.to_be_bytes().to_vec()),
        ("name", b"model".to_vec()),
        ("value", b"T-1000".to_vec()),
        ("will topic", WILL_TOPIC.into()),
        ("will payload", WILL_PAYLOAD.into()),
        ("will qos", vec![1]),
        ("will retain", vec![1]),
        ("will delay", WILL_DELAY.to_be_bytes().to_vec()),
        ("will content type", WILL_CONTENT_TYPE.into()),
        ("user", USER_NAME.into()),
        ("password", PASSWORD.into()),
    ]
}

/// A SUBSCRIBE of ten filters.
#[must_use]
pub fn subscribe() -> Vec<u8> {
    let mut body = [
        PACKET_ID.to_be_bytes().as_slice(),
        &[2, 0x0B, SUBSCRIPTION_IDENTIFIER],
    ]
    .concat();
    for filter in FILTERS {
        body.extend(prefixed(filter.as_bytes()));
        body.push(1);
    }
    packet(0x82, &body)
}

/// What is in it.
#[must_use]
pub fn subscribe_facts() -> Facts {
    let mut facts = vec![
        ("packet", vec![8]),
        ("id", PACKET_ID.to_be_bytes().to_vec()),
        ("identifier", vec![SUBSCRIPTION_IDENTIFIER]),
    ];
    for filter in FILTERS {
        facts.push(("filter", filter.into()));
        facts.push(("qos", vec![1]));
    }
    facts
}

/// A packet of every kind that a busy client receives, and what is in it: fourteen, mostly small.
#[must_use]
pub fn mixture() -> Vec<(Vec<u8>, Facts)> {
    let small = || (publish(&SMALL), publish_facts(&SMALL));
    let medium = payload(300);
    let ack = |kind: u8, id: u16| {
        let first = kind << 4 | if kind == 6 { 2 } else { 0 };
        let facts = vec![
            ("packet", vec![kind]),
            ("id", id.to_be_bytes().to_vec()),
            ("reason", vec![0]),
        ];
        (packet(first, &id.to_be_bytes()), facts)
    };
    let suback = vec![
        ("packet", vec![9]),
        ("id", vec![0, 9]),
        ("code", vec![1]),
        ("code", vec![2]),
    ];
    vec![
        small(),
        ack(4, 1),
        small(),
        (full_publish(), full_publish_facts()),
        ack(4, 2),
        ack(5, 3),
        small(),
        (publish(&medium), publish_facts(&medium)),
        ack(4, 4),
        ack(7, 3),
        ack(6, 8),
        small(),
        (packet(0x90, &[0, 9, 0, 1, 2]), suback),
        (packet(0xD0, &[]), vec![("packet", vec![13])]),
    ]
}

/// `count` times the same packet.
#[must_use]
pub fn repeated(packet: &[u8], count: usize) -> Vec<u8> {
    packet.repeat(count)
}

/// `count` times the same facts.
#[must_use]
pub fn proof(facts: &Facts, count: usize) -> Proof {
    vec![facts.clone(); count]
}
