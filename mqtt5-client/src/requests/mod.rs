//! SUBSCRIBE and UNSUBSCRIBE: from the call over any number of connections to the answer (sections
//! 3.8 to 3.11).

mod leave;

use mqtt5_proto::packet::{
    Received, SubackReasonCode, Subscription, SubscriptionIdentifier, UserProperty,
};
use mqtt5_proto::session::{OperationId, RequestVerdict, Rule, SubscribeRequest};
use mqtt5_proto::{QoS, TopicFilter};

use crate::errors::SubscribeError;
use crate::routes::RouteKey;
use crate::shared::Core;
use crate::slots::SlotKey;
use crate::streams::{Grant, StreamEnd, StreamKey, StreamOptions};
use crate::taps::Notice;

/// A request without an answer.
#[derive(Debug)]
pub(crate) enum Request {
    Subscribe(SubscribeOperation),
    Unsubscribe(UnsubscribeOperation),
}

#[derive(Debug)]
pub(crate) struct SubscribeOperation {
    routes: Vec<RouteKey>,
    /// The stream that it is for; `None` if it restores what the server has lost.
    stream: Option<StreamKey>,
    slot: Option<SlotKey>,
    /// It was sent, and the connection ended before the answer: the server may have done it.
    sent: bool,
    /// The session was lost while it waited: what its filters had before is lost too, and comes
    /// back by it.
    restores: bool,
}

#[derive(Debug)]
pub(crate) struct UnsubscribeOperation {
    filters: Vec<TopicFilter>,
    /// The stream that ends by it; `None` if it has gone.
    stream: Option<StreamKey>,
    slot: Option<SlotKey>,
}

/// Whether a request that is refused so can be made later.
const fn is_passing(rule: Rule) -> bool {
    matches!(rule, Rule::QueueFull | Rule::Closing | Rule::NotConnected)
}

impl Core {
    fn identifiers_available(&self) -> bool {
        self.session
            .limits()
            .is_none_or(|limits| limits.subscription_identifier_available)
    }

    fn check_open(&self) -> Result<(), SubscribeError> {
        match (&self.closed, &self.closing) {
            (Some(reason), _) => Err(SubscribeError::Closed(reason.clone())),
            (None, Some(_)) => Err(SubscribeError::NotAccepted(Rule::Closing)),
            (None, None) => Ok(()),
        }
    }

    /// Makes a stream and asks for what it is to get.
    pub(crate) fn begin_subscribe(
        &mut self,
        subscriptions: Vec<Subscription>,
        user_properties: &[UserProperty],
        options: StreamOptions,
        wants_answer: bool,
    ) -> Result<(StreamKey, Option<SlotKey>), SubscribeError> {
        self.check_open()?;
        let available = self.identifiers_available();
        let identifier = if available {
            self.routes.new_identifier()
        } else {
            None
        };
        let subscriptions: Vec<_> = subscriptions
            .into_iter()
            .map(|wanted| self.merged(wanted))
            .collect();
        let request = SubscribeRequest {
            subscriptions: subscriptions.clone(),
            subscription_identifier: identifier,
            user_properties: user_properties.to_vec(),
        };
        let operation = self
            .session
            .subscribe(request)
            .map_err(|refused| SubscribeError::NotAccepted(refused.rule))?;
        let stream = self.add_stream(options);
        let routes = self.attach(stream, subscriptions, identifier, user_properties);
        let slot = wants_answer.then(|| self.subscribed.insert());
        let request = SubscribeOperation {
            routes,
            stream: Some(stream),
            slot,
            sent: false,
            restores: false,
        };
        self.requests
            .insert(operation.get(), Request::Subscribe(request));
        self.claim_held(stream);
        Ok((stream, slot))
    }

    /// Makes the routes of a new stream.
    fn attach(
        &mut self,
        stream: StreamKey,
        subscriptions: Vec<Subscription>,
        identifier: Option<SubscriptionIdentifier>,
        user_properties: &[UserProperty],
    ) -> Vec<RouteKey> {
        let mut routes = Vec::with_capacity(subscriptions.len());
        let mut grants = Vec::with_capacity(subscriptions.len());
        for subscription in subscriptions {
            let filter = subscription.filter.clone();
            grants.push(Grant {
                filter,
                result: None,
            });
            let number = self.next_number();
            let key = self
                .routes
                .add(number, subscription, identifier, user_properties);
            routes.push(key);
            if let Some(route) = self.routes.get_mut(key) {
                route.streams.push(stream);
                route.pending += 1;
                route.leaving = false;
            }
        }
        if let Some(queue) = self.streams.get_mut(&stream) {
            queue.routes.clone_from(&routes);
            queue.grants = grants;
            queue.consumers = 1;
        }
        routes
    }

