// What both scripts share: a line for each check, an end for each wait.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const PATIENCE = 5_000; // ms

/** The host and port in the first argument, and the certificate to be trusted in the file of the second: with it, TLS. */
export function address() {
  const [host, port] = (process.argv[2] ?? "").split(":");
  if (!host || !Number(port)) {
    console.error(`usage: node ${process.argv[1].split("/").at(-1)} HOST:PORT [CERTIFICATE]`);
    process.exit(2);
  }
  return { host, port: Number(port), ca: process.argv[3] && readFileSync(process.argv[3]) };
}

/** The clients under test call back or emit once, or never: `start` is given the function that ends the wait. */
export function within(what, start, patience = PATIENCE) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`nothing came within ${patience} ms: ${what}`)), patience);
    start((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}

/** Runs the checks one after the other and ends the process: 0 when all held, 1 at the first that did not. */
export async function run(client, checks) {
  for (const [what, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok  ${client}: ${what}`);
    } catch (error) {
      console.log(`FAILED  ${client}: ${what}\n${error.stack}`);
      process.exit(1);
    }
  }
  process.exit(0);
}

const EMOJI = { uid: "😂", seq: 1, pos: [], act: "héllo, 你好 👩‍👩‍👧 🂡" };

/**
 * Characters beyond U+FFFF, both ways, through routes that read and write them: an answer and a push. `pushed` gives the
 * next push of a route.
 */
export const emoji = (ask, pushed) => ({
  "emoji in a request are read, and come back in the answer": async () => {
    assert.deepEqual(await ask("connector.room.move", EMOJI), EMOJI);
  },
  "emoji come in a push": async () => {
    const push = pushed("onMove");
    ask("connector.room.pushmove", EMOJI).catch(() => {}); // a client that takes a chunk for a packet hears no answer
    assert.deepEqual(await push, EMOJI);
  },
});

/** For clients that put packets together: it comes in pieces. */
export const manyEmoji = (ask) => ({
  "a text of 10,000 emoji comes back": async () => {
    const long = { ...EMOJI, act: "😂".repeat(10_000) };
    assert.deepEqual(await ask("connector.room.move", long), long);
  },
});

/** The requests that both clients make in the same way; `ask` is (route, body) to a promise of the answer. */
export const requests = (ask) => ({
  "a raw request is echoed": async () => {
    const body = { name: "ann", list: [1, 2, 3], deep: { yes: true, no: null } };
    assert.deepEqual(await ask("connector.room.join", body), body);
  },
  "a typed request is read and written": async () => {
    const move = { uid: "a", seq: 1, pos: [1.5, 2], act: "x" };
    assert.deepEqual(await ask("connector.room.move", move), move);
  },
  "a pointer result is JSON": async () => {
    assert.deepEqual(await ask("connector.testsvc.testrequestonlysessionreturnsptr", {}), { code: 200, msg: "hello" });
  },
  "an error comes to the callback as its payload": async () => {
    const { code, msg } = await ask("connector.testsvc.nonexistenthandler", {});
    assert.deepEqual({ code, msg }, { code: "PIT-404", msg: "pitaya/handler: connector.testsvc.nonexistenthandler not found" });
  },
});
