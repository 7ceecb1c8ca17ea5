//! Compares the time the JSON codecs take to read the same bodies, as ratios of rounds that take turns.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use pitaya_benches::args::Args;
use pitaya_benches::judge::median;
use pitaya_runtime::codec::SerdeCodec;
use pitaya_runtime::{GoJson, Json, StrictJson};
use serde::Deserialize;
use serde::de::DeserializeOwned;

const USAGE: &str = "usage: codecs [--rounds 61] [--reads 20000] [--quick] [--check]
  --quick  3 rounds of 2000 reads: does everything run?
  --check  fail when GoJson takes more than 1.1 times what Json takes";

/// Upper bound of the time of `GoJson`, as a multiple of that of `Json`.
const ANY_CASE: f64 = 1.1;

#[derive(Deserialize)]
#[allow(dead_code, reason = "only read")]
struct Move {
    uid: String,
    seq: u32,
    pos: Vec<f64>,
    act: String,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only read")]
struct Wide {
    account: u64,
    name: String,
    level: u32,
    gold: u64,
    gems: u64,
    guild: Option<String>,
    guild_rank: Option<u8>,
    map: u32,
    x: f64,
    y: f64,
    z: f64,
    yaw: f64,
    health: u32,
    mana: u32,
    stamina: u32,
    armor: u32,
    online: bool,
    premium: bool,
    language: String,
    last_seen: u64,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only read")]
struct Nested {
    room: String,
    moves: Vec<Move>,
    leader: Option<Box<Move>>,
}

const MOVE: &str = r#"{"uid":"player-4711","seq":17,"pos":[1.5,-22.25],"act":"jump"}"#;
const SHUFFLED: &str = r#"{"act":"jump","pos":[1.5,-22.25],"uid":"player-4711","seq":17}"#;
const WIDE: &str = r#"{"account":12345678,"name":"Zoe of the hills","level":17,"gold":991823,"gems":12,"guild":"wolves","guild_rank":3,"map":8,"x":12.25,"y":-3.5,"z":100.125,"yaw":1.57,"health":100,"mana":50,"stamina":70,"armor":12,"online":true,"premium":false,"language":"en","last_seen":1719999999}"#;

/// Nanoseconds of one read, in a round of many.
fn time<C: SerdeCodec, T: DeserializeOwned>(body: &[u8], reads: u32) -> f64 {
    let since = Instant::now();
    for _ in 0..reads {
        black_box(C::from_slice::<T>(black_box(body))).ok();
    }
    since.elapsed().as_nanos() as f64 / f64::from(reads)
}

struct Measured {
    what: &'static str,
    json: f64,
    strict: f64,
    any_case: f64,
}

/// Ratios are those of single rounds: both sides of each were measured next to each other.
fn measure<T: DeserializeOwned>(what: &'static str, body: &str, rounds: usize, reads: u32) -> Measured {
    let body = body.as_bytes();
    let (mut json, mut strict, mut any_case) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let base = time::<Json, T>(body, reads);
        json.push(base);
        strict.push(time::<StrictJson, T>(body, reads) / base);
        any_case.push(time::<GoJson, T>(body, reads) / base);
    }
    Measured {
        what,
        json: median(json.into_iter()),
        strict: median(strict.into_iter()),
        any_case: median(any_case.into_iter()),
    }
}

fn main() -> ExitCode {
    let args = Args::parse(std::env::args().skip(1), &["rounds", "reads"], &["help", "quick", "check"]);
    let parsed = args.and_then(|args| {
        let (rounds, reads) = if args.given("quick") { (3, 2_000) } else { (61, 20_000) };
        Ok((args.value("rounds", rounds)?, args.value("reads", reads)?, args.given("check"), args.given("help")))
    });
    let (rounds, reads, check, help) = match parsed {
        Ok(parsed) => parsed,
        Err(why) => {
            eprintln!("codecs: {why}\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    if help {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let nested = format!(r#"{{"room":"lobby","moves":[{}],"leader":{MOVE}}}"#, [MOVE; 8].join(","));
    let folded = SHUFFLED.replace("uid", "UID").replace("act", "Act");
    let all = [
        measure::<Move>("a move of 4 fields", MOVE, rounds, reads),
        measure::<Move>("the same, fields in another order", SHUFFLED, rounds, reads),
        measure::<Wide>("20 fields", WIDE, rounds, reads),
        measure::<Nested>("9 moves in lists and options", &nested, rounds, reads / 8),
    ];
    println!("| body | Json, ns | StrictJson / Json | GoJson / Json |\n|---|---|---|---|");
    for Measured { what, json, strict, any_case } in &all {
        println!("| {what} | {json:.0} | {strict:.3} | {any_case:.3} |");
    }
    let in_case = median((0..rounds).map(|_| time::<GoJson, Move>(SHUFFLED.as_bytes(), reads)));
    let other = median((0..rounds).map(|_| time::<GoJson, Move>(folded.as_bytes(), reads)));
    println!("\nNames in another case take GoJson {:.3} times what exact ones take.", other / in_case);
    let broken = MOVE.replace("player-4711", r"player-\ud83d");
    let (json, repaired) = (all[0].json, time::<Json, Move>(broken.as_bytes(), reads));
    println!("A body that is repaired takes {:.1} times what a valid one takes.", repaired / json);
    let late: Vec<_> = all.iter().filter(|measured| measured.any_case > ANY_CASE).collect();
    for Measured { what, any_case, .. } in &late {
        eprintln!("{what}: GoJson takes {any_case:.3} times what Json takes, and may take {ANY_CASE}");
    }
    if check && !late.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