    /// What to ask the server for if other streams share the filter: enough for all of them.
    fn merged(&self, mut wanted: Subscription) -> Subscription {
        let route = self
            .routes
            .find(&wanted.filter)
            .and_then(|key| self.routes.get(key));
        if let Some(route) = route.filter(|route| !route.streams.is_empty()) {
            let there = &route.subscription;
            wanted.maximum_qos = wanted.maximum_qos.max(there.maximum_qos);
            wanted.retain_as_published |= there.retain_as_published;
            let no_local = wanted.no_local() && there.no_local();
            // Only setting it can fail, and only for a filter that is refused it before.
            let _ = wanted.set_no_local(no_local);
        }
        wanted
    }

    /// All that was granted is to be asked for again.
    pub(crate) fn restore_routes(&mut self) {
        for request in self.requests.values_mut().chain(&mut self.retries) {
            if let Request::Subscribe(operation) = request {
                operation.sent = false;
                operation.restores = true;
            }
        }
        for key in self.routes.keys() {
            self.restore_route(key);
        }
    }

    fn restore_route(&mut self, key: RouteKey) {
        let Some(route) = self.routes.get_mut(key) else {
            return;
        };
        if route.granted && route.pending == 0 && !route.leaving {
            route.pending += 1;
            let operation = SubscribeOperation {
                routes: Vec::from([key]),
                stream: None,
                slot: None,
                sent: false,
                restores: true,
            };
            self.retries.push_back(Request::Subscribe(operation));
        }
    }

    /// Makes requests that could not be made before, in order, as far as that goes now.
    pub(crate) fn send_retries(&mut self) {
        while let Some(request) = self.retries.pop_front() {
            let blocked = match request {
                Request::Subscribe(operation) => self.subscribe_again(operation),
                Request::Unsubscribe(operation) => self.send_unsubscribe(operation),
            };
            if let Some(request) = blocked {
                self.retries.push_front(request);
                return;
            }
        }
    }

    /// Hands the request back if it has to wait.
    fn subscribe_again(&mut self, operation: SubscribeOperation) -> Option<Request> {
        if let Some(reason) = self.closed.clone() {
            self.fail_subscribe(&operation, SubscribeError::Closed(reason.clone()), || {
                StreamEnd::Closed(reason.clone())
            });
            return None;
        }
        let wanted = operation
            .stream
            .is_none_or(|stream| self.streams.contains_key(&stream));
        if !wanted {
            self.forget_subscribe(&operation);
            return None;
        }
        let available = self.identifiers_available();
        let mut request = SubscribeRequest::default();
        for key in &operation.routes {
            if !available {
                self.routes.set_identifier(*key, None);
            }
            if let Some(route) = self.routes.get(*key) {
                request.subscriptions.push(route.subscription.clone());
                request.subscription_identifier = route.identifier;
                request.user_properties.clone_from(&route.user_properties);
            }
        }
        // One for all of them, though a filter may have got another one since.
        for key in &operation.routes {
            self.routes
                .set_identifier(*key, request.subscription_identifier);
        }
        match self.session.subscribe(request) {
            Ok(id) => {
                self.requests
                    .insert(id.get(), Request::Subscribe(operation));
                None
            }
            Err(refused) if is_passing(refused.rule) => Some(Request::Subscribe(operation)),
            Err(refused) => {
                self.undo_sent(&operation);
                let error = SubscribeError::NotAccepted(refused.rule);
                self.fail_subscribe(&operation, error, || StreamEnd::NotPossible);
                None
            }
        }
    }

    pub(crate) fn handle_subscribed(
        &mut self,
        operation: OperationId,
        verdict: RequestVerdict<SubackReasonCode>,
    ) {
        let Some(Request::Subscribe(operation)) = self.requests.remove(&operation.get()) else {
            return;
        };
        self.room.wake_first(&mut self.wakeups);
        match verdict {
            RequestVerdict::Answered {
                reason_codes,
                properties,
            } => {
                let first_error = reason_codes.first().copied();
                let all_failed = reason_codes.iter().all(|code| code.is_error());
                self.handle_granted(&operation, &reason_codes);
                let result = match first_error {
                    Some(reason_code) if all_failed => Err(SubscribeError::Refused {
                        reason_code,
                        properties,
                    }),
                    _ => Ok(()),
                };
                self.answer_subscribe(&operation, result);
            }
            RequestVerdict::MalformedAnswer => {
                self.undo(&operation);
                self.fail_subscribe(&operation, SubscribeError::MalformedAnswer, || {
                    StreamEnd::NotPossible
                });
            }
            RequestVerdict::Rejected { rule } if rule != Rule::SubscriptionIdentifierAvailable => {
                self.undo_sent(&operation);
                let error = SubscribeError::NotAccepted(rule);
                self.fail_subscribe(&operation, error, || StreamEnd::NotPossible);
            }
            // Not sent, or sent and lost with its connection, or to be asked for without identifier.
            verdict => {
                let sent = operation.sent || matches!(verdict, RequestVerdict::Unknown);
                let operation = SubscribeOperation { sent, ..operation };
                self.retries.push_back(Request::Subscribe(operation));
            }
        }
    }

    fn answer_subscribe(
        &mut self,
        operation: &SubscribeOperation,
        result: Result<(), SubscribeError>,
    ) {
        if let Some(slot) = operation.slot {
            // A future that was dropped has taken its stream with it.
            let _ = self.subscribed.resolve(slot, result, &mut self.wakeups);
        }
    }

