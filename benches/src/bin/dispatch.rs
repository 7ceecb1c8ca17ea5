//! What stands between the registry and a method, in nanoseconds: the same method called through its entry and called
//! directly, in rounds that take turns.

use std::hint::black_box;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Instant;

use pitaya_benches::args::Args;
use pitaya_benches::judge::{median, quartiles};
use pitaya_benches::procfs;
use pitaya_runtime::codec::{SerdeCodec, Serializer, serializer};
use pitaya_runtime::handler::Step;
use pitaya_runtime::pipeline::Pipeline;
use pitaya_runtime::registry::{Entry, Registry};
use pitaya_runtime::session::{KickReason, Link, Push};
use pitaya_runtime::turn::Place;
use pitaya_runtime::{BoxFuture, CloseReason, Context, Error, Json, Raw, Result, Session, State, handler};
use serde::{Deserialize, Serialize};

const USAGE: &str = "usage: dispatch [--rounds 41] [--calls 200000] [--quick] [--check]
  --quick  3 rounds of 20000 calls: does everything run?
  --check  fail when a bound is exceeded, or cannot be shown to hold";

/// Nanoseconds that a row may cost above the direct call.
const SYNC: f64 = 10.0;
/// The same for a method that is `async`; the entry keeps the component alive and stores the future.
const ASYNC: f64 = 40.0;

#[derive(Serialize, Deserialize)]
struct Move {
    x: i32,
    y: i32,
}

struct Room;

#[handler]
impl Room {
    #[route("tick")]
    pub(crate) fn nothing(&self) {}

    pub(crate) fn raw(&self, body: Raw) -> Raw {
        body
    }

    #[allow(clippy::unused_async, reason = "what a future costs that never waits")]
    pub(crate) async fn ready(&self) {}

    pub(crate) fn json(&self, step: Move) -> Move {
        step
    }

    #[allow(clippy::unused_async, reason = "what a future costs that never waits")]
    pub(crate) async fn json_ready(&self, step: Move) -> Result<Move> {
        Ok(step)
    }
}

struct Case {
    title: &'static str,
    route: &'static str,
    body: &'static [u8],
    bound: f64,
    /// What the row does with the body, written out, `calls` times.
    direct: fn(&Room, &[u8], &mut Vec<u8>, u32) -> Result<()>,
}

const STEP: &[u8] = br#"{"x":17,"y":-4}"#;

const CASES: [Case; 5] = [
    Case {
        title: "sync, nothing in, nothing out",
        route: "room.tick",
        body: b"",
        bound: SYNC,
        direct: |room, _, _, calls| {
            (0..calls).for_each(|_| black_box(room).nothing());
            Ok(())
        },
    },
    Case {
        title: "sync, `Raw` in and out",
        route: "room.raw",
        body: &[7; 64],
        bound: SYNC,
        direct: |room, body, out, calls| {
            for _ in 0..calls {
                out.clear();
                let answer = black_box(room).raw(Raw(black_box(body).to_vec().into()));
                out.extend_from_slice(&answer.0);
            }
            Ok(())
        },
    },
    Case {
        title: "async, ready at once",
        route: "room.ready",
        body: b"",
        bound: ASYNC,
        direct: |room, _, _, calls| (0..calls).try_for_each(|_| now(black_box(room).ready())),
    },
    Case {
        title: "sync, typed JSON in and out",
        route: "room.json",
        body: STEP,
        bound: SYNC,
        direct: |room, body, out, calls| {
            for _ in 0..calls {
                out.clear();
                Json::to_vec(&black_box(room).json(Json::from_slice(black_box(body))?), out)?;
            }
            Ok(())
        },
    },
    Case {
        title: "async, typed JSON in and out",
        route: "room.json_ready",
        body: STEP,
        bound: ASYNC,
        direct: |room, body, out, calls| {
            for _ in 0..calls {
                out.clear();
                Json::to_vec(&now(black_box(room).json_ready(Json::from_slice(black_box(body))?))??, out)?;
            }
            Ok(())
        },
    },
];

