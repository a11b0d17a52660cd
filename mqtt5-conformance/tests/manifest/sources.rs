//! Which tests there are, by the text of their sources.

use std::collections::BTreeMap;
use std::path::Path;

/// How a function stands as a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    Runs,
    Conditional,
    Ignored,
    NoTest,
    NoFunction,
    NotBuilt,
    NoFile,
}

/// The functions of a source, and how each stands.
type Functions = BTreeMap<String, Standing>;

/// Sources, read once.
pub(crate) struct Sources<'a> {
    read: &'a dyn Fn(&str) -> Option<String>,
    known: BTreeMap<String, Result<Functions, Standing>>,
}

impl<'a> Sources<'a> {
    /// `read` gives the text of a file by its path in the workspace.
    pub(crate) fn new(read: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            read,
            known: BTreeMap::new(),
        }
    }

    fn functions(&mut self, path: &str) -> &Result<Functions, Standing> {
        let read = self.read;
        self.known
            .entry(path.to_owned())
            .or_insert_with(|| match read(path) {
                None => Err(Standing::NoFile),
                Some(_) if !is_built(path, read) => Err(Standing::NotBuilt),
                Some(text) => Ok(functions(&text)),
            })
    }

    pub(crate) fn look_up(&mut self, path: &str, function: &str) -> Standing {
        match self.functions(path) {
            Err(standing) => *standing,
            Ok(functions) => functions
                .get(function)
                .copied()
                .unwrap_or(Standing::NoFunction),
        }
    }

    /// Whether a test that runs begins like this.
    pub(crate) fn has_test_like(&mut self, path: &str, start: &str) -> bool {
        self.functions(path).as_ref().is_ok_and(|functions| {
            functions
                .iter()
                .any(|(name, standing)| name.starts_with(start) && *standing == Standing::Runs)
        })
    }
}

/// The names of the tests in all sources below a folder.
pub(crate) fn tests_below(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(tests_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let functions = functions(&std::fs::read_to_string(&path).unwrap());
            let tests = functions
                .into_iter()
                .filter(|(_, standing)| *standing == Standing::Runs);
            names.extend(tests.map(|(name, _)| name));
        }
    }
    names
}

/// Whether cargo makes a test of this file: one that lies in `tests`, or is a module of a folder
/// there whose `main.rs` says so, or belongs to the crate itself.
fn is_built(path: &str, read: &dyn Fn(&str) -> Option<String>) -> bool {
    match path.split('/').collect::<Vec<_>>()[..] {
        [_, "tests", file] => file.ends_with(".rs"),
        [_, "tests", _, "main.rs"] | [_, "src", ..] => true,
        [krate, "tests", folder, file] => {
            let main = read(&format!("{krate}/tests/{folder}/main.rs")).unwrap_or_default();
            let module = file.trim_end_matches(".rs");
            let wanted = format!("mod {module};");
            bare(&main).lines().any(|line| line.trim() == wanted)
        }
        _ => false,
    }
}

/// The functions of a source. A test of a `macro` like `on_both_brokers! { name, }` counts by its
/// name; where a name is there twice, the better one counts.
pub(crate) fn functions(source: &str) -> Functions {
    let text = bare(source);
    let mut functions = Functions::new();
    let mut add = |name: &str, standing: Standing| {
        let entry = functions.entry(name.to_owned()).or_insert(standing);
        *entry = standing.min(*entry);
    };
    let mut attributes: Vec<String> = Vec::new();
    let mut rest = text.as_str();
    loop {
        rest = rest.trim_start();
        if let Some(inside) = rest.strip_prefix("#[") {
            let (attribute, behind) = inside.split_at(closing(inside, '[', ']'));
            attributes.push(attribute.split_whitespace().collect());
            rest = behind.get(1..).unwrap_or_default();
            continue;
        }
        let (word, behind) = rest.split_at(word_length(rest));
        rest = behind;
        match word {
            "" => match rest.chars().next() {
                None => return functions,
                Some(other) => {
                    rest = &rest[other.len_utf8()..];
                    attributes.clear();
                }
            },
            "pub" => {
                if let Some(inside) = rest.trim_start().strip_prefix('(') {
                    rest = &inside[closing(inside, '(', ')')..];
                    rest = rest.get(1..).unwrap_or_default();
                }
            }
            "async" | "const" => {}
            "fn" => {
                rest = rest.trim_start();
                let (name, behind) = rest.split_at(word_length(rest));
                rest = behind;
                if !name.is_empty() {
                    add(name, standing(&attributes));
                }
                attributes.clear();
            }
            "on_both_brokers" => {
                attributes.clear();
                let list = rest.trim_start().strip_prefix('!');
                let list = list.and_then(|list| list.trim_start().strip_prefix('{'));
                if let Some(list) = list {
                    let (names, behind) = list.split_at(closing(list, '{', '}'));
                    rest = behind;
                    for name in names.split(',').map(str::trim) {
                        if !name.is_empty() {
                            add(name, Standing::Runs);
                        }
                    }
                }
            }
            _ => attributes.clear(),
        }
    }
}

fn standing(attributes: &[String]) -> Standing {
    let any = |wanted: fn(&str) -> bool| attributes.iter().any(|attribute| wanted(attribute));
    if !any(|attribute| attribute == "test" || attribute.starts_with("tokio::test")) {
        Standing::NoTest
    } else if any(|attribute| attribute == "ignore" || attribute.starts_with("ignore=")) {
        Standing::Ignored
    } else if any(|attribute| attribute.starts_with("cfg")) {
        Standing::Conditional
    } else {
        Standing::Runs
    }
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

/// Where the bracket that was opened before `text` is closed.
fn closing(text: &str, open: char, close: char) -> usize {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        depth += i32::from(c == open) - i32::from(c == close);
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// A source without its comments and without what its strings and characters say.
fn bare(source: &str) -> String {
    let mut out = String::new();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment_length(rest)
        } else if c == '"' {
            let hashes = out.len() - out.trim_end_matches('#').len();
            let raw = out[..out.len() - hashes].ends_with('r');
            out.push(' ');
            if raw {
                let end = format!("\"{}", "#".repeat(hashes));
                1 + rest[1..].find(&end).unwrap_or(rest.len() - 1 - end.len()) + end.len()
            } else {
                literal_length(rest, '"')
            }
        } else if c == '\'' && is_character(rest) {
            out.push(' ');
            literal_length(rest, '\'')
        } else {
            out.push(c);
            c.len_utf8()
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

/// Comments of several lines can hold others.
fn comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// Not a lifetime.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    chars.next() == Some('\\') || chars.next() == Some('\'')
}

fn literal_length(text: &str, quote: char) -> usize {
    let mut escaped = true;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}
