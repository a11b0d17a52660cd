//! Work items and those who do them.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// What a contender read from or wrote into one packet: names of fields, and their bytes.
pub type Facts = Vec<(&'static str, Vec<u8>)>;

/// What a contender did in one run, for comparison with what it should have done.
pub type Proof = Vec<Facts>;

/// Counts what `work` allocates: how many times, and how many bytes.
pub type CountAllocations = fn(&mut dyn FnMut()) -> Allocations;

/// What was allocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocations {
    /// How many times.
    pub count: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Measures the part of a run that counts, which is not all of it: buffers have to be filled first.
#[derive(Debug, Default)]
pub struct Meter {
    /// How long that part took.
    pub time: Duration,
    /// What it allocated; 0 unless it was made with [`counting`](Self::counting).
    pub allocations: Allocations,
    count: Option<CountAllocations>,
}

impl Meter {
    /// Measures the time.
    #[must_use]
    pub fn timing() -> Self {
        Self::default()
    }

    /// Counts allocations.
    #[must_use]
    pub fn counting(count: CountAllocations) -> Self {
        Self {
            count: Some(count),
            ..Self::default()
        }
    }

    /// Runs and measures `work`.
    pub fn region(&mut self, mut work: impl FnMut()) {
        if let Some(count) = self.count {
            let found = count(&mut work);
            self.allocations.count += found.count;
            self.allocations.bytes += found.bytes;
        } else {
            let start = Instant::now();
            measured_region(&mut work);
            self.time += start.elapsed();
        }
    }
}

/// Callgrind counts instructions only while this function runs; its name is in the command.
#[inline(never)]
fn measured_region(work: &mut impl FnMut()) {
    work();
    black_box(());
}

/// Who a contender is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The crates of this workspace.
    Ours,
    /// Another crate.
    Peer,
    /// Written by hand, with the checks that ours makes: what ratios are told against.
    Strict,
    /// Written by hand, with those checks, for another kind of result.
    Variant,
    /// Written by hand, without checks.
    Lax,
    /// A copy of the same bytes.
    Memcpy,
}

/// What ours is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Time as a multiple of the strict hand-written code's.
    pub ratio: f64,
    /// How many allocations for each item.
    pub allocations: Option<f64>,
}

/// One way to do a work item.
pub struct Contender {
    /// Its name, with what is particular about the way.
    pub name: &'static str,
    /// Who it is.
    pub side: Side,
    /// What it is to reach, if it is ours.
    pub target: Option<Target>,
    /// How many items one run does.
    pub items: u64,
    run: Box<dyn FnMut(&mut Meter)>,
    prove: Option<Box<dyn FnMut() -> Proof>>,
}

impl std::fmt::Debug for Contender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contender")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Contender {
    /// A contender whose every `run` does `items` items.
    pub fn new(
        name: &'static str,
        side: Side,
        items: usize,
        run: impl FnMut(&mut Meter) + 'static,
    ) -> Self {
        Self {
            name,
            side,
            target: None,
            items: items as u64,
            run: Box::new(run),
            prove: None,
        }
    }

    /// With a run that tells what it did.
    #[must_use]
    pub fn proven_by(mut self, prove: impl FnMut() -> Proof + 'static) -> Self {
        self.prove = Some(Box::new(prove));
        self
    }

    /// With a target of time alone.
    #[must_use]
    pub fn within(mut self, ratio: f64) -> Self {
        self.target = Some(Target {
            ratio,
            allocations: None,
        });
        self
    }

    /// With a target of time, and no allocation.
    #[must_use]
    pub fn within_without_allocation(mut self, ratio: f64) -> Self {
        self.target = Some(Target {
            ratio,
            allocations: Some(0.0),
        });
        self
    }

    /// Does all items once.
    pub fn run(&mut self, meter: &mut Meter) {
        (self.run)(meter);
    }

    /// Does all items once and tells what it did; `None` for a mere copy.
    pub fn prove(&mut self) -> Option<Proof> {
        self.prove.as_mut().map(|prove| prove())
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Work {
    /// A short name, to select it by.
    pub name: String,
    /// What is done.
    pub title: String,
    /// What one item is.
    pub item: &'static str,
    /// What every contender has to prove.
    pub expected: Make<Proof>,
    /// Makes the contenders.
    pub contenders: Make<Vec<Contender>>,
}

/// Makes something when it is wanted, so that rows do not share memory or caches.
pub struct Make<T>(Box<dyn Fn() -> T>);

impl<T> Make<T> {
    /// By this function.
    pub fn by(make: impl Fn() -> T + 'static) -> Self {
        Self(Box::new(make))
    }

    /// Makes one.
    #[must_use]
    pub fn make(&self) -> T {
        (self.0)()
    }
}

impl<T> std::fmt::Debug for Make<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Make")
    }
}

impl Work {
    /// A row.
    pub fn new(
        name: impl Into<String>,
        title: impl Into<String>,
        item: &'static str,
        expected: impl Fn() -> Proof + 'static,
        contenders: impl Fn() -> Vec<Contender> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            item,
            expected: Make::by(expected),
            contenders: Make::by(contenders),
        }
    }
}

/// A contender that takes one packet after the other out of a buffer. `$fill` makes the buffer,
/// which is not measured; `$next` takes a packet out of `$buffer`, which is; `$facts` tells what
/// was in it.
macro_rules! drain {
    ($name:expr, $side:ident, $items:expr, $fill:expr, |$buffer:ident| $next:expr, $facts:expr) => {{
        let (items, fill, again) = ($items, $fill, $fill);
        $crate::work::Contender::new($name, $crate::work::Side::$side, items, move |meter| {
            let mut $buffer = fill();
            meter.region(|| {
                for _ in 0..items {
                    std::hint::black_box(&$next);
                }
            });
            std::hint::black_box(&mut $buffer);
        })
        .proven_by(move || {
            let mut $buffer = again();
            let mut proof = $crate::work::Proof::new();
            for _ in 0..items {
                proof.push($facts($next));
            }
            proof
        })
    }};
}
pub(crate) use drain;
