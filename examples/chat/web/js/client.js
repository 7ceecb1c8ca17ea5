// A Pitaya client over a WebSocket: who may speak when, who waits for which answer, what to do when the line is gone.
// It knows no page; the app hears of the connection through `onState` and of pushes through `on`.

import {
  Message, Packet, WireError,
  decodeHandshake, decodeJson, decodeMessage, decodePackets,
  encodeJson, encodeMessage, encodePacket, isZlib,
} from "./wire.js";

const LIBRARY = {
  type: "js-pitaya",
  version: "0.1.0",
  platform: "browser",
  libVersion: "0.1.0",
  inflate: typeof DecompressionStream === "function", // else bodies come as they are
};
const MAX_INFLATED = 16 * 1024 * 1024; // bytes; a few compressed bytes must not fill the memory

/** What the server answered instead of a result (its code), or why there is no answer (`CLIENT-*`). */
export class PitayaError extends Error {
  name = "PitayaError";

  constructor(code, message, metadata = {}) {
    super(message);
    this.code = code;
    this.metadata = metadata;
  }
}

/**
 * A connection that comes back by itself.
 *
 * State is one of
 *   { is: "idle" }                          nothing was asked for yet
 *   { is: "connecting", attempt }           the socket opens and shakes hands; attempt 0 is the first
 *   { is: "open" }                          requests go through
 *   { is: "waiting", reason, attempt, retryAt }   the line was lost; `retryAt` is when (ms of the epoch) the next try begins
 *   { is: "closed", reason, kicked }        for good: kicked, refused, or closed by us; `connect` begins anew
 */
export class PitayaClient {
  /** @type {(state: object) => void} called with each new state */
  onState = () => {};

  state = { is: "idle" };

  #options;
  #listeners = new Map(); // push route -> function
  #waiting = new Map(); // request id -> {resolve, reject, timer}
  #lastId = 0;
  #attempt = 0;
  #line = null; // the connection of now; what an older one still says is not heard
  #retry = 0;

