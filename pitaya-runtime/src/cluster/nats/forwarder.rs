//! The way of one session's messages to other servers.

use super::calls::{Told, Waiter};
use super::counters::count;
use super::hub::{Hub, Own};
use super::line::{Line, check};
use super::outcome::unsent;
use super::seats::Seat;
use super::subjects;
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

    /// To a server of ours, behind all that was sent to it before.
    fn by_lane(&self, line: &Line, seat: &Seat, to: &Arc<ServerInfo>, own: &Own, of: &Forward<'_>) -> Result<()> {
        let mut way = seat.way.lock();
        let lane = match &way.last {
            Some((last, number, lane)) if Arc::ptr_eq(last, to) && *number == line.number => *lane,
            _ => {
                let lane = line.lane(to)?;
                way.last = Some((to.clone(), line.number, lane));
                lane
            }
        };
        let number = Number(seat.number.0 | u64::from(way.next()));
        let message = outgoing(way.session(of.session, of.uid, of.data), own, of);
        let bundle = line.post.forward(lane, number, &message).map_err(|refusal| self.hub.refused(refusal))?;
        way.sent(of.id, of.route, lane, bundle);
        Ok(())
    }

    /// To any other server: a message and an answer of its own.
    fn plain(&self, line: &Line, seat: &Seat, to: &ServerInfo, own: &Own, of: &Forward<'_>) -> Result<()> {
        check(to)?;
        let mut payload = Vec::new();
        let route = {
            let mut way = seat.way.lock();
            let message = outgoing(way.session(of.session, of.uid, of.data), own, of);
            payload.reserve_exact(message.plain_len());
            message.write(&mut payload);
            way.route(of.route)
        };
        let subject = subjects::server(&to.kind, &to.id).into();
        let waiter = Waiter::Message(Told { session: seat.number, id: of.id, server: to.id.clone(), route });
        let sent = line.request(subject, payload.into(), waiter, self.hub.settings.request_timeout);
        sent.map(drop).map_err(|refusal| self.hub.refused(refusal))
    }
}

fn outgoing<'a>(session: &'a [u8], own: &'a Own, of: &Forward<'a>) -> Outgoing<'a> {
    let Forward { id, notify, route, body, .. } = *of;
    Outgoing { session, sender: &own.sender, id, notify, route, body }
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
        if to.keeps_order() {
            self.by_lane(line, seat, to, own, &of)?;
        } else {
            self.plain(line, seat, to, own, &of)?;
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
