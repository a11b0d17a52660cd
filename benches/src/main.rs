//! Measures everything, prints the table, and writes it and the chart.
//!
//! ```text
//! cargo run --release -p benches                       # all
//! cargo run --release -p benches -- decode             # rows whose names hold `decode`
//! cargo run --release -p benches -- memory             # what is held
//! cargo run --release -p benches -- client             # whole clients, processes of their own
//! cargo run --release -p benches -- --seconds 5        # longer for each row; 1 otherwise
//! cargo run --release -p benches -- --rounds 9         # more runs of each client; 5 otherwise
//! cargo run --release -p benches -- --list             # rows and contenders
//! cargo run --release -p benches -- --single ROW WHO N # N runs of one, for a profiler
//! ```
//!
//! Only a run of all rows writes files.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program that measures has to tell the result"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use benches::clients::run;
use benches::report;
use benches::work::Meter;

struct Arguments {
    rows: String,
    seconds: f64,
    rounds: u32,
    list: bool,
    single: Option<(String, String, u32)>,
}

fn arguments() -> Arguments {
    let mut found = Arguments {
        rows: String::new(),
        seconds: 1.0,
        rounds: 5,
        list: false,
        single: None,
    };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        let mut next = || given.next().expect("a value");
        match argument.as_str() {
            "--seconds" => found.seconds = next().parse().expect("seconds"),
            "--rounds" => found.rounds = next().parse().expect("a number"),
            "--list" => found.list = true,
            "--single" => {
                found.single = Some((next(), next(), next().parse().expect("a number")));
            }
            _ => found.rows = argument,
        }
    }
    found
}

fn main() {
    let arguments = arguments();
    if arguments.list {
        list();
    } else if let Some((row, contender, runs)) = arguments.single {
        single(&row, &contender, runs);
    } else {
        all(&arguments);
    }
}

fn list() {
    for work in benches::works() {
        for contender in work.contenders.make() {
            println!("{}\t{}\t{}", work.name, contender.name, contender.items);
        }
    }
}

fn single(row: &str, name: &str, runs: u32) {
    let works = benches::works();
    let work = works.iter().find(|work| work.name == row);
    let mut contenders = work.expect("a row of this name").contenders.make();
    let contender = contenders
        .iter_mut()
        .find(|contender| contender.name == name);
    let contender = contender.expect("a contender of this name");
    for _ in 0..runs {
        contender.run(&mut Meter::timing());
    }
}

fn all(arguments: &Arguments) {
    build_programs();
    let wanted = arguments.rows.as_str();
    let time = Duration::from_secs_f64(arguments.seconds);
    let begin = |name: &str| eprintln!("{name}");
    let works = benches::works();
    let works = works.iter().filter(|work| work.name.contains(wanted));
    let mut rows = Vec::new();
    for work in works {
        begin(&work.name);
        rows.push(report::measure(work, time));
    }
    report::add_counts(&mut rows, &report::read_counts(&allocations(wanted)));
    let table = report::table::markdown(&rows);
    println!("{table}");
    let memory = if "memory".contains(wanted) {
        benches::memory::markdown(&allocations("--memory"))
    } else {
        String::new()
    };
    println!("{memory}");
    let clients = run::table(&folder(), wanted, arguments.rounds, begin);
    println!("{clients}");
    if wanted.is_empty() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text);
        let on = machine();
        let results = format!("{HEAD}{on}{CODEC}{table}\n{MEMORY}{memory}\n{CLIENTS}{clients}");
        write("RESULTS.md", &results).expect("RESULTS.md can be written");
        write("chart.svg", &report::chart::svg(&rows)).expect("chart.svg can be written");
    }
}

/// Where the programs of this package lie.
fn folder() -> PathBuf {
    let here = std::env::current_exe().expect("a program has a path");
    here.parent().expect("a folder").to_owned()
}

const HEAD: &str = "# Results\n\n\
    Written by `cargo run --release -p benches`. Times are the best of many interleaved runs, in \
    nanoseconds for one item; ratios hold within this run.\n\n";

const CODEC: &str = "## Codec and core\n\n";

const MEMORY: &str = "## Memory\n\n\
    What is held, counted by the allocator. The topic and the payload of a message in flight are \
    those of ours: its `Topic` and its `Bytes`, wherever they lie.\n\n";

const CLIENTS: &str = "## Whole clients\n\n\
    Each is a process of its own, and so is the broker. CPU is that of the client, for one message. \
    The null broker answers in batches and keeps nothing. The raw socket writes the same bytes and \
    reads the same answers.\n\n";

/// Compiler and processor.
fn machine() -> String {
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    });
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = cpus.lines().find(|line| line.starts_with("model name"));
    let cpu = named.and_then(|line| Some(line.split_once(':')?.1.trim()));
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = cpu.unwrap_or("an unnamed processor");
    format!("{rustc}, {cpu}, {count} processors.\n\n")
}

/// `cargo run` builds only the program that it runs.
fn build_programs() {
    if let Some(cargo) = std::env::var_os("CARGO") {
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--release", "-p", "benches", "--bins"])
            .status();
        assert!(built.is_ok_and(|status| status.success()), "cargo build");
    }
}

/// From the program with the allocator that counts.
fn allocations(argument: &str) -> String {
    let output = Command::new(folder().join("allocations"))
        .arg(argument)
        .output()
        .expect("the program that counts allocations runs");
    assert!(output.status.success(), "the program that counts failed");
    String::from_utf8(output.stdout).expect("lines of text")
}
