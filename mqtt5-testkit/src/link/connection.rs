//! One connection over a link: two sockets, and a task that passes bytes between them.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{self, Instant};

use super::plan::{Ending, LinkPlan, Step, Way};
use super::{LinkCounters, Passed, Shared, State, Watch};
use crate::Direction;

/// How long a closed connection is read on, so that no reset destroys what was passed on last.
const LINGER: Duration = Duration::from_secs(1);

/// What the link knows of a connection.
#[derive(Debug)]
pub(super) struct Line {
    from_client: Way,
    to_client: Way,
    /// By hand, and past any silence.
    cut: Option<Ending>,
    changes: watch::Sender<()>,
}

impl Line {
    pub(super) fn new(plan: LinkPlan, counters: &mut LinkCounters) -> Self {
        let mut line = Self {
            from_client: Way::default(),
            to_client: Way::default(),
            cut: None,
            changes: watch::Sender::new(()),
        };
        line.plan(plan, counters);
        line
    }

    pub(super) fn plan(&mut self, plan: LinkPlan, counters: &mut LinkCounters) {
        (self.from_client, self.to_client) = plan.ways();
        // What strikes at once does so in both directions before a byte goes in either.
        let now = Instant::now();
        if !matches!(self.from_client.step(now, counters), Step::End(_)) {
            self.to_client.step(now, counters);
        }
    }

    pub(super) const fn release(&mut self) {
        self.from_client.release();
        self.to_client.release();
    }

    pub(super) const fn cut(&mut self, ending: Ending) {
        self.cut = Some(ending);
        self.from_client.end(ending);
        self.to_client.end(ending);
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.from_client.has_ended() || self.to_client.has_ended()
    }

    /// Changes it, and tells its task.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Self)) {
        change(self);
        self.changes.send_replace(());
    }

    const fn way(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::FromClient => &mut self.from_client,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

/// How a direction has ended.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The sender has closed it in order.
    InOrder,
    /// A fault or a failure, which ends the connection.
    Whole(Ending),
}

/// Passes bytes until the connection has ended, and tells those sides of it that are to hear of it.
pub(super) async fn run(
    mut client: TcpStream,
    mut server: TcpStream,
    number: u64,
    shared: &Shared,
) {
    // Without this a piece would wait for the next.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let Some(changes) = shared
        .lock()
        .lines
        .get(&number)
        .map(|line| line.changes.subscribe())
    else {
        return;
    };
    let ending = {
        let (from_client, mut to_client) = client.split();
        let (from_server, mut to_server) = server.split();
        let pump = |direction| Pump {
            shared,
            number,
            direction,
            changes: changes.clone(),
        };
        let up = pump(Direction::FromClient).run(&from_client, &mut to_server);
        let down = pump(Direction::ToClient).run(&from_server, &mut to_client);
        tokio::pin!(up, down);
        // A direction that ends in order may leave the other one open, as TCP does.
        tokio::select! {
            end = &mut up => match end {
                End::InOrder => down.await,
                whole @ End::Whole(_) => whole,
            },
            end = &mut down => match end {
                End::InOrder => up.await,
                whole @ End::Whole(_) => whole,
            },
        }
    };
    let End::Whole(ending) = ending else {
        return;
    };
    let (client_hears, server_hears) = shared.with(|state| {
        state.lines.get_mut(&number).map_or((true, true), |line| {
            // No script is for a connection that is on its way out.
            let hears = |way: &Way| line.cut.is_some() || !way.is_silent();
            let hear = (hears(&line.to_client), hears(&line.from_client));
            line.from_client.end(ending);
            line.to_client.end(ending);
            hear
        })
    });
    tokio::join!(
        finish(
            client,
            ending,
            client_hears,
            number,
            shared,
            changes.clone()
        ),
        finish(
            server,
            ending,
            server_hears,
            number,
            shared,
            changes.clone()
        ),
    );
}

/// One direction of a connection.
struct Pump<'a> {
    shared: &'a Shared,
    number: u64,
    direction: Direction,
    changes: watch::Receiver<()>,
}

