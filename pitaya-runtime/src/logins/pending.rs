//! Logins of this frontend that others have yet to acknowledge.

use super::message::{Acknowledged, Met};
use crate::cluster::Servers;
use pitaya_core::cluster::envelope::{BindMsg, Stamp};
use pitaya_core::cluster::server::LOGINS;
use pitaya_core::cluster::{Login, ServerInfo};
use pitaya_core::maps::NumberMap;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot::{Receiver, Sender, channel};

/// A login that was not acknowledged for so long is told again.
pub(super) const AGAIN: Duration = Duration::from_secs(1);
/// How long a frontend that has left discovery is waited for: its sessions end after that.
const LEAVING: Duration = Duration::from_secs(30);
/// Logins told to one frontend with one message.
const TOGETHER: usize = 1000;

/// Verdict of the other frontends on a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No older session is left anywhere.
    Clear,
    /// A newer session is elsewhere.
    Newer,
}

/// A login until every other frontend has said a word.
struct Untold {
    login: Login,
    since: Instant,
    /// It was not lost on its way to the broker.
    sent: bool,
    /// Frontends that have not said a word.
    unheard: Vec<Arc<str>>,
    /// Frontends where hooks of an older session run.
    ending: Vec<Arc<str>>,
    /// The bind that waits for the others, if it does.
    bind: Option<Sender<Verdict>>,
}

/// Logins, by the number of the session, and those who acknowledge them.
#[derive(Default)]
pub(super) struct Pending {
    logins: NumberMap<i64, Untold>,
    peers: Vec<Arc<str>>,
    /// Frontends that have left discovery a moment ago, and when.
    leaving: Vec<(Arc<str>, Instant)>,
    /// Frontends that did not acknowledge a login in time: nobody waits for them until they say something.
    silent: HashSet<Arc<str>>,
    /// The state of discovery that the peers were read at.
    version: Option<u64>,
}

/// Announcements to repeat.
#[derive(Default)]
pub(super) struct Again {
    /// To everybody.
    pub(super) publish: Vec<Login>,
    /// To one frontend each.
    pub(super) tell: HashMap<Arc<str>, Vec<BindMsg>>,
}

impl Pending {
    /// Reads who acknowledges logins, if that may have changed.
    pub(super) fn look(&mut self, servers: &Servers, own: &ServerInfo, now: Instant) {
        self.leaving.retain(|(_, left)| now - *left < LEAVING);
        let version = servers.version();
        if self.version == Some(version) {
            return;
        }
        self.version = Some(version);
        // One that was killed leaves discovery after its silence, and is silent still: it is not waited for once more.
        self.silent.retain(|id| self.peers.contains(id) || self.leaving.iter().any(|(left, _)| left == id));
        let peer = |other: &&Arc<ServerInfo>| {
            other.frontend && other.kind == own.kind && other.id != own.id && other.speaks(LOGINS)
        };
        let peers: Vec<_> = servers.all().iter().filter(peer).map(|other| other.id.clone()).collect();
        let left = self.peers.iter().filter(|id| !peers.contains(id)).map(|id| (id.clone(), now));
        self.leaving.extend(left);
        self.leaving.retain(|(id, _)| !peers.contains(id));
        self.peers = peers;
    }

    /// A login that is about to be told; what comes of it, if that is waited for.
    pub(super) fn add(
        &mut self,
        mut login: Login,
        waits: bool,
        (servers, own): (&Servers, &ServerInfo),
    ) -> (Login, Option<Receiver<Verdict>>) {
        let now = Instant::now();
        self.look(servers, own, now);
        let unheard: Vec<_> = self.peers.iter().chain(self.leaving.iter().map(|(id, _)| id)).cloned().collect();
        login.awaited = !unheard.is_empty();
        let (bind, verdict) = channel();
        let waits = waits && unheard.iter().any(|id| !self.silent.contains(id));
        let untold = Untold {
            login: login.clone(),
            since: now,
            sent: false,
            unheard,
            ending: Vec::new(),
            bind: waits.then_some(bind),
        };
        if let Some(stamp) = login.stamp {
            self.logins.insert(stamp.session, untold);
        }
        (login, waits.then_some(verdict))
    }

