//! Running the client processes in turn.

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::measured::{Workload, field};
use crate::report::table::number;

/// One row: a workload, on one kind of runtime, against one broker.
#[derive(Clone, Debug)]
pub struct Row {
    /// A short name, to select it by.
    pub name: String,
    /// What is done.
    pub title: &'static str,
    workload: Workload,
    messages: usize,
    payload: usize,
    threads: bool,
    broker: Broker,
    target: Target,
}

/// Against what it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broker {
    /// One that costs next to nothing.
    Null,
    /// Mosquitto.
    Mosquitto,
}

/// What ours is to reach.
#[derive(Clone, Copy, Debug)]
enum Target {
    None,
    /// Microseconds of CPU for each message.
    Cpu(f64),
    /// CPU as a multiple of the raw socket's.
    TimesRaw(f64),
    /// Microseconds above the raw socket, at the 50th and 99th percentile.
    AboveRaw(f64, f64),
}

/// The most memory that a client may take over 100,000 small messages, in KiB.
const PEAK_KIB: f64 = 6.0 * 1024.0;

/// All rows.
#[must_use]
pub fn rows() -> Vec<Row> {
    use Workload as W;
    let mut rows = Vec::new();
    let small = [
        (
            W::Publish0,
            "publish QoS 0, 64 B, enqueued",
            300_000,
            Target::Cpu(0.08),
        ),
        (
            W::Publish1,
            "publish QoS 1, 64 B, window 100, verdicts in order",
            100_000,
            Target::TimesRaw(2.0),
        ),
        (
            W::Unordered1,
            "publish QoS 1, 64 B, window 100, FuturesUnordered",
            100_000,
            Target::None,
        ),
        (
            W::Receive0,
            "receive QoS 0, 64 B",
            300_000,
            Target::Cpu(0.08),
        ),
        (
            W::Receive1,
            "receive QoS 1, 64 B",
            300_000,
            Target::Cpu(0.12),
        ),
    ];
    for threads in [false, true] {
        for (workload, title, messages, target) in small {
            rows.push(Row::new(workload, title, messages, 64, threads, target));
        }
    }
    let large = [
        (W::Publish0, "publish QoS 0, 64 KiB"),
        (W::Receive0, "receive QoS 0, 64 KiB"),
    ];
    for (workload, title) in large {
        rows.push(Row::new(
            workload,
            title,
            5_000,
            64 << 10,
            false,
            Target::TimesRaw(1.3),
        ));
    }
    let latency = Target::AboveRaw(0.5, 2.0);
    let title = "QoS 1, one in flight, pinned to one core";
    rows.push(Row::new(W::Latency, title, 20_000, 64, false, latency));
    for (workload, title, messages, _) in &small[..2] {
        let mut row = Row::new(*workload, title, *messages / 10, 64, false, Target::None);
        row.broker = Broker::Mosquitto;
        row.name += "-mosquitto";
        rows.push(row);
    }
    rows
}

impl Row {
    fn new(
        workload: Workload,
        title: &'static str,
        messages: usize,
        payload: usize,
        threads: bool,
        target: Target,
    ) -> Self {
        let runtime = if threads { "-threads" } else { "" };
        Self {
            name: format!("client-{}-{payload}{runtime}", workload.name()),
            title,
            workload,
            messages,
            payload,
            threads,
            broker: Broker::Null,
            target,
        }
    }

    fn is_pinned(&self) -> bool {
        self.workload == Workload::Latency
    }
}

/// The clients, each a program of its own: name and file.
const CLIENTS: [(&str, &str); 3] = [
    ("raw socket", "client_raw"),
    ("**ours**", "client_mqtt5"),
    ("rumqttc", "client_rumqttc"),
];

/// The best of what one client did: each figure by itself.
#[derive(Clone, Copy, Debug)]
struct Figures {
    rate: f64,
    cpu: f64,
    user: f64,
    peak_kib: f64,
    p50: f64,
    p99: f64,
}

impl Figures {
    const WORST: Self = Self {
        rate: 0.0,
        cpu: f64::INFINITY,
        user: f64::INFINITY,
        peak_kib: f64::INFINITY,
        p50: f64::INFINITY,
        p99: f64::INFINITY,
    };

    fn add(&mut self, line: &str) {
        let get = |name| field(line, name).unwrap_or(f64::NAN);
        let each = |seconds: f64| seconds * 1e6 / get("messages");
        self.rate = self.rate.max(get("messages") / get("seconds"));
        self.cpu = self.cpu.min(each(get("user") + get("system")));
        self.user = self.user.min(each(get("user")));
        self.peak_kib = self.peak_kib.min(get("peak_kib"));
        self.p50 = self.p50.min(get("p50_us"));
        self.p99 = self.p99.min(get("p99_us"));
    }
}

/// A process that ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the rows whose names hold `wanted`, each client `rounds` times in turn, and tells of them
/// in Markdown. The programs lie in `folder`. Calls `begin` with the name of each row.
///
/// # Panics
/// If a program does not run or a client fails.
#[must_use]
pub fn table(folder: &Path, wanted: &str, rounds: u32, begin: impl Fn(&str)) -> String {
    let mut out = String::from(
        "| work | runtime, broker | who | messages/s | CPU µs | user µs | × raw | peak MiB \
         | p50 µs | p99 µs | target | |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|---|---|\n",
    );
    for row in rows().iter().filter(|row| row.name.contains(wanted)) {
        begin(&row.name);
        let Some(broker) = Running::start(row, folder) else {
            continue;
        };
        let mut figures = [Figures::WORST; CLIENTS.len()];
        for _ in 0..rounds {
            for ((_, file), figures) in CLIENTS.iter().zip(&mut figures) {
                figures.add(&client(&folder.join(file), row, broker.address()));
            }
        }
        for (index, (name, _)) in CLIENTS.iter().enumerate() {
            line(&mut out, row, name, &figures[index], &figures[0], index);
        }
    }
    out
}

