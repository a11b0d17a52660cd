//! What the runner needs of a client: a pipe of bytes, someone to give instructions to, and time.

use std::time::Duration;

use crate::instruction::{Arguments, Instruction};

/// A client under test.
pub trait Client {
    /// What it tells beyond its bytes. What it does not tell is not judged.
    fn tells(&self) -> Tells;

    /// How much longer than what a case says its client may take.
    fn pace(&self) -> Pace;

    /// Tells it to do something.
    ///
    /// # Errors
    /// [`Broken`].
    fn instruct(&mut self, instruction: &Instruction) -> Result<Answer, Broken>;

    /// Writes bytes to it, as one piece.
    ///
    /// # Errors
    /// [`Broken`] if it is gone. That it has closed the connection is no error.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Broken>;

    /// What comes next from its connection, waiting for it until `deadline`.
    ///
    /// # Errors
    /// [`Broken`].
    fn listen(&mut self, deadline: Duration) -> Result<Heard, Broken>;

    /// What it tells next, waiting for it until `deadline`.
    ///
    /// # Errors
    /// [`Broken`].
    fn told(&mut self, deadline: Duration) -> Result<Option<Told>, Broken>;

    /// Breaks the connection. What was not read of it is lost.
    fn cut(&mut self);

    /// Lets time pass.
    fn wait(&mut self, time: Duration);

    /// The time since the start.
    fn now(&self) -> Duration;
}

/// What a client tells beyond its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tells {
    /// The messages that it gives to its user.
    pub deliveries: bool,
    /// What becomes of operations.
    pub verdicts: bool,
}

/// How much time a client has beside what a case says. Both are zero on a virtual clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// How long to wait for what is due.
    pub patience: Duration,
    /// How long nothing must come to be taken for silence.
    pub silence: Duration,
}

/// What a client answers to an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done, or under way.
    Done,
    /// The client does not do that: it is against the rules.
    Refused,
    /// The client has no way to do that; what it is that it cannot do.
    Unsupported(String),
}

/// What comes from a client's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A connection was opened; the one before is over.
    Opened,
    /// Bytes.
    Bytes(Vec<u8>),
    /// The client closed the connection.
    Closed,
    /// Nothing, until the deadline.
    Nothing,
}

/// What a client tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The connection was accepted; instructions may come.
    Connected,
    /// It gives its user a message.
    Delivered(Arguments),
    /// What became of an operation, in the words of the cases.
    Verdict {
        /// Which operation.
        name: String,
        /// What became of it.
        words: String,
    },
}

/// The client cannot be tested any more: it has ended, or talks nonsense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);
