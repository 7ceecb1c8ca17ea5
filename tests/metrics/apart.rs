//! Two apps of one process know nothing of each other's numbers.

use crate::game::{Room, connect, game, measured, serve};
use crate::text::Scrape;
use pitaya_runtime::prelude::*;

#[tokio::test]
async fn two_apps() {
    let one = serve(game()).await;
    let two = serve(measured(Builder::new("lobby").handlers(Room).warn_unmounted(false))).await;
    let (first, second) = (connect(&one).await, connect(&two).await);
    for _ in 0..3 {
        first.request_raw("game.room.echo", &b"{}"[..]).await.expect("it works");
    }
    second.request_raw("lobby.room.echo", &b"{}"[..]).await.expect("it works");
    for (app, kind, count) in [(&one, "game", 3.0), (&two, "lobby", 1.0)] {
        let scrape = Scrape::of(app);
        assert_eq!(scrape.values("serverType"), [kind]);
        assert_eq!(scrape.values("route"), [format!("{kind}.room.echo")]);
        assert_eq!(scrape.one("pitaya_handler_response_time_ns_count", &[]), Some(count));
        assert_eq!(scrape.one("pitaya_server_accepted_total", &[]), Some(1.0));
    }
    one.shutdown().await;
    two.shutdown().await;
}
