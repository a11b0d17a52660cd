//! A PUBLISH that was received, kept beyond its buffer (section 3.3).

use alloc::boxed::Box;
use core::fmt;

use bytes::{Bytes, BytesMut};

use super::publish::{Parts, retain};
use super::{ApplicationMessage, Delivery, PacketType, PublishPropertiesView, Violation};
use crate::codec::{DecodeError, Decoder, Fault, FixedHeader, Frame, variable_byte_integer_len};
use crate::topic::Topic;

/// A PUBLISH that was received, owned: one frame and offsets into it.
#[derive(Clone)]
pub struct ReceivedPublish {
    frame: Frame,
    layout: Layout,
}

/// What tells where the parts of a PUBLISH lie in its frame.
#[derive(Clone, Copy)]
struct Layout {
    delivery: Delivery,
    retain: bool,
    /// Of the fixed header: 2 to 5.
    header_len: u8,
    topic_len: u16,
    properties_len: u32,
    /// The identifiers that are in the property section.
    present: u64,
}

impl Layout {
    #[inline]
    fn parse(header: FixedHeader, body: &[u8]) -> Result<Self, nom::Err<Fault<'_>>> {
        let parts = Parts::parse(header.flags(), body)?;
        Ok(Self {
            delivery: parts.delivery,
            retain: retain(header.flags()),
            header_len: header.header_len_u8(),
            topic_len: parts.topic_len,
            properties_len: parts.properties.section().len(),
            present: parts.properties.section().present(),
        })
    }

    const fn topic_start(&self) -> usize {
        // The length of the topic stands before it.
        self.header_len as usize + 2
    }

    #[inline]
    fn properties_start(&self) -> usize {
        let id_len = match self.delivery {
            Delivery::AtMostOnce => 0,
            Delivery::AtLeastOnce { .. } | Delivery::ExactlyOnce { .. } => 2,
        };
        // The decoder takes no Property Length but the shortest, so that its size follows from it.
        let length_len = variable_byte_integer_len(self.properties_len);
        self.topic_start() + usize::from(self.topic_len) + id_len + length_len
    }

    #[inline]
    fn payload_start(&self) -> usize {
        self.properties_start() + self.properties_len as usize
    }
}

impl ReceivedPublish {
    /// Checks the packet in `frame` and keeps it.
    ///
    /// # Errors
    /// [`DecodeError`] as [`Packet::parse`](super::Packet::parse), and
    /// [`Violation::UnexpectedPacket`] if it is no PUBLISH.
    #[inline]
    pub fn new(frame: Frame) -> Result<Self, DecodeError> {
        let bytes = frame.as_slice();
        let (header, body) = super::split_header(bytes)?;
        if header.packet_type() != PacketType::Publish {
            return Err(DecodeError {
                violation: Violation::UnexpectedPacket,
                packet: Some(header.packet_type()),
                offset: 0,
            });
        }
        let layout = Layout::parse(header, body)
            .map_err(|fault| Fault::from(fault).in_packet(bytes, PacketType::Publish))?;
        Ok(Self { frame, layout })
    }

    /// Checks the PUBLISH at the start of `input`, which is whole and whose `header` was read, and
    /// takes it out. `None` if it is not whole after all.
    // Checked where it lies, and not when it is in a frame: what has not been looked at need not be
    // in memory before it is where it stays.
    #[inline]
    pub(crate) fn take(
        input: &mut BytesMut,
        header: FixedHeader,
        decoder: &mut Decoder,
    ) -> Result<Option<Self>, DecodeError> {
        let size = header.packet_size();
        let Some(packet) = input.get(..size) else {
            return Ok(None);
        };
        let body = packet.get(header.header_len()..).unwrap_or_default();
        let layout = Layout::parse(header, body)
            .map_err(|fault| Fault::from(fault).in_packet(packet, PacketType::Publish))?;
        let frame = decoder.take_frame(input, size);
        Ok(frame.map(|frame| Self { frame, layout }))
    }

    /// QoS, Packet Identifier and DUP.
    #[must_use]
    pub const fn delivery(&self) -> Delivery {
        self.layout.delivery
    }

    /// RETAIN.
    #[must_use]
    pub const fn retain(&self) -> bool {
        self.layout.retain
    }

    fn part(&self, start: usize, end: usize) -> &[u8] {
        self.frame.as_slice().get(start..end).unwrap_or_default()
    }

    /// The bytes of the topic name; empty if a Topic Alias stands for it.
    #[must_use]
    pub fn topic_bytes(&self) -> &[u8] {
        let start = self.layout.topic_start();
        self.part(start, start + usize::from(self.layout.topic_len))
    }

    /// The topic name; empty if a Topic Alias stands for it. Costs a UTF-8 check;
    /// [`topic_bytes`](Self::topic_bytes) does not.
    #[must_use]
    pub fn topic(&self) -> &str {
        core::str::from_utf8(self.topic_bytes()).unwrap_or_default()
    }

    /// Whether there are any properties.
    #[must_use]
    pub const fn has_properties(&self) -> bool {
        self.layout.properties_len != 0
    }

    /// The properties.
    #[must_use]
    pub fn properties(&self) -> PublishPropertiesView<'_> {
        let layout = &self.layout;
        let bytes = self.part(layout.properties_start(), layout.payload_start());
        PublishPropertiesView::checked(bytes, layout.present)
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.frame
            .as_slice()
            .get(self.layout.payload_start()..)
            .unwrap_or_default()
    }

    /// The payload as bytes of its own; shared, not copied, unless the packet is small.
    #[must_use]
    pub fn payload_bytes(&self) -> Bytes {
        self.frame.slice_from(self.layout.payload_start())
    }

    /// The size of the packet in bytes.
    #[must_use]
    pub fn packet_size(&self) -> usize {
        self.frame.as_slice().len()
    }

    /// A copy that shares nothing with the buffer in which the packet came.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self {
            frame: self.frame.detach(),
            layout: self.layout,
        }
    }

    /// The message as one that can be published again; `None` if its topic is no topic name.
    #[must_use]
    pub fn to_application_message(&self) -> Option<ApplicationMessage> {
        let properties = self.properties().to_message_properties();
        Some(ApplicationMessage {
            topic: Topic::new(self.topic()).ok()?,
            payload: self.payload_bytes(),
            qos: self.layout.delivery.qos(),
            retain: self.layout.retain,
            properties: (!properties.is_empty()).then(|| Box::new(properties)),
        })
    }
}

impl PartialEq for ReceivedPublish {
    fn eq(&self, other: &Self) -> bool {
        self.frame == other.frame
    }
}

impl Eq for ReceivedPublish {}

impl fmt::Debug for ReceivedPublish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedPublish")
            .field("topic", &self.topic())
            .field("delivery", &self.layout.delivery)
            .field("retain", &self.layout.retain)
            .field("properties", &self.properties())
            .field("payload_len", &self.payload().len())
            .finish()
    }
}
