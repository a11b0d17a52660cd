//! The words of the cases, and what they are to the core.

use std::collections::HashMap;
use std::num::NonZeroU16;

use mqtt5_conformance::Arguments;
use mqtt5_proto::codec::MaximumPacketSize;
use mqtt5_proto::packet::{Authentication, ReasonCode, Subscription, SubscriptionIdentifier};
use mqtt5_proto::session::{
    Event, OperationId, PublishVerdict, RequestVerdict, SessionConfig, SubscribeRequest,
    UnsubscribeRequest,
};

use crate::words::{
    acknowledged, data, ended, filters, is_set, narrow, qos, retain_handling, text, will,
};

pub(crate) fn config(arguments: &Arguments) -> Option<SessionConfig> {
    let mut config = SessionConfig {
        client_id: text(arguments.get("client_id")?)?,
        keep_alive: narrow(arguments.number("keep_alive"))?,
        session_expiry_interval: narrow(arguments.number("session_expiry"))?,
        session_may_exist: arguments.number("clean_start") == Some(0),
        user_name: arguments.get("user_name").and_then(text),
        password: arguments.bytes("password").and_then(data),
        topic_alias_maximum: narrow(arguments.number("topic_alias_maximum")).unwrap_or(0),
        request_problem_information: arguments.number("request_problem_information") != Some(0),
        request_response_information: is_set(arguments, "request_response_information"),
        ..SessionConfig::default()
    };
    if let Some(maximum) = arguments.number("receive_maximum") {
        config.receive_maximum = NonZeroU16::new(u16::try_from(maximum).ok()?)?;
    }
    if let Some(maximum) = arguments.number("maximum_packet_size") {
        config.maximum_packet_size = MaximumPacketSize::new(u32::try_from(maximum).ok()?)?;
    }
    config.will = will(arguments)?.map(Box::new);
    if let Some(method) = arguments.get("authentication_method") {
        config.authentication = Some(Authentication {
            method: text(method)?,
            data: arguments.bytes("authentication_data").and_then(data),
        });
    }
    Some(config)
}

pub(crate) fn subscribe_request(arguments: &Arguments) -> Option<SubscribeRequest> {
    let mut request = SubscribeRequest::default();
    for filter in filters(arguments)? {
        let mut subscription = Subscription::new(filter);
        subscription.maximum_qos = qos(arguments, "qos")?;
        subscription.retain_as_published = is_set(arguments, "retain_as_published");
        subscription.retain_handling = retain_handling(arguments);
        subscription
            .set_no_local(is_set(arguments, "no_local"))
            .ok()?;
        request.subscriptions.push(subscription);
    }
    if let Some(identifier) = arguments.number("identifier") {
        let identifier = SubscriptionIdentifier::new(u32::try_from(identifier).ok()?)?;
        request.subscription_identifier = Some(identifier);
    }
    Some(request)
}

pub(crate) fn unsubscribe_request(arguments: &Arguments) -> Option<UnsubscribeRequest> {
    Some(UnsubscribeRequest {
        filters: filters(arguments)?,
        ..UnsubscribeRequest::default()
    })
}

/// What the event says of an operation or of the connection.
pub(crate) fn verdict(
    event: &Event,
    operations: &HashMap<OperationId, String>,
) -> Option<(String, String)> {
    let named = |operation: &OperationId| operations[operation].clone();
    Some(match event {
        Event::Published { operation, verdict } => (named(operation), published(verdict)),
        Event::Subscribed { operation, verdict } => (named(operation), requested(verdict)),
        Event::Unsubscribed { operation, verdict } => (named(operation), requested(verdict)),
        Event::Connected(connected) => {
            let present = u8::from(connected.session_present);
            (
                "connection".to_owned(),
                format!("accepted session={present}"),
            )
        }
        Event::Disconnected(end) => ("connection".to_owned(), ended(&end.reason)),
        Event::Reauthenticated(_) => ("connection".to_owned(), "reauthenticated".to_owned()),
        _ => return None,
    })
}

fn published(verdict: &PublishVerdict) -> String {
    match verdict {
        PublishVerdict::Sent => "sent".to_owned(),
        PublishVerdict::Acknowledged(ack) => acknowledged(ack),
        PublishVerdict::Refused(ack) => format!("refused 0x{:02X}", ack.reason_code.raw()),
        PublishVerdict::Rejected { .. } => "rejected".to_owned(),
        PublishVerdict::Expired { .. } | PublishVerdict::NeverSent { .. } => "not-sent".to_owned(),
        PublishVerdict::Unknown { .. } => "unknown".to_owned(),
        other => panic!("{other:?} has no word"),
    }
}

fn requested<R: ReasonCode>(verdict: &RequestVerdict<R>) -> String {
    match verdict {
        RequestVerdict::Answered { reason_codes, .. } => {
            let codes = reason_codes
                .iter()
                .map(|code| format!(" 0x{:02X}", code.raw()));
            codes.fold("answered".to_owned(), |words, code| words + &code)
        }
        RequestVerdict::MalformedAnswer => "malformed-answer".to_owned(),
        RequestVerdict::Rejected { .. } => "rejected".to_owned(),
        RequestVerdict::NeverSent => "not-sent".to_owned(),
        RequestVerdict::Unknown => "unknown".to_owned(),
        _ => panic!("a verdict without a word"),
    }
}
