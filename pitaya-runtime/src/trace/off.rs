//! What stands in for traces when the feature `otel` is off: nothing, in the same words.

use crate::config::Config;
use pitaya_core::cluster::ServerInfo;
use pitaya_core::remote::{Metadata, Peer};
use pitaya_core::{Error, Result, Session};
use std::sync::Arc;

#[derive(Clone, Default)]
pub(crate) struct Tracer;

/// There is none.
pub(crate) enum Span {}

/// Nor the inside of one.
pub(crate) enum Inside {}

#[derive(Default)]
pub(crate) struct Passing(());

impl Tracer {
    pub(crate) fn configured(config: &Config, _: &ServerInfo) -> Result<Self, String> {
        match config.tracing.enabled {
            true => Err("pitaya.tracing.enabled: build `pitaya-runtime` with its cargo feature `otel`".to_owned()),
            false => Ok(Self),
        }
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        false
    }

    #[inline]
    pub(crate) fn received(&self, _: &Session, _: &str, _: bool) -> Option<Span> {
        None
    }

    #[inline]
    pub(crate) fn served(&self, _: &str, _: &Metadata, _: Option<&Peer>, _: Option<(i64, &[u8])>) -> Option<Span> {
        None
    }

    #[inline]
    pub(crate) fn call(&self, _: &Metadata, _: &ServerInfo, _: &'static str) -> Option<Span> {
        None
    }

    #[inline]
    pub(crate) fn tells(&self, _: &'static str, _: &str) -> Option<Span> {
        None
    }

    pub(crate) fn metadata(&self) -> Metadata {
        Metadata::new()
    }

    #[inline]
    pub(crate) fn mark(&self, metadata: &Arc<Metadata>) -> Arc<Metadata> {
        metadata.clone()
    }

    pub(crate) async fn finish(&self) {}
}

impl Span {
    pub(crate) fn enter(&self) -> Inside {
        match *self {}
    }

    pub(crate) fn metadata(&self, _: &Metadata) -> Metadata {
        match *self {}
    }

    pub(crate) fn end(self, _: Result<(), &Error>) {
        match self {}
    }
}

impl Passing {
    #[inline]
    pub(crate) fn begin(
        &self,
        _: &Tracer,
        _: &Session,
        _: (u64, &str),
        _: &ServerInfo,
        _: &'static str,
    ) -> Option<Metadata> {
        None
    }

    #[inline]
    pub(crate) fn end(&self, _: u64, _: Result<(), &Error>) {}
}
