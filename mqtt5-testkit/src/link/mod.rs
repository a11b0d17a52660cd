//! A link that fails on demand: a proxy in front of any TCP server.

mod connection;
mod counters;
mod plan;
mod random;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time;

pub use counters::LinkCounters;
pub use plan::LinkPlan;
pub use random::RandomPlans;

use crate::Direction;
use crate::unmet::{PATIENCE, Unmet};
use connection::Line;
use plan::Ending;

/// A link between clients and a server that fails on demand: a proxy on a free port of 127.0.0.1,
/// blind to what the bytes mean.
///
/// Clients connect to [`address`](Self::address), and for each connection the link makes one to the
/// server. What happens to it is told by a [`LinkPlan`], from a [`script`](Self::script) with one
/// plan for each connection; without a script all goes well. An end in order and a failure of one
/// side are passed on as such.
///
/// Dropping it, or [`shutdown`](Self::shutdown), ends all of its tasks and connections.
#[derive(Debug)]
pub struct FaultyLink {
    shared: Arc<Shared>,
    address: SocketAddr,
    tasks: JoinSet<()>,
}

impl FaultyLink {
    /// A link to `server`, with nothing wrong yet.
    ///
    /// # Errors
    /// If the system has no port left.
    pub async fn to(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                accepting: true,
                script: Box::new(std::iter::empty()),
                plans_used: 0,
                lines: BTreeMap::new(),
                watch: Watch::default(),
            }),
            changed: watch::Sender::new(()),
        });
        // With one task in it: a set ends its tasks when it is dropped.
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, Arc::clone(&shared)));
        Ok(Self {
            shared,
            address,
            tasks,
        })
    }

    /// Address and port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// `mqtt://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    /// The plans for the connections to come, one for each, in place of those that were not used.
    /// When there are no more, all goes well.
    ///
    /// They are asked for as connections come, so that there may be infinitely many
    /// ([`RandomPlans`]); the iterator must not use this object.
    pub fn script<P>(&self, plans: P)
    where
        P: IntoIterator<Item = LinkPlan>,
        P::IntoIter: fmt::Debug + Send + 'static,
    {
        let plans = Box::new(plans.into_iter());
        self.shared.with(|state| state.script = plans);
    }

    /// As [`script`](Self::script), but the first plan is for the connection that is there, the
    /// newest of them, in place of its own, and counts its bytes from now on. If there is none, the
    /// first is for the next connection. `[LinkPlan::sound()]` puts everything right.
    pub fn script_now<P>(&self, plans: P)
    where
        P: IntoIterator<Item = LinkPlan>,
        P::IntoIter: fmt::Debug + Send + 'static,
    {
        let mut plans = Box::new(plans.into_iter());
        self.shared.with(|state| {
            let mut newest = state.lines.values_mut().rev();
            let newest = newest.find(|line| !line.has_ended());
            if let Some(line) = newest
                && let Some(plan) = plans.next()
            {
                line.change(|line| line.plan(plan, &mut state.watch.counters));
            }
            state.script = plans;
        });
    }

    /// Whether new connections are let through, as they are at first. If not, each is reset at once,
    /// and no plan is used up.
    pub fn accept_connections(&self, accept: bool) {
        self.shared.with(|state| state.accepting = accept);
    }

    /// Resets all connections now, towards both sides, whatever their plans say.
    pub fn reset_connections(&self) {
        self.end_all(Ending::Reset);
    }

    /// Closes all connections in order now, towards both sides, whatever their plans say.
    pub fn close_connections(&self) {
        self.end_all(Ending::Close);
    }

    fn end_all(&self, ending: Ending) {
        self.shared.with(|state| {
            for line in state.lines.values_mut() {
                if !line.has_ended() {
                    state.watch.counters.count_ending(ending);
                }
                line.change(|line| line.cut(ending));
            }
        });
    }

    /// Lets everything go on that is stalled.
    pub fn release_stalled(&self) {
        self.shared.with(|state| {
            for line in state.lines.values_mut() {
                line.change(Line::release);
            }
        });
    }

    /// Shows all bytes that the link passes on from now on, in the order in which it does, until
    /// there is another tap. It must not use this object.
    pub fn tap(&self, tap: impl FnMut(Passed<'_>) + Send + 'static) {
        self.shared
            .with(|state| state.watch.tap = Some(Box::new(tap)));
    }

    /// What has happened so far.
    #[must_use]
    pub fn counters(&self) -> LinkCounters {
        self.shared.lock().watch.counters
    }

    /// Waits until `condition` holds, for up to 10 s; returns the counters for which it did. It is
    /// asked anew whenever something has happened, and must not use this object itself.
    ///
    /// # Errors
    /// [`Unmet`] if it did not come true; that shows the counters.
    pub async fn wait_for(
        &self,
        condition: impl FnMut(&LinkCounters) -> bool,
    ) -> Result<LinkCounters, Unmet> {
        self.wait_for_within(PATIENCE, condition).await
    }

    /// Waits until `condition` holds, for as long as `patience`.
    ///
    /// # Errors
    /// [`Unmet`] if it did not come true; that shows the counters.
    pub async fn wait_for_within(
        &self,
        patience: Duration,
        mut condition: impl FnMut(&LinkCounters) -> bool,
    ) -> Result<LinkCounters, Unmet> {
        let mut changed = self.shared.changed.subscribe();
        let holds = async {
            loop {
                changed.mark_unchanged();
                let counters = self.counters();
                if condition(&counters) {
                    return counters;
                }
                // The sender lives as long as `self`.
                let _ = changed.changed().await;
            }
        };
        time::timeout(patience, holds)
            .await
            .map_err(|_| Unmet::of_link(patience, self.counters()))
    }

    /// Closes the port, resets all connections, and waits for all tasks to end.
    pub async fn shutdown(mut self) {
        self.reset_connections();
        self.tasks.shutdown().await;
    }
}

