//! How long the answer to a forwarded message may take, of routes that take another time than most.

use pitaya_core::cluster::ServerInfo;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// The configured time-outs, by route. They win over what servers say of their own methods.
#[derive(Debug, Default)]
pub(crate) struct RouteTimeouts {
    routes: HashMap<String, Duration>,
    /// Of names that end with `.*`: what stands before the `*`, the longest first.
    prefixes: Vec<(String, Duration)>,
}

impl RouteTimeouts {
    pub(crate) fn new(configured: &BTreeMap<String, Duration>) -> Self {
        let mut timeouts = Self::default();
        for (name, time) in configured {
            match name.strip_suffix('*').filter(|prefix| prefix.ends_with('.')) {
                Some(prefix) => timeouts.prefixes.push((prefix.to_owned(), *time)),
                None => drop(timeouts.routes.insert(name.clone(), *time)),
            }
        }
        timeouts.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        timeouts
    }

    /// That of a route, `type.service.method`, at this server; `None` where it is as for most.
    pub(crate) fn of(&self, to: &ServerInfo, route: &str) -> Option<Duration> {
        let by_prefix = || self.prefixes.iter().find(|(prefix, _)| route.starts_with(prefix)).map(|(_, time)| *time);
        self.routes.get(route).copied().or_else(by_prefix).or_else(|| to.route_timeout(route))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_name_counts_and_the_server_is_asked_last() {
        let seconds = Duration::from_secs;
        let configured = [("room.match.find", 1), ("room.match.*", 2), ("room.*", 3)];
        let configured = configured.map(|(name, time)| (name.to_owned(), seconds(time))).into();
        let mut to = ServerInfo::new("room", "r1", false);
        to.announce_timeouts([("match.find", seconds(60)), ("match.list", seconds(60))]);
        let configured = RouteTimeouts::new(&configured);
        let times = ["room.match.find", "room.match.list", "room.chat.say"].map(|route| configured.of(&to, route));
        assert_eq!(times, [Some(seconds(1)), Some(seconds(2)), Some(seconds(3))]);
        let none = RouteTimeouts::default();
        let times = ["room.match.find", "room.chat.say"].map(|route| none.of(&to, route));
        assert_eq!(times, [Some(seconds(60)), None]);
    }
}
