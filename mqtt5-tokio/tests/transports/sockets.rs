//! Sockets below all else.

use mqtt5_tokio::{Culprit, builder, connect};

use crate::support::mosquitto::{Config, Directory, Mosquitto};
use crate::support::{soon, within_limit};
use crate::traffic::{failure, goes_both_ways};

#[cfg(unix)]
#[tokio::test]
async fn unix_socket() {
    within_limit(async {
        let directory = Directory::create();
        let path = directory.file("socket");
        let listener = format!("listener 0 {}", path.display());
        let _broker = Mosquitto::start(Config::new().line(&listener));
        // A name that Mosquitto could not be told.
        let link = directory.file("a socket");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for (path, url) in [(path, "unix:"), (link, "unix://")] {
            let url = format!("{url}{}", path.display()).replace(' ', "%20");
            goes_both_ways(soon(connect(&url)).await.unwrap()).await;
        }
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_that_is_not_there() {
    within_limit(async {
        let directory = Directory::create();
        let url = format!("unix:{}", directory.file("nobody").display());
        let failure = failure(soon(connect(&url)).await.unwrap_err());
        assert_eq!(failure.culprit(), Culprit::Network);
        assert!(failure.to_string().contains("No such file"), "{failure}");
    })
    .await;
}

#[tokio::test]
async fn a_name_that_nobody_has() {
    within_limit(async {
        // RFC 6761: never to be found.
        let builder = builder("mqtt://nobody.invalid").unwrap();
        let failure = failure(soon(builder.connect()).await.unwrap_err());
        assert_eq!(failure.culprit(), Culprit::Network);
    })
    .await;
}
