//! No short input kills: every body of up to three bytes through every decoder. Longer ones are generated in
//! `generated.rs`.

use pitaya_core::wire::{
    HandshakeData, HandshakeLimits, HandshakeResponse, Message, MessageKind, Packet, RouteRef, inflate, packet,
};

/// The protocol for bodies of at most three bytes, written down as plainly as it can be.
fn model(bytes: &[u8]) -> Option<Message<'_>> {
    let (flags, rest) = (*bytes.first()?, bytes.get(1..).filter(|rest| !rest.is_empty())?);
    let kind = match flags & 0x0e {
        0x00 => MessageKind::Request,
        0x02 => MessageKind::Notify,
        0x04 => MessageKind::Response,
        0x06 => MessageKind::Push,
        _ => return None,
    };
    let (id, rest) = match (kind, rest) {
        (MessageKind::Notify | MessageKind::Push, _) => (0, rest),
        (_, [byte @ 0..=0x7f, rest @ ..]) => (u64::from(*byte), rest),
        (_, [low @ 0x80..=0xff, high @ 0..=0x7f, rest @ ..]) => (u64::from(*high) * 128 + u64::from(*low) - 128, rest),
        _ => return None,
    };
    let (route, body) = match (kind, flags & 1, rest) {
        (MessageKind::Response, _, body) => (None, body),
        (_, 0, [0, body @ ..]) => (Some(RouteRef::Name(&[])), body),
        (_, 0, [1, _, body @ ..]) => (Some(RouteRef::Name(&rest[1..2])), body),
        (_, 1, [high, low, body @ ..]) => (Some(RouteRef::Code(u16::from(*high) * 256 + u16::from(*low))), body),
        _ => return None,
    };
    Some(Message { kind, id, route, compressed: flags & 0x10 != 0, error: flags & 0x20 != 0, body })
}

/// Every body of `N` bytes.
fn every<const N: usize>(mut check: impl FnMut(&[u8])) {
    for number in 0..1u32 << (8 * N) {
        let bytes = number.to_be_bytes();
        check(&bytes[4 - N..]);
    }
}

fn every_message<const N: usize>() {
    every::<N>(|bytes| {
        let read = Message::decode(bytes).ok();
        if read != model(bytes) {
            panic!("{bytes:02x?}: {read:?}");
        }
    });
}

#[test]
fn every_message_of_up_to_three_bytes() {
    assert!(Message::decode(&[]).is_err());
    every_message::<1>();
    every_message::<2>();
    every_message::<3>();
}

#[test]
fn every_stream_of_up_to_three_bytes_waits_or_fails() {
    fn check(bytes: &[u8]) {
        let read = Packet::decode(bytes, packet::MAX_BODY);
        let fits = matches!(read, Ok(None)) == (1..=5).contains(&bytes[0]);
        if !fits || matches!(read, Ok(Some(_))) {
            panic!("{bytes:02x?}: {read:?}");
        }
    }
    every::<1>(check);
    every::<2>(check);
    every::<3>(check);
}

#[test]
fn no_zlib_stream_has_three_bytes() {
    let mut out = Vec::new();
    let mut check = |bytes: &[u8]| assert!(inflate(bytes, 1000, &mut out).is_err());
    check(&[]);
    every::<1>(&mut check);
    every::<2>(|bytes| {
        check(bytes);
        // Only behind a header that zlib accepts does a third byte matter.
        let legal = bytes[0] & 0x0f == 8 && u16::from_be_bytes([bytes[0], bytes[1]]).is_multiple_of(31);
        let thirds = if legal { 0..=u8::MAX } else { 0..=0 };
        thirds.for_each(|third| check(&[bytes[0], bytes[1], third]));
    });
}

#[test]
fn the_handshakes_of_up_to_three_bytes() {
    let limits = HandshakeLimits::default();
    let mut read = Vec::new();
    let mut check = |bytes: &[u8]| {
        assert!(HandshakeResponse::parse(bytes).is_err(), "no reply is so short: {bytes:02x?}");
        if let Ok(data) = HandshakeData::parse(bytes, &limits) {
            assert_eq!(data, HandshakeData::default());
            read.push(String::from_utf8(bytes.to_vec()).unwrap());
        }
    };
    check(&[]);
    every::<1>(&mut check);
    every::<2>(&mut check);
    every::<3>(&mut check);
    // `{}` alone, and with one of four blanks before, within or behind.
    assert_eq!(read.len(), 1 + 4 * 3, "{read:?}");
}
