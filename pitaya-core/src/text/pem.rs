//! PEM (RFC 7468): certificates and keys in files, and own words for what is wrong with them.
//!
//! The errors of a library quote what they do not understand. In a damaged key file that is the key. Here an error holds
//! the number of a line, and never a part of it.

use super::der::{Der, INTEGER, SEQUENCE};
use super::{TextError, decode};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use std::fmt;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// What the head line of a block says is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockKind {
    /// `CERTIFICATE`.
    Certificate,
    /// `PRIVATE KEY`: any algorithm (PKCS #8).
    Pkcs8,
    /// `RSA PRIVATE KEY` (PKCS #1).
    Pkcs1,
    /// `EC PRIVATE KEY` (SEC 1).
    Sec1,
    /// `ENCRYPTED PRIVATE KEY`, or one of the other two with the header `Proc-Type: 4,ENCRYPTED`.
    EncryptedKey,
    /// `OPENSSH PRIVATE KEY`.
    OpenSshKey,
    /// `PUBLIC KEY`, of any kind.
    PublicKey,
    /// `CERTIFICATE REQUEST`.
    Request,
    /// Anything else.
    Other,
}

impl BlockKind {
    fn of(label: &str) -> Self {
        match label {
            "CERTIFICATE" => Self::Certificate,
            "PRIVATE KEY" => Self::Pkcs8,
            "RSA PRIVATE KEY" => Self::Pkcs1,
            "EC PRIVATE KEY" => Self::Sec1,
            "ENCRYPTED PRIVATE KEY" => Self::EncryptedKey,
            "OPENSSH PRIVATE KEY" => Self::OpenSshKey,
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Self::PublicKey,
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Self::Request,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for BlockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "a certificate",
            Self::Pkcs8 | Self::Pkcs1 | Self::Sec1 => "a private key",
            Self::EncryptedKey => "an encrypted private key",
            Self::OpenSshKey => "a private key of OpenSSH",
            Self::PublicKey => "a public key",
            Self::Request => "a certificate request",
            Self::Other => "something else",
        })
    }
}

/// Why a file holds no certificate or no key that can be used. Nothing of its content is in it but numbers of lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// It is no text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// It is binary.
    #[error(
        "it is DER or PKCS #12, which are binary. Write PEM: `openssl x509 -inform der -in FILE -out FILE.pem` for a \
         certificate, `openssl pkey -inform der -in FILE -out FILE.pem` for a key"
    )]
    Der,
    /// The head line of a block goes on with what belongs below it.
    #[error(
        "line {line}: the line ends are lost. A line that begins with `-----BEGIN` ends with its dashes, and each line \
         is a line of its own: `\\n` written as two characters is none"
    )]
    LineEnds {
        /// The line of the head.
        line: usize,
    },
    /// A character that cannot be seen, as editors and chat programs put in.
    #[error("line {line} has the invisible character U+{:04X}, which is no part of PEM: remove it", u32::from(*character))]
    Invisible {
        /// The line.
        line: usize,
        /// The character.
        character: char,
    },
    /// A block without an end.
    #[error("the block that begins in line {line} does not end: its `-----END` line is missing. Was the file cut off?")]
    Unended {
        /// The line of the head.
        line: usize,
    },
    /// A block whose body is damaged.
    #[error("line {line} is no base64, or the block that it is in lost a part")]
    Base64 {
        /// The line.
        line: usize,
    },
    /// A private key that is encrypted.
    #[error(
        "the private key in line {line} is encrypted. Write it without its passphrase: `openssl pkey -in FILE -out NEW`"
    )]
    Encrypted {
        /// The line of the head.
        line: usize,
    },
    /// Nothing of what is wanted.
    #[error("has no {} in it{}", if *.key { "private key" } else { "certificate" }, instead(found))]
    Missing {
        /// Whether a private key was looked for; a certificate otherwise.
        key: bool,
        /// What is there, with the line it begins in.
        found: Vec<(BlockKind, usize)>,
    },
}

fn instead(found: &[(BlockKind, usize)]) -> String {
    match found.first() {
        Some((kind, line)) => format!(": there is {kind} in line {line}"),
        None => ": it is not PEM, for no line of it begins with `-----BEGIN`".to_owned(),
    }
}

/// Reads all certificates of a PEM file, at least one.
///
/// # Errors
///
/// When the file is not PEM, when a certificate in it is damaged, and when there is none.
pub fn certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let text = text(file)?;
    let blocks = blocks(&text)?;
    let wanted = blocks.iter().filter(|block| block.kind == BlockKind::Certificate);
    let all = wanted
        .map(|block| CertificateDer::from_pem_slice(block.text.as_bytes()).map_err(|_| block.damage()))
        .collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() { Err(missing(false, &blocks)) } else { Ok(all) }
}

