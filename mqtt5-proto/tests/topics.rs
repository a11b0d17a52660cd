//! Topic names, topic filters, and which match.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test a panic is the verdict"
)]

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

use mqtt5_proto::codec::{DataTypeError, Utf8String};
use mqtt5_proto::topic::{FilterError, TopicError, matches};
use mqtt5_proto::{Topic, TopicFilter};
use proptest::prelude::*;

fn filter(filter: &str) -> TopicFilter {
    TopicFilter::new(filter).unwrap()
}

#[track_caller]
fn check(text: &str, yes: &[&str], no: &[&str]) {
    for topic in yes {
        assert!(filter(text).matches(topic), "{text} should match {topic}");
        assert!(naive(text, topic));
    }
    for topic in no {
        assert!(
            !filter(text).matches(topic),
            "{text} should not match {topic}"
        );
        assert!(!naive(text, topic));
    }
}

/// What section 4.7 says, as directly as can be: `#` level by level, by trying all.
fn naive(filter: &str, topic: &str) -> bool {
    fn levels(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            ([], []) | (["#"], _) => true,
            (["+", filter @ ..], [_, topic @ ..]) => levels(filter, topic),
            ([level, filter @ ..], [name, topic @ ..]) => level == name && levels(filter, topic),
            _ => false,
        }
    }
    let filter: Vec<_> = filter.split('/').collect();
    let topic: Vec<_> = topic.split('/').collect();
    let system = topic[0].starts_with('$');
    !(system && matches!(filter[0], "+" | "#")) && levels(&filter, &topic)
}

#[test]
fn which_topics_match() {
    check(
        "sport/#",
        &["sport", "sport/", "sport/a/b"],
        &["sports", "", "/sport", "Sport"],
    );
    check("#", &["a", "/", "a/b", "a/$b"], &["$SYS/x", "$"]);
    check("+", &["finance"], &["/finance", "$SYS", "a/b"]);
    check(
        "+/+",
        &["/finance", "a/b", "/"],
        &["finance", "$SYS/x", "a/b/c"],
    );
    check("/+", &["/finance", "/"], &["finance", "a/finance", "//"]);
    check("/+/x", &["//x", "/a/x"], &["/x"]);
    check(
        "a/+/b/#",
        &["a//b", "a/x/b", "a/x/b/c/d"],
        &["a/b", "a/x/c"],
    );
    check("+/#", &["a", "a/b", "/"], &["$SYS", "$SYS/a"]);
}

#[test]
fn edge_case_52_the_parent_level_is_included() {
    check("sport/#", &["sport"], &["spor"]);
    check("sport/tennis/#", &["sport/tennis"], &["sport"]);
}

#[test]
fn edge_case_53_a_single_level_may_be_empty_but_not_missing() {
    check("sport/+", &["sport/", "sport/x"], &["sport", "sport/x/y"]);
}

#[test]
fn edge_case_54_wildcards_at_the_start_leave_system_topics_alone() {
    check("#", &[], &["$SYS/x"]);
    check("+/x", &[], &["$SYS/x"]);
    check("+/monitor", &["a/monitor"], &["$SYS/monitor"]);
    check("$SYS/#", &["$SYS/x", "$SYS", "$SYS/a"], &["SYS/a"]);
    check("$SYS/+", &["$SYS/x"], &[]);
    check("/#", &["/$SYS"], &["$SYS"]);
}

#[test]
fn edge_case_50_filters_with_misplaced_wildcards() {
    for text in [
        "a#",
        "a/#/b",
        "#/a",
        "a/b#",
        "##",
        "#/",
        "a/#+",
        "$share/g/a#",
    ] {
        assert_eq!(
            TopicFilter::new(text),
            Err(FilterError::MultiLevelWildcard),
            "{text}"
        );
    }
    for text in ["a+", "+a/b", "a/+b", "++", "+a", "a/b+/c", "$share/g/a+"] {
        assert_eq!(
            TopicFilter::new(text),
            Err(FilterError::SingleLevelWildcard),
            "{text}"
        );
    }
    assert_eq!(TopicFilter::new(""), Err(FilterError::Empty));
    assert_eq!(
        TopicFilter::new("a\0"),
        Err(FilterError::String(DataTypeError::Nul))
    );
    for good in [
        "#",
        "a/#",
        "+",
        "+/a",
        "a/+/b",
        "+/+",
        "+/#",
        "/#",
        "a b/\u{e9}",
    ] {
        assert_eq!(filter(good).as_str(), good);
        assert_eq!(filter(good).has_wildcard(), good.contains(['+', '#']));
    }
}

#[test]
fn edge_case_51_empty_levels_are_levels() {
    let names = ["/", "//", "a//b", "a/", "a", "/a", "a/b"];
    for (index, name) in names.iter().enumerate() {
        let others: Vec<_> = names
            .iter()
            .copied()
            .filter(|other| other != name)
            .collect();
        check(name, &names[index..=index], &others);
        assert_eq!(Topic::new(name).unwrap(), Topic::from_static(name).unwrap());
    }
}

