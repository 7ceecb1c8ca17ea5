//! A message for many clients, encoded once.

use crate::codec::Writes;
use crate::error::{Error, Result};
use crate::json::{escape_astral, escape_astral_tail};
use crate::wire::message::{COMPRESSED, push_head};
use crate::wire::packet::{HEADER, open, seal};
use crate::wire::{PacketKind, RouteRef, compress_tail};
use bytes::Bytes;
use std::sync::OnceLock;

/// How the bodies for one client are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BodyForm {
    /// They are compressed where that makes them smaller.
    pub compress: bool,
    /// They are JSON, in which characters beyond U+FFFF are written as escapes.
    pub escape: bool,
}

/// A push whose body has been written once. Its frames differ by what a client can read, so each kind is made when the
/// first client needs it and shared by all others.
///
/// ```
/// use pitaya_core::{Json, session::Push};
///
/// let push = Push::new::<(Json,), _>("json", "onMessage", &"hi").unwrap();
/// assert_eq!(push.route(), "onMessage");
/// assert_eq!(&push.body()[..], br#""hi""#);
/// ```
#[derive(Debug)]
pub struct Push {
    route: Box<str>,
    body: Bytes,
    /// The body with escapes, once a client has needed it; `None` inside where it is the body itself.
    escaped: OnceLock<Option<Bytes>>,
    /// By `escaped * 4 + coded * 2 + compressed`; `None` inside for one that is too long.
    frames: [OnceLock<Option<Bytes>>; 8],
}

impl Push {
    /// Writes `message` with the codec called `serializer`.
    ///
    /// # Errors
    /// PIT-500 when the set has no such codec; the codec's own; as for [`raw`](Self::raw).
    pub fn new<Cs: Writes<T>, T: ?Sized>(serializer: &str, route: &str, message: &T) -> Result<Self> {
        let codec = Cs::position(serializer).ok_or_else(|| {
            Error::internal(format!("the app speaks {serializer}, the push is written in {}", Cs::NAMES.join(" or ")))
        })?;
        let mut body = Vec::new();
        Cs::write(codec, message, &mut body)?;
        if Cs::VERBATIM { Self::raw(route, body) } else { Self::encoded(route, body) }
    }

    /// Takes bytes as they are: every client gets these.
    ///
    /// # Errors
    /// PIT-400 when the route or the body is longer than the wire can carry.
    pub fn raw(route: &str, body: impl Into<Bytes>) -> Result<Self> {
        let push = Self::encoded(route, body)?;
        let _ = push.escaped.set(None);
        Ok(push)
    }

    /// Takes a body that a codec has written, here or on another server. Clients that need it get JSON with escapes.
    ///
    /// # Errors
    /// PIT-400 when the route or the body is longer than the wire can carry.
    pub fn encoded(route: &str, body: impl Into<Bytes>) -> Result<Self> {
        let (route, body) = (route.into(), body.into());
        let push = Self { route, body, escaped: OnceLock::new(), frames: Default::default() };
        // But for escapes, the plain frame is the longest: when it can be written, the others can.
        let mut frame = Vec::with_capacity(push.body.len() + push.route.len() + 8);
        encode_push(&mut frame, RouteRef::Name(push.route.as_bytes()), &push.body, BodyForm::default())?;
        let _ = push.frames[0].set(Some(frame.into()));
        Ok(push)
    }

    /// The route.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.route
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The whole packet for a client that reads this code for the route, and bodies of this form.
    ///
    /// # Errors
    /// PIT-400 when the body with escapes is longer than the wire can carry.
    pub fn frame(&self, code: Option<u16>, form: BodyForm) -> Result<&Bytes> {
        let escaped = match form.escape {
            true => self.escaped.get_or_init(|| escape_astral(&self.body).map(Bytes::from)).as_ref(),
            false => None,
        };
        let at = usize::from(escaped.is_some()) * 4 + usize::from(code.is_some()) * 2 + usize::from(form.compress);
        let frame = self.frames[at].get_or_init(|| {
            let route = code.map_or(RouteRef::Name(self.route.as_bytes()), RouteRef::Code);
            let mut frame = Vec::new();
            let form = BodyForm { escape: false, ..form };
            encode_push(&mut frame, route, escaped.unwrap_or(&self.body), form).is_ok().then(|| frame.into())
        });
        frame.as_ref().ok_or_else(|| Error::bad_request("the push with escapes is longer than a packet can be"))
    }
}

/// Appends the packet of a push.
///
/// # Errors
/// PIT-400 when the route or the body is longer than the wire can carry; `out` is as before.
pub fn encode_push(out: &mut Vec<u8>, route: RouteRef<'_>, body: &[u8], form: BodyForm) -> Result<()> {
    let at = open(out, PacketKind::Data);
    let written = push_head(out, route).map_err(|e| Error::bad_request(e.to_string())).and_then(|()| {
        let body_at = out.len();
        out.extend_from_slice(body);
        if form.escape {
            escape_astral_tail(out, body_at);
        }
        if form.compress && compress_tail(out, body_at) {
            out[at + HEADER] |= COMPRESSED;
        }
        seal(out, at).map_err(|e| Error::bad_request(e.to_string()))
    });
    if written.is_err() {
        out.truncate(at);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Json, Raw};

    const ESCAPED: BodyForm = BodyForm { compress: false, escape: true };

    fn body(push: &Push, form: BodyForm) -> &[u8] {
        let frame = push.frame(None, form).expect("fits");
        &frame[HEADER + 2 + push.route().len()..]
    }

    #[test]
    fn escapes_are_made_once_for_all_clients_that_need_them() {
        let push = Push::new::<(Json,), _>("json", "on", "😂").expect("fits");
        assert_eq!(body(&push, BodyForm::default()), "\"😂\"".as_bytes());
        assert_eq!(body(&push, ESCAPED), br#""\ud83d\ude02""#);
        assert_eq!(push.frame(None, ESCAPED).unwrap().as_ptr(), push.frame(None, ESCAPED).unwrap().as_ptr());
        let plain = Push::new::<(Json,), _>("json", "on", "é").expect("fits");
        let frames = [ESCAPED, BodyForm::default()].map(|form| plain.frame(None, form).unwrap().as_ptr());
        assert_eq!(frames[0], frames[1], "without such characters it is the same frame");
    }

    #[test]
    fn raw_bytes_are_never_touched() {
        let text = "\"😂\"";
        assert_eq!(body(&Push::raw("on", text).unwrap(), ESCAPED), text.as_bytes());
        assert_eq!(body(&Push::new::<(Json,), _>("json", "on", &Raw::from(text)).unwrap(), ESCAPED), text.as_bytes());
        assert_eq!(body(&Push::encoded("on", "😂").unwrap(), ESCAPED), "😂".as_bytes(), "no JSON");
    }

    #[test]
    fn escapes_may_make_it_too_long() {
        let text = format!("\"{}\"", "😂".repeat(3 << 20));
        let push = Push::encoded("on", text).expect("fits as it is");
        assert!(push.frame(None, BodyForm::default()).is_ok());
        assert_eq!(push.frame(None, ESCAPED).unwrap_err().code(), "PIT-400");
    }
}
