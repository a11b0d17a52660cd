//! Message Expiry Intervals (section 3.3.2.3.3).

use std::time::Duration;

use mqtt5_client::proto::Instant;

use super::{Connection, Judged, broken};
use crate::wire::{Property, Publish};

/// Whether a PUBLISH says no more than what is left of the interval.
pub(super) fn check_interval(publish: &Publish<'_>, made: Option<u32>, number: u32) -> Judged {
    let left = publish.properties.number(Property::MessageExpiryInterval);
    let fits = match (made, left) {
        (None, None) => true,
        (Some(made), Some(left)) => left <= made && (left > 0 || made == 0),
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        broken(
            "the expiry is what is left of it",
            format_args!("message {number}: {left:?}"),
        )
    }
}

/// A message that has expired does not begin to leave, unless it was on its way already: behind what
/// the transport did not take.
pub(super) fn check_lifetime(
    accepted: Instant,
    expiry: Option<u32>,
    connection: &Connection,
    now: Instant,
) -> Judged {
    let Some(expiry) = expiry else { return Ok(()) };
    let expires = accepted + Duration::from_secs(expiry.into());
    if now < expires || connection.blocked.is_some_and(|blocked| blocked >= expires) {
        return Ok(());
    }
    broken(
        "an expired message is not sent",
        format_args!("{:?} late", now.saturating_since(expires)),
    )
}
