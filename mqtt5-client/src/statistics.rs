/// Counters since the client was made. None of them ever goes down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Connections that the server accepted.
    pub connections: u64,
    /// Connections on which the server had lost the session.
    pub sessions_lost: u64,
    /// Messages that came in, before routing.
    pub messages_received: u64,
    /// Messages of QoS 0 dropped because a stream's queue was full, once per stream.
    pub qos0_dropped: u64,
    /// Messages that no stream claimed and that were discarded; those of QoS 1 and 2 were
    /// acknowledged.
    pub unclaimed_discarded: u64,
    /// Messages refused on behalf of a stalled stream
    /// ([`StallPolicy::Refuse`](crate::StallPolicy)).
    pub stalled_refused: u64,
    /// Messages of QoS 1 and 2 given up, once per stream, because their stream held twice the
    /// Receive Maximum: their sessions were lost, or the server has ended their exchanges, before a
    /// consumer was done with them. One that the server still waits for is refused.
    pub stale_dropped: u64,
    /// Operations accepted.
    pub publishes_accepted: u64,
    /// Messages of QoS 0 that the transport took, and messages of QoS 1 and 2 that the server took.
    pub publishes_succeeded: u64,
    /// All other verdicts of publishes.
    pub publishes_failed: u64,
    /// Verdicts of publishes whose completion was dropped.
    pub verdicts_unobserved: u64,
}
