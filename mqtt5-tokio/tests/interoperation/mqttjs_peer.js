// The other end, by MQTT.js: mqttjs_peer.js URL; see main.rs for what it does.

const mqtt = require("mqtt");

const properties = {
  payloadFormatIndicator: true,
  messageExpiryInterval: 1000,
  contentType: "text/plain",
  responseTopic: "answers",
  correlationData: Buffer.from("4711"),
  userProperties: { "key one": "value one", key: "two" },
};

function line({ qos, payload, properties }) {
  const user = Object.entries(properties.userProperties).map(([name, value]) => `${name}:${value}`);
  return [
    qos,
    payload.toString(),
    Number(properties.payloadFormatIndicator),
    properties.contentType,
    properties.responseTopic,
    properties.correlationData.toString(),
    user.join(" "),
  ].join("|");
}

async function main() {
  const client = await mqtt.connectAsync(
    process.argv[2],
    { protocolVersion: 5, clientId: "peer", reconnectPeriod: 0 },
    false,
  );
  const all = new Promise((resolve) => {
    let received = 0;
    client.on("message", (_topic, _payload, packet) => {
      console.log(line(packet));
      received += 1;
      if (received === 3) resolve();
    });
  });
  const granted = await client.subscribeAsync("to/peer", { qos: 2 });
  if (granted[0].qos !== 2) throw new Error(`granted ${granted[0].qos}`);
  console.log("ready");
  await all;
  for (const qos of [0, 1, 2]) {
    await client.publishAsync("from/peer", `qos ${qos}`, { qos, properties });
  }
  await client.endAsync();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
