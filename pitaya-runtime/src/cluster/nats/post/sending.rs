//! The task that sends what waits.
//!
//! It waits for a [lull](Lull) after it is woken: everybody who was ready has spoken then, and one system call carries all.

use super::Post;
use super::lull::Lull;
use super::parcel::{Parcel, Tracked};
use crate::cluster::nats::calls::Calls;
use crate::cluster::nats::counters::count;
use crate::cluster::nats::hub::Hub;
use crate::cluster::nats::seal::Sealer;
use async_nats::Client;
use futures_util::SinkExt;
use pitaya_core::cluster::lane;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::Ordering::*;
use std::task::Poll;
use std::time::Instant;

/// With so many bytes to send nobody else is waited for.
const ENOUGH: usize = 16_000;
/// So many go to the library before those behind them are handed on.
const HANDED: usize = 32;

impl Post {
    /// The task that sends. Ends when the connection does.
    pub(in super::super) async fn run(&self, client: &Client, calls: &Calls, hub: &Hub) {
        let (counters, guard, mut sealer) = (&hub.counters, hub.guard.as_deref(), Sealer::default());
        let (mut batch, mut client, mut lull) = (VecDeque::new(), client.clone(), Lull::default());
        loop {
            poll_fn(|cx| {
                self.waker.register(cx.waker());
                if self.awake.load(Acquire) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            lull.pass(ENOUGH, || self.state.lock().bytes).await;
            self.awake.store(false, Release);
            if !self.take(&mut batch) {
                return;
            }
            while !batch.is_empty() {
                let handed = batch.len().min(HANDED);
                if !self.hand(batch.range_mut(..handed), calls) {
                    return;
                }
                for mut parcel in batch.drain(..handed) {
                    if matches!(parcel.tracked, Tracked::Gone) {
                        continue;
                    }
                    if matches!(parcel.tracked, Tracked::Bundle(..) | Tracked::Calls(..)) {
                        count(&counters.bundles);
                    }
                    // Here, so that numbers rise in the order of the messages.
                    if let (Some(guard), Some(purpose)) = (guard, parcel.purpose) {
                        guard.sign(&mut sealer, purpose, &mut parcel.message);
                    }
                    // Waits while the library has enough to do: what comes meanwhile waits here, and is counted. Not by
                    // `publish`: that copies a message ten times on its way.
                    let ready = poll_fn(|cx| client.poll_ready_unpin(cx)).await;
                    if ready.and_then(|()| client.start_send_unpin(parcel.message)).is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Everything that is ready; false when the connection is lost.
    fn take(&self, batch: &mut VecDeque<Parcel>) -> bool {
        let mut state = self.state.lock();
        if state.held {
            return true;
        }
        let stamp = self.stamp(Instant::now());
        for mut open in std::mem::take(&mut state.open) {
            if let Tracked::Bundle(..) = open.tracked {
                lane::stamp(stamp, &mut open.bundle);
            }
            state.finish(open);
        }
        std::mem::swap(batch, &mut state.ready);
        !state.closed
    }

    /// Those who wait for these are told from now on that they may have run; those that must not go are marked. False when
    /// the connection is lost.
    fn hand<'a>(&self, parcels: impl Iterator<Item = &'a mut Parcel>, calls: &Calls) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        let mut calls = calls.handing();
        for parcel in parcels {
            state.bytes = state.bytes.saturating_sub(parcel.cost());
            let message = &mut parcel.message;
            let goes = match &mut parcel.tracked {
                Tracked::No => true,
                Tracked::Call(key) => calls.hand(*key),
                Tracked::Bundle(lane, bundle) => {
                    state.flights.get_mut(*lane as usize).is_some_and(|flight| flight.hand(*bundle))
                }
                Tracked::Calls(lane, members) => calls.hand_all(std::mem::take(members)).is_some_and(|handed| {
                    message.reply = Some(handed.bundle.below(&lane.reply));
                    if !handed.gone.is_empty() {
                        let kept = lane::retain_calls(&message.payload, |number| !handed.gone.contains(&number));
                        message.payload = kept.into();
                    }
                    true
                }),
                Tracked::Gone => false,
            };
            if !goes {
                parcel.tracked = Tracked::Gone;
            }
        }
        true
    }
}
