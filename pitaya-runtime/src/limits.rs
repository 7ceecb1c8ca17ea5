//! How often one session may send messages: in all, and to single routes.

use crate::bucket::{Bucket, Refill};
use crate::config::Rate;
use crate::server::Server;
use pitaya_core::maps::OwnMap;
use pitaya_core::registry::Registry;
use pitaya_core::route::RouteParts;
use pitaya_core::wire::RouteRef;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

/// No limit of its own.
const NONE: u32 = u32::MAX;

/// The limits of one app.
#[derive(Debug)]
pub(crate) struct Limits {
    session: Option<Refill>,
    routes: Box<[Refill]>,
    /// The place in `routes` of each route of this server, by its number.
    here: Box<[u32]>,
    /// Those of other servers, as clients write them.
    elsewhere: OwnMap<Box<[u8]>, u32>,
}

/// What one session has left.
#[derive(Debug)]
pub(crate) struct Spending {
    limits: Arc<Limits>,
    session: Option<Bucket>,
    routes: Box<[Option<Bucket>]>,
    /// The last route and its place: most clients repeat themselves.
    last: (Vec<u8>, u32),
}

impl Limits {
    /// `None` when nothing is limited: then nothing is looked at for a message.
    ///
    /// # Errors
    /// The routes that cannot be limited, and why.
    pub(crate) fn new(
        session: Option<Rate>,
        routes: &BTreeMap<String, Rate>,
        kind: &str,
        registry: &Registry,
    ) -> Result<Option<Arc<Self>>, Vec<String>> {
        if session.is_none() && routes.is_empty() {
            return Ok(None);
        }
        let (mut here, mut elsewhere) = (vec![NONE; registry.entries().len()], OwnMap::default());
        let mut problems = Vec::new();
        for (place, route) in (0..).zip(routes.keys()) {
            match (registry.find(route.as_bytes()), RouteParts::parse(route.as_bytes())) {
                (Some(number), _) if here[number as usize] != NONE => {
                    problems.push(format!("the route `{route}` has two limits, by two names; leave one"));
                }
                (Some(number), _) => here[number as usize] = place,
                (None, Ok(RouteParts { server: Some(server), .. })) if server != kind => {
                    elsewhere.insert(route.as_bytes().into(), place);
                }
                (None, Ok(_)) => problems.push(format!("a limit is set for `{route}`, but nothing is mounted there")),
                (None, Err(_)) => {
                    problems.push(format!("a limit is set for `{}`, which is no route", route.escape_debug()))
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let routes = routes.values().map(|rate| Refill::from(*rate)).collect();
        Ok(Some(Arc::new(Self { session: session.map(Refill::from), routes, here: here.into(), elsewhere })))
    }
}

impl Spending {
    pub(crate) fn new(limits: &Arc<Limits>) -> Self {
        Self {
            session: None,
            routes: vec![None; limits.routes.len()].into(),
            last: (Vec::new(), NONE),
            limits: limits.clone(),
        }
    }

    /// Whether another message may run. What is refused for its route counts for the session all the same.
    pub(crate) fn allows(&mut self, server: &Server, route: Option<RouteRef<'_>>, now: Instant) -> bool {
        if let Some(refill) = self.limits.session
            && !self.session.get_or_insert_with(|| Bucket::full(refill, now)).take(refill, now)
        {
            return false;
        }
        let place = self.place(server, route);
        let (Some(refill), Some(bucket)) =
            (self.limits.routes.get(place as usize), self.routes.get_mut(place as usize))
        else {
            return true;
        };
        bucket.get_or_insert_with(|| Bucket::full(*refill, now)).take(*refill, now)
    }

    fn place(&mut self, server: &Server, route: Option<RouteRef<'_>>) -> u32 {
        if self.limits.routes.is_empty() {
            return NONE;
        }
        let name = match route {
            Some(RouteRef::Name(name)) => name,
            Some(RouteRef::Code(code)) => server.dictionary.route(code).unwrap_or_default().as_bytes(),
            None => b"",
        };
        if *self.last.0 != *name {
            let limits = &self.limits;
            self.last.1 = match server.registry.find(name) {
                Some(number) => limits.here.get(number as usize).copied().unwrap_or(NONE),
                None => limits.elsewhere.get(name).copied().unwrap_or(NONE),
            };
            self.last.0.clear();
            self.last.0.extend_from_slice(name);
        }
        self.last.1
    }
}
