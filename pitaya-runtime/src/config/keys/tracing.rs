//! The keys of what is written of single messages: traces, and the log.

use super::section;

section! {
    /// `pitaya.tracing`: traces in OpenTelemetry, exported by OTLP over gRPC (cargo feature `otel`). See `docs/tracing.md`.
    "pitaya.tracing" Tracing {
        /// Whether messages and calls are traced. `OTEL_SDK_DISABLED=true` in the environment is against it, as for all of
        /// OpenTelemetry.
        #[go = "is switched on by a call, `tracing.InitializeOtel`, and set by `OTEL_*` alone."]
        enabled: bool = false,
        /// The collector, as `http://host:port`. Empty: what `OTEL_EXPORTER_OTLP_ENDPOINT` says, or `http://localhost:4317`.
        #[redacted = "logins"]
        endpoint: String = String::new(),
        /// The share of clients' messages, and of calls that belong to no trace yet, whose traces are recorded, from 0 to 1.
        /// Decided once, where a trace begins. 1 leaves it to `OTEL_TRACES_SAMPLER`, which records all if it is not set.
        ratio: f64 = 1.0,
        /// The name of the service in traces. Empty: what `OTEL_SERVICE_NAME` says, or the server type.
        service: String = String::new(),
    }
}

section! {
    /// `pitaya.log`: the log of a program that has it set up by `pitaya_runtime::logs` (cargo feature `logs`). See `docs/logs.md`.
    "pitaya.log" Log {
        /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or more exactly, `warn,pitaya_runtime=debug`. `RUST_LOG`
        /// in the environment goes before it.
        #[go = "logs everything from `debug` on."]
        level: String = "info".to_owned(),
    }
}
