//! Which filters match a topic (section 4.7), found level by level: the cost follows the levels of
//! the topic, not the number of filters.

use std::collections::HashMap;

use mqtt5_proto::TopicFilter;
use smallvec::{SmallVec, smallvec};

use crate::routes::RouteKey;

/// Filters of more levels are kept aside and looked at one by one, so that the tree, which is
/// dropped by recursion, stays flat.
const MAX_LEVELS: usize = 64;

/// What stands at one level, and below it.
#[derive(Debug, Default)]
struct Node {
    /// By name. Names come from the network too, so the hash withstands attack.
    levels: HashMap<Box<[u8]>, Self>,
    /// Behind `+`.
    any_level: Option<Box<Self>>,
    /// Whose filter ends here.
    here: Vec<RouteKey>,
    /// Whose filter goes on with `#`.
    all_below: Vec<RouteKey>,
}

impl Node {
    fn is_empty(&self) -> bool {
        self.levels.is_empty()
            && self.any_level.is_none()
            && self.here.is_empty()
            && self.all_below.is_empty()
    }
}

/// Filters, each with the route that it belongs to.
#[derive(Debug, Default)]
pub(crate) struct FilterTree {
    /// Those without a wildcard, by the one topic that they match.
    exact: HashMap<Box<[u8]>, SmallVec<[RouteKey; 1]>>,
    root: Node,
    deep: Vec<(TopicFilter, RouteKey)>,
}

fn is_exact(filter: &TopicFilter) -> bool {
    !filter
        .as_bytes()
        .iter()
        .any(|byte| matches!(byte, b'+' | b'#'))
}

fn is_deep(filter: &TopicFilter) -> bool {
    levels(filter.as_bytes()).nth(MAX_LEVELS).is_some()
}

/// The levels of a filter or a topic.
fn levels(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'/')
}

impl FilterTree {
    pub(crate) fn insert(&mut self, filter: &TopicFilter, route: RouteKey) {
        if is_exact(filter) {
            let topic = filter.matched().as_bytes().into();
            return self.exact.entry(topic).or_default().push(route);
        }
        if is_deep(filter) {
            return self.deep.push((filter.clone(), route));
        }
        let mut node = &mut self.root;
        for level in levels(filter.matched().as_bytes()) {
            node = match level {
                b"#" => return node.all_below.push(route),
                b"+" => node.any_level.get_or_insert_default(),
                name => node.levels.entry(name.into()).or_default(),
            };
        }
        node.here.push(route);
    }

    pub(crate) fn remove(&mut self, filter: &TopicFilter, route: RouteKey) {
        if is_exact(filter) {
            let topic = filter.matched().as_bytes();
            if let Some(routes) = self.exact.get_mut(topic) {
                routes.retain(|other| *other != route);
                if routes.is_empty() {
                    self.exact.remove(topic);
                }
            }
            return;
        }
        if is_deep(filter) {
            return self.deep.retain(|(_, other)| *other != route);
        }
        let filter = filter.matched();
        let levels: Vec<_> = levels(filter.as_bytes()).collect();
        // Bottom up, level by level, so that no branch stays without a leaf.
        for depth in (0..=levels.len()).rev() {
            let Some((above, below)) = levels.split_at_checked(depth) else {
                return;
            };
            let Some(node) = self.descend(above) else {
                continue;
            };
            match below.first() {
                None => node.here.retain(|other| *other != route),
                Some(&b"#") => node.all_below.retain(|other| *other != route),
                Some(&b"+") => node.any_level = node.any_level.take().filter(|n| !n.is_empty()),
                Some(&name) => {
                    if node.levels.get(name).is_some_and(Node::is_empty) {
                        node.levels.remove(name);
                    }
                }
            }
        }
    }

    fn descend(&mut self, levels: &[&[u8]]) -> Option<&mut Node> {
        let mut node = &mut self.root;
        for level in levels {
            node = match *level {
                b"#" => return None,
                b"+" => node.any_level.as_mut()?,
                name => node.levels.get_mut(name)?,
            };
        }
        Some(node)
    }

