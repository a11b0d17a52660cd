//! Whole clients, each a process of its own, against a broker that is another.

pub mod measured;
pub mod run;
pub mod wire;
