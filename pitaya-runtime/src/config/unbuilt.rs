//! Keys that load, so that a file of Go's does, and whose part of the framework is not built yet.

use super::Config;

impl Config {
    /// Sections that are set and do nothing yet, for the log: nothing is passed over in silence.
    #[must_use]
    pub fn unbuilt(&self) -> Vec<&'static str> {
        let default = Self::default();
        let set = [
            (self.defaultpipelines != default.defaultpipelines, "pitaya.defaultpipelines (add the `Validation` step)"),
            (self.cluster.rpc.client.grpc != default.cluster.rpc.client.grpc, "pitaya.cluster.rpc.client.grpc"),
            (self.cluster.rpc.server.grpc != default.cluster.rpc.server.grpc, "pitaya.cluster.rpc.server.grpc"),
            (self.cluster.info != default.cluster.info, "pitaya.cluster.info"),
            (self.modules != default.modules, "pitaya.modules"),
            (self.worker != default.worker, "pitaya.worker"),
        ];
        set.into_iter().filter(|(set, _)| *set).map(|(_, section)| section).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_told() {
        let mut config = Config::default();
        assert_eq!(config.unbuilt(), [""; 0]);
        config.worker.concurrency = 2;
        config.cluster.info.region = "eu".to_owned();
        assert_eq!(config.unbuilt(), ["pitaya.cluster.info", "pitaya.worker"]);
    }
}
