//! The rows of the table, by criterion: `cargo bench -p benches -- NAME`.

use std::time::Duration;

use benches::work::{Contender, Meter};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn rows(criterion: &mut Criterion) {
    for work in benches::works() {
        let mut group = criterion.benchmark_group(work.name);
        for mut contender in work.contenders.make() {
            group.throughput(Throughput::Elements(1));
            group.bench_function(contender.name, |bencher| {
                bencher.iter_custom(|items| time(&mut contender, items));
            });
        }
    }
}

/// The time of this many items, from as many runs as it takes.
fn time(contender: &mut Contender, items: u64) -> Duration {
    let runs = items.div_ceil(contender.items);
    let mut meter = Meter::timing();
    for _ in 0..runs {
        contender.run(&mut meter);
    }
    let measured = (runs * contender.items) as f64;
    meter.time.mul_f64(items as f64 / measured)
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = rows
}
criterion_main!(benches);
