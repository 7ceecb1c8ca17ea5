//! The heartbeat: one goes out each interval, and a server that is silent for two of them is gone.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval_at, sleep_until};

/// The longest interval taken from a server: beyond a day it is a mistake, and instants are finite.
const MAX_INTERVAL: u64 = 24 * 60 * 60;

/// Granted on top of two intervals.
const SLACK: Duration = Duration::from_secs(1);

pub(crate) struct Heartbeat {
    beat: Interval,
    /// When something last came from the server.
    heard: Instant,
    /// The longest silence allowed.
    silence: Duration,
    /// Looks at `heard` when the silence may be over; not moved for every read.
    watchdog: Pin<Box<Sleep>>,
}

impl Heartbeat {
    /// The heartbeat a server announced, in seconds; 0 is none.
    pub(crate) fn new(seconds: u64) -> Option<Self> {
        let interval = Duration::from_secs(seconds.min(MAX_INTERVAL));
        let (heard, silence) = (Instant::now(), 2 * interval + SLACK);
        (seconds > 0).then(|| {
            let mut beat = interval_at(heard + interval, interval);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Self { beat, heard, silence, watchdog: Box::pin(sleep_until(heard + silence)) }
        })
    }

    /// Something came.
    pub(crate) fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// Whether it is time to send one.
    pub(crate) fn poll_beat(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.beat.poll_tick(cx).map(|_| ())
    }

    /// Whether the server has been silent for too long.
    pub(crate) fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.watchdog.as_mut().poll(cx));
            let due = self.heard + self.silence;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.watchdog.as_mut().reset(due);
        }
    }
}
