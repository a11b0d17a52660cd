#!/usr/bin/env python3
"""Eclipse Paho for Python as a client under test; see "An adapter" in the README.

Needs paho-mqtt 2. Runs Paho's event loop by hand, in one thread, so that an instruction is
carried out before it is answered.
"""

import os
import select
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import MQTTException, Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions


class Unsupported(Exception):
    """Paho has no way to do that."""


def say(*words):
    print(*words, flush=True)


def value_bytes(value):
    if value.startswith("size:"):
        return b"x" * int(value[5:])
    return bytes.fromhex(value[4:]) if value.startswith("hex:") else value.encode()


def plain_or_hex(data):
    if all(0x21 <= byte <= 0x7E for byte in data) and data != b"-" and data[:4] != b"hex:" and data[:5] != b"size:":
        return data.decode()
    return "hex:" + data.hex().upper()


def text(value):
    return value_bytes(value).decode()


def code_word(reason_code):
    return f"0x{reason_code.value:02X}"


class Arguments:
    def __init__(self, words):
        self.pairs = [tuple(word.split("=", 1)) for word in words]

    def all(self, key):
        return [value for known, value in self.pairs if known == key]

    def get(self, key, convert=str, default=None):
        values = self.all(key)
        return convert(values[0]) if values else default

    def number(self, key, default=None):
        return self.get(key, lambda value: int(value, 0), default)

    def properties(self, packet_type, names):
        """Paho's properties of a packet, from the arguments that are there."""
        properties = Properties(packet_type)
        for key, (name, convert) in names.items():
            for value in self.all(key):
                setattr(properties, name, convert(value))
        return properties


def user_property(value):
    return tuple(value.split(":", 1))


CONNECT_PROPERTIES = {
    "session_expiry": ("SessionExpiryInterval", int),
    "receive_maximum": ("ReceiveMaximum", int),
    "maximum_packet_size": ("MaximumPacketSize", int),
    "topic_alias_maximum": ("TopicAliasMaximum", int),
    "request_problem_information": ("RequestProblemInformation", int),
    "request_response_information": ("RequestResponseInformation", int),
}
PUBLISH_PROPERTIES = {
    "payload_format": ("PayloadFormatIndicator", int),
    "message_expiry": ("MessageExpiryInterval", int),
    "content_type": ("ContentType", text),
    "response_topic": ("ResponseTopic", text),
    "correlation_data": ("CorrelationData", value_bytes),
    "user_property": ("UserProperty", user_property),
}


