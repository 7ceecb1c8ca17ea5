//! Everybody hears what one tells: to all, or to rooms; as fast as it goes, or so often a second.

use std::process::ExitCode;
use std::time::Duration;

use pitaya_benches::args::Args;
use pitaya_benches::crowd::Crowd;
use pitaya_benches::judge::median;
use pitaya_benches::player::Event;
use pitaya_benches::procfs::Cost;
use pitaya_benches::report::{LoadReport, PushReport};
use pitaya_benches::tally::Tally;
use serde_json::json;

const USAGE: &str = "usage: pushes --addr HOST:PORT [--members 1000] [--rounds 20] [--body 64] [--server-pid PID,..]
  --rooms R    the members are spread over R rooms, one of each room tells
  --hz H       so many rounds a second whether they were heard or not; without it, one after the other
  --slow P     so many per cent of the members read nothing after they entered";
const OPTIONS: &[&str] = &["addr", "members", "rounds", "body", "rooms", "hz", "slow", "server-pid"];
const ENTER: &str = "connector.testsvc.testbind";
const TELL: &str = "connector.testsvc.testsendgroupmsg";
const BIND: &str = "connector.room.bindto";
const ENTER_ROOM: &str = "connector.room.enter";
const TELL_ROOM: &str = "connector.room.say";
/// Members that enter at the same time.
const AT_ONCE: usize = 200;
/// How long an answer or the last push may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the kernel keeps for a member that reads nothing.
const SLOW_BUFFER: usize = 4 * 1024;
/// Rounds before what is measured.
const WARM_UP: usize = 2;

