//! The words of the cases for what both of this project's clients take and tell.

use mqtt5_conformance::Arguments;
use mqtt5_conformance::bytes as value_bytes;
use mqtt5_proto::codec::{BinaryData, Utf8String};
use mqtt5_proto::packet::{
    ApplicationMessage, PayloadFormatIndicator, ReasonCode, RetainHandling, UserProperty, Will,
};
use mqtt5_proto::session::{Acknowledgement, EndReason, Message};
use mqtt5_proto::{QoS, Topic, TopicFilter};

pub(crate) fn text(value: &str) -> Option<Utf8String> {
    let bytes = value_bytes(value)?;
    Utf8String::new(std::str::from_utf8(&bytes).ok()?).ok()
}

fn topic(value: &str) -> Option<Topic> {
    let bytes = value_bytes(value)?;
    Topic::new(std::str::from_utf8(&bytes).ok()?).ok()
}

/// All of the filters; `None` if one of them is none.
pub(crate) fn filters(arguments: &Arguments) -> Option<Vec<TopicFilter>> {
    let filter = |value| {
        let bytes = value_bytes(value)?;
        TopicFilter::new(std::str::from_utf8(&bytes).ok()?).ok()
    };
    arguments.all("filter").map(filter).collect()
}

pub(crate) fn data(bytes: Vec<u8>) -> Option<BinaryData> {
    BinaryData::try_from(bytes).ok()
}

pub(crate) fn narrow<T: TryFrom<u64>>(value: Option<u64>) -> Option<T> {
    value.and_then(|value| T::try_from(value).ok())
}

pub(crate) fn qos(arguments: &Arguments, key: &str) -> Option<QoS> {
    let qos = arguments.number(key).unwrap_or(0);
    QoS::from_raw(u8::try_from(qos).ok()?)
}

pub(crate) fn is_set(arguments: &Arguments, key: &str) -> bool {
    arguments.number(key) == Some(1)
}

pub(crate) fn retain_handling(arguments: &Arguments) -> RetainHandling {
    match arguments.number("retain_handling") {
        Some(1) => RetainHandling::SendIfNew,
        Some(2) => RetainHandling::DoNotSend,
        _ => RetainHandling::SendAtSubscribe,
    }
}

/// The Will, if there is to be one; `None` if it is invalid.
pub(crate) fn will(arguments: &Arguments) -> Option<Option<Will>> {
    let Some(name) = arguments.get("will_topic") else {
        return Some(None);
    };
    let payload = data(arguments.bytes("will_payload").unwrap_or_default())?;
    let mut will = Will::new(topic(name)?, payload);
    will.qos = qos(arguments, "will_qos")?;
    will.retain = is_set(arguments, "will_retain");
    will.delay_interval = narrow(arguments.number("will_delay")).unwrap_or(0);
    Some(Some(will))
}

pub(crate) fn application_message(arguments: &Arguments) -> Option<ApplicationMessage> {
    let payload = arguments.bytes("payload").unwrap_or_default();
    let mut message = ApplicationMessage::new(topic(arguments.get("topic")?)?, payload)
        .with_qos(qos(arguments, "qos")?)
        .with_retain(is_set(arguments, "retain"));
    if let Some(expiry) = arguments.number("message_expiry") {
        message.properties_mut().message_expiry_interval = Some(u32::try_from(expiry).ok()?);
    }
    if arguments.number("payload_format") == Some(1) {
        let utf8 = PayloadFormatIndicator::Utf8;
        message.properties_mut().payload_format_indicator = Some(utf8);
    }
    if let Some(value) = arguments.get("content_type") {
        message.properties_mut().content_type = Some(text(value)?);
    }
    if let Some(value) = arguments.get("response_topic") {
        message.properties_mut().response_topic = Some(topic(value)?);
    }
    if let Some(value) = arguments.bytes("correlation_data") {
        message.properties_mut().correlation_data = Some(data(value)?);
    }
    if arguments.get("user_property").is_some() {
        message.properties_mut().user_properties = user_properties(arguments)?;
    }
    Some(message)
}

pub(crate) fn user_properties(arguments: &Arguments) -> Option<Vec<UserProperty>> {
    let property = |pair: &str| {
        let (name, value) = pair.split_once(':')?;
        UserProperty::new(name, value).ok()
    };
    arguments.all("user_property").map(property).collect()
}

/// The reason code of the arguments, if there is such a one.
pub(crate) fn reason<R: ReasonCode>(arguments: &Arguments, default: R) -> Option<R> {
    match arguments.number("reason") {
        None => Some(default),
        Some(code) => R::from_raw(u8::try_from(code).ok()?),
    }
}

pub(crate) fn message(message: &Message) -> Arguments {
    let properties = message.properties();
    let mut told = Arguments::default();
    told.add("topic", message.topic().as_bytes());
    told.add("qos", format!("{}", message.qos() as u8).as_bytes());
    told.add(
        "retain",
        format!("{}", u8::from(message.retain())).as_bytes(),
    );
    told.add("payload", message.payload());
    if let Some(format) = properties.payload_format_indicator() {
        told.add("payload_format", format!("{}", format as u8).as_bytes());
    }
    if let Some(expiry) = properties.message_expiry_interval() {
        told.add("message_expiry", expiry.to_string().as_bytes());
    }
    if let Some(text) = properties.content_type() {
        told.add("content_type", text.as_bytes());
    }
    if let Some(topic) = properties.response_topic() {
        told.add("response_topic", topic.as_bytes());
    }
    if let Some(data) = properties.correlation_data() {
        told.add("correlation_data", data);
    }
    for (name, value) in properties.user_properties() {
        told.add("user_property", format!("{name}:{value}").as_bytes());
    }
    told
}

/// A success, with the code of the PUBCOMP if there was one.
pub(crate) fn acknowledged(ack: &Acknowledgement) -> String {
    match ack.completion {
        Some(completion) => format!(
            "acknowledged 0x{:02X} 0x{:02X}",
            ack.reason_code.raw(),
            completion.raw()
        ),
        None => format!("acknowledged 0x{:02X}", ack.reason_code.raw()),
    }
}

/// Why a connection ended.
pub(crate) fn ended(reason: &EndReason) -> String {
    match reason {
        EndReason::Refused { reason_code, .. } => format!("refused 0x{:02X}", reason_code.raw()),
        EndReason::ServerSpeaksV3 { return_code } => format!("refused 0x{return_code:02X}"),
        EndReason::ServerDisconnected { reason_code, .. } => {
            format!("disconnected 0x{:02X}", reason_code.raw())
        }
        EndReason::Violation(error) => format!("violation 0x{:02X}", error.reason_code()),
        _ => "closed".to_owned(),
    }
}
