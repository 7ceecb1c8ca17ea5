//! A process that has no file descriptor left: it turns clients away, costs nothing, and is back at once.

use crate::alone;
use crate::honest::login;
use pitaya_tests::PATIENCE;
use pitaya_tests::process::Conformance;
use pitaya_tests::procfs::{cpu, files};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const FILES: usize = 64;
const DIALS: usize = 1_000;
/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[allow(clippy::await_holding_lock)] // nothing else runs on this runtime
async fn a_thousand_dials_at_64_files_cost_nothing_and_it_is_back_at_once() {
    let _alone = alone();
    // By default the limit on connections leaves files for its own work; without it, `accept` itself fails.
    for (limit, takes) in [("0", FILES / 5 * 4), ("1000000", FILES - 20)] {
        let env = [("PITAYA_LIMITS_CONNECTIONS_TOTAL", limit), ("PITAYA_LIMITS_HANDSHAKE_TIMEOUT", "10m")];
        let server = Conformance::start_with_files(FILES, &[], &env);
        let (pid, address) = (server.id(), server.address());
        login(address).await;
        let (quiet, begun, before) = (files(pid), Instant::now(), cpu(pid));
        let mut dials = JoinSet::new();
        for _ in 0..DIALS {
            dials.spawn(async move {
                // Whoever is turned away is told by an end; the others wait.
                let Ok(mut stream) = TcpStream::connect(address).await else { return };
                let _ = stream.read(&mut [0; 16]).await;
            });
        }
        let mut away = 0;
        // And until all have been told, on a machine that takes longer for so many.
        while begun.elapsed() < WATCHED || (away < DIALS - FILES && begun.elapsed() < WATCHED + PATIENCE) {
            let left = WATCHED.saturating_sub(begun.elapsed()).max(Duration::from_millis(100));
            if let Ok(Some(_)) = timeout(left, dials.join_next()).await {
                away += 1;
            }
        }
        let took = begun.elapsed();
        let spent = (cpu(pid) - before).as_secs_f64() / took.as_secs_f64();
        let lines = server.logged();
        println!(
            "limit {limit}: {away} of {DIALS} turned away, {:.1} % of a CPU, {} lines",
            spent * 100.0,
            lines.len()
        );
        assert!(spent < 0.05, "limit {limit}: {:.1} % of a CPU", spent * 100.0);
        assert!(lines.len() as u64 <= took.as_secs() + 1, "more than one line a second: {lines:#?}");
        assert!(away >= DIALS - FILES, "limit {limit}: only {away} were told");
        assert!(dials.len() >= takes - 5, "limit {limit}: only {} were taken", dials.len());

        // All leave: from then on whoever comes is served.
        dials.shutdown().await;
        let left = Instant::now();
        while files(pid) > quiet {
            assert!(left.elapsed() < PATIENCE, "the server has not let go of them");
            sleep(Duration::from_millis(1)).await;
        }
        timeout(Duration::from_secs(3), login(address)).await.expect("served at once");
    }
}
