//! Counts the allocations of the rows whose names hold the first argument, or with `--memory` what
//! is held, with an allocator that counts; a program of its own, because counting takes time.

#![allow(clippy::print_stdout, reason = "the counts are its output")]

use std::any::Any;

use benches::work::Allocations;

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    if wanted == "--memory" {
        print!("{}", benches::memory::figures(held));
        return;
    }
    for work in benches::works() {
        if work.name.contains(&wanted) {
            print!("{}", benches::report::count(&work, count));
        }
    }
}

fn count(work: &mut dyn FnMut()) -> Allocations {
    let found = allocation_counter::measure(work);
    Allocations {
        count: found.count_total,
        bytes: found.bytes_total,
    }
}

fn held(work: &mut dyn FnMut() -> Box<dyn Any>) -> i64 {
    let mut kept = None;
    allocation_counter::measure(|| kept = Some(work())).bytes_current
}
