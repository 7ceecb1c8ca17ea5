//! Reads who is there, and follows the changes, for ever.
//!
//! One round is: read the whole list, report it, watch from the revision of that reading on, so that nothing is missed
//! in between. A round ends when the stream of changes breaks, and once an interval for safety's sake. The next one
//! begins with a new reading, so a revision that etcd no longer keeps does no harm.
//!
//! **Who is missing after an outage is not gone.** When etcd is away for longer than the leases last, or the servers are
//! cut off from it together, their leases run out although all of them live. Who comes back to etcd first would see
//! nobody, and stop calling servers that it can reach. Hence:
//!
//! * A server that is missing from the reading after a break stays known for one more time to live. By then it has
//!   registered again, if it lives.
//! * A deletion that is seen by the watch counts at once: the server died while etcd was well. But not while etcd does
//!   not answer, nor for one time to live after that: an etcd that was halted and goes on ends all leases that ran out
//!   meanwhile, and who is still cut off loses its lease later than we do.
//! * Who withdraws says so in its record before it is deleted (`pitaya.leaving`), and that counts at once, always.
//! * While etcd is away, nobody's time runs out.
//! * This server itself never goes missing: it knows that it lives, and writes its record again.
//!
//! A dead server that stays known that long costs its callers an error at once: nobody listens for it any more.

use super::backoff::Backoff;
use super::client::Client;
use super::fault::{Fault, Kind};
use super::known::{Known, Missing};
use super::messages::{Event, KeyValue, WatchResponse};
use super::outage::{Outage, Part};
use super::own::{Own, is_leaving};
use super::records::Records;
use pitaya_core::cluster::Registrar;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// What a watcher works with.
pub(super) struct Watcher {
    pub(super) client: Arc<Client>,
    pub(super) records: Arc<Records>,
    pub(super) registrar: Arc<dyn Registrar>,
    pub(super) outage: Arc<Outage>,
    pub(super) own: Arc<Own>,
    /// The longest a call may take.
    pub(super) deadline: Duration,
    /// How long who is missing after an outage stays.
    pub(super) grace: Duration,
    /// The longest time between two readings of the list.
    pub(super) interval: Duration,
    pub(super) known: Known,
}

/// Why a round ended.
enum End {
    /// Its time was over.
    Time,
    /// The stream broke.
    Broken(Fault),
}

impl Watcher {
    /// Reads and reports the whole list. Gives the revision to watch from.
    pub(super) async fn read(&mut self, missing: Missing) -> Result<i64, Fault> {
        let listing = self.client.list(&self.records.folder, false, self.deadline).await?;
        let own = self.own.id();
        let read = |kv: KeyValue| Some((self.records.read(&kv.key, &kv.value, own.as_deref())?, kv.key));
        let found = listing.kvs.into_iter().filter_map(read).map(|(server, key)| (key, server));
        let (leaving, found): (Vec<_>, Vec<_>) = found.partition(|(_, server)| is_leaving(server));
        for (key, server) in leaving {
            self.known.delete(&server.id, &key, Missing::Goes);
        }
        if own.as_ref().is_some_and(|own| found.iter().all(|(_, server)| server.id != *own)) {
            self.own.is_missing();
        }
        self.known.replace(found, missing, own.as_deref());
        self.registrar.replace(self.known.servers());
        Ok(listing.revision + 1)
    }

    /// Follows the changes from a revision on, for ever.
    pub(super) async fn run(mut self, mut from: i64) {
        let mut backoff = Backoff::up_to(Backoff::LONGEST);
        loop {
            let broken = match self.follow(from, &mut backoff).await {
                End::Time => false,
                End::Broken(fault) => {
                    self.away(&fault);
                    self.pause(&mut backoff).await;
                    true
                }
            };
            from = self.read_again(broken, &mut backoff).await;
        }
    }

    /// Reads the list until that succeeds.
    async fn read_again(&mut self, mut broken: bool, backoff: &mut Backoff) -> i64 {
        loop {
            let missing = if broken { self.stays() } else { Missing::Goes };
            match self.read(missing).await {
                Ok(from) => return from,
                Err(fault) => self.away(&fault),
            }
            broken = true;
            self.pause(backoff).await;
        }
    }

