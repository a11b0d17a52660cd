//! Those who publish.

use bytes::{Buf, Bytes, BytesMut};
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{Connection, Event as CoreEvent, role};
use mqtt_protocol_core::mqtt::packet::{
    GenericPacketTrait as _, Property, Qos, SessionExpiryInterval, v5_0,
};
use mqtt_protocol_core::mqtt::{ArcPayload, IntoPayload, Version};
use mqtt5_proto::packet::{ApplicationMessage, QoS};
use mqtt5_proto::session::{Event, PublishVerdict, SessionConfig};
use mqtt5_proto::{Instant, Session, Topic};
use rumqttc::v5::mqttbytes as rumqttc_types;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish};
use rumqttc::v5::{MqttState, Request};

use super::Publisher;
use crate::hand::session as hand;
use crate::samples::{SMALL, TOPIC};

/// By hand, strict or not.
pub(super) struct Hand<const STRICT: bool> {
    session: hand::Session,
    message: hand::Message,
}

impl<const STRICT: bool> Publisher for Hand<STRICT> {
    fn connected(_: usize) -> Self {
        Self {
            session: hand::Session::new(STRICT),
            message: hand::Message {
                topic: Bytes::copy_from_slice(TOPIC.as_bytes()),
                payload: Bytes::copy_from_slice(&SMALL),
            },
        }
    }

    #[inline]
    fn publish(&mut self, exactly_once: bool, out: &mut BytesMut) {
        let message = self.message.clone();
        self.session.publish(message, exactly_once, out);
    }

    #[inline]
    fn handle(&mut self, input: &[u8], out: &mut BytesMut) -> bool {
        self.session.handle(input, out).is_some()
    }
}

/// `mqtt5-proto`, driven as its front page says.
pub(super) struct Ours {
    session: Session,
    message: ApplicationMessage,
    input: BytesMut,
}

/// As a client reads: into a buffer that is made when it is needed.
#[inline]
fn append(buffer: &mut BytesMut, bytes: &[u8]) {
    if buffer.capacity() < bytes.len() {
        buffer.reserve(16 << 10);
    }
    buffer.extend_from_slice(bytes);
}

/// No time passes.
const NOW: Instant = Instant::ZERO;

/// A session that is connected to a server without limits.
pub(crate) fn connected_session() -> Session {
    let mut session = Session::new(SessionConfig {
        outbound_messages: 100_000,
        outbound_bytes: 1 << 30,
        client_id: "bench".try_into().expect("short"),
        keep_alive: 0,
        ..SessionConfig::default()
    });
    let mut out = BytesMut::new();
    session.handle_opened(NOW);
    while session.poll_transmit(&mut out, NOW).is_some() {}
    session.handle_transmitted(out.len(), NOW);
    let mut input = BytesMut::from(&[0x20, 3, 0, 0, 0][..]);
    session.handle_input(&mut input, NOW);
    assert!(matches!(session.poll_event(), Some(Event::Connected(_))));
    session
}

impl Ours {
    #[inline]
    fn transmit(&mut self, out: &mut BytesMut) {
        let start = out.len();
        while self.session.poll_transmit(out, NOW).is_some() {}
        self.session.handle_transmitted(out.len() - start, NOW);
    }
}

impl Publisher for Ours {
    fn connected(_: usize) -> Self {
        let topic = Topic::new(TOPIC).expect("a topic");
        Self {
            session: connected_session(),
            message: ApplicationMessage::new(topic, Bytes::copy_from_slice(&SMALL)),
            input: BytesMut::new(),
        }
    }

    #[inline]
    fn publish(&mut self, exactly_once: bool, out: &mut BytesMut) {
        let qos = if exactly_once {
            QoS::ExactlyOnce
        } else {
            QoS::AtLeastOnce
        };
        let message = self.message.clone().with_qos(qos);
        self.session.publish(message, NOW).expect("room");
        self.transmit(out);
    }

    #[inline]
    fn handle(&mut self, input: &[u8], out: &mut BytesMut) -> bool {
        append(&mut self.input, input);
        self.session.handle_input(&mut self.input, NOW);
        self.transmit(out);
        let mut verdict = false;
        while let Some(event) = self.session.poll_event() {
            verdict |= matches!(
                event,
                Event::Published {
                    verdict: PublishVerdict::Acknowledged(_),
                    ..
                }
            );
        }
        verdict
    }
}

