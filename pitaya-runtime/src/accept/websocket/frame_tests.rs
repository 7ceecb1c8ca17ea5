use super::*;

/// A client's frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    head_of(first & 0x0f, payload.len(), &mut out);
    out[0] = first;
    out[1] |= MASKED;
    let mask = [1, 2, 3, 4];
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
    out
}

fn decode(framing: &mut WebSocketFraming, bytes: &[u8]) -> Result<Vec<u8>, (Vec<u8>, CloseReason)> {
    let mut packets = vec![];
    match framing.decode(bytes, 1000, &mut packets) {
        Ok(()) => Ok(packets),
        Err(reason) => Err((packets, reason)),
    }
}

const BEAT: [u8; 4] = [3, 0, 0, 0];
const DATA: [u8; 6] = [4, 0, 0, 2, 8, 9];

#[test]
fn any_split_gives_the_same_packets() {
    let two = [DATA, DATA].concat();
    let stream = [
        frame(FIN | BINARY, &DATA),
        frame(FIN | TEXT, &BEAT),
        frame(BINARY, &DATA[..3]),
        frame(FIN | PING, b"are you there"),
        frame(CONTINUATION, b""),
        frame(FIN | CONTINUATION, &DATA[3..]),
        frame(FIN | BINARY, &two),
    ]
    .concat();
    let expected = [&DATA[..], &BEAT, &DATA, &two].concat();
    for step in 1..stream.len() {
        let (mut framing, mut packets) = (WebSocketFraming::default(), vec![]);
        for chunk in stream.chunks(step) {
            framing.decode(chunk, 1000, &mut packets).unwrap();
        }
        assert_eq!(packets, expected, "in steps of {step}");
        let mut out = vec![];
        framing.encode(&[], &mut out);
        assert_eq!(out, b"\x8a\x0dare you there");
    }
}

#[test]
fn a_message_that_has_not_come_whole_has_one_number_until_it_has() {
    let mut framing = WebSocketFraming::default();
    let mut feed = |bytes: &[u8]| {
        decode(&mut framing, bytes).expect("frames");
        framing.unfinished().map(|unfinished| (unfinished.number, unfinished.length))
    };
    let (whole, ping) = (frame(FIN | BINARY, &DATA), frame(FIN | PING, b"ping"));
    assert_eq!(feed(&whole), None);
    let (first, length) = feed(&whole[..1]).expect("begun");
    assert_eq!((length, feed(&whole[1..7])), (0, Some((first, whole.len()))));
    // It comes whole, and another one begins in the same read.
    let (second, _) = feed(&[&whole[7..], &whole[..7]].concat()).expect("begun");
    assert_ne!(first, second);
    assert_eq!(feed(&whole[7..]), None);
    // A fragmented one is one, whatever comes in between.
    let (third, _) = feed(&frame(BINARY, &DATA[..2])[..3]).expect("begun");
    assert_ne!(second, third);
    for bytes in [&frame(BINARY, &DATA[..2])[3..], &ping, &ping[..3], &ping[3..], &frame(CONTINUATION, &DATA[2..3])] {
        assert_eq!(feed(bytes).expect("begun").0, third, "{bytes:x?}");
    }
    assert_eq!(feed(&frame(FIN | CONTINUATION, &DATA[3..])), None);
    // Control frames alone are messages of their own.
    let (fourth, _) = feed(&ping[..3]).expect("begun");
    assert_ne!(feed(&[&ping[3..], &ping[..3]].concat()).expect("begun").0, fourth);
}

