// What the bytes of the Pitaya wire mean: packets, messages, the handshake. No socket, no page: it runs in a browser and
// under node. Everything here is a total function of its input; bytes that mean nothing throw a WireError that says why.
//
//   packet   type(1) length(3, big endian) body
//   message  flag(1) [id, base 128, low bits first] [route] body          the body of a data packet

export const Packet = Object.freeze({ HANDSHAKE: 1, HANDSHAKE_ACK: 2, HEARTBEAT: 3, DATA: 4, KICK: 5 });
export const Message = Object.freeze({ REQUEST: 0, NOTIFY: 1, RESPONSE: 2, PUSH: 3 });

const HEAD_BYTES = 4;
const MAX_BODY = 0xffffff; // what fits in the 24 bits of the length
const MAX_ROUTE = 255; // what fits in the byte before a route

const FLAG_ROUTE_CODE = 0x01;
const FLAG_COMPRESSED = 0x10;
const FLAG_ERROR = 0x20;

const utf8 = new TextEncoder();
const EMPTY = new Uint8Array(0);

/** Bytes that are not what the wire says they are, or a value that does not fit in it. */
export class WireError extends Error {
  name = "WireError";
}

// ------------------------------------------------------------------------------------------------------------ packets

/** @param {number} type one of `Packet`  @param {Uint8Array} body  @returns {Uint8Array} */
export function encodePacket(type, body = EMPTY) {
  if (body.length > MAX_BODY) throw new WireError(`a packet carries at most ${MAX_BODY} bytes, not ${body.length}`);
  const bytes = new Uint8Array(HEAD_BYTES + body.length);
  bytes.set([type, body.length >> 16, (body.length >> 8) & 0xff, body.length & 0xff]);
  bytes.set(body, HEAD_BYTES);
  return bytes;
}

/**
 * The packets of one WebSocket message: one or more, whole ones only.
 * @param {Uint8Array} bytes
 * @returns {{type: number, body: Uint8Array}[]}
 */
