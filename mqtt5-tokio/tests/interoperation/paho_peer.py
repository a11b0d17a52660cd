"""The other end, by Eclipse Paho: paho_peer.py URL [CA]; see main.rs for what it does."""

import sys
from urllib.parse import urlparse

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


def on_connect(client, _userdata, _flags, reason, _properties):
    assert not reason.is_failure, reason
    client.subscribe("to/peer", qos=2)


def on_subscribe(_client, _userdata, _mid, reasons, _properties):
    assert [reason.value for reason in reasons] == [2], reasons
    print("ready", flush=True)


def on_message(client, state, _message):
    message = _message
    properties = message.properties
    user = " ".join(f"{name}:{value}" for name, value in properties.UserProperty)
    fields = [
        message.qos,
        message.payload.decode(),
        properties.PayloadFormatIndicator,
        properties.ContentType,
        properties.ResponseTopic,
        properties.CorrelationData.decode(),
        user,
    ]
    print("|".join(map(str, fields)), flush=True)
    state["received"] += 1
    if state["received"] == 3:
        publish(client, state)


def publish(client, state):
    properties = Properties(PacketTypes.PUBLISH)
    properties.PayloadFormatIndicator = 1
    properties.MessageExpiryInterval = 1000
    properties.ContentType = "text/plain"
    properties.ResponseTopic = "answers"
    properties.CorrelationData = b"4711"
    properties.UserProperty = [("key one", "value one"), ("key", "two")]
    for qos in range(3):
        sent = client.publish("from/peer", f"qos {qos}", qos=qos, properties=properties)
        state["open"].add(sent.mid)


def on_publish(client, state, mid, reason, _properties):
    assert not reason.is_failure, reason
    state["open"].discard(mid)
    state["acknowledged"] += 1
    if state["acknowledged"] == 3:
        client.disconnect()


def main():
    url = urlparse(sys.argv[1])
    transport = "websockets" if url.scheme == "ws" else "tcp"
    state = {"received": 0, "open": set(), "acknowledged": 0}
    client = Client(
        CallbackAPIVersion.VERSION2, "peer", userdata=state, protocol=MQTTv5, transport=transport
    )
    client.on_connect = on_connect
    client.on_subscribe = on_subscribe
    client.on_message = on_message
    client.on_publish = on_publish
    if url.scheme == "mqtts":
        client.tls_set(ca_certs=sys.argv[2])
    client.connect(url.hostname, url.port)
    client.loop_forever(retry_first_connection=False)
    assert not state["open"] and state["acknowledged"] == 3, state


main()