    /// Calls `found` for each route whose filter matches.
    pub(crate) fn matches(&self, topic: &[u8], mut found: impl FnMut(RouteKey)) {
        if let Some(routes) = self.exact.get(topic) {
            routes.iter().copied().for_each(&mut found);
        }
        if self.root.is_empty() && self.deep.is_empty() {
            return;
        }
        for (filter, route) in &self.deep {
            if filter.matches_bytes(topic) {
                found(*route);
            }
        }
        // A wildcard at the start leaves topics alone that start with `$` (`4.7.2-1`).
        let system = topic.first() == Some(&b'$');
        // Nodes, and what is left of the topic there.
        let mut open: SmallVec<[_; 8]> = smallvec![(&self.root, Some(topic))];
        while let Some((node, left)) = open.pop() {
            let starred = system && left.is_some_and(|left| left.len() == topic.len());
            if !starred {
                node.all_below.iter().copied().for_each(&mut found);
            }
            let Some(left) = left else {
                node.here.iter().copied().for_each(&mut found);
                continue;
            };
            let end = left.iter().position(|byte| *byte == b'/');
            let (level, rest) = match end {
                Some(end) => (&left[..end], Some(&left[end + 1..])),
                None => (left, None),
            };
            if let Some(below) = node.levels.get(level) {
                open.push((below, rest));
            }
            if let Some(below) = node.any_level.as_deref().filter(|_| !starred) {
                open.push((below, rest));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the definition, with filters and topics of few names, so that many match.
    #[test]
    fn finds_what_the_definition_says() {
        let mut state = 1u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        let mut text = |names: &[&str], last: &str| {
            let count = random(4) + 1;
            let levels: Vec<_> = (0..count)
                .map(|_| names[usize::try_from(random(5)).unwrap()])
                .collect();
            let mut text = levels.join("/");
            if random(3) == 0 {
                text.push_str(last);
            }
            if text.is_empty() {
                "a".to_owned()
            } else {
                text
            }
        };
        let (mut tree, mut filters) = (FilterTree::default(), Vec::new());
        for round in 0..3_000 {
            if round % 3 == 0 {
                let filter = text(&["a", "b", "+", "", "$x"], "/#");
                let filter = TopicFilter::new(&filter).unwrap();
                tree.insert(&filter, round);
                filters.push((filter, round));
            }
            if filters.len() > 40 {
                let (filter, route) = filters.remove(usize::try_from(round).unwrap() % 40);
                tree.remove(&filter, route);
            }
            let topic = text(&["a", "b", "c", "", "$x"], "/a");
            let mut found = Vec::new();
            tree.matches(topic.as_bytes(), |route| found.push(route));
            found.sort_unstable();
            let expected: Vec<_> = filters
                .iter()
                .filter(|(filter, _)| filter.matches(&topic))
                .map(|(_, route)| *route)
                .collect();
            assert_eq!(found, expected, "{topic}");
        }
        for (filter, route) in filters {
            tree.remove(&filter, route);
        }
        assert!(tree.root.is_empty(), "branches without leaves stay");
        assert!(tree.exact.is_empty(), "topics without routes stay");
    }

    #[test]
    fn a_filter_of_very_many_levels_is_found_and_forgotten() {
        let topic = "a/".repeat(30_000) + "a";
        let filter = TopicFilter::new(&topic.replacen('a', "+", 1)).unwrap();
        let mut tree = FilterTree::default();
        tree.insert(&filter, 1);
        tree.insert(&TopicFilter::new("a/#").unwrap(), 2);
        let found = |tree: &FilterTree| {
            let mut found = Vec::new();
            tree.matches(topic.as_bytes(), |route| found.push(route));
            found
        };
        assert_eq!(found(&tree), [1, 2]);
        tree.remove(&filter, 1);
        assert_eq!(found(&tree), [2]);
    }

    #[test]
    fn the_levels_above_a_number_sign_are_matched_too() {
        let mut tree = FilterTree::default();
        tree.insert(&TopicFilter::new("sport/#").unwrap(), 1);
        tree.insert(&TopicFilter::new("#").unwrap(), 2);
        tree.insert(&TopicFilter::new("$share/g/sport").unwrap(), 3);
        let found = |topic: &str| {
            let mut found = Vec::new();
            tree.matches(topic.as_bytes(), |route| found.push(route));
            found.sort_unstable();
            found
        };
        assert_eq!(found("sport"), [1, 2, 3]);
        assert_eq!(found("sport/tennis/1"), [1, 2]);
        assert_eq!(found("sports"), [2]);
        assert!(found("$SYS/sport").is_empty());
    }
}
