//! What the transport reads from the configuration.

use super::address::Address;
use super::login::Login;
use crate::cluster::tls::ClientTls;
use crate::config::{Authentication, Rpc, UserTopics};
use pitaya_core::Result;
use pitaya_core::text::redact;
use std::time::Duration;

/// The smallest and the largest bound of the pause before a lost connection is tried again.
const BACKOFF: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(5)];

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) connect: String,
    pub(super) request_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) ping: Duration,
    /// How often the first connection is tried again.
    pub(super) retries: Option<u32>,
    pub(super) wait: Duration,
    pub(super) jitter: Duration,
    pub(super) buffer: usize,
    pub(super) user_topics: UserTopics,
    pub(super) login: Login,
    pub(super) tls: ClientTls,
    pub(super) authentication: Authentication,
}

impl Settings {
    pub(super) fn new(rpc: &Rpc) -> Self {
        let nats = &rpc.client.nats;
        // Schemes have no case.
        let tls = nats.connect.to_ascii_lowercase().contains("tls://") || nats.tls.files().is_set();
        Self {
            connect: nats.connect.clone(),
            request_timeout: nats.requesttimeout,
            connect_timeout: nats.connectiontimeout,
            ping: nats.pinginterval,
            retries: u32::try_from(nats.maxreconnectionretries).ok(),
            wait: nats.reconnectwait,
            jitter: if tls { nats.reconnectjittertls } else { nats.reconnectjitter },
            buffer: nats.buffer.bytes(),
            user_topics: rpc.server.nats.usertopics,
            login: Login::new(&nats.auth),
            tls: nats.tls.files(),
            authentication: rpc.authentication.clone(),
        }
    }

    /// The addresses as they may be shown: without names and passwords.
    pub(super) fn connect_shown(&self) -> String {
        redact(&self.connect)
    }

    /// The addresses of the broker.
    pub(super) fn addresses(&self) -> Result<Vec<Address>> {
        self.connect.split(',').filter(|text| !text.trim().is_empty()).map(Address::parse).collect()
    }
}

/// The pause before a connection that has been lost for so long is tried again: anything up to a quarter of that, so that
/// servers that lost it together do not come back together, and a short outage is not made a long one.
pub(super) fn backoff(lost: Duration, chance: f64) -> Duration {
    let [shortest, longest] = BACKOFF;
    (lost / 4).clamp(shortest, longest).mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_pause_grows_up_to_five_seconds() {
        let most = |millis| backoff(Duration::from_millis(millis), 1.0).as_millis();
        assert_eq!([0, 200, 1000, 4000, 20_000, 3_600_000].map(most), [50, 50, 250, 1000, 5000, 5000]);
        assert_eq!(backoff(Duration::from_secs(40), 0.0), Duration::ZERO);
    }

    #[test]
    fn addresses_stand_with_commas_between() {
        let mut rpc = Config::default().cluster.rpc;
        rpc.client.nats.connect = "NATS://u:p@a:1, b ,TLS://c:3".to_owned();
        let addresses = Settings::new(&rpc).addresses().expect("three addresses");
        let read: Vec<_> = addresses.iter().map(|a| (a.shown(), a.user.as_deref())).collect();
        let expected = [("nats://a:1", Some("u")), ("nats://b:4222", None), ("tls://c:3", None)];
        assert_eq!(read, expected.map(|(shown, user)| (shown.to_owned(), user)));
        rpc.client.nats.connect = "ws://a".to_owned();
        assert!(Settings::new(&rpc).addresses().is_err_and(|e| e.message().contains("WebSocket")));
    }
}
