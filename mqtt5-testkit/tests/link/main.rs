//! The faulty link.

// Helpers of tests have no better way to fail one.
#![allow(clippy::unwrap_used, reason = "test support")]

mod faults;
mod scripts;
mod world;
