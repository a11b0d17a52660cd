//! Clients for the tests, and what is asked of them again and again.

use std::sync::Arc;
use std::time::Duration;

use mqtt5_tokio::{
    Builder, Client, ConnectionInfo, ConnectionState, Message, Messages, Published, QoS,
    ReconnectPolicy, builder,
};

use crate::support::broker::Broker;
use crate::support::soon;

pub(crate) const EVERY_QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// A client over the link, that comes back at once when it is cut.
pub(crate) fn over_link(broker: &Broker, client_id: &'static str) -> Builder {
    of_url(&broker.url(), client_id)
}

/// A client whose link is never cut.
pub(crate) fn direct(broker: &Broker, client_id: &'static str) -> Builder {
    of_url(&broker.direct_url(), client_id)
}

fn of_url(url: &str, client_id: &'static str) -> Builder {
    builder(url)
        .unwrap()
        .client_id(client_id)
        .reconnect(ReconnectPolicy::fixed(Duration::from_millis(10)))
}

pub(crate) async fn connect(builder: Builder) -> Client {
    soon(builder.connect()).await.unwrap()
}

/// The next message of a stream that goes on.
pub(crate) async fn next(stream: &mut Messages) -> Message {
    soon(stream.next()).await.expect("the stream has ended")
}

/// The next message, which must have this payload.
pub(crate) async fn expect(stream: &mut Messages, payload: &str) -> Message {
    let message = next(stream).await;
    assert_eq!(String::from_utf8_lossy(message.payload()), payload);
    message
}

/// Publishes, and waits for the verdict, which must be good.
pub(crate) async fn publish(client: &Client, topic: &str, payload: &str, qos: QoS) {
    let publish = client.publish(topic, payload.to_owned()).qos(qos);
    let published = soon(publish).await.unwrap();
    assert_eq!(
        matches!(published, Published::Sent),
        qos == QoS::AtMostOnce,
        "{published:?}"
    );
}

/// Waits for the client's `number`th connection, or a later one.
pub(crate) async fn connection(client: &Client, number: u64) -> Arc<ConnectionInfo> {
    state(client, |state| match state {
        ConnectionState::Connected(info) if info.number >= number => Some(Arc::clone(info)),
        _ => None,
    })
    .await
}

/// Waits for a state of the client.
pub(crate) async fn state<T>(
    client: &Client,
    mut wanted: impl FnMut(&ConnectionState) -> Option<T>,
) -> T {
    let mut changes = client.state_changes();
    let mut state = client.state();
    loop {
        if let Some(found) = wanted(&state) {
            return found;
        }
        state = match soon(changes.changed()).await {
            Some(state) => state,
            None => panic!("the client is closed: {:?}", client.state()),
        };
    }
}
