"""The other end, by gmqtt: gmqtt_peer.py URL; see main.rs for what it does."""

import asyncio
import sys
from urllib.parse import urlparse

from gmqtt import Client
from gmqtt.mqtt.constants import MQTTv50

PROPERTIES = {
    "payload_format_id": 1,
    "message_expiry_interval": 1000,
    "content_type": "text/plain",
    "response_topic": "answers",
    "correlation_data": b"4711",
    "user_property": [("key one", "value one"), ("key", "two")],
}


async def main():
    url = urlparse(sys.argv[1])
    received = asyncio.Queue()

    def on_message(_client, _topic, payload, qos, properties):
        received.put_nowait((payload, qos, properties))
        return 0

    def on_subscribe(_client, _mid, granted, _properties):
        assert list(granted) == [2], granted
        print("ready", flush=True)

    client = Client("peer")
    client.set_config({"reconnect_retries": 0})
    client.on_message = on_message
    client.on_subscribe = on_subscribe
    await client.connect(url.hostname, url.port, version=MQTTv50)
    client.subscribe("to/peer", qos=2)

    for _ in range(3):
        payload, qos, properties = await received.get()
        user = " ".join(f"{name}:{value}" for name, value in properties["user_property"])
        correlation = properties["correlation_data"][0]
        fields = [
            qos,
            payload.decode(),
            properties["payload_format_id"][0],
            properties["content_type"][0],
            properties["response_topic"][0],
            correlation.decode() if isinstance(correlation, bytes) else correlation,
            user,
        ]
        print("|".join(map(str, fields)), flush=True)

    for qos in range(3):
        client.publish("from/peer", f"qos {qos}", qos=qos, **PROPERTIES)
    # The test says when it has them all: gmqtt does not tell of acknowledgements.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await client.disconnect()


asyncio.run(main())
