//! SUBSCRIBE and UNSUBSCRIBE (sections 3.8 to 3.11).

use std::sync::Arc;

use mqtt5_proto::packet::{
    DisconnectReasonCode, RetainHandling, Suback, SubackReasonCode, SubscribeView,
    SubscriptionView, Unsuback, UnsubackReasonCode, UnsubscribeView,
};
use mqtt5_proto::{Instant, PacketId, QoS, TopicFilter};

use super::{Broker, ConnectionId, Handled};
use crate::config::Config;
use crate::session::Granted;

impl Broker {
    pub(super) fn on_subscribe(
        &mut self,
        id: ConnectionId,
        subscribe: &SubscribeView<'_>,
        now: Instant,
    ) -> Handled {
        let Some(connection) = self.connections.get(&id) else {
            return Ok(());
        };
        let config = Arc::clone(&connection.config);
        let client_id = Arc::clone(&connection.client_id);
        let limits = &config.connack;
        let identifier = subscribe.properties().subscription_identifier();
        if identifier.is_some() && limits.subscription_identifier_available == Some(false) {
            return Err(DisconnectReasonCode::SubscriptionIdentifiersNotSupported);
        }
        let mut wanted = Vec::new();
        for view in subscribe.subscriptions() {
            let filter = TopicFilter::new(view.filter())
                .map_err(|_| DisconnectReasonCode::TopicFilterInvalid)?;
            if filter.has_wildcard() && limits.wildcard_subscription_available == Some(false) {
                return Err(DisconnectReasonCode::WildcardSubscriptionsNotSupported);
            }
            let shared = filter.share_name().is_some();
            if shared && limits.shared_subscription_available == Some(false) {
                return Err(DisconnectReasonCode::SharedSubscriptionsNotSupported);
            }
            wanted.push((view, filter));
        }
        if self.is_in_use(id, subscribe.packet_id()) {
            let codes = vec![SubackReasonCode::PacketIdentifierInUse; wanted.len()];
            self.send_suback(id, subscribe.packet_id(), &codes, now);
            return Ok(());
        }
        let mut codes = Vec::new();
        let mut with_retained = Vec::new();
        for (view, filter) in wanted {
            if let Some(reason) = self.filter_refusal(&filter) {
                codes.push(reason);
                continue;
            }
            let granted = Granted {
                qos: granted_qos(&view, &config),
                no_local: view.no_local(),
                retain_as_published: view.retain_as_published(),
                identifier,
                filter,
            };
            codes.push(match granted.qos {
                QoS::AtMostOnce => SubackReasonCode::GrantedQoS0,
                QoS::AtLeastOnce => SubackReasonCode::GrantedQoS1,
                QoS::ExactlyOnce => SubackReasonCode::GrantedQoS2,
            });
            let Some(session) = self.sessions.get_mut(&client_id) else {
                continue;
            };
            let filter = granted.filter.clone();
            let is_new = session
                .subscriptions
                .insert(filter, granted.clone())
                .is_none();
            let sends = match view.retain_handling() {
                RetainHandling::SendAtSubscribe => true,
                RetainHandling::SendIfNew => is_new,
                RetainHandling::DoNotSend => false,
            };
            if sends && granted.filter.share_name().is_none() {
                with_retained.push(granted);
            }
        }
        self.send_suback(id, subscribe.packet_id(), &codes, now);
        if limits.retain_available != Some(false) {
            for granted in with_retained {
                self.send_retained(&client_id, &granted, now);
            }
        }
        Ok(())
    }

    /// Whether the client uses this identifier for a message already.
    fn is_in_use(&self, id: ConnectionId, packet_id: PacketId) -> bool {
        self.connections.get(&id).is_some_and(|connection| {
            let session = self.sessions.get(&connection.client_id);
            connection.is_open(packet_id)
                || session.is_some_and(|session| session.incoming.contains(&packet_id))
        })
    }

    /// A refusal names a whole filter, or the topics that the filter is made of.
    fn filter_refusal(&self, filter: &TopicFilter) -> Option<SubackReasonCode> {
        self.refused_filters
            .iter()
            .find(|(refused, _)| refused == filter || refused.matches(filter.matched()))
            .map(|(_, reason)| *reason)
    }

    fn send_suback(
        &mut self,
        id: ConnectionId,
        packet_id: PacketId,
        codes: &[SubackReasonCode],
        now: Instant,
    ) {
        let properties = self.ack_properties(id);
        let mut suback = Suback {
            packet_id,
            reason_codes: codes,
            properties: properties.as_ref(),
        };
        if !self.fits(id, &suback) {
            suback.properties = None;
        }
        self.send(id, &suback, now);
    }

    pub(super) fn on_unsubscribe(
        &mut self,
        id: ConnectionId,
        unsubscribe: &UnsubscribeView<'_>,
        now: Instant,
    ) -> Handled {
        let Some(connection) = self.connections.get(&id) else {
            return Ok(());
        };
        let client_id = Arc::clone(&connection.client_id);
        let packet_id = unsubscribe.packet_id();
        let in_use = self.is_in_use(id, packet_id);
        let mut codes = Vec::new();
        for filter in unsubscribe.filters() {
            let filter =
                TopicFilter::new(filter).map_err(|_| DisconnectReasonCode::TopicFilterInvalid)?;
            if in_use {
                codes.push(UnsubackReasonCode::PacketIdentifierInUse);
                continue;
            }
            let removed = self
                .sessions
                .get_mut(&client_id)
                .and_then(|session| session.subscriptions.remove(&filter));
            codes.push(match removed {
                Some(_) => UnsubackReasonCode::Success,
                None => UnsubackReasonCode::NoSubscriptionExisted,
            });
        }
        let properties = self.ack_properties(id);
        let mut unsuback = Unsuback {
            packet_id,
            reason_codes: &codes,
            properties: properties.as_ref(),
        };
        if !self.fits(id, &unsuback) {
            unsuback.properties = None;
        }
        self.send(id, &unsuback, now);
        Ok(())
    }
}

fn granted_qos(view: &SubscriptionView<'_>, config: &Config) -> QoS {
    let limit = config.maximum_granted_qos.or(config.connack.maximum_qos);
    view.maximum_qos().min(limit.unwrap_or(QoS::ExactlyOnce))
}
