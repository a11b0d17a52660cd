//! Runs a program beside a test broker, which ends with it:
//!
//! ```sh
//! cargo run -p mqtt5-testkit --example with_broker -- PROGRAM ARGUMENTS…
//! ```
//!
//! The program finds the broker by `MQTT_ADDRESS` (`127.0.0.1:PORT`) and `MQTT_URL` (`mqtt://…`).
//! Ends as the program does.

use std::error::Error;
use std::process::ExitCode;

use mqtt5_testkit::TestBroker;
use tokio::process::Command;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().ok_or("which program is to be run?")?;
    let broker = TestBroker::start().await?;
    let status = Command::new(program)
        .args(arguments)
        .env("MQTT_ADDRESS", broker.address().to_string())
        .env("MQTT_URL", broker.url())
        .kill_on_drop(true)
        .status()
        .await?;
    broker.shutdown().await;
    // A program that was ended by a signal has no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
