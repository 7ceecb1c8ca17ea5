//! The way of one session's messages to other servers.

use super::calls::{Told, Waiter};
use super::counters::count;
use super::hub::{Hub, Own};
use super::line::Line;
use super::outcome::unsent;
use super::seats::{Seat, Way};
use parking_lot::MutexGuard;
use pitaya_core::cluster::lane::{Number, Outgoing};
use pitaya_core::cluster::{Forward, Forwarder, ServerInfo};
use pitaya_core::{Error, Result, codes};
use std::sync::Arc;

/// One session's.
pub(super) struct Path {
    hub: Arc<Hub>,
    seat: Option<Arc<Seat>>,
}

impl Path {
    /// Without a seat everything is refused.
    pub(super) fn new(hub: Arc<Hub>, seat: Option<Arc<Seat>>) -> Self {
        Self { hub, seat }
    }

    /// The lane to a server of ours; `None` to any other.
    fn lane(line: &Line, way: &mut Way, to: &Arc<ServerInfo>) -> Result<Option<u32>> {
        match &way.last {
            Some((last, number, lane)) if Arc::ptr_eq(last, to) && *number == line.number => Ok(Some(*lane)),
            _ if to.keeps_order() => {
                let lane = line.lane(to)?;
                way.last = Some((to.clone(), line.number, lane));
                Ok(Some(lane))
            }
            _ => Ok(None),
        }
    }

    /// To a server of ours, behind all that was sent to it before.
    fn by_lane(&self, line: &Line, seat: &Seat, way: &mut Way, lane: u32, own: &Own, of: &Forward<'_>) -> Result<()> {
        let number = Number(seat.number.0 | u64::from(way.next()));
        let mut message = outgoing(way.session(of.session, of.uid, of.data), own, of);
        let json;
        if let Some(metadata) = of.metadata {
            json = serde_json::to_vec(metadata).unwrap_or_default();
            message.own = &json;
        }
        message.micros = of.timeout.map_or(0, |timeout| u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX).max(1));
        let bundle =
            line.post.forward(lane, number, &message, of.timeout).map_err(|refusal| self.hub.refused(refusal))?;
        way.sent(of.id, of.route, lane, bundle);
        Ok(())
    }

    /// To any other server: a message and an answer of its own.
    fn plain(
        &self,
        line: &Line,
        seat: &Seat,
        mut way: MutexGuard<'_, Way>,
        to: &ServerInfo,
        own: &Own,
        of: &Forward<'_>,
    ) -> Result<()> {
        let single = line.subject(to)?;
        let mut message = outgoing(way.session(of.session, of.uid, of.data), own, of);
        let timeout = of.timeout.unwrap_or(self.hub.settings.request_timeout);
        let sender;
        if of.metadata.is_some() || of.timeout.is_some() {
            let all = own.metadata.iter().chain(of.metadata.into_iter().flatten());
            sender = self.hub.sender(&own.info, &all.map(|(k, v)| (k.clone(), v.clone())).collect(), timeout);
            message.sender = &sender;
        }
        let mut payload = Vec::with_capacity(message.plain_len());
        message.write(&mut payload);
        let route = way.route(of.route);
        drop(way);
        let waiter = Waiter::Message(Told { session: seat.number, id: of.id, server: to.id.clone(), route, timeout });
        let sent = line.request(single, payload.into(), waiter, timeout);
        sent.map(drop).map_err(|refusal| self.hub.refused(refusal))
    }
}

fn outgoing<'a>(session: &'a [u8], own: &'a Own, of: &Forward<'a>) -> Outgoing<'a> {
    let Forward { id, notify, route, body, deflated, .. } = *of;
    Outgoing { session, sender: &own.sender, id, notify, route, body, deflated, micros: 0, own: &[] }
}

impl Forwarder for Path {
    fn forward(&self, to: &Arc<ServerInfo>, of: Forward<'_>) -> Result<()> {
        let own = self.hub.own().ok_or_else(unsent)?;
        let seat = self.seat.as_deref().ok_or_else(|| {
            Error::new(codes::UNAVAILABLE, "this server has as many sessions as it can forward messages of")
        })?;
        let line = self.hub.line.load();
        let Some(line) = &*line else {
            count(&self.hub.counters.unreachable);
            return Err(unsent());
        };
        let mut way = seat.way.lock();
        match Self::lane(line, &mut way, to)? {
            Some(lane) => self.by_lane(line, seat, &mut way, lane, own, &of)?,
            None => self.plain(line, seat, way, to, own, &of)?,
        }
        line.stir();
        count(&self.hub.counters.forwarded);
        Ok(())
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        if let Some(seat) = &self.seat {
            self.hub.seats.leave(seat.number);
        }
    }
}
