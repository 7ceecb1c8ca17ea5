use super::*;
use proptest::prelude::*;

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

fn source_of(bytes: &[u8]) -> Option<SocketAddr> {
    let header = parse(bytes).unwrap().unwrap();
    assert_eq!(header.length, bytes.len());
    header.source
}

const V4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0, 80];

#[test]
fn lines() {
    let at = |text: &str| source_of(text.as_bytes());
    assert_eq!(at("PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\r\n"), Some("192.0.2.7:12345".parse().unwrap()));
    assert_eq!(at("PROXY TCP6 2001:db8::7 ::1 12345 80\r\n"), Some("[2001:db8::7]:12345".parse().unwrap()));
    assert_eq!(at("PROXY UNKNOWN\r\n"), None);
    assert_eq!(at("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"), None);
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE - 16));
    assert_eq!((longest.len(), at(&longest)), (LINE, None));
}

#[test]
fn wrong_lines() {
    for text in [
        "PROXY TCP4 192.0.2.7 10.0.0.1 12345\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 12345 80 \r\n",
        "PROXY TCP4  192.0.2.7 10.0.0.1 12345 80\r\n",
        "PROXY TCP4 2001:db8::7 ::1 12345 80\r\n",
        "PROXY TCP6 192.0.2.7 10.0.0.1 12345 80\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 65536 80\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 +1234 80\r\n",
        "PROXY TCP4 192.0.2.7 x 12345 80\r\n",
        "PROXY UDP4 192.0.2.7 10.0.0.1 12345 80\r\n",
        "PROXY UNKNOWN\n",
        "PROXY UNKNOWN\rx",
        "PROXY \r\n",
    ] {
        assert!(matches!(parse(text.as_bytes()), Err(HeaderError::Wrong(_))), "{text:?}");
    }
    for text in ["PROXYTCP4", "proxy ", "\x01\0\0\x02{}", "GET / HTTP/1.1"] {
        assert_eq!(parse(text.as_bytes()), Err(HeaderError::Missing), "{text:?}");
    }
    for long in ["x".repeat(LINE - 14), "x".repeat(LINE - 15) + "\r", "x".repeat(LINE)] {
        assert_eq!(parse(format!("PROXY UNKNOWN {long}").as_bytes()), Err(HeaderError::TooLong(LINE)));
    }
}

#[test]
fn binary_headers() {
    let client = Some("192.0.2.7:12345".parse().unwrap());
    assert_eq!(source_of(&v2(0x21, 0x11, &V4)), client);
    // What a proxy says besides is skipped, up to the bound.
    assert_eq!(source_of(&v2(0x21, 0x11, &[&V4[..], &[4; LONGEST - HEAD - 12]].concat())), client);
    let mut v6 = [0; 36];
    v6[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
    v6[32..34].copy_from_slice(&12345_u16.to_be_bytes());
    assert_eq!(source_of(&v2(0x21, 0x21, &v6)), Some("[2001:db8::7]:12345".parse().unwrap()));
    // For itself, also with addresses; and what has none.
    for (command, family, body) in
        [(0x20, 0x00, &[][..]), (0x20, 0x11, &V4), (0x20, 0xff, &[]), (0x21, 0, &[]), (0x21, 0x31, &[0; 216])]
    {
        assert_eq!(source_of(&v2(command, family, body)), None);
    }
}

#[test]
fn wrong_binary_headers() {
    for (command, family, body) in
        [(0x11, 0x11, &V4[..]), (0x22, 0x11, &V4), (0x21, 0x11, &V4[1..]), (0x21, 0x21, &[0; 35]), (0x21, 0x41, &[])]
    {
        assert!(matches!(parse(&v2(command, family, body)), Err(HeaderError::Wrong(_))), "{command:x} {family:x}");
    }
    // By its announced length alone.
    let long = v2(0x21, 0x11, &[0; LONGEST - HEAD + 1]);
    assert_eq!(parse(&long[..HEAD]), Err(HeaderError::TooLong(LONGEST)));
}

/// Beginnings that random bytes would never have.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        Just(Vec::new()),
        Just(b"PROXY ".to_vec()),
        Just(b"PROXY TCP4 1.2.3.4 ".to_vec()),
        Just(b"PROXY UNKNOWN".to_vec()),
        Just(SIGNATURE.to_vec()),
        Just([&SIGNATURE[..], &[0x21]].concat()),
        Just(v2(0x21, 0x11, &V4)),
        Just(v2(0x20, 0, &[])),
    ];
    let rest =
        prop_oneof![proptest::collection::vec(any::<u8>(), 0..700), "[0-9A-Z:. ]{0,120}\r\n".prop_map(Into::into)];
    (start, rest).prop_map(|(start, rest)| [start, rest].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// It never panics, never asks for more than the bound, never takes more than it was given; and what comes in pieces
    /// means what it means in one.
    #[test]
    fn total(bytes in nearly()) {
        let whole = parse(&bytes);
        match whole {
            Ok(Some(header)) => prop_assert!(header.length <= bytes.len().min(LONGEST)),
            Ok(None) => prop_assert!(bytes.len() < LONGEST),
            Err(_) => {}
        }
        let first = (0..=bytes.len()).map(|end| parse(&bytes[..end])).find(|parsed| *parsed != Ok(None));
        prop_assert_eq!(first.unwrap_or(Ok(None)), whole);
    }
}
