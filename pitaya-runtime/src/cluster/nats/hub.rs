//! What all parts of the transport share, whatever becomes of a connection.

use super::counters::{Counters, count};
use super::line::Line;
use super::outcome::{Refusal, unsent};
use super::post::{Parcel, Tracked};
use super::seal::{Claim, Guard, Peers, Refused};
use super::seats::Seats;
use super::settings::Settings;
use super::user_topics::UserTopics;
use arc_swap::ArcSwapOption;
use async_nats::Subject;
use async_nats::message::OutboundMessage;
use pitaya_core::cluster::lane::sender_part;
use pitaya_core::cluster::seal::Purpose;
use pitaya_core::cluster::{Callee, ServerInfo, metadata};
use pitaya_core::remote::Metadata;
use pitaya_core::{Error, Result};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where an answer goes.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) to: Subject,
    /// Whether what it answers was signed: only then it is signed, too.
    pub(super) signed: bool,
}

/// Who this server is.
pub(super) struct Own {
    pub(super) info: Arc<ServerInfo>,
    pub(super) callee: Arc<dyn Callee>,
    /// What travels with every message that is forwarded.
    pub(super) metadata: Metadata,
    /// What every forwarded message says of its sender: constant, so that a receiver parses it once.
    pub(super) sender: Vec<u8>,
    /// The metadata of a call that brings nothing and waits for so long.
    pub(super) usual: (Duration, Vec<u8>),
    /// What every call says of its caller: no frontend's id, where it is none.
    pub(super) caller: Vec<u8>,
}

pub(super) struct Hub {
    pub(super) settings: Settings,
    pub(super) counters: Counters,
    pub(super) seats: Seats,
    own: OnceLock<Own>,
    /// The connection, while there is one that works.
    pub(super) line: ArcSwapOption<Line>,
    /// The same a little earlier: answers go by it as soon as something to answer can come.
    pub(super) back: ArcSwapOption<Line>,
    pub(super) users: UserTopics,
    /// Present when messages are signed.
    pub(super) guard: Option<Arc<Guard>>,
    pub(super) peers: Peers,
    /// No more calls are taken.
    pub(super) closed: CancellationToken,
    /// Everything ends.
    pub(super) stopped: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Hub {
    pub(super) fn new(settings: Settings) -> Self {
        let users = UserTopics::new(settings.user_topics);
        let guard = Guard::new(&settings.authentication).map(Arc::new);
        Self {
            settings,
            counters: Counters::default(),
            seats: Seats::default(),
            own: OnceLock::new(),
            line: ArcSwapOption::empty(),
            back: ArcSwapOption::empty(),
            users,
            guard,
            peers: Peers::default(),
            closed: CancellationToken::new(),
            stopped: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Becomes this server, once.
    pub(super) fn become_server(&self, info: Arc<ServerInfo>, callee: Arc<dyn Callee>) -> Result<()> {
        let metadata = callee.metadata();
        let usual = self.settings.request_timeout;
        let sender = self.sender(&info, &metadata, usual);
        let caller = if info.frontend { sender.clone() } else { sender_part("", &constant(&info, &metadata, usual)) };
        let usual = (usual, constant(&info, &Metadata::new(), usual));
        let own = Own { info, callee, metadata, sender, usual, caller };
        self.own.set(own).map_err(|_| Error::internal("the transport was started already"))
    }

    /// The part of a message with these metadata that says who sends it and how long that waits.
    pub(super) fn sender(&self, info: &ServerInfo, metadata: &Metadata, timeout: Duration) -> Vec<u8> {
        sender_part(&info.id, &constant(info, metadata, timeout))
    }

    /// Who this server is, once it was started.
    pub(super) fn own(&self) -> Option<&Own> {
        self.own.get()
    }

    /// A session of this user has ended. Its messages are taken until the last has.
    pub(super) fn ignore(&self, uid: &str) {
        let Some(uid) = self.users.leave(uid) else { return };
        if let Some(line) = &*self.line.load() {
            line.ignore(uid);
        }
    }

    /// Publishes what nobody answers.
    pub(super) fn publish(&self, subject: impl Into<Subject>, payload: Vec<u8>, purpose: Purpose) -> Result<()> {
        let message = OutboundMessage { subject: subject.into(), reply: None, payload: payload.into(), headers: None };
        let line = self.back.load();
        line.as_ref()
            .ok_or_else(unsent)?
            .post
            .send(Parcel { message, tracked: Tracked::No, purpose: Some(purpose) }, false)
            .map_err(|refusal| self.refused(refusal))
    }

    /// Answers a message of another server. Nobody waits for the result: what fails is counted.
    pub(super) fn answer(&self, to: &Reply, payload: Vec<u8>) -> Result<(), Refusal> {
        let answer = Parcel::answer(to.clone(), payload.into());
        let sent = match &*self.back.load() {
            Some(line) => line.post.send(answer, true),
            None => Err(Refusal::Closed),
        };
        if let Err(refusal) = sent {
            self.unsent(refusal);
        }
        sent
    }

    /// Answers messages of other servers, together. What cannot be sent is counted.
    pub(super) fn answer_all(&self, answers: Vec<Parcel>) {
        let all = answers.len();
        let sent = self.back.load().as_ref().map_or(0, |line| line.post.send_all(answers));
        self.counters.unsent.fetch_add((all - sent) as u64, Relaxed);
    }

    /// Whether a message without a signature is taken from whom it claims to come from.
    pub(super) fn excuses(&self, claim: &Claim) -> bool {
        let known = self.own().and_then(|own| own.callee.server(&claim.id));
        known.zip(self.guard.as_ref()).is_some_and(|(server, guard)| {
            *server.kind == *claim.kind && (server.frontend || !claim.frontend) && guard.excuses(&server)
        })
    }

    /// Counts a message that was not taken as a server's, and says so.
    #[cold]
    pub(super) fn count_refused(&self, refused: Refused, subject: &str, claim: Option<&Claim>) {
        let counters = &self.counters;
        count(match refused {
            Refused::Unsigned => &counters.unsigned,
            Refused::UnknownKey => &counters.unknown_key,
            Refused::Forged => &counters.forged,
            Refused::Replayed => &counters.replayed,
            Refused::Untimely => &counters.untimely,
        });
        if let Some(guard) = &self.guard {
            guard.log(refused, subject, claim);
        }
    }

    /// Counts what could not be sent to whoever waits for it.
    pub(super) fn unsent(&self, refusal: Refusal) {
        match refusal {
            Refusal::Oversize(..) => count(&self.counters.oversize),
            Refusal::Closed | Refusal::Full => count(&self.counters.unsent),
        }
    }

    /// Counts what was refused, and gives the error for its sender.
    pub(super) fn refused(&self, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Closed => count(&self.counters.unreachable),
            Refusal::Full => count(&self.counters.refused),
            Refusal::Oversize(..) => count(&self.counters.oversize),
        }
        refusal.error()
    }
}

fn constant(info: &ServerInfo, metadata: &Metadata, timeout: Duration) -> Vec<u8> {
    metadata::encode(metadata, &info.id, &info.kind, timeout)
}
