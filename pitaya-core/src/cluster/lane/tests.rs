use super::*;
use crate::Error;
use crate::cluster::envelope::{Msg, MsgType, Request, Response, RpcType, Session};
use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;

fn number() -> impl Strategy<Value = Number> {
    (0..Number::SLOTS, any::<u8>(), any::<u32>()).prop_map(|(slot, generation, at)| Number::new(slot, generation, at))
}

fn envelopes(bundle: &[u8]) -> Vec<&[u8]> {
    let parts = parts(bundle).map(|part| part.expect("it can be read"));
    parts
        .filter_map(|part| match part {
            Part::Envelope(bytes) => Some(bytes),
            Part::SentAt(_) => None,
        })
        .collect()
}

proptest! {
    #[test]
    fn whatever_the_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for part in parts(&bytes) {
            if let Ok(Part::Envelope(envelope)) = part {
                let _ = Forwarded::read(envelope);
            }
        }
        let _ = Forwarded::read(&bytes);
        if let Ok(read) = LaneAnswer::read(&bytes) {
            prop_assert!(read.pushes().count() <= bytes.len());
            let _ = read.outcome();
        }
    }

    /// One byte of a good bundle is another, or its end is missing.
    #[test]
    fn whatever_happens_to_a_bundle(at in 0..100usize, byte: u8, cut in 0..100usize) {
        let mut bundle = Vec::new();
        open(7, &mut bundle);
        let (session, sender) = (session_part(3, "u", b"{}"), sender_part("fe", b"{}"));
        let message = Outgoing { session: &session, sender: &sender, id: 9, notify: false, route: "a.b.c", body: b"xyz", deflated: at % 2 == 0, micros: at as u64, own: b"{}" };
        message.carry(Number::new(1, 2, 3), &mut bundle);
        push(Number::new(1, 2, 0), "onX", b"y", &mut bundle);
        if let Some(place) = bundle.get_mut(at) {
            *place = byte;
        }
        bundle.truncate(bundle.len().min(cut));
        for part in parts(&bundle) {
            if let Ok(Part::Envelope(envelope)) = part {
                let _ = (Forwarded::read(envelope), LaneAnswer::read(envelope).map(|read| read.pushes().count()));
            }
        }
    }

    #[test]
    fn a_request_is_what_prost_writes(
        (id, session, uid, data) in (any::<u64>(), any::<i64>(), "[a-z]{0,9}", proptest::collection::vec(any::<u8>(), 0..40)),
        (notify, route, body) in (any::<bool>(), "[a-z.]{0,20}", proptest::collection::vec(any::<u8>(), 0..300)),
        deflated in any::<bool>(), micros in any::<u64>(), number in number(), own in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let (session_bytes, sender) = (session_part(session, &uid, &data), sender_part("fe-1", b"{\"a\":1}"));
        let message = Outgoing { session: &session_bytes, sender: &sender, id, notify, route: &route, body: &body, deflated, micros, own: &own };
        let mut plain = Vec::new();
        message.write(&mut plain);
        prop_assert_eq!(plain.len(), message.plain_len());
        let kind = if notify { MsgType::Notify } else { MsgType::Request };
        let wanted = Request {
            r#type: RpcType::Sys.into(),
            session: Some(Session { id: session, uid: uid.clone(), data: data.clone().into() }),
            msg: Some(Msg { id, route: route.clone(), data: body.clone().into(), reply: String::new(), r#type: kind.into() }),
            frontend_id: "fe-1".to_owned(),
            metadata: Bytes::from_static(b"{\"a\":1}"),
        };
        prop_assert_eq!(&plain, &wanted.encode_to_vec());

        let mut bundle = Vec::new();
        open(12, &mut bundle);
        let before = bundle.len();
        message.carry(number, &mut bundle);
        prop_assert_eq!(bundle.len() - before, message.carried_len());
        message.carry(number, &mut bundle);
        stamp(77, &mut bundle);
        prop_assert_eq!(parts(&bundle).next(), Some(Ok(Part::SentAt(77))));
        let envelopes = envelopes(&bundle);
        prop_assert_eq!(envelopes.len(), 2);
        // A server that does not know our fields reads the same message.
        prop_assert_eq!(Request::decode(envelopes[1]).expect("it decodes"), wanted);
        let read = Forwarded::read(envelopes[0]).expect("a request");
        let wanted = Forwarded {
            sys: true, session, uid: uid.as_bytes(), data: &data, id, notify, route: route.as_bytes(), body: &body, deflated, micros,
            frontend: b"fe-1", metadata: b"{\"a\":1}", own: &own, number,
        };
        prop_assert_eq!(read, wanted);
    }

    #[test]
    fn what_comes_back_is_read(number in number(), route in "[a-zA-Z]{0,20}", body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let error = Error::new("X-1", "no").with("k", "v");
        let mut bundle = Vec::new();
        push(number.session(), &route, &body, &mut bundle);
        answer(number, Ok(&body), &mut bundle);
        answer(number, Err(&error), &mut bundle);
        answer(number, Err(&Error::new("", "")), &mut bundle);
        kick(number.session(), b"", &mut bundle);
        kick(number.session(), &body, &mut bundle);
        let read: Vec<_> = envelopes(&bundle).into_iter().map(|e| LaneAnswer::read(e).expect("a response")).collect();
        prop_assert_eq!(read[0].pushes().collect::<Vec<_>>(), vec![(&*route, &*body)]);
        prop_assert_eq!((read[0].number.sequence(), read[0].number.slot()), (0, number.slot()));
        prop_assert_eq!((read[1].outcome(), read[1].number), (Ok(&*body), number));
        prop_assert_eq!(read[2].outcome(), Err(error.clone()));
        prop_assert_eq!(read[3].outcome().map_err(|e| e.code().to_owned()), Err("PIT-000".to_owned()));
        prop_assert!(read[4].kick && read[4].reason.is_empty() && !read[3].kick);
        prop_assert_eq!((read[5].kick, read[5].reason), (true, &*body));
        let known = Response::decode(envelopes(&bundle)[2]).expect("it decodes");
        prop_assert_eq!(known.error, Some((&error).into()));
    }
}

#[test]
fn a_request_without_a_message_is_malformed() {
    assert_eq!(Forwarded::read(&[]), Err(Malformed));
    assert_eq!(Forwarded::read(&sender_part("fe", b"{}")), Err(Malformed));
    assert!(Forwarded::read(&[0x1a, 0]).is_ok());
}

#[test]
fn a_number_has_three_parts() {
    let number = Number::new(0xff_fffe, 7, 9);
    assert_eq!((number.slot(), number.generation(), number.sequence()), (0xff_fffe, 7, 9));
    assert_eq!(number.session(), Number::new(0xff_fffe, 7, 0));
}

/// The example in `docs/lane.md`.
#[test]
fn the_example_of_the_docs() {
    let (session, sender) = (session_part(7, "u1", b"{}"), sender_part("fe-1", b"{}"));
    let mut bundle = Vec::new();
    open(1000, &mut bundle);
    let message = Outgoing {
        session: &session,
        sender: &sender,
        id: 3,
        notify: false,
        route: "room.room.join",
        body: b"hi",
        deflated: false,
        micros: 0,
        own: b"",
    };
    message.carry(Number::new(5, 0, 1), &mut bundle);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let wanted = "11e8030000000000000a38120a0807120275311a027b7d1a160803120e726f6f6d2e726f6f6d2e6a6f696e1a026869220466652d312a027b7dc13e0100000000050000";
    assert_eq!(hex(&bundle), wanted);
    let mut back = Vec::new();
    push(Number::new(5, 0, 0), "onJoin", b"u1", &mut back);
    answer(Number::new(5, 0, 1), Ok(b"ok"), &mut back);
    let wanted = "0a19ca3e0c0a066f6e4a6f696e1a027531c13e00000000000500000a0e0a026f6bc13e0100000000050000";
    assert_eq!(hex(&back), wanted);
}

#[test]
fn a_bundle_is_cut_between_envelopes() {
    let mut bundle = Vec::new();
    let ends: Vec<_> = [3, 200, 0]
        .map(|length| {
            answer(Number::new(1, 0, 1), Ok(&vec![b'x'; length]), &mut bundle);
            bundle.len()
        })
        .into();
    for most in 0..=bundle.len() + 1 {
        let wanted = ends.iter().copied().filter(|end| *end <= most).max().unwrap_or(0);
        assert_eq!(cut(&bundle, most), wanted, "{most} bytes at most");
    }
    assert_eq!(cut(b"\x0a\x05x", 100), 0, "no envelope");
}
