//! What the client has to do in time: to speak before its Keep Alive is over (`3.1.2-20`), to give
//! up a dead link, to leave a server that sends too much.

use std::time::Duration;

use mqtt5_client::proto::Instant;

use super::{Judge, Judged, broken};

impl Judge {
    /// Time has come to `now` with nothing sent.
    pub(super) fn check_silence(&self, now: Instant) -> Judged {
        let Some(connection) = &self.connection else {
            return Ok(());
        };
        let Some(limits) = connection
            .limits
            .as_ref()
            .filter(|_| connection.is_connected())
        else {
            return Ok(());
        };
        let silent = now.saturating_since(connection.last_sent);
        if limits.keep_alive == 0 || silent <= Duration::from_secs(limits.keep_alive.into()) {
            return Ok(());
        }
        broken(
            "keep alive is kept",
            format_args!("silent for {silent:?} of {} s", limits.keep_alive),
        )
    }

    /// Time has passed while the transport took bytes.
    pub(crate) fn time_passed(&self, now: Instant) -> Judged {
        self.check_window()?;
        self.check_silence(now)
    }

    /// A server that sends more than our Receive Maximum is left (`3.3.4-9`). All that could be
    /// answered by now is.
    fn check_window(&self) -> Judged {
        let strict = self.asked.gives_up && !self.asked.pauses_reading;
        let connection = self.connection.as_ref().filter(|it| it.is_connected());
        let owed = connection.map_or(0, |connection| connection.owed.len());
        // Twice: after a resumption, a server that counts packets may send more.
        if strict && owed > 2 * usize::from(self.asked.receive_maximum) {
            return broken(
                "a server that exceeds the Receive Maximum is left",
                format_args!("{owed} of {}", self.asked.receive_maximum),
            );
        }
        Ok(())
    }

    /// Time has passed while the transport took none: that is no silence of the client.
    pub(crate) fn was_blocked(&mut self, now: Instant) {
        if let Some(connection) = &mut self.connection {
            connection.last_sent = now;
            connection.blocked = Some(now);
        }
    }

    /// Until when the client may hold on to a link on which nothing moves since `stalled`; `None`
    /// for ever.
    pub(crate) fn patience(&self, stalled: Instant) -> Option<Instant> {
        let connection = self.connection.as_ref()?;
        let since = connection.last_wrote.max(stalled);
        let keep_alive = match &connection.limits {
            Some(limits) => limits.keep_alive,
            // The wait for the CONNACK has a bound of its own.
            None => return Some(since + Duration::from_secs(11)),
        };
        let answer = keep_alive.max(self.asked.ping_timeout);
        // Less than once for the ping to come, and three times for bytes that still arrived.
        let seconds = u64::from(keep_alive) + 3 * u64::from(answer) + 3;
        (keep_alive > 0 && !self.asked.pauses_reading).then(|| since + Duration::from_secs(seconds))
    }
}