    fn handle_granted(
        &mut self,
        operation: &SubscribeOperation,
        codes: &[Received<SubackReasonCode>],
    ) {
        for (key, code) in operation.routes.iter().zip(codes) {
            let Some(route) = self.routes.get_mut(*key) else {
                continue;
            };
            route.pending -= 1;
            let before = route.granted;
            let result = match granted_qos(*code) {
                Some(qos) => {
                    route.granted = true;
                    Ok(qos)
                }
                None => Err(*code),
            };
            let filter = route.subscription.filter.clone();
            if result.is_ok() && route.pending == 0 {
                self.routes.forget_older(*key);
            }
            match (operation.stream, result) {
                (_, Ok(_)) => self.set_grant(*key, None, &filter, &result),
                (only, Err(code)) => {
                    if only.is_some() {
                        self.set_grant(*key, only, &filter, &result);
                    }
                    match only.filter(|_| !(operation.restores && before)) {
                        Some(stream) => self.detach(stream, *key, || StreamEnd::Refused(code)),
                        None => self.lose_route(*key, || StreamEnd::Refused(code)),
                    }
                }
            }
            self.drop_if_unused(*key, before);
        }
    }

    /// Notes the answer for one filter, with one stream or with all that share it.
    fn set_grant(
        &mut self,
        key: RouteKey,
        only: Option<StreamKey>,
        filter: &TopicFilter,
        result: &Result<QoS, Received<SubackReasonCode>>,
    ) {
        let Some(route) = self.routes.get(key) else {
            return;
        };
        for stream in &route.streams {
            if only.is_some_and(|only| only != *stream) {
                continue;
            }
            let queue = self.streams.get_mut(stream);
            let grants = queue
                .map(|queue| queue.grants.as_mut_slice())
                .unwrap_or_default();
            if let Some(grant) = grants.iter_mut().find(|grant| grant.filter == *filter) {
                grant.result = Some(*result);
            }
        }
    }

    /// The stream gets nothing more by this route, and ends if it was the last one.
    fn detach(&mut self, stream: StreamKey, key: RouteKey, end: impl FnOnce() -> StreamEnd) {
        if let Some(route) = self.routes.get_mut(key) {
            route.streams.retain(|other| *other != stream);
        }
        if let Some(queue) = self.streams.get_mut(&stream) {
            queue.routes.retain(|other| *other != key);
            if queue.routes.is_empty() {
                queue.finish_stream(end(), &mut self.wakeups);
            }
        }
    }

    /// A subscription that was there could not be made again.
    fn lose_route(&mut self, key: RouteKey, end: impl Fn() -> StreamEnd) {
        let Some(route) = self.routes.get(key) else {
            return;
        };
        let notice = Notice::SubscriptionLost(route.subscription.filter.clone());
        for stream in route.streams.clone() {
            self.detach(stream, key, &end);
        }
        if self.routes.get(key).is_some_and(|route| route.pending == 0) {
            self.routes.remove(key);
        }
        self.notices.push(&notice, &mut self.wakeups);
    }

    fn fail_subscribe(
        &mut self,
        operation: &SubscribeOperation,
        error: SubscribeError,
        end: impl Fn() -> StreamEnd,
    ) {
        for key in &operation.routes {
            if let Some(route) = self.routes.get_mut(*key) {
                route.pending -= 1;
            }
            match operation.stream {
                Some(stream) => self.detach(stream, *key, &end),
                None if self.is_closed() => {}
                None => self.lose_route(*key, &end),
            }
            self.drop_if_unused(*key, true);
            if operation.restores && operation.stream.is_some() && !self.is_closed() {
                self.restore_route(*key);
            }
        }
        self.answer_subscribe(operation, Err(error));
    }

    /// Nobody wants the answer any more, and it cannot come.
    fn forget_subscribe(&mut self, operation: &SubscribeOperation) {
        self.undo_sent(operation);
        for key in &operation.routes {
            if let Some(route) = self.routes.get_mut(*key) {
                route.pending -= 1;
            }
            self.drop_if_unused(*key, true);
            if operation.restores {
                self.restore_route(*key);
            }
        }
    }

    /// Nobody wants the route any more, because its streams were dropped while a request was on its
    /// way: what the server has granted is undone. A durable session keeps what was granted
    /// `before`.
    fn drop_if_unused(&mut self, key: RouteKey, before: bool) {
        let Some(route) = self.routes.get(key) else {
            return;
        };
        let kept = self.durable && route.granted && before;
        if !route.streams.is_empty() || route.pending > 0 || kept {
            return;
        }
        if let Some(route) = self.routes.remove(key)
            && route.granted
        {
            self.unsubscribe_in_background(Vec::from([route.subscription.filter]));
        }
    }
}

/// The QoS that a code grants; `None` if it refuses.
fn granted_qos(code: Received<SubackReasonCode>) -> Option<QoS> {
    QoS::from_raw(code.raw())
}