    /// The login was not lost on its way.
    pub(super) fn sent(&mut self, stamp: Stamp) {
        if let Some(untold) = self.find(stamp) {
            untold.sent = true;
            self.settle(stamp.session);
        }
    }

    /// A frontend has acknowledged logins. Gives the sessions that are older than one there.
    pub(super) fn known(&mut self, peer: &str, known: &[Acknowledged]) -> Vec<i64> {
        self.silent.remove(peer);
        let mut replaced = Vec::new();
        for known in known {
            let Some(stamp) = known.stamp else { continue };
            let Some(untold) = self.find(stamp) else { continue };
            let first = untold.unheard.iter().any(|id| **id == *peer);
            untold.unheard.retain(|id| **id != *peer);
            match known.met() {
                Met::Nobody => untold.ending.retain(|id| **id != *peer),
                // Messages are taken side by side: `Nobody`, which is the last word, may have overtaken this.
                Met::Older if first => untold.ending.push(peer.into()),
                Met::Older => {}
                Met::Newer => {
                    if let Some(bind) = untold.bind.take() {
                        let _ = bind.send(Verdict::Newer);
                    }
                    self.logins.remove(&stamp.session);
                    replaced.push(stamp.session);
                    continue;
                }
            }
            self.settle(stamp.session);
        }
        replaced
    }

    /// Ends the wait for the others without a count.
    pub(super) fn unwait(&mut self, session: i64) {
        if let Some(untold) = self.logins.get_mut(&session) {
            untold.bind = None;
        }
    }

    /// Ends the wait for the others. Returns how many had said nothing.
    pub(super) fn overdue(&mut self, session: i64) -> usize {
        let Some(untold) = self.logins.get_mut(&session) else { return 0 };
        untold.bind = None;
        let silent = untold.unheard.len();
        self.silent.extend(untold.unheard.iter().cloned());
        self.settle(session);
        silent
    }

    /// The session has ended, or was not bound after all.
    pub(super) fn forget(&mut self, session: i64) {
        self.logins.remove(&session);
    }

    /// A frontend has ended in order: none of its sessions is left.
    pub(super) fn gone(&mut self, peer: &str) {
        self.leaving.retain(|(id, _)| **id != *peer);
        self.peers.retain(|id| **id != *peer);
        let sessions: Vec<_> = self.logins.keys().copied().collect();
        for session in sessions {
            if let Some(untold) = self.logins.get_mut(&session) {
                untold.unheard.retain(|id| **id != *peer);
                untold.ending.retain(|id| **id != *peer);
            }
            self.settle(session);
        }
    }

    /// Returns the logins that have waited for an acknowledgement for a while; none while this server is not connected. Servers
    /// that are gone need not acknowledge.
    pub(super) fn again(&mut self, connected: bool, servers: &Servers, own: &ServerInfo) -> Again {
        let now = Instant::now();
        self.look(servers, own, now);
        let mut again = Again::default();
        if !connected {
            return again;
        }
        let late = self.logins.iter().filter(|(_, untold)| now - untold.since >= AGAIN);
        for session in late.map(|(session, _)| *session).collect::<Vec<_>>() {
            let Some(untold) = self.logins.get_mut(&session) else { continue };
            let here = |id: &Arc<str>| self.peers.contains(id) || self.leaving.iter().any(|(left, _)| left == id);
            untold.unheard.retain(here);
            untold.ending.retain(here);
            if !untold.sent {
                again.publish.push(untold.login.clone());
            }
            // Where hooks run it is a question whether they still do: `Nobody` may be lost. The wait that the first word
            // began there goes on, so none is asked for again.
            let heard = untold.ending.iter().map(|peer| (peer, false));
            for (peer, awaited) in untold.unheard.iter().map(|peer| (peer, true)).chain(heard) {
                let told = again.tell.entry(peer.clone()).or_default();
                if told.len() < TOGETHER {
                    told.push(BindMsg { awaited, ..(&untold.login).into() });
                }
            }
            self.settle(session);
        }
        again
    }

    pub(super) fn is_empty(&self) -> bool {
        self.logins.is_empty()
    }

    /// Frontends that acknowledge logins.
    pub(super) fn peers(&mut self, servers: &Servers, own: &ServerInfo) -> Vec<Arc<str>> {
        self.look(servers, own, Instant::now());
        self.peers.clone()
    }