  /**
   * @param {{url: string, user?: object, requestTimeout?: number, handshakeTimeout?: number,
   *   firstRetry?: number, lastRetry?: number, WebSocket?: typeof WebSocket}} options times in milliseconds
   */
  constructor(options) {
    this.#options = {
      requestTimeout: 8_000,
      handshakeTimeout: 10_000,
      firstRetry: 500,
      lastRetry: 15_000,
      WebSocket: globalThis.WebSocket,
      ...options,
    };
  }

  /** Hears the pushes of one route; a second listener replaces the first. */
  on(route, listener) {
    this.#listeners.set(route, listener);
  }

  /** Begins to connect, or tries again at once when waiting for the next try. */
  connect() {
    if (this.#line) return;
    clearTimeout(this.#retry);
    this.#enter({ is: "connecting", attempt: this.#attempt });
    this.#open();
  }

  /** Ends the connection for good. */
  close() {
    this.#end("You left.", false);
  }

  /** @returns {Promise<any>} the answer; rejects with a PitayaError */
  request(route, body = {}) {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#send(Message.REQUEST, id, route, body);
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new PitayaError("CLIENT-TIMEOUT", "The server did not answer in time."));
      }, this.#options.requestTimeout);
      this.#waiting.set(id, { resolve, reject, timer });
    });
  }

  /** Says something that has no answer. Throws a PitayaError when there is no connection. */
  notify(route, body = {}) {
    this.#send(Message.NOTIFY, 0, route, body);
  }

  #send(type, id, route, body) {
    if (this.state.is !== "open") throw new PitayaError("CLIENT-OFFLINE", "There is no connection to the server.");
    const message = encodeMessage({ type, id, route, body: encodeJson(body) }, this.#line.codes);
    this.#line.socket.send(encodePacket(Packet.DATA, message));
  }

  #open() {
    const socket = new this.#options.WebSocket(this.#options.url);
    socket.binaryType = "arraybuffer";
    const line = { socket, codes: new Map(), routes: new Map(), patience: 0, timer: 0, inbox: Promise.resolve() };
    this.#line = line;
    this.#expect(line, this.#options.handshakeTimeout, "The server did not answer in time.");

    // Inflating is asynchronous, so everything the socket says goes through one queue: what came first is heard first.
    const inOrder = (hear) => {
      line.inbox = line.inbox.then(() => this.#line === line && hear()).catch((error) => this.#broken(line, error));
    };
    socket.onopen = () => {
      const { user } = this.#options;
      socket.send(encodePacket(Packet.HANDSHAKE, encodeJson(user ? { sys: LIBRARY, user } : { sys: LIBRARY })));
    };
    socket.onmessage = ({ data }) => {
      if (this.#line === line && line.patience) this.#expect(line, line.patience, "The server went silent.");
      inOrder(async () => {
        if (typeof data === "string") throw new WireError("text frames are not part of the protocol");
        for (const packet of decodePackets(new Uint8Array(data))) await this.#hear(line, packet);
      });
    };
    socket.onclose = () => inOrder(() => this.#lost(line, this.state.is === "open" ? "The connection was lost." : "The server cannot be reached."));
  }

  async #hear(line, { type, body }) {
    if (this.#line !== line) return;
    if (type === Packet.DATA) return this.#hearMessage(line, body);
    if (type === Packet.HANDSHAKE) return this.#hearHandshake(line, isZlib(body) ? await inflate(body) : body);
    if (type === Packet.KICK) return this.#end(kickReason(body), true);
    // The answer to the server's beat is ours: a hidden page's timers are slowed down, its socket is not.
    if (type === Packet.HEARTBEAT) line.socket.send(encodePacket(Packet.HEARTBEAT));
  }

  #hearHandshake(line, body) {
    const { code, heartbeat, serializer, codes, routes, message } = decodeHandshake(body);
    if (code !== 200) return this.#end(`The server refused the connection (code ${code})${message ? `: ${message}` : "."}`, false);
    if (serializer !== "json") return this.#end(`The server speaks ${serializer}; this page speaks JSON.`, false);
    Object.assign(line, { codes, routes, patience: heartbeat * 2_500 });
    clearTimeout(line.timer);
    if (line.patience) this.#expect(line, line.patience, "The server went silent.");
    line.socket.send(encodePacket(Packet.HANDSHAKE_ACK));
    this.#attempt = 0;
    this.#enter({ is: "open" });
  }

  async #hearMessage(line, bytes) {
    const message = decodeMessage(bytes, line.routes);
    const body = decodeJson(message.compressed ? await inflate(message.body) : message.body);
    if (this.#line !== line) return;
    if (message.type === Message.PUSH) {
      this.#listeners.get(message.route)?.(body);
    } else if (message.type === Message.RESPONSE) {
      const waiting = this.#waiting.get(message.id);
      if (!waiting) return; // its time was over
      this.#waiting.delete(message.id);
      clearTimeout(waiting.timer);
      if (message.error) waiting.reject(new PitayaError(body?.code ?? "PIT-000", body?.msg ?? "The server gave no reason.", body?.metadata));
      else waiting.resolve(body);
    }
  }

  /** The line is taken for dead when nothing at all comes for `time` milliseconds. */
  #expect(line, time, reason) {
    clearTimeout(line.timer);
    line.timer = setTimeout(() => this.#lost(line, reason), time);
  }

  #broken(line, error) {
    // A listener of the app that throws is a bug of the app: it is shown, and costs nobody the connection.
    if (!(error instanceof WireError)) return console.error(error);
    this.#lost(line, `The server sent something this page does not understand: ${error.message}.`);
  }

  /** This line is gone: tells those who wait for an answer, and tries again after a while. */
  #lost(line, reason) {
    if (this.#line !== line) return;
    this.#hangUp("The connection was lost before the answer came.");
    const { firstRetry, lastRetry } = this.#options;
    const most = Math.min(lastRetry, firstRetry * 2 ** this.#attempt++);
    const delay = most / 2 + (Math.random() * most) / 2; // the clients of a restarted server must not all come at once
    this.#retry = setTimeout(() => this.connect(), delay);
    this.#enter({ is: "waiting", reason, attempt: this.#attempt, retryAt: Date.now() + delay });
  }

  #end(reason, kicked) {
    clearTimeout(this.#retry);
    this.#attempt = 0;
    this.#hangUp(reason);
    this.#enter({ is: "closed", reason, kicked });
  }

  #hangUp(reason) {
    const line = this.#line;
    this.#line = null;
    if (line) {
      clearTimeout(line.timer);
      line.socket.close();
    }
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new PitayaError("CLIENT-CLOSED", reason));
    }
    this.#waiting.clear();
  }

  #enter(state) {
    this.state = state;
    this.onState(state);
  }
}

/** The body of a kick is empty, or JSON with a `reason`. */
function kickReason(body) {
  const plain = "The server ended the connection.";
  try {
    const { reason } = decodeJson(body) ?? {};
    return reason ? `${plain} Its reason: ${reason}` : plain;
  } catch {
    return plain;
  }
}

/** zlib (RFC 1950), which the browser calls "deflate". */
async function inflate(bytes) {
  const parts = [];
  let length = 0;
  try {
    for await (const part of chunks(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")))) {
      length += part.length;
      if (length > MAX_INFLATED) throw new WireError(`a body grew past ${MAX_INFLATED} bytes`);
      parts.push(part);
    }
  } catch (error) {
    throw error instanceof WireError ? error : new WireError("a compressed body is damaged");
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

// Streams are not iterable by themselves in every browser.
async function* chunks(stream) {
  const reader = stream.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    reader.cancel().catch(() => {});
  }
}