#[test]
fn what_a_client_must_not_send() {
    let long = [4, 0, 4, 0];
    for (bytes, text) in [
        (vec![0x82, 4, 3, 0, 0, 0], "masked"),
        (frame(FIN | 0x40 | BINARY, &BEAT), "reserved"),
        (frame(FIN | 3, &BEAT), "opcode"),
        (frame(PING, b""), "control frame"),
        (frame(FIN | PING, &[0; 126]), "control frame"),
        (frame(FIN | CONTINUATION, &BEAT), "continuation of nothing"),
        ([frame(BINARY, &BEAT[..1]), frame(FIN | BINARY, &BEAT)].concat(), "inside another"),
        (frame(FIN | BINARY, &BEAT[..3]), "whole packets"),
        (frame(FIN | BINARY, &[3, 0, 0, 0, 4]), "whole packets"),
        (frame(FIN | BINARY, b""), "whole packets"),
        (frame(FIN | BINARY, &[9, 0, 0, 0]), ""),
        (frame(FIN | BINARY, &long), ""),
        (vec![0x82, 0xfe, 0, 4], "shortest"),
        (vec![0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 4], "shortest"),
        (vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], "longer than"),
        (vec![0x82, 0xfe, 0x10, 0], "longer than"),
        (vec![0x16], "reserved"),
        (frame(FIN | CLOSE, &[3]), "half a close code"),
        (frame(FIN | CLOSE, &[3, 237]), "must not be sent"),
        (frame(FIN | CLOSE, &[3, 232, 0xff]), "UTF-8"),
        ([frame(BINARY, &[0; 900]), frame(CONTINUATION, &[0; 200])].concat(), "longer than"),
    ] {
        let (packets, reason) = decode(&mut WebSocketFraming::default(), &bytes).unwrap_err();
        assert!(
            matches!(reason, CloseReason::Malformed(_)) && reason.to_string().contains(text),
            "{bytes:x?}: {reason}"
        );
        assert!(packets.is_empty());
    }
}

#[test]
fn packets_before_a_close_are_kept_and_the_close_is_answered() {
    let mut framing = WebSocketFraming::default();
    let bytes = [frame(FIN | BINARY, &DATA), frame(FIN | CLOSE, &[3, 232])].concat();
    assert_eq!(decode(&mut framing, &bytes), Err((DATA.to_vec(), CloseReason::Client)));
    let mut out = vec![];
    framing.goodbye(&CloseReason::Client, &mut out);
    assert_eq!(out, [0x88, 2, 3, 232]);
    WebSocketFraming::default().goodbye(&CloseReason::Client, &mut out);
    assert_eq!(out.len(), 4, "nobody is there to read it");
}

#[test]
fn each_packet_is_a_message_of_its_own() {
    let mut long = vec![4, 1, 0x11, 0x70];
    long.resize(4 + 0x11170, 7);
    let mut out = vec![];
    WebSocketFraming::default().encode(&[&BEAT[..], &long, &[4, 0, 0, 200], &[1; 200]].concat(), &mut out);
    assert_eq!(out[..6], [0x82, 4, 3, 0, 0, 0]);
    assert_eq!(out[6..16], [0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x74]);
    assert_eq!(out[16 + long.len()..][..4], [0x82, 126, 0, 204]);
}

#[test]
fn a_packet_of_any_length_is_unmasked_whatever_lies_behind_it() {
    for body in 0..400_usize {
        let content: Vec<u8> = (0..body).map(|at| at as u8 ^ 0x5a).collect();
        let packet = [&[4, 0, (body >> 8) as u8, body as u8][..], &content].concat();
        let one = frame(FIN | BINARY, &packet);
        for behind in [&[][..], &one[..1], &one] {
            let stream = [&one[..], behind].concat();
            let mut framing = WebSocketFraming::default();
            let packets = decode(&mut framing, &stream).expect("packets");
            let whole = 1 + usize::from(behind.len() == one.len());
            assert_eq!(packets, packet.repeat(whole), "{body} bytes, {} behind", behind.len());
        }
    }
}

#[test]
fn a_length_that_is_not_in_its_shortest_form_is_refused() {
    let mut long = vec![FIN | BINARY, MASKED | 126, 0, DATA.len() as u8, 0, 0, 0, 0];
    long.extend_from_slice(&DATA);
    assert!(decode(&mut WebSocketFraming::default(), &long).is_err());
}
