// The work of `work.rs` by a client for Node: `bench.mjs PACKAGE URL WORK COUNT [IN_FLIGHT]`. Says what
// it measured as one line of JSON, like the clients in Rust.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

const [name, url, work, ...numbers] = process.argv.slice(2);
const [count, inFlight] = numbers.map(Number);
const token = "shared-token-0123";

// Each client as: connect(onEvent) -> { call(method, params) -> payload, close() }.
const official = async () => {
  const { GatewayClient } = await import("@openclaw/gateway-client");
  const pair = crypto.generateKeyPairSync("ed25519");
  const publicKeyPem = pair.publicKey.export({ type: "spki", format: "pem" }).toString();
  const privateKeyPem = pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  // The raw key follows the twelve bytes that name its kind.
  const raw = pair.publicKey.export({ type: "spki", format: "der" }).subarray(12);
  const deviceId = crypto.createHash("sha256").update(raw).digest("hex");
  const deviceIdentity = { deviceId, publicKeyPem, privateKeyPem };
  const hostDeps = {
    loadOrCreateDeviceIdentity: () => deviceIdentity,
    signDevicePayload: (_, payload) =>
      crypto.sign(null, Buffer.from(payload, "utf8"), pair.privateKey).toString("base64url"),
    publicKeyRawBase64UrlFromPem: () => raw.toString("base64url"),
    loadDeviceAuthToken: () => null,
    storeDeviceAuthToken: () => {},
    clearDeviceAuthToken: () => {},
  };
  return (onEvent) =>
    new Promise((resolve, reject) => {
      const client = new GatewayClient({
        url,
        token,
        deviceIdentity,
        hostDeps,
        clientName: "gateway-client",
        mode: "backend",
        platform: "linux",
        role: "operator",
        scopes: ["operator.read", "operator.write"],
        minProtocol: 4,
        maxProtocol: 4,
        onEvent,
        onConnectError: reject,
        onHelloOk: () =>
          resolve({
            call: (method, params) => client.request(method, params),
            close: () => client.stop(),
          }),
      });
      client.start();
    });
};

const openclawNode = async () => {
  const { OpenClawClient } = await import("openclaw-node");
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "bench-"));
  process.on("exit", () => fs.rmSync(directory, { recursive: true }));
  const deviceIdentityPath = path.join(directory, "device.json");
  return async (onEvent) => {
    const client = new OpenClawClient({ url, token, deviceIdentityPath, autoReconnect: false });
    client.on("error", () => {});
    if (onEvent) client.on("event", onEvent);
    await client.connect();
    return {
      call: async (method, params) => (await client.request(method, params)).payload,
      close: () => client.disconnect(),
    };
  };
};

const connect = await { "@openclaw/gateway-client": official, "openclaw-node": openclawNode }[name]();
const now = () => Number(process.hrtime.bigint()) / 1e9;
const processor = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

const measure = async (what) => {
  const [began, had] = [now(), processor()];
  const pieces = Float64Array.from((await what()) ?? []).sort();
  const seconds = now() - began;
  const at = (part) => pieces[Math.floor((pieces.length * part) / 100)] ?? null;
  return { seconds, processor: processor() - had, median: at(50), late: at(99) };
};

const calls = async (client, count) => {
  const each = [];
  let next = 0;
  const caller = async () => {
    const params = { probe: false };
    while (next++ < count) {
      const sent = now();
      const answer = await client.call("health", params);
      if (answer.ok !== true) throw new Error("another answer");
      each.push(now() - sent);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  return each;
};

let consume;
const events = async (client, count) => {
  const all = new Promise((resolve) => {
    let seq = 0;
    consume = (event) => {
      if (event.event !== "agent") return;
      seq += 1;
      // What a handler throws may be caught.
      if (event.payload.seq !== seq) {
        console.error(`event ${seq} is missing`);
        process.exit(1);
      }
      if (seq === count) resolve();
    };
  });
  await client.call(`flood-${count}`, {});
  await all;
};

let measured;
if (work === "calls") {
  const client = await connect();
  await calls(client, count / 10);
  measured = await measure(() => calls(client, count));
} else if (work === "events" || work === "typed") {
  const client = await connect((event) => consume?.(event));
  await events(client, count / 10);
  measured = await measure(() => events(client, count));
} else if (work === "dials") {
  const dials = async (count) => {
    const each = [];
    for (let dial = 0; dial < count; dial += 1) {
      const began = now();
      const client = await connect();
      each.push(now() - began);
      client.close();
    }
    return each;
  };
  await dials(count / 10);
  measured = await measure(() => dials(count));
} else if (work === "memory") {
  const first = await connect();
  globalThis.gc();
  const before = process.memoryUsage.rss();
  const held = [first];
  for (let dial = 0; dial < count; dial += 1) held.push(await connect());
  globalThis.gc();
  const bytes = (process.memoryUsage.rss() - before) / count;
  // Still there, and in use.
  assert.equal((await held.at(-1).call("health", {})).ok, true);
  measured = { bytes };
}
process.stdout.write(`${JSON.stringify(measured)}\n`, () => process.exit(0));
