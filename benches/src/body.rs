//! What does a request carry?

/// Bytes in the body of every request.
pub const BODY: usize = 64;
/// Bytes in a long one.
pub const LONG_BODY: usize = 1024;
const WORDS: [&[u8]; 12] = [
    b"north ",
    b"shield ",
    b"gold 250 ",
    b"attack ",
    b"Ann ",
    b"level 17 ",
    b"heals ",
    b"potion ",
    b"the gate ",
    b"archer ",
    b"x 104.5 ",
    b"runs ",
];

/// What a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// 64 bytes that are no JSON.
    Raw,
    /// 64 bytes of JSON: `{"uid":string,"seq":u64,"pos":[f64,f64],"act":string}`.
    Json,
    /// The same with a longer `act`: 1,024 bytes.
    LongJson,
}

impl std::str::FromStr for Body {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "raw" => Ok(Self::Raw),
            "json" => Ok(Self::Json),
            "json-1k" => Ok(Self::LongJson),
            _ => Err(()),
        }
    }
}

impl Body {
    /// The body of the first request of client `number`: unique to it, and its `seq` is the request's id.
    pub(crate) fn first(self, number: usize) -> Vec<u8> {
        let (mut body, end): (_, &[u8]) = match self {
            Self::Raw => (format!("\u{1}raw {number:06} seq 10000 ").into_bytes(), b"\xff"),
            Self::Json | Self::LongJson => {
                (format!(r#"{{"uid":"u{number:06}","seq":10000,"pos":[104.25,-33.5],"act":""#).into_bytes(), b"\"}")
            }
        };
        match self {
            Self::Raw | Self::Json => body.resize(BODY - end.len(), b'w'),
            // Words, as people write them: what compresses to a third, not to nothing.
            Self::LongJson => {
                let mut seed = number as u32 | 1;
                while body.len() < LONG_BODY - end.len() {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let word = WORDS[(seed >> 24) as usize % WORDS.len()];
                    body.extend_from_slice(&word[..word.len().min(LONG_BODY - end.len() - body.len())]);
                }
            }
        }
        body.extend_from_slice(end);
        body
    }
}
