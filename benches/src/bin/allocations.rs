//! Counts the allocations of the rows whose names hold the first argument, with an allocator that
//! counts; a program of its own, because counting takes time.

#![allow(clippy::print_stdout, reason = "the counts are its output")]

use benches::work::Allocations;

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
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
