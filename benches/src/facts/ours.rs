//! Of packets of `mqtt5-proto`.

use mqtt5_proto::packet::{Packet, PublishView, ReceivedPublish};

use crate::work::Facts;

/// Of any packet of the samples.
#[must_use]
pub fn packet(packet: &Packet<'_>) -> Facts {
    match packet {
        Packet::Publish(view) => publish(view),
        Packet::Puback(ack) => super::ack(4, ack.packet_id().get(), ack.reason_code().raw()),
        Packet::Pubrec(ack) => super::ack(5, ack.packet_id().get(), ack.reason_code().raw()),
        Packet::Pubrel(ack) => super::ack(6, ack.packet_id().get(), ack.reason_code().raw()),
        Packet::Pubcomp(ack) => super::ack(7, ack.packet_id().get(), ack.reason_code().raw()),
        Packet::Suback(suback) => super::suback(
            suback.packet_id().get(),
            suback
                .reason_codes()
                .map(mqtt5_proto::packet::Received::raw),
        ),
        Packet::Pingresp(_) => vec![("packet", vec![13])],
        Packet::Subscribe(subscribe) => super::subscribe(
            subscribe.packet_id().get(),
            subscribe
                .properties()
                .subscription_identifier()
                .map_or(0, mqtt5_proto::packet::SubscriptionIdentifier::get),
            subscribe
                .subscriptions()
                .map(|entry| (entry.filter(), entry.maximum_qos() as u8)),
        ),
        Packet::Connect(view) => {
            let (properties, will) = (view.properties(), view.will().expect("a Will"));
            super::Connect {
                client_id: view.client_id().as_bytes(),
                clean_start: view.clean_start(),
                keep_alive: view.keep_alive(),
                session_expiry: properties.session_expiry_interval(),
                receive_maximum: properties.receive_maximum().map(std::num::NonZero::get),
                user: properties.user_properties().collect(),
                will_topic: will.topic().as_bytes(),
                will_payload: will.payload(),
                will_qos: will.qos() as u8,
                will_retain: will.retain(),
                will_delay: will.properties().will_delay_interval(),
                will_content_type: will.properties().content_type(),
                user_name: view.user_name().unwrap_or_default().as_bytes(),
                password: view.password().unwrap_or_default(),
            }
            .facts()
        }
        other => panic!("{} is in no sample", other.packet_type()),
    }
}

/// Of a PUBLISH.
#[must_use]
pub fn publish(view: &PublishView<'_>) -> Facts {
    let id = view.delivery().packet_id().map(mqtt5_proto::PacketId::get);
    let qos = view.delivery().qos() as u8;
    let mut facts = super::publish(qos, view.topic().as_bytes(), view.payload(), id);
    let properties = view.properties();
    super::properties(
        &mut facts,
        properties
            .topic_alias()
            .map(mqtt5_proto::packet::TopicAlias::get),
        properties.content_type(),
        properties.correlation_data(),
        properties.user_properties(),
    );
    facts
}

/// Of a PUBLISH that is owned.
#[must_use]
pub fn received(publish: &ReceivedPublish) -> Facts {
    let id = publish
        .delivery()
        .packet_id()
        .map(mqtt5_proto::PacketId::get);
    let qos = publish.delivery().qos() as u8;
    let mut facts = super::publish(qos, publish.topic_bytes(), publish.payload(), id);
    let properties = publish.properties();
    super::properties(
        &mut facts,
        properties
            .topic_alias()
            .map(mqtt5_proto::packet::TopicAlias::get),
        properties.content_type(),
        properties.correlation_data(),
        properties.user_properties(),
    );
    facts
}