impl Pump<'_> {
    async fn run(mut self, from: &ReadHalf<'_>, to: &mut WriteHalf<'_>) -> End {
        let mut buffer = vec![0; 16 << 10];
        // What was taken from the sender and has not gone.
        let (mut start, mut end) = (0, 0);
        loop {
            self.changes.mark_unchanged();
            match self.step() {
                Step::End(ending) => return End::Whole(ending),
                Step::Wait(until) => self.wait(until).await,
                Step::Pass(count) | Step::Lose(count) if start == end => {
                    // No more than may go: what lies ahead of a fault stays with the sender.
                    let room = count.min(buffer.len());
                    let Some(room) = buffer.get_mut(..room) else {
                        continue;
                    };
                    match self.take(from, room).await {
                        None => {}
                        Some(Ok(0)) => return self.end_in_order(to).await,
                        Some(Ok(count)) => (start, end) = (0, count),
                        Some(Err(_)) => return End::Whole(Ending::Reset),
                    }
                }
                Step::Lose(count) => {
                    let count = count.min(end - start);
                    self.lose(count);
                    start += count;
                }
                Step::Pass(count) => {
                    let count = count.min(end - start);
                    let bytes = buffer.get(start..start + count).unwrap_or_default();
                    match self.pass(to, bytes).await {
                        None => {}
                        Some(Ok(count)) => start += count,
                        Some(Err(_)) => return End::Whole(Ending::Reset),
                    }
                }
            }
        }
    }

    /// `None` if the link has forgotten the connection.
    fn with_way<T>(&self, work: impl FnOnce(&mut Way, &mut Watch) -> T) -> Option<T> {
        self.shared.with(|State { lines, watch, .. }| {
            let line = lines.get_mut(&self.number)?;
            Some(work(line.way(self.direction), watch))
        })
    }

    fn step(&self) -> Step {
        let step = self.with_way(|way, watch| way.step(Instant::now(), &mut watch.counters));
        step.unwrap_or(Step::End(Ending::Reset))
    }

    async fn wait(&mut self, until: Option<Instant>) {
        let pause = async {
            match until {
                Some(until) => time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = pause => {}
            _ = self.changes.changed() => {}
        }
    }

    /// `None` if something has changed meanwhile.
    async fn take(&mut self, from: &ReadHalf<'_>, room: &mut [u8]) -> Option<io::Result<usize>> {
        loop {
            tokio::select! {
                ready = from.readable() => if let Err(error) = ready {
                    return Some(Err(error));
                },
                _ = self.changes.changed() => return None,
            }
            match from.try_read(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                taken => {
                    self.with_way(|way, _| way.handle_taken(Instant::now()));
                    return Some(taken);
                }
            }
        }
    }

    /// `None` if something has changed meanwhile.
    async fn pass(&mut self, to: &WriteHalf<'_>, bytes: &[u8]) -> Option<io::Result<usize>> {
        tokio::select! {
            ready = to.writable() => if let Err(error) = ready {
                return Some(Err(error));
            },
            _ = self.changes.changed() => return None,
        }
        let (number, direction) = (self.number, self.direction);
        // Under the lock, so that no answer to these bytes is counted or shown before them. It is
        // asked again whether they may go.
        let written = self.with_way(|way, Watch { counters, tap }| {
            let Step::Pass(most) = way.step(Instant::now(), counters) else {
                return None;
            };
            let bytes = bytes.get(..most.min(bytes.len())).unwrap_or_default();
            let written = to.try_write(bytes);
            if let Ok(count) = written {
                way.handle_gone(count);
                counters.count_passed(direction, count);
                if let (Some(tap), Some(bytes)) = (tap, bytes.get(..count)) {
                    tap(Passed {
                        connection: number,
                        direction,
                        bytes,
                    });
                }
            }
            Some(written)
        });
        written.flatten().filter(
            |written| !matches!(written, Err(error) if error.kind() == io::ErrorKind::WouldBlock),
        )
    }

    fn lose(&self, count: usize) {
        self.with_way(|way, watch| {
            way.handle_gone(count);
            watch.counters.count_lost(count);
        });
    }

    async fn end_in_order(&self, to: &mut WriteHalf<'_>) -> End {
        if self.with_way(|way, _| way.is_silent()) != Some(true) {
            // Errors tell that the receiver has gone, which the other direction finds.
            let _ = to.shutdown().await;
        }
        End::InOrder
    }
}

/// Ends one side of a connection; without its hearing of it, it is kept until it ends by itself.
async fn finish(
    mut stream: TcpStream,
    ending: Ending,
    hears: bool,
    number: u64,
    shared: &Shared,
    mut changes: watch::Receiver<()>,
) {
    let mut ending = ending;
    if !hears {
        let cut = async {
            loop {
                changes.mark_unchanged();
                let cut = shared.lock().lines.get(&number).and_then(|line| line.cut);
                if let Some(cut) = cut {
                    return cut;
                }
                // The sender is in the line.
                let _ = changes.changed().await;
            }
        };
        tokio::select! {
            () = discard(&mut stream, shared) => return,
            cut = cut => ending = cut,
        }
    }
    match ending {
        Ending::Reset => {
            let _ = stream.set_zero_linger();
        }
        Ending::Close => {
            let _ = stream.shutdown().await;
            let _ = time::timeout(LINGER, discard(&mut stream, shared)).await;
        }
    }
}

async fn discard(stream: &mut TcpStream, shared: &Shared) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        shared.with(|state| state.watch.counters.count_lost(count));
    }
}
