//! Opening a connection: the addresses of the server, the transport, the handshake.

use std::future::poll_fn;
use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use pitaya_core::wire::{HandshakeResponse, Packet, PacketKind, packet};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_websockets::{ClientBuilder, Config, Limits};

use crate::address::Address;
use crate::close::{CloseReason, ProtocolError};
use crate::error::ConnectError;
use crate::options::ConnectOptions;
use crate::reconnect::Reconnect;
use crate::route::{Route, share};
use crate::transport::{Io, Transport, WRITE_AHEAD};

/// A connection whose handshake is done.
pub(crate) struct Opened {
    pub(crate) transport: Transport,
    pub(crate) response: HandshakeResponse,
    /// Bytes that came behind the handshake, to be read first.
    pub(crate) inbound: BytesMut,
}

/// Connects and shakes hands with the first address of the route that serves.
///
/// An address may hang in any phase: its packets are dropped, or it accepts and says nothing. So each one gets a share of
/// the time for all of its phases. A server that refuses this client speaks for all addresses.
pub(crate) async fn open(route: &mut Route, options: &ConnectOptions) -> Result<Opened, ConnectError> {
    let (begun, whole) = (Instant::now(), options.connect_timeout);
    let found = timeout(whole, route.resolve()).await.map_err(|_| ConnectError::Timeout(whole))?;
    let found = found.map_err(ConnectError::Io)?;
    let mut failed = ConnectError::Timeout(whole);
    for (place, socket) in found.iter().enumerate() {
        let left = whole.saturating_sub(begun.elapsed());
        if left.is_zero() {
            break;
        }
        route.last = Some(*socket);
        let attempt = async { handshake(dial(&route.address, *socket, options).await?, options).await };
        match timeout(share(left, found.len() - place), attempt).await {
            Ok(Ok(opened)) => return Ok(opened),
            // Where another attempt may succeed, another address may.
            Ok(Err(error)) if !Reconnect::default().retries(&error) => return Err(error),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = ConnectError::Timeout(whole),
        }
        tracing::debug!(address = %socket, error = %failed, "address failed");
    }
    Err(failed)
}

/// Connects to one address of the server.
async fn dial(address: &Address, socket: SocketAddr, options: &ConnectOptions) -> Result<Transport, ConnectError> {
    let tcp = TcpStream::connect(socket).await.map_err(ConnectError::Io)?;
    // Writes are coalesced here, by what is known; the kernel would wait and guess.
    tcp.set_nodelay(true).map_err(ConnectError::Io)?;
    let io: Box<dyn Io> = match address.tls {
        true => Box::new(options.tls.connect(address.host(), tcp).await?),
        false => Box::new(tcp),
    };
    let Some(uri) = address.websocket() else { return Ok(Transport::bytes(io)) };
    let limit = packet::HEADER + options.max_packet;
    let builder = ClientBuilder::new().uri(&uri).map_err(|error| ConnectError::WebSocket(error.into()))?;
    let (io, _) = builder
        .limits(Limits::default().max_payload_len(Some(limit)))
        .config(Config::default().flush_threshold(WRITE_AHEAD))
        .connect_on(io)
        .await
        .map_err(|error| ConnectError::WebSocket(error.into()))?;
    Ok(Transport::websocket(io))
}

/// Introduces the client, reads the server's terms and takes them: the ack is queued, to be written with whatever the
/// application sends first. Nothing else is sent before the server answered.
pub(crate) async fn handshake(mut transport: Transport, options: &ConnectOptions) -> Result<Opened, ConnectError> {
    transport.queue(introduction(options)?);
    poll_fn(|cx| transport.poll_flush(cx)).await?;
    let mut inbound = BytesMut::new();
    let response = loop {
        match first_packet(&mut inbound, options.max_packet)? {
            Some(response) => break response,
            None if poll_fn(|cx| transport.poll_read(cx, &mut inbound)).await? == 0 => {
                return Err(CloseReason::ServerClosed.into());
            }
            None => {}
        }
    };
    if !response.is_ok() {
        return Err(ConnectError::Refused { code: response.code, reason: response.refusal });
    }
    transport.queue(packet::ACK.to_vec());
    Ok(Opened { transport, response, inbound })
}

fn introduction(options: &ConnectOptions) -> Result<Vec<u8>, ConnectError> {
    let body = serde_json::to_vec(&options.data).map_err(|error| ConnectError::Encode(error.into()))?;
    let mut out = Vec::with_capacity(packet::HEADER + body.len());
    packet::encode(PacketKind::Handshake, &body, &mut out).map_err(|error| ConnectError::Encode(error.into()))?;
    Ok(out)
}

/// Takes the handshake off `inbound`, if it is there. Go's server beats from the start, so heartbeats may precede it.
fn first_packet(inbound: &mut BytesMut, limit: usize) -> Result<Option<HandshakeResponse>, ConnectError> {
    loop {
        let broken = |error| CloseReason::from(ProtocolError::from(error));
        let Some((packet, used)) = Packet::decode(inbound, limit).map_err(broken)? else { return Ok(None) };
        let response = match packet.kind {
            PacketKind::Handshake => Some(HandshakeResponse::parse(packet.body)?),
            PacketKind::Heartbeat => None,
            PacketKind::Kick => return Err(CloseReason::kicked(packet.body).into()),
            other => return Err(CloseReason::from(ProtocolError::UnexpectedPacket(other)).into()),
        };
        inbound.advance(used);
        if response.is_some() {
            return Ok(response);
        }
    }
}

#[cfg(test)]
mod tests;
