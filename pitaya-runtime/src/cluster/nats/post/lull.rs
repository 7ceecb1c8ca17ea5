//! A moment before a bundle is closed, in which others may add to it.
//!
//! * The tasks of this thread go first. A woken task runs next on its thread and would have the library write after every
//!   single message; behind the others it finds what all of them have said.
//! * Then the other threads and programs that wait for this core do. On a busy machine a client that was just answered is
//!   one of them, and so is a handler on another thread: what they would say in a moment goes in the same bundle. Fewer and
//!   larger ones cost a fifth less at both ends, and a third less at the broker.
//!
//! The second is asked for only while it brings something. Where nobody has more to say it would be two system calls for
//! nothing, and whoever computes may keep the core for milliseconds.

use std::time::{Duration, Instant};
use tokio::task::yield_now;

/// What takes longer is more than a moment.
const LONG: Duration = Duration::from_millis(1);
/// So many bundles go without it, at most, before it is tried again.
const MOST: u32 = 255;

#[derive(Default)]
pub(super) struct Lull {
    /// How many bundles go without it, and how many of them have not gone yet.
    pause: u32,
    left: u32,
}

impl Lull {
    /// Lets others go first. `waiting` says how much there is to send, and `enough` is so much that nobody is waited for.
    pub(super) async fn pass(&mut self, enough: usize, waiting: impl Fn() -> usize) {
        yield_now().await;
        let before = waiting();
        if before >= enough || !self.is_due() {
            return;
        }
        let began = Instant::now();
        std::thread::yield_now();
        let long = began.elapsed() >= LONG;
        // What other programs have sent is read now.
        yield_now().await;
        self.brought(!long && waiting() > before);
    }

    /// Whether it is asked for this time.
    fn is_due(&mut self) -> bool {
        let due = self.left == 0;
        self.left = self.left.saturating_sub(1);
        due
    }

    fn brought(&mut self, something: bool) {
        self.pause = if something { 0 } else { (2 * self.pause + 1).min(MOST) };
        self.left = self.pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// How often it was asked for, while so many bundles were sent and each time it brought something, or nothing.
    fn asked(lull: &mut Lull, bundles: usize, something: bool) -> usize {
        let mut ask = || lull.is_due().then(|| lull.brought(something)).is_some();
        (0..bundles).filter(|_| ask()).count()
    }

    #[test]
    fn others_are_waited_for_only_while_they_have_something_to_say() {
        let mut lull = Lull::default();
        assert_eq!(asked(&mut lull, 100, true), 100);
        // Behind each go as many bundles without it: 1, 3, 7 and so on up to 127.
        assert_eq!(asked(&mut lull, 255, false), 8);
        assert_eq!(asked(&mut lull, 2560, false), 10);
        assert_eq!(asked(&mut lull, 1000, true), 745);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn nobody_is_waited_for_when_there_is_enough() {
        let looked = Cell::new(0);
        Lull::default().pass(10, || looked.replace(looked.get() + 1) + 10).await;
        assert_eq!(looked.get(), 1);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_tasks_of_the_thread_go_first() {
        let other = tokio::spawn(async {});
        Lull::default().pass(0, || 0).await;
        assert!(other.is_finished());
    }
}
