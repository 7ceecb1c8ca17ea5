// The npm package pomelo-node-tcp-client 0.1.5, unchanged, against a server of ours.
//
//   node tcp.mjs HOST:PORT [CERTIFICATE]        prints a line for each check; exit code 1 at the first that fails
//
// With a certificate, over TLS: the package makes its sockets with node's `net`, which gets one of `tls` here.
//
// The server: type `connector`, serializer JSON, a heartbeat of 1 s, its routes are those of the conformance server.
//
// What the package needs:
//   * `bytearray`, its one dependency, and `new Buffer`, deprecated but there in node 20.
//   * `sys.protos` in the handshake: it calls Protobuf.init(undefined) without it, which throws. Pitaya has no protos, so
//     the module's `init` is given an empty object here; the files stay as they are.
//
// What it says, and what it cannot do, whatever server it talks to:
//   * handshake {"sys":{"version":"0.0.1","type":"pomelo-node-tcp-client","pomelo_version":"0.7.x"},"user":..}
//   * it takes each chunk of the stream for exactly one packet and drops what follows in the same chunk. So one question
//     at a time here, and of two pushes and an answer that leave in one write it sees the first.
//   * bytes from 0x80 on throw, sent and received, because it copies them with node's writeInt8, which has a range. So ASCII
//     only, and ids below 128; in JSON that leaves it escapes. For the checks with other characters writeInt8 has no range
//     here: then it writes signs beyond U+FFFF as surrogate halves (CESU-8), and in UTF-8 it cannot read them.
//   * every body must be JSON; one that is not leaves the client unusable.
//   * its notify has a zero byte too many in front: on the wire it is a request with id 2. A server answers it as one.
//   * a kick with a body sends it into an endless loop, so the kick is read beside it here.
//   * it beats one interval after each beat it hears, and never looks whether the server lives.

import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { createRequire } from "node:module";
import tls from "node:tls";

import { address, emoji, requests, run, within } from "./checks.mjs";

process.noDeprecation = true;
const require = createRequire(import.meta.url);
const Protobuf = require("pomelo-node-tcp-client/src/libs/protobuf.js");
const init = Protobuf.init;
Protobuf.init = (protos) => init(protos ?? {});
const Pomelo = require("pomelo-node-tcp-client/src/pomelo.js");

const KICK = 5;
const NOTIFY_ID = 2; // what the type byte of its notify is taken for

const { host, port, ca } = address();

/** A socket of `net`, as far as the package uses it, over TLS. */
class Secure extends EventEmitter {
  setNoDelay() {}

  connect(port, host, done) {
    this.socket = tls.connect({ port, host, ca }, () => {
      this.emit("connect");
      done();
    });
    for (const event of ["data", "close", "error"]) this.socket.on(event, (...args) => this.emit(event, ...args));
  }

  write(data) {
    this.socket.write(data);
  }

  destroy() {
    this.socket.destroy();
  }
}

if (ca) {
  const net = require("net");
  const { Socket } = net;
  // `tls` itself calls it too, without `new`.
  net.Socket = function (...options) {
    return new.target ? new Secure() : Socket.apply(this, options);
  };
}
const ask = (pomelo) => (route, body) => within(`the answer of ${route}`, (done) => pomelo.request(route, body, done));

/** The same checks without the range of writeInt8, which the package does not know of. */
function unranged(checks) {
  const { writeInt8 } = Buffer.prototype;
  const free = (check) => async () => {
    Buffer.prototype.writeInt8 = function (value, offset) {
      return this.writeUInt8(value & 0xff, offset);
    };
    try {
      await check();
    } finally {
      Buffer.prototype.writeInt8 = writeInt8;
    }
  };
  return Object.fromEntries(Object.entries(checks).map(([what, check]) => [what, free(check)]));
}

/** A client that shook hands, and what the server said. */
async function connected() {
  const pomelo = new Pomelo();
  pomelo.consoleLogs = false;
  const answer = await within("the handshake", (done) => pomelo.init(host, port, { name: "ann" }, done));
  return { pomelo, answer };
}

const { pomelo, answer } = await connected().catch((error) => {
  console.log(`FAILED  pomelo-node-tcp-client: handshake\n${error.stack}`);
  process.exit(1);
});

await run("pomelo-node-tcp-client", {
  "handshake": () => {
    assert.equal(answer.code, 200);
    assert.equal(answer.sys.heartbeat, 1);
    assert.equal(answer.sys.serializer, "json");
  },
  ...requests(ask(pomelo)),
  ...unranged(emoji(ask(pomelo), (route) => within(`the push ${route}`, (done) => pomelo.once(route, done)))),
  "its notify, a request on the wire, is answered as one": async () => {
    const { code } = await within("the answer of the notify", (done) => {
      pomelo.on("onTold", () => done({ code: "none: the notify handler ran" }));
      pomelo.requests[NOTIFY_ID] = { route: "connector.room.told", callback: done };
      pomelo.notify("connector.room.told", { text: "told" });
    });
    assert.equal(code, "PIT-400");
  },
  "heartbeats: alive after more than three intervals": async () => {
    // A client that does not beat is closed between two and three intervals; this one sends nothing else meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 4_500));
    assert.deepEqual(await ask(pomelo)("connector.room.join", { still: "here" }), { still: "here" });
  },
  "a push arrives": async () => {
    const { pomelo } = await connected(); // the answer of this route may leave the client unusable: it gets its own
    process.on("uncaughtException", (error) => assert.equal(error.name, "SyntaxError"));
    pomelo.on("onMove", () => {});
    const pushed = within("the push onPush", (done) => pomelo.on("onPush", done));
    pomelo.request("connector.room.pushme", { text: "push me" }, () => {});
    assert.deepEqual(await pushed, { text: "push me" });
    pomelo._socket.destroy();
  },
  "a kick comes with its reason, then the connection is closed": async () => {
    const { pomelo } = await connected();
    const socket = pomelo._socket.removeAllListeners("data");
    const chunks = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    const closed = within("the end of the connection", (done) => socket.on("close", done));
    pomelo.request("connector.room.kickme", {}, () => {});
    await closed;
    // A heartbeat may have come before it; the kick is the last packet.
    const bytes = Buffer.concat(chunks);
    let kick = bytes;
    while (kick[0] !== KICK && kick.length >= 4) kick = kick.subarray(4 + kick.readUIntBE(1, 3));
    assert.equal(kick[0], KICK, `no kick in ${bytes.toString("hex")}`);
    assert.equal(kick.readUIntBE(1, 3), kick.length - 4);
    assert.deepEqual(JSON.parse(kick.subarray(4)), { code: "KICK-1", message: "kickme" });
  },
});