/// Bytes that a link has passed on, shown to its [`tap`](FaultyLink::tap).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Passed<'a> {
    /// The how manieth connection of the link it was, from 1 on, and so the how manieth plan of a
    /// script that was there from the start. Those that
    /// [`accept_connections`](FaultyLink::accept_connections) kept out do not count.
    pub connection: u64,
    /// Which way they went.
    pub direction: Direction,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// What all tasks of one link share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    accepting: bool,
    script: Box<dyn Script>,
    /// How many connections had a plan: the number of the latest.
    plans_used: u64,
    lines: BTreeMap<u64, Line>,
    watch: Watch,
}

/// What is seen from outside.
#[derive(Default)]
struct Watch {
    counters: LinkCounters,
    tap: Option<Box<Tap>>,
}

type Tap = dyn FnMut(Passed<'_>) + Send;

trait Script: Iterator<Item = LinkPlan> + fmt::Debug + Send {}

impl<T: Iterator<Item = LinkPlan> + fmt::Debug + Send> Script for T {}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.counters, f)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A tap or a script that panicked has failed its test; the tasks of others go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let result = work(&mut self.lock());
        self.changed.send_replace(());
        result
    }

    /// A client has connected: the number of the connection, if it is let through.
    fn admit(&self) -> Option<u64> {
        self.with(|state| {
            let counters = &mut state.watch.counters;
            counters.attempts += 1;
            if state.accepting {
                state.plans_used += 1;
                let plan = state.script.next().unwrap_or_default();
                if !plan.refused {
                    counters.open += 1;
                    state
                        .lines
                        .insert(state.plans_used, Line::new(plan, counters));
                    return Some(state.plans_used);
                }
            }
            counters.refused += 1;
            None
        })
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, shared: Arc<Shared>) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => match shared.admit() {
                    Some(number) => {
                        connections.spawn(serve(client, server, number, Arc::clone(&shared)));
                    }
                    None => {
                        let _ = client.set_zero_linger();
                    }
                },
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn serve(client: TcpStream, server: SocketAddr, number: u64, shared: Arc<Shared>) {
    if let Ok(server) = TcpStream::connect(server).await {
        connection::run(client, server, number, &shared).await;
        shared.with(|state| state.forget(number));
    } else {
        // To the client it looks like a link that is cut.
        let _ = client.set_zero_linger();
        drop(client);
        shared.with(|state| {
            state.watch.counters.unreachable += 1;
            state.forget(number);
        });
    }
}

impl State {
    fn forget(&mut self, number: u64) {
        if self.lines.remove(&number).is_some() {
            self.watch.counters.open -= 1;
        }
    }
}
