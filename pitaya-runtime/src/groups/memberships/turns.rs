//! One operation on the memberships of a session at a time.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// A session, wherever its connection is: id of the frontend, number there.
type Key = (Arc<str>, i64);

/// Joins, leaves and the end of one session run one after the other, so that a join which is on its way to the store when
/// the session ends is in the store when its memberships are taken out. Holds nothing for sessions without an operation.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Key, Line>>);

/// Operations of one session.
#[derive(Default)]
struct Line {
    lock: Arc<tokio::sync::Mutex<()>>,
    /// The group that the operation in progress joins.
    joining: Option<Arc<str>>,
}

impl Turns {
    /// Waits until no other operation of this session is in progress.
    pub(super) async fn of(&self, frontend: &Arc<str>, session: i64) -> Turn<'_> {
        let key = (frontend.clone(), session);
        let lock = self.0.lock().entry(key.clone()).or_default().lock.clone();
        // Made before the wait, so that a caller which stops waiting cleans up as well.
        let mut turn = Turn { turns: self, key, held: None };
        turn.held = Some(lock.lock_owned().await);
        turn
    }

    /// The group that a session is about to join here: it may be in the store at any moment.
    pub(super) fn joining(&self, frontend: &Arc<str>, session: i64) -> Option<Arc<str>> {
        self.0.lock().get(&(frontend.clone(), session))?.joining.clone()
    }
}

/// The turn of one operation, until it is dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    key: Key,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turn<'_> {
    /// Says which group this operation joins.
    pub(super) fn joins(&self, group: &Arc<str>) {
        if let Some(line) = self.turns.0.lock().get_mut(&self.key) {
            line.joining = Some(group.clone());
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.turns.0.lock();
        let Some(line) = turns.get_mut(&self.key) else { return };
        if self.held.take().is_some() {
            line.joining = None;
        }
        if Arc::strong_count(&line.lock) == 1 {
            turns.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn turns_of_one_session_exclude_each_other_and_leave_nothing() {
        let (turns, front) = (Turns::default(), Arc::from("front"));
        let first = turns.of(&front, 1).await;
        let other = turns.of(&front, 2).await;
        assert!(turns.of(&front, 1).now_or_never().is_none(), "the first is in progress");
        drop((first, other));
        drop(turns.of(&front, 1).await);
        assert!(turns.0.lock().is_empty());
    }
}
