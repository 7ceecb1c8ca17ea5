//! Is etcd there? Told once when it goes and once when it is back.

use super::fault::Fault;
use parking_lot::Mutex;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What etcd is asked for, each by its own task.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// Who is there.
    Watch,
    /// That this server is there.
    Lease,
}

/// Over while both parts get their answers.
pub(super) struct Outage {
    state: Mutex<State>,
    /// For the log: what it means.
    meaning: &'static str,
    /// Counts how often the lease got no answer after it had one: a watch that hears nothing may be as deaf.
    silences: watch::Sender<u64>,
    /// Counts how often the lease got an answer again: etcd is back, so nobody has to wait out a pause.
    answers: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    away: [bool; 2],
    since: Option<Instant>,
    over: Option<Instant>,
}

impl Outage {
    pub(super) fn new(meaning: &'static str) -> Self {
        Self { state: Mutex::default(), meaning, silences: watch::Sender::new(0), answers: watch::Sender::new(0) }
    }

    /// A part got no answer.
    pub(super) fn begins(&self, part: Part, fault: &Fault) {
        let mut state = self.state.lock();
        let first = !std::mem::replace(&mut state.away[part as usize], true);
        if first && fault.is_of_member() && matches!(part, Part::Lease) {
            self.silences.send_modify(|count| *count += 1);
        }
        if state.since.is_none() {
            state.since = Some(Instant::now());
            drop(state);
            tracing::warn!("etcd is away, {}: {fault}", self.meaning);
        } else {
            drop(state);
            tracing::debug!("etcd is still away: {fault}");
        }
    }

    /// A part got its answer.
    pub(super) fn ends(&self, part: Part) {
        let mut state = self.state.lock();
        let was_away = std::mem::replace(&mut state.away[part as usize], false);
        if was_away && matches!(part, Part::Lease) {
            self.answers.send_modify(|count| *count += 1);
        }
        if state.away == [false; 2]
            && let Some(since) = state.since.take()
        {
            state.over = Some(Instant::now());
            drop(state);
            tracing::info!("etcd is back after {:?}", since.elapsed());
        }
    }

    /// Changes when the lease gets no answer from now on.
    pub(super) fn silences(&self) -> watch::Receiver<u64> {
        self.silences.subscribe()
    }

    /// Changes when the lease gets an answer again from now on.
    pub(super) fn answers(&self) -> watch::Receiver<u64> {
        self.answers.subscribe()
    }

    pub(super) fn is_on(&self) -> bool {
        self.state.lock().since.is_some()
    }

    /// Whether it is on or was within this time.
    pub(super) fn was_within(&self, time: Duration) -> bool {
        let state = self.state.lock();
        state.since.is_some() || state.over.is_some_and(|over| over.elapsed() < time)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Kind;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_over_when_both_parts_have_their_answers() {
        let outage = Outage::new("");
        let second = Duration::from_secs(1);
        assert!(!outage.is_on() && !outage.was_within(second));
        let answers = outage.answers();
        let fault = Fault::new(Kind::Away, "no answer");
        outage.begins(Part::Watch, &fault);
        outage.begins(Part::Lease, &fault);
        outage.ends(Part::Watch);
        assert!(outage.is_on() && !answers.has_changed().expect("it is there"));
        outage.ends(Part::Lease);
        assert!(answers.has_changed().expect("it is there"), "the watch need not wait out its pause");
        assert!(!outage.is_on() && outage.was_within(second));
        tokio::time::advance(second).await;
        assert!(!outage.was_within(second));
    }
}
