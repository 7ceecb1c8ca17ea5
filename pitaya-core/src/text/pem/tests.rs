//! Files as they are found in the field: whole, damaged in transport, of the wrong kind.

use super::*;
use crate::text::{KeyError, key_error};
use std::process::Command;

/// Runs openssl, and gives what it writes to its standard output.
fn openssl(args: &str) -> String {
    let output = Command::new("openssl").args(args.split(' ')).output().expect("openssl is installed");
    assert!(output.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("PEM")
}

/// No part of the body of `key` is in `text`, in any of the forms that it could have.
fn assert_nothing_of(key: &str, text: &str) {
    for line in key.lines().filter(|line| line.len() > 16 && !line.starts_with(DASHES)) {
        for at in 0..line.len() - 12 {
            assert!(!text.contains(&line[at..at + 12]), "{text}");
        }
        let numbers = format!("{:?}", &line.as_bytes()[..8]);
        assert!(!text.contains(numbers.trim_matches(['[', ']'])), "{text}");
    }
    assert!(text.len() < 400, "{text}");
}

#[test]
fn damage_is_told_by_its_line_and_without_the_key() {
    let key = openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    private_key(key.as_bytes()).expect("it is whole");
    let lines = |end: &str| key.trim().replace('\n', end);
    let (first, rest) = key.split_once('\n').expect("lines");
    let cases = [
        ("no line ends", lines(""), PemError::LineEnds { line: 1 }),
        ("blanks for line ends", lines(" "), PemError::LineEnds { line: 1 }),
        ("escaped line ends", lines("\\n"), PemError::LineEnds { line: 1 }),
        ("in quotes", format!("\"{key}\""), PemError::LineEnds { line: 1 }),
        ("head and body on one line", format!("a comment\n{first}{rest}"), PemError::LineEnds { line: 2 }),
        ("body and end on one line", key.trim().replace("\n-----END", "-----END"), PemError::LineEnds { line: 4 }),
        ("cut off", key[..key.len() - 40].to_owned(), PemError::Unended { line: 1 }),
        ("cut off and another", format!("{}\n{key}", &key[..60]), PemError::Unended { line: 1 }),
        (
            "zero-width spaces in front of the lines",
            key.lines().map(|line| format!("\u{200b}{line}\n")).collect(),
            PemError::Invisible { line: 1, character: '\u{200b}' },
        ),
        (
            "a soft hyphen in the body",
            format!("{first}\n\u{ad}{rest}"),
            PemError::Invisible { line: 2, character: '\u{ad}' },
        ),
        ("a stranger in line 3", key.replacen("\n", "\n\n%%%", 1), PemError::Base64 { line: 3 }),
        ("a line is missing", format!("{first}\n{}", rest.split_at(3).1), PemError::Base64 { line: 1 }),
        ("no head", rest.to_owned(), PemError::Missing { key: true, found: vec![] }),
        ("nothing", String::new(), PemError::Missing { key: true, found: vec![] }),
    ];
    for (name, file, expected) in cases {
        let error = private_key(file.as_bytes()).map(|_| ()).expect_err(name);
        assert_eq!(error, expected, "{name}");
        // Whoever gives the key file for the certificate, too.
        let other = certificates(file.as_bytes()).expect_err(name);
        for text in [error.to_string(), format!("{error:?}"), other.to_string(), format!("{other:?}")] {
            assert_nothing_of(&key, &text);
        }
    }
}

#[test]
fn files_are_read_with_what_editors_and_tools_put_in() {
    let key = openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    let expected = private_key(key.as_bytes()).expect("it is whole");
    for file in [
        format!("\u{feff}{key}"),
        format!("# a comment\n\u{feff}{key}"),
        key.replace('\n', "\r\n"),
        key.replace('\n', "\r"),
        key.lines().map(|line| format!("    {line}  \n")).collect(),
        key.trim_end().to_owned(),
        format!("{}{key}", openssl("ecparam -name prime256v1")),
    ] {
        assert_eq!(private_key(file.as_bytes()).as_ref(), Ok(&expected), "{}", file.len());
    }
    let utf16: Vec<u8> = key.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let error = private_key(&utf16).unwrap_err().to_string();
    assert_eq!(error, "it is UTF-16 (little-endian), not UTF-8: save it as UTF-8");
}

#[test]
fn the_wrong_kind_of_file_is_named() {
    let folder = std::env::temp_dir().join(format!("pitaya-pem-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = |name: &str| folder.join(name).display().to_string();
    let key = path("key.pem");
    openssl(&format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {key}"));
    openssl(&format!("pkey -in {key} -outform der -out {}", path("key.der")));
    openssl(&format!("req -x509 -key {key} -subj /CN=x -outform der -out {}", path("certificate.der")));
    let certificate = openssl(&format!("req -x509 -key {key} -subj /CN=x"));
    let encrypted = openssl(&format!("pkcs8 -topk8 -in {key} -passout pass:x"));
    let traditional = openssl(&format!("rsa -traditional -aes128 -in {key} -passout pass:x"));
    let public = openssl(&format!("pkey -in {key} -pubout"));
    let der = std::fs::read(path("key.der")).expect("written");
    let certificate_der = std::fs::read(path("certificate.der")).expect("written");
    std::fs::remove_dir_all(&folder).expect("removed");

    assert_eq!(private_key(encrypted.as_bytes()), Err(PemError::Encrypted { line: 1 }));
    assert_eq!(private_key(traditional.as_bytes()), Err(PemError::Encrypted { line: 1 }));
    assert_eq!(private_key(&der), Err(PemError::Der));
    assert_eq!(certificates(&certificate_der), Err(PemError::Der));
    let error = private_key(public.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "has no private key in it: there is a public key in line 1");
    let bare: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
    for text in ["garbage", &bare, ""] {
        let error = private_key(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "has no private key in it: it is not PEM, for no line of it begins with `-----BEGIN`");
    }
    let error = certificates(traditional.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "has no certificate in it: there is an encrypted private key in line 1");
    assert_eq!(certificates(format!("{encrypted}{certificate}").as_bytes()).map(|all| all.len()), Ok(1));
}

/// Keys below 128 bytes have their length in one byte, which is a letter in a text.
#[test]
fn short_keys_in_der_are_told_from_texts() {
    let folder = std::env::temp_dir().join(format!("pitaya-der-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = |name: &str| folder.join(name).display().to_string();
    let (ec, ed) = (path("ec.pem"), path("ed.pem"));
    openssl(&format!("ecparam -genkey -noout -name prime256v1 -out {ec}"));
    openssl(&format!("genpkey -algorithm ED25519 -out {ed}"));
    openssl(&format!("ec -in {ec} -outform der -out {}", path("ec")));
    openssl(&format!("ec -in {ec} -pubout -outform der -out {}", path("public")));
    openssl(&format!("pkey -in {ed} -outform der -out {}", path("ed")));
    for (name, head) in [("ec", [0x30, 0x77, 0x02]), ("ed", [0x30, 0x2e, 0x02]), ("public", [0x30, 0x59, 0x30])] {
        let file = std::fs::read(path(name)).expect("written");
        assert_eq!(file[..3], head, "{name}");
        assert_eq!(private_key(&file), Err(PemError::Der), "{name}");
        assert_eq!(certificates(&file), Err(PemError::Der), "{name}");
        // A text may begin like a short key.
        assert!(!matches!(private_key(&file[..file.len() - 1]), Err(PemError::Der)), "{name}");
    }
    std::fs::remove_dir_all(&folder).expect("removed");
    let text = format!("0w{}", "x".repeat(0x77));
    assert!(matches!(private_key(text.as_bytes()), Err(PemError::Missing { .. })));
}

#[test]
fn keys_that_are_not_supported_are_named() {
    let rsa = |bits| format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits}");
    let ec = |curve| format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve}");
    for (command, expected) in [
        (rsa(1024), KeyError::Size(1024)),
        (ec("P-521"), KeyError::Curve("P-521")),
        (ec("P-224"), KeyError::Curve("P-224")),
        (ec("secp256k1"), KeyError::Curve("secp256k1")),
        ("ecparam -genkey -noout -name secp521r1".to_owned(), KeyError::Curve("P-521")),
        ("genpkey -algorithm ED448".to_owned(), KeyError::Algorithm("Ed448")),
        ("genpkey -algorithm X25519".to_owned(), KeyError::Algorithm("X25519")),
        ("genrsa -traditional 1024".to_owned(), KeyError::Size(1024)),
        // What is supported is damaged if the library still refuses it.
        (rsa(2048), KeyError::Damaged),
        (ec("P-256"), KeyError::Damaged),
        ("genpkey -algorithm ED25519".to_owned(), KeyError::Damaged),
    ] {
        let key = private_key(openssl(&command).as_bytes()).expect("it is a key");
        assert_eq!(key_error(&key), expected, "{command}");
    }
    let junk = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(vec![0x30, 0x84, 1]));
    assert_eq!(key_error(&junk), KeyError::Damaged);
}
