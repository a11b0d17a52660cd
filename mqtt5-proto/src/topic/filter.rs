use alloc::string::String;
use core::fmt;

use crate::codec::{DataTypeError, Utf8String, has_wildcard};

const SHARE: &str = "$share/";

/// A topic filter (sections 4.7 and 4.8): what a subscription asks for.
///
/// `+` stands for one level, `#` as the last level for any number of levels, the parent included.
/// `$share/{name}/{filter}` is a shared subscription.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter(Utf8String);

/// Why text cannot be a [`TopicFilter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The text, or the filter behind `$share/{name}/`, is empty (`4.7.3-1`, `4.8.2-2`).
    #[error("a topic filter has at least one character")]
    Empty,
    /// `#` is not the whole last level (`4.7.1-1`).
    #[error("`#` must be the whole last level of a topic filter")]
    MultiLevelWildcard,
    /// `+` is not a whole level (`4.7.1-2`).
    #[error("`+` must be a whole level of a topic filter")]
    SingleLevelWildcard,
    /// The name of the share is empty, holds a wildcard or is not followed by a filter
    /// (`4.8.2-1`, `4.8.2-2`).
    #[error("a shared subscription has the form $share/name/filter, with no wildcard in the name")]
    ShareName,
    /// The text cannot be a string of the protocol at all (`4.7.3-2`, `4.7.3-3`).
    #[error("not a string of the protocol: {0}")]
    String(#[from] DataTypeError),
}

/// A `TopicFilter` converts to itself without fail.
impl From<core::convert::Infallible> for FilterError {
    fn from(never: core::convert::Infallible) -> Self {
        match never {}
    }
}

impl TopicFilter {
    /// Checks and copies `filter`.
    ///
    /// # Errors
    /// [`FilterError`] if `filter` breaks a rule of section 4.7 or 4.8.
    pub fn new(filter: &str) -> Result<Self, FilterError> {
        check(filter.as_bytes())?;
        Ok(Self(Utf8String::new(filter)?))
    }

    #[inline]
    pub(crate) fn is_valid(filter: &[u8]) -> bool {
        check(filter).is_ok()
    }

    /// The filter as it stands in a SUBSCRIBE, `$share/{name}/` included. Costs a UTF-8 check;
    /// [`as_bytes`](Self::as_bytes) does not.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The bytes of the filter.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The name of the share, if the filter is of a shared subscription.
    #[must_use]
    pub fn share_name(&self) -> Option<&str> {
        let (name, _) = self.as_str().strip_prefix(SHARE)?.split_once('/')?;
        Some(name)
    }

    /// What topics are matched against: the filter without `$share/{name}/`.
    #[must_use]
    pub fn matched(&self) -> &str {
        let filter = self.as_str();
        shared_part(filter).map_or(filter, |(_, filter)| filter)
    }

    /// Whether the filter has a wildcard.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        self.matched()
            .bytes()
            .any(|byte| matches!(byte, b'+' | b'#'))
    }

    /// Whether messages with this topic name come by this filter.
    ///
    /// ```
    /// # use mqtt5_proto::TopicFilter;
    /// let filter = TopicFilter::new("sport/#")?;
    /// assert!(filter.matches("sport") && filter.matches("sport/tennis"));
    /// assert!(!filter.matches("sports"));
    /// # Ok::<(), mqtt5_proto::topic::FilterError>(())
    /// ```
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        self.matches_bytes(topic.as_bytes())
    }

    /// As [`matches`](Self::matches), for a topic name of which one has the bytes: no check of
    /// UTF-8 is needed to compare them.
    #[inline]
    #[must_use]
    pub fn matches_bytes(&self, topic: &[u8]) -> bool {
        let filter = self.as_bytes();
        let matched = match filter.strip_prefix(SHARE.as_bytes()) {
            Some(shared) => {
                let mut name_and_filter = shared.splitn(2, |byte| *byte == b'/');
                name_and_filter.nth(1).unwrap_or(filter)
            }
            None => filter,
        };
        matches_bytes(matched, topic)
    }
}