fn main() -> ExitCode {
    match run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("pushes: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, String> {
    let args = Args::parse(std::env::args().skip(1), OPTIONS, &[]).map_err(|e| format!("{e}\n{USAGE}"))?;
    let addr = args.text("addr").ok_or(USAGE)?;
    let members: usize = args.value("members", 1_000)?;
    let slow: usize = args.value("slow", 0)?;
    let body: usize = args.value("body", 64)?;
    if body < NUMBER {
        return Err(format!("--body is at least {NUMBER}"));
    }
    let hall = Hall {
        crowd: Crowd::new(addr.parse().map_err(|_| format!("--addr: {addr:?} is no IP:PORT"))?)?,
        rooms: args.value("rooms", 0)?,
        // The first of a room tells, so it listens too.
        deaf: (0..members).map(|number| number % 100 >= 100 - slow.min(99)).collect(),
        heard: vec![0; members],
        body,
        tally: Tally::default(),
        told: Vec::new(),
        last: 0,
        servers: args.list("server-pid")?,
    };
    let hz = args.text("hz").map(|_| args.value("hz", 1.0)).transpose()?;
    Ok(json!(hall.run(args.value("rounds", 20)?, hz)?).to_string())
}

/// Digits of a push that say which round it is of; they stand first.
const NUMBER: usize = 8;

struct Hall {
    crowd: Crowd,
    /// 0: everybody is in one group.
    rooms: usize,
    deaf: Vec<bool>,
    /// Rounds that each has heard.
    heard: Vec<usize>,
    body: usize,
    tally: Tally,
    /// When each round was due.
    told: Vec<u64>,
    /// When the last push came.
    last: u64,
    servers: Vec<u32>,
}

impl Hall {
    fn run(mut self, rounds: usize, hz: Option<f64>) -> Result<PushReport, String> {
        self.enter()?;
        for _ in 0..WARM_UP {
            self.tell(self.crowd.now())?;
            self.listen()?;
        }
        let (before, start) = (Cost::now(&self.servers)?, self.crowd.now());
        self.tally.open(start..u64::MAX);
        let mut times = Vec::new();
        match hz {
            None => {
                for _ in 0..rounds {
                    let due = self.crowd.now();
                    self.tell(due)?;
                    self.listen()?;
                    times.push((self.last - due) as f64 / 1e6);
                }
            }
            Some(hz) => {
                for round in 0..rounds {
                    let due = start + (round as f64 * 1e9 / hz) as u64;
                    while self.crowd.now() < due {
                        let left = Duration::from_nanos(due.saturating_sub(self.crowd.now()));
                        self.turn(left)?;
                    }
                    self.tell(due)?;
                }
                self.listen()?;
            }
        }
        let secs = (self.crowd.now() - start) as f64 / 1e9;
        let after = Cost::now(&self.servers)?;
        let generator = after.generator - before.generator;
        let load = LoadReport::new(self.tally, secs, generator, &after.servers_since(&before));
        Ok(PushReport { load, last_ms: median(times.into_iter()) })
    }

    /// All of them, into their groups.
    fn enter(&mut self) -> Result<(), String> {
        let members = self.deaf.len();
        for first in (0..members).step_by(AT_ONCE) {
            let batch = first..members.min(first + AT_ONCE);
            for number in batch.clone() {
                self.crowd.dial(self.deaf[number].then_some(SLOW_BUFFER))?;
            }
            self.answers(batch.clone(), |event| *event == Event::Ready)?;
            if self.rooms == 0 {
                // A bare server sends back what it gets.
                batch.clone().try_for_each(|number| self.crowd.request(number, ENTER, b"ack"))?;
                self.answers(batch.clone(), |event| *event == Event::Answer(b"ack"))?;
            } else {
                let uid = |number| format!("member-{number}");
                batch.clone().try_for_each(|number| self.crowd.request(number, BIND, uid(number).as_bytes()))?;
                self.answers(batch.clone(), |event| *event == Event::Answer(b"bound"))?;
                let room = |number| format!("room-{}", number % self.rooms);
                batch.clone().try_for_each(|number| self.crowd.request(number, ENTER_ROOM, room(number).as_bytes()))?;
                self.answers(batch.clone(), |event| *event == Event::Answer(b"entered"))?;
            }
        }
        (0..members).filter(|number| self.deaf[*number]).for_each(|number| self.crowd.deafen(number));
        Ok(())
    }

    /// Waits until each of them has got what is expected, and nothing else.
    fn answers(&mut self, who: std::ops::Range<usize>, expected: impl Fn(&Event<'_>) -> bool) -> Result<(), String> {
        let deadline = self.crowd.now() + PATIENCE.as_nanos() as u64;
        let (mut missing, mut wrong) = (who.len(), None);
        while missing > 0 {
            self.crowd.turn(Duration::from_millis(100), |_, event, _| {
                if expected(&event) {
                    missing -= 1;
                } else {
                    wrong = Some(format!("a member that enters got {event:?}"));
                }
            })?;
            if let Some(wrong) = wrong {
                return Err(wrong);
            }
            if self.crowd.now() > deadline {
                return Err(format!("{missing} members had no answer in 10 s"));
            }
        }
        Ok(())
    }

    /// One round, that was due then.
    fn tell(&mut self, due: u64) -> Result<(), String> {
        let text = text(self.told.len(), self.body);
        self.told.push(due);
        if self.rooms == 0 {
            return self.crowd.notify(0, TELL, &text);
        }
        (0..self.rooms).try_for_each(|room| {
            // The name, a space, what is said.
            let said = [format!("room-{room} ").as_bytes(), &text].concat();
            self.crowd.notify(room, TELL_ROOM, &said)
        })
    }

    /// Until all who listen have heard all rounds.
    fn listen(&mut self) -> Result<(), String> {
        let deadline = self.crowd.now() + PATIENCE.as_nanos() as u64;
        let goal = self.told.len();
        let mut late = usize::MAX;
        // Who was late is looked at first: most of the time it is late still.
        while let Some(missing) = self.late(goal, late) {
            late = missing;
            if self.crowd.now() > deadline {
                let count = self.heard.iter().zip(&self.deaf).filter(|(heard, deaf)| !**deaf && **heard < goal).count();
                self.tally.fail(count as u64, || format!("{count} members did not hear round {goal} in 10 s"));
                return Ok(());
            }
            self.turn(Duration::from_millis(100))?;
        }
        Ok(())
    }

    fn late(&self, goal: usize, hint: usize) -> Option<usize> {
        let late = |number: &usize| !self.deaf[*number] && self.heard[*number] < goal;
        Some(hint).filter(|hint| *hint < self.heard.len() && late(hint)).or_else(|| (0..self.heard.len()).find(late))
    }

    fn turn(&mut self, timeout: Duration) -> Result<(), String> {
        let (heard, told, tally, last) = (&mut self.heard, &self.told, &mut self.tally, &mut self.last);
        let body = self.body;
        self.crowd.turn(timeout, |number, event, now| {
            let round = heard[number];
            match event {
                // In order, each once, and every byte.
                Event::Push(push) if round < told.len() && is_text(push, round, body) => {
                    tally.answered(told[round], now);
                    heard[number] += 1;
                    *last = now;
                }
                other => tally.fail(1, || format!("instead of round {round} a member got {other:?}")),
            }
        })
    }
}

fn text(round: usize, body: usize) -> Vec<u8> {
    let mut text = format!("{round:0NUMBER$}").into_bytes();
    text.resize(body, b'w');
    text
}

fn is_text(push: &[u8], round: usize, body: usize) -> bool {
    let digits = push.get(..NUMBER).and_then(|digits| std::str::from_utf8(digits).ok());
    push.len() == body
        && digits.and_then(|digits| digits.parse().ok()) == Some(round)
        && push[NUMBER..].iter().all(|byte| *byte == b'w')
}
