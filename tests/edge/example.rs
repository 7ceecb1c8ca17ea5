//! The example `tls`, as somebody would run it.

use pitaya_client::Client;
use pitaya_tests::certificates::Pair;
use pitaya_tests::{PATIENCE, binary};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

#[tokio::test]
async fn it_makes_a_certificate_and_takes_another_while_it_runs() {
    let mut server = Command::new(binary::example("tls"))
        .args(["--port", "0", "--web-port", "0"])
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut stdout = BufReader::new(server.stdout.take().expect("a pipe")).lines();
    let mut stderr = BufReader::new(server.stderr.take().expect("a pipe")).lines();
    let line = timeout(PATIENCE, stdout.next_line()).await.expect("in time").expect("a text").expect("a line");
    let between = |from: &str, to: &str| {
        let (_, rest) = line.split_once(from).unwrap_or_else(|| panic!("no {from} in {line}"));
        rest.split_once(to).map_or(rest, |(found, _)| found).to_owned()
    };
    let (games, web) = (between("tls://", ","), between("https://", "/;"));
    let certificate = between("certificate is ", "\n");
    let pem = |path: &str| std::fs::read(path).expect("the certificate is there");

    let options = Client::options().root_certificate(pem(&certificate));
    let game = options.connect(&format!("tls://{games}")).await.expect("a game comes in");
    let browser = options.connect(&format!("wss://{web}/")).await.expect("a browser comes in");
    for client in [&game, &browser] {
        assert_eq!(client.request_raw("game.room.say", "\"hello\"").await.expect("served"), "\"hello\"");
    }
    let who = game.request_raw("game.room.who", "").await.expect("served");
    assert_eq!(who, "\"somebody without a certificate\"");

    let new = Pair::localhost();
    new.write(Path::new(&certificate).parent().expect("a folder"));
    let id = server.id().expect("it runs").to_string();
    let signal = async |name: &str| Command::new("kill").args([name, &id]).status().await.expect("there is a `kill`");
    assert!(signal("-HUP").await.success());
    let read_again = async {
        for _ in 0..2 {
            while !stderr.next_line().await.expect("a text").expect("a line").contains("were read again") {}
        }
    };
    timeout(PATIENCE, read_again).await.expect("in time");
    let options = Client::options().root_certificate(new.certificate).server_name("localhost");
    options.connect(&format!("tls://{games}")).await.expect("the new certificate is shown");
    for client in [&game, &browser] {
        let answer = client.request_raw("game.room.say", "\"still\"").await.expect("nobody was sent away");
        assert_eq!(answer, "\"still\"");
    }
    assert!(signal("-TERM").await.success());
    assert!(server.wait().await.expect("it ends").success());
}
