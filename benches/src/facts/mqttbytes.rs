//! Of packets of `mqttbytes`.

use mqttbytes::v5::{Packet, PubAckReason, PubCompReason, PubRecReason, PubRelReason};

use crate::work::Facts;

/// Of any packet of the samples.
#[must_use]
pub fn packet(packet: &Packet) -> Facts {
    // All samples say yes.
    let failed = |success: bool| u8::from(!success);
    match packet {
        Packet::Publish(publish) => {
            let id = Some(publish.pkid);
            let (qos, topic) = (publish.qos as u8, publish.topic.as_bytes());
            let mut facts = super::publish(qos, topic, &publish.payload, id);
            if let Some(properties) = &publish.properties {
                super::properties(
                    &mut facts,
                    properties.topic_alias,
                    properties.content_type.as_deref(),
                    properties.correlation_data.as_deref(),
                    pairs(&properties.user_properties),
                );
            }
            facts
        }
        Packet::PubAck(ack) => super::ack(4, ack.pkid, failed(ack.reason == PubAckReason::Success)),
        Packet::PubRec(ack) => super::ack(5, ack.pkid, failed(ack.reason == PubRecReason::Success)),
        Packet::PubRel(ack) => super::ack(6, ack.pkid, failed(ack.reason == PubRelReason::Success)),
        Packet::PubComp(ack) => {
            super::ack(7, ack.pkid, failed(ack.reason == PubCompReason::Success))
        }
        Packet::SubAck(ack) => {
            super::suback(ack.pkid, ack.return_codes.iter().map(|code| *code as u8))
        }
        Packet::PingResp => vec![("packet", vec![13])],
        Packet::Subscribe(subscribe) => {
            let properties = subscribe.properties.as_ref();
            let identifier = properties.and_then(|properties| properties.id).unwrap_or(0);
            let filters = subscribe.filters.iter();
            super::subscribe(
                subscribe.pkid,
                identifier as u32,
                filters.map(|filter| (filter.path.as_str(), filter.qos as u8)),
            )
        }
        Packet::Connect(connect) => {
            let properties = connect.properties.as_ref().expect("properties");
            let will = connect.last_will.as_ref().expect("a Will");
            let will_properties = will.properties.as_ref().expect("properties");
            let login = connect.login.as_ref().expect("a login");
            super::Connect {
                client_id: connect.client_id.as_bytes(),
                clean_start: connect.clean_session,
                keep_alive: connect.keep_alive,
                session_expiry: properties.session_expiry_interval,
                receive_maximum: properties.receive_maximum,
                user: pairs(&properties.user_properties).collect(),
                will_topic: will.topic.as_bytes(),
                will_payload: &will.message,
                will_qos: will.qos as u8,
                will_retain: will.retain,
                will_delay: will_properties.delay_interval,
                will_content_type: will_properties.content_type.as_deref(),
                user_name: login.username.as_bytes(),
                password: login.password.as_bytes(),
            }
            .facts()
        }
        other => panic!("{other:?} is in no sample"),
    }
}

fn pairs(properties: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    properties
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
}
