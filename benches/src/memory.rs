//! What is held: by a session, and for each message in flight.

use std::any::Any;
use std::hint::black_box;

use bytes::Bytes;
use mqtt5_proto::{Session, Topic};

use crate::rounds::{connected_session, holders};

/// How many bytes stay allocated after `work`, and what it returns is kept until then.
pub type CountHeld = fn(&mut dyn FnMut() -> Box<dyn Any>) -> i64;

/// The figures, one to a line: what, who, bytes, and the most that they should be or nothing.
#[must_use]
pub fn figures(held: CountHeld) -> String {
    let mut lines = String::new();
    let mut line = |what: &str, who: &str, bytes: f64, target: &str| {
        lines += &format!("{what}\t{who}\t{bytes:.1}\t{target}\n");
    };
    let idle = held(&mut || Box::new(connected_session())) as f64;
    // The box in which it is returned is the session itself.
    line("idle session with a connection", "ours", idle, "2048");
    let before = resident();
    let sessions: Vec<Session> = (0..10_000).map(|_| connected_session()).collect();
    let each = (resident() - before) * 1024.0 / 10_000.0;
    black_box(&sessions);
    line(
        "each of 10,000 idle sessions, as memory of the process",
        "ours",
        each,
        "",
    );
    drop(sessions);
    for messages in [100, 10_000, 65_535] {
        for (name, hold) in holders() {
            let of = |messages| held(&mut || hold(messages)) as f64;
            let each = (of(messages) - of(0)) / messages as f64;
            let what = format!("each of {messages} messages of QoS 1 in flight");
            line(&what, name, each, "");
            if name == "ours" {
                let message = size_of::<Topic>() + size_of::<Bytes>();
                let what = "the same, beside topic and payload";
                line(what, name, each - message as f64, "96");
            }
        }
    }
    for (name, hold) in holders() {
        let nothing = held(&mut || hold(0)) as f64;
        line("a session with nothing in flight", name, nothing, "");
    }
    lines
}

/// Of this process, in KiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0.0)
}

/// What [`figures`] found, in Markdown.
#[must_use]
pub fn markdown(lines: &str) -> String {
    let mut out = String::from("| what | who | bytes | target | |\n|---|---|--:|--:|---|\n");
    for line in lines.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [what, who, bytes, target] = fields.as_slice() else {
            continue;
        };
        let (target, met) = match (bytes.parse::<f64>(), target.parse::<f64>()) {
            (Ok(bytes), Ok(most)) if bytes <= most => (format!("≤ {target}"), "met"),
            (Ok(_), Ok(_)) => (format!("≤ {target}"), "**missed**"),
            _ => (String::new(), ""),
        };
        let who = if *who == "ours" { "**ours**" } else { who };
        out += &format!("| {what} | {who} | {bytes} | {target} | {met} |\n");
    }
    out
}
