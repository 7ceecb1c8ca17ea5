//! The files of `deploy/`, with real services: what the script makes, the broker's configuration and the variables of Compose.

use crate::world::SOON;
use pitaya_client::Client;
use pitaya_tests::etcd::Etcd;
use pitaya_tests::nats::NatsServer as Nats;
use pitaya_tests::{PATIENCE, binary};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const COMPOSE: &str = include_str!("../../deploy/compose.yaml");

/// Variables of a file with one a line, `NAME=value` or as YAML has them.
fn variables(text: &str, between: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with("PITAYA_"));
    let pairs = lines.filter_map(|line| line.split_once(between));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
}

fn run_script(folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/secrets");
    let made = std::process::Command::new(script).env("PITAYA_SECRETS", folder).output().expect("there is a bash");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

struct Deployed {
    folder: tempfile::TempDir,
    nats: Nats,
    etcd: Etcd,
}

impl Deployed {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        run_script(folder.path());
        // Containers see their part of it as `/secrets`, and have ports of their own.
        let nats = folder.path().join("nats");
        let file = nats.join("nats.conf");
        let text = std::fs::read_to_string(&file).expect("the script made it");
        let text = text.replace("/secrets", &nats.display().to_string()).replace("http_port: 8222", "");
        std::fs::write(&file, text).expect("written");
        let nats = Nats::start(&["-c", &file.display().to_string()]);
        let etcd = folder.path().join("etcd");
        for flag in ["--cert-file=/secrets/etcd.crt", "--trusted-ca-file=/secrets/ca.pem", "--client-cert-auth"] {
            assert!(COMPOSE.contains(flag), "{flag}");
        }
        let etcd = Etcd::start_with_tls(&etcd.join("etcd.crt"), &etcd.join("etcd.key"), &etcd.join("ca.pem"));
        Self { folder, nats, etcd }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A server with the variables that Compose gives it, and these in place of some.
    fn command(&self, flags: &[&str], instead: &[(&str, &str)]) -> Command {
        let nats = self.nats.url().replace("nats://", "tls://");
        let etcd = format!("https://{}", self.etcd.endpoint());
        let mut command = Command::new(binary::example("cluster"));
        command.args(flags).args(["--nats", &nats, "--etcd", &etcd]);
        let game = self.path("game").display().to_string();
        for (name, value) in variables(COMPOSE, ": ") {
            command.env(name, value.replace("/secrets", &game));
        }
        let login = std::fs::read_to_string(self.path("game.env")).expect("the script made it");
        command.envs(variables(&login, "="));
        command.env("PITAYA_METRICS_PROMETHEUS_PORT", "0").env("PITAYA_METRICS_PROMETHEUS_HOST", "127.0.0.1");
        command.env("PITAYA_CLUSTER_RPC_CLIENT_NATS_MAXRECONNECTIONRETRIES", "0").envs(instead.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn start(&self, flags: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>, String) {
        let mut child = self.command(flags, &[]).spawn().expect("the example can be started");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        // Its log stands there, too.
        let ready = async {
            while let Some(line) = lines.next_line().await.expect("UTF-8") {
                if let Some(ready) = line.strip_prefix("cluster: ") {
                    return ready.to_owned();
                }
            }
            panic!("{flags:?} ended")
        };
        let ready = timeout(PATIENCE, ready).await.expect("it gets ready");
        (child, lines, ready)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_meet_behind_the_logins_of_the_script_and_no_others() {
    assert!(variables(COMPOSE, ": ").len() > 8, "the variables of Compose are found");
    let deployed = Deployed::new();
    // What is there stays as it is.
    let before = std::fs::read(deployed.path("game/game.crt")).expect("a certificate");
    run_script(deployed.folder.path());
    assert_eq!(std::fs::read(deployed.path("game/game.crt")).expect("a certificate"), before);
    let _room = deployed.start(&["--role", "room"]).await;
    let (_connector, _lines, open) =
        deployed.start(&["--role", "connector", "--host", "127.0.0.1", "--port", "0"]).await;
    let address = open.trim_start_matches("open http://").trim_end_matches('/').to_owned();
    let client = Client::connect(&format!("ws://{address}/")).await.expect("the frontend accepts");
    let join = async {
        loop {
            // The frontend may not have seen the room yet.
            let joined: Result<Value, _> =
                client.request_json("chat.room.join", &json!({"name": "Ann", "room": "lobby"})).await;
            match joined {
                Ok(joined) => return joined,
                Err(error) => assert!(error.to_string().contains("no servers available"), "{error}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let joined = timeout(SOON, join).await.expect("the room answers");
    assert!(joined.to_string().contains("Ann"), "{joined}");

    // Without one of the three, no server starts.
    for (instead, text) in [
        (("PITAYA_CLUSTER_RPC_CLIENT_NATS_AUTH_PASS", "other"), "cannot connect to NATS"),
        (("PITAYA_CLUSTER_RPC_CLIENT_NATS_TLS_AUTHORITIES", "/no/file"), "cannot be read"),
        (("PITAYA_CLUSTER_RPC_AUTHENTICATION_FILE", "/no/file"), "authentication.file: the file /no/file"),
    ] {
        let output = deployed.command(&["--role", "room"], &[instead]).output();
        let output = timeout(PATIENCE, output).await.expect("it ends").expect("it can be started");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(text), "{instead:?}: {error}");
    }
    // Nor does anybody connect without a certificate.
    assert!(async_nats::connect(deployed.nats.url()).await.is_err());
}
