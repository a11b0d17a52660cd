//! What the integration tests share.

// Each test binary compiles all of this and uses a part of it, and a helper
// that cannot do its work has no better way to fail a test than to panic.
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "test support"
)]

pub(crate) mod broker;
pub(crate) mod mosquitto;

use std::panic::Location;
use std::time::Duration;

/// How long one test may take: a hang is a failure with a name.
const LIMIT: Duration = Duration::from_secs(45);

/// How long one step may take. Far above what any needs, even on a loaded machine.
const STEP: Duration = Duration::from_secs(20);

/// Pause between two looks at a condition that cannot be waited for.
const POLL: Duration = Duration::from_millis(5);

/// Runs a test to its end, or fails it.
pub(crate) async fn within_limit(test: impl Future<Output = ()>) {
    let mut test = std::pin::pin!(test);
    // The test is still there when this panics: its broker sees that, and shows its log.
    if tokio::time::timeout(LIMIT, &mut test).await.is_err() {
        panic!("the test did not end within {LIMIT:?}");
    }
}

/// Waits for something that is to come soon, or fails the test and says where.
#[track_caller]
pub(crate) fn soon<F: IntoFuture>(future: F) -> impl Future<Output = F::Output> {
    let at = Location::caller();
    let future = future.into_future();
    async move {
        match tokio::time::timeout(STEP, future).await {
            Ok(output) => output,
            Err(_) => panic!("nothing came within {STEP:?} at {at}"),
        }
    }
}

/// Waits until a condition holds, or fails the test and says where.
#[track_caller]
pub(crate) fn until(mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let at = Location::caller();
    async move {
        let holds = async {
            while !condition() {
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(STEP, holds).await.is_err() {
            panic!("the condition did not hold within {STEP:?} at {at}");
        }
    }
}
