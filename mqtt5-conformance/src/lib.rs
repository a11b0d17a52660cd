//! Conformance cases for MQTT 5 clients, as data, and a runner that needs only a byte pipe.
//!
//! A [`Case`] is a trace seen from the server: bytes to the client, patterns for the bytes from the
//! client, time, and instructions to the client in plain words. [`run`] plays one against a
//! [`Client`]: anything that takes bytes and gives bytes. [`Program`] is a client in a process of
//! its own, over TCP, told what to do on its standard input; the program `conformance` runs the
//! cases against one.
//!
//! The README of this crate describes the format of the cases and what an adapter for another
//! client has to do.

mod case;
mod client;
mod instruction;
mod limits;
mod pattern;
mod program;
mod runner;
mod suite;
mod wire;

pub use case::{Action, Case, CaseError, Step, Strength, cases};
pub use client::{Answer, Broken, Client, Heard, Pace, Tells, Told};
pub use instruction::{Arguments, Instruction, Verb, bytes};
pub use pattern::Pattern;
pub use program::Program;
pub use runner::{Outcome, run};
pub use suite::{Entry, Known, Report, Suite};
