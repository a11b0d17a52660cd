//! Some seconds of the simulation, for every change. `SIMULATION_SEED=n` runs one more seed,
//! `SIMULATION_RUNS=n` makes more runs, and the program of this crate does all the rest.

#![allow(clippy::panic, reason = "helpers of tests are no tests to clippy")]

use mqtt5_simulation::{Mode, Plan, Tally, replay_command, run, shrink};

fn plan(seed: u64, mode: Mode) -> Plan {
    Plan {
        seed,
        steps: 2000,
        mode,
        kept: None,
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Runs a seed; if it fails, tells it in as few steps as possible.
fn check(seed: u64, mode: Mode, total: &mut Tally) {
    let plan = plan(seed, mode);
    let outcome = run(&plan, false);
    total.add(&outcome.tally);
    let Some(violation) = outcome.violation else {
        return;
    };
    let smaller = shrink(&plan);
    let lines = run(&smaller, true).lines.join("\n");
    panic!(
        "{violation}\nreplay: {}\n{lines}\nreplay of what is left: {}",
        replay_command(&plan),
        replay_command(&smaller)
    );
}

/// What cannot happen in a mode, or too seldom for a short run.
fn missing(total: &Tally, excused: &[&str]) -> Vec<&'static str> {
    let counters = total.counters().into_iter();
    let never = counters.filter(|(name, count)| *count == 0 && !excused.contains(name));
    never.map(|(name, _)| name).collect()
}

#[test]
fn clients_keep_their_promises_and_every_behaviour_is_exercised() {
    let mut total = Tally::default();
    for seed in 0..number("SIMULATION_RUNS").unwrap_or(150) {
        check(seed, Mode::Lawful, &mut total);
    }
    let excused = ["hostilities", "faults_answered", "faults_named"];
    assert_eq!(missing(&total, &excused), Vec::<&str>::new(), "{total}");
}

#[test]
fn a_hostile_broker_gets_no_panic_and_no_hang() {
    let mut total = Tally::default();
    for seed in 0..number("SIMULATION_RUNS").unwrap_or(80) {
        check(seed, Mode::Hostile, &mut total);
    }
    assert!(total.hostilities > 0, "{total}");
    assert!(total.faults_answered > 0, "{total}");
    assert!(total.faults_named > 0, "{total}");
    assert!(total.verdict_unknown > 0, "{total}");
}

#[test]
fn one_more_seed_is_chosen_by_the_environment() {
    let mut total = Tally::default();
    let seed = number("SIMULATION_SEED").unwrap_or(1 << 40);
    check(seed, Mode::Lawful, &mut total);
    check(seed, Mode::Hostile, &mut total);
    assert_eq!(total.runs, 2);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for mode in [Mode::Lawful, Mode::Hostile] {
        for seed in 0..10 {
            let (one, two) = (run(&plan(seed, mode), false), run(&plan(seed, mode), true));
            assert_eq!(one.digest, two.digest, "{mode:?} {seed}");
            assert_eq!(one.tally, two.tally, "{mode:?} {seed}");
        }
    }
    let digests = [3, 4].map(|seed| run(&plan(seed, Mode::Lawful), false).digest);
    assert_ne!(digests[0], digests[1]);
}

#[test]
fn leaving_out_steps_leaves_the_others_as_they_are() {
    let whole = run(&plan(5, Mode::Lawful), false);
    let parts = Plan {
        kept: Some(vec![(0, 999), (1000, 1999)]),
        ..plan(5, Mode::Lawful)
    };
    assert_eq!(run(&parts, false).digest, whole.digest);
    let fewer = Plan {
        kept: Some(vec![(0, 99)]),
        ..plan(5, Mode::Lawful)
    };
    assert_eq!(run(&fewer, false).tally.steps, 100);
}