#[test]
fn edge_case_55_shared_subscriptions_that_are_none() {
    for text in [
        "$share/g",
        "$share/",
        "$share//a",
        "$share//t",
        "$share/+/a",
        "$share/#",
        "$share/a#/b",
        "$share/a+b/t",
    ] {
        assert_eq!(
            TopicFilter::new(text),
            Err(FilterError::ShareName),
            "{text}"
        );
    }
    assert_eq!(TopicFilter::new("$share/g/"), Err(FilterError::Empty));
}

#[test]
fn edge_cases_56_and_57_what_a_shared_subscription_matches() {
    for (text, name, rest) in [
        ("$share/g/a/b", "g", "a/b"),
        ("$share/g/#", "g", "#"),
        ("$share/g/+/x", "g", "+/x"),
        ("$share/g//finance", "g", "/finance"),
        ("$share/g//t", "g", "/t"),
        ("$share/g/$SYS/x", "g", "$SYS/x"),
        ("$share/$share/$share/a/b", "$share", "$share/a/b"),
    ] {
        let filter = filter(text);
        assert_eq!(filter.share_name(), Some(name));
        assert_eq!(filter.matched(), rest);
        assert_eq!(filter.as_str(), text);
    }
    let shared = filter("$share/g/a/+");
    assert!(shared.matches("a/b"));
    assert!(!shared.matches("$share/g/a/b"));
    assert!(!filter("$share/g/#").matches("$SYS/x"));
    assert!(filter("$share/g/a+b".replace("a+b", "ab").as_str()).matches("ab"));
    assert!(!filter("$share/g/a").has_wildcard());
}

#[test]
fn filters_that_only_look_shared() {
    for text in ["$share", "$shared/a/b", "$Share/g/a"] {
        let filter = filter(text);
        assert_eq!(filter.share_name(), None);
        assert_eq!(filter.matched(), text);
        assert!(filter.matches(text));
    }
}

#[test]
fn edge_case_48_topic_names_have_no_wildcards() {
    for name in ["+", "#", "a/+", "a#", "a/#/b"] {
        assert_eq!(Topic::new(name), Err(TopicError::Wildcard));
        assert_eq!(Topic::try_from(name.to_owned()), Err(TopicError::Wildcard));
        assert_eq!(name.parse::<Topic>(), Err(TopicError::Wildcard));
    }
    assert_eq!(Topic::new(""), Err(TopicError::Empty));
    assert_eq!(
        Topic::new("\0"),
        Err(TopicError::String(DataTypeError::Nul))
    );
    let empty = Utf8String::default();
    assert_eq!(Topic::try_from(empty), Err(TopicError::Empty));
}

#[test]
fn edge_case_61_topics_are_compared_byte_by_byte() {
    let composed = Topic::new("\u{e9}").unwrap();
    let decomposed = Topic::new("e\u{301}").unwrap();
    assert_ne!(composed, decomposed);
    assert!(!filter("\u{e9}").matches("e\u{301}"));
    assert!(!filter("a").matches("A"));
    assert_ne!(Topic::new("a"), Topic::new("a "));
}

/// What `Borrow<str>` promises to maps.
fn assert_borrows<T>(one: &T, other: &T)
where
    T: Borrow<str> + Eq + Ord + std::hash::Hash,
{
    let (a, b): (&str, &str) = (one.borrow(), other.borrow());
    assert_eq!(one == other, a == b);
    assert_eq!(one.cmp(other), a.cmp(b));
    let state = RandomState::new();
    assert_eq!(state.hash_one(one), state.hash_one(a));
}

#[test]
fn maps_with_topics_as_keys_are_asked_with_text() {
    let long = "long/".repeat(20);
    let keys = ["a", "b/c", &long];
    let hashed: HashMap<_, _> = keys
        .iter()
        .map(|key| (Topic::new(key).unwrap(), *key))
        .collect();
    let sorted: BTreeMap<_, _> = hashed.clone().into_iter().collect();
    for key in keys {
        assert_eq!(hashed.get(key), Some(&key));
        assert_eq!(sorted.get(key), Some(&key));
    }
    assert_eq!(hashed.get("c"), None);
}

/// All texts of up to `longest` letters.
fn all_texts(letters: &[&str], longest: usize) -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut shorter = 0..1;
    for _ in 0..longest {
        for index in shorter.clone() {
            for letter in letters {
                texts.push(texts[index].clone() + letter);
            }
        }
        shorter = shorter.end..texts.len();
    }
    texts
}