    /// Waits before the next try, at most until the lease gets an answer again: after a long outage the pause is 5 s, in which
    /// a server that leaves would still be called.
    async fn pause(&self, backoff: &mut Backoff) {
        let mut answers = self.outage.answers();
        tokio::select! {
            biased;
            Ok(()) = answers.changed() => {}
            () = backoff.wait() => {}
        }
    }

    async fn follow(&mut self, from: i64, backoff: &mut Backoff) -> End {
        let round = Instant::now() + self.interval;
        let mut silences = self.outage.silences();
        let mut changes = match self.client.watch(&self.records.folder, from, self.deadline).await {
            Ok(changes) => changes,
            Err(fault) => return End::Broken(fault),
        };
        loop {
            let leave = self.known.next_leave();
            let answer = tokio::select! {
                answer = changes.next() => answer.and_then(heard),
                () = sleep_until(round) => return End::Time,
                Ok(()) = silences.changed() => {
                    let why = "etcd does not answer for the lease: its watch may hang as well";
                    return End::Broken(Fault::new(Kind::Away, why));
                }
                () = sleep_until(leave.unwrap_or(round)), if leave.is_some() => {
                    self.let_leave();
                    continue;
                }
            };
            match answer {
                Ok(events) => {
                    // The first answer, without events, says that the watch is on.
                    self.outage.ends(Part::Watch);
                    backoff.reset();
                    events.into_iter().for_each(|event| self.change(event));
                }
                Err(fault) => return End::Broken(fault),
            }
        }
    }

    fn change(&mut self, event: Event) {
        let Some(kv) = event.kv else { return };
        if event.r#type == Event::DELETE { self.deleted(&kv.key) } else { self.written(kv) }
    }

    fn written(&mut self, kv: KeyValue) {
        let own = self.own.id();
        let Some(server) = self.records.read(&kv.key, &kv.value, own.as_deref()) else { return };
        if is_leaving(&server) && own.as_ref() != Some(&server.id) {
            self.gone(&server.id, &kv.key, Missing::Goes);
            return;
        }
        // Reported also when it says nothing new: whoever writes it again has just come back.
        self.known.put(kv.key, server.clone());
        self.registrar.put(server);
    }

    fn deleted(&mut self, key: &[u8]) {
        let Some(id) = self.records.id(key) else { return };
        if self.own.id().as_deref() == Some(id) {
            self.own.is_missing();
            return;
        }
        let missing = if self.outage.was_within(self.grace) { self.stays() } else { Missing::Goes };
        self.gone(id, key, missing);
    }

    fn gone(&mut self, id: &str, key: &[u8], missing: Missing) {
        if let Some(id) = self.known.delete(id, key, missing) {
            self.registrar.remove(&id);
        }
    }

    fn let_leave(&mut self) {
        let now = Instant::now();
        if self.outage.is_on() {
            self.known.postpone(now + self.grace);
        } else {
            self.known.leave(now).iter().for_each(|id| self.registrar.remove(id));
        }
    }

    fn stays(&self) -> Missing {
        Missing::StaysUntil(Instant::now() + self.grace)
    }

    fn away(&self, fault: &Fault) {
        // A compacted revision is no outage: etcd is there.
        if fault.kind == Kind::Compacted {
            tracing::debug!("the list of servers is read again: {fault}");
        } else {
            self.outage.begins(Part::Watch, fault);
        }
    }
}

/// The events of an answer, unless it says that there will be no more.
fn heard(answer: WatchResponse) -> Result<Vec<Event>, Fault> {
    if answer.compact_revision != 0 {
        return Err(Fault::new(Kind::Compacted, "etcd no longer keeps the revision that is watched from"));
    }
    if answer.canceled {
        let why = if answer.cancel_reason.is_empty() { "without a reason" } else { &answer.cancel_reason };
        return Err(Fault::new(Kind::Away, format!("etcd ended the watch: {why}")));
    }
    Ok(answer.events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_watch_is_told_apart() {
        assert_eq!(heard(WatchResponse { created: true, ..Default::default() }), Ok(Vec::new()));
        let compacted = WatchResponse { canceled: true, compact_revision: 7, ..Default::default() };
        assert_eq!(heard(compacted).expect_err("the end").kind, Kind::Compacted);
        let refused = WatchResponse { created: true, canceled: true, ..Default::default() };
        assert_eq!(heard(refused).expect_err("the end").kind, Kind::Away);
    }
}