class Adapter:
    def __init__(self):
        self.client = None
        # Operations by Packet Identifier, and answers that came before Paho told the identifier.
        self.names = {}
        self.early = {}
        self.delivered = []

    # --- instructions -------------------------------------------------------

    def connect(self, arguments):
        if arguments.get("authentication_method") is not None:
            raise Unsupported("AUTH packets")
        if arguments.get("pubrec") == "manual":
            raise Unsupported("a PUBREC that waits for the application")
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=arguments.get("client_id", text),
            protocol=mqtt.MQTTv5,
            manual_ack=arguments.get("puback") == "manual",
        )
        self.client.on_connect = self.on_connect
        self.client.on_disconnect = self.on_disconnect
        self.client.on_message = self.on_message
        self.client.on_publish = self.on_publish
        self.client.on_subscribe = self.on_answer
        self.client.on_unsubscribe = self.on_answer
        user_name, password = arguments.get("user_name", text), arguments.get("password")
        if password is not None:
            if user_name is None:
                raise Unsupported("a Password without a User Name")
            password = value_bytes(password)
        if user_name is not None:
            self.client.username_pw_set(user_name, password)
        if arguments.get("will_topic") is not None:
            names = {"will_delay": ("WillDelayInterval", int)}
            self.client.will_set(
                arguments.get("will_topic", text),
                arguments.get("will_payload", value_bytes),
                arguments.number("will_qos", 0),
                arguments.number("will_retain", 0) == 1,
                arguments.properties(PacketTypes.WILLMESSAGE, names),
            )
        clean_start = arguments.number("clean_start") == 1
        self.client.connect(
            arguments.get("host"),
            arguments.number("port"),
            arguments.number("keep_alive"),
            clean_start=mqtt.MQTT_CLEAN_START_FIRST_ONLY if clean_start else False,
            properties=arguments.properties(PacketTypes.CONNECT, CONNECT_PROPERTIES),
        )

    def reconnect(self, _):
        self.client.reconnect()

    def publish(self, name, arguments):
        info = self.client.publish(
            arguments.get("topic", text),
            arguments.get("payload", value_bytes),
            arguments.number("qos", 0),
            arguments.number("retain", 0) == 1,
            arguments.properties(PacketTypes.PUBLISH, PUBLISH_PROPERTIES),
        )
        self.began(name, info.mid, arguments.number("qos", 0))

    def subscribe(self, name, arguments):
        options = SubscribeOptions(
            arguments.number("qos", 0),
            arguments.number("no_local", 0) == 1,
            arguments.number("retain_as_published", 0) == 1,
            arguments.number("retain_handling", 0),
        )
        names = {"identifier": ("SubscriptionIdentifier", int)}
        filters = [(text(value), options) for value in arguments.all("filter")]
        properties = arguments.properties(PacketTypes.SUBSCRIBE, names)
        _, mid = self.client.subscribe(filters, properties=properties)
        if mid is None:
            raise ValueError("no Packet Identifier")
        self.began(name, mid, None)

    def unsubscribe(self, name, arguments):
        _, mid = self.client.unsubscribe([text(value) for value in arguments.all("filter")])
        self.began(name, mid, None)

    def acknowledge(self, arguments):
        if len(arguments.pairs) > 1:
            raise Unsupported("an acknowledgement with a reason")
        message = self.delivered[arguments.number("message") - 1]
        self.client.ack(message.mid, message.qos)

    def disconnect(self, arguments):
        reason = ReasonCode(PacketTypes.DISCONNECT, identifier=arguments.number("reason", 0))
        names = {
            "session_expiry": ("SessionExpiryInterval", int),
            "reason_string": ("ReasonString", text),
            "user_property": ("UserProperty", user_property),
        }
        properties = arguments.properties(PacketTypes.DISCONNECT, names)
        self.client.disconnect(reason, properties if not properties.isEmpty() else None)

    def instruct(self, line):
        verb, *words = line.split()
        if verb == "authenticate":
            raise Unsupported("AUTH packets")
        named = verb in ("publish", "subscribe", "unsubscribe")
        name = [words.pop(0)] if named else []
        getattr(self, verb)(*name, Arguments(words))

    # --- what Paho tells ----------------------------------------------------

    def began(self, name, mid, qos):
        self.names[mid] = (name, qos)
        if mid in self.early:
            self.verdict(mid, *self.early.pop(mid))

    def verdict(self, mid, *words):
        name, qos = self.names.pop(mid)
        say("verdict", name, *(["sent"] if qos == 0 else words))

    def answered(self, mid, *words):
        if mid in self.names:
            self.verdict(mid, *words)
        else:
            self.early[mid] = words

    def on_publish(self, client, userdata, mid, reason_code, properties):
        word = "refused" if reason_code.is_failure else "acknowledged"
        self.answered(mid, word, code_word(reason_code))

    def on_answer(self, client, userdata, mid, reason_codes, properties):
        self.answered(mid, "answered", *map(code_word, reason_codes))

    def on_connect(self, client, userdata, flags, reason_code, properties):
        if reason_code.is_failure:
            say("verdict connection refused", code_word(reason_code))
        else:
            say(f"verdict connection accepted session={int(flags.session_present)}")
            say("connected")

    def on_disconnect(self, client, userdata, flags, reason_code, properties):
        if flags.is_disconnect_packet_from_server:
            say("verdict connection disconnected", code_word(reason_code))
        else:
            say("verdict connection closed")

    def on_message(self, client, userdata, message):
        self.delivered.append(message)
        # `message.topic` fails where the topic is not UTF-8.
        words = [
            "topic=" + plain_or_hex(message._topic),
            f"qos={message.qos}",
            f"retain={int(message.retain)}",
            "payload=" + plain_or_hex(message.payload),
        ]
        for key, (name, _) in PUBLISH_PROPERTIES.items():
            values = getattr(message.properties, name, [])
            for value in values if isinstance(values, list) else [values]:
                if isinstance(value, tuple):
                    value = ":".join(value)
                value = value if isinstance(value, bytes) else str(value).encode()
                words.append(f"{key}={plain_or_hex(value)}")
        say("delivered", *words)

    # --- the loop -----------------------------------------------------------

    def run(self):
        say("hello deliveries verdicts")
        buffer = b""
        while True:
            sock = self.client.socket() if self.client else None
            reads = [sys.stdin] + ([sock] if sock else [])
            writes = [sock] if sock and self.client.want_write() else []
            readable, writable, _ = select.select(reads, writes, [], 0.05)
            # Any of these may close the socket.
            if sock in writable and self.client.socket() is sock:
                self.client.loop_write()
            if sock in readable and self.client.socket() is sock:
                self.client.loop_read()
            if self.client:
                self.client.loop_misc()
            if sys.stdin in readable:
                data = os.read(0, 65536)
                if not data:
                    return
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self.answer(line.decode())

    def answer(self, line):
        try:
            self.instruct(line)
        except Unsupported as reason:
            say("unsupported", reason)
        except (ValueError, MQTTException) as reason:
            say("refused", reason)
        else:
            say("ok")


if __name__ == "__main__":
    Adapter().run()
