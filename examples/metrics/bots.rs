//! Players without a screen, so that there is something to measure.

use pitaya_client::Client;
use std::net::SocketAddr;
use std::time::Duration;

/// Lets so many bots play, each ten rounds a second, until the server ends.
pub fn play(server: SocketAddr, count: u32) {
    for number in 0..count {
        tokio::spawn(async move {
            let Ok(client) = Client::connect(&format!("tcp://{server}")).await else { return };
            let platform = if number % 2 == 0 { "phone" } else { "desktop" };
            for round in 0.. {
                // Some rounds are impossible: errors are measured too.
                let (shots, hits) = (round % 7, round % 5);
                let round = serde_json::json!({ "shots": shots, "hits": hits, "platform": platform });
                let _ = client.request_json::<u32>("arena.arena.play", &round).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
}
