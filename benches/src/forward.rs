//! What a client's request costs that a frontend hands to a backend over NATS: its rows, what they are divided by, and the
//! bounds. All bounds of this question stand here.

use crate::judge::{self, MAX_SPREAD, Ratio, Refusal};
use crate::report::LoadReport;

/// Client connections, unless a row says otherwise.
pub const CONNS: usize = 64;
/// The route of a forwarded request; the bare echo skips one of the same length.
pub const ROUTE: &str = "room.room.join";

/// What a row puts under load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// The bare TCP echo.
    Echo {
        /// Requests in flight per connection.
        depth: usize,
    },
    /// The bare reply multiplexer, without clients.
    Mux {
        /// Requests in flight.
        in_flight: usize,
    },
    /// The project's way between servers alone, between two processes: sessions without sockets, an echo without handlers.
    Bus {
        /// Sessions.
        sessions: usize,
        /// Requests in flight of each.
        depth: usize,
        /// As towards a server of Go's.
        plain: bool,
    },
    /// A frontend and a backend of the project.
    Forwarded {
        /// Client connections.
        conns: usize,
        /// Requests in flight per connection.
        depth: usize,
        /// As towards a server of Go's: one message a request.
        plain: bool,
    },
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What the results call it.
    pub name: &'static str,
    /// What the table calls it.
    pub title: &'static str,
    /// What is measured.
    pub load: Load,
    /// What it must show.
    pub claim: Option<Claim>,
}

