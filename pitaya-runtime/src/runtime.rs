//! The threads of a server.

use tokio::runtime::Builder;

/// Every so many tasks a worker takes one from the queue of all: every second. Less would starve that queue, as tokio's own
/// choice does; more, the worker's.
const SHARED: u32 = 2;

/// A runtime for a server: what `#[tokio::main]` makes, but fair to all clients when there are too many.
///
/// A worker of tokio's has 256 places for tasks that are ready; what exceeds them goes to a queue of all workers, of which
/// a busy worker takes one task in about ten. With more ready clients than places, most wait there while the others are
/// served again and again: the median is as good as ever, and the slowest per cent waits ten times as long. Here a worker
/// takes from either queue in turn. It costs up to a tenth of the CPU, and only while that queue is not empty: with so many
/// clients served at once that each of them finds caches cold.
///
/// Workers are as many as the machine has cores, or `TOKIO_WORKER_THREADS`. Whatever else is to be set can be set.
///
/// ```no_run
/// use pitaya_runtime::prelude::*;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     pitaya_runtime::runtime().build()?.block_on(async {
///         let app = Builder::new("game").acceptor(Tcp::bind("0.0.0.0:3250")).build()?;
///         Ok(app.run().await?)
///     })
/// }
/// ```
#[must_use]
pub fn runtime() -> Builder {
    let mut runtime = Builder::new_multi_thread();
    runtime.enable_all().global_queue_interval(SHARED);
    runtime
}