export function decodePackets(bytes) {
  const packets = [];
  let at = 0;
  do {
    if (bytes.length - at < HEAD_BYTES) throw new WireError("the message ends inside a packet's header");
    const type = bytes[at];
    if (type < Packet.HANDSHAKE || type > Packet.KICK) throw new WireError(`there is no packet type ${type}`);
    const length = (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    const start = at + HEAD_BYTES;
    at = start + length;
    if (at > bytes.length) throw new WireError(`a packet of ${length} bytes has only ${bytes.length - start}`);
    packets.push({ type, body: bytes.subarray(start, at) });
  } while (at < bytes.length);
  return packets;
}

// ----------------------------------------------------------------------------------------------------------- messages

/**
 * @param {{type: number, id?: number, route?: string, body?: Uint8Array}} message
 * @param {Map<string, number>} codes the dictionary: a route found in it travels as its two byte code
 * @returns {Uint8Array}
 */
export function encodeMessage({ type, id = 0, route = "", body = EMPTY }, codes = new Map()) {
  const code = hasRoute(type) ? codes.get(route) : undefined;
  const head = [(type << 1) | (code === undefined ? 0 : FLAG_ROUTE_CODE)];
  if (hasId(type)) head.push(...encodeVarint(id));
  if (code !== undefined) {
    head.push(code >> 8, code & 0xff);
  } else if (hasRoute(type)) {
    const name = utf8.encode(route);
    if (name.length > MAX_ROUTE) throw new WireError(`a route has at most ${MAX_ROUTE} bytes, not ${name.length}`);
    head.push(name.length, ...name);
  }
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

/**
 * `compressed`: the body is a zlib stream that the caller inflates. `error`: the body describes what went wrong.
 * @param {Uint8Array} bytes
 * @param {Map<number, string>} routes the dictionary, by code
 * @returns {{type: number, id: number, route: string, body: Uint8Array, compressed: boolean, error: boolean}}
 */
export function decodeMessage(bytes, routes = new Map()) {
  if (bytes.length < 2) throw new WireError(`a message has at least 2 bytes, not ${bytes.length}`);
  const flag = bytes[0];
  const type = (flag >> 1) & 0x7;
  if (type > Message.PUSH) throw new WireError(`there is no message type ${type}`);

  let at = 1;
  let id = 0;
  let route = "";
  if (hasId(type)) [id, at] = decodeVarint(bytes, at);
  if (hasRoute(type)) [route, at] = flag & FLAG_ROUTE_CODE ? routeByCode(bytes, at, routes) : routeByName(bytes, at);
  return {
    type,
    id,
    route,
    body: bytes.subarray(at),
    compressed: (flag & FLAG_COMPRESSED) !== 0,
    error: (flag & FLAG_ERROR) !== 0,
  };
}

function routeByCode(bytes, at, routes) {
  if (bytes.length - at < 2) throw new WireError("the message ends inside its route code");
  const code = (bytes[at] << 8) | bytes[at + 1];
  const route = routes.get(code);
  if (route === undefined) throw new WireError(`the dictionary has no route for the code ${code}`);
  return [route, at + 2];
}

function routeByName(bytes, at) {
  const end = at + 1 + bytes[at];
  // A missing length byte makes `end` NaN, so the comparison is written to fail for it too.
  if (!(end <= bytes.length)) throw new WireError("the message ends inside its route");
  return [text(bytes.subarray(at + 1, end)), end];
}

const hasId = (type) => type === Message.REQUEST || type === Message.RESPONSE;
const hasRoute = (type) => type !== Message.RESPONSE;

// ------------------------------------------------------------------------------------------------------------ numbers

/** Base 128, low seven bits first. Division and not shifts: ids outgrow 32 bits. @returns {number[]} */
export function encodeVarint(value) {
  if (!Number.isSafeInteger(value) || value < 0) throw new WireError(`${value} is not a message id`);
  const bytes = [];
  for (; value > 0x7f; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  bytes.push(value);
  return bytes;
}

/** @returns {[number, number]} the value, and where the bytes after it begin */
export function decodeVarint(bytes, at = 0) {
  let value = 0;
  for (let scale = 1; at < bytes.length; scale *= 128) {
    const byte = bytes[at++];
    value += (byte & 0x7f) * scale;
    if (!Number.isSafeInteger(value)) throw new WireError("a message id is too large");
    if (byte < 0x80) return [value, at];
  }
  throw new WireError("the message ends inside its id");
}

// --------------------------------------------------------------------------------------------------- JSON and handshake

/** @returns {Uint8Array} */
export const encodeJson = (value) => utf8.encode(JSON.stringify(value));

/** An empty body is `null`: Pitaya sends one where a result has no fields. */
export function decodeJson(bytes) {
  if (bytes.length === 0) return null;
  try {
    return JSON.parse(text(bytes));
  } catch (error) {
    throw error instanceof WireError ? error : new WireError(`the body is not JSON: ${error.message}`);
  }
}

/** A server may compress its handshake without a flag that says so: the first two bytes of zlib tell. */
export const isZlib = (bytes) => bytes.length > 2 && bytes[0] === 0x78 && [0x01, 0x5e, 0x9c, 0xda].includes(bytes[1]);

/**
 * The server's side of the handshake, inflated.
 * @param {Uint8Array} bytes
 * @returns {{code: number, heartbeat: number, serializer: string, codes: Map<string, number>, routes: Map<number, string>, message: string}}
 *   `heartbeat` in seconds, 0 for none; the dictionary in both directions; `message` says why the server refused
 */
export function decodeHandshake(bytes) {
  const { code, sys = {}, message } = decodeJson(bytes) ?? {};
  if (typeof code !== "number") throw new WireError("the handshake has no code");
  const codes = new Map(Object.entries(sys?.dict ?? {}));
  return {
    code,
    heartbeat: Number(sys?.heartbeat) || 0,
    serializer: sys?.serializer ?? "json",
    message: typeof message === "string" ? message : "",
    codes,
    routes: new Map([...codes].map(([route, number]) => [number, route])),
  };
}

function text(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new WireError("text is not UTF-8");
  }
}
