//! Runs the cases against a client program. The README of the crate says what such a program has
//! to do.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that reports to people"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use mqtt5_conformance::{Known, Strength, Suite, cases};

const USAGE: &str = "\
usage: conformance list [--cases FOLDER] [--strength WORD] [NAME…]
       conformance run --client COMMAND [--cases FOLDER] [--strength WORD] [--expected FILE]
                       [--jobs N] [--patience SECONDS] [--longest SECONDS] [NAME…]

Lists the cases whose name begins with one of the NAMEs, or runs them against a client program.
  --client    the program and its arguments, separated by spaces
  --cases     where the cases are; those of this crate unless given
  --strength  must, should (and must), or choice (all of them, unless given)
  --expected  what is known not to pass; anything else is an error, also what passes though it is
              known not to
  --jobs      how many cases run at a time; 8 unless given
  --patience  how long to wait for what is due; 10 unless given
  --longest   cases that take longer for their own sake are not run; 3 unless given";

const STRENGTHS: [Strength; 3] = [Strength::Must, Strength::Should, Strength::Choice];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let verb = arguments.next().unwrap_or_default();
    match Options::parse(arguments).and_then(|options| options.carry_out(&verb)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

struct Options {
    folder: PathBuf,
    suite: Suite,
    strength: Strength,
    expected: bool,
    names: Vec<String>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            folder: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/cases")),
            suite: Suite::new(Vec::new()),
            strength: Strength::Choice,
            expected: false,
            names: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            if !argument.starts_with("--") {
                options.names.push(argument);
                continue;
            }
            let value = arguments.next().ok_or(USAGE)?;
            let number = || {
                value
                    .parse::<u64>()
                    .map_err(|error| format!("{argument}: {error}"))
            };
            match argument.as_str() {
                "--client" => {
                    options.suite.command = value.split_whitespace().map(str::to_owned).collect();
                }
                "--cases" => options.folder = PathBuf::from(value),
                "--strength" => {
                    let found = STRENGTHS
                        .iter()
                        .find(|strength| strength.to_string() == value);
                    options.strength = *found.ok_or(USAGE)?;
                }
                "--expected" => {
                    options.suite.known = Known::read(value.as_ref())?;
                    options.expected = true;
                }
                "--jobs" => {
                    options.suite.jobs = usize::try_from(number()?).map_err(|e| e.to_string())?;
                }
                "--patience" => options.suite.pace.patience = Duration::from_secs(number()?),
                "--longest" => options.suite.longest = Duration::from_secs(number()?),
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(options)
    }

    fn carry_out(mut self, verb: &str) -> Result<bool, String> {
        let mut cases = cases(&self.folder).map_err(|error| error.to_string())?;
        let names = &self.names;
        let wanted =
            |case: &str| names.is_empty() || names.iter().any(|name| case.starts_with(name));
        cases.retain(|case| wanted(&case.name) && case.strength <= self.strength);
        self.suite.known.retain(wanted);
        match verb {
            "list" => {
                for case in &cases {
                    println!(
                        "{} ({}): {}",
                        case.name,
                        case.strength,
                        case.proves.join(", ")
                    );
                }
                println!("{} cases", cases.len());
                Ok(true)
            }
            "run" if !self.suite.command.is_empty() => {
                let report = self.suite.run(&cases).map_err(|broken| broken.0)?;
                println!("{report}");
                let differences = report.differences(&self.suite.known);
                if self.expected {
                    for difference in &differences {
                        println!("not as expected: {difference}");
                    }
                }
                Ok(differences.is_empty())
            }
            _ => Err(USAGE.to_owned()),
        }
    }
}
