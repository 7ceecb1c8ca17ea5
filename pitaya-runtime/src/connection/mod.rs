//! One client: read, take turns, write.
//!
//! A connection is one future. Each time it is polled it goes on with the turn in progress, reads what the kernel has,
//! runs the messages in order, takes the pushes that came from elsewhere, and writes everything at once. Handlers are
//! polled in place; nothing is spawned for a message, and nothing is allocated while a client is idle.

mod alike;
mod backlog;
mod calls;
mod clock;
mod closing;
mod elsewhere;
mod forwarding;
mod holding;
mod messages;
mod outcome;
mod repeat;
mod restraint;
mod scratch;
mod turn;
mod turns;
mod welcome;
mod write;

use crate::accept::{Admitted, Framing, Refused};
use crate::agent::Agent;
use crate::counters::count;
use crate::limits::Spending;
use crate::server::Server;
use alike::Last;
use backlog::Backlog;
use closing::Closing;
use forwarding::Forwarding;
use holding::Holding;
use pitaya_core::session::ClientCertificate;
use pitaya_core::session::state::Machine;
use pitaya_core::wire::PacketKind;
use pitaya_core::{CloseReason, Context, Session};
use scratch::{Scratch, Work};
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::task::{self, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use turn::Turn;
use write::Unsent;

/// Inside a poll, what is to be written is written as soon as there is this much of it.
const FLUSH: usize = 64 * 1024;
/// Inside a poll, so many reads: a client that always has more must not keep the pushes, the clock and the other tasks
/// of the thread waiting.
const READS: usize = 16;
/// Inside a poll, so many messages begin: handlers that take a while must not add up to a long time.
const MESSAGES: u32 = 1024;

pub(crate) struct Connection<S, F> {
    server: Arc<Server>,
    agent: Arc<Agent>,
    session: Session,
    context: Context,
    stream: S,
    framing: F,
    machine: Machine,
    /// Armed for the next beat, deadline or limit; never for a message.
    timer: Pin<Box<Sleep>>,
    /// Whom the outbox wakes, and the timer once it is watched: the task this future is polled by.
    waker: Option<Waker>,
    /// The timer was polled since it was armed: until it has elapsed there is nothing to see.
    watched: bool,
    /// Nobody looks at single messages: no limits, no steps around a call, no spans, no labels of metrics.
    unseen: bool,
    /// Answers in JSON get escapes for characters beyond U+FFFF: the client breaks on them.
    escapes: bool,
    /// The last route: most clients repeat themselves.
    last: Option<Last>,
    /// The call or the handshake in progress: nothing else runs meanwhile.
    turn: Option<Turn>,
    /// What was read and has not run.
    backlog: Backlog,
    /// Since when, while anybody wants to know.
    waiting: Option<std::time::Instant>,
    unsent: Unsent,
    /// Bytes held between two polls; `None` while there are none.
    holding: Option<Box<Holding>>,
    /// The way to other servers, once something was sent there.
    forwarding: Option<Box<Forwarding>>,
    /// The next message may begin when so many or fewer of those sent on have no outcome.
    held: Option<usize>,
    /// The server stops: no more is read, what was read is finished.
    draining: bool,
    /// The client's silence counts.
    reading: bool,
    /// Bytes may have come with the upgrade of a WebSocket: they are looked at before anything is read.
    early: bool,
    /// How often it may still send, where that is limited.
    spending: Option<Box<Spending>>,
    /// When the packets in work were begun with, if anybody has asked.
    batch: Option<Instant>,
    /// How many messages may still begin before other tasks have their turn.
    budget: u32,
    closing: Option<Closing>,
    /// Its place among the connections of the app.
    _admitted: Admitted,
}

impl<S, F> Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Framing,
{
    /// `accepted` is when the socket was: the handshake deadline counts from there.
    pub(crate) fn new(
        server: Arc<Server>,
        stream: S,
        framing: F,
        remote: SocketAddr,
        certificate: Option<Box<ClientCertificate>>,
        accepted: Instant,
        admitted: Admitted,
    ) -> Self {
        let agent = Arc::new(Agent::new(server.clone(), remote, certificate));
        let session = Session::new(server.sessions.next_id(), agent.clone());
        session.data().set_ip_version(remote.ip().to_canonical().is_ipv4());
        server.sessions.insert(&session);
        if server.stopping.is_cancelled() {
            session.close_for(CloseReason::Shutdown);
        }
        tracing::debug!(session = session.id(), %remote, "session opened");
        let settings = &server.settings;
        let machine = Machine::new(accepted.into_std(), settings.heartbeat, settings.handshake_timeout);
        let context = Context::new(session.clone(), server.state(), server.pipeline.clone(), server.names.clone());
        Self {
            timer: Box::pin(sleep_until(machine.next().into())),
            waker: None,
            watched: false,
            agent,
            session,
            context,
            stream,
            framing,
            machine,
            unseen: server.is_unseen(),
            escapes: false,
            last: None,
            turn: None,
            backlog: Backlog::default(),
            waiting: None,
            unsent: Unsent::default(),
            holding: None,
            forwarding: None,
            held: None,
            draining: false,
            reading: true,
            early: !F::PLAIN,
            spending: server.limits.as_ref().map(|limits| Box::new(Spending::new(limits))),
            batch: None,
            budget: MESSAGES,
            closing: None,
            _admitted: admitted,
            server,
        }
    }

    /// Goes on until nothing more can be done now, or the session has to end.
    fn run(&mut self, cx: &mut task::Context<'_>, scratch: &mut Scratch) -> Result<(), CloseReason> {
        self.enrol(cx.waker());
        if !self.unsent.is_empty() {
            self.write(cx, &mut scratch.work)?;
        }
        let mut reads = 0;
        self.budget = MESSAGES;
        loop {
            self.go_on(cx, &mut scratch.work)?;
            if scratch.work.out.len() >= FLUSH {
                self.write(cx, &mut scratch.work)?;
            }
            if !self.wants_to_read() {
                break;
            }
            if reads == READS || self.budget == 0 {
                cx.waker().wake_by_ref();
                break;
            }
            reads += 1;
            let mut read = 0;
            if !std::mem::take(&mut self.early) {
                let mut buffer = ReadBuf::new(&mut scratch.read);
                match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                    Poll::Pending => break,
                    // A client that closes TCP without closing TLS first, as many do.
                    Poll::Ready(Err(e)) if e.kind() == ErrorKind::UnexpectedEof => return Err(CloseReason::Client),
                    Poll::Ready(Err(e)) => return Err(CloseReason::Connection(e.to_string())),
                    Poll::Ready(Ok(())) => {}
                }
                read = buffer.filled().len();
                if read == 0 {
                    return Err(CloseReason::Client);
                }
                self.machine.heard();
            }
            scratch.work.tally.read();
            if F::PLAIN {
                self.received(cx, &scratch.read[..read], &mut scratch.work)?;
            } else {
                scratch.packets.clear();
                let limit = self.framing_limit();
                let framed = self.framing.decode(&scratch.read[..read], limit, &mut scratch.packets);
                self.received(cx, &scratch.packets, &mut scratch.work)?;
                if let Err(reason) = framed {
                    if matches!(reason, CloseReason::Malformed(_)) {
                        self.not_let_in(Refused::NotAPacket, &reason.to_string());
                    }
                    return Err(reason);
                }
            }
        }
        self.judge_silence();
        if self.agent.outbox.is_dirty() {
            self.take_pushes(&mut scratch.work)?;
        }
        self.look_at_the_clock(cx, &mut scratch.work)?;
        self.write_here(cx, &mut scratch.work)?;
        self.look_at_the_rest();
        if self.draining
            && let Some(Turn::Call(call)) = &self.turn
        {
            self.server.pending.note(self.session.id(), call.head.route);
        }
        let stops = self.draining && (self.is_idle() || self.server.aborting.is_cancelled());
        if stops { Err(CloseReason::Shutdown) } else { Ok(()) }
    }

    /// New packets: run them from where they lie, or put them behind what waits.
    #[inline]
    fn received(&mut self, cx: &mut task::Context<'_>, packets: &[u8], work: &mut Work) -> Result<(), CloseReason> {
        let mut used = 0;
        if self.backlog.is_empty() {
            used = self.packets(cx, packets, work)?;
        }
        if used < packets.len() {
            if self.backlog.is_empty() && work.tally.is_on() {
                self.waiting = work.tally.times().map(|times| times.since);
            }
            self.backlog.append(&packets[used..]);
            self.go_on(cx, work)?;
        }
        Ok(())
    }

    /// The turn in progress, then what waits behind it. What still waits then is counted.
    #[inline]
    fn go_on(&mut self, cx: &mut task::Context<'_>, work: &mut Work) -> Result<(), CloseReason> {
        if self.turn.is_none() && self.backlog.is_empty() {
            return Ok(());
        }
        self.run_waiting(cx, work)?;
        if self.backlog.is_unsettled(self.packet_limit()) { self.settle(work) } else { Ok(()) }
    }

    fn run_waiting(&mut self, cx: &mut task::Context<'_>, work: &mut Work) -> Result<(), CloseReason> {
        while self.turn.is_some() || !self.backlog.is_empty() {
            if self.turn.is_some() && !self.resume(cx, work)? {
                return Ok(());
            }
            if self.backlog.is_empty() || !self.may_run() {
                return Ok(());
            }
            let (waiting, start) = self.backlog.take();
            work.tally.waited(self.waiting);
            let used = self.packets(cx, &waiting[start..], work);
            self.backlog.put_back(waiting, *used.as_ref().unwrap_or(&0));
            if used? == 0 && self.turn.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Counts what waits. Packets that are no messages and change nothing do not wait: a client that beats behind a call
    /// in progress costs no memory.
    fn settle(&mut self, work: &mut Work) -> Result<(), CloseReason> {
        let (limit, working) = (self.packet_limit(), self.machine.working());
        let mut backlog = std::mem::take(&mut self.backlog);
        self.batch = None;
        let settled = backlog.settle(limit, |packet| {
            let waits = match packet.kind {
                PacketKind::Heartbeat | PacketKind::Kick => false,
                PacketKind::HandshakeAck => !working,
                PacketKind::Handshake | PacketKind::Data => true,
            };
            if F::GATED && !waits {
                // The gate may keep count of them; there is nothing to be kept out.
                self.gated(packet, work)?;
            }
            Ok(waits)
        });
        self.backlog = backlog;
        settled
    }

    fn wants_to_read(&self) -> bool {
        let open = !self.draining && self.unsent.is_empty();
        open && (self.may_run() || !self.backlog.is_full(self.packet_limit(), self.server.settings.inflight))
    }

    /// No answer is owed and nothing waits.
    fn is_idle(&self) -> bool {
        let waits = self.turn.is_some() || self.backlog.has_packet(self.packet_limit());
        let elsewhere = self.has_concurrent() || self.agent.forwarded.load(Acquire) > 0;
        !waits && self.unsent.is_empty() && !elsewhere
    }

    #[inline]
    fn packet_limit(&self) -> usize {
        if self.machine.working() { self.server.settings.packet } else { self.server.settings.packet_initial }
    }

    /// The longest message of a WebSocket: it may lie in one read behind the acknowledgement that allows it. Which packet
    /// is too long is judged when its turn comes.
    fn framing_limit(&self) -> usize {
        if self.agent.accepted.load(Relaxed) { self.server.settings.packet } else { self.packet_limit() }
    }

    /// While nothing is read, silence proves nothing.
    fn judge_silence(&mut self) {
        let reading = self.wants_to_read();
        if reading != self.reading {
            self.reading = reading;
            if reading {
                self.machine.resume();
            } else {
                self.machine.suspend();
                if self.unsent.is_empty() && !self.draining {
                    count(&self.server.counters.full_backlogs);
                }
            }
        }
    }

    /// What was queued by others goes out now; before the client's acknowledgement nothing may, nor behind what it has
    /// not taken. An end waits for neither.
    fn take_pushes(&mut self, work: &mut Work) -> Result<(), CloseReason> {
        let takes = self.machine.working() && self.unsent.is_empty();
        let end = if takes { self.agent.outbox.take(&mut work.out) } else { self.agent.outbox.ended() };
        match end {
            None => Ok(()),
            Some(reason) => self.ended(reason),
        }
    }

    /// The outbox was ended for a reason: a stop of the server waits for what is in progress, all else does not.
    fn ended(&mut self, reason: CloseReason) -> Result<(), CloseReason> {
        if reason == CloseReason::Shutdown && self.machine.working() {
            self.draining = true;
            return Ok(());
        }
        Err(reason)
    }

    /// Has the outbox and the timer wake who polls this: once, since a task wakes the same way all its life.
    #[inline]
    fn enrol(&mut self, waker: &Waker) {
        if self.waker.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            self.waker = Some(waker.clone());
            self.agent.outbox.wakes(Some(waker.clone()));
            self.watched = false;
        }
    }
}

impl<S, F> Future for Connection<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Framing,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        scratch::with(|scratch| {
            if this.closing.is_none() {
                scratch.work.tally.begin(this.server.meter.is_some());
                let ran = this.run(cx, scratch);
                if let Some((route, took)) = scratch.work.tally.end(this.server.meter.as_ref()) {
                    this.blocked(route, took);
                }
                match ran {
                    Ok(()) => return Poll::Pending,
                    Err(reason) => this.close(&reason, &mut scratch.work),
                }
            }
            this.poll_closing(cx, scratch)
        })
    }
}

/// A connection that is dropped (its runtime ends) still closes its session.
impl<S, F> Drop for Connection<S, F> {
    fn drop(&mut self) {
        // The task is gone, and a session may be held for long.
        self.agent.outbox.wakes(None);
        if self.holding.is_some() {
            self.server.budget.release(self.session.id());
        }
        self.server.close(&self.agent, &self.session, &CloseReason::Shutdown);
    }
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::Plain;
    use tokio::net::TcpStream;

    /// tokio gives a task memory in steps of 128 bytes: a little more here is a step for each session.
    #[test]
    fn an_idle_connection_keeps_to_its_size() {
        let size = size_of::<Connection<TcpStream, Plain>>();
        assert!(size <= 456, "{size} bytes: is there something that most connections do not need? Then box it");
    }
}
