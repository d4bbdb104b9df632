// `openclaw-node` takes one agent turn: pairs if it is told to, asks, and says what it heard as one
// line of JSON.
import { OpenClawClient } from "openclaw-node";

const [url, identity, question] = process.argv.slice(2);
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const client = new OpenClawClient({
  url,
  token: process.env.OPENCLAW_GATEWAY_TOKEN,
  clientId: "gateway-client",
  deviceIdentityPath: identity,
  reconnectIntervalMs: 200,
});
client.on("error", () => {});
client.on("pairingRequired", (pairing) => say({ pairing: pairing.requestId }));
const connected = new Promise((resolve) => client.once("connected", resolve));
await client.connect().catch(() => {});
await connected;
const chunks = [];
for await (const chunk of client.chat(question, { sessionKey: "agent:main:turn" })) chunks.push(chunk);
const text = chunks
  .filter((chunk) => chunk.type === "text")
  .map((chunk) => chunk.text)
  .join("");
say({ text, kinds: [...new Set(chunks.map((chunk) => chunk.type))] });
await client.disconnect();
process.exit(0);
