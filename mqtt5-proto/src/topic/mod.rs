//! Topic names and topic filters (MQTT 5.0 sections 4.7 and 4.8).

mod filter;
mod name;

pub use filter::{FilterError, TopicFilter, matches};
pub use name::{Topic, TopicError};
