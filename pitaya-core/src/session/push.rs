//! A message for many clients, encoded once.

use crate::codec::Writes;
use crate::error::{Error, Result};
use crate::wire::message::{COMPRESSED, push_head};
use crate::wire::packet::{HEADER, open, seal};
use crate::wire::{PacketKind, RouteRef, compress_tail};
use bytes::Bytes;
use std::sync::OnceLock;

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
    /// By `coded * 2 + compressed`.
    frames: [OnceLock<Bytes>; 4],
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
        Self::raw(route, body)
    }

    /// Takes bytes as they are.
    ///
    /// # Errors
    /// PIT-400 when the route or the body is longer than the wire can carry.
    pub fn raw(route: &str, body: impl Into<Bytes>) -> Result<Self> {
        let push = Self { route: route.into(), body: body.into(), frames: Default::default() };
        // The plain frame is the longest: when it can be written, all can.
        let mut frame = Vec::with_capacity(push.body.len() + route.len() + 8);
        encode_push(&mut frame, RouteRef::Name(route.as_bytes()), &push.body, false)?;
        let _ = push.frames[0].set(frame.into());
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

    /// The whole packet for a client that reads this code for the route, and compressed bodies, or not.
    #[must_use]
    pub fn frame(&self, code: Option<u16>, compress: bool) -> &Bytes {
        let at = usize::from(code.is_some()) * 2 + usize::from(compress);
        self.frames[at].get_or_init(|| {
            let route = code.map_or(RouteRef::Name(self.route.as_bytes()), RouteRef::Code);
            let mut frame = Vec::new();
            match encode_push(&mut frame, route, &self.body, compress) {
                Ok(()) => frame.into(),
                // Only lengths can fail, and the longest frame was written in `raw`.
                Err(_) => self.frames[0].get().cloned().unwrap_or_default(),
            }
        })
    }
}

/// Appends the packet of a push.
///
/// # Errors
/// PIT-400 when the route or the body is longer than the wire can carry; `out` is as before.
pub fn encode_push(out: &mut Vec<u8>, route: RouteRef<'_>, body: &[u8], compress: bool) -> Result<()> {
    let at = open(out, PacketKind::Data);
    let written = push_head(out, route).map_err(|e| Error::bad_request(e.to_string())).and_then(|()| {
        let body_at = out.len();
        out.extend_from_slice(body);
        if compress && compress_tail(out, body_at) {
            out[at + HEADER] |= COMPRESSED;
        }
        seal(out, at).map_err(|e| Error::bad_request(e.to_string()))
    });
    if written.is_err() {
        out.truncate(at);
    }
    written
}
