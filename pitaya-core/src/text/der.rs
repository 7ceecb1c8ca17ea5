//! DER, the binary form of certificates and keys, as far as it is needed to tell what they are (X.690, section 8.1).

/// The tag of a sequence.
pub const SEQUENCE: u8 = 0x30;
/// The tag of a whole number.
pub const INTEGER: u8 = 0x02;
/// The tag of a text of bytes.
pub const OCTET_STRING: u8 = 0x04;
/// The tag of an object identifier.
pub const IDENTIFIER: u8 = 0x06;

/// The elements that are left to read.
#[derive(Clone, Copy)]
pub struct Der<'a>(pub &'a [u8]);

/// One element: its tag, its content, and both with the length between.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    /// What it is.
    pub tag: u8,
    /// What is in it.
    pub content: &'a [u8],
    /// With tag and length.
    pub whole: &'a [u8],
}

impl<'a> Der<'a> {
    /// Takes the next element; `None` at the end, and for what is cut off or longer than 4 GiB.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Element<'a>> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        // Below 128 the byte is the length; above, it says how many bytes of length follow.
        let wide = if first < 0x80 { 0 } else { usize::from(first & 0x7f) };
        let length = match wide {
            0 if first == 0x80 => return None,
            0 => usize::from(first),
            1..=4 => rest.get(..wide)?.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)),
            _ => return None,
        };
        let content = rest.get(wide..)?.get(..length)?;
        let (whole, left) = self.0.split_at_checked(2 + wide + length)?;
        self.0 = left;
        Some(Element { tag, content, whole })
    }

    /// Takes the next element and gives its content, if it has this tag.
    pub fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|element| element.tag == tag).map(|element| element.content)
    }
}

/// Says how much is left, and nothing of it: it may be a private key.
impl std::fmt::Debug for Der<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Der({} bytes)", self.0.len())
    }
}

impl std::fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Element({:#04x}, {} bytes)", self.tag, self.content.len())
    }
}
