//! What happened in a run, or in many: so that it can be seen that every behaviour was exercised.

use std::fmt;

use crate::judge::Told;

macro_rules! tally {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of what happened. All but the largest values add up over runs.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Tally {
            $($(#[$doc])* pub $name: u64,)*
            /// Messages that streams gave out, by QoS.
            pub delivered: [u64; 3],
            /// The most messages of QoS 1 and 2 that one client had in flight.
            pub most_in_flight: usize,
        }

        impl Tally {
            /// Adds another run.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
                for (mine, others) in self.delivered.iter_mut().zip(other.delivered) {
                    *mine += others;
                }
                self.most_in_flight = self.most_in_flight.max(other.most_in_flight);
            }

            /// Every counter and its name.
            #[must_use]
            pub fn counters(&self) -> Vec<(&'static str, u64)> {
                vec![
                    $((stringify!($name), self.$name),)*
                    ("delivered_qos0", self.delivered[0]),
                    ("delivered_qos1", self.delivered[1]),
                    ("delivered_qos2", self.delivered[2]),
                ]
            }
        }
    };
}

tally! {
    /// Runs.
    runs,
    /// Steps of all kinds.
    steps,
    /// Publishes that were awaited.
    published_awaited,
    /// Publishes by `enqueue`.
    published_enqueued,
    /// Publishes by `try_enqueue`.
    published_tried,
    /// Publishes with a permit.
    published_permitted,
    /// Publishes at QoS 0.
    published_qos0,
    /// Publishes at QoS 1.
    published_qos1,
    /// Publishes at QoS 2.
    published_qos2,
    /// Publishes of 4 KiB and more.
    published_large,
    /// Publishes that were not accepted.
    not_accepted,
    /// Permits that were asked for.
    reserved,
    /// Subscribes that were awaited.
    subscribed,
    /// Subscribes without waiting.
    declared,
    /// Unsubscribes.
    unsubscribed,
    /// Messages acknowledged by asking for the next.
    acknowledged_by_next,
    /// Messages acknowledged by name.
    acknowledged,
    /// Messages refused with a reason code.
    rejected,
    /// Acknowledgements that came too late to have an effect.
    acknowledged_in_vain,
    /// Futures that were dropped.
    dropped_futures,
    /// Completions that were dropped.
    dropped_completions,
    /// Permits that were dropped unused.
    dropped_permits,
    /// Handles of streams that were dropped.
    dropped_streams,
    /// Handles of streams that were cloned.
    cloned_streams,
    /// Disconnects.
    disconnected,
    /// Clients that were ended by dropping all of their handles.
    dropped_clients,
    /// Processes that were killed: driver and handles dropped.
    restarted,
    /// Clients that ended for good by what the server said.
    ended_by_server,
    /// Links that were opened.
    links,
    /// Connections that the server accepted.
    connections,
    /// Connections that resumed a session.
    sessions_resumed,
    /// Sessions that began anew.
    sessions_lost,
    /// Clients that could not know that their session was new, and were not judged from then on.
    deceived,
    /// CONNECTs with Clean Start 1.
    clean_starts,
    /// Packets by clients.
    packets_up,
    /// Packets to clients.
    packets_down,
    /// PINGREQs.
    pings,
    /// PUBLISHes by clients with DUP.
    resent,
    /// PUBLISHes to clients of exchanges that were open.
    repeated,
    /// Acknowledgements to clients with a failure.
    refusals,
    /// Messages that a stream gave out again after a consumer had gone.
    given_back,
    /// Messages of a server beyond the Receive Maximum of a client.
    excess,
    /// Links that were cut at once.
    cut_now,
    /// Links that were cut after a number of bytes.
    cut_later,
    /// Links that broke for writing alone.
    broken_pipes,
    /// Links on which nothing moved any more.
    stalled,
    /// Stalled links that keep alive, or the wait for CONNACK, ended.
    stalls_ended,
    /// Attempts to connect that were refused.
    refused_dials,
    /// Attempts to connect that got no answer.
    hung_dials,
    /// Times that links moved bytes in pieces of one.
    single_bytes,
    /// Times that a client's transport took nothing.
    closed_windows,
    /// DISCONNECTs by the broker.
    server_disconnects,
    /// Connections that the broker closed without a word.
    server_closes,
    /// CONNECTs that the broker refused.
    refused_connects,
    /// Sessions that the broker forgot.
    forgotten_sessions,
    /// Changes of what the broker offers.
    reconfigured,
    /// Messages that the broker published.
    server_messages,
    /// Answers of the broker that overtook others.
    reordered,
    /// Answers of the broker that came late.
    delayed,
    /// Packets of the broker in a form that is odd and legal.
    odd_forms,
    /// Messages that the broker sent twice on one connection.
    duplicated,
    /// Rules that a hostile broker broke.
    hostilities,
    /// Connections that ended by a fault in a header.
    faults_answered,
    /// Those of them that told the server its reason code.
    faults_named,
    /// Verdicts: sent.
    verdict_sent,
    /// Verdicts: acknowledged.
    verdict_acknowledged,
    /// Verdicts: refused.
    verdict_refused,
    /// Verdicts: rejected.
    verdict_rejected,
    /// Verdicts: expired.
    verdict_expired,
    /// Verdicts: never sent.
    verdict_never_sent,
    /// Verdicts: unknown.
    verdict_unknown,
    /// Verdicts of operations whose completion was dropped.
    unobserved,
    /// Subscribes that succeeded.
    subscribe_granted,
    /// Subscribes that failed.
    subscribe_failed,
    /// Unsubscribes that succeeded.
    unsubscribe_confirmed,
    /// Unsubscribes that failed.
    unsubscribe_failed,
    /// Streams that ended.
    streams_ended,
    /// Disconnects that reached the transport.
    disconnect_sent,
    /// Disconnects that did not.
    disconnect_failed,
}

impl Tally {
    pub(crate) const fn verdict(&mut self, told: &Told) {
        *match told {
            Told::Sent => &mut self.verdict_sent,
            Told::Acknowledged(..) => &mut self.verdict_acknowledged,
            Told::Refused(_) => &mut self.verdict_refused,
            Told::Rejected(..) => &mut self.verdict_rejected,
            Told::Expired(_) => &mut self.verdict_expired,
            Told::NeverSent(_) => &mut self.verdict_never_sent,
            Told::Unknown(_) => &mut self.verdict_unknown,
        } += 1;
    }

    /// What the application did: publishes, permits, subscribes, unsubscribes, acknowledgements,
    /// drops, clones and ends of clients. Nothing that the link or the broker did.
    #[must_use]
    pub const fn operations(&self) -> u64 {
        self.published_awaited
            + self.published_enqueued
            + self.published_tried
            + self.published_permitted
            + self.reserved
            + self.subscribed
            + self.declared
            + self.unsubscribed
            + self.acknowledged_by_next
            + self.acknowledged
            + self.rejected
            + self.dropped_futures
            + self.dropped_completions
            + self.dropped_permits
            + self.dropped_streams
            + self.cloned_streams
            + self.disconnected
            + self.dropped_clients
            + self.restarted
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>14} operations", self.operations())?;
        for (name, count) in self.counters() {
            writeln!(f, "{count:>14} {}", name.replace('_', " "))?;
        }
        write!(f, "{:>14} most in flight", self.most_in_flight)
    }
}
