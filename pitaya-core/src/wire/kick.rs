use serde_json::Value;

use super::packet::{PacketError, PacketKind, open, seal};

/// Appends a kick packet to `out`: empty as Go sends it, or with `reason` as its body.
///
/// Go's client and libpitaya ignore the body. The JavaScript client parses it and fails on an empty one, so a server
/// with such clients gives a reason, for instance `{"reason":"banned"}`.
///
/// # Errors
/// [`PacketError::TooLong`] for a reason beyond [`MAX_BODY`](super::packet::MAX_BODY) bytes; `out` is then as it was.
///
/// ```
/// let mut out = Vec::new();
/// pitaya_core::wire::kick(None, &mut out)?;
/// assert_eq!(out, pitaya_core::wire::packet::KICK);
///
/// out.clear();
/// pitaya_core::wire::kick(Some(&serde_json::json!({"reason": "banned"})), &mut out)?;
/// assert_eq!(out, b"\x05\x00\x00\x13{\"reason\":\"banned\"}");
/// # Ok::<(), pitaya_core::wire::PacketError>(())
/// ```
pub fn kick(reason: Option<&Value>, out: &mut Vec<u8>) -> Result<(), PacketError> {
    let at = open(out, PacketKind::Kick);
    if let Some(reason) = reason {
        out.extend_from_slice(reason.to_string().as_bytes());
    }
    seal(out, at)
}
