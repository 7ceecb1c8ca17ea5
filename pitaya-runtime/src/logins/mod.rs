//! Logins of users: which of two is the later one, and that the later one finds the older one's end behind it.
//!
//! A frontend tells a login to all others, with its place in the order of logins. Each of ours closes an older session,
//! and acknowledges: nobody here, an older one whose hooks run, or a newer one. What is not acknowledged is told again,
//! and so is what could not be told because the broker was away. The messages are in `docs/lane.md`.

mod clock;
mod message;
mod outgoing;
mod pending;

pub(crate) use message::LoginsMsg;
pub(crate) use pending::Verdict;

use crate::cluster::{Cluster, sys};
use crate::quota::Quota;
use crate::sessions::{Heard, Older, Sessions};
use clock::Clock;
use futures_util::future::join_all;
use message::{Acknowledged, Met};
use outgoing::Outgoing;
use parking_lot::Mutex;
use pending::Pending;
use pitaya_core::cluster::envelope::{BindMsg, Stamp};
use pitaya_core::cluster::{Login, LoginOrder, OutgoingCall};
use pitaya_core::{CloseReason, Result, Session};
use prost::Message;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Release};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::oneshot::Receiver;
use tokio::time::{sleep, timeout};

/// How long the hooks of an older session are waited for on behalf of another frontend, which has a bound of its own.
const HOOKS: Duration = Duration::from_secs(30);
/// A login that comes so long after another one of its user is the later one, if clocks agree.
const LATE: Duration = Duration::from_secs(2);

/// The logins of one frontend.
pub(crate) struct Logins {
    cluster: Arc<Cluster>,
    sessions: Arc<Sessions>,
    /// How long a bind waits; zero does not.
    wait: Duration,
    clock: Clock,
    pending: Mutex<Pending>,
    /// A task looks after what is pending.
    looking: AtomicBool,
    outgoing: Outgoing,
    /// How often clocks that differ are logged, and what came of it.
    off: Quota,
    refused: Quota,
}

impl Logins {
    pub(crate) fn new(cluster: Arc<Cluster>, sessions: Arc<Sessions>, wait: Duration) -> Arc<Self> {
        // A backend that binds waits for the answer.
        let wait = wait.min(cluster.timeout.mul_f64(0.75));
        Arc::new(Self {
            cluster,
            sessions,
            wait,
            clock: Clock::default(),
            pending: Mutex::default(),
            looking: AtomicBool::new(false),
            outgoing: Outgoing::default(),
            off: Quota::default(),
            refused: Quota::default(),
        })
    }

    /// How long a bind waits for older sessions, if it does.
    pub(crate) fn wait(&self) -> Option<Duration> {
        (!self.wait.is_zero()).then_some(self.wait)
    }

    /// A time for a login, later than all that were heard of.
    pub(crate) fn time(&self) -> u64 {
        self.clock.next()
    }

    /// Tells the other frontends that this session is bound. Gives what they make of it, where that is waited for.
    ///
    /// The error is for the log: what could not be told is told later.
    pub(crate) fn tell(
        self: &Arc<Self>,
        uid: &Arc<str>,
        session: i64,
        time: u64,
    ) -> (Result<()>, Option<Receiver<Verdict>>) {
        let Cluster { own, servers, transport, .. } = &*self.cluster;
        let login = Login::new(uid.clone(), own.id.clone()).ordered(Stamp { time, session }, false);
        let (login, verdict) = self.pending.lock().add(login, !self.wait.is_zero(), (servers, own));
        let told = transport.tell_bound(&login);
        self.look_after();
        if told.is_err() {
            // Without a broker nobody can answer: the login is as good as before.
            self.pending.lock().unwait(session);
            return (told, None);
        }
        (told, verdict)
    }

    /// A bind does not wait any longer. Gives how many frontends had said nothing.
    pub(crate) fn overdue(&self, session: i64) -> usize {
        self.pending.lock().overdue(session)
    }

    /// The session is not bound any more.
    pub(crate) fn forget(&self, session: i64) {
        self.pending.lock().forget(session);
    }

    /// A login of this frontend has passed the broker.
    pub(crate) fn told(&self, login: &Login) {
        if let Some(stamp) = login.stamp {
            self.pending.lock().sent(stamp);
        }
    }

    /// Another frontend has told of a login.
    pub(crate) fn hear(self: &Arc<Self>, login: &Login) {
        let Some((known, ending)) = self.meet(login, true) else { return };
        if login.awaited || known.met() == Met::Newer {
            self.acknowledge(login.frontend.clone(), known);
        }
        self.follow(login, ending);
    }

    /// Takes a message of another frontend about logins, and returns the answer.
    pub(crate) fn take(self: &Arc<Self>, from: &Arc<str>, message: LoginsMsg) -> LoginsMsg {
        if message.gone {
            self.pending.lock().gone(from);
        }
        self.known(from, &message.known);
        let told = message.told.into_iter().map(|told| Login::from(BindMsg { fid: from.to_string(), ..told }));
        let met = told.filter_map(|login| {
            let (known, ending) = self.meet(&login, false)?;
            self.follow(&login, ending);
            Some(known)
        });
        LoginsMsg { known: met.collect(), ..LoginsMsg::default() }
    }

