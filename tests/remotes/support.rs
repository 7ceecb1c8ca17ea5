//! Servers of one process, each with its type.

use pitaya_runtime::prelude::*;

/// A server of this type in the cluster, started.
pub(crate) async fn server(cluster: &LocalCluster, builder: Builder) -> App {
    let app = builder.local_cluster(cluster).build().expect("a valid app");
    app.start().await.expect("it starts");
    app
}

/// Code, text and metadata in one line.
pub(crate) fn shown<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.expect_err("an error");
    let pairs = error.metadata().into_iter().flatten().map(|(key, value)| format!(" {key}={value}"));
    format!("{error}{}", pairs.collect::<String>())
}
