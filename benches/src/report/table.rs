//! The table.

use std::fmt::Write;

use super::{Outcome, Row};
use crate::work::Side;

/// The rows in Markdown.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let mut out = String::from(
        "| work | who | ns | × strict hand | × lax hand | allocations | target | |\n\
         |---|---|--:|--:|--:|--:|---|---|\n",
    );
    for row in rows {
        for (index, outcome) in row.outcomes.iter().enumerate() {
            let title = if index == 0 { row.title.as_str() } else { "" };
            line(&mut out, row, outcome, title);
        }
    }
    out
}

fn line(out: &mut String, row: &Row, outcome: &Outcome, title: &str) {
    let name = match outcome.side {
        Side::Ours => format!("**{}**", outcome.name),
        _ => outcome.name.to_owned(),
    };
    let ratio = |of: Option<f64>| {
        of.map_or(String::new(), |base| {
            format!("{:.2}", outcome.nanoseconds / base)
        })
    };
    let (strict, lax) = (ratio(row.best(Side::Strict)), ratio(row.best(Side::Lax)));
    let allocations = match outcome.allocations {
        Some((count, _)) if count < 0.005 => "0".to_owned(),
        Some((count, _)) => format!("{count:.2}"),
        None => String::new(),
    };
    let target = outcome.target.map_or(String::new(), |target| {
        let without = match target.allocations {
            Some(_) => ", 0 allocations",
            None => "",
        };
        format!("≤ {}{without}", target.ratio)
    });
    let met = match row.is_met(outcome) {
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "",
    };
    let time = number(outcome.nanoseconds);
    let _ = writeln!(
        out,
        "| {title} | {name} | {time} | {strict} | {lax} | {allocations} | {target} | {met} |"
    );
}

/// A number with as many digits as matter.
#[must_use]
pub fn number(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}
