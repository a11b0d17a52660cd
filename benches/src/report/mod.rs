//! Measuring the rows and telling of them.

pub mod chart;
pub mod table;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::work::{Allocations, Contender, CountAllocations, Meter, Side, Target, Work};

/// What was measured of one contender.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its name.
    pub name: &'static str,
    /// Who it is.
    pub side: Side,
    /// What it was to reach.
    pub target: Option<Target>,
    /// The best time, in nanoseconds for each item.
    pub nanoseconds: f64,
    /// Allocations for each item, and their bytes; `None` if they were not counted.
    pub allocations: Option<(f64, f64)>,
}

/// What was measured of one row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its short name.
    pub name: String,
    /// What was done.
    pub title: String,
    /// What an item is.
    pub item: &'static str,
    /// All who did it.
    pub outcomes: Vec<Outcome>,
}

impl Row {
    /// The best time of this side.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<f64> {
        let of_side = self.outcomes.iter().filter(|outcome| outcome.side == side);
        of_side
            .map(|outcome| outcome.nanoseconds)
            .min_by(f64::total_cmp)
    }

    /// What the chart shows of this side: of ours the slowest way that has a target, as an owned
    /// message is what other crates return; of the others the best.
    #[must_use]
    pub fn charted(&self, side: Side) -> Option<f64> {
        let targeted = |outcome: &&Outcome| outcome.side == side && outcome.target.is_some();
        let ours = self.outcomes.iter().filter(targeted);
        let slowest = ours
            .map(|outcome| outcome.nanoseconds)
            .max_by(f64::total_cmp);
        slowest.or_else(|| self.best(side))
    }

    /// How many times the strict hand-written code's time this is.
    #[must_use]
    pub fn ratio(&self, outcome: &Outcome) -> Option<f64> {
        Some(outcome.nanoseconds / self.best(Side::Strict)?)
    }

    /// Whether the target was met; `None` without one.
    #[must_use]
    pub fn is_met(&self, outcome: &Outcome) -> Option<bool> {
        let target = outcome.target?;
        let in_time = self.ratio(outcome)? <= target.ratio;
        let within = match (target.allocations, outcome.allocations) {
            (Some(most), Some((count, _))) => count <= most,
            _ => true,
        };
        Some(in_time && within)
    }
}

/// How often each contender runs at least, whatever that takes.
const LEAST_ROUNDS: u32 = 5;

/// Runs the contenders of `work` in turn for about `time`, and keeps the best of each: noise only
/// ever adds.
#[must_use]
pub fn measure(work: &Work, time: Duration) -> Row {
    let mut contenders = work.contenders.make();
    let mut best = vec![f64::INFINITY; contenders.len()];
    let start = Instant::now();
    let mut rounds = 0;
    while rounds < LEAST_ROUNDS || start.elapsed() < time {
        for (contender, best) in contenders.iter_mut().zip(&mut best) {
            let mut meter = Meter::timing();
            contender.run(&mut meter);
            *best = best.min(meter.time.as_nanos() as f64 / contender.items as f64);
        }
        rounds += 1;
    }
    let outcomes = contenders.iter().zip(best);
    Row {
        name: work.name.clone(),
        title: work.title.clone(),
        item: work.item,
        outcomes: outcomes
            .map(|(contender, nanoseconds)| outcome(contender, nanoseconds))
            .collect(),
    }
}

fn outcome(contender: &Contender, nanoseconds: f64) -> Outcome {
    Outcome {
        name: contender.name,
        side: contender.side,
        target: contender.target,
        nanoseconds,
        allocations: None,
    }
}

/// Allocations of contenders, by row and name.
pub type Counts = HashMap<(String, String), (f64, f64)>;

/// What every contender of `work` allocates for each item, one to a line. The first run, which
/// fills what is kept, does not count.
#[must_use]
pub fn count(work: &Work, count: CountAllocations) -> String {
    let mut lines = String::new();
    for mut contender in work.contenders.make() {
        contender.run(&mut Meter::timing());
        let mut meter = Meter::counting(count);
        contender.run(&mut meter);
        let Allocations { count, bytes } = meter.allocations;
        let each = |sum: u64| sum as f64 / contender.items as f64;
        let (name, count, bytes) = (contender.name, each(count), each(bytes));
        lines += &format!("{}\t{name}\t{count}\t{bytes}\n", work.name);
    }
    lines
}

/// Reads what [`count`] wrote.
#[must_use]
pub fn read_counts(lines: &str) -> Counts {
    let read = |line: &str| {
        let mut fields = line.split('\t');
        let key = (fields.next()?.to_owned(), fields.next()?.to_owned());
        let count = fields.next()?.parse().ok()?;
        Some((key, (count, fields.next()?.parse().ok()?)))
    };
    lines.lines().filter_map(read).collect()
}

/// Puts the counts into the rows.
pub fn add_counts(rows: &mut [Row], counts: &Counts) {
    for row in rows {
        for outcome in &mut row.outcomes {
            let key = (row.name.clone(), outcome.name.to_owned());
            outcome.allocations = counts.get(&key).copied();
        }
    }
}
