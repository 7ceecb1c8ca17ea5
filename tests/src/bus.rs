//! A client of the broker that stands beside the servers.

use futures_util::StreamExt;

/// Waits until the broker has done all that this client asked for: its subscriptions are in force. A flush alone only hands
/// them to the socket.
pub async fn settled(client: &async_nats::Client) {
    let inbox = client.new_inbox();
    let mut echo = client.subscribe(inbox.clone()).await.expect("subscribed");
    client.publish(inbox, "".into()).await.expect("published");
    echo.next().await.expect("the broker is there");
}