    /// The same session may have been bound before, on an earlier run of this server.
    fn find(&mut self, stamp: Stamp) -> Option<&mut Untold> {
        self.logins.get_mut(&stamp.session).filter(|untold| untold.login.stamp == Some(stamp))
    }

    /// Tells whoever waits, and forgets what all know.
    fn settle(&mut self, session: i64) {
        let Some(untold) = self.logins.get_mut(&session) else { return };
        let heard = untold.unheard.iter().all(|id| self.silent.contains(id));
        if heard
            && untold.ending.is_empty()
            && let Some(bind) = untold.bind.take()
        {
            let _ = bind.send(Verdict::Clear);
        }
        if untold.sent && untold.unheard.is_empty() && untold.bind.is_none() {
            self.logins.remove(&session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pitaya_core::cluster::Registrar;

    fn servers(ids: &[&str]) -> Servers {
        let servers = Servers::new();
        change(&servers, ids);
        servers
    }

    fn change(servers: &Servers, ids: &[&str]) {
        servers.replace(ids.iter().map(|id| info(id)).collect());
    }

    fn info(id: &str) -> ServerInfo {
        let mut info = ServerInfo::new("connector", id, true);
        info.announce(&[]);
        info
    }

    fn add(pending: &mut Pending, servers: &Servers, session: i64) -> (Login, Option<Receiver<Verdict>>) {
        let login = Login::new("u", "a").ordered(Stamp { time: 1, session }, false);
        pending.add(login, true, (servers, &info("a")))
    }

    fn known(session: i64, met: Met) -> [Acknowledged; 1] {
        [Acknowledged { stamp: Some(Stamp { time: 1, session }), met: met.into() }]
    }

    #[test]
    fn with_one_frontend_nobody_is_waited_for() {
        let (mut pending, mut plain) = (Pending::default(), info("b"));
        plain.metadata.clear();
        let servers = servers(&["a"]);
        // Neither a Go server nor a backend acknowledges anything.
        servers.put(plain);
        let mut backend = info("c");
        backend.frontend = false;
        servers.put(backend);
        let (login, verdict) = add(&mut pending, &servers, 1);
        assert!(!login.awaited && verdict.is_none());
        pending.sent(Stamp { time: 1, session: 1 });
        assert!(pending.is_empty());
    }

    #[test]
    fn all_others_are_waited_for_and_their_hooks() {
        let (mut pending, servers) = (Pending::default(), servers(&["a", "b", "c"]));
        let (login, verdict) = add(&mut pending, &servers, 1);
        let mut verdict = verdict.expect("two others");
        assert!(login.awaited);
        pending.sent(Stamp { time: 1, session: 1 });
        assert!(pending.known("b", &known(1, Met::Older)).is_empty());
        assert!(pending.known("c", &known(1, Met::Nobody)).is_empty());
        assert!(verdict.try_recv().is_err(), "the hooks run");
        assert!(pending.known("b", &known(1, Met::Nobody)).is_empty());
        assert_eq!(verdict.try_recv(), Ok(Verdict::Clear));
        assert!(pending.is_empty());
    }

    #[test]
    fn the_end_of_an_older_session_may_overtake_the_word_of_it() {
        let (mut pending, servers) = (Pending::default(), servers(&["a", "b", "c"]));
        let mut verdict = add(&mut pending, &servers, 1).1.expect("two others");
        pending.sent(Stamp { time: 1, session: 1 });
        pending.known("b", &known(1, Met::Nobody));
        pending.known("b", &known(1, Met::Older));
        assert!(verdict.try_recv().is_err(), "the other has said nothing");
        pending.known("c", &known(1, Met::Nobody));
        assert_eq!(verdict.try_recv(), Ok(Verdict::Clear));
        assert!(pending.is_empty());
    }

    #[test]
    fn a_lost_end_of_an_older_session_is_asked_for() {
        let (mut pending, servers) = (Pending::default(), servers(&["a", "b"]));
        let mut verdict = add(&mut pending, &servers, 1).1.expect("another");
        pending.sent(Stamp { time: 1, session: 1 });
        pending.known("b", &known(1, Met::Older));
        pending.logins.values_mut().for_each(|untold| untold.since -= AGAIN);
        for _ in 0..2 {
            let again = pending.again(true, &servers, &info("a"));
            let asked: Vec<_> = again.tell["b"].iter().map(|told| (told.stamp, told.awaited)).collect();
            assert_eq!(asked, [(Some(Stamp { time: 1, session: 1 }), false)]);
            pending.known("b", &known(1, Met::Older));
            assert!(verdict.try_recv().is_err(), "the hooks still run");
        }
        pending.known("b", &known(1, Met::Nobody));
        assert_eq!(verdict.try_recv(), Ok(Verdict::Clear));
        assert!(pending.again(true, &servers, &info("a")).tell.is_empty());
    }

    #[test]
    fn a_newer_login_is_told_at_once() {
        let (mut pending, servers) = (Pending::default(), servers(&["a", "b", "c"]));
        let (_, verdict) = add(&mut pending, &servers, 1);
        let earlier = [Acknowledged { stamp: Some(Stamp { time: 0, session: 1 }), met: Met::Newer.into() }];
        assert!(pending.known("b", &earlier).is_empty(), "of an earlier run");
        assert_eq!(pending.known("b", &known(1, Met::Newer)), [1]);
        assert_eq!(verdict.expect("two others").try_recv(), Ok(Verdict::Newer));
        assert!(pending.is_empty());
    }

    #[test]
    fn who_is_silent_is_told_again_and_not_waited_for() {
        let (mut pending, servers) = (Pending::default(), servers(&["a", "b"]));
        let (_, verdict) = add(&mut pending, &servers, 1);
        assert!(verdict.is_some());
        assert_eq!(pending.overdue(1), 1);
        let (login, verdict) = add(&mut pending, &servers, 2);
        assert!(login.awaited && verdict.is_none(), "told, and not waited for");
        pending.logins.values_mut().for_each(|untold| untold.since -= AGAIN);
        let away = pending.again(false, &servers, &info("a"));
        assert!(away.publish.is_empty() && away.tell.is_empty(), "the broker is away");
        let again = pending.again(true, &servers, &info("a"));
        assert_eq!((again.publish.len(), again.tell["b"].len()), (2, 2));
        assert!(pending.known("b", &known(1, Met::Nobody)).is_empty());
        assert!(add(&mut pending, &servers, 3).1.is_some(), "it has spoken");
    }

    #[test]
    fn one_that_leaves_is_waited_for_until_it_is_gone() {
        let (mut pending, servers) = (Pending::default(), servers(&["a", "b"]));
        assert_eq!(pending.peers(&servers, &info("a")).len(), 1);
        change(&servers, &["a"]);
        let (_, verdict) = add(&mut pending, &servers, 1);
        let mut verdict = verdict.expect("its sessions end now");
        pending.gone("b");
        assert_eq!(verdict.try_recv(), Ok(Verdict::Clear));
        assert!(add(&mut pending, &servers, 2).1.is_none());
    }

    #[test]
    fn one_that_was_killed_is_waited_for_once() {
        let (mut pending, servers) = (Pending::default(), servers(&["a", "b", "c"]));
        let mut early = add(&mut pending, &servers, 1).1.expect("two others");
        pending.known("c", &known(1, Met::Nobody));
        assert_eq!(pending.overdue(1), 1);
        assert!(early.try_recv().is_err(), "it has stopped waiting");
        // Its lease ends.
        change(&servers, &["a", "c"]);
        for session in 2..4 {
            let mut verdict = add(&mut pending, &servers, session).1.expect("the other is there");
            pending.known("c", &known(session, Met::Nobody));
            assert_eq!(verdict.try_recv(), Ok(Verdict::Clear), "login {session}");
        }
        change(&servers, &["a"]);
        pending.gone("c");
        let (login, verdict) = add(&mut pending, &servers, 4);
        assert!(login.awaited && verdict.is_none(), "it may be there still, and is told");
        pending.look(&servers, &info("a"), Instant::now() + LEAVING);
        assert!(!add(&mut pending, &servers, 5).0.awaited, "it is gone");
        change(&servers, &["a", "b"]);
        assert!(add(&mut pending, &servers, 6).1.is_some(), "one of its name has started");
    }
}
