//! What was waited for and did not come.

use std::fmt;
use std::time::Duration;

use crate::link::LinkCounters;
use crate::trace::Record;

/// How long it is waited unless told otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A condition did not come true in time. Prints what happened instead: the packets that a
/// [`TestBroker`](crate::TestBroker) has exchanged, or the counters of a
/// [`FaultyLink`](crate::FaultyLink).
#[derive(Clone)]
pub struct Unmet {
    patience: Duration,
    happened: Happened,
}

#[derive(Clone)]
enum Happened {
    Packets(Vec<Record>),
    Link(LinkCounters),
}

impl Unmet {
    pub(crate) const fn of_broker(patience: Duration, records: Vec<Record>) -> Self {
        Self {
            patience,
            happened: Happened::Packets(records),
        }
    }

    pub(crate) const fn of_link(patience: Duration, counters: LinkCounters) -> Self {
        Self {
            patience,
            happened: Happened::Link(counters),
        }
    }

    /// What went over the wire, oldest first; nothing for a link, which knows no packets.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        match &self.happened {
            Happened::Packets(records) => records,
            Happened::Link(_) => &[],
        }
    }
}

/// Enough to see what a test was about.
const SHOWN: usize = 50;

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the condition did not hold within {:?}", self.patience)?;
        if let Happened::Link(counters) = &self.happened {
            write!(f, "\n  {counters:?}")?;
        }
        let hidden = self.records().len().saturating_sub(SHOWN);
        if hidden > 0 {
            write!(f, "\n  … {hidden} packets")?;
        }
        for record in self.records().iter().skip(hidden) {
            write!(f, "\n  {record:?}")?;
        }
        Ok(())
    }
}

/// As [`Display`](fmt::Display), for the sake of `unwrap` in a test.
impl fmt::Debug for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Unmet {}
