//! One run: how long, and how to come back to it.

use std::env;
use std::panic::Location;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::chance::any_seed;
use crate::support::broker::Kind;
use crate::support::until;
use crate::world::World;

/// How many faults there are unless told otherwise.
const FAULTS: u64 = 400;

/// How long anything may take, under faults and on a loaded machine: what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what must come, or fails the test and says where.
#[track_caller]
pub(crate) fn bounded<F: IntoFuture>(what: &str, future: F) -> impl Future<Output = F::Output> {
    let at = Location::caller();
    let future = future.into_future();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("{what} has not come within {PATIENCE:?}, at {at}"),
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().expect(name))
}

/// Tells how to come back to this run if it fails.
struct Replay {
    seed: u64,
    faults: u64,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, faults } = self;
            eprintln!(
                "replay: CHAOS_SEED={seed} CHAOS_FAULTS={faults} \
                 cargo test -p mqtt5-tokio --test chaos"
            );
        }
    }
}

pub(crate) async fn run(kind: Kind) {
    let seed = setting("CHAOS_SEED").unwrap_or_else(any_seed);
    let faults = setting("CHAOS_FAULTS").unwrap_or(FAULTS);
    let _replay = Replay { seed, faults };
    let tasks_before = Handle::current().metrics().num_alive_tasks();
    let began = Instant::now();
    let world = World::begin(kind, seed).await;
    world.until_struck(faults).await;
    let mut rest = world.settle().await;
    let figures = rest.check();
    if env::var_os("CHAOS_FIGURES").is_some() {
        println!("{kind:?}, seed {seed}, {:?}: {figures:#?}", began.elapsed());
    }
    rest.end().await;
    let nothing_runs = || Handle::current().metrics().num_alive_tasks() <= tasks_before;
    until(nothing_runs).await;
}
