//! The broker against the command line clients of Mosquitto: a judge that knows nothing of our
//! codec.

// Helpers of tests have no better way to fail one.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test support"
)]

use std::ffi::OsStr;
use std::process::{Output, Stdio};
use std::time::Duration;

use mqtt5_proto::packet::PacketType;
use mqtt5_testkit::{Broker, Credentials, TestBroker};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(20);

fn spawn(program: &str, broker: &TestBroker, arguments: &[&str]) -> Child {
    Command::new(program)
        .args(["-V", "mqttv5", "-h", "127.0.0.1", "-p"])
        .arg(broker.port().to_string())
        .args(arguments.iter().map(OsStr::new))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "cannot run {program}: {error}. This test needs the clients of Mosquitto; \
                 on Debian or Ubuntu: sudo apt-get install mosquitto-clients"
            )
        })
}

async fn finish(child: Child) -> Output {
    timeout(DEADLINE, child.wait_with_output())
        .await
        .expect("the client did not come to its end")
        .unwrap()
}

async fn text(child: Child) -> String {
    let output = finish(child).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

async fn publish(broker: &TestBroker, arguments: &[&str]) {
    let gone = |broker: &Broker| broker.count_received(PacketType::Disconnect);
    let before = broker.script(|broker, _| gone(broker));
    text(spawn("mosquitto_pub", broker, arguments)).await;
    // What it sent may still be on its way.
    broker
        .wait_for(|broker| gone(broker) > before)
        .await
        .unwrap();
}

const FORMAT: &str = "%t q%q r%r %p %P %C";

#[tokio::test]
async fn messages_of_all_kinds() {
    let broker = TestBroker::start().await.unwrap();
    publish(&broker, &["-t", "a/retained", "-m", "0", "-r"]).await;
    let subscribe = ["-i", "s", "-t", "a/#", "-q", "2", "-C", "4", "-F", FORMAT];
    let subscriber = spawn("mosquitto_sub", &broker, &subscribe);
    broker
        .wait_for(|broker| broker.subscriptions("s").count() == 1)
        .await
        .unwrap();
    for qos in ["0", "1", "2"] {
        let topic = format!("a/{qos}");
        let property = ["-D", "publish", "user-property", "k", "v"];
        let kind = ["-D", "publish", "content-type", "text"];
        let message = ["-t", &topic, "-q", qos, "-m", qos];
        publish(&broker, &[&message[..], &property, &kind].concat()).await;
    }
    let lines = text(subscriber).await;
    let expected = [
        "a/retained q0 r1 0  ",
        "a/0 q0 r0 0 k:v text",
        "a/1 q1 r0 1 k:v text",
        "a/2 q2 r0 2 k:v text",
    ];
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
    // Every exchange came to its end.
    broker
        .wait_for(|broker| broker.count_received(PacketType::Pubcomp) == 1)
        .await
        .unwrap();
    broker.shutdown().await;
}

#[tokio::test]
async fn a_session_waits_for_its_client() {
    let broker = TestBroker::start().await.unwrap();
    let durable = ["-i", "s", "-c", "-x", "100", "-t", "a", "-q", "2"];
    let first = spawn("mosquitto_sub", &broker, &[&durable[..], &["-E"]].concat());
    text(first).await;
    for number in ["1", "2", "3"] {
        publish(&broker, &["-t", "a", "-q", "2", "-m", number]).await;
    }
    assert_eq!(broker.script(|broker, _| broker.queued("s")), 3);
    let again = [&durable[..], &["-C", "3"]].concat();
    let lines = text(spawn("mosquitto_sub", &broker, &again)).await;
    assert_eq!(lines, "1\n2\n3\n");
}

#[tokio::test]
async fn a_will_and_a_wrong_password() {
    let broker = TestBroker::start().await.unwrap();
    broker.configure(|config| config.credentials = Credentials::new().with_user("u", "p"));
    let wrong = ["-t", "a", "-m", "x", "-u", "u", "-P", "wrong"];
    let refused = finish(spawn("mosquitto_pub", &broker, &wrong)).await;
    assert!(!refused.status.success());

    let user = ["-u", "u", "-P", "p"];
    let watch = ["-i", "s", "-t", "will", "-C", "1"];
    let watcher = spawn("mosquitto_sub", &broker, &[&user[..], &watch].concat());
    let will = ["--will-topic", "will", "--will-payload", "bye"];
    let mortal = ["-i", "m", "-t", "other"];
    let all = [&user[..], &mortal, &will].concat();
    let mut mortal = spawn("mosquitto_sub", &broker, &all);
    broker
        .wait_for(|broker| {
            ["s", "m"]
                .iter()
                .all(|id| broker.subscriptions(id).count() == 1)
        })
        .await
        .unwrap();
    mortal.kill().await.unwrap();
    assert_eq!(text(watcher).await, "bye\n");
}
