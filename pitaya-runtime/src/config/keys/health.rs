//! The keys of what an orchestrator asks. Go has none of them.

use std::time::Duration;

use super::{secs, section};

section! {
    /// `pitaya.health`: what an orchestrator asks, over HTTP on the port of the metrics, `pitaya.metrics.prometheus.port`.
    "pitaya.health" Health {
        /// Whether `/livez`, `/healthz` and `/readyz` are served, also where no metrics are.
        enabled: bool = false,
        /// Time in which whoever asks there, or for metrics, has to send a request.
        deadline: Duration = secs(1),
        prestop: PreStop,
    }
}

section! {
    /// `pitaya.health.prestop`: the drain that an orchestrator begins before it ends the process.
    "pitaya.health.prestop" PreStop {
        /// Whether `/pre-stop` is served: it drains, and answers when that is done. Whoever reaches the port can ask for it.
        enabled: bool = false,
        /// How long clients are still let in after `/pre-stop` has made `/readyz` say no: load balancers take so long to
        /// learn of it.
        delay: Duration = secs(5),
    }
}
