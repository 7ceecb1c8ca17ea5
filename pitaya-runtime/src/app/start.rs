//! Start of an app: its steps, in order.

use super::{Admin, App, Inner, Start, StartError};
use crate::accept::{Bound, Listen};
use crate::cluster::Calls;
use pitaya_core::AppEvent;
use pitaya_core::cluster::{Callee, ServerInfo};
use pitaya_core::registry::Moment;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Time between two log lines about a start that takes long.
const TOLD: Duration = Duration::from_secs(5);

impl App {
    pub(super) async fn start_with(&self, start: Start) -> Result<(), StartError> {
        for warning in &start.warnings {
            tracing::warn!("{warning}");
        }
        let server = &self.0.server;
        let Inner { groups, timers, rpc, metrics, .. } = &*self.0;
        self.0.step.enter("the address of StatsD");
        metrics.open().await;
        let state = start.state.with(self.clone()).with(groups.clone()).with(timers.clone()).with(rpc.clone());
        let state = state.with(metrics.clone());
        let state = Arc::new(state);
        *server.state.lock() = state.clone();
        let (stopping, sweeper) = (server.stopping.clone(), start.sweeper);
        server.tasks.spawn(async move {
            let _ = stopping.run_until_cancelled(sweeper).await;
        });
        let (stopping, metrics) = (server.stopping.clone(), metrics.clone());
        server.tasks.spawn(async move {
            let _ = stopping.run_until_cancelled(metrics.run()).await;
        });
        if server.cluster.unique {
            let (stopping, logins) = (server.stopping.clone(), server.logins.clone());
            server.tasks.spawn(async move {
                let _ = stopping.run_until_cancelled(logins.watch()).await;
            });
        }
        let event = AppEvent { state };
        let started = tokio::select! {
            biased;
            started = self.start_all(start.acceptors, start.admin, &event) => started,
            () = self.0.stop.cancelled() => {
                let step = self.0.step.name();
                tracing::warn!(step, "start interrupted");
                Err(StartError::Interrupted { step })
            }
            // It never ends.
            () = self.tell_of_the_start() => Ok(()),
        };
        if started.is_err() {
            self.0.stop.cancel();
            self.finish().await;
        } else {
            let app = self.clone();
            tokio::spawn(async move {
                app.0.stop.cancelled().await;
                app.finish().await;
            });
        }
        started
    }

    /// Logs what is waited for while the start takes long, without end.
    async fn tell_of_the_start(&self) {
        let began = Instant::now();
        loop {
            sleep(TOLD).await;
            tracing::info!(step = self.0.step.name(), after = ?began.elapsed(), "start waits");
        }
    }

    async fn start_all(
        &self,
        acceptors: Vec<Box<dyn Listen>>,
        admin: Admin,
        event: &AppEvent,
    ) -> Result<(), StartError> {
        let server = &self.0.server;
        let (cluster, step) = (&server.cluster, &self.0.step);
        step.enter("the admin port");
        self.open_admin(admin).await?;
        // Bound first, so that a busy port is known before anything has been done; accepting comes last.
        let mut bound: Vec<Box<dyn Bound>> = Vec::new();
        for acceptor in acceptors {
            let name = acceptor.name();
            step.enter(name.clone());
            let ready = acceptor.bind().await.map_err(|source| StartError::Bind { acceptor: name, source })?;
            bound.push(ready);
        }
        // Components may call others as soon as they start.
        let calls: Arc<dyn Callee> = Arc::new(Calls::new(server.clone()));
        *self.0.calls.lock() = Some(calls.clone());
        step.enter("the transport between servers");
        let joined = cluster.transport.start(cluster.own.clone(), calls).await;
        joined.map_err(|e| StartError::Cluster(e.with_causes().to_owned()))?;
        step.enter("discovery");
        cluster.discovery.watch(cluster.servers.clone()).await?;
        let watching = server.clone();
        server.tasks.spawn(async move {
            let watch = watching.cluster.watch_servers();
            let _ = watching.stopping.run_until_cancelled(watch).await;
        });
        if cluster.own.frontend {
            cluster.report_user_publishers().await;
            let watching = server.clone();
            server.tasks.spawn(async move {
                let watch = watching.cluster.watch_user_publishers();
                let _ = watching.stopping.run_until_cancelled(watch).await;
            });
        }
        let modules = self.modules();
        for moment in [Moment::Init, Moment::AfterInit] {
            modules.start(moment, self, |name| step.enter(format!("{moment:?} of the module `{name}`"))).await?;
            let started = server.registry.app(moment, event, |name| step.enter(format!("{moment:?} of {name}"))).await;
            started.map_err(|e| StartError::Component(e.message().to_owned()))?;
        }
        for acceptor in &mut bound {
            let name = format!("{}://{}", acceptor.protocol(), acceptor.address());
            acceptor.listen().map_err(|source| StartError::Bind { acceptor: name, source })?;
        }
        // Last: whoever sees this server may call it.
        step.enter("discovery to announce it");
        cluster.discovery.announce(ServerInfo::clone(&cluster.own)).await?;
        *self.0.addresses.lock() = bound.iter().map(|acceptor| acceptor.address()).collect();
        for acceptor in bound {
            tracing::info!("listening on {}://{}", acceptor.protocol(), acceptor.address());
            server.tasks.spawn(acceptor.run(server.clone(), self.0.admission.clone()));
        }
        self.0.running.store(true, SeqCst);
        let watching = server.clone();
        server.tasks.spawn(async move {
            let watch = watching.reloads.watch(&watching.counters);
            let _ = watching.stopping.run_until_cancelled(watch).await;
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::accept::Tcp;
    use crate::builder::Builder;
    use crate::config::Config;

    #[test]
    fn warnings_of_the_config_are_logged_at_the_start() {
        let environment = [("PITAYA_HEARTBEAT_INTERVALL".to_owned(), "5s".to_owned())];
        let loaded = Config::from_sources(None, environment).unwrap();
        let text = loaded.warnings[0].to_string();
        let build = |builder: Builder| builder.acceptor(Tcp::bind("127.0.0.1:0")).build().unwrap();
        let warned = |app: super::App| app.0.start.lock().take().unwrap().warnings.contains(&text);
        assert!(warned(build(Builder::new("game").config(loaded.clone()))));
        assert!(!warned(build(Builder::new("game").config(loaded.config))));
    }
}
