//! What a `.case` file says. The format is described in the README of this crate.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::instruction::{Arguments, Instruction};
use crate::pattern::{self, Pattern};

/// One case: a trace, seen from the server's end of the connection.
#[derive(Clone, Debug)]
pub struct Case {
    /// The path of its file below the folder of the cases, without `.case`.
    pub name: String,
    /// The statements of the standard that it proves, as `3.3.4-7`, and rows of the list of edge
    /// cases, as `edge 132`.
    pub proves: Vec<String>,
    /// What it means to fail it.
    pub strength: Strength,
    /// The comment at its head.
    pub about: String,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// What it means to fail a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// The client breaks a rule of the standard.
    #[default]
    Must,
    /// The client does not do what the standard recommends.
    Should,
    /// The standard is silent, or leaves it open, and the client does not do what this project takes
    /// for the best.
    Choice,
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Must => "must",
            Self::Should => "should",
            Self::Choice => "choice",
        })
    }
}

/// A line of a case.
#[derive(Clone, Debug)]
pub struct Step {
    /// The number of the line.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What it says.
    pub action: Action,
}

/// What happens in a step.
#[derive(Clone, Debug)]
pub enum Action {
    /// The application tells the client to do something.
    Do(Instruction),
    /// The server sends packets.
    Send {
        /// The packets, in one write.
        packets: Vec<Pattern>,
        /// Whether every byte is written by itself.
        bytewise: bool,
    },
    /// The client sends these packets, in any order among them.
    Expect {
        /// The packets.
        packets: Vec<Pattern>,
        /// How long it may take; `None`: it is due.
        within: Option<Duration>,
    },
    /// Before the next that is expected this packet may come.
    May(Pattern),
    /// The client may close the connection at the end of the case.
    MayClose,
    /// The client closes the connection, and sends nothing before that.
    ExpectClosed {
        /// How long it may take; `None`: it is due.
        within: Option<Duration>,
        /// But for PINGREQs.
        pings: bool,
    },
    /// The client sends nothing and leaves the connection open.
    ExpectNothing {
        /// For so long.
        lasting: Duration,
    },
    /// Time passes. What the client sends in it waits to be expected.
    Wait(Duration),
    /// The connection breaks.
    Cut,
    /// The client gives its user this message.
    Delivered(Arguments),
    /// There is no message that the client gave its user and that was not expected.
    DeliveredNothing,
    /// The client tells its user what became of an operation.
    Verdict {
        /// Which operation.
        name: String,
        /// What became of it.
        words: String,
    },
}

/// Why a file is not a case.
#[derive(Debug)]
pub struct CaseError {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1; 0: the file as a whole.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            problem,
        } = self;
        write!(f, "{}:{line}: {problem}", path.display())
    }
}

impl std::error::Error for CaseError {}

/// All cases below `folder`, in the order of their names.
///
/// # Errors
/// [`CaseError`] if the folder cannot be read, or a file in it is not a case.
pub fn cases(folder: &Path) -> Result<Vec<Case>, CaseError> {
    let mut paths = Vec::new();
    collect(folder, &mut paths)?;
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
            let name = path.strip_prefix(folder).unwrap_or(path);
            let name = name.with_extension("").to_string_lossy().replace('\\', "/");
            Case::parse(&name, &text).map_err(|(line, problem)| CaseError {
                path: path.clone(),
                line,
                problem,
            })
        })
        .collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), CaseError> {
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        if path.is_dir() {
            collect(&path, paths)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "case")
        {
            paths.push(path);
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> CaseError {
    CaseError {
        path: path.to_owned(),
        line: 0,
        problem: error.to_string(),
    }
}

/// The number of a line, from 1 on, and what is wrong there.
type Problem = (usize, String);

impl Case {
    /// Reads a case.
    ///
    /// # Errors
    /// The number of the line, counted from 1, and what is wrong with it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problem> {
        let mut case = Self {
            name: name.to_owned(),
            proves: Vec::new(),
            strength: Strength::Must,
            about: String::new(),
            steps: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            case.add_line(line_number, line.trim())
                .map_err(|problem| (line_number, problem))?;
        }
        case.check_names()?;
        if case.proves.is_empty() {
            return Err((0, "there is no line `proves:`".to_owned()));
        }
        if case.steps.is_empty() {
            return Err((0, "there are no steps".to_owned()));
        }
        Ok(case)
    }

    fn add_line(&mut self, line_number: usize, line: &str) -> Result<(), String> {
        if let Some(comment) = line.strip_prefix('#') {
            if self.steps.is_empty() && self.proves.is_empty() {
                if !self.about.is_empty() {
                    self.about.push(' ');
                }
                self.about.push_str(comment.trim());
            }
            return Ok(());
        }
        if let Some(ids) = line.strip_prefix("proves:") {
            for id in ids.split(',').map(str::trim) {
                if !is_id(id) {
                    return Err(format!("{id:?} is no statement and no edge case"));
                }
                self.proves.push(id.to_owned());
            }
        } else if let Some(strength) = line.strip_prefix("strength:") {
            self.strength = match strength.trim() {
                "must" => Strength::Must,
                "should" => Strength::Should,
                "choice" => Strength::Choice,
                other => return Err(format!("no strength: {other:?}")),
            };
        } else if !line.is_empty() {
            for (text, action) in actions(line)? {
                self.steps.push(Step {
                    line: line_number,
                    text,
                    action,
                });
            }
        }
        Ok(())
    }

    /// Verdicts are about operations that there are, and identifiers are known where they are sent.
    fn check_names(&self) -> Result<(), Problem> {
        let mut operations = BTreeSet::from(["connection"]);
        let mut known = BTreeSet::new();
        for step in &self.steps {
            let problem = |problem: String| Err((step.line, problem));
            match &step.action {
                Action::Do(instruction) => {
                    if let Some(name) = &instruction.name
                        && !operations.insert(name)
                    {
                        return problem(format!("there is another operation {name}"));
                    }
                }
                Action::Verdict { name, .. } if !operations.contains(name.as_str()) => {
                    return problem(format!("there is no operation {name}"));
                }
                Action::Send { packets, .. } => {
                    let mut ids = packets.iter().flat_map(Pattern::ids);
                    if let Some(id) = ids.find(|id| !known.contains(id)) {
                        return problem(format!("<id {id}> has not come yet"));
                    }
                }
                Action::Expect { packets, .. } => {
                    known.extend(packets.iter().flat_map(Pattern::ids));
                }
                Action::May(packet) => known.extend(packet.ids()),
                _ => {}
            }
        }
        Ok(())
    }

    /// How long the case takes for its own sake, on a clock that cannot be put forward.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.steps
            .iter()
            .map(|step| match &step.action {
                Action::Expect { within, .. } | Action::ExpectClosed { within, .. } => {
                    within.unwrap_or_default()
                }
                Action::ExpectNothing { lasting } => *lasting,
                Action::Wait(duration) => *duration,
                _ => Duration::ZERO,
            })
            .sum()
    }

    /// Whether the client's PINGREQs are what the case is about. If not they are answered and
    /// passed over.
    #[must_use]
    pub fn tells_of_pings(&self) -> bool {
        self.steps.iter().any(|step| match &step.action {
            Action::Expect { packets, .. } => packets.iter().any(Pattern::is_pingreq),
            Action::May(packet) => packet.is_pingreq(),
            Action::ExpectClosed { pings, .. } => *pings,
            _ => false,
        })
    }
}

