//! The end of a client by the end of its runtime, which not every runtime has.

use mqtt5_proto::packet::PacketType;
use mqtt5_testkit::{Effect, TestBroker, When};
use mqtt5_tokio::{
    CloseReason, ConnectionState, DisconnectError, PublishError, QoS, StreamEnd, SubscribeError,
    builder,
};

use crate::support::{soon, within_limit};

const QOS1: QoS = QoS::AtLeastOnce;

/// The runtime of a client goes while another one, and its tasks, wait for the client.
#[test]
fn a_dropped_runtime_ends_everything() {
    let ours = tokio::runtime::Runtime::new().unwrap();
    let theirs = tokio::runtime::Runtime::new().unwrap();
    ours.block_on(within_limit(async {
        let broker = TestBroker::start().await.unwrap();
        let small = builder(&broker.url()).unwrap().outbound_messages(3);
        let connecting = theirs.spawn(small.connect());
        let client = soon(connecting).await.unwrap().unwrap();
        let mut stream = soon(client.subscribe("t")).await.unwrap();
        for packet_type in [
            PacketType::Publish,
            PacketType::Subscribe,
            PacketType::Unsubscribe,
        ] {
            broker.add_fault(When::received(packet_type).always(), Effect::Drop);
        }
        let enqueue = |qos| client.publish("t", "x").qos(qos).try_enqueue().unwrap();
        let (first, second) = (enqueue(QOS1), enqueue(QoS::ExactlyOnce));
        let third = enqueue(QOS1);

        // All of these wait, in tasks of their own, when the driver is dropped.
        let handle = client.clone();
        let publishing = tokio::spawn(async move { handle.publish("t", "full").qos(QOS1).await });
        let handle = client.clone();
        let reserving = tokio::spawn(async move { handle.reserve().await.map(drop) });
        let handle = client.clone();
        let subscribing = tokio::spawn(async move { handle.subscribe("u").await.map(drop) });
        let handle = client.clone();
        let disconnecting = {
            let mut changes = client.state_changes();
            tokio::spawn(async move {
                let _keep = handle;
                changes.changed().await
            })
        };
        let receiving = tokio::spawn(async move {
            let end = stream.next().await.is_none();
            (end, stream.end_reason())
        });
        let completing = tokio::spawn(second);
        let sent = |broker: &mqtt5_testkit::Broker| {
            broker.count_received(PacketType::Publish) == 3
                && broker.count_received(PacketType::Subscribe) == 2
        };
        broker.wait_for(sent).await.unwrap();
        theirs.shutdown_background();

        for completion in [first, third] {
            let error = soon(completion).await.unwrap_err();
            assert!(
                matches!(error, PublishError::Unknown { message: Some(_) }),
                "{error:?}"
            );
        }
        let error = soon(completing).await.unwrap().unwrap_err();
        assert!(
            matches!(error, PublishError::Unknown { message: Some(_) }),
            "{error:?}"
        );
        let error = soon(publishing).await.unwrap().unwrap_err();
        let dropped = |reason: &CloseReason| matches!(reason, CloseReason::DriverDropped);
        let PublishError::Closed { reason, message } = &error else {
            panic!("{error:?}");
        };
        assert!(dropped(reason) && message.payload == "full", "{error:?}");
        assert!(dropped(&soon(reserving).await.unwrap().unwrap_err()));
        let error = soon(subscribing).await.unwrap().unwrap_err();
        assert!(
            matches!(&error, SubscribeError::Closed(reason) if dropped(reason)),
            "{error:?}"
        );
        let state = soon(disconnecting).await.unwrap().unwrap();
        assert!(
            matches!(&state, ConnectionState::Closed(reason) if dropped(reason)),
            "{state:?}"
        );
        let (ended, reason) = soon(receiving).await.unwrap();
        assert!(ended, "{reason:?}");
        assert!(matches!(&reason, Some(StreamEnd::Closed(reason)) if dropped(reason)));

        // Afterwards everything is answered at once.
        let error = soon(client.publish("t", "x")).await.unwrap_err();
        assert!(matches!(error, PublishError::Closed { .. }), "{error:?}");
        assert!(soon(client.subscribe("t")).await.is_err());
        assert!(soon(client.connected()).await.is_err());
        let error = soon(client.disconnect()).await.unwrap_err();
        assert!(
            matches!(&error, DisconnectError::Closed(reason) if dropped(reason)),
            "{error:?}"
        );
    }));
}
