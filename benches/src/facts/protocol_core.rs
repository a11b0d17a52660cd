//! Of packets of `mqtt-protocol-core`.

use mqtt_protocol_core::mqtt::packet::{Packet, Property};

use crate::work::Facts;

/// Of any packet of the samples.
#[must_use]
pub fn packet(packet: &Packet) -> Facts {
    match packet {
        Packet::V5_0Publish(publish) => {
            let mut facts = super::publish(
                publish.qos() as u8,
                publish.topic_name().as_bytes(),
                publish.payload().as_slice(),
                publish.packet_id(),
            );
            let found = Found::of(publish.props());
            super::properties(
                &mut facts,
                found.alias,
                found.content_type,
                found.correlation,
                found.user,
            );
            facts
        }
        Packet::V5_0Puback(ack) => {
            super::ack(4, ack.packet_id(), ack.reason_code().map_or(0, |r| r as u8))
        }
        Packet::V5_0Pubrec(ack) => {
            super::ack(5, ack.packet_id(), ack.reason_code().map_or(0, |r| r as u8))
        }
        Packet::V5_0Pubrel(ack) => {
            super::ack(6, ack.packet_id(), ack.reason_code().map_or(0, |r| r as u8))
        }
        Packet::V5_0Pubcomp(ack) => {
            super::ack(7, ack.packet_id(), ack.reason_code().map_or(0, |r| r as u8))
        }
        Packet::V5_0Suback(ack) => super::suback(
            ack.packet_id(),
            ack.reason_codes().into_iter().map(|code| code as u8),
        ),
        Packet::V5_0Pingresp(_) => vec![("packet", vec![13])],
        Packet::V5_0Subscribe(subscribe) => super::subscribe(
            subscribe.packet_id(),
            Found::of(subscribe.props()).identifier,
            subscribe
                .entries()
                .iter()
                .map(|entry| (entry.topic_filter(), entry.sub_opts().qos() as u8)),
        ),
        Packet::V5_0Connect(connect) => {
            let properties = Found::of(connect.props());
            let will = Found::of(connect.will_props());
            super::Connect {
                client_id: connect.client_id().as_bytes(),
                clean_start: connect.clean_start(),
                keep_alive: connect.keep_alive(),
                session_expiry: properties.session_expiry,
                receive_maximum: properties.receive_maximum,
                user: properties.user,
                will_topic: connect.will_topic().unwrap_or_default().as_bytes(),
                will_payload: connect.will_payload().unwrap_or_default(),
                will_qos: connect.will_qos() as u8,
                will_retain: connect.will_retain(),
                will_delay: will.will_delay,
                will_content_type: will.content_type,
                user_name: connect.user_name().unwrap_or_default().as_bytes(),
                password: connect.password().unwrap_or_default(),
            }
            .facts()
        }
        other => panic!("{other:?} is in no sample"),
    }
}

#[derive(Default)]
struct Found<'a> {
    alias: Option<u16>,
    content_type: Option<&'a str>,
    correlation: Option<&'a [u8]>,
    identifier: u32,
    session_expiry: Option<u32>,
    receive_maximum: Option<u16>,
    will_delay: Option<u32>,
    user: Vec<(&'a str, &'a str)>,
}

impl<'a> Found<'a> {
    fn of(properties: &'a [Property]) -> Self {
        let mut found = Self::default();
        for property in properties {
            match property {
                Property::TopicAlias(value) => found.alias = Some(value.val()),
                Property::ContentType(value) => found.content_type = Some(value.val()),
                Property::CorrelationData(value) => found.correlation = Some(value.val()),
                Property::SubscriptionIdentifier(value) => found.identifier = value.val(),
                Property::SessionExpiryInterval(value) => found.session_expiry = Some(value.val()),
                Property::ReceiveMaximum(value) => found.receive_maximum = Some(value.val()),
                Property::WillDelayInterval(value) => found.will_delay = Some(value.val()),
                Property::UserProperty(value) => found.user.push((value.key(), value.val())),
                other => panic!("{other:?} is in no sample"),
            }
        }
        found
    }
}
