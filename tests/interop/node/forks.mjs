// The npm packages pomelo-client-websocket 1.0.13 and pinus-robot-plugin 1.7.3 (its client), unchanged, against a server of ours.
//
//   node forks.mjs HOST:PORT        prints a line for each check; exit code 1 at the first that fails
//
// The server: type `connector`, serializer JSON, default settings, its routes are those of the conformance server.
//
// Both descend from pomelo-jsclient-websocket and say `"type":"js-websocket"`. Unlike it they have corrected encoders:
//   * pomelo-client-websocket writes UTF-8 and reads it, signs beyond U+FFFF too. Many of them in one process.
//   * pinus-robot-plugin has Egret's ByteArray, which does the same. Its client logs each connection. It is loaded by its file:
//     the rest of the package needs `pinus-robot`, which it does not name as a dependency.
// Neither knows TLS, and neither can inflate.

import { createRequire } from "node:module";

import { address, emoji, manyEmoji, requests, run, within } from "./checks.mjs";

process.noDeprecation = true;
const require = createRequire(import.meta.url);
const log = console.log;
console.log = (line, ...more) => (/^(ok|FAILED) /.test(line) ? log(line, ...more) : undefined);
console.error = () => {};

const Fork = require("pomelo-client-websocket");
const { PinusWSClient } = require("pinus-robot-plugin/dist/PinusWSClient.js");

const { host, port } = address();

const checks = {};
for (const [name, client] of [["pomelo-client-websocket", new Fork()], ["pinus-robot-plugin", new PinusWSClient()]]) {
  const ask = (route, body) => within(`the answer of ${route}`, (done) => client.request(route, body, done));
  const pushed = (route) =>
    within(`the push ${route}`, (done) => {
      const once = (body) => {
        client.off(route, once);
        done(body);
      };
      client.on(route, once);
    });
  checks[`${name}: handshake`] = () =>
    within("the handshake", (done) => client.init({ host, port, user: { name: "ann 😂" } }, done));
  for (const [what, check] of Object.entries({ ...requests(ask), ...emoji(ask, pushed), ...manyEmoji(ask) })) checks[`${name}: ${what}`] = check;
}

await run("forks", checks);
