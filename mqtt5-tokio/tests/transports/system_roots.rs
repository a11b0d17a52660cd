//! A system that trusts nobody, such as a minimal container.
//!
//! Where its certificates are is told by the environment, which belongs to a whole process: a copy
//! of this program is started with one of its own, and runs the same test there.

use std::env;
use std::fs::DirBuilder;

use mqtt5_tokio::{ConnectError, RouteError, TlsOptions, TlsOptionsError, builder};
use tokio::process::Command;

use crate::certificates::Authority;
use crate::support::mosquitto::Directory;
use crate::support::{soon, within_limit};

const NAME: &str = "system_roots::a_system_that_trusts_nobody";

/// Tells the copy that it is one, and what its error has to name.
const EXPECTED: &str = "MQTT5_TEST_EXPECTED_REASON";

#[tokio::test]
async fn a_system_that_trusts_nobody() {
    within_limit(async {
        if let Ok(expected) = env::var(EXPECTED) {
            return trusts_nobody(&expected).await;
        }
        let directory = Directory::create();
        let absent = directory.file("absent.pem");
        let empty = directory.file("empty");
        DirBuilder::new().create(&empty).unwrap();
        for (variable, path, expected) in [
            ("SSL_CERT_FILE", absent, "absent.pem"),
            ("SSL_CERT_DIR", empty, ""),
        ] {
            let copy = Command::new(env::current_exe().unwrap())
                .args(["--exact", NAME])
                .env_remove("SSL_CERT_FILE")
                .env_remove("SSL_CERT_DIR")
                .env(variable, path)
                .env(EXPECTED, expected)
                .kill_on_drop(true)
                .output();
            let output = soon(copy).await.unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{variable}: {said}");
            // And not none, because it has another name now.
            assert!(said.contains("1 passed"), "{variable}: {said}");
        }
    })
    .await;
}

async fn trusts_nobody(expected: &str) {
    let secure = || builder("mqtts://localhost").unwrap();
    let error = soon(secure().connect()).await.unwrap_err();
    let ConnectError::Route(RouteError::Tls(TlsOptionsError::NoSystemRoots(reason))) = &error
    else {
        panic!("{error:?}");
    };
    assert!(reason.contains(expected), "{reason}");
    assert_eq!(reason.is_empty(), expected.is_empty(), "{reason}");
    let separator = if reason.is_empty() { "" } else { ": " };
    assert_eq!(
        error.to_string(),
        format!("TLS: the system has no certificates to trust{separator}{reason}")
    );
    // Who brings the authority does not need the system.
    let options = TlsOptions::new().roots_pem(Authority::new("home").pem);
    secure().tls(options).start().unwrap();
}
