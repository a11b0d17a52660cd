//! Leaving: UNSUBSCRIBE, and what is undone (sections 3.10 and 3.11).

use mqtt5_proto::TopicFilter;
use mqtt5_proto::packet::UnsubackReasonCode;
use mqtt5_proto::session::{OperationId, RequestVerdict, UnsubscribeRequest};

use super::{Request, SubscribeOperation, UnsubscribeOperation, is_passing};
use crate::errors::UnsubscribeError;
use crate::routes::{Route, RouteKey};
use crate::shared::Core;
use crate::slots::SlotKey;
use crate::streams::{StreamEnd, StreamKey};

impl Core {
    /// The server may have done what nobody can tell.
    pub(super) fn undo(&mut self, operation: &SubscribeOperation) {
        let filters = operation
            .routes
            .iter()
            .filter_map(|key| self.routes.get(*key))
            .filter(|route| !route.granted)
            .map(|route| route.subscription.filter.clone())
            .collect();
        self.unsubscribe_in_background(filters);
    }

    /// As [`undo`](Self::undo), if an earlier connection has sent it.
    pub(super) fn undo_sent(&mut self, operation: &SubscribeOperation) {
        if operation.sent {
            self.undo(operation);
        }
    }

    /// A stream has gone without being unsubscribed.
    pub(crate) fn leave_routes(&mut self, stream: StreamKey, routes: &[RouteKey]) {
        let mut filters = Vec::new();
        for key in routes {
            let Some(route) = self.routes.get_mut(*key) else {
                continue;
            };
            route.streams.retain(|other| *other != stream);
            // What waits for an answer is undone when the answer comes; a durable session keeps
            // its subscriptions.
            if !route.streams.is_empty()
                || route.pending > 0
                || (self.durable && route.granted && !route.leaving)
            {
                continue;
            }
            let unsubscribe = route.granted && !route.leaving;
            if let Some(route) = self.routes.remove(*key)
                && unsubscribe
            {
                filters.push(route.subscription.filter);
            }
        }
        self.unsubscribe_in_background(filters);
    }

    pub(super) fn unsubscribe_in_background(&mut self, filters: Vec<TopicFilter>) {
        if !filters.is_empty() {
            let operation = UnsubscribeOperation {
                filters,
                stream: None,
                slot: None,
            };
            self.retries.push_back(Request::Unsubscribe(operation));
        }
    }

    /// Ends a stream by unsubscribing what no other stream shares. `None`: that is done already.
    pub(crate) fn begin_unsubscribe(&mut self, stream: StreamKey) -> Option<SlotKey> {
        let routes = self
            .streams
            .get(&stream)
            .map(|queue| queue.routes.clone())?;
        let mut filters = Vec::new();
        for key in routes {
            let Some(route) = self.routes.get_mut(key) else {
                continue;
            };
            // If a clone has begun to leave already, asking again does no harm, and gives each of
            // them its answer.
            if route.streams.as_slice() == [stream] {
                route.leaving = true;
                filters.push(route.subscription.filter.clone());
            } else {
                self.detach(stream, key, || StreamEnd::Unsubscribed);
            }
        }
        if filters.is_empty() {
            return None;
        }
        let slot = self.unsubscribed.insert();
        let operation = UnsubscribeOperation {
            filters,
            stream: Some(stream),
            slot: Some(slot),
        };
        self.retries.push_back(Request::Unsubscribe(operation));
        Some(slot)
    }

    /// Hands the request back if it has to wait.
    pub(super) fn send_unsubscribe(
        &mut self,
        mut operation: UnsubscribeOperation,
    ) -> Option<Request> {
        if let Some(reason) = self.closed.clone() {
            self.finish_unsubscribe(&operation, Err(UnsubscribeError::Closed(reason)));
            return None;
        }
        // Somebody may have subscribed to it since: then it is to stay.
        let routes = &self.routes;
        operation.filters.retain(|filter| {
            let route = routes.find(filter).and_then(|key| routes.get(key));
            route.is_none_or(|route| route.leaving)
        });
        if operation.filters.is_empty() {
            self.finish_unsubscribe(&operation, Ok(()));
            return None;
        }
        let filters = operation.filters.clone();
        match self.session.unsubscribe(UnsubscribeRequest {
            filters,
            user_properties: Vec::new(),
        }) {
            Ok(id) => {
                for filter in &operation.filters {
                    self.routes.leave(filter.clone());
                }
                self.requests
                    .insert(id.get(), Request::Unsubscribe(operation));
                None
            }
            Err(refused) if is_passing(refused.rule) => Some(Request::Unsubscribe(operation)),
            Err(refused) => {
                let error = UnsubscribeError::NotAccepted(refused.rule);
                self.finish_unsubscribe(&operation, Err(error));
                None
            }
        }
    }

    pub(crate) fn handle_unsubscribed(
        &mut self,
        operation: OperationId,
        verdict: &RequestVerdict<UnsubackReasonCode>,
    ) {
        let Some(Request::Unsubscribe(operation)) = self.requests.remove(&operation.get()) else {
            return;
        };
        self.room.wake_first(&mut self.wakeups);
        let result = match verdict {
            RequestVerdict::Answered { reason_codes, .. } => {
                let error = reason_codes.iter().find(|code| code.is_error());
                error.map_or(Ok(()), |code| Err(UnsubscribeError::Refused(*code)))
            }
            RequestVerdict::MalformedAnswer => Err(UnsubscribeError::MalformedAnswer),
            RequestVerdict::Rejected { rule } => Err(UnsubscribeError::NotAccepted(*rule)),
            // A resumed session has it still; in a new one it does no harm to ask again.
            _ => {
                self.retries.push_back(Request::Unsubscribe(operation));
                return;
            }
        };
        self.finish_unsubscribe(&operation, result);
    }

    fn finish_unsubscribe(
        &mut self,
        operation: &UnsubscribeOperation,
        result: Result<(), UnsubscribeError>,
    ) {
        if let Some(stream) = operation.stream {
            let routes = self.streams.get(&stream).map(|queue| queue.routes.clone());
            for key in routes.unwrap_or_default() {
                self.detach(stream, key, || StreamEnd::Unsubscribed);
                let unused = |route: &Route| route.streams.is_empty() && route.pending == 0;
                if self.routes.get(key).is_some_and(unused) {
                    self.routes.remove(key);
                }
            }
        }
        if let Some(slot) = operation.slot {
            let _ = self.unsubscribed.resolve(slot, result, &mut self.wakeups);
        }
    }
}
