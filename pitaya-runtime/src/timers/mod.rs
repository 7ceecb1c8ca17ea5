//! What runs again and again, or later: intervals, counted runs, a delay, a condition, a cron expression.
//!
//! Each timer is a task of its own. So a slow run delays no other timer, there is no common tick to tune and no queue to
//! fill, and all of them end with the app. What holds for every timer:
//!
//! * The first run comes after one interval (or at the first match of a cron expression), never at once.
//! * Runs of one timer do not overlap. Times that pass while a run is still going are skipped, not made up for. (A run
//!   that ends up to 5 ms after the next tick only makes that tick late.)
//! * A run that panics is caught, logged with the timer's name and counted; the timer goes on.
//! * When a timer or the app stops, a run in progress is finished, and none begins after it.
//! * Intervals are counted on the monotonic clock with a resolution of one millisecond; cron expressions and conditions
//!   look at the wall clock.
//!
//! A run shares the runtime's threads with everything else: work that blocks its thread belongs in
//! [`tokio::task::spawn_blocking`].

mod cron;
mod error;
mod job;
mod pattern;
#[cfg(test)]
mod tests;
mod timer;
mod zone;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use error::TimerError;
pub use timer::Timer;
pub use zone::{NamedZone, Zone};

use cron::Plan;
use job::{Job, Pace};
use timer::Name;

/// Makes timers and owns their tasks. A cheap handle: clones make timers that stop together.
///
/// ```
/// use std::time::Duration;
/// use pitaya_runtime::timers::{TimerError, Timers};
/// use tokio_util::sync::CancellationToken;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), TimerError> {
/// let stop = CancellationToken::new(); // the app's
/// let timers = Timers::new(&stop);
///
/// let sweep = timers.named("sweep").every(Duration::from_secs(30), || async { /* .. */ })?;
/// timers.after(Duration::from_secs(5), || async { println!("five seconds later") })?;
/// timers.cron("0 */5 * * * *", || async { println!("every five minutes, at second 0") })?;
///
/// tokio::time::sleep(Duration::from_secs(61)).await;
/// assert_eq!(sweep.runs(), 2);
///
/// stop.cancel();
/// timers.stopped().await;
/// assert!(sweep.is_stopped());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Timers {
    name: Option<Arc<str>>,
    zone: Zone,
    shared: Arc<Shared>,
}

struct Shared {
    /// Cancelled: no run begins any more.
    stop: CancellationToken,
    /// Cancelled: what still runs is dropped.
    abort: CancellationToken,
    tasks: TaskTracker,
    /// Timers whose tasks have not ended, by a number of each.
    alive: Mutex<BTreeMap<u64, Timer>>,
    made: AtomicU64,
    clock: Clock,
}

/// Takes a timer off the list when its task ends.
struct Alive {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.shared.alive.lock().remove(&self.number);
    }
}

/// The wall clock.
type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

impl Timers {
    /// Timers that stop when `token`, the app's, is cancelled.
    #[must_use]
    pub fn new(token: &CancellationToken) -> Self {
        Self::with_clock(token, SystemTime::now)
    }

    /// The same with another wall clock for cron expressions and conditions: for tests, which want to say what time
    /// it is.
    #[must_use]
    pub fn with_clock(token: &CancellationToken, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        let shared = Shared {
            stop: token.child_token(),
            abort: CancellationToken::new(),
            tasks: TaskTracker::new(),
            alive: Mutex::default(),
            made: AtomicU64::new(0),
            clock: Arc::new(clock),
        };
        Self { name: None, zone: Zone::Utc, shared: Arc::new(shared) }
    }

    /// A handle whose timers bear this name in logs. Without one they are named after the source line that made them.
    #[must_use]
    pub fn named(&self, name: impl Into<Arc<str>>) -> Self {
        Self { name: Some(name.into()), ..self.clone() }
    }

    /// A handle that reads cron expressions in this time zone. Without it they are read in UTC. An expression may name
    /// another one, in front: `CRON_TZ=Europe/Berlin 0 30 4 * * *`.
    #[must_use]
    pub fn zoned(&self, zone: Zone) -> Self {
        Self { zone, ..self.clone() }
    }

