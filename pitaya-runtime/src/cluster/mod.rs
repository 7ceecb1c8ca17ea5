//! Where calls between servers go.

mod local;
mod serve;

pub use local::LocalCluster;
pub use pitaya_core::cluster::*;