fn main() -> ExitCode {
    match run() {
        Ok(broken) if broken.is_empty() => ExitCode::SUCCESS,
        Ok(broken) => {
            eprintln!("\ncheck failed:\n  {}", broken.join("\n  "));
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("dispatch: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Returns what `--check` complains of; always empty without it.
fn run() -> std::result::Result<Vec<String>, String> {
    let args = Args::parse(std::env::args().skip(1), &["rounds", "calls"], &["help", "quick", "check"])
        .map_err(|e| format!("{e}\n{USAGE}"))?;
    if args.given("help") {
        println!("{USAGE}");
        return Ok(Vec::new());
    }
    let quick = args.given("quick");
    let rounds: usize = args.value("rounds", if quick { 3 } else { 41 })?;
    let calls: u32 = args.value("calls", if quick { 20_000 } else { 200_000 })?;
    if rounds < 3 || calls == 0 {
        return Err("--rounds takes at least 3, --calls at least 1".to_owned());
    }

    let mut mounted = Mounted::new();
    println!("# {}\n\n{rounds} rounds of {calls} calls, medians and (quartiles), ns a call:\n", procfs::machine());
    println!("| method, ns a call | called directly | through its entry | above it | bound |\n|---|---|---|---|---|");
    let mut broken = Vec::new();
    for case in &CASES {
        let runs = mounted.measure(case, rounds, calls).map_err(|e| format!("{}: {e}", case.route))?;
        let direct = median(runs.iter().map(|(direct, _)| *direct));
        let routed = median(runs.iter().map(|(_, routed)| *routed));
        let above = || runs.iter().map(|(direct, routed)| routed - direct);
        let (cost, (low, high)) = (median(above()), quartiles(above()));
        println!(
            "| {} | {direct:.1} | {routed:.1} | **{cost:.1}** ({low:.1}..{high:.1}) | {} |",
            case.title, case.bound
        );
        if high - low > case.bound / 2.0 {
            broken.push(format!("{}: the rounds disagree by {:.1} ns, too much for a verdict", case.title, high - low));
        } else if cost > case.bound {
            broken.push(format!("{}: {cost:.1} ns, bound {} ns", case.title, case.bound));
        }
    }
    broken.iter().for_each(|note| println!("\n{note}."));
    Ok(if args.given("check") { broken } else { Vec::new() })
}

/// A mounted component and a session without a connection.
struct Mounted {
    registry: Registry,
    context: Context,
    out: Vec<u8>,
    place: Place,
}

impl Mounted {
    fn new() -> Self {
        let mut registry = Registry::default();
        let problems = registry.mount("game", None, "json", Arc::new(Room));
        assert!(problems.is_empty(), "{problems:?}");
        let session = Session::new(1, Arc::new(Nobody));
        let context = Context::new(session, Arc::new(State::default()), Arc::new(Pipeline::default()), Arc::new([]));
        Self { registry, context, out: Vec::new(), place: Place::default() }
    }

    /// Nanoseconds a call, direct and through the entry, of each round.
    fn measure(&mut self, case: &Case, rounds: usize, calls: u32) -> Result<Vec<(f64, f64)>> {
        let number = self.registry.find(case.route.as_bytes()).ok_or_else(|| Error::internal("no such route"))?;
        self.both(case, number, calls)?;
        (0..rounds).map(|_| self.both(case, number, calls)).collect()
    }

    fn both(&mut self, case: &Case, number: u32, calls: u32) -> Result<(f64, f64)> {
        let each = |start: Instant| start.elapsed().as_secs_f64() * 1e9 / f64::from(calls);
        self.out.clear();
        let start = Instant::now();
        (case.direct)(&Room, case.body, &mut self.out, calls)?;
        let direct = each(start);
        let expected = std::mem::take(&mut self.out);
        let start = Instant::now();
        self.routed(number, case.body, calls)?;
        let routed = each(start);
        if self.out != expected {
            return Err(Error::internal("the entry answers something else than the method"));
        }
        Ok((direct, routed))
    }

    /// As a connection does it: from the number of the route to its answer in the buffer.
    fn routed(&mut self, number: u32, body: &[u8], calls: u32) -> Result<()> {
        let Self { registry, context, out, place } = self;
        let mut cx = task::Context::from_waker(Waker::noop());
        for _ in 0..calls {
            out.clear();
            let entry: Option<&Entry> = registry.entry(black_box(number));
            let entry = entry.ok_or_else(|| Error::internal("no such entry"))?;
            match entry.call(context, black_box(body), out, place) {
                Step::Done(done) => done?,
                Step::Later => match place.poll(&mut cx, out) {
                    Poll::Ready(done) => done?,
                    Poll::Pending => return Err(waits()),
                },
            }
        }
        Ok(())
    }
}

/// Polls once, where it stands: the cheapest way to call an `async` method.
fn now<T>(future: impl Future<Output = T>) -> Result<T> {
    match pin!(future).poll(&mut task::Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err(waits()),
    }
}

fn waits() -> Error {
    Error::internal("the method waits, so there is nothing to compare")
}

struct Nobody;

impl Link for Nobody {
    fn push(&self, _: &str, _: &[u8]) -> Result<()> {
        Ok(())
    }
    fn send(&self, _: &Push) -> Result<()> {
        Ok(())
    }
    fn kick(&self, _: Option<&KickReason>) -> Result<()> {
        Ok(())
    }
    fn close(&self, _: CloseReason) {}
    fn bind<'a>(&'a self, _: &'a Session, _: &'a Arc<str>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }
    fn serializer(&self) -> Serializer {
        serializer::<Json>()
    }
}