/// The state of `rumqttc`, with its codec.
pub(super) struct Rumqttc {
    state: MqttState,
    input: BytesMut,
}

impl Publisher for Rumqttc {
    fn connected(in_flight: usize) -> Self {
        Self {
            state: MqttState::new(in_flight as u16, false),
            input: BytesMut::new(),
        }
    }

    #[inline]
    fn publish(&mut self, exactly_once: bool, out: &mut BytesMut) {
        let qos = if exactly_once {
            rumqttc_types::QoS::ExactlyOnce
        } else {
            rumqttc_types::QoS::AtLeastOnce
        };
        // What its client does for every message.
        let publish = Publish::new(TOPIC, qos, Bytes::from_static(&SMALL), None);
        let packet = self.state.handle_outgoing_packet(Request::Publish(publish));
        let packet = packet.expect("a state that publishes");
        packet.expect("a PUBLISH").write(out, None).expect("legal");
        self.state.events.clear();
    }

    #[inline]
    fn handle(&mut self, input: &[u8], out: &mut BytesMut) -> bool {
        append(&mut self.input, input);
        let packet = Packet::read(&mut self.input, None).expect("a packet");
        let last = matches!(packet, Packet::PubAck(_) | Packet::PubComp(_));
        let answer = self.state.handle_incoming_packet(packet);
        if let Some(answer) = answer.expect("an acknowledgement that fits") {
            answer.write(out, None).expect("legal");
        }
        let told = !self.state.events.is_empty();
        self.state.events.clear();
        last && told
    }
}

/// The connection of `mqtt-protocol-core`.
pub(super) struct Core {
    connection: Connection<role::Client>,
    payload: ArcPayload,
}

impl Core {
    /// Writes what is to be sent. Whether a Packet Identifier is free again.
    fn take(events: Vec<CoreEvent>, out: &mut BytesMut) -> bool {
        let mut released = false;
        for event in events {
            match event {
                CoreEvent::RequestSendPacket { packet, .. } => {
                    out.extend_from_slice(&packet.to_continuous_buffer());
                }
                CoreEvent::NotifyPacketIdReleased(_) => released = true,
                CoreEvent::NotifyError(error) => panic!("{error:?}"),
                _ => {}
            }
        }
        released
    }
}

impl Publisher for Core {
    fn connected(_: usize) -> Self {
        let mut connection = Connection::<role::Client>::new(Version::V5_0);
        connection.set_auto_pub_response(true);
        // Without a session that lives on it would not keep what may have to be sent again.
        let expiry = SessionExpiryInterval::new(300).expect("legal");
        let connect = v5_0::Connect::builder()
            .client_id("bench")
            .expect("legal")
            .props(vec![Property::SessionExpiryInterval(expiry)])
            .build()
            .expect("legal");
        let mut out = BytesMut::new();
        Self::take(connection.checked_send(connect), &mut out);
        let connack = [0x20, 3, 0, 0, 0];
        Self::take(connection.recv(&mut Cursor::new(&connack[..])), &mut out);
        Self {
            connection,
            payload: (&SMALL[..]).into_payload(),
        }
    }

    fn publish(&mut self, exactly_once: bool, out: &mut BytesMut) {
        let qos = if exactly_once {
            Qos::ExactlyOnce
        } else {
            Qos::AtLeastOnce
        };
        let id = self.connection.acquire_packet_id().expect("a free one");
        let publish = v5_0::Publish::builder()
            .topic_name(TOPIC)
            .expect("a topic")
            .qos(qos)
            .packet_id(id)
            .payload(self.payload.clone())
            .build()
            .expect("legal");
        Self::take(self.connection.checked_send(publish), out);
    }

    fn handle(&mut self, mut input: &[u8], out: &mut BytesMut) -> bool {
        let mut released = false;
        while input.has_remaining() {
            let mut cursor = Cursor::new(input);
            let events = self.connection.recv(&mut cursor);
            let taken = cursor.position() as usize;
            released |= Self::take(events, out);
            input.advance(taken);
        }
        released
    }
}
