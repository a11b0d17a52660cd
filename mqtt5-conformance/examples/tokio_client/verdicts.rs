//! What the client tells, in the words of the cases.

use mqtt5_tokio::{
    ConnectionState, Failure, Messages, PublishError, Published, StateChanges, SubscribeError,
};

use crate::words;

pub(crate) fn published(result: &Result<Published, PublishError>) -> String {
    match result {
        Ok(Published::Sent) => "sent".to_owned(),
        Ok(Published::Acknowledged(ack)) => words::acknowledged(ack),
        Ok(_) | Err(PublishError::Unknown { .. }) => "unknown".to_owned(),
        Err(PublishError::Refused(ack)) => format!("refused 0x{:02X}", ack.reason_code.raw()),
        Err(PublishError::Rejected { .. }) => "rejected".to_owned(),
        Err(_) => "not-sent".to_owned(),
    }
}

pub(crate) fn subscribed(result: &Result<Messages, SubscribeError>) -> String {
    match result {
        Ok(messages) => {
            let codes = messages
                .grants()
                .into_iter()
                .map(|grant| match grant.result {
                    Some(Ok(qos)) => qos as u8,
                    Some(Err(code)) => code.raw(),
                    None => 0xFF,
                });
            codes.fold("answered".to_owned(), |words, code| {
                format!("{words} 0x{code:02X}")
            })
        }
        Err(SubscribeError::Refused { reason_code, .. }) => {
            format!("answered 0x{:02X}", reason_code.raw())
        }
        Err(SubscribeError::MalformedAnswer) => "malformed-answer".to_owned(),
        Err(_) => "unknown".to_owned(),
    }
}

/// Tells what becomes of the connection, until the client is closed.
pub(crate) async fn tell_states(mut states: StateChanges) {
    while let Some(state) = states.changed().await {
        match state {
            ConnectionState::Connected(info) => {
                let session = u8::from(info.session_present);
                println!("verdict connection accepted session={session}");
                println!("connected");
            }
            ConnectionState::Waiting { cause, .. } => tell_end(Some(&cause)),
            ConnectionState::Closed(reason) => tell_end(reason.failure()),
            _ => {}
        }
    }
}

fn tell_end(failure: Option<&Failure>) {
    let reason = failure.and_then(Failure::end_reason);
    let words = reason.map_or_else(|| "closed".to_owned(), words::ended);
    println!("verdict connection {words}");
}
