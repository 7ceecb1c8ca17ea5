//! Addresses behind a server's name, in the order in which they are tried.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::lookup_host;

use crate::address::Address;
use crate::error::ConnectError;

/// Number of addresses that share the time that is left: each one gets at least a quarter of it.
const SHARES: usize = 4;

/// The way to a server. A name with several addresses is resolved for each attempt, and an attempt begins behind the
/// address that was tried last, so that one that accepts connections and serves nobody is passed over.
pub(crate) struct Route {
    pub(crate) address: Address,
    /// Address that was tried last; none before the first attempt.
    pub(crate) last: Option<SocketAddr>,
    /// Addresses that stand in for those of the resolver.
    #[cfg(test)]
    pub(crate) known: Vec<SocketAddr>,
}

impl Route {
    /// Reads an address, without resolving it.
    pub(crate) fn parse(address: &str) -> Result<Self, ConnectError> {
        Ok(Self {
            address: Address::parse(address)?,
            last: None,
            #[cfg(test)]
            known: Vec::new(),
        })
    }

    /// Resolves the name into the addresses of one attempt: at least one, in the resolver's order, the last one tried at
    /// the end.
    pub(crate) async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let mut found = Vec::new();
        for address in self.look_up().await? {
            // Resolvers give an address once for each kind of socket, or once for each line of `hosts`.
            if !found.contains(&address) {
                found.push(address);
            }
        }
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        if let Some(at) = self.last.and_then(|last| found.iter().position(|address| *address == last)) {
            found.rotate_left(at + 1);
        }
        Ok(found)
    }

    async fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        #[cfg(test)]
        if !self.known.is_empty() {
            return Ok(self.known.clone());
        }
        Ok(lookup_host(self.address.target()).await?.collect())
    }
}

/// Share of the time that is `left` for the next of `addresses` that are still to be tried, itself included.
pub(crate) fn share(left: Duration, addresses: usize) -> Duration {
    // At most 4, so it fits.
    left / addresses.clamp(1, SHARES) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 1))
    }

    #[tokio::test]
    async fn an_attempt_begins_behind_the_address_that_was_tried_last() {
        let mut route = Route::parse("tcp://name:1").unwrap();
        route.known = [1, 2, 2, 3, 1].map(address).to_vec();
        for (last, order) in
            [(None, [1, 2, 3]), (Some(1), [2, 3, 1]), (Some(3), [1, 2, 3]), (Some(2), [3, 1, 2]), (Some(9), [1, 2, 3])]
        {
            route.last = last.map(address);
            assert_eq!(route.resolve().await.unwrap(), order.map(address), "{last:?}");
        }
    }

    #[test]
    fn each_address_has_a_share_of_the_time() {
        let seconds = Duration::from_secs;
        for (left, addresses, expected) in [(10, 1, 10), (10, 2, 5), (5, 1, 5), (8, 4, 2), (8, 100, 2)] {
            assert_eq!(share(seconds(left), addresses), seconds(expected));
        }
        assert_eq!(share(Duration::MAX, 0), Duration::MAX);
    }
}
