//! What the task of a timer does: wait, run, and again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cron::Schedule;
use super::{Clock, Timer, TimerError};

/// tokio's clock ticks once a millisecond.
const SHORTEST: Duration = Duration::from_millis(1);
/// A tick that is no later than this runs at once; one that is later is missed. Sleeps end up to a millisecond or two
/// late, and intervals of a millisecond must keep their rate.
const LATE: Duration = Duration::from_millis(5);
/// As good as never. tokio looks no further ahead either, and sums of instants must not overflow.
const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
/// The longest sleep towards a time of the wall clock: the clock may be set meanwhile.
const NAP: Duration = Duration::from_secs(30);
/// A wall clock that lies this far behind the last run was set back; anything less is the clock being adjusted, and must
/// not repeat a run.
const SET_BACK: Duration = Duration::from_secs(60);

/// The ticks of an interval: the multiples of a period, counted from the call that made the timer.
#[derive(Debug)]
pub(super) struct Pace {
    next: Instant,
    period: Duration,
}

impl Pace {
    pub(super) fn new(period: Duration) -> Result<Self, TimerError> {
        if period.is_zero() {
            return Err(TimerError::ZeroInterval);
        }
        let period = period.clamp(SHORTEST, LONGEST);
        Ok(Self { next: Instant::now() + period, period })
    }

    /// Waits for the next tick that is still to come. Not `tokio::time::Interval`: that makes up for one of the ticks
    /// it missed at once, whatever it is told about the others.
    async fn tick(&mut self) {
        let late = self.next.elapsed();
        if late > LATE {
            let into = late.as_nanos() % self.period.as_nanos();
            // Under one period, which is far under the 584 years that fit.
            let into = Duration::from_nanos(into as u64);
            self.next += late - into + self.period;
        }
        sleep_until(self.next).await;
        self.next += self.period;
    }
}

/// A timer with what it runs. The timer counts as stopped once its job is dropped.
pub(super) struct Job<R> {
    timer: Timer,
    abort: CancellationToken,
    run: R,
    _stopped_at_the_end: DropGuard,
}

impl<R> Job<R> {
    pub(super) fn new(timer: Timer, abort: CancellationToken, run: R) -> Self {
        let _stopped_at_the_end = timer.token().clone().drop_guard();
        Self { timer, abort, run, _stopped_at_the_end }
    }
}

impl<R, F> Job<R>
where
    R: FnMut() -> F + Send,
    F: Future<Output = ()> + Send,
{
    pub(super) async fn at_each_tick(mut self, mut pace: Pace, count: u64) {
        for _ in 0..count {
            if !self.timer.sees(pace.tick()).await {
                return;
            }
            self.run().await;
        }
    }

    pub(super) async fn when(
        mut self,
        mut pace: Pace,
        mut condition: impl FnMut(SystemTime) -> bool + Send,
        clock: Clock,
    ) {
        while self.timer.sees(pace.tick()).await {
            match catch_unwind(AssertUnwindSafe(|| condition(clock()))) {
                Ok(true) => self.run().await,
                Ok(false) => {}
                Err(panic) => self.timer.count_panic(&*panic),
            }
        }
    }

    /// Runs at the times of the schedule that come after `done`.
    pub(super) async fn at_times_of(mut self, schedule: Schedule, mut done: SystemTime, clock: Clock) {
        loop {
            let Some(due) = schedule.next(done) else {
                if Schedule::reaches(done) {
                    return self.timer.has_no_time_left();
                }
                // A clock that was never set: once it is, its times are found again.
                if !self.timer.sees(sleep(NAP)).await {
                    return;
                }
                done = clock();
                continue;
            };
            let now = clock();
            if let Ok(wait) = due.duration_since(now)
                && !wait.is_zero()
            {
                if done.duration_since(now).is_ok_and(|behind| behind > SET_BACK) {
                    done = now;
                    continue;
                }
                if !self.timer.sees(sleep(wait.min(NAP))).await {
                    return;
                }
            } else if self.timer.is_stopped() {
                return;
            } else {
                self.run().await;
                // Whatever came due during the run is skipped.
                done = clock().max(due);
            }
        }
    }

    async fn run(&mut self) {
        let Self { timer, abort, run, .. } = self;
        // The call that makes the future may panic as well as the future.
        let guarded = AssertUnwindSafe(async { run().await }).catch_unwind();
        let Some(outcome) = abort.run_until_cancelled(guarded).await else { return };
        timer.count_run();
        if let Err(panic) = outcome {
            timer.count_panic(&*panic);
        }
    }
}
