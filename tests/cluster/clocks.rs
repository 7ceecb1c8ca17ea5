//! Clocks of processes that are not the machine's.

use crate::world::{World, eventually, launch};
use pitaya_client::Client;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Clocks of a process that run behind by a time that may grow.
pub struct Clocks {
    folder: TempDir,
    wall: bool,
}

impl Clocks {
    /// The clock of a process that measures time, and its wall clock besides where that is said.
    pub fn new(wall: bool) -> Self {
        let clocks = Self { folder: tempfile::tempdir().expect("a folder"), wall };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/cluster/clock.c");
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(clocks.file("clock.so")).arg(source).status();
        assert!(built.expect("the compiler that Rust links with").success());
        std::fs::write(clocks.file("lost"), 0_i64.to_ne_bytes()).expect("a file");
        clocks
    }

    /// Variables of a process that has these clocks.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let file = |name| self.file(name).display().to_string();
        let mut env = vec![("LD_PRELOAD", file("clock.so")), ("CLOCK_LOST", file("lost"))];
        env.extend(self.wall.then(|| ("CLOCK_WALL", "1".to_owned())));
        env
    }

    /// They are behind by so much from now on.
    pub fn lose(&self, time: Duration) {
        // Written in place: the process has mapped it.
        let mut file = std::fs::File::options().write(true).open(self.file("lost")).expect("the file");
        file.write_all(&(time.as_millis() as i64).to_ne_bytes()).expect("written");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Logins are ordered by stamps: who hears one that is far off names the frontend that gave it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frontend_whose_clock_is_off_is_named_by_the_others() {
    let mut world = World::brokers();
    let back = world.backend("room", "back", |b| b).await;
    let clocks = Clocks::new(true);
    clocks.lose(Duration::from_secs(3600));
    let env = clocks.env();
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, &**value)).collect();
    let flags = ["-type", "connector", "-addr", "127.0.0.1:0"];
    let behind = launch(&mut world, &flags, &env);
    eventually("the first is there", || back.servers().of("connector").len() == 1).await;
    let id = back.servers().of("connector")[0].id.clone();
    let right = launch(&mut world, &flags, &[]);
    eventually("both are there", || back.servers().of("connector").len() == 2).await;
    let client = Client::connect(&format!("tcp://{}", behind.address())).await.expect("it accepts");
    client.request_raw("connector.room.bindto", "zoe").await.expect("bound");
    let line = right.logs("stamp of a login is off the clock here");
    assert!(line.contains("WARN") && line.contains(&*id) && line.contains("off_ms=-36"), "{line}");
}
