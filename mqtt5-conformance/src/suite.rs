//! Many cases against one client program, several at a time, and what came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::case::{Case, Strength};
use crate::client::{Broken, Pace};
use crate::program::Program;
use crate::runner::{Outcome, run};

/// How to run cases against a program.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The program and its arguments. It is started anew for each case.
    pub command: Vec<String>,
    /// How many cases run at a time. They mostly wait.
    pub jobs: usize,
    /// Cases that take longer for their own sake need a virtual clock and are not run.
    pub longest: Duration,
    /// How much time the program has.
    pub pace: Pace,
    /// What is known of the program. What is known to fail is not waited for at length.
    pub known: Known,
}

impl Suite {
    /// Eight at a time, none that takes longer than three seconds, ten seconds of patience.
    #[must_use]
    pub fn new(command: Vec<String>) -> Self {
        Self {
            command,
            jobs: 8,
            longest: Duration::from_secs(3),
            pace: Pace {
                patience: Duration::from_secs(10),
                silence: Duration::from_millis(250),
            },
            known: Known::default(),
        }
    }

    /// Runs the cases.
    ///
    /// # Errors
    /// [`Broken`] if the program cannot even be started.
    pub fn run(&self, cases: &[Case]) -> Result<Report, Broken> {
        drop(Program::start(&self.command, self.pace)?);
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(|| {
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = Entry {
                            name: case.name.clone(),
                            strength: case.strength,
                            result: self.run_one(case),
                        };
                        if let Ok(mut results) = results.lock() {
                            results.push(result);
                        }
                    }
                });
            }
        });
        let mut entries = results.into_inner().unwrap_or_default();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Report { entries })
    }

    fn run_one(&self, case: &Case) -> Result<Outcome, Duration> {
        if case.duration() > self.longest {
            return Err(case.duration());
        }
        let mut pace = self.pace;
        if self.known.0.contains_key(&case.name) {
            pace.patience = pace.patience.min(Duration::from_secs(1));
        }
        Ok(match Program::start(&self.command, pace) {
            Ok(mut program) => run(case, &mut program),
            Err(broken) => Outcome::Failed {
                step: "start".to_owned(),
                line: 0,
                why: broken.0,
            },
        })
    }
}

/// What came of one case.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The case.
    pub name: String,
    /// What it means to fail it.
    pub strength: Strength,
    /// How it ended; `Err`: it was not run, since it would have taken so long.
    pub result: Result<Outcome, Duration>,
}

impl Entry {
    /// The word for how it ended.
    const fn word(&self) -> &'static str {
        match self.result {
            Ok(Outcome::Passed { .. }) => "passed",
            Ok(Outcome::Failed { .. }) => "failed",
            Ok(Outcome::Unsupported { .. }) => "not-applicable",
            Err(_) => "not-run",
        }
    }
}

/// What came of many cases.
#[derive(Clone, Debug)]
pub struct Report {
    /// By name.
    pub entries: Vec<Entry>,
}

impl Report {
    /// Where it is not what was known; empty if it is.
    #[must_use]
    pub fn differences(&self, known: &Known) -> Vec<String> {
        let mut differences = Vec::new();
        for entry in &self.entries {
            let expected = known.0.get(&entry.name).map_or("passed", String::as_str);
            if entry.word() != expected && entry.word() != "not-run" {
                let Entry { name, result, .. } = entry;
                let found = result
                    .as_ref()
                    .map_or_else(|_| String::new(), ToString::to_string);
                differences.push(format!(
                    "{name}: {} and not {expected}: {found}",
                    entry.word()
                ));
            }
        }
        let has = |name: &String| self.entries.iter().any(|entry| entry.name == *name);
        let unknown = known.0.keys().filter(|name| !has(name));
        differences.extend(unknown.map(|name| format!("{name}: there is no such case")));
        differences
    }
}

/// Everything that did not simply pass, and a table of all.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            match &entry.result {
                Ok(Outcome::Passed { not_observable: 0 }) => {}
                Ok(outcome) => writeln!(f, "{} ({}): {outcome}", entry.name, entry.strength)?,
                Err(duration) => {
                    let seconds = duration.as_secs();
                    writeln!(
                        f,
                        "{}: not run: takes {seconds} s, needs a virtual clock",
                        entry.name
                    )?;
                }
            }
        }
        writeln!(f)?;
        let words = ["passed", "failed", "not-applicable", "not-run"];
        write!(f, "{:8}", "")?;
        for word in words {
            write!(f, "{word:>16}")?;
        }
        writeln!(f)?;
        for strength in [Strength::Must, Strength::Should, Strength::Choice] {
            write!(f, "{strength:8}")?;
            for word in words {
                let of_both = |entry: &&Entry| entry.strength == strength && entry.word() == word;
                write!(f, "{:>16}", self.entries.iter().filter(of_both).count())?;
            }
            writeln!(f)?;
        }
        let partly = self.entries.iter().filter(|entry| {
            matches!(entry.result, Ok(Outcome::Passed { not_observable }) if not_observable > 0)
        });
        write!(
            f,
            "passed, but with steps that are not observable: {}",
            partly.count()
        )
    }
}

/// What is known of a client program: cases that do not pass.
#[derive(Clone, Debug, Default)]
pub struct Known(BTreeMap<String, String>);

impl Known {
    /// Reads a file of lines: `failed` or `not-applicable`, the name of a case, and why.
    ///
    /// # Errors
    /// What is wrong.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let mut known = BTreeMap::new();
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some(word @ ("failed" | "not-applicable")), Some(name), Some(_)) => {
                    if known.insert(name.to_owned(), word.to_owned()).is_some() {
                        return Err(format!("{name} comes twice"));
                    }
                }
                _ => return Err(format!("{}: {line:?} is not understood", path.display())),
            }
        }
        Ok(Self(known))
    }

    /// Forgets all cases but those that are `wanted`.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| wanted(name));
    }
}
