//! How packets lie in a stream.

use super::Verdict;
use pitaya_core::CloseReason;
use pitaya_core::wire::Packet;
use std::time::Instant;

/// The layer between a stream and packets. TCP has none; a WebSocket has frames.
pub trait Framing: Send + Unpin + 'static {
    /// Packets lie in the stream as they are: nothing of this trait is called.
    const PLAIN: bool;

    /// Packets pass [`gate`](Self::gate) first. Where they do not, nothing of it is compiled.
    const GATED: bool = false;

    /// Appends the packets that these bytes complete. A message of more than `limit` bytes is an error.
    ///
    /// # Errors
    /// Why the connection has to be closed; packets of before the error have been appended.
    fn decode(&mut self, stream: &[u8], limit: usize, packets: &mut Vec<u8>) -> Result<(), CloseReason>;

    /// The message that has begun and has not come whole, if any. A framing that holds bytes of such messages tells of them
    /// here; otherwise they have no deadline, and the process does not know of the memory.
    #[inline]
    fn unfinished(&self) -> Option<Unfinished> {
        None
    }

    /// Appends whole packets in their frames, and whatever the layer itself owes the client.
    fn encode(&mut self, packets: &[u8], stream: &mut Vec<u8>);

    /// Whether the client asked for a WebSocket subprotocol, which nothing here speaks: browsers then end the connection.
    fn wants_subprotocol(&self) -> bool {
        false
    }

    /// Appends the layer's own farewell.
    fn goodbye(&mut self, reason: &CloseReason, stream: &mut Vec<u8>);

    /// What is to become of a packet: see [`Gate`](super::Gate).
    fn gate(&mut self, packet: &Packet<'_>, now: Instant) -> Verdict {
        let _ = (packet, now);
        Verdict::Pass
    }
}

/// A message whose beginning has come and whose end has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// Number of the message: another one than those of the messages before and after it.
    pub number: u32,
    /// Length of the message in bytes, as far as it was announced.
    pub length: usize,
    /// Memory that is held for it, in bytes.
    pub held: usize,
}

/// No layer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl Framing for Plain {
    const PLAIN: bool = true;

    fn decode(&mut self, stream: &[u8], _: usize, packets: &mut Vec<u8>) -> Result<(), CloseReason> {
        packets.extend_from_slice(stream);
        Ok(())
    }

    fn encode(&mut self, packets: &[u8], stream: &mut Vec<u8>) {
        stream.extend_from_slice(packets);
    }

    fn goodbye(&mut self, _: &CloseReason, _: &mut Vec<u8>) {}
}
