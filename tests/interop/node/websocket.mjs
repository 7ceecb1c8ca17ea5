// The npm package pomelo-jsclient-websocket 0.1.1, unchanged, against a server of ours.
//
//   node websocket.mjs HOST:PORT [CERTIFICATE]        prints a line for each check; exit code 1 at the first that fails
//
// The server: type `connector`, serializer JSON, a heartbeat of 1 s, its routes are those of the conformance server.
//
// What the package needs under node. It is a browser script that reads its surroundings from `window` when it is loaded:
//   window            the global object. It must exist before `pomelo-protocol` is loaded, which otherwise works on node's
//                     Buffer, whose `.buffer` (what the client sends) is the whole allocation pool.
//   window.Protocol   the codec, set by the package `pomelo-protocol`.
//   EventEmitter      node's own serves.
//   WebSocket         the package `ws`, because node 20 has none of its own. As in a browser, what a listener throws must
//                     not reach the socket, see Socket below.
//   module.exports    it is the client, one for the process.
// Not needed: `protobuf`, `decodeIO_protobuf`, `rsa`, `localStorage`; they are asked for only with `sys.protos` or `encrypt`.
//
// What it says and expects:
//   * handshake {"sys":{"type":"js-websocket","version":"0.0.1","rsa":{},"protoVersion":0},"user":..}; `user` only if given.
//   * it cannot inflate: neither the handshake nor a body may be compressed for it.
//   * every body it hears must be JSON, an answer's and a kick's too. An answer that is not JSON throws in its listener and
//     never reaches the callback; the connection lives on. An empty kick throws as well, and `onKick` is not emitted.
//   * it ignores the error bit: an error is an answer with `code` and `msg`.
//   * it beats one interval after it heard a beat, so a server that only answers beats would never hear one.
//   * signs beyond U+FFFF are encoded as surrogate halves (CESU-8), which is not UTF-8; in UTF-8 it cannot read them.

import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { createRequire } from "node:module";
import { WebSocket } from "ws";

import { address, emoji, manyEmoji, requests, run, within } from "./checks.mjs";

const HEARTBEAT = 3;
const heard = []; // packet types, in the order they came
const said = [];
const thrown = []; // what the client's listener threw

const { host, port, ca } = address();

/** A browser's WebSocket: an exception in a listener is reported and ends nothing. It also notes what goes by. */
class Socket extends WebSocket {
  /** The package knows no `wss`; a game that wants it changes this one word in its copy. */
  constructor(url) {
    super(ca ? url.replace("ws:", "wss:") : url, { ca });
  }

  set onmessage(listener) {
    super.onmessage = (event) => {
      heard.push(new Uint8Array(event.data)[0]);
      try {
        listener(event);
      } catch (error) {
        thrown.push(error);
      }
    };
  }

  send(data) {
    said.push(new Uint8Array(data)[0]);
    super.send(data);
  }
}

globalThis.window = Object.assign(globalThis, { WebSocket: Socket, EventEmitter });
const require = createRequire(import.meta.url);
require("pomelo-protocol");
const pomelo = require("pomelo-jsclient-websocket");
console.error = () => {}; // it reports each close there

const ask = (route, body) => within(`the answer of ${route}`, (done) => pomelo.request(route, body, done));
const push = (route, patience) => within(`the push ${route}`, (done) => pomelo.once(route, done), patience);
const count = (list, type) => list.filter((it) => it === type).length;

console.log = ((log) => (line) => line.startsWith("connect to ") || log(line))(console.log);

await run("pomelo-jsclient-websocket", {
  "handshake": async () => {
    await within("the handshake", (done) => pomelo.init({ host, port, user: { name: "ann 😂" } }, done));
    assert.deepEqual(said, [1, 2], "a handshake and its acknowledgement");
    assert.deepEqual(heard, [1]);
  },
  ...requests(ask),
  "text beyond ASCII is echoed": async () => {
    assert.deepEqual(await ask("connector.room.join", { text: "héllo, 你好" }), { text: "héllo, 你好" });
  },
  ...emoji(ask, push),
  ...manyEmoji(ask),
  "200 requests at once: each answer finds its callback": async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => ask("connector.room.join", { n })));
    assert.deepEqual(answers.map(({ n }) => n), Array.from({ length: 200 }, (_, n) => n));
  },
  "a notify causes a push": async () => {
    const told = push("onTold");
    pomelo.notify("connector.room.told", { text: "told" });
    assert.deepEqual(await told, { text: "told" });
  },
  "pushes come before the answer; an answer that is not JSON costs no connection": async () => {
    const order = [];
    pomelo.once("onPush", () => order.push("onPush"));
    pomelo.once("onMove", () => order.push("onMove"));
    const pushed = push("onPush");
    pomelo.request("connector.room.pushme", { text: "push me" }, () => order.push("answer"));
    assert.deepEqual(await pushed, { text: "push me" });
    await ask("connector.room.join", {}); // comes after the answer that was not understood
    assert.deepEqual(order, ["onPush", "onMove"]);
    assert.deepEqual(thrown.map(({ name }) => name), ["SyntaxError"]);
    thrown.length = 0;
  },
  "heartbeats: alive after more than three intervals": async () => {
    // A client that does not beat is closed between two and three intervals; this one sends nothing else meanwhile.
    const [before, beats] = [count(heard, HEARTBEAT), count(said, HEARTBEAT)];
    let timeout = false;
    pomelo.once("heartbeat timeout", () => (timeout = true));
    await new Promise((resolve) => setTimeout(resolve, 4_500));
    assert.ok(count(heard, HEARTBEAT) - before >= 3, `the server beat ${count(heard, HEARTBEAT) - before} times`);
    assert.ok(count(said, HEARTBEAT) - beats >= 1, "the client beat");
    assert.equal(timeout, false);
    assert.deepEqual(await ask("connector.room.join", { still: "here" }), { still: "here" });
  },
  "a kick says why, then the connection is closed": async () => {
    const kicked = push("onKick");
    const closed = push("disconnect");
    pomelo.request("connector.room.kickme", {}, () => {});
    assert.deepEqual(await kicked, { code: "KICK-1", message: "kickme" });
    await closed;
  },
  "nothing else was thrown": () => assert.deepEqual(thrown, []),
});
