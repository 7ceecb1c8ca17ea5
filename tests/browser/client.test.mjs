// The client of the chat page over a socket made of two lists: who may speak when, who gets which answer.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { deflateSync } from "node:zlib";

import { PitayaClient } from "../../examples/chat/web/js/client.js";
import { Message, Packet, decodeJson, decodeMessage, decodePackets, encodeJson, encodeMessage, encodePacket } from "../../examples/chat/web/js/wire.js";

const DICT = { "chat.room.join": 7, onMessage: 258 };
const CODES = new Map(Object.entries(DICT));
const ROUTES = new Map(Object.entries(DICT).map(([route, code]) => [code, route]));

/** Turns of the event loop until something is so; inflating takes an unknown number of them. */
async function until(isSo) {
  for (const end = performance.now() + 10_000; !isSo(); ) {
    if (performance.now() > end) assert.fail(`never: ${isSo}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A client, the sockets it opened, and what the server can do with the newest of them. */
function pair(options = {}) {
  const sockets = [];
  class Socket {
    sent = [];
    closed = false;
    constructor(url) {
      this.url = url;
      sockets.push(this);
    }
    send(bytes) {
      this.sent.push(...decodePackets(bytes));
    }
    close() {
      this.closed = true;
    }
  }
  const client = new PitayaClient({ url: "ws://server/", WebSocket: Socket, ...options });
  const states = [];
  client.onState = (state) => states.push(state);
  const server = {
    get socket() {
      return sockets.at(-1);
    },
    says(type, body) {
      this.socket.onmessage({ data: encodePacket(type, body).buffer });
    },
    sends(message, flag = 0, codes) {
      const bytes = encodeMessage(message, codes);
      bytes[0] |= flag;
      this.says(Packet.DATA, bytes);
    },
    async opens(sys = {}) {
      this.socket.onopen();
      this.says(Packet.HANDSHAKE, encodeJson({ code: 200, sys: { dict: DICT, heartbeat: 30, serializer: "json", ...sys } }));
      await until(() => client.state.is !== "connecting");
    },
    heard() {
      return this.socket.sent.filter(({ type }) => type === Packet.DATA).map(({ body }) => decodeMessage(body, ROUTES));
    },
  };
  return { client, server, sockets, states };
}

async function opened(options) {
  const all = pair(options);
  all.client.connect();
  await all.server.opens();
  return all;
}

test("shakes hands, then acknowledges, and only then speaks", async (t) => {
  const { client, server, states } = pair();
  t.after(() => client.close());
  client.connect();
  assert.equal(server.socket.url, "ws://server/");
  await assert.rejects(client.request("chat.room.join"), { code: "CLIENT-OFFLINE" });
  await server.opens();
  assert.deepEqual(server.socket.sent.map(({ type }) => type), [Packet.HANDSHAKE, Packet.HANDSHAKE_ACK]);
  assert.deepEqual(decodeJson(server.socket.sent[0].body), {
    sys: { type: "js-pitaya", version: "0.1.0", platform: "browser", libVersion: "0.1.0", inflate: true },
  });
  assert.deepEqual(states.map(({ is }) => is), ["connecting", "open"]);
});

test("a request is answered by id, with a result or an error; routes of the dictionary travel as codes", async (t) => {
  const { client, server } = await opened();
  t.after(() => client.close());
  const first = client.request("chat.room.join", { name: "ann" });
  const second = client.request("chat.room.rooms");
  const [join, rooms] = server.heard();
  assert.deepEqual([join.route, decodeJson(join.body)], ["chat.room.join", { name: "ann" }]);
  assert.equal(server.socket.sent[2].body[0], 0x01, "the join went out with a code");
  assert.equal(rooms.route, "chat.room.rooms");

  const refused = assert.rejects(second, { code: "CHAT-NO", message: "no", metadata: { a: "b" } });
  server.sends({ type: Message.RESPONSE, id: rooms.id, body: encodeJson({ code: "CHAT-NO", msg: "no", metadata: { a: "b" } }) }, 0x20);
  server.sends({ type: Message.RESPONSE, id: join.id, body: encodeJson({ room: "lobby" }) });
  await refused;
  assert.deepEqual(await first, { room: "lobby" });
});

test("a notify has no id and needs a connection", async () => {
  const { client, server } = await opened();
  client.notify("chat.room.message", { text: "🎉" });
  const [message] = server.heard();
  assert.deepEqual([message.type, message.route, decodeJson(message.body)], [Message.NOTIFY, "chat.room.message", { text: "🎉" }]);
  client.close();
  assert.throws(() => client.notify("chat.room.message"), { code: "CLIENT-OFFLINE" });
});

test("pushes arrive in order, by name, by code, and compressed", async (t) => {
  const { client, server } = await opened();
  t.after(() => client.close());
  const heard = [];
  client.on("onMessage", ({ n }) => heard.push(n));
  const push = (n) => ({ type: Message.PUSH, route: "onMessage", body: encodeJson({ n }) });
  const packed = { ...push(1), body: new Uint8Array(deflateSync(JSON.stringify({ n: 1, pad: "x".repeat(200) }))) };
  // No pause between them: the first needs time to inflate, and must still be heard first.
  server.sends(packed, 0x10, CODES);
  server.sends(push(2), 0, CODES);
  server.sends(push(3));
  await until(() => heard.length === 3);
  assert.deepEqual(heard, [1, 2, 3]);
});

test("a compressed handshake is understood", async (t) => {
  const { client, server } = pair();
  t.after(() => client.close());
  client.connect();
  server.socket.onopen();
  server.says(Packet.HANDSHAKE, new Uint8Array(deflateSync(JSON.stringify({ code: 200, sys: { dict: DICT, heartbeat: 30 } }))));
  await until(() => client.state.is === "open");
});

test("each beat of the server is answered", async (t) => {
  const { client, server } = await opened();
  t.after(() => client.close());
  const beats = () => server.socket.sent.filter(({ type }) => type === Packet.HEARTBEAT).length;
  for (const count of [1, 2]) {
    server.says(Packet.HEARTBEAT);
    await until(() => beats() === count);
  }
});

test("a kick is for good and says why", async () => {
  const { client, server, sockets } = await opened();
  const answer = assert.rejects(client.request("chat.room.rooms"), { code: "CLIENT-CLOSED" });
  server.says(Packet.KICK, encodeJson({ reason: "another login" }));
  await answer;
  assert.deepEqual([client.state.is, client.state.kicked], ["closed", true]);
  assert.match(client.state.reason, /another login/);
  assert.equal(sockets[0].closed, true);
});

test("nothing is heard from a line that ended, not even what came in the same message", async (t) => {
  const { client, server, sockets } = await opened();
  t.after(() => client.close());
  const heard = [];
  client.on("onMessage", (body) => heard.push(body.line));
  const push = (line) => encodePacket(Packet.DATA, encodeMessage({ type: Message.PUSH, route: "onMessage", body: encodeJson({ line }) }));
  server.socket.onmessage({ data: new Uint8Array([...encodePacket(Packet.KICK), ...push("after the kick")]).buffer });
  await until(() => client.state.is === "closed");

  client.connect();
  await server.opens();
  sockets[0].onmessage({ data: push("old").buffer });
  sockets[0].onclose();
  server.socket.onmessage({ data: push("new").buffer });
  await until(() => heard.length > 0);
  assert.deepEqual([heard, client.state.is], [["new"], "open"]);
});

test("a refused handshake, or a serializer the page cannot speak, is for good", async () => {
  const refused = pair();
  refused.client.connect();
  refused.server.socket.onopen();
  refused.server.says(Packet.HANDSHAKE, encodeJson({ code: 400, sys: {} }));
  await until(() => refused.client.state.is === "closed");
  assert.match(refused.client.state.reason, /400/);

  const foreign = pair();
  foreign.client.connect();
  await foreign.server.opens({ serializer: "protobuf" });
  assert.match(foreign.client.state.reason, /protobuf/);
});

test("bytes that mean nothing end the line, not the client", async (t) => {
  const { client, server } = await opened();
  t.after(() => client.close());
  server.socket.onmessage({ data: new Uint8Array([9, 0, 0, 0]).buffer });
  await until(() => client.state.is === "waiting");
  assert.match(client.state.reason, /packet type 9/);
});

// Debian 12's node, 18, has no mock clock for dates.
const skip = Number(process.versions.node.split(".")[0]) < 20 && "needs node 20";

test("times: an answer that never comes, a silent server, and waits that grow", { skip }, async (t) => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  t.after(() => mock.timers.reset());
  const { client, server, sockets, states } = await opened({ requestTimeout: 1_000, firstRetry: 1_000, lastRetry: 4_000 });

  const late = assert.rejects(client.request("chat.room.rooms"), { code: "CLIENT-TIMEOUT" });
  mock.timers.tick(1_000);
  await late;
  assert.equal(client.state.is, "open", "one late answer does not end the line");

  server.says(Packet.HEARTBEAT);
  await until(() => server.socket.sent.at(-1).type === Packet.HEARTBEAT);
  mock.timers.tick(74_000);
  assert.equal(client.state.is, "open", "less than two and a half intervals of silence are borne");
  mock.timers.tick(1_000);
  assert.deepEqual([client.state.is, sockets[0].closed], ["waiting", true]);

  // The first try may come after half of the first wait, and must have come after all of it; the next wait is longer.
  for (const most of [1_000, 2_000, 4_000, 4_000]) {
    const tries = sockets.length;
    const wait = client.state.retryAt - Date.now();
    assert.ok(wait >= most / 2 && wait <= most, `${wait} of ${most}`);
    mock.timers.tick(Math.ceil(wait));
    assert.equal(sockets.length, tries + 1);
    server.socket.onclose();
    await until(() => client.state.is === "waiting");
  }

  client.connect(); // now, not later
  await server.opens();
  assert.equal(states.at(-1).is, "open");
  server.socket.onclose();
  await until(() => client.state.is === "waiting");
  assert.ok(client.state.retryAt - Date.now() <= 1_000, "a connection that worked starts the waits anew");
  client.close();
  const tries = sockets.length;
  mock.timers.tick(60_000);
  assert.equal(sockets.length, tries, "closed means closed");
});
