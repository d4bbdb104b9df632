// The official TypeScript client as a backend uses it, driven by lines on stdin: `start`,
// `start-with-device-token`, `call METHOD`, `stop`. What happens is said as JSON lines on stdout.
import { GatewayClient } from "@openclaw/gateway-client";
import crypto from "node:crypto";
import readline from "node:readline";

const [url] = process.argv.slice(2);
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const pair = crypto.generateKeyPairSync("ed25519");
const publicKeyPem = pair.publicKey.export({ type: "spki", format: "pem" }).toString();
const privateKeyPem = pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
// The raw key follows the twelve bytes that name its kind.
const raw = (pem) => crypto.createPublicKey(pem).export({ type: "spki", format: "der" }).subarray(12);
const deviceId = crypto.createHash("sha256").update(raw(publicKeyPem)).digest("hex");
const deviceIdentity = { deviceId, publicKeyPem, privateKeyPem };

const tokens = new Map();
const hostDeps = {
  loadOrCreateDeviceIdentity: () => deviceIdentity,
  signDevicePayload: (pem, payload) =>
    crypto.sign(null, Buffer.from(payload, "utf8"), crypto.createPrivateKey(pem)).toString("base64url"),
  publicKeyRawBase64UrlFromPem: (pem) => raw(pem).toString("base64url"),
  loadDeviceAuthToken: ({ role }) => tokens.get(role) ?? null,
  storeDeviceAuthToken: ({ role, token, scopes }) => {
    tokens.set(role, { token, scopes });
    say({ stored: role });
  },
  clearDeviceAuthToken: ({ role }) => {
    tokens.delete(role);
    say({ cleared: role });
  },
};

let client;
const start = (token) => {
  client = new GatewayClient({
    url,
    token,
    deviceIdentity,
    hostDeps,
    clientName: "gateway-client",
    clientDisplayName: "official",
    mode: "backend",
    platform: "linux",
    role: "operator",
    scopes: ["operator.read", "operator.write"],
    minProtocol: 4,
    maxProtocol: 4,
    onHelloOk: (hello) => say({ hello: hello.auth.method, scopes: hello.auth.scopes }),
    onConnectError: (error) =>
      say({ refused: error.details?.code ?? error.message, requestId: error.details?.requestId }),
    onReconnectPaused: (info) => say({ paused: info.detailCode }),
    onClose: (code, reason) => say({ close: code, reason }),
    onGap: (gap) => say({ gap }),
  });
  client.start();
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [word, method] = line.split(" ");
  if (word === "start") start(process.env.OPENCLAW_GATEWAY_TOKEN);
  else if (word === "start-with-device-token") start(undefined);
  else if (word === "stop") {
    client.stop();
    say({ stopped: true });
  } else if (word === "call") {
    await client.request(method, {}).then(
      () => say({ called: method, ok: true }),
      (error) => say({ called: method, ok: false, error: error.message }),
    );
  }
}
process.exit(0);