/// Sections 4.7.1 and 4.7.3: a wildcard fills its level, and `#` only the last.
fn is_naive_filter(filter: &str) -> bool {
    fn levels(filter: &[&str]) -> bool {
        match filter {
            [] | ["#"] => true,
            ["#", ..] => false,
            ["+", rest @ ..] => levels(rest),
            [level, rest @ ..] => !level.contains(['+', '#']) && levels(rest),
        }
    }
    !filter.is_empty() && levels(&filter.split('/').collect::<Vec<_>>())
}

#[test]
fn every_short_filter_matches_the_topics_that_the_standard_says() {
    let topics = all_texts(&["a", "b", "/", "$"], 5);
    let (mut valid, mut matched) = (0, 0);
    for text in all_texts(&["a", "/", "+", "#", "$"], 6) {
        let parsed = TopicFilter::new(&text);
        assert_eq!(parsed.is_ok(), is_naive_filter(&text), "{text}");
        let Ok(parsed) = parsed else {
            continue;
        };
        valid += 1;
        for topic in &topics {
            let expected = naive(&text, topic);
            assert_eq!(parsed.matches(topic), expected, "{text} and {topic}");
            matched += u32::from(expected);
        }
    }
    // Else the texts say little.
    assert!(valid > 1_000 && matched > 5_000, "{valid}, {matched}");
}

#[test]
fn every_short_text_behind_share_is_a_shared_subscription_or_refused() {
    let topics = all_texts(&["a", "/", "$"], 4);
    let mut shared = 0;
    for text in all_texts(&["a", "/", "+", "#", "$"], 5) {
        // Section 4.8.2: the name is one level without wildcards, a filter follows.
        let parts = text.split_once('/').filter(|(name, filter)| {
            !name.is_empty() && !name.contains(['+', '#']) && is_naive_filter(filter)
        });
        let parsed = TopicFilter::new(&format!("$share/{text}"));
        assert_eq!(parsed.is_ok(), parts.is_some(), "{text}");
        let (Ok(parsed), Some((name, filter))) = (parsed, parts) else {
            continue;
        };
        shared += 1;
        assert_eq!(parsed.share_name(), Some(name));
        assert_eq!(parsed.matched(), filter);
        assert_eq!(parsed.has_wildcard(), filter.contains(['+', '#']));
        for topic in &topics {
            assert_eq!(
                parsed.matches(topic),
                naive(filter, topic),
                "{text}, {topic}"
            );
        }
    }
    assert!(shared > 100, "{shared}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn matching_is_what_the_standard_says(
        filter in "(\\$?[ab]{0,2}|\\+|#)(/([ab]{0,1}|\\+|#)){0,4}",
        topic in "\\$?[ab]{0,2}(/[ab]{0,1}){0,4}",
    ) {
        let levels: Vec<_> = filter.split('/').collect();
        let misplaced = levels.iter().rev().skip(1).any(|level| *level == "#");
        match TopicFilter::new(&filter) {
            Err(error) => {
                let expected = if filter.is_empty() { FilterError::Empty } else { FilterError::MultiLevelWildcard };
                prop_assert_eq!(error, expected);
                prop_assert!(filter.is_empty() || misplaced);
            }
            Ok(parsed) => {
                prop_assert!(!misplaced);
                prop_assert_eq!(parsed.matches(&topic), naive(&filter, &topic));
                prop_assert_eq!(matches(&filter, &topic), naive(&filter, &topic));
                let shared = TopicFilter::new(&format!("$share/g/{filter}")).unwrap();
                prop_assert_eq!(shared.matches(&topic), naive(&filter, &topic));
            }
        }
    }

    #[test]
    fn any_text_is_a_filter_or_refused(text in "[\\$share/+#a\0]{0,12}") {
        if let Ok(filter) = TopicFilter::new(&text) {
            prop_assert_eq!(filter.as_str(), &text);
            prop_assert!(filter.as_str().ends_with(filter.matched()));
            prop_assert_eq!(filter.share_name().is_some(), text.starts_with("$share/"));
        }
        let topic = Topic::new(&text);
        prop_assert_eq!(topic.is_ok(), !text.is_empty() && !text.contains(['+', '#', '\0']));
    }

    #[test]
    fn strings_are_like_their_text(one in "[a-c]{0,2}|[^\0]{0,20}|[ab]{37,40}", other in "[a-c]{0,2}|[ab]{37,40}") {
        let (a, b) = (Utf8String::new(&one).unwrap(), Utf8String::new(&other).unwrap());
        assert_borrows(&a, &b);
        prop_assert_eq!(&a, one.as_str());
        prop_assert_eq!(a.to_string(), &one[..]);
        // However it came about and wherever it is kept.
        let taken = Utf8String::try_from(one.clone()).unwrap();
        prop_assert_eq!(&taken, &a);
        prop_assert_eq!(&Utf8String::try_from(bytes::Bytes::from(one.clone())).unwrap(), &a);
        let leaked = Utf8String::from_static(one.leak()).unwrap();
        assert_borrows(&leaked, &a);
        prop_assert_eq!(&leaked, &a);
    }
}
