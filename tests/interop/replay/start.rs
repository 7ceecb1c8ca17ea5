//! How a server of a cluster starts and ends.

use crate::world::World;
use pitaya_tests::compare::Codec;
use std::time::{Duration, Instant};

/// With brokers that run already. A build for debugging has more to do, and shares the machine with other tests.
const READY: Duration = Duration::from_millis(if cfg!(debug_assertions) { 900 } else { 300 });

#[test]
fn a_server_is_ready_at_once_and_ends_when_it_is_told() {
    let world = World::start();
    for kind in ["connector", "game"] {
        let asked = |world: &World| match kind {
            "game" => world.backend(kind, Codec::Json),
            _ => world.frontend(Codec::Json, false, &[]),
        };
        // The best of three: the machine may be busy with something else.
        let mut times = Vec::new();
        for _ in 0..3 {
            let started = Instant::now();
            let mut server = asked(&world);
            times.push(server.ready - started);
            assert_eq!(server.process.addresses().len(), usize::from(kind != "game"), "a backend has none");
            assert_eq!(world.records(kind).len(), 1, "it is known when it says that it is ready");
            let status = server.process.terminate();
            assert_eq!(status.code(), Some(0), "{kind}: {status}");
            assert_eq!(world.records(kind), [], "it says goodbye");
        }
        println!("{kind}: ready after {times:?}");
        assert!(times.iter().min().is_some_and(|best| *best < READY), "{kind}: ready after {times:?}");
    }
}
