//! Of packets of `ntex-mqtt`.

use ntex_bytes::ByteString;
use ntex_mqtt::v5::codec::{Decoded, Packet};

use crate::work::Facts;

/// Of any packet of the samples.
#[must_use]
pub fn packet(packet: &Decoded) -> Facts {
    match packet {
        Decoded::Publish(publish, payload, _) => {
            let id = publish.packet_id.map(std::num::NonZero::get);
            let (qos, topic) = (u8::from(publish.qos), publish.topic.as_bytes());
            let mut facts = super::publish(qos, topic, payload, id);
            let properties = &publish.properties;
            super::properties(
                &mut facts,
                properties.topic_alias.map(std::num::NonZero::get),
                properties.content_type.as_deref(),
                properties.correlation_data.as_deref(),
                pairs(&properties.user_properties),
            );
            facts
        }
        Decoded::Packet(packet, _) => other(packet),
        Decoded::PayloadChunk(..) => panic!("a payload in pieces"),
    }
}

fn other(packet: &Packet) -> Facts {
    match packet {
        Packet::PublishAck(ack) => super::ack(4, ack.packet_id.get(), ack.reason_code.into()),
        Packet::PublishReceived(ack) => super::ack(5, ack.packet_id.get(), ack.reason_code.into()),
        Packet::PublishRelease(ack) => super::ack(6, ack.packet_id.get(), ack.reason_code.into()),
        Packet::PublishComplete(ack) => super::ack(7, ack.packet_id.get(), ack.reason_code.into()),
        Packet::SubscribeAck(ack) => super::suback(
            ack.packet_id.get(),
            ack.status.iter().map(|code| (*code).into()),
        ),
        Packet::PingResponse => vec![("packet", vec![13])],
        Packet::Subscribe(subscribe) => super::subscribe(
            subscribe.packet_id.get(),
            subscribe.id.map_or(0, std::num::NonZero::get),
            subscribe
                .topic_filters
                .iter()
                .map(|(filter, options)| (&**filter, u8::from(options.qos))),
        ),
        Packet::Connect(connect) => {
            let will = connect.last_will.as_ref().expect("a Will");
            super::Connect {
                client_id: connect.client_id.as_bytes(),
                clean_start: connect.clean_start,
                keep_alive: connect.keep_alive,
                session_expiry: Some(connect.session_expiry_interval_secs),
                receive_maximum: connect.receive_max.map(std::num::NonZero::get),
                user: pairs(&connect.user_properties).collect(),
                will_topic: will.topic.as_bytes(),
                will_payload: &will.message,
                will_qos: will.qos.into(),
                will_retain: will.retain,
                will_delay: will.will_delay_interval_sec,
                will_content_type: will.content_type.as_deref(),
                user_name: connect.username.as_deref().unwrap_or_default().as_bytes(),
                password: connect.password.as_deref().unwrap_or_default(),
            }
            .facts()
        }
        other => panic!("{other:?} is in no sample"),
    }
}

fn pairs(properties: &[(ByteString, ByteString)]) -> impl Iterator<Item = (&str, &str)> {
    properties.iter().map(|(name, value)| (&**name, &**value))
}
