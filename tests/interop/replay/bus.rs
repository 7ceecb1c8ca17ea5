//! Everything that ours publishes, in order, and a voice among it.

use async_nats::{Client, ConnectOptions, Subject};
use futures_util::StreamExt;
use pitaya_tests::PATIENCE;
use pitaya_tests::nats::NatsServer;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// Where answers to the test come.
const INBOX: &str = "_INBOX.replay.";

/// One message of ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) subject: String,
    pub(crate) reply: String,
    pub(crate) payload: Vec<u8>,
}

/// A connection that hears all messages but its own: every server without a voice is played by it.
pub(crate) struct Bus {
    runtime: Runtime,
    client: Client,
    heard: Receiver<Heard>,
    asked: u64,
}

impl Bus {
    pub(crate) fn listen(broker: &NatsServer) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (client, mut all) = runtime.block_on(async {
            let client = ConnectOptions::new().no_echo().connect(broker.url()).await.expect("the broker is there");
            let all = client.subscribe(">").await.expect("everything can be heard");
            client.flush().await.expect("the broker is there");
            (client, all)
        });
        let (sender, heard) = channel();
        runtime.spawn(async move {
            while let Some(message) = all.next().await {
                let subject = message.subject.to_string();
                // What a server says to itself, to know that the broker has heard it.
                if subject.starts_with("_INBOX.") && !subject.starts_with(INBOX) {
                    continue;
                }
                let reply = message.reply.map(|reply| reply.to_string()).unwrap_or_default();
                if sender.send(Heard { subject, reply, payload: message.payload.to_vec() }).is_err() {
                    return;
                }
            }
        });
        Self { runtime, client, heard, asked: 0 }
    }

    pub(crate) fn publish(&self, subject: &str, payload: &[u8]) {
        self.send(subject, None, payload);
    }

    /// Publishes with a reply subject, and tells it.
    pub(crate) fn ask(&mut self, subject: &str, payload: &[u8]) -> String {
        self.asked += 1;
        let reply = format!("{INBOX}{}", self.asked);
        self.send(subject, Some(&reply), payload);
        reply
    }

    fn send(&self, subject: &str, reply: Option<&str>, payload: &[u8]) {
        let (subject, payload) = (Subject::from(subject), payload.to_vec().into());
        let sent = self.runtime.block_on(async {
            match reply {
                Some(reply) => self.client.publish_with_reply(subject, Subject::from(reply), payload).await,
                None => self.client.publish(subject, payload).await,
            }
        });
        sent.expect("the broker is there");
    }

    /// The next message of ours.
    pub(crate) fn next(&self) -> Heard {
        self.within(PATIENCE).expect("ours publishes something")
    }

    /// The next message of ours, which is published there.
    pub(crate) fn hear(&self, subject: &str, note: &str) -> Heard {
        let heard = self.next();
        assert_eq!(heard.subject, subject, "{note}: {}", heard.payload.escape_ascii());
        heard
    }

    /// The next message of ours, if it comes in time.
    pub(crate) fn within(&self, time: Duration) -> Option<Heard> {
        match self.heard.recv_timeout(time) {
            Ok(heard) => Some(heard),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the broker is gone"),
        }
    }

    /// The answer that comes to this subject in time; what else is published is not looked at.
    pub(crate) fn answer_within(&self, inbox: &str, time: Duration) -> Option<Vec<u8>> {
        let end = Instant::now() + time;
        loop {
            let heard = self.within(end.saturating_duration_since(Instant::now()))?;
            if heard.subject == inbox {
                return Some(heard.payload);
            }
        }
    }
}