/// A figure of a row, divided by rows before it.
#[derive(Debug, Clone, Copy)]
pub enum Claim {
    /// CPU of frontend and backend per request, by the sum of these rows; at most so much.
    Cost([&'static str; 2], f64),
    /// Requests per second, by this row; at least so much.
    Rate(&'static str, f64),
    /// The same, for information.
    Shown(&'static str),
}

/// All rows, in the order of a round: what is divided by others comes right after them.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("echo-1",  "bare TCP echo, depth 1",                   Load::Echo { depth: 1 }, None),
    row("mux-64",  "bare multiplexer, 64 in flight",           Load::Mux { in_flight: 64 }, None),
    row("lane-1",  "forwarded, 64 x depth 1",                  lane(1), Some(Claim::Cost(["echo-1", "mux-64"], 2.0))),
    row("echo-16", "bare TCP echo, depth 16",                  Load::Echo { depth: 16 }, None),
    row("mux-512", "bare multiplexer, 512 in flight",          Load::Mux { in_flight: 512 }, None),
    row("bus-8",   "the way alone, 64 sessions x 8",           bus(64, 8, false), Some(Claim::Rate("mux-512", 1.0))),
    row("bus-1",   "the way alone as to Go, 512 sessions x 1", bus(512, 1, true), Some(Claim::Rate("mux-512", 0.5))),
    row("lane-16", "forwarded, 64 x depth 16",                 lane(16), Some(Claim::Cost(["echo-16", "mux-512"], 1.0))),
    row("lane-8",  "forwarded, 64 x depth 8",                  lane(8), Some(Claim::Shown("mux-512"))),
    row("plain-1", "forwarded as towards Go, 512 x depth 1",   plain(512), Some(Claim::Shown("mux-512"))),
];

const fn row(name: &'static str, title: &'static str, load: Load, claim: Option<Claim>) -> Row {
    Row { name, title, load, claim }
}

const fn lane(depth: usize) -> Load {
    Load::Forwarded { conns: CONNS, depth, plain: false }
}

const fn bus(sessions: usize, depth: usize, plain: bool) -> Load {
    Load::Bus { sessions, depth, plain }
}

/// A session has one message in flight: such a backend does not keep their order.
const fn plain(conns: usize) -> Load {
    Load::Forwarded { conns, depth: 1, plain: true }
}

/// CPU per request, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Frontend, bare echo, or the multiplexer's side that asks.
    pub front: f64,
    /// Backend, or the side that answers.
    pub back: f64,
    /// The nats-server.
    pub broker: f64,
}

impl Cost {
    /// What a run of this load cost. The order of its processes is frontend, backend, broker; without sockets the
    /// frontend is the generator itself.
    #[must_use]
    pub fn of(load: Load, report: &LoadReport) -> Self {
        let each = |index: usize| report.each_us_per_msg.get(index).copied().unwrap_or(0.0);
        match load {
            Load::Mux { .. } | Load::Bus { .. } => {
                Self { front: report.generator_us_per_msg, back: each(0), broker: each(1) }
            }
            _ => Self { front: each(0), back: each(1), broker: each(2) },
        }
    }

    /// Both sides, without the broker.
    #[must_use]
    pub fn sides(&self) -> f64 {
        self.front + self.back
    }
}

/// The rounds of every row, in the order of [`ROWS`].
#[derive(Debug)]
pub struct Rounds(pub Vec<Vec<LoadReport>>);

impl Default for Rounds {
    fn default() -> Self {
        Self(vec![Vec::new(); ROWS.len()])
    }
}

impl Rounds {
    /// The ratio a row claims, each round against the baselines of the same round; `None` for a baseline.
    ///
    /// # Errors
    /// A [`Refusal`] when the rounds of the row, or those it is divided by, say nothing.
    pub fn ratio(&self, row: &Row) -> Option<Result<Ratio, Refusal>> {
        let claim = row.claim?;
        let (own, by) = match claim {
            Claim::Cost(by, _) => (self.sides(row.name), by.map(|name| self.sides(name)).to_vec()),
            Claim::Rate(by, _) | Claim::Shown(by) => (self.rates(row.name), vec![self.rates(by)]),
        };
        let sum = |by: Result<Vec<Vec<f64>>, Refusal>| -> Result<Ratio, Refusal> {
            let (own, by) = (own?, by?);
            let rounds = by.iter().map(Vec::len).fold(own.len(), usize::min);
            if rounds == 0 {
                return Err(Refusal::NothingMeasured);
            }
            Ok(Ratio::of((0..rounds).map(|round| own[round] / by.iter().map(|runs| runs[round]).sum::<f64>())))
        };
        Some(sum(by.into_iter().collect()))
    }

    fn sides(&self, name: &str) -> Result<Vec<f64>, Refusal> {
        self.figures(name, |row, run| Cost::of(row.load, run).sides())
    }

    fn rates(&self, name: &str) -> Result<Vec<f64>, Refusal> {
        self.figures(name, |_, run| run.msgs_per_sec)
    }

    fn figures(&self, name: &str, figure: impl Fn(&Row, &LoadReport) -> f64) -> Result<Vec<f64>, Refusal> {
        let rows = ROWS.iter().zip(&self.0).find(|(row, _)| row.name == name);
        let (row, runs) = rows.ok_or(Refusal::NothingMeasured)?;
        judge::sound(runs)?;
        // Whoever took no part has no share: a frontend that answered by itself would look like a cheap cluster.
        let part = |us: &f64| *us > 0.0;
        if !runs.iter().all(|run| run.each_us_per_msg.iter().all(part)) {
            return Err(Refusal::NothingMeasured);
        }
        Ok(runs.iter().map(|run| figure(row, run)).collect())
    }
}

impl Claim {
    /// The bound as the table shows it.
    #[must_use]
    pub fn bound(&self) -> String {
        match self {
            Self::Cost(_, most) => format!("<= {most}"),
            Self::Rate(_, least) => format!(">= {least}"),
            Self::Shown(_) => "-".to_owned(),
        }
    }

    /// Whether the bound is kept: by the median, or by every single round when they lie far apart.
    #[must_use]
    pub fn kept_by(&self, ratio: &Ratio) -> bool {
        let steady = ratio.spread() <= MAX_SPREAD;
        match self {
            Self::Cost(_, most) => *most >= if steady { ratio.median } else { ratio.max },
            Self::Rate(_, least) => *least <= if steady { ratio.median } else { ratio.min },
            Self::Shown(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rate: f64, generator: f64, each: &[f64]) -> LoadReport {
        LoadReport {
            msgs: 1_000,
            msgs_per_sec: rate,
            generator_us_per_msg: generator,
            server_us_per_msg: each.iter().sum(),
            each_us_per_msg: each.to_vec(),
            ..LoadReport::default()
        }
    }

    fn named(name: &str) -> (usize, &'static Row) {
        ROWS.iter().enumerate().find(|(_, row)| row.name == name).expect("a row")
    }

    /// Rounds in which the machine is so much slower or faster.
    fn rounds(speeds: &[f64]) -> Rounds {
        let mut rounds = Rounds::default();
        for speed in speeds {
            let rows = [
                ("echo-1", run(9.0, 7.0, &[3.0])),
                ("mux-64", run(200.0, 1.0, &[1.0, 5.0])),
                ("lane-1", run(50.0, 9.0, &[4.0, 3.5, 8.0])),
            ];
            for (name, mut run) in rows {
                run.generator_us_per_msg *= speed;
                run.each_us_per_msg.iter_mut().for_each(|us| *us *= speed);
                rounds.0[named(name).0].push(run);
            }
        }
        rounds
    }

    #[test]
    fn what_a_row_is_divided_by_comes_before_it() {
        for (at, row) in ROWS.iter().enumerate() {
            let by = match row.claim {
                None => vec![],
                Some(Claim::Cost(by, _)) => by.to_vec(),
                Some(Claim::Rate(by, _) | Claim::Shown(by)) => vec![by],
            };
            for name in by {
                assert!(named(name).0 < at, "{name} for {}", row.name);
            }
            assert_eq!(
                row.claim.is_some(),
                matches!(row.load, Load::Forwarded { .. } | Load::Bus { .. }),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn both_sides_by_the_bare_echo_and_both_sides_of_the_multiplexer() {
        let (_, lane) = named("lane-1");
        let ratio = rounds(&[1.0, 2.0, 0.5]).ratio(lane).expect("it has a claim").expect("good rounds");
        assert!((ratio.median - 1.5).abs() < 1e-9 && ratio.spread() < 1e-6, "{ratio:?}");
        assert!(rounds(&[1.0]).ratio(named("echo-1").1).is_none());
        assert_eq!(rounds(&[]).ratio(lane), Some(Err(Refusal::NothingMeasured)));
    }

    #[test]
    fn one_wrong_answer_in_a_baseline_refuses_the_ratio() {
        let mut rounds = rounds(&[1.0, 1.0]);
        rounds.0[named("mux-64").0][1].errors = 1;
        assert!(matches!(rounds.ratio(named("lane-1").1), Some(Err(Refusal::Failures(1, _)))));
    }

    #[test]
    fn a_backend_that_did_nothing_refuses_the_ratio() {
        let mut rounds = rounds(&[1.0, 1.0]);
        rounds.0[named("lane-1").0][0].each_us_per_msg[1] = 0.0;
        assert_eq!(rounds.ratio(named("lane-1").1), Some(Err(Refusal::NothingMeasured)));
    }

    #[test]
    fn rounds_that_lie_far_apart_must_all_keep_the_bound() {
        let (cost, rate) = (Claim::Cost(["", ""], 2.0), Claim::Rate("", 1.0));
        let ratio = |min, median, max| Ratio { median, min, max };
        assert!(cost.kept_by(&ratio(1.8, 1.9, 2.1)) && !cost.kept_by(&ratio(1.9, 2.1, 2.2)));
        assert!(cost.kept_by(&ratio(1.0, 1.4, 1.9)) && !cost.kept_by(&ratio(1.0, 1.4, 2.1)));
        assert!(rate.kept_by(&ratio(0.95, 1.0, 1.1)) && !rate.kept_by(&ratio(0.9, 0.99, 1.1)));
        assert!(rate.kept_by(&ratio(1.1, 1.5, 1.9)) && !rate.kept_by(&ratio(0.9, 1.5, 1.9)));
    }
}
