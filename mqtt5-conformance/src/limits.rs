//! What the server of a case said in its CONNACK, and the check that the client keeps to it in
//! every packet, whatever the case is about.

use crate::wire::{Fault, Reader};

/// The limits of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    packet_size: usize,
    qos: u8,
    topic_aliases: u16,
    retain: bool,
    wildcards: bool,
    subscription_identifiers: bool,
    shared_subscriptions: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            packet_size: usize::MAX,
            qos: 2,
            topic_aliases: 0,
            retain: true,
            wildcards: true,
            subscription_identifiers: true,
            shared_subscriptions: true,
        }
    }
}

fn number(value: &[u8]) -> usize {
    value
        .iter()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

impl Limits {
    /// The limits of a CONNACK. One that is malformed sets none.
    pub(crate) fn of_connack(packet: &[u8]) -> Self {
        let mut limits = Self::default();
        let mut reader = Reader(packet.get(4..).unwrap_or_default());
        for (id, value) in reader.properties().unwrap_or_default() {
            let available = number(value) != 0;
            match id {
                0x22 => limits.topic_aliases = u16::try_from(number(value)).unwrap_or(u16::MAX),
                0x24 => limits.qos = value.first().copied().unwrap_or_default(),
                0x25 => limits.retain = available,
                0x27 => limits.packet_size = number(value),
                0x28 => limits.wildcards = available,
                0x29 => limits.subscription_identifiers = available,
                0x2A => limits.shared_subscriptions = available,
                _ => {}
            }
        }
        limits
    }

    /// Checks a packet that is valid by itself.
    pub(crate) fn check(&self, packet: &[u8]) -> Result<(), Fault> {
        if packet.len() > self.packet_size {
            return Err(format!(
                "{} bytes, the server takes {}",
                packet.len(),
                self.packet_size
            ));
        }
        let mut reader = Reader(packet);
        let first = reader.byte()?;
        reader.variable()?;
        match first >> 4 {
            3 => self.check_publish(first, reader),
            8 => self.check_subscribe(reader),
            _ => Ok(()),
        }
    }

    fn check_publish(&self, first: u8, mut body: Reader<'_>) -> Result<(), Fault> {
        let qos = first >> 1 & 0x03;
        if qos > self.qos {
            return Err(format!("the server takes QoS {} at most", self.qos));
        }
        if first & 0x01 != 0 && !self.retain {
            return Err("the server takes no retained messages".to_owned());
        }
        body.string()?;
        body.take(if qos > 0 { 2 } else { 0 })?;
        let mut properties = body.properties()?.into_iter();
        let alias = properties.find(|(id, _)| *id == 0x23);
        if alias.is_some_and(|(_, alias)| number(alias) > self.topic_aliases.into()) {
            return Err(format!(
                "the server takes Topic Aliases up to {}",
                self.topic_aliases
            ));
        }
        Ok(())
    }

    fn check_subscribe(&self, mut body: Reader<'_>) -> Result<(), Fault> {
        body.take(2)?;
        let properties = body.properties()?;
        if !self.subscription_identifiers && properties.iter().any(|(id, _)| *id == 0x0B) {
            return Err("the server takes no Subscription Identifiers".to_owned());
        }
        while !body.0.is_empty() {
            let filter = body.string()?;
            body.byte()?;
            if !self.wildcards && filter.contains(['+', '#']) {
                return Err("the server takes no filters with wildcards".to_owned());
            }
            if !self.shared_subscriptions && filter.starts_with("$share/") {
                return Err("the server takes no shared subscriptions".to_owned());
            }
        }
        Ok(())
    }
}
