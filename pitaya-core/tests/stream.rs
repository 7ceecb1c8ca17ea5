//! A stream is a stream: however its bytes are cut, the same packets come out of it.

mod support;

use pitaya_core::wire::{Packet, PacketError, PacketKind, packet};
use support::Random;

const LIMIT: usize = 70_000;

type Packets = Vec<(PacketKind, Vec<u8>)>;

/// A reader as a connection has one: it keeps what is no whole packet yet.
#[derive(Default)]
struct Reader {
    pending: Vec<u8>,
    packets: Packets,
}

impl Reader {
    fn read(&mut self, bytes: &[u8]) -> Result<(), PacketError> {
        self.pending.extend_from_slice(bytes);
        let mut used = 0;
        while let Some((packet, length)) = Packet::decode(&self.pending[used..], LIMIT)? {
            self.packets.push((packet.kind, packet.body.to_vec()));
            used += length;
        }
        self.pending.drain(..used);
        Ok(())
    }
}

/// Packets of all kinds and many lengths, and the stream of them.
fn stream(random: &mut Random, count: usize, longest: usize) -> (Packets, Vec<u8>) {
    let (mut packets, mut bytes) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let kind = PacketKind::try_from(1 + random.below(5) as u8).expect("1 to 5 are kinds");
        let mut body = Vec::new();
        let most = [0, 1, 40, longest][random.below(4)];
        random.bytes(most, &mut body);
        packet::encode(kind, &body, &mut bytes).expect("a short body");
        packets.push((kind, body));
    }
    (packets, bytes)
}

#[test]
fn cut_once_anywhere() {
    let (packets, bytes) = stream(&mut Random::new(1), 20, 60);
    for at in 0..=bytes.len() {
        let mut reader = Reader::default();
        reader.read(&bytes[..at]).unwrap();
        reader.read(&bytes[at..]).unwrap();
        assert!(reader.packets == packets && reader.pending.is_empty(), "cut at {at}");
    }
}

#[test]
fn byte_by_byte_and_all_at_once() {
    let (packets, bytes) = stream(&mut Random::new(2), 50, 300);
    for size in [1, 2, 3, 4, 5, bytes.len()] {
        let mut reader = Reader::default();
        bytes.chunks(size).for_each(|chunk| reader.read(chunk).unwrap());
        assert!(reader.packets == packets && reader.pending.is_empty(), "pieces of {size}");
    }
}

#[test]
fn cut_at_random() {
    let mut random = Random::new(3);
    for round in 0..2000 {
        let (packets, bytes) = stream(&mut random, 12, if round % 100 == 0 { LIMIT } else { 500 });
        let mut reader = Reader::default();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let most = [1, 4, 64, 4096][random.below(4)];
            let (piece, behind) = rest.split_at((1 + random.below(most)).min(rest.len()));
            reader.read(piece).unwrap();
            rest = behind;
        }
        assert!(reader.packets == packets && reader.pending.is_empty(), "round {round}");
    }
}

/// A bad packet is found at the same byte however the stream is cut, and what came before it is delivered.
#[test]
fn a_bad_packet_is_found_at_once() {
    let (packets, good) = stream(&mut Random::new(4), 10, 60);
    let too_long = PacketError::TooLong { length: packet::MAX_BODY, limit: LIMIT };
    for (bad, needed, error) in [
        (b"GET / HTTP/1.1\r\n".as_slice(), 1, PacketError::Kind(b'G')),
        (&[0x16, 3, 1, 0], 1, PacketError::Kind(0x16)),
        (&[4, 0xff, 0xff, 0xff], 4, too_long),
    ] {
        let bytes = [good.as_slice(), bad].concat();
        for size in [1, 2, 3, 7] {
            let mut reader = Reader::default();
            let mut fed = 0;
            let found = bytes.chunks(size).find_map(|chunk| {
                fed += chunk.len();
                reader.read(chunk).err()
            });
            assert_eq!(found, Some(error));
            assert!(fed < good.len() + needed + size, "pieces of {size}: only after {fed} bytes");
            assert!(reader.packets == packets);
        }
    }
}
