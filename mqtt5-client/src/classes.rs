//! What the end of a connection means for the next one: one table, without state.

use mqtt5_proto::session::EndReason;

/// What to do after a connection ended, or was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndClass {
    /// Try again after a delay.
    Retry,
    /// Try again, but what is in the session may cause the same end again: the loop guard counts.
    RetryGuarded,
    /// Another server is to be used, this time or for good.
    Elsewhere {
        /// For good.
        permanent: bool,
    },
    /// No use until the user changes something.
    Final,
}

use EndClass::{Elsewhere, Final, Retry, RetryGuarded};

/// By the reason code of a CONNACK.
pub(crate) const fn of_connack(code: u8) -> EndClass {
    match code {
        0x81 | 0x82 | 0x84..=0x87 | 0x8A | 0x8C | 0x90 | 0x95 | 0x99..=0x9B => Final,
        0x9C => Elsewhere { permanent: false },
        0x9D => Elsewhere { permanent: true },
        // 80, 83, 88, 89, 97, 9F, and what no table lists.
        0x80.. => Retry,
        _ => Final,
    }
}

/// By the reason code of the server's DISCONNECT.
pub(crate) const fn of_disconnect(code: u8) -> EndClass {
    match code {
        0x87 | 0x8C | 0x8E => Final,
        0x81 | 0x82 | 0x8F | 0x90 | 0x93..=0x95 | 0x99..=0x9B | 0x9E | 0xA1 | 0xA2 => RetryGuarded,
        0x9C => Elsewhere { permanent: false },
        0x9D => Elsewhere { permanent: true },
        // 00, 80, 83, 89, 8B, 8D, 96 to 98, 9F, A0, and what no table lists.
        _ => Retry,
    }
}

/// Whether the table for CONNACK lists the code.
const fn connack_lists(code: u8) -> bool {
    matches!(
        code,
        0x80..=0x8A | 0x8C | 0x90 | 0x95 | 0x97 | 0x99..=0x9D | 0x9F
    )
}

/// By all that is known.
pub(crate) fn of_end(reason: &EndReason, was_connected: bool) -> EndClass {
    match reason {
        EndReason::Refused { reason_code, .. } => of_connack(reason_code.raw()),
        // Illegal before a CONNACK, but some servers say it so.
        EndReason::ServerDisconnected { reason_code, .. }
            if !was_connected && connack_lists(reason_code.raw()) =>
        {
            of_connack(reason_code.raw())
        }
        EndReason::ServerDisconnected { reason_code, .. } => of_disconnect(reason_code.raw()),
        EndReason::Requested
        | EndReason::ServerSpeaksV3 { .. }
        | EndReason::PacketSizeUnusable { .. } => Final,
        EndReason::Violation(_) => RetryGuarded,
        // TransportClosed, KeepAliveTimeout, ConnectTimeout, UnexpectedSessionPresent (the session
        // starts clean the next time), and what may be added.
        _ => Retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTABLED: EndClass = Retry;

    #[test]
    fn connack_codes() {
        for code in 0..=0xFFu8 {
            let expected = match code {
                0x80 | 0x83 | 0x88 | 0x89 | 0x97 | 0x9F => Retry,
                0x9C => Elsewhere { permanent: false },
                0x9D => Elsewhere { permanent: true },
                0x81 | 0x82 | 0x84 | 0x85 | 0x86 | 0x87 | 0x8A | 0x8C | 0x90 | 0x95 | 0x99
                | 0x9A | 0x9B => Final,
                untabled if untabled >= 0x80 => Retry,
                _ => Final,
            };
            assert_eq!(of_connack(code), expected, "{code:#04x}");
        }
    }

    #[test]
    fn disconnect_codes() {
        for code in 0..=0xFFu8 {
            let expected = match code {
                0x00 | 0x80 | 0x83 | 0x89 | 0x8B | 0x8D | 0x96 | 0x97 | 0x98 | 0x9F | 0xA0 => Retry,
                0x81 | 0x82 | 0x8F | 0x90 | 0x93 | 0x94 | 0x95 | 0x99 | 0x9A | 0x9B | 0x9E
                | 0xA1 | 0xA2 => RetryGuarded,
                0x9C => Elsewhere { permanent: false },
                0x9D => Elsewhere { permanent: true },
                0x87 | 0x8C | 0x8E => Final,
                _ => UNTABLED,
            };
            assert_eq!(of_disconnect(code), expected, "{code:#04x}");
        }
    }

    fn disconnected(raw: u8) -> EndReason {
        use mqtt5_proto::packet::{DisconnectReasonCode, ReasonCode, Received};
        let code = DisconnectReasonCode::from_raw(raw);
        EndReason::ServerDisconnected {
            reason_code: code.map_or(Received::Untabled(raw), Received::Tabled),
            properties: Box::default(),
        }
    }

    #[test]
    fn a_disconnect_before_the_connack_is_a_refusal_if_a_refusal_could_say_it() {
        assert_eq!(of_end(&disconnected(0x86), false), Final);
        assert_eq!(of_end(&disconnected(0x8E), false), Final);
        assert_eq!(of_end(&disconnected(0x82), false), Final);
        assert_eq!(of_end(&disconnected(0x82), true), RetryGuarded);
        assert_eq!(of_end(&disconnected(0x8B), false), Retry);
    }

    #[test]
    fn ends_without_a_code() {
        assert_eq!(of_end(&EndReason::TransportClosed, true), Retry);
        assert_eq!(of_end(&EndReason::KeepAliveTimeout, true), Retry);
        assert_eq!(of_end(&EndReason::ConnectTimeout, false), Retry);
        assert_eq!(of_end(&EndReason::UnexpectedSessionPresent, true), Retry);
        assert_eq!(
            of_end(&EndReason::ServerSpeaksV3 { return_code: 1 }, false),
            Final
        );
        assert_eq!(
            of_end(&EndReason::PacketSizeUnusable { limit: 3 }, true),
            Final
        );
    }
}
