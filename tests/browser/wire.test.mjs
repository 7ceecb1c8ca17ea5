// The codec of the chat page against the worked bytes of the protocol.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Message, Packet, WireError,
  decodeHandshake, decodeJson, decodeMessage, decodePackets, decodeVarint,
  encodeJson, encodeMessage, encodePacket, encodeVarint, isZlib,
} from "../../examples/chat/web/js/wire.js";

const { REQUEST, NOTIFY, RESPONSE, PUSH } = Message;
const bytes = (hex) => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const hex = (array) => Buffer.from(array).toString("hex");
const text = (array) => Buffer.from(array).toString();
const utf8 = (string) => new Uint8Array(Buffer.from(string));

const DICT = { "room.join": 1, onMessage: 258 };
const CODES = new Map(Object.entries(DICT));
const ROUTES = new Map(Object.entries(DICT).map(([route, code]) => [code, route]));

// [what, message, its bytes, the header of the packet around it, whether it goes with the dictionary]
const WORKED = [
  ["request", { type: REQUEST, id: 1, route: "room.join", body: "{}" }, "00 01 09 726f6f6d2e6a6f696e 7b7d", "0400000e"],
  ["notify", { type: NOTIFY, route: "room.message", body: '{"a":1}' }, "02 0c 726f6f6d2e6d657373616765 7b2261223a317d", "04000015"],
  ["response", { type: RESPONSE, id: 300, body: '{"code":200}' }, "04 ac02 7b22636f6465223a3230307d", "0400000f"],
  ["push", { type: PUSH, route: "onMessage", body: '{"m":"hi"}' }, "06 09 6f6e4d657373616765 7b226d223a226869227d", "04000015"],
  ["request by code", { type: REQUEST, id: 1, route: "room.join", body: "{}" }, "01 01 0001 7b7d", "04000006", "dictionary"],
  ["push by code", { type: PUSH, route: "onMessage", body: '{"m":"hi"}' }, "07 0102 7b226d223a226869227d", "0400000d", "dictionary"],
  ["golden request", { type: REQUEST, id: 0, route: "a", body: "" }, "00000161", "04000004"],
  ["golden notify", { type: NOTIFY, route: "a", body: "" }, "020161", "04000003"],
  ["golden push", { type: PUSH, route: "a", body: "" }, "060161", "04000003"],
  ["golden response", { type: RESPONSE, id: 0, body: "" }, "0400", "04000002"],
  ["golden response with data", { type: RESPONSE, id: 0, body: "\x01" }, "040001", "04000003"],
  ["golden response id 129", { type: RESPONSE, id: 129, body: "" }, "048101", "04000003"],
];

for (const [what, message, expected, header, dictionary] of WORKED) {
  test(`${what}: encodes and decodes to the worked bytes`, () => {
    const encoded = encodeMessage({ ...message, body: utf8(message.body) }, dictionary ? CODES : undefined);
    assert.equal(hex(encoded), expected.replaceAll(" ", ""));

    const packet = encodePacket(Packet.DATA, encoded);
    assert.equal(hex(packet), header + expected.replaceAll(" ", ""));

    const [{ type, body }] = decodePackets(packet);
    assert.equal(type, Packet.DATA);
    const decoded = decodeMessage(body, ROUTES);
    assert.deepEqual(
      { ...decoded, body: text(decoded.body) },
      { id: 0, route: "", ...message, compressed: false, error: false },
    );
  });
}

test("the error bit marks a body that says what went wrong", () => {
  const decoded = decodeMessage(bytes("24 02 7b22636f6465223a225049542d343034222c226d7367223a226e66227d"));
  assert.equal(decoded.error, true);
  assert.equal(decoded.id, 2);
  assert.deepEqual(decodeJson(decoded.body), { code: "PIT-404", msg: "nf" });
});

test("the compression bit marks a zlib body", async () => {
  const decoded = decodeMessage(bytes("14 03 789caa56ca2d4e57b2524aa41028d502020000ffffef471b42"));
  assert.deepEqual([decoded.type, decoded.id, decoded.compressed], [RESPONSE, 3, true]);
  const stream = new Blob([decoded.body]).stream().pipeThrough(new DecompressionStream("deflate"));
  assert.equal(await new Response(stream).text(), `{"msg":"${"a".repeat(64)}"}`);
});

test("packets without a body", () => {
  assert.equal(hex(encodePacket(Packet.HANDSHAKE_ACK)), "02000000");
  assert.equal(hex(encodePacket(Packet.HEARTBEAT)), "03000000");
  assert.deepEqual(decodePackets(bytes("05000000")), [{ type: Packet.KICK, body: new Uint8Array(0) }]);
});

test("one WebSocket message may carry several packets", () => {
  const packets = decodePackets(bytes("03000000 04000003 020161 05000000"));
  assert.deepEqual(packets.map(({ type, body }) => [type, hex(body)]), [[3, ""], [4, "020161"], [5, ""]]);
});

