//! The tables in the README of the tests of behaviour: what a row names has to be there.

use crate::checks::Problems;
use crate::sources::Sources;

/// Rows of the table of lessons: as many as there are lessons.
pub(crate) const LESSONS: usize = 34;

/// `table` is the text, `folder` where it lies; `unit_tests` are names that stand without a file.
pub(crate) fn check(
    table: &str,
    folder: &str,
    sources: &mut Sources<'_>,
    unit_tests: &[String],
) -> Problems {
    let mut problems = Problems::new();
    let (lessons, promises) = sections(table);
    if lessons.len() != LESSONS {
        problems.push(format!("{} lessons instead of {LESSONS}", lessons.len()));
    }
    for (behaviour, named) in lessons.into_iter().chain(promises) {
        let names: Vec<_> = named.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            problems.push(format!("{behaviour}: no test"));
        }
        for name in names {
            if !exists(name, folder, sources, unit_tests) {
                problems.push(format!("{behaviour}: there is no test {name}"));
            }
        }
    }
    problems
}

/// A behaviour, and the cell that names its tests.
type Row<'a> = (&'a str, &'a str);

/// The rows of the lessons and those of the promises, without the heads of the tables.
fn sections(text: &str) -> (Vec<Row<'_>>, Vec<Row<'_>>) {
    let behind = |heading: &str| text.split_once(heading).map_or("", |(_, behind)| behind);
    let lessons = behind("\n## Lessons\n");
    let lessons = lessons.split("\n## ").next().unwrap_or_default();
    (rows(lessons), rows(behind("\n## Promises\n")))
}

fn rows(text: &str) -> Vec<Row<'_>> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .filter_map(|line| line.split_once(" | "))
        .filter(|(first, _)| !matches!(*first, "behaviour" | "promise"))
        .collect()
}

/// A file of the folder; a test of it, or of the core; a unit test; or the crate that one is in.
fn exists(name: &str, folder: &str, sources: &mut Sources<'_>, unit_tests: &[String]) -> bool {
    if name.starts_with("mqtt5-") {
        return true;
    }
    if name.ends_with(".rs") {
        return sources.has_test_like(&format!("{folder}/{name}"), "");
    }
    let Some((module, test)) = name.split_once("::") else {
        return unit_tests.iter().any(|known| known == name);
    };
    let paths = [folder, "mqtt5-proto/tests"].map(|folder| format!("{folder}/{module}.rs"));
    paths.iter().any(|path| match test.strip_suffix('…') {
        Some(start) => sources.has_test_like(path, start),
        None => sources.look_up(path, test) == crate::sources::Standing::Runs,
    })
}
