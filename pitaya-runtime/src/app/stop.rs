//! How an app comes to its end: asked by a signal or from code, drained or not, always in the same order.

use super::busy::Busy;
use super::{App, Inner, StartError};
use crate::shutdown::{Signal, Signals};
use pitaya_core::registry::Moment;
use pitaya_core::{AppEvent, CloseReason};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Upper bound of the time between two log lines about a stop that takes long.
const TOLD: Duration = Duration::from_secs(5);
/// Time within which connections say what they wait for, and lower bound of [`TOLD`] where a stop has little time.
const BRIEF: Duration = Duration::from_millis(50);

impl App {
    /// Starts, runs until [`shutdown`](Self::shutdown) is called or the process is asked to end, and stops in order: see
    /// [`stop_on_signal`](Self::stop_on_signal).
    ///
    /// # Errors
    /// As for [`start`](Self::start); [`StartError::Interrupted`] when it is asked to end before it has started.
    pub async fn run(&self) -> Result<(), StartError> {
        self.run_with(self.stop_on_signal()).await
    }

    /// Like [`run`](Self::run), with any future in place of the first signal. It does not drain.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn run_until(&self, end: impl Future<Output = ()>) -> Result<(), StartError> {
        self.run_with(async {
            tokio::select! {
                biased;
                () = self.0.stop.cancelled() => {}
                () = end => {}
            }
            self.stop_or_signal(&mut Signals::listen_further()).await;
        })
        .await
    }

    async fn run_with(&self, stop: impl Future<Output = ()>) -> Result<(), StartError> {
        let (mut started, mut stop) = (pin!(self.start()), pin!(stop));
        tokio::select! {
            // A failed start stops the app, and so ends `stop` as well: its error must be seen first.
            biased;
            started = &mut started => started?,
            () = &mut stop => {
                // Asked to end before it has started: that ends the start, and what had begun is stopped in order. Its task
                // ends right after the app has stopped. Where the app has not stopped, somebody asked twice, and nothing is
                // waited for.
                return match self.0.stopped.is_cancelled() {
                    true => started.await,
                    false => Err(StartError::Interrupted { step: self.0.step.name() }),
                };
            }
        }
        stop.await;
        Ok(())
    }

    /// Listens for the signals that ask the process to end, from this call on; what it returns ends when the app has
    /// stopped, by a signal or by [`shutdown`](Self::shutdown). For programs that have something to do between the start
    /// and the end; others [`run`](Self::run).
    ///
    /// SIGINT, SIGQUIT and SIGTERM shut down. SIGTERM, which has time, first [`drain`](Self::drain)s if
    /// `pitaya.session.drain.enabled` says so; another signal ends the drain. One during the shutdown ends it at once: hooks
    /// that have not run do not run. One during the start ends the start, and what had started is stopped.
    /// Signals of one kind within a second count as one.
    ///
    /// ```no_run
    /// # use pitaya_runtime::prelude::*;
    /// # async fn play(app: App) -> Result<(), Box<dyn std::error::Error>> {
    /// app.start().await?;
    /// let stopped = app.stop_on_signal();
    /// println!("ready on {:?}", app.addresses());
    /// stopped.await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn stop_on_signal(&self) -> impl Future<Output = ()> + Send + use<> {
        let (app, mut signals) = (self.clone(), Signals::listen());
        async move {
            let signal = tokio::select! {
                biased;
                () = app.0.stop.cancelled() => None,
                signal = signals.next() => Some(signal),
            };
            let drains = app.0.server.settings.drain.enabled && app.0.running.load(SeqCst);
            if signal == Some(Signal::Terminate) && drains {
                tokio::select! {
                    // Before the end of the drain, or a signal that came with it would cut the shutdown short instead.
                    biased;
                    _ = signals.next() => tracing::warn!("asked to end again: not waiting for the sessions left"),
                    _ = app.drain() => {}
                }
            }
            app.stop_or_signal(&mut signals).await;
        }
    }

    async fn stop_or_signal(&self, signals: &mut Signals) {
        tokio::select! {
            biased;
            () = self.shutdown() => {}
            _ = signals.next() => tracing::warn!("asked to end again: not waiting any longer"),
        }
    }

    /// Waits until the sessions have ended by themselves and no module has anything [in progress], for at most
    /// `pitaya.session.drain.timeout`, and says how many sessions are left then; how many there are is logged every
    /// `pitaya.session.drain.period`. A [`shutdown`](Self::shutdown) ends the wait. There is one drain: further calls wait for
    /// the same.
    ///
    /// New clients are not let in from now on, unless `pitaya.session.drain.accept` says so: they find another server, and
    /// this one gets empty. It stays in discovery all the while: other servers must reach the sessions that are still here,
    /// and what a backend keeps for its players in memory has moved nowhere. A backend has no sessions of its own: its drain
    /// is over at once, unless a module has something in progress.
    ///
    /// [in progress]: crate::Module::in_progress
    pub async fn drain(&self) -> usize {
        let Inner { server, stop, .. } = &*self.0;
        let (drain, modules) = (&server.settings.drain, self.modules());
        self.0.leaving.store(true, SeqCst);
        let mut first = false;
        let begun = *self.0.draining.get_or_init(|| {
            first = true;
            Instant::now()
        });
        let end = begun + drain.timeout;
        if !drain.accept {
            server.accepting.cancel();
        }
        if first {
            modules.draining(self);
        }
        let mut look = Instant::now();
        loop {
            let emptied = server.sessions.emptied();
            let left = server.sessions.count();
            let all = left.max(modules.in_progress());
            let now = Instant::now();
            if all == 0 || now >= end || stop.is_cancelled() {
                match all {
                    0 => tracing::info!("drained: nobody left after {:.1?}", begun.elapsed()),
                    _ => tracing::warn!("the drain is over: {all} sessions left after {:.1?}", begun.elapsed()),
                }
                return left;
            }
            if now >= look {
                tracing::info!("draining: {all} sessions left, {:.1?} since it began", begun.elapsed());
                look = now + drain.period;
            }
            tokio::select! {
                () = emptied => {}
                () = sleep_until(look.min(end)) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Stops in order, without a [`drain`](Self::drain), and returns when it is done; further calls wait for the same:
    ///
    /// 1. It leaves discovery, so that nobody sends it anything new; what was sent before others knew is still taken, for
    ///    `pitaya.cluster.sd.etcd.shutdown.delay`. Meanwhile no clients are let in and no timer begins.
    /// 2. What clients and other servers have sent is finished and answered, for at most
    ///    `pitaya.limits.shutdown.timeout`. A session is closed when its answers are written.
    /// 3. The `before_shutdown` of the components and then of the modules runs, then their `shutdown`, each in reverse order,
    ///    of those whose `init` has completed.
    ///    All components together and every module have that time again for each of the two.
    /// 4. It leaves the transport, when everything is sent.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        if self.0.start.lock().take().is_some() {
            // Never started: nothing to wait for.
            self.0.stopped.cancel();
        }
        self.stopped().await;
    }

    /// Ends when the app has stopped.
    pub async fn stopped(&self) {
        self.0.stopped.cancelled().await;
    }

    /// Stops what has started. While it takes long the log says what is waited for.
    pub(super) async fn finish(&self) {
        let Inner { server, timers, running, .. } = &*self.0;
        let limit = server.settings.shutdown;
        if running.load(SeqCst) {
            let (sessions, timers) = (server.sessions.count(), timers.running().len());
            tracing::info!(sessions, timers, timeout = ?limit, "shutdown begins");
        }
        tokio::select! {
            biased;
            () = self.finish_all(limit) => {}
            // It never ends.
            () = self.tell_of_the_stop((limit / 3).clamp(BRIEF, TOLD)) => {}
        }
        self.0.stopped.cancel();
    }

    /// Logs what is waited for while the stop takes long, without end.
    async fn tell_of_the_stop(&self, every: Duration) {
        let began = Instant::now();
        loop {
            sleep(every).await;
            let busy = self.busy().await;
            tracing::info!(step = self.0.step.name(), busy, after = ?began.elapsed(), "shutdown waits");
        }
    }

    /// Describes what is in progress, after each connection that waits for a handler has noted it.
    async fn busy(&self) -> String {
        let server = &self.0.server;
        server.pending.clear();
        for session in server.sessions.all() {
            // A second reason is not taken; the connection wakes.
            session.close_for(CloseReason::Shutdown);
        }
        sleep(BRIEF).await;
        Busy::of(self).report(&server.pending.by_route(&server.names), 0)
    }

    async fn finish_all(&self, limit: Duration) {
        let server = &self.0.server;
        let cluster = &server.cluster;
        self.bounded("leaving discovery", limit, cluster.discovery.withdraw()).await;
        server.stopping.cancel();
        for session in server.sessions.all() {
            session.close_for(CloseReason::Shutdown);
        }
        if cluster.servers.all().iter().any(|other| other.id != server.id) {
            self.0.step.enter("other servers to learn of it");
            // They learn of it one after the other.
            sleep(server.settings.leave).await;
        }
        self.finish_work(limit).await;
        self.bounded("telling other frontends that no session is left", limit, server.logins.leave()).await;
        self.stop_parts(limit).await;
        self.bounded("ending discovery", limit, cluster.discovery.stop()).await;
        self.bounded("sending what is left to other servers", limit, cluster.transport.stop()).await;
        // What still runs for other servers has nobody left to answer to.
        server.aborting.cancel();
        self.bounded("exporting the last traces", limit, server.tracer.finish()).await;
        *self.0.calls.lock() = None;
        self.0.metrics.finish();
        // They hold this very app.
        let (state, modules) = (std::mem::take(&mut *server.state.lock()), std::mem::take(&mut *self.0.modules.lock()));
        drop((state, modules));
        drop(self.0.admin.lock().take());
    }

    /// Waits for what is in progress, until its time is up.
    async fn finish_work(&self, limit: Duration) {
        let Inner { server, timers, .. } = &*self.0;
        let transport = &server.cluster.transport;
        self.0.step.enter("what is in progress");
        server.tasks.close();
        let busy = async {
            // Calls are taken for as long as anything is in progress: its backends have to reach its sessions.
            tokio::join!(timers.stopped(), server.tasks.wait());
            transport.stop_taking().await;
            // What came while they ended.
            server.tasks.wait().await;
        };
        if timeout(limit, busy).await.is_err() {
            let busy = Busy::of(self);
            timers.abort();
            server.aborting.cancel();
            for session in server.sessions.all() {
                // A second reason is not taken; the connection wakes and sees that time is up.
                session.close_for(CloseReason::Shutdown);
            }
            let _ = timeout(Duration::from_secs(1), server.tasks.wait()).await;
            // What was cut off has said so by now.
            let busy = busy.report(&server.cut_off.by_route(), server.tasks.len());
            tracing::warn!("still busy after {limit:?}: {busy}");
            self.bounded("taking no more calls", limit, transport.stop_taking()).await;
        }
    }

    /// Stops the components and the modules, in the reverse order of their start.
    async fn stop_parts(&self, limit: Duration) {
        let (server, modules) = (&self.0.server, self.modules());
        let (event, step) = (AppEvent { state: server.state() }, &self.0.step);
        for moment in [Moment::BeforeShutdown, Moment::Shutdown] {
            let hooks = server.registry.app(moment, &event, |name| step.enter(format!("{moment:?} of {name}")));
            match timeout(limit, hooks).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => tracing::error!("{e}"),
                Err(_) => {
                    let step = step.name();
                    tracing::error!("{step} was not done after {limit:?}: not waiting any longer");
                }
            }
            let begins = |name: &str| step.enter(format!("{moment:?} of the module `{name}`"));
            modules.stop(moment, self, limit, begins).await;
        }
    }

    /// No service that does not answer keeps the app from stopping.
    async fn bounded(&self, what: &'static str, limit: Duration, step: impl Future<Output = ()>) {
        self.0.step.enter(what);
        if timeout(limit, step).await.is_err() {
            tracing::warn!("{what} was not done after {limit:?}: not waiting any longer");
        }
    }
}
