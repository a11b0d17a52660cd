//! What has to work over every road.

use std::time::Duration;

use mqtt5_tokio::{Client, CloseReason, ConnectError, Failure, Published, QoS, TransportError};

use crate::support::soon;

/// Larger than any buffer on the way.
pub(crate) const LARGE: usize = 3 << 20;

/// Messages of every QoS there and back, with properties, a large one, and an orderly end.
pub(crate) async fn goes_both_ways(client: Client) {
    goes_both_ways_with(client, LARGE).await;
}

/// As [`goes_both_ways`], with a message of `large` bytes.
pub(crate) async fn goes_both_ways_with(client: Client, large: usize) {
    let mut socks = soon(client.subscribe("socks/#")).await.unwrap();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let published = soon(
            client
                .publish("socks/right", "missing")
                .qos(qos)
                .content_type("text/plain")
                .user_property("drawer", "top"),
        )
        .await
        .unwrap();
        assert_eq!(matches!(published, Published::Sent), qos == QoS::AtMostOnce);
        let message = soon(socks.next()).await.unwrap();
        assert_eq!(message.payload(), b"missing");
        assert_eq!(message.qos(), qos);
        assert_eq!(message.properties().content_type(), Some("text/plain"));
        let drawer = message.properties().user_properties().next();
        assert_eq!(drawer, Some(("drawer", "top")));
    }
    let large = bytes(large);
    let published = soon(
        client
            .publish("socks/many", large.clone())
            .qos(QoS::AtLeastOnce),
    );
    published.await.unwrap();
    let message = soon(socks.next()).await.unwrap();
    assert!(message.payload() == large, "{}", message.payload().len());
    soon(client.disconnect()).await.unwrap();
}

/// Bytes among which none can be lost unseen.
pub(crate) fn bytes(count: usize) -> Vec<u8> {
    (0..=250).cycle().take(count).collect()
}

/// The failure by which connecting ended.
pub(crate) fn failure(error: ConnectError) -> Failure {
    match error {
        ConnectError::Closed(CloseReason::Final(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

/// Has to fail by the road, and by nothing else.
#[track_caller]
pub(crate) fn transport_error(failure: &Failure) -> &TransportError {
    TransportError::of(failure).unwrap_or_else(|| panic!("{failure:?}"))
}

/// Far longer than any step takes, and far shorter than a test may: for what is to run into it.
pub(crate) const SHORT: Duration = Duration::from_secs(2);
