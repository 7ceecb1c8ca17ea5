//! No input kills: more than a million generated bodies through every decoder. Each gives a value that makes sense or an
//! error, and what was read is written back and read alike.

mod support;

use std::ops::RangeInclusive;

use pitaya_core::wire::{
    HandshakeData, HandshakeLimits, HandshakeResponse, InflateError, Message, MessageKind, Packet, PacketKind,
    RouteRef,
    compress::{FREE_RATIO, MAX_RATIO},
    compress_tail, inflate, message, packet,
    varint::{self, VarintError},
};
use support::Random;

// A million and more, in the proportion of what they cost.
const MESSAGES: usize = 500_000;
const PACKETS: usize = 300_000;
const NUMBERS: usize = 300_000;
const HANDSHAKES: usize = 100_000;
const BODIES: usize = 20_000;
const _: () = assert!(MESSAGES + PACKETS + NUMBERS + HANDSHAKES + BODIES >= 1_000_000);

/// Asserts that a share of the inputs was good: a generator whose inputs all fail, or none, proves little.
fn assert_share(good: usize, all: usize, percent: RangeInclusive<usize>) {
    assert!(percent.contains(&(good * 100 / all)), "{good} of {all}");
}

/// A number whose length in bits, not its value, is evenly distributed.
fn number(random: &mut Random) -> u64 {
    let bits = random.below(64);
    random.next() >> bits
}

/// Does one small thing to `bytes`: changes, removes or adds a byte, or cuts the end off.
fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    let byte = random.next() as u8;
    if bytes.is_empty() {
        return bytes.push(byte);
    }
    let at = random.below(bytes.len());
    match random.below(6) {
        0 => bytes[at] = byte,
        1 => bytes[at] ^= 1 << (byte % 8),
        2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][usize::from(byte) % 5],
        3 => drop(bytes.remove(at)),
        4 => bytes.insert(at, byte),
        _ => bytes.truncate(at),
    }
}

#[test]
fn numbers() {
    let mut random = Random::new(1);
    let (mut bytes, mut out, mut good) = (Vec::new(), Vec::new(), 0);
    for round in 0..NUMBERS {
        let value = number(&mut random);
        out.clear();
        varint::encode(value, &mut out);
        let length = out.len();
        assert_eq!(varint::decode(&out), Ok((value, length)));
        if round % 2 == 0 {
            damage(&mut random, &mut out);
        } else {
            random.bytes(12, &mut out);
            // Random bytes end a number at once: make most of them go on.
            let long = random.below(11);
            out.iter_mut().take(long).for_each(|byte| *byte |= 0x80);
        }
        match varint::decode(&out) {
            Ok((value, used)) => {
                good += 1;
                bytes.clear();
                varint::encode(value, &mut bytes);
                assert!(used <= out.len() && used <= varint::MAX_BYTES && bytes.len() <= used);
            }
            Err(VarintError::Unterminated(length)) => {
                assert!(length == out.len() && out.iter().all(|byte| *byte >= 0x80));
            }
            Err(VarintError::TooLong) => assert!(out.len() >= varint::MAX_BYTES && out[9] > 1),
        }
    }
    assert_share(good, NUMBERS, 40..=95);
}

#[test]
fn packets() {
    const LIMIT: usize = 200;
    let mut random = Random::new(2);
    let (mut bytes, mut out, mut whole, mut failed) = (Vec::new(), Vec::new(), 0, 0);
    for _ in 0..PACKETS {
        random.bytes(300, &mut bytes);
        // Near the truth: a kind that mostly exists, a length that mostly fits.
        let header = [random.below(7) as u8, (random.below(50) == 0) as u8, (random.below(50) == 0) as u8];
        bytes.iter_mut().zip(header).for_each(|(byte, near)| *byte = near);
        match Packet::decode(&bytes, LIMIT) {
            Ok(Some((packet, used))) => {
                whole += 1;
                assert!(packet.body.len() <= LIMIT);
                out.clear();
                packet::encode(packet.kind, packet.body, &mut out).unwrap();
                assert_eq!(out, bytes[..used]);
                assert_eq!(Packet::decode(&bytes[..used - 1], LIMIT), Ok(None), "a byte less is not enough");
            }
            Ok(None) => {
                // Either half a header, or less than an allowed length announces.
                let announced = bytes.first_chunk().map(|&[_, a, b, c]| u32::from_be_bytes([0, a, b, c]) as usize);
                assert!(announced.is_none_or(|length| length <= LIMIT && bytes.len() < packet::HEADER + length));
            }
            Err(packet::PacketError::Kind(kind)) => {
                failed += 1;
                assert!(kind == bytes[0] && PacketKind::try_from(kind).is_err());
            }
            Err(packet::PacketError::TooLong { length, .. }) => {
                failed += 1;
                assert!(length > LIMIT && bytes.len() >= packet::HEADER);
            }
        }
    }
    assert_share(whole, PACKETS, 10..=60);
    assert_share(failed, PACKETS, 10..=60);
}

