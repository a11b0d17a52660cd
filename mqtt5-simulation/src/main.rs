//! Runs the simulation from the command line; `--help` tells how.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mqtt5_simulation::{Mode, Outcome, Plan, Tally, read_steps, replay_command, run, shrink};

const HELP: &str = "\
Deterministic simulation of MQTT 5 clients against a test broker.

  --seed N          the seed of one run, which is told in full if it fails; with --operations or
                    --runs the first of many
  --operations N    run seed after seed until so many operations were simulated
  --runs N          run so many seeds
  --steps N         how many steps a run has (2000)
  --threads N       how many runs go side by side (1)
  --hostile         the broker breaks the rules
  --survey          go on after a failure, and tell how many runs broke each promise
  --only A,B-C      of a single run, only these steps
  --trace           print what happens in a single run";

struct Arguments {
    seed: u64,
    operations: Option<u64>,
    runs: Option<u64>,
    steps: usize,
    threads: usize,
    mode: Mode,
    only: Option<Vec<(usize, usize)>>,
    trace: bool,
    survey: bool,
}

fn arguments() -> Option<Arguments> {
    let mut found = Arguments {
        seed: 0,
        operations: None,
        runs: None,
        steps: 2000,
        threads: 1,
        mode: Mode::Lawful,
        only: None,
        trace: false,
        survey: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--hostile" => found.mode = Mode::Hostile,
            "--survey" => found.survey = true,
            "--trace" => found.trace = true,
            "--seed" => found.seed = words.next()?.parse().ok()?,
            "--operations" => found.operations = Some(words.next()?.parse().ok()?),
            "--runs" => found.runs = Some(words.next()?.parse().ok()?),
            "--steps" => found.steps = words.next()?.parse().ok()?,
            "--threads" => found.threads = words.next()?.parse().ok()?,
            "--only" => found.only = Some(read_steps(&words.next()?)?),
            _ => return None,
        }
    }
    Some(found)
}

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        println!("{HELP}");
        return ExitCode::from(2);
    };
    if arguments.operations.is_none() && arguments.runs.is_none() {
        single(&arguments)
    } else {
        many(&arguments)
    }
}

fn plan(arguments: &Arguments, seed: u64) -> Plan {
    Plan {
        seed,
        steps: arguments.steps,
        mode: arguments.mode,
        kept: arguments.only.clone(),
    }
}

fn single(arguments: &Arguments) -> ExitCode {
    let plan = plan(arguments, arguments.seed);
    let outcome = run(&plan, arguments.trace || arguments.only.is_some());
    for line in &outcome.lines {
        println!("{line}");
    }
    if outcome.violation.is_some() {
        return explain(&plan, &outcome);
    }
    println!("{}", outcome.tally);
    println!("digest {:016x}", outcome.digest);
    ExitCode::SUCCESS
}

/// Tells of a failure in as few steps as possible.
fn explain(plan: &Plan, outcome: &Outcome) -> ExitCode {
    if let Some(violation) = &outcome.violation {
        eprintln!("broken: {violation}");
    }
    eprintln!("replay: {}", replay_command(plan));
    let smaller = shrink(plan);
    let outcome = run(&smaller, true);
    eprintln!("shrunk:");
    for line in &outcome.lines {
        eprintln!("  {line}");
    }
    if let Some(violation) = &outcome.violation {
        eprintln!("broken: {violation}");
    }
    eprintln!("replay of what is left: {}", replay_command(&smaller));
    ExitCode::FAILURE
}

/// What the threads share.
struct Progress {
    next: AtomicU64,
    failed: AtomicBool,
    total: Mutex<Tally>,
    failure: Mutex<Option<(Plan, Outcome)>>,
    /// How many runs broke each promise, and the first of them.
    survey: Mutex<BTreeMap<&'static str, (u64, u64)>>,
}

fn many(arguments: &Arguments) -> ExitCode {
    let started = Instant::now();
    let progress = Progress {
        next: AtomicU64::new(arguments.seed),
        failed: AtomicBool::new(false),
        total: Mutex::new(Tally::default()),
        failure: Mutex::new(None),
        survey: Mutex::new(BTreeMap::new()),
    };
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            scope.spawn(|| work(arguments, &progress));
        }
        scope.spawn(|| report(arguments, &progress, started));
    });
    let total = progress
        .total
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    println!("{total}");
    let seconds = started.elapsed().as_secs_f64();
    println!("{seconds:.1} s on {} threads", arguments.threads.max(1));
    for (what, (count, first)) in &*lock(&progress.survey) {
        println!("{count:>8} runs broke: {what} (first seed {first})");
    }
    let failure = progress
        .failure
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match failure {
        Some((plan, outcome)) => explain(&plan, &outcome),
        None => ExitCode::SUCCESS,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_done(arguments: &Arguments, progress: &Progress) -> bool {
    let total = lock(&progress.total);
    progress.failed.load(Ordering::Relaxed)
        || arguments
            .operations
            .is_some_and(|wanted| total.operations() >= wanted)
        || arguments.runs.is_some_and(|wanted| total.runs >= wanted)
}

fn work(arguments: &Arguments, progress: &Progress) {
    while !is_done(arguments, progress) {
        let seed = progress.next.fetch_add(1, Ordering::Relaxed);
        let started = arguments
            .runs
            .map(|runs| arguments.seed.saturating_add(runs));
        if started.is_some_and(|end| seed >= end) {
            return;
        }
        let plan = plan(arguments, seed);
        let outcome = run(&plan, false);
        lock(&progress.total).add(&outcome.tally);
        let Some(violation) = &outcome.violation else {
            continue;
        };
        if arguments.survey {
            let mut survey = lock(&progress.survey);
            let (count, first) = survey.entry(violation.what).or_insert((0, seed));
            *count += 1;
            *first = seed.min(*first);
        } else {
            progress.failed.store(true, Ordering::Relaxed);
            let mut failure = lock(&progress.failure);
            if failure.as_ref().is_none_or(|(other, _)| other.seed > seed) {
                *failure = Some((plan, outcome));
            }
        }
    }
}

/// Tells every minute how far it is.
fn report(arguments: &Arguments, progress: &Progress, started: Instant) {
    let mut told = Instant::now();
    while !is_done(arguments, progress) {
        std::thread::sleep(Duration::from_millis(50));
        if told.elapsed() >= Duration::from_secs(60) {
            told = Instant::now();
            let total = lock(&progress.total);
            let (operations, seconds) = (total.operations(), started.elapsed().as_secs());
            eprintln!("{operations} operations, {} runs, {seconds} s", total.runs);
        }
    }
}
