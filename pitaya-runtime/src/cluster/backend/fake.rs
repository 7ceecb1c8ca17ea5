//! A frontend for the tests of this module, which takes answers and does nothing with them.

use pitaya_core::cluster::{Back, Source};
use pitaya_core::remote::Peer;
use pitaya_core::{Error, KickReason, Result};
use std::sync::Arc;

struct Nowhere;

impl Back for Nowhere {
    fn answer(&self, _: u64, _: Result<&[u8], &Error>) {}

    fn push(&self, _: u64, _: Option<&str>, _: &str, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn kick(&self, _: u64, _: Option<&str>, _: Option<&KickReason>) -> Result<()> {
        Ok(())
    }
}

/// A source of messages, whose answers go nowhere.
pub(super) fn source() -> Arc<Source> {
    let peer = Arc::new(Peer { id: "front".into(), kind: "connector".into() });
    Arc::new(Source::new(peer, Arc::default(), Arc::new(Nowhere)))
}
