//! How many may come in: in all, from one address, in one second.

use super::Refused;
use crate::bucket::{Bucket, Refill};
use crate::config::Network;
use crate::counters::{Counters, count};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::time::Instant;

/// The limits of one app over all its acceptors.
#[derive(Debug)]
pub(crate) struct Admission {
    total: usize,
    per_address: usize,
    /// Whose own address counts for nothing: they come for many.
    proxies: Vec<Network>,
    live: AtomicUsize,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    rate: Option<(Refill, Mutex<Bucket>)>,
}

/// A place taken by a connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
}

impl Admission {
    /// 0 turns a limit off.
    pub(crate) fn new(total: usize, per_address: usize, rate: usize, burst: usize, proxies: Vec<Network>) -> Self {
        let refill = Refill { per_second: rate as f64, burst: burst.max(1) as f64 };
        Self {
            total,
            per_address,
            proxies,
            live: AtomicUsize::new(0),
            addresses: Mutex::default(),
            rate: (rate > 0).then(|| (refill, Mutex::new(Bucket::full(refill, Instant::now())))),
        }
    }

    /// All places are taken.
    pub(crate) fn is_full(&self) -> bool {
        self.total > 0 && self.live.load(Relaxed) >= self.total
    }

    /// Takes a place, or counts and says why there is none.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr, counters: &Counters) -> Result<Admitted, Refused> {
        count(&counters.accepted);
        if self.rate.as_ref().is_some_and(|(refill, bucket)| !bucket.lock().take(*refill, Instant::now())) {
            count(&counters.refused_rate);
            return Err(Refused::Rate);
        }
        if self.live.fetch_add(1, Relaxed) >= self.total && self.total > 0 {
            self.live.fetch_sub(1, Relaxed);
            count(&counters.refused_total);
            return Err(Refused::Total);
        }
        let mut admitted = Admitted { admission: self.clone(), address: None };
        if admitted.comes_from(address, counters) { Ok(admitted) } else { Err(Refused::PerAddress) }
    }

    fn give_back(&self, address: IpAddr) {
        let mut addresses = self.addresses.lock();
        if let Some(live) = addresses.get_mut(&address) {
            *live -= 1;
            if *live == 0 {
                addresses.remove(&address);
            }
        }
    }
}

impl Admitted {
    /// Counts the connection for this address, and no longer for the one before it. False, and counted, when the address
    /// has as many as it may. A trusted proxy may have any number: its clients are counted once it has named them.
    pub(crate) fn comes_from(&mut self, address: IpAddr, counters: &Counters) -> bool {
        let admission = &self.admission;
        if admission.per_address == 0 {
            return true;
        }
        if let Some(before) = self.address.take() {
            admission.give_back(before);
        }
        if admission.proxies.iter().any(|network| network.contains(address)) {
            return true;
        }
        let address = network(address);
        let mut addresses = admission.addresses.lock();
        let live = addresses.entry(address).or_default();
        if *live >= admission.per_address {
            drop(addresses);
            count(&counters.refused_address);
            return false;
        }
        *live += 1;
        self.address = Some(address);
        true
    }
}

/// One customer of an IPv6 provider has a /64: that is what counts as an address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.live.fetch_sub(1, Relaxed);
        if let Some(address) = self.address {
            self.admission.give_back(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn places_are_counted_and_given_back() {
        let (admission, counters) = (Arc::new(Admission::new(3, 2, 0, 0, Vec::new())), Counters::default());
        let admit = |address| admission.admit(ip(address), &counters);
        let (a, _b) = (admit("10.0.0.1").unwrap(), admit("::ffff:10.0.0.1").unwrap());
        assert!(admit("10.0.0.1").is_err());
        let _c = admit("2001:db8::1").unwrap();
        assert!(admit("10.0.0.2").is_err());
        drop(a);
        let _d = admit("10.0.0.1").unwrap();
        let counts = counters.read();
        assert_eq!((counts.accepted, counts.refused_address, counts.refused_total), (6, 1, 1));
    }

    #[tokio::test]
    async fn a_prefix_of_64_bits_is_one_address() {
        let (admission, counters) = (Arc::new(Admission::new(0, 1, 0, 0, Vec::new())), Counters::default());
        let _a = admission.admit(ip("2001:db8:1:2::1"), &counters).unwrap();
        assert!(admission.admit(ip("2001:db8:1:2:9::1"), &counters).is_err());
        assert!(admission.admit(ip("2001:db8:1:3::1"), &counters).is_ok());
    }

    #[tokio::test]
    async fn those_behind_a_proxy_are_counted_by_their_own_address() {
        let admission = Arc::new(Admission::new(0, 1, 0, 0, vec!["10.0.0.0/8".parse().unwrap()]));
        let counters = Counters::default();
        let behind = |address| {
            let mut admitted = admission.admit(ip("10.0.0.1"), &counters).unwrap();
            admitted.comes_from(ip(address), &counters).then_some(admitted)
        };
        let a = behind("192.0.2.1").unwrap();
        assert!(behind("192.0.2.1").is_none());
        let _b = behind("192.0.2.2").unwrap();
        assert!(admission.admit(ip("192.0.2.1"), &counters).is_err(), "it is one address, whichever way it comes");
        let (_c, _d) = (behind("10.0.0.1").unwrap(), behind("10.0.0.1").unwrap());
        drop(a);
        let mut a = behind("192.0.2.1").unwrap();
        assert!(!a.comes_from(ip("192.0.2.2"), &counters));
        drop(a);
        assert!(behind("192.0.2.1").is_some(), "a refused change gives the place back, once");
        assert_eq!(counters.read().refused_address, 3);
        assert_eq!(admission.live.load(Relaxed), 4 - 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_allows_a_burst_and_refills() {
        let (admission, counters) = (Arc::new(Admission::new(0, 0, 10, 2, Vec::new())), Counters::default());
        let admits = || admission.admit(ip("::1"), &counters).is_ok();
        assert!(admits() && admits() && !admits());
        tokio::time::advance(Duration::from_millis(101)).await;
        assert!(admits() && !admits());
        assert_eq!(counters.read().refused_rate, 2);
    }
}
