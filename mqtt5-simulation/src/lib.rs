//! Deterministic simulation: real clients of `mqtt5-client` and the broker of `mqtt5-testkit` on a
//! virtual clock, over simulated links, all of it decided by one number, and judged by a model that
//! shares no code with what it judges.
//!
//! ```
//! use mqtt5_simulation::{Mode, Plan, run};
//!
//! let plan = Plan { seed: 1, steps: 500, mode: Mode::Lawful, kept: None };
//! let outcome = run(&plan, false);
//! assert!(outcome.violation.is_none());
//! assert!(outcome.tally.operations() > 100);
//! ```

mod application;
mod clock;
mod judge;
mod link;
mod random;
mod scene;
mod server;
mod settings;
mod shrink;
mod tally;
mod trace;
mod universe;
mod wire;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use judge::Violation;
pub use random::Random;
pub use settings::{Mode, Plan};
pub use shrink::{read_steps, shrink, write_steps};
pub use tally::Tally;
pub use world::Outcome;

/// Runs a plan. A panic is a broken promise too.
#[must_use]
pub fn run(plan: &Plan, keeps_lines: bool) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| world::run(plan, keeps_lines))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome {
            tally: Tally::default(),
            digest: 0,
            violation: Some(Violation {
                what: "nothing panics",
                detail: text.unwrap_or_default(),
            }),
            lines: Vec::new(),
        }
    })
}

/// The command that replays a plan.
#[must_use]
pub fn replay_command(plan: &Plan) -> String {
    let hostile = match plan.mode {
        Mode::Lawful => "",
        Mode::Hostile => " --hostile",
    };
    let only = plan
        .kept
        .as_ref()
        .map(|kept| format!(" --only {}", write_steps(kept)));
    format!(
        "cargo run --release -p mqtt5-simulation -- --seed {} --steps {}{hostile}{}",
        plan.seed,
        plan.steps,
        only.unwrap_or_default()
    )
}
