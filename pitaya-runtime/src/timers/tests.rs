//! These run on tokio's paused clock: it jumps to the next timer when nothing else can run, so hours pass in no time and
//! each run comes at an exact instant.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::UNIX_EPOCH;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn timers() -> (Timers, CancellationToken) {
    let stop = CancellationToken::new();
    (Timers::new(&stop), stop)
}

/// A wall clock that goes with tokio's and can be set.
#[derive(Clone)]
struct Wall(Arc<Mutex<(SystemTime, Instant)>>);

impl Wall {
    fn at(secs: u64) -> Self {
        Self(Arc::new(Mutex::new((UNIX_EPOCH + Duration::from_secs(secs), Instant::now()))))
    }

    fn set(&self, secs: u64) {
        *self.0.lock() = (UNIX_EPOCH + Duration::from_secs(secs), Instant::now());
    }

    fn now(&self) -> SystemTime {
        let (time, since) = *self.0.lock();
        time + since.elapsed()
    }

    fn secs(&self) -> f64 {
        self.now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
    }

    fn timers(&self) -> Timers {
        let wall = self.clone();
        Timers::with_clock(&CancellationToken::new(), move || wall.now())
    }
}

/// What happened, in order.
#[derive(Clone, Default)]
struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T: Clone> Log<T> {
    fn note(&self, what: T) {
        self.0.lock().push(what);
    }

    fn all(&self) -> Vec<T> {
        self.0.lock().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn every_runs_once_per_interval_and_first_after_one() {
    let (timers, _stop) = timers();
    let began = Instant::now();
    let log = Log::default();
    let times = log.clone();
    let timer = timers
        .every(3 * SECOND, move || {
            times.note(began.elapsed().as_secs());
            async {}
        })
        .unwrap();
    sleep(10 * SECOND).await;
    assert_eq!(log.all(), [3, 6, 9]);
    assert_eq!((timer.runs(), timer.panics(), timer.is_stopped()), (3, 0, false));
}

#[tokio::test(start_paused = true)]
async fn the_first_interval_counts_from_the_call_even_if_the_task_begins_late() {
    let (timers, _stop) = timers();
    let began = Instant::now();
    let (send, receive) = tokio::sync::oneshot::channel();
    timers.after(2 * SECOND, move || async move { send.send(Instant::now()).unwrap() }).unwrap();
    // The task is not polled before this test waits: a second goes by that its timer must not lose.
    tokio::time::advance(SECOND).await;
    assert_eq!(receive.await.unwrap() - began, 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn times_runs_so_often_and_stops() {
    let (timers, _stop) = timers();
    let timer = timers.times(SECOND, 3, || async {}).unwrap();
    sleep(2 * SECOND + SECOND / 2).await;
    assert_eq!((timer.runs(), timer.is_stopped()), (2, false));
    sleep(10 * SECOND).await;
    assert_eq!((timer.runs(), timer.is_stopped()), (3, true));
}

#[tokio::test(start_paused = true)]
async fn after_runs_once_and_may_move_what_it_holds() {
    let (timers, _stop) = timers();
    let (send, receive) = tokio::sync::oneshot::channel();
    let began = Instant::now();
    let timer = timers.after(5 * SECOND, move || async move { send.send(Instant::now()).unwrap() }).unwrap();
    assert_eq!(receive.await.unwrap() - began, 5 * SECOND);
    sleep(20 * SECOND).await;
    assert_eq!((timer.runs(), timer.is_stopped()), (1, true));
}

#[tokio::test(start_paused = true)]
async fn when_runs_each_time_the_condition_holds() {
    let wall = Wall::at(1_000);
    let asked = Log::default();
    let noted = asked.clone();
    let even = move |now: SystemTime| {
        let secs = now.duration_since(UNIX_EPOCH).unwrap().as_secs();
        noted.note(secs);
        secs.is_multiple_of(2)
    };
    let timer = wall.timers().when(SECOND, even, || async {}).unwrap();
    sleep(5 * SECOND + SECOND / 2).await;
    assert_eq!(asked.all(), [1_001, 1_002, 1_003, 1_004, 1_005]);
    assert_eq!(timer.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_panics_is_a_no() {
    let (timers, _stop) = timers();
    let mut asked = 0;
    let condition = move |_| {
        asked += 1;
        assert_ne!(asked, 2, "the second time");
        true
    };
    let timer = timers.named("careless").when(SECOND, condition, || async {}).unwrap();
    sleep(4 * SECOND + SECOND / 2).await;
    assert_eq!((timer.runs(), timer.panics()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_counted_and_the_timer_goes_on() {
    let (timers, _stop) = timers();
    let mut n = 0;
    // The second run panics in its future, the third before it makes one.
    let run = move || {
        n += 1;
        assert_ne!(n, 3, "no future today");
        let n = n;
        async move { assert_ne!(n, 2, "half way") }
    };
    let timer = timers.named("careless").times(SECOND, 5, run).unwrap();
    sleep(4 * SECOND + SECOND / 2).await;
    assert_eq!((timer.runs(), timer.panics(), timer.is_stopped()), (4, 2, false));
    sleep(SECOND).await;
    assert_eq!((timer.runs(), timer.panics(), timer.is_stopped()), (5, 2, true));
}

#[tokio::test(start_paused = true)]
async fn a_slow_run_delays_no_other_timer_and_skips_its_own_times() {
    let (timers, _stop) = timers();
    let began = Instant::now();
    let log = Log::default();
    let noted = log.clone();
    let slow = timers.every(SECOND, move || {
        noted.note(began.elapsed().as_secs_f64());
        sleep(2 * SECOND + SECOND / 2)
    });
    let quick = timers.every(SECOND, || async {}).unwrap();
    sleep(8 * SECOND + SECOND / 2).await;
    assert_eq!(quick.runs(), 8);
    // Begun at 1 and ended at 3.5: the times 2 and 3 are gone, the next is 4.
    assert_eq!(log.all(), [1.0, 4.0, 7.0]);
    assert_eq!(slow.unwrap().runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_tick_is_late_before_it_is_missed() {
    let (timers, _stop) = timers();
    let began = Instant::now();
    let log = Log::default();
    let noted = log.clone();
    let run = move || {
        noted.note(began.elapsed().as_millis());
        sleep(SECOND + Duration::from_millis(3))
    };
    timers.every(SECOND, run).unwrap();
    sleep(5 * SECOND).await;
    // The second tick was 3 ms late; the third would have been by 6 ms.
    assert_eq!(log.all(), [1_000, 2_003, 4_000]);
}

#[tokio::test(start_paused = true)]
async fn stop_lets_a_run_finish_and_begins_no_other() {
    let (timers, _stop) = timers();
    let ended = Arc::new(AtomicU64::new(0));
    let counted = ended.clone();
    let timer = timers
        .every(SECOND, move || {
            let counted = counted.clone();
            async move {
                sleep(SECOND / 2).await;
                counted.fetch_add(1, SeqCst);
            }
        })
        .unwrap();
    sleep(SECOND + SECOND / 4).await;
    timer.stop();
    timer.stop();
    assert!(timer.is_stopped());
    assert_eq!(ended.load(SeqCst), 0);
    sleep(10 * SECOND).await;
    assert_eq!((ended.load(SeqCst), timer.runs()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stop_wins_over_a_tick_of_the_same_instant() {
    let (timers, _stop) = timers();
    // Both are due at once, and the one that is first stops the other.
    let both: Arc<Mutex<Vec<Timer>>> = Arc::default();
    for other in [1, 0] {
        let held = both.clone();
        let run = move || {
            held.lock()[other].stop();
            async {}
        };
        let timer = timers.every(SECOND, run).unwrap();
        both.lock().push(timer);
    }
    sleep(SECOND + SECOND / 2).await;
    assert_eq!(both.lock().iter().map(Timer::runs).sum::<u64>(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_may_stop_its_own_timer() {
    let (timers, _stop) = timers();
    let own: Arc<Mutex<Option<Timer>>> = Arc::default();
    let held = own.clone();
    let timer = timers.every(SECOND, move || {
        held.lock().as_ref().unwrap().stop();
        async {}
    });
    *own.lock() = Some(timer.unwrap());
    sleep(5 * SECOND).await;
    let timer = own.lock().clone().unwrap();
    assert_eq!(timer.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handles_stops_nothing() {
    let (timers, stop) = timers();
    let runs = Arc::new(AtomicU64::new(0));
    let counted = runs.clone();
    drop(
        timers
            .every(SECOND, move || {
                counted.fetch_add(1, SeqCst);
                async {}
            })
            .unwrap(),
    );
    drop(timers);
    sleep(2 * SECOND + SECOND / 2).await;
    assert_eq!(runs.load(SeqCst), 2);
    stop.cancel();
    sleep(2 * SECOND).await;
    assert_eq!(runs.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn all_stop_with_the_app_and_runs_in_progress_end_first() {
    let (timers, stop) = timers();
    let ended = Arc::new(AtomicBool::new(false));
    let noted = ended.clone();
    let slow = timers.after(SECOND, move || async move {
        sleep(9 * SECOND).await;
        noted.store(true, SeqCst);
    });
    let all = [
        slow.unwrap(),
        timers.named("other").every(SECOND, || async {}).unwrap(),
        timers.clone().when(SECOND, |_| true, || async {}).unwrap(),
        timers.cron("* * * * * *", || async {}).unwrap(),
    ];
    sleep(2 * SECOND).await;
    let began = Instant::now();
    stop.cancel();
    assert!(all.iter().all(Timer::is_stopped));
    timers.stopped().await;
    assert!(ended.load(SeqCst));
    assert_eq!(began.elapsed(), 8 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn stopped_waits_for_the_app() {
    let (timers, stop) = timers();
    let began = Instant::now();
    tokio::join!(timers.stopped(), async {
        sleep(SECOND).await;
        stop.cancel()
    });
    assert_eq!(began.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn abort_drops_a_run_in_progress_and_spares_the_app() {
    let (timers, stop) = timers();
    let stuck = timers.every(SECOND, std::future::pending).unwrap();
    sleep(3 * SECOND).await;
    timers.abort();
    let began = Instant::now();
    tokio::time::timeout(SECOND, timers.stopped()).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!((stuck.runs(), stuck.is_stopped(), stop.is_cancelled()), (0, true, false));
}

#[tokio::test(start_paused = true)]
async fn a_timer_made_after_the_stop_never_runs() {
    let (timers, stop) = timers();
    stop.cancel();
    let timer = timers.after(SECOND, || async {}).unwrap();
    assert!(timer.is_stopped());
    sleep(5 * SECOND).await;
    assert_eq!(timer.runs(), 0);
    timers.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn cron_runs_at_the_times_of_the_wall_clock() {
    let wall = Wall::at(1_000); // 00:16:40
    let log = Log::default();
    let (noted, clock) = (log.clone(), wall.clone());
    let timer = wall
        .timers()
        .cron("0 */5 * * * *", move || {
            noted.note(clock.secs());
            async {}
        })
        .unwrap();
    sleep(900 * SECOND).await;
    assert_eq!(log.all(), [1_200.0, 1_500.0, 1_800.0]);
    assert_eq!(timer.runs(), 3);
}

#[tokio::test(start_paused = true)]
async fn cron_skips_what_came_due_during_a_run() {
    let wall = Wall::at(0);
    let log = Log::default();
    let (noted, clock) = (log.clone(), wall.clone());
    let slow = move || {
        noted.note(clock.secs());
        sleep(150 * SECOND)
    };
    wall.timers().cron("0 * * * * *", slow).unwrap();
    sleep(600 * SECOND).await;
    assert_eq!(log.all(), [60.0, 240.0, 420.0]);
}

#[tokio::test(start_paused = true)]
async fn cron_notices_a_clock_that_is_set() {
    let wall = Wall::at(0);
    let log = Log::default();
    let (noted, clock) = (log.clone(), wall.clone());
    wall.timers()
        .cron("0 0 * * * *", move || {
            noted.note(clock.secs());
            async {}
        })
        .unwrap();
    sleep(100 * SECOND).await;
    wall.set(3_500 + 7_200); // over two full hours: one run, late by at most a nap
    sleep(60 * SECOND).await;
    let late = log.all();
    assert_eq!(late.len(), 1);
    assert!((10_700.0..10_730.0).contains(&late[0]), "{late:?}");
    wall.set(3_560); // back: the hour comes again
    sleep(90 * SECOND).await;
    let again = log.all();
    assert_eq!(again.len(), 2);
    assert!((3_600.0..3_630.0).contains(&again[1]), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn cron_runs_no_time_twice_when_the_clock_is_adjusted() {
    let wall = Wall::at(50);
    let clock = wall.clone();
    let mut adjusted = false;
    let run = move || {
        if !std::mem::replace(&mut adjusted, true) {
            clock.set(58); // 2 seconds back, over the time that runs
        }
        async {}
    };
    let timer = wall.timers().cron("0 * * * * *", run).unwrap();
    sleep(60 * SECOND).await;
    assert_eq!((timer.runs(), wall.secs()), (1, 108.0));
    sleep(20 * SECOND).await;
    assert_eq!(timer.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn cron_ends_with_its_last_time() {
    let wall = Wall::at(0);
    let timer = wall.timers().cron("30 0 0 1 1 * 1970", || async {}).unwrap();
    sleep(60 * SECOND).await;
    assert_eq!((timer.runs(), timer.is_stopped()), (1, true));
}

#[tokio::test(start_paused = true)]
async fn cron_is_read_in_the_zone_of_its_handle() {
    let (timers, _stop) = timers();
    assert_eq!(timers.zone, Zone::Utc);
    let local = timers.zoned(Zone::Local).named("daily");
    assert_eq!(local.zone, Zone::Local);
    local.cron("@daily", || async {}).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_a_timer_is_refused() {
    let (timers, _stop) = timers();
    let zero = Duration::ZERO;
    assert_eq!(timers.every(zero, || async {}).unwrap_err(), TimerError::ZeroInterval);
    assert_eq!(timers.times(zero, 1, || async {}).unwrap_err(), TimerError::ZeroInterval);
    assert_eq!(timers.after(zero, || async {}).unwrap_err(), TimerError::ZeroInterval);
    assert_eq!(timers.when(zero, |_| true, || async {}).unwrap_err(), TimerError::ZeroInterval);
    assert_eq!(timers.times(SECOND, 0, || async {}).unwrap_err(), TimerError::ZeroCount);
    assert!(matches!(timers.cron("now and then", || async {}), Err(TimerError::BadCron { .. })));
    assert!(matches!(timers.cron("0 0 0 1 1 * 2020", || async {}), Err(TimerError::NeverDue { .. })));
    assert_eq!(timers.shared.tasks.len(), 0);
}

#[test]
fn outside_a_runtime_there_are_no_timers() {
    let (timers, _stop) = timers();
    assert_eq!(timers.every(SECOND, || async {}).unwrap_err(), TimerError::NoRuntime);
}

#[tokio::test(start_paused = true)]
async fn the_shortest_and_the_longest_interval_do_no_harm() {
    let (timers, _stop) = timers();
    let never = timers.every(Duration::MAX, || async {}).unwrap();
    let often = timers.every(Duration::from_nanos(1), || async {}).unwrap();
    sleep(Duration::from_millis(50)).await;
    assert!((49..=50).contains(&often.runs()), "{}", often.runs());
    assert_eq!(never.runs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_timer_is_named_or_tells_its_line() {
    let (timers, _stop) = timers();
    let named = timers.named("sweep").every(SECOND, || async {}).unwrap();
    assert!(format!("{named:?}").contains("name: sweep"), "{named:?}");
    let line = line!() + 1;
    let plain = timers.after(SECOND, || async {}).unwrap();
    assert!(format!("{plain:?}").contains(&format!("timers/tests.rs:{line}")), "{plain:?}");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_timers_run_at_once() {
    let (timers, stop) = timers();
    let runs = Arc::new(AtomicU64::new(0));
    for n in 0..10_000 {
        let counted = runs.clone();
        let interval = Duration::from_millis(500 + n % 490);
        timers
            .every(interval, move || {
                counted.fetch_add(1, SeqCst);
                async {}
            })
            .unwrap();
    }
    sleep(Duration::from_millis(999)).await;
    assert_eq!(runs.load(SeqCst), 10_000);
    stop.cancel();
    timers.stopped().await;
    assert!(timers.shared.tasks.is_empty());
}