    /// Closes an older session here. Gives what the login has met and the hooks that still run; nothing of one without an
    /// order, as Go tells it.
    fn meet(&self, login: &Login, first: bool) -> Option<(Acknowledged, Older)> {
        let known = |met: Met| Acknowledged { stamp: login.stamp, met: met.into() };
        let older = |session: Session| {
            tracing::debug!(uid = &*login.uid, frontend = &*login.frontend, "session replaced by a login elsewhere");
            session.close_for(CloseReason::Replaced);
        };
        if !self.cluster.unique {
            return Some((known(Met::Nobody), Older::default()));
        }
        let Some(order) = login.order() else {
            self.sessions.by_uid(&login.uid).into_iter().for_each(older);
            return None;
        };
        self.compare(&order, first);
        self.clock.hear(order.time);
        Some(match self.sessions.hear(&login.uid, &order, &self.cluster.own.id) {
            Heard::Unknown => (known(Met::Nobody), Older::default()),
            Heard::Newer(bound) => {
                self.refuse(&order, bound, first);
                (known(Met::Newer), Older::default())
            }
            Heard::Older(session, hooks) => {
                session.into_iter().for_each(older);
                (known(Met::Older), hooks)
            }
        })
    }

    /// Logs that the clock of another frontend differs, as far as its login shows it. One that is told again is old anyway.
    fn compare(&self, order: &LoginOrder, first: bool) {
        if let Some(off_ms) = self.clock.off(order.time)
            && (first || off_ms > 0)
            && let Some(missed) = self.off.admit()
        {
            let frontend = &*order.frontend;
            tracing::warn!(
                frontend,
                off_ms,
                missed,
                "stamp of a login is off the clock here: clocks differ or it came late"
            );
        }
    }

    /// Logs that a login is refused although it came long after the session here was bound, at `bound`.
    fn refuse(&self, order: &LoginOrder, bound: u64, first: bool) {
        if let Some(bound_ms) = self.clock.off(bound)
            && (first && bound_ms.unsigned_abs() > LATE.as_millis() as u64)
            && let Some(missed) = self.refused.admit()
        {
            let (frontend, behind_ms) = (&*order.frontend, bound.saturating_sub(order.time) / 1000);
            tracing::warn!(
                frontend,
                behind_ms,
                bound_ms,
                missed,
                "login refused: the session here has the later stamp, though it was bound long before: clocks differ or it \
                 came late"
            );
        }
    }

    /// Says that nobody is left when the hooks of older sessions have run. The word that there are some is under way then.
    fn follow(self: &Arc<Self>, login: &Login, ending: Older) {
        if ending.is_empty() || !login.awaited {
            return;
        }
        let (logins, to) = (self.clone(), login.frontend.clone());
        let known = Acknowledged { stamp: login.stamp, met: Met::Nobody.into() };
        tokio::spawn(async move {
            if timeout(HOOKS, ending.ended()).await.is_ok() {
                logins.acknowledge(to, known);
            }
        });
    }

    /// Another frontend has acknowledged logins.
    fn known(&self, from: &str, known: &[Acknowledged]) {
        let replaced = self.pending.lock().known(from, known);
        for session in replaced.into_iter().filter_map(|session| self.sessions.get(session)) {
            tracing::debug!(session = session.id(), frontend = from, "a newer login is elsewhere");
            session.close_for(CloseReason::Replaced);
        }
    }

    fn acknowledge(self: &Arc<Self>, to: Arc<str>, known: Acknowledged) {
        if self.outgoing.add(to, known) {
            let logins = self.clone();
            tokio::spawn(async move { logins.outgoing.send(&logins.cluster).await });
        }
    }

    /// Sees frontends come and go: whoever leaves has sessions that end then.
    pub(crate) async fn watch(self: Arc<Self>) {
        let Cluster { own, servers, .. } = &*self.cluster;
        loop {
            let changed = servers.changed();
            self.pending.lock().look(servers, own, Instant::now());
            changed.await;
        }
    }

    /// No session of this frontend is left, and none comes.
    pub(crate) async fn leave(&self) {
        let Cluster { own, servers, .. } = &*self.cluster;
        let peers = self.pending.lock().peers(servers, own);
        for peer in peers {
            let gone = LoginsMsg { gone: true, ..LoginsMsg::default() };
            outgoing::send(&self.cluster, &peer, &gone).await;
        }
    }

    /// Has what is pending told again, as long as anything is.
    fn look_after(self: &Arc<Self>) {
        if self.looking.swap(true, AcqRel) {
            return;
        }
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                sleep(pending::AGAIN).await;
                let Some(logins) = Weak::upgrade(&weak) else { return };
                logins.tell_again().await;
                let pending = logins.pending.lock();
                if pending.is_empty() {
                    // Whoever adds something afterwards looks at this behind the lock.
                    logins.looking.store(false, Release);
                    return;
                }
            }
        });
    }

    async fn tell_again(&self) {
        let Cluster { own, servers, transport, .. } = &*self.cluster;
        let again = self.pending.lock().again(transport.is_connected(), servers, own);
        // What fails now is tried again with the next look.
        again.publish.iter().for_each(|login| drop(transport.tell_bound(login)));
        join_all(again.tell.into_iter().map(|(peer, told)| self.tell_one(peer, told))).await;
    }

    /// Tells one frontend of logins that it has not acknowledged.
    async fn tell_one(&self, peer: Arc<str>, told: Vec<BindMsg>) {
        let to = outgoing::address(&self.cluster, &peer);
        let mut call = OutgoingCall::new(sys::LOGINS, pending::AGAIN);
        call.body = LoginsMsg { told, ..LoginsMsg::default() }.encode_to_vec().into();
        match self.cluster.transport.call(&to, call).await.map(LoginsMsg::decode) {
            Ok(Ok(answer)) => self.known(&peer, &answer.known),
            Ok(Err(_)) => tracing::debug!(server = &*peer, "acknowledgement of logins cannot be read"),
            Err(error) => {
                let (code, error) = (error.code(), error.message());
                tracing::debug!(server = &*peer, code, error, "frontend not told of logins yet");
            }
        }
    }
}