fn is_id(id: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(row) = id.strip_prefix("edge ") {
        return number(row);
    }
    id.rsplit_once('-').is_some_and(|(section, statement)| {
        number(statement) && section.split('.').count() == 3 && section.split('.').all(number)
    })
}

/// What a line says: one action, but for `connected`, which stands for three.
fn actions(line: &str) -> Result<Vec<(String, Action)>, String> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    let action = match verb {
        "connected" => {
            let lines = [
                &format!("do connect {rest}"),
                "expect CONNECT *",
                "send CONNACK 00 00 {}",
            ];
            let mut all = Vec::new();
            for line in lines {
                all.append(&mut actions(line.trim())?);
            }
            return Ok(all);
        }
        "do" => Action::Do(Instruction::parse(rest)?),
        "send" => Action::Send {
            packets: pattern::parse_all(rest, '|')?,
            bytewise: false,
        },
        "drip" => Action::Send {
            packets: pattern::parse_all(rest, '|')?,
            bytewise: true,
        },
        "expect" => expectation(rest)?,
        "may" if rest == "close" => Action::MayClose,
        "may" => Action::May(Pattern::parse(rest)?),
        "wait" => Action::Wait(duration(rest)?),
        "cut" if rest.is_empty() => Action::Cut,
        "delivered" if rest == "nothing" => Action::DeliveredNothing,
        "delivered" => Action::Delivered(Arguments::parse(rest)?),
        "verdict" => {
            let (name, words) = rest
                .split_once(' ')
                .ok_or("a verdict needs a name and words")?;
            Action::Verdict {
                name: name.to_owned(),
                words: words.trim().to_owned(),
            }
        }
        other => return Err(format!("no step: {other:?}")),
    };
    if let Action::Send { packets, .. } = &action
        && !packets.iter().all(Pattern::is_definite)
    {
        return Err("what is sent must be definite".to_owned());
    }
    Ok(vec![(line.to_owned(), action)])
}

fn expectation(text: &str) -> Result<Action, String> {
    if let Some(rest) = text.strip_prefix("nothing") {
        let lasting = match rest.trim() {
            "" => Duration::ZERO,
            rest => duration(
                rest.strip_prefix("for ")
                    .ok_or("expected `for` and a time")?,
            )?,
        };
        return Ok(Action::ExpectNothing { lasting });
    }
    let (what, within) = match text.rsplit_once(" within ") {
        Some((what, time)) => (what.trim(), Some(duration(time)?)),
        None => (text, None),
    };
    let pings = what == "closed or PINGREQ";
    if what == "closed" || pings {
        return Ok(Action::ExpectClosed { within, pings });
    }
    let packets = pattern::parse_all(what, '&')?;
    Ok(Action::Expect { packets, within })
}

fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let parsed = match text.strip_suffix("ms") {
        Some(millis) => millis.parse().map(Duration::from_millis).ok(),
        None => text
            .strip_suffix('s')
            .and_then(|seconds| seconds.parse().map(Duration::from_secs).ok()),
    };
    parsed.ok_or_else(|| format!("no time: {text:?}; times are written 30s and 500ms"))
}
