//! Connections to the admin port that may be ended for newer ones.

use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// Connections that are asking, or taking a short answer, oldest first. A probe needs its place for a moment only. Beyond
/// `most` the oldest connection of the address that has most of them is ended: a crowd at one address is in nobody's way but
/// its own.
#[derive(Debug)]
pub(super) struct Visitors {
    most: usize,
    all: Mutex<VecDeque<Visitor>>,
}

#[derive(Debug)]
struct Visitor {
    number: u64,
    address: IpAddr,
    task: AbortHandle,
}

/// A connection among them. It stays until this is dropped.
#[derive(Debug)]
pub(super) struct Visit {
    visitors: Arc<Visitors>,
    number: u64,
}

impl Visitors {
    pub(super) fn new(most: usize) -> Self {
        Self { most, all: Mutex::default() }
    }

    /// Makes the ticket of the connection with this number, which is counted on and on.
    pub(super) fn visit(self: &Arc<Self>, number: u64) -> Visit {
        Visit { visitors: self.clone(), number }
    }

    /// Takes in the task of a connection, in the place of another one where there are as many as may be.
    pub(super) fn enter(&self, number: u64, address: IpAddr, task: AbortHandle) {
        let mut all = self.all.lock();
        // One that was over before it came here has nobody to take it off.
        if !task.is_finished() {
            all.push_back(Visitor { number, address, task });
        }
        if all.len() > self.most {
            end_one(&mut all);
        }
    }

    /// Ends one. False when there is none.
    pub(super) fn end_one(&self) -> bool {
        end_one(&mut self.all.lock())
    }
}

fn end_one(all: &mut VecDeque<Visitor>) -> bool {
    let mut counts: HashMap<IpAddr, usize> = HashMap::new();
    all.iter().for_each(|visitor| *counts.entry(visitor.address).or_default() += 1);
    let most = counts.values().max().copied();
    let place = all.iter().position(|visitor| counts.get(&visitor.address).copied() == most);
    let ended = place.and_then(|place| all.remove(place));
    ended.map(|visitor| visitor.task.abort()).is_some()
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut all = self.visitors.all.lock();
        if let Some(place) = all.iter().position(|visitor| visitor.number == self.number) {
            all.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_crowd_is_in_nobodys_way_but_its_own() {
        let visitors = Arc::new(Visitors::new(3));
        let mut tasks = Vec::new();
        for (number, address) in ["10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.3", "10.0.0.2"].into_iter().enumerate() {
            let visit = visitors.visit(number as u64);
            let task = tokio::spawn(async move {
                let _visit = visit;
                std::future::pending::<()>().await;
            });
            visitors.enter(number as u64, address.parse().unwrap(), task.abort_handle());
            tasks.push(task);
        }
        let mut ended = Vec::new();
        for (number, task) in tasks.iter_mut().enumerate() {
            if number == 1 || number == 2 {
                assert!(task.await.unwrap_err().is_cancelled());
                ended.push(number);
            }
        }
        assert_eq!(ended, [1, 2]);
        assert!(tasks.iter().enumerate().all(|(number, task)| ended.contains(&number) || !task.is_finished()));
        assert!(visitors.end_one() && visitors.end_one() && visitors.end_one() && !visitors.end_one());
    }
}