/// Reads the first private key of a PEM file.
///
/// # Errors
///
/// When the file is not PEM, when the key is encrypted or damaged, and when there is none.
pub fn private_key(file: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    let text = text(file)?;
    let blocks = blocks(&text)?;
    for block in &blocks {
        let pem = block.text.as_bytes();
        let key = match block.kind {
            BlockKind::Pkcs8 => PrivatePkcs8KeyDer::from_pem_slice(pem).map(PrivateKeyDer::from),
            BlockKind::Pkcs1 => PrivatePkcs1KeyDer::from_pem_slice(pem).map(PrivateKeyDer::from),
            BlockKind::Sec1 => PrivateSec1KeyDer::from_pem_slice(pem).map(PrivateKeyDer::from),
            BlockKind::EncryptedKey => return Err(PemError::Encrypted { line: block.line }),
            _ => continue,
        };
        return key.map_err(|_| block.damage());
    }
    Err(missing(true, &blocks))
}

fn missing(key: bool, blocks: &[Block]) -> PemError {
    PemError::Missing { key, found: blocks.iter().map(|block| (block.kind, block.line)).collect() }
}

fn text(file: &[u8]) -> Result<String, PemError> {
    if is_der(file) {
        return Err(PemError::Der);
    }
    Ok(decode(file.to_vec())?)
}

fn is_der(file: &[u8]) -> bool {
    // A sequence whose length has bytes of its own: no text begins so.
    if let [SEQUENCE, 0x80..=0x84, ..] = file {
        return true;
    }
    // Keys of elliptic curves are shorter than 128 bytes, and both of their first bytes are letters in a text. So the
    // whole file must be one sequence, and begin with the version of a private key or the algorithm of another one.
    let mut file = Der(file);
    let inside = file.expect(SEQUENCE).filter(|_| file.0.is_empty()).and_then(|content| Der(content).next());
    inside.is_some_and(|first| matches!(first.tag, INTEGER | SEQUENCE))
}

/// One block, from its head to its end.
struct Block {
    kind: BlockKind,
    /// The line of its head, from 1 on.
    line: usize,
    /// Its lines, without blanks around them and without headers.
    text: String,
    has_body: bool,
    /// The first line that is no base64.
    damaged: Option<usize>,
}

impl Block {
    fn new(label: &str, line: usize) -> Self {
        let text = format!("{BEGIN}{label}{DASHES}\n");
        Self { kind: BlockKind::of(label), line, text, has_body: false, damaged: None }
    }

    /// Takes a line between head and end: a header (RFC 1421, section 4.6), a blank, or a part of the body.
    fn take(&mut self, line: &str, number: usize) {
        if line.is_empty() {
            return;
        }
        if let (false, Some((_, value))) = (self.has_body, line.split_once(':')) {
            if value.ends_with("ENCRYPTED") {
                self.kind = BlockKind::EncryptedKey;
            }
            return;
        }
        self.has_body = true;
        if !line.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')) {
            self.damaged.get_or_insert(number);
        }
        self.text.extend([line, "\n"]);
    }

    /// What is wrong with a block that cannot be decoded.
    fn damage(&self) -> PemError {
        PemError::Base64 { line: self.damaged.unwrap_or(self.line) }
    }
}

/// The label of a first or last line, if nothing else is in it.
fn label(rest: &str) -> Option<&str> {
    rest.strip_suffix(DASHES).filter(|label| !label.contains(DASHES))
}

/// Whether a character has no width, or only a direction: soft hyphens, joiners, marks, separators.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Splits a file into its blocks. What stands between them is for people.
fn blocks(text: &str) -> Result<Vec<Block>, PemError> {
    // Files of old ended lines with a carriage return alone.
    let line_end = if text.contains('\n') { '\n' } else { '\r' };
    let (mut blocks, mut open) = (Vec::new(), None::<Block>);
    for (line, number) in text.split(line_end).zip(1..) {
        // A mark may stand in the middle of a file that was put together of several.
        let line = line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if (open.is_some() || line.contains(BEGIN))
            && let Some(character) = line.chars().find(|c| is_invisible(*c))
        {
            return Err(PemError::Invisible { line: number, character });
        }
        if let Some(rest) = line.strip_prefix(BEGIN) {
            if let Some(block) = open {
                return Err(PemError::Unended { line: block.line });
            }
            let label = label(rest).ok_or(PemError::LineEnds { line: number })?;
            open = Some(Block::new(label, number));
        } else if let Some(mut block) = open.take() {
            if let Some(rest) = line.strip_prefix(END) {
                label(rest).ok_or(PemError::LineEnds { line: number })?;
                block.text.extend([line, "\n"]);
                blocks.push(block);
                continue;
            }
            if line.contains(DASHES) {
                return Err(PemError::LineEnds { line: number });
            }
            block.take(line, number);
            open = Some(block);
        } else if line.contains(BEGIN) {
            return Err(PemError::LineEnds { line: number });
        }
    }
    match open {
        Some(block) => Err(PemError::Unended { line: block.line }),
        None => Ok(blocks),
    }
}

#[cfg(test)]
mod tests;
