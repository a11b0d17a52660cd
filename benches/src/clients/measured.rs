//! What a client process measures of itself, and how it tells.

use std::fmt::Write;
use std::time::{Duration, Instant};

use nix::sys::resource::{Usage, UsageWho, getrusage};

/// What a client is to do, from its command line.
#[derive(Clone, Debug)]
pub struct Task {
    /// Where the broker listens.
    pub address: String,
    /// What is done.
    pub workload: Workload,
    /// How many messages.
    pub messages: usize,
    /// How many bytes of payload each has.
    pub payload: usize,
    /// Whether the runtime has several threads.
    pub threads: bool,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Publishes at QoS 0, waiting only for room.
    Publish0,
    /// Publishes at QoS 1 with 100 in flight, and takes the verdicts in order.
    Publish1,
    /// The same with `FuturesUnordered`.
    Unordered1,
    /// Receives at QoS 0.
    Receive0,
    /// Receives at QoS 1.
    Receive1,
    /// Publishes at QoS 1, one after the other.
    Latency,
}

/// How many messages of QoS 1 are in flight.
pub const WINDOW: u16 = 100;

impl Workload {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Publish0,
        Self::Publish1,
        Self::Unordered1,
        Self::Receive0,
        Self::Receive1,
        Self::Latency,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Publish0 => "publish0",
            Self::Publish1 => "publish1",
            Self::Unordered1 => "unordered1",
            Self::Receive0 => "receive0",
            Self::Receive1 => "receive1",
            Self::Latency => "latency",
        }
    }
}

impl Task {
    /// From the arguments: address, workload, messages, payload, `current` or `threads`.
    ///
    /// # Panics
    /// If they are not that.
    #[must_use]
    pub fn from_arguments() -> Self {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        let [address, workload, messages, payload, runtime] = arguments.as_slice() else {
            panic!("usage: ADDRESS WORKLOAD MESSAGES PAYLOAD current|threads");
        };
        let found = Workload::ALL.into_iter().find(|w| w.name() == workload);
        Self {
            address: address.clone(),
            workload: found.expect("a workload"),
            messages: messages.parse().expect("a number of messages"),
            payload: payload.parse().expect("a size in bytes"),
            threads: runtime == "threads",
        }
    }

    /// Runs the client on the runtime that was asked for.
    ///
    /// # Panics
    /// If there is no runtime to be had.
    pub fn run<F: Future<Output = ()> + Send + 'static>(self, client: impl FnOnce(Self) -> F) {
        let mut builder = if self.threads {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(2);
            builder
        } else {
            tokio::runtime::Builder::new_current_thread()
        };
        let runtime = builder.enable_all().build().expect("a runtime");
        let client = client(self);
        runtime.block_on(async { tokio::spawn(client).await.expect("the client ends well") });
    }
}

/// Measures from its making to [`report`](Self::report).
#[derive(Debug)]
pub struct Measured {
    start: Instant,
    usage: Usage,
    latencies: Vec<Duration>,
}

fn usage() -> Usage {
    getrusage(UsageWho::RUSAGE_SELF).expect("usage")
}

fn seconds(time: nix::sys::time::TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

impl Measured {
    /// Starts.
    #[must_use]
    pub fn start(latencies: usize) -> Self {
        Self {
            latencies: Vec::with_capacity(latencies),
            usage: usage(),
            start: Instant::now(),
        }
    }

    /// Notes how long one message took.
    pub fn note(&mut self, latency: Duration) {
        self.latencies.push(latency);
    }

    /// One line of JSON.
    #[must_use]
    pub fn report(mut self, messages: usize) -> String {
        let time = self.start.elapsed().as_secs_f64();
        let now = usage();
        let user = seconds(now.user_time()) - seconds(self.usage.user_time());
        let system = seconds(now.system_time()) - seconds(self.usage.system_time());
        self.latencies.sort_unstable();
        let at = |part: f64| {
            let index = (self.latencies.len() as f64 * part) as usize;
            self.latencies
                .get(index)
                .map_or(0.0, |l| l.as_secs_f64() * 1e6)
        };
        let mut line = String::new();
        let _ = write!(
            line,
            "{{\"messages\":{messages},\"seconds\":{time},\"user\":{user},\"system\":{system},\
             \"peak_kib\":{},\"p50_us\":{},\"p99_us\":{}}}",
            peak_kib(),
            at(0.50),
            at(0.99)
        );
        line
    }
}

/// The most memory that this process has had.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

/// The number of this name in a line of JSON as [`Measured::report`] writes it.
#[must_use]
pub fn field(line: &str, name: &str) -> Option<f64> {
    let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
    rest.split([',', '}']).next()?.parse().ok()
}