test("a length uses all its 24 bits", () => {
  const packet = encodePacket(Packet.DATA, new Uint8Array(0xffffff));
  assert.equal(hex(packet.subarray(0, 4)), "04ffffff");
  assert.equal(decodePackets(packet)[0].body.length, 0xffffff);
  assert.throws(() => encodePacket(Packet.DATA, new Uint8Array(0x1000000)), WireError);
});

test("ids are base 128, low bits first", () => {
  const table = {
    0: "00", 1: "01", 127: "7f", 128: "8001", 129: "8101", 300: "ac02",
    16383: "ff7f", 16384: "808001", 4294967295: "ffffffff0f", 9007199254740991: "ffffffffffffff0f",
  };
  for (const [value, expected] of Object.entries(table)) {
    assert.equal(hex(encodeVarint(Number(value))), expected);
    assert.deepEqual(decodeVarint(bytes(expected)), [Number(value), expected.length / 2]);
  }
  for (const value of [-1, 1.5, 2 ** 53, NaN]) assert.throws(() => encodeVarint(value), WireError);
});

test("a route has at most 255 bytes, counted as UTF-8", () => {
  const route = "é".repeat(127) + "x";
  assert.equal(decodeMessage(encodeMessage({ type: PUSH, route })).route, route);
  assert.throws(() => encodeMessage({ type: PUSH, route: "é".repeat(128) }), WireError);
});

test("the server's handshake", () => {
  const packet = bytes(
    "01000041 7b22636f6465223a3230302c22737973223a7b2264696374223a7b7d2c22686561727462656174223a33302c2273657269616c697a6572223a226a736f6e227d7d",
  );
  const [{ type, body }] = decodePackets(packet);
  assert.equal(type, Packet.HANDSHAKE);
  assert.equal(isZlib(body), false);
  assert.deepEqual(decodeHandshake(body), { code: 200, message: "", heartbeat: 30, serializer: "json", codes: new Map(), routes: new Map() });
});

test("the server's handshake with a dictionary, compressed without a flag", async () => {
  const packet = bytes(
    "01000065 789c5ccc310a02311085e1bbbc3ac8ba76739b317968443230338d2eb9bba493adfee283ff40b546c8be6d05f109c881d66bae561b8335cd2f0f6630a2db689a0ab9963f8c13eeb3e049f5bc5313725b637ad777ffd22178850dccf90b0000ffff18102aa3",
  );
  const [{ body }] = decodePackets(packet);
  assert.equal(isZlib(body), true);
  const stream = new Blob([body]).stream().pipeThrough(new DecompressionStream("deflate"));
  const { code, codes, routes } = decodeHandshake(new Uint8Array(await new Response(stream).arrayBuffer()));
  assert.equal(code, 200);
  assert.equal(codes.size, 2);
  for (const [route, number] of codes) assert.equal(routes.get(number), route);
});

test("a handshake may lack what it may lack", () => {
  assert.deepEqual(decodeHandshake(utf8('{"code":400,"sys":null}')), {
    code: 400, message: "", heartbeat: 0, serializer: "json", codes: new Map(), routes: new Map(),
  });
  for (const broken of ["", "null", "{}", "[", '{"code":"200"}']) assert.throws(() => decodeHandshake(utf8(broken)), WireError);
});

test("an empty body is null, and text is UTF-8 both ways", () => {
  assert.equal(decodeJson(new Uint8Array(0)), null);
  assert.equal(decodeJson(encodeJson("héllo 🎉")), "héllo 🎉");
  assert.throws(() => decodeJson(bytes("22ff22")), WireError);
});

test("bytes that mean nothing are a WireError, and nothing else", () => {
  for (const broken of ["", "00", "0000", "0080", "00ffff", "0e00", "0800", "030009", "0300", "06", "06ff61", "00ffffffffffffffffff7f0161"]) {
    assert.throws(() => decodeMessage(bytes(broken), ROUTES), WireError, `message ${broken}`);
  }
  for (const broken of ["", "04", "040000", "04000001", "00000000", "06000000", "16030100", "47455420", "0300000004"]) {
    assert.throws(() => decodePackets(bytes(broken)), WireError, `packet ${broken}`);
  }
});

test("no bytes make the decoders throw anything else", () => {
  let seed = 7;
  const random = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) >> 8;
  for (let round = 0; round < 20_000; round++) {
    const noise = Uint8Array.from({ length: random() % 12 }, random);
    for (const decode of [decodePackets, (it) => decodeMessage(it, ROUTES), decodeHandshake]) {
      try {
        decode(noise);
      } catch (error) {
        assert.ok(error instanceof WireError, `${hex(noise)}: ${error.stack}`);
      }
    }
  }
});
