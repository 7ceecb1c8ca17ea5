//! Where calls between servers go.

mod local;
#[cfg(feature = "nats")]
pub mod nats;
mod serve;

pub use local::LocalCluster;
pub use pitaya_core::cluster::*;