    /// Runs `run` once per `interval`, the first time after one interval, until it is stopped.
    ///
    /// Intervals under a millisecond count as one millisecond; intervals over 30 years never end.
    ///
    /// # Errors
    /// When the interval is zero, and outside a tokio runtime.
    #[track_caller]
    pub fn every<R, F>(&self, interval: Duration, run: R) -> Result<Timer, TimerError>
    where
        R: FnMut() -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.times(interval, u64::MAX, run)
    }

    /// Runs `run` once per `interval`, `count` times; a run that panics counts.
    ///
    /// # Errors
    /// When the interval or the count is zero, and outside a tokio runtime.
    #[track_caller]
    pub fn times<R, F>(&self, interval: Duration, count: u64, run: R) -> Result<Timer, TimerError>
    where
        R: FnMut() -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        if count == 0 {
            return Err(TimerError::ZeroCount);
        }
        let pace = Pace::new(interval)?;
        self.start(run, |job| job.at_each_tick(pace, count))
    }

    /// Runs `run` once, after `delay`.
    ///
    /// # Errors
    /// When the delay is zero, and outside a tokio runtime.
    #[track_caller]
    pub fn after<R, F>(&self, delay: Duration, run: R) -> Result<Timer, TimerError>
    where
        R: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut run = Some(run);
        let once = move || {
            let run = run.take();
            async move {
                if let Some(run) = run {
                    run().await;
                }
            }
        };
        self.times(delay, 1, once)
    }

    /// Asks `condition` once per `period`, the first time after one period, and runs `run` each time it says yes.
    ///
    /// The condition is given the time of the wall clock and should answer at once. A panic in it is a no, logged and
    /// counted like that of a run.
    ///
    /// # Errors
    /// When the period is zero, and outside a tokio runtime.
    #[track_caller]
    pub fn when<C, R, F>(&self, period: Duration, condition: C, run: R) -> Result<Timer, TimerError>
    where
        C: FnMut(SystemTime) -> bool + Send + 'static,
        R: FnMut() -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let pace = Pace::new(period)?;
        let clock = self.shared.clock.clone();
        self.start(run, |job| job.when(pace, condition, clock))
    }

    /// Runs `run` at the times of a cron expression, in UTC unless [`Timers::zoned`] or the expression says otherwise.
    ///
    /// * The fields are `second minute hour day month weekday`, as in `0 30 4 * * MON-FRI`; the second may be left out
    ///   (then it is 0), and a year may follow.
    /// * A range may go around the end of its field: `FRI-MON`, `22-2`.
    /// * Nicknames such as `@daily` are known. `@every 5m` is [`Timers::every`]: it counts from now.
    /// * `CRON_TZ=Europe/Berlin ` in front names the zone of this expression, by its IANA name.
    /// * A fixed time is one that names seconds, minutes and hours by numbers or lists of numbers; any other is repeated.
    ///   [`Zone`] says what becomes of both when clocks go back or forward. Several fixed times of one expression that are
    ///   left out by a clock that goes forward run once, right after it: `0 0,30 2 * * *` runs at 03:00 on that day.
    ///
    /// The wall clock is looked at again every 30 seconds at least. When it is set forward over a time, that time
    /// runs late, once; when it is set back by more than a minute, times may come a second time.
    ///
    /// # Errors
    /// When the expression is not one, or names no time to come or no zone, and outside a tokio runtime.
    #[track_caller]
    pub fn cron<R, F>(&self, expression: &str, run: R) -> Result<Timer, TimerError>
    where
        R: FnMut() -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let clock = self.shared.clock.clone();
        let schedule = match Plan::parse(expression, &self.zone)? {
            Plan::Every(interval) => return self.every(interval, run),
            Plan::Times(schedule) => schedule,
        };
        let now = clock();
        if schedule.next(now).is_none() {
            return Err(TimerError::NeverDue { expression: expression.to_owned() });
        }
        self.start(run, |job| job.at_times_of(schedule, now, clock))
    }

    /// Waits until the app has stopped and every run in progress has ended.
    ///
    /// A shutdown puts its own limit on the wait and calls [`Timers::abort`] when that is over.
    pub async fn stopped(&self) {
        self.shared.stop.cancelled().await;
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Stops all timers of this handle and its clones at once: a run in progress is dropped where it waits.
    pub fn abort(&self) {
        self.shared.stop.cancel();
        self.shared.abort.cancel();
    }

    /// Names of the timers that are not over. Once they are stopped, those whose runs are in progress.
    pub(crate) fn running(&self) -> Vec<String> {
        self.shared.alive.lock().values().map(Timer::name).collect()
    }

    /// Makes the timer and its task. `task` says what the task does with its job.
    #[track_caller]
    fn start<R, T>(&self, run: R, task: impl FnOnce(Job<R>) -> T) -> Result<Timer, TimerError>
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let runtime = Handle::try_current().map_err(|_| TimerError::NoRuntime)?;
        let name = self.name.clone().map_or(Name::Line(Location::caller()), Name::Given);
        let timer = Timer::new(name, self.shared.stop.child_token());
        let job = Job::new(timer.clone(), self.shared.abort.clone(), run);
        let number = self.shared.made.fetch_add(1, Relaxed);
        self.shared.alive.lock().insert(number, timer.clone());
        let alive = Alive { shared: self.shared.clone(), number };
        let task = task(job);
        let task = async move {
            let _alive = alive;
            task.await;
        };
        self.shared.tasks.spawn_on(task, &runtime);
        Ok(timer)
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers")
            .field("name", &self.name)
            .field("zone", &self.zone)
            .field("running", &self.shared.tasks.len())
            .finish_non_exhaustive()
    }
}
