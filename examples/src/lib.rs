//! Small programs, one idea each: see the folders beside this one.

/// The README's programs compile as they stand.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// So do those about the log.
#[cfg(doctest)]
#[doc = include_str!("../../docs/logs.md")]
pub struct Logs;

/// So do those of the guide to clusters.
#[cfg(doctest)]
#[doc = include_str!("../../docs/cluster.md")]
pub struct Clusters;

/// And those of the page on groups.
#[cfg(doctest)]
#[doc = include_str!("../../docs/groups.md")]
pub struct Groups;

/// And those of what stands before the handlers.
#[cfg(doctest)]
#[doc = include_str!("../../docs/edge.md")]
pub struct Edge;
/// And those of the page on metrics.
#[cfg(doctest)]
#[doc = include_str!("../../docs/metrics.md")]
pub struct Numbers;
