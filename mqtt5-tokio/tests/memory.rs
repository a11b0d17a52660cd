//! The client and the test broker without a socket between them.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use mqtt5_testkit::{Effect, TestBroker, When};
use mqtt5_tokio::proto::packet::PacketType;
use mqtt5_tokio::{QoS, ReconnectPolicy, over};

#[tokio::test]
async fn messages_of_every_qos_and_a_cut_within_an_exchange() {
    let broker = Arc::new(TestBroker::start().await.unwrap());
    let ours = Arc::clone(&broker);
    let client = over(move || ready(Ok(ours.open())))
        .reconnect(ReconnectPolicy::fixed(Duration::from_millis(10)));
    let test = async {
        let client = client.connect().await.unwrap();
        let mut socks = client.subscribe("socks").await.unwrap();
        // Half-way through the exchange of the last.
        broker.add_fault(When::received(PacketType::Pubrel), Effect::CutBefore);
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            client
                .publish("socks", format!("{qos:?}"))
                .qos(qos)
                .await
                .unwrap();
            let message = socks.next().await.unwrap();
            assert_eq!(message.payload(), format!("{qos:?}").as_bytes());
        }
        client.disconnect().await.unwrap();
        assert_eq!(
            broker.script(|broker, _| broker.count_received(PacketType::Connect)),
            2
        );
    };
    tokio::time::timeout(Duration::from_secs(30), test)
        .await
        .unwrap();
}
