//! Makes a failing run as short as it gets: leaves out steps as long as the same promise is broken.

use crate::run;
use crate::settings::Plan;

/// How many runs the search may take.
const MOST_RUNS: usize = 3_000;

/// A plan of fewer steps that breaks the same promise. Gives the plan back as it is if that breaks
/// none.
#[must_use]
pub fn shrink(plan: &Plan) -> Plan {
    let Some(violation) = run(plan, false).violation else {
        return plan.clone();
    };
    let mut steps = steps(plan);
    let mut runs = 0;
    let mut chunk = steps.len().div_ceil(2);
    let still = |steps: &[usize]| {
        let smaller = with_steps(plan, steps);
        let found = run(&smaller, false).violation;
        found.is_some_and(|found| found.what == violation.what)
    };
    while chunk > 0 && runs < MOST_RUNS {
        let mut at = 0;
        let mut removed = false;
        while at < steps.len() && runs < MOST_RUNS {
            let end = (at + chunk).min(steps.len());
            let mut fewer = steps[..at].to_vec();
            fewer.extend_from_slice(&steps[end..]);
            runs += 1;
            if still(&fewer) {
                steps = fewer;
                removed = true;
            } else {
                at = end;
            }
        }
        if chunk > 1 {
            chunk /= 2;
        } else if !removed {
            break;
        }
    }
    with_steps(plan, &steps)
}

fn steps(plan: &Plan) -> Vec<usize> {
    match &plan.kept {
        Some(kept) => kept
            .iter()
            .flat_map(|(first, last)| *first..=*last)
            .collect(),
        None => (0..plan.steps).collect(),
    }
}

fn with_steps(plan: &Plan, steps: &[usize]) -> Plan {
    let mut kept: Vec<(usize, usize)> = Vec::new();
    for step in steps {
        match kept.last_mut() {
            Some((_, last)) if *last + 1 == *step => *last = *step,
            _ => kept.push((*step, *step)),
        }
    }
    Plan {
        kept: Some(kept),
        ..plan.clone()
    }
}

/// The steps of a plan as the command line has them: `3,7-9`.
#[must_use]
pub fn write_steps(kept: &[(usize, usize)]) -> String {
    let parts = kept.iter().map(|(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    });
    parts.collect::<Vec<_>>().join(",")
}

/// Reads what [`write_steps`] writes.
#[must_use]
pub fn read_steps(text: &str) -> Option<Vec<(usize, usize)>> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some((first.parse().ok()?, last.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_written_and_read() {
        let kept = vec![(3, 3), (7, 9)];
        assert_eq!(write_steps(&kept), "3,7-9");
        assert_eq!(read_steps("3,7-9"), Some(kept));
        assert_eq!(read_steps(""), Some(vec![]));
        assert_eq!(read_steps("x"), None);
    }
}
