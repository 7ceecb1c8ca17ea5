//! The stores of groups against their contract.

#[expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking, too")]
mod suite;

use std::sync::Arc;
use std::time::Duration;

use pitaya_runtime::groups::memory::MemoryGroups;

#[tokio::test(start_paused = true)]
async fn groups_in_memory() {
    suite::check(&MemoryGroups::new(), Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_in_memory_from_many_tasks() {
    suite::check_races(Arc::new(MemoryGroups::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_in_memory_from_many_tasks() {
    suite::check_sessions_race(Arc::new(MemoryGroups::new())).await;
}