#[test]
fn messages() {
    let mut random = Random::new(3);
    let (mut route, mut body, mut bytes, mut out, mut good) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), 0);
    for round in 0..MESSAGES {
        random.bytes(if round % 64 == 0 { message::MAX_ROUTE } else { 20 }, &mut route);
        random.bytes(24, &mut body);
        let kinds = [MessageKind::Request, MessageKind::Notify, MessageKind::Response, MessageKind::Push];
        let kind = kinds[random.below(4)];
        let name = match random.below(2) {
            0 => RouteRef::Name(&route),
            _ => RouteRef::Code(random.next() as u16),
        };
        let sent = Message {
            kind,
            id: if kind.has_id() { number(&mut random) } else { 0 },
            route: kind.has_route().then_some(name),
            compressed: random.below(2) == 0,
            error: random.below(2) == 0,
            body: &body,
        };
        bytes.clear();
        sent.encode(&mut bytes).unwrap();
        assert_eq!(Message::decode(&bytes), Ok(sent));

        match random.below(4) {
            0 => random.bytes(40, &mut bytes),
            times => (0..times).for_each(|_| damage(&mut random, &mut bytes)),
        }
        if let Ok(read) = Message::decode(&bytes) {
            good += 1;
            assert!(bytes.ends_with(read.body));
            out.clear();
            read.encode(&mut out).unwrap();
            assert!(out.len() <= bytes.len(), "ids may have been padded, nothing else gets shorter");
            assert_eq!(Message::decode(&out), Ok(read));
        }
    }
    assert_share(good, MESSAGES, 40..=95);
}

#[test]
fn handshakes() {
    let seeds: [&[u8]; 6] = [
        br#"{"sys":{"platform":"mac","libVersion":"0.3.5-release","clientBuildNumber":"20","clientVersion":"2.1"},"user":{"age":30}}"#,
        br#"{"sys":{"type":"js-websocket","version":"0.0.1","rsa":{}},"user":null}"#,
        br#"{"user":{"a":[1,-2.5e3,true,null,"\u00e9\n",{"b":{}}],"a":"again"},"sys":null,"x":[[[[]]]]}"#,
        br#"{"code":200,"sys":{"dict":{"room.join":1,"onMessage":258},"heartbeat":30,"serializer":"json"}}"#,
        br#"{"code":400,"error":{"code":"PIT-401","msg":"too old"},"sys":{"dict":{},"heartbeat":0.5,"serializer":null}}"#,
        // A reply that Go compressed.
        b"\x78\x9c\x5c\xcc\x31\x0a\x02\x31\x10\x85\xe1\xbb\xbc\x3a\xc8\xba\x76\x73\x9b\x31\x79\x68\x44\x32\x30\x33\x8d\x2e\xb9\xbb\xa4\x93\xad\xfe\xe2\x83\xff\x40\xb5\x46\xc8\xbe\x6d\x05\xf1\x09\xc8\x81\xd6\x6b\xae\x56\x1b\x83\x35\xcd\x2f\x0f\x66\x30\xa2\xdb\x68\x9a\x0a\xb9\x96\x3f\x8c\x13\xee\xb3\xe0\x49\xf5\xbc\x53\x13\x72\x5b\x63\x7a\xd7\x77\xff\xd2\x21\x78\x85\x0d\xcc\xf9\x0b\x00\x00\xff\xff\x18\x10\x2a\xa3",
    ];
    let limits = HandshakeLimits::default();
    let mut random = Random::new(4);
    let (mut bytes, mut accepted, mut replies) = (Vec::new(), 0, 0);
    for _ in 0..HANDSHAKES {
        bytes.clear();
        bytes.extend_from_slice(seeds[random.below(seeds.len())]);
        for _ in 0..random.below(4) {
            damage(&mut random, &mut bytes);
        }
        if let Ok(data) = HandshakeData::parse(&bytes, &limits) {
            accepted += 1;
            let mut back = HandshakeData::parse(&serde_json::to_vec(&data).unwrap(), &limits).unwrap();
            // Kept, but not written: Go's data has no place for them.
            back.sys.client_type.clone_from(&data.sys.client_type);
            back.sys.version.clone_from(&data.sys.version);
            assert_eq!(back, data);
        }
        if let Ok(response) = HandshakeResponse::parse(&bytes) {
            replies += 1;
            let both = |(route, code)| response.dictionary.route(code) == Some(route) && code > 0;
            assert!(response.dictionary.iter().all(both) && !response.serializer.is_empty());
        }
    }
    assert_share(accepted, HANDSHAKES, 10..=90);
    assert_share(replies, HANDSHAKES, 10..=90);
}

#[test]
fn compressed_bodies() {
    const LIMIT: usize = 2000;
    let mut random = Random::new(5);
    let (mut word, mut body, mut out, mut good) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..BODIES {
        random.bytes(30, &mut word);
        body.clear();
        for _ in 0..random.below(60) {
            body.extend_from_slice(&word);
        }
        if compress_tail(&mut body, 0) {
            for _ in 0..random.below(3) {
                damage(&mut random, &mut body);
            }
        }
        out.clear();
        match inflate(&body, LIMIT, &mut out) {
            Ok(()) => {
                good += 1;
                assert!(out.len() <= LIMIT.min(FREE_RATIO.max(body.len() * MAX_RATIO)));
            }
            Err(InflateError::Ratio { .. }) => panic!("the limit comes first"),
            Err(_) => assert!(out.is_empty()),
        }
    }
    assert_share(good, BODIES, 10..=90);
}
