//! Every client process does every workload.

#![allow(clippy::panic, reason = "a test that cannot run its programs fails")]

use std::path::Path;
use std::process::Command;

use benches::clients::measured::{Workload, field};
use benches::clients::run::NullBroker;

const CLIENTS: [&str; 3] = [
    env!("CARGO_BIN_EXE_client_raw"),
    env!("CARGO_BIN_EXE_client_mqtt5"),
    env!("CARGO_BIN_EXE_client_rumqttc"),
];

fn run(client: &str, address: &str, workload: Workload, payload: &str, runtime: &str) {
    let output = Command::new(client)
        .args([address, workload.name(), "300", payload, runtime])
        .output()
        .unwrap_or_else(|error| panic!("{client}: {error}"));
    let told = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{client} {workload:?}: {complaints}"
    );
    assert_eq!(field(&told, "messages"), Some(300.0), "{told}");
    assert!(field(&told, "peak_kib") > Some(0.0), "{told}");
    if workload == Workload::Latency {
        assert!(field(&told, "p50_us") > Some(0.0), "{told}");
        assert!(field(&told, "p99_us") >= field(&told, "p50_us"), "{told}");
    }
}

#[test]
fn clients_do_every_workload() {
    let broker = NullBroker::start(Path::new(env!("CARGO_BIN_EXE_null_broker")), false);
    for workload in Workload::ALL {
        for client in CLIENTS {
            run(client, broker.address(), workload, "64", "current");
            run(client, broker.address(), workload, "64", "threads");
        }
    }
}

#[test]
fn clients_move_large_payloads() {
    let broker = NullBroker::start(Path::new(env!("CARGO_BIN_EXE_null_broker")), false);
    for workload in [Workload::Publish0, Workload::Receive0] {
        for client in CLIENTS {
            run(client, broker.address(), workload, "65536", "current");
        }
    }
}