fn shared_part(filter: &str) -> Option<(&str, &str)> {
    filter.strip_prefix(SHARE)?.split_once('/')
}

/// Whether `topic` matches `filter`, a valid filter without `$share/{name}/`.
#[must_use]
pub fn matches(filter: &str, topic: &str) -> bool {
    matches_bytes(filter.as_bytes(), topic.as_bytes())
}

#[inline]
fn matches_bytes(filter: &[u8], topic: &[u8]) -> bool {
    // No wildcard is in a topic, so that this is a filter without any.
    filter == topic || matches_levels(filter, topic)
}

fn matches_levels(mut filter: &[u8], mut topic: &[u8]) -> bool {
    // A wildcard at the start leaves topics alone that start with `$` (`4.7.2-1`).
    if topic.first() == Some(&b'$') && matches!(filter.first(), Some(b'+' | b'#')) {
        return false;
    }
    loop {
        match filter {
            [b'#'] => return true,
            [b'+', rest @ ..] => {
                filter = rest;
                let level = topic.iter().position(|byte| *byte == b'/');
                topic = level.map_or(&[], |end| &topic[end..]);
            }
            _ => {
                while let ([a, filter_rest @ ..], [b, topic_rest @ ..]) = (filter, topic)
                    && a == b
                    && *a != b'/'
                {
                    filter = filter_rest;
                    topic = topic_rest;
                }
            }
        }
        (filter, topic) = match (filter, topic) {
            ([b'/', filter @ ..], [b'/', topic @ ..]) => (filter, topic),
            // `sport/#` takes in `sport` too.
            ([] | [b'/', b'#'], []) => return true,
            _ => return false,
        };
    }
}

#[inline]
fn check(filter: &[u8]) -> Result<(), FilterError> {
    let levels = match filter.strip_prefix(SHARE.as_bytes()) {
        None => filter,
        Some(shared) => {
            let Some(end) = shared.iter().position(|byte| *byte == b'/') else {
                return Err(FilterError::ShareName);
            };
            let (name, filter) = shared.split_at(end);
            if name.is_empty() || has_wildcard(name) {
                return Err(FilterError::ShareName);
            }
            &filter[1..]
        }
    };
    if levels.is_empty() {
        Err(FilterError::Empty)
    } else if has_wildcard(levels) {
        check_wildcards(levels)
    } else {
        Ok(())
    }
}

fn check_wildcards(levels: &[u8]) -> Result<(), FilterError> {
    let mut levels = levels.split(|byte| *byte == b'/').peekable();
    while let Some(level) = levels.next() {
        let whole = level.len() == 1;
        if level.contains(&b'#') && !(whole && levels.peek().is_none()) {
            return Err(FilterError::MultiLevelWildcard);
        }
        if level.contains(&b'+') && !whole {
            return Err(FilterError::SingleLevelWildcard);
        }
    }
    Ok(())
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl AsRef<str> for TopicFilter {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl TryFrom<&TopicFilter> for TopicFilter {
    type Error = FilterError;

    fn try_from(filter: &TopicFilter) -> Result<Self, FilterError> {
        Ok(filter.clone())
    }
}

impl TryFrom<&str> for TopicFilter {
    type Error = FilterError;

    fn try_from(filter: &str) -> Result<Self, FilterError> {
        Self::new(filter)
    }
}

impl TryFrom<&String> for TopicFilter {
    type Error = FilterError;

    fn try_from(filter: &String) -> Result<Self, FilterError> {
        Self::new(filter)
    }
}

impl TryFrom<String> for TopicFilter {
    type Error = FilterError;

    fn try_from(filter: String) -> Result<Self, FilterError> {
        check(filter.as_bytes())?;
        Ok(Self(Utf8String::try_from(filter)?))
    }
}

impl core::str::FromStr for TopicFilter {
    type Err = FilterError;

    fn from_str(filter: &str) -> Result<Self, FilterError> {
        Self::new(filter)
    }
}