/// Client and broker on one core where latency is measured: between two it would be the kernel's.
fn command(program: &Path, pinned: bool) -> Command {
    if pinned {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn client(program: &Path, row: &Row, address: &str) -> String {
    let output = command(program, row.is_pinned())
        .args([address, row.workload.name()])
        .args([row.messages.to_string(), row.payload.to_string()])
        .arg(if row.threads { "threads" } else { "current" })
        .stderr(Stdio::inherit())
        .output()
        .expect("a client runs");
    assert!(
        output.status.success(),
        "{program:?} failed at {}",
        row.name
    );
    String::from_utf8(output.stdout).expect("a line of JSON")
}

/// The null broker, as long as this lives.
pub struct NullBroker {
    address: String,
    _process: Process,
}

impl std::fmt::Debug for NullBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NullBroker")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl NullBroker {
    /// Runs `program`, pinned to the core of pinned clients or not.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn start(program: &Path, pinned: bool) -> Self {
        let mut process = command(program, pinned)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the null broker runs");
        let mut port = String::new();
        let out = process.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut port).expect("its port");
        Self {
            address: format!("127.0.0.1:{}", port.trim()),
            _process: Process(process),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// A broker that runs.
enum Running {
    Null(NullBroker),
    Mosquitto(Mosquitto),
}

impl Running {
    /// `None` if it is not installed.
    fn start(row: &Row, folder: &Path) -> Option<Self> {
        Some(match row.broker {
            Broker::Null => {
                let program = folder.join("null_broker");
                Self::Null(NullBroker::start(&program, row.is_pinned()))
            }
            Broker::Mosquitto => Self::Mosquitto(mosquitto()?),
        })
    }

    fn address(&self) -> &str {
        match self {
            Self::Null(broker) => broker.address(),
            Self::Mosquitto(broker) => &broker.address,
        }
    }
}

/// Mosquitto with a configuration of its own.
struct Mosquitto {
    address: String,
    _process: Process,
    _folder: Folder,
}

fn mosquitto() -> Option<Mosquitto> {
    let program = [
        "/usr/sbin/mosquitto",
        "/usr/local/sbin/mosquitto",
        "/usr/bin/mosquitto",
    ]
    .into_iter()
    .find(|path| Path::new(path).exists())?;
    // It cannot be asked to choose a port and tell it.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .ok()?
        .local_addr()
        .ok()?
        .port();
    let folder = Folder(std::env::temp_dir().join(format!("mqtt5-benches-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).ok()?;
    let file = folder.0.join("mosquitto.conf");
    let configuration = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\n\
         max_queued_messages 0\nset_tcp_nodelay true\nlog_type none\n"
    );
    std::fs::write(&file, configuration).ok()?;
    let process = Command::new(program)
        .arg("-c")
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let process = Process(process);
    let address = format!("127.0.0.1:{port}");
    while std::net::TcpStream::connect(&address).is_err() {
        std::thread::yield_now();
    }
    Some(Mosquitto {
        address,
        _process: process,
        _folder: folder,
    })
}

fn line(out: &mut String, row: &Row, name: &str, own: &Figures, raw: &Figures, index: usize) {
    let title = if index == 0 { row.title } else { "" };
    let runtime = if row.threads {
        "two threads"
    } else {
        "one thread"
    };
    let broker = match row.broker {
        Broker::Null => "null",
        Broker::Mosquitto => "mosquitto",
    };
    let place = if index == 0 {
        format!("{runtime}, {broker}")
    } else {
        String::new()
    };
    let (p50, p99) = if row.workload == Workload::Latency {
        (number(own.p50), number(own.p99))
    } else {
        (String::new(), String::new())
    };
    let (target, met) = if name == "**ours**" {
        judge(row, own, raw)
    } else {
        Default::default()
    };
    let _ = writeln!(
        out,
        "| {title} | {place} | {name} | {:.0} | {:.3} | {:.3} | {:.2} | {:.1} | {p50} | {p99} \
         | {target} | {met} |",
        own.rate,
        own.cpu,
        own.user,
        own.cpu / raw.cpu,
        own.peak_kib / 1024.0,
    );
}

/// The target, and whether it was met.
fn judge(row: &Row, own: &Figures, raw: &Figures) -> (String, &'static str) {
    let (mut target, mut met) = match row.target {
        Target::None => return Default::default(),
        Target::Cpu(most) => (format!("≤ {most} µs"), own.cpu <= most),
        Target::TimesRaw(most) => (format!("≤ {most} × raw"), own.cpu <= most * raw.cpu),
        Target::AboveRaw(p50, p99) => (
            format!("raw + {p50} / + {p99} µs"),
            own.p50 <= raw.p50 + p50 && own.p99 <= raw.p99 + p99,
        ),
    };
    if row.payload == 64 && row.workload != Workload::Latency {
        target += ", ≤ 6 MiB";
        met &= own.peak_kib <= PEAK_KIB;
    }
    (target, if met { "met" } else { "**missed**" })
}
