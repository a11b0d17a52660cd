//! What each implementation says is in a packet.

pub mod hand;
pub mod mqttbytes;
pub mod ntex;
pub mod ours;
pub mod protocol_core;
pub mod rumqttc;

use crate::work::Facts;

/// The facts of a PUBLISH without its properties.
pub(crate) fn publish(qos: u8, topic: &[u8], payload: &[u8], packet_id: Option<u16>) -> Facts {
    let mut facts = vec![
        ("packet", vec![3]),
        ("qos", vec![qos]),
        ("topic", topic.to_vec()),
        ("payload", payload.to_vec()),
    ];
    if let Some(id) = packet_id.filter(|id| *id != 0) {
        facts.push(("id", id.to_be_bytes().to_vec()));
    }
    facts
}

/// The facts of the properties of a PUBLISH, where there are any.
pub(crate) fn properties<'a>(
    facts: &mut Facts,
    alias: Option<u16>,
    content_type: Option<&str>,
    correlation: Option<&[u8]>,
    user: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    if let Some(alias) = alias {
        facts.push(("alias", alias.to_be_bytes().to_vec()));
    }
    if let Some(text) = content_type {
        facts.push(("content type", text.into()));
    }
    if let Some(data) = correlation {
        facts.push(("correlation", data.to_vec()));
    }
    users(facts, user);
}

pub(crate) fn users<'a>(facts: &mut Facts, user: impl IntoIterator<Item = (&'a str, &'a str)>) {
    for (name, value) in user {
        facts.push(("name", name.into()));
        facts.push(("value", value.into()));
    }
}

/// The facts of an acknowledgement.
pub(crate) fn ack(packet: u8, packet_id: u16, reason: u8) -> Facts {
    vec![
        ("packet", vec![packet]),
        ("id", packet_id.to_be_bytes().to_vec()),
        ("reason", vec![reason]),
    ]
}

/// The facts of a SUBACK.
pub(crate) fn suback(packet_id: u16, codes: impl IntoIterator<Item = u8>) -> Facts {
    let mut facts = vec![
        ("packet", vec![9]),
        ("id", packet_id.to_be_bytes().to_vec()),
    ];
    facts.extend(codes.into_iter().map(|code| ("code", vec![code])));
    facts
}

/// The facts of a SUBSCRIBE.
pub(crate) fn subscribe<'a, F: IntoIterator<Item = (&'a str, u8)>>(
    packet_id: u16,
    identifier: u32,
    filters: F,
) -> Facts {
    let mut facts = vec![
        ("packet", vec![8]),
        ("id", packet_id.to_be_bytes().to_vec()),
        ("identifier", vec![identifier as u8]),
    ];
    for (filter, qos) in filters {
        facts.push(("filter", filter.into()));
        facts.push(("qos", vec![qos]));
    }
    facts
}

/// What is in a CONNECT.
#[derive(Default)]
pub(crate) struct Connect<'a> {
    pub(crate) client_id: &'a [u8],
    pub(crate) clean_start: bool,
    pub(crate) keep_alive: u16,
    pub(crate) session_expiry: Option<u32>,
    pub(crate) receive_maximum: Option<u16>,
    pub(crate) user: Vec<(&'a str, &'a str)>,
    pub(crate) will_topic: &'a [u8],
    pub(crate) will_payload: &'a [u8],
    pub(crate) will_qos: u8,
    pub(crate) will_retain: bool,
    pub(crate) will_delay: Option<u32>,
    pub(crate) will_content_type: Option<&'a str>,
    pub(crate) user_name: &'a [u8],
    pub(crate) password: &'a [u8],
}

impl Connect<'_> {
    pub(crate) fn facts(self) -> Facts {
        let mut facts = vec![
            ("packet", vec![1]),
            ("client", self.client_id.to_vec()),
            ("clean start", vec![u8::from(self.clean_start)]),
            ("keep alive", self.keep_alive.to_be_bytes().to_vec()),
        ];
        if let Some(seconds) = self.session_expiry {
            facts.push(("session expiry", seconds.to_be_bytes().to_vec()));
        }
        if let Some(messages) = self.receive_maximum {
            facts.push(("receive maximum", messages.to_be_bytes().to_vec()));
        }
        users(&mut facts, self.user);
        facts.extend([
            ("will topic", self.will_topic.to_vec()),
            ("will payload", self.will_payload.to_vec()),
            ("will qos", vec![self.will_qos]),
            ("will retain", vec![u8::from(self.will_retain)]),
        ]);
        if let Some(seconds) = self.will_delay {
            facts.push(("will delay", seconds.to_be_bytes().to_vec()));
        }
        if let Some(text) = self.will_content_type {
            facts.push(("will content type", text.into()));
        }
        facts.push(("user", self.user_name.to_vec()));
        facts.push(("password", self.password.to_vec()));
        facts
    }
}
