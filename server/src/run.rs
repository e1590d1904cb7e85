//! `marram-server run`: from the configuration to the last commit.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use marram_crypto::{day::Day, manifest::Level};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::Config,
    http::{self, App, Bound},
    log_key,
    published::Published,
    store::{Embedded, Settings, Store},
};

/// How often the server looks whether a new day has begun.
const DAY_CHECK: Duration = Duration::from_mins(10);

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    /// Where it listens, if on TCP.
    pub address: Option<SocketAddr>,
    /// Where `/healthz` is, if on TCP.
    pub health_address: Option<SocketAddr>,
    store: Arc<Embedded>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts a server. When this returns, it answers.
///
/// # Errors
/// Names what is missing or in use, and what to do.
pub async fn start(config: Config, clock: Clock) -> anyhow::Result<Running> {
    let log_key = log_key::read(&log_key::path_in(&config.data_dir))?;
    let settings = Settings {
        segment_bytes: config.store.segment_bytes,
        reserve_bytes: config.store.reserve_bytes,
        ..Settings::default()
    };
    let store_path = config.data_dir.join("store");
    let store = tokio::task::spawn_blocking(move || Embedded::open(&store_path, settings)).await?;
    let store = Arc::new(store.context("the store does not open")?);
    let published = Published::load(store.as_ref(), config.charter_fingerprint, clock.today()).await?;
    let app = Arc::new(App::new(
        Arc::clone(&store) as Arc<dyn Store>,
        clock.clone(),
        &config,
        log_key,
        published,
    ));

    let bound = Bound::bind(&config.listen)
        .await
        .with_context(|| format!("cannot listen on {:?}", config.listen))?;
    let health = Bound::bind(&config.health_listen)
        .await
        .with_context(|| format!("cannot listen on {:?}", config.health_listen))?;
    tracing::info!(listen = bound.describe(), health = health.describe(), "started");
    warn_of_closing(&app, clock.today());

    let stop = CancellationToken::new();
    let (address, health_address) = (bound.tcp(), health.tcp());
    let tasks = vec![
        tokio::spawn(http::serve(
            bound,
            http::routes(Arc::clone(&app)),
            config.limits,
            stop.clone(),
        )),
        tokio::spawn(http::serve(
            health,
            http::health_routes(Arc::clone(&app)),
            config.limits,
            stop.clone(),
        )),
        tokio::spawn(watch_days(app, clock, stop.clone())),
    ];
    Ok(Running {
        address,
        health_address,
        store,
        stop,
        tasks,
    })
}

impl Running {
    /// Stops: no new connections, a bounded time for those under way, the last commit, a clean store.
    ///
    /// # Errors
    /// If the store could not be closed cleanly; what was acknowledged is safe all the same.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        for task in self.tasks {
            drop(task.await);
        }
        self.store.close().await?;
        tracing::info!("stopped");
        Ok(())
    }
}

async fn watch_days(app: Arc<App>, clock: Clock, stop: CancellationToken) {
    let mut day = clock.today();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(DAY_CHECK) => {}
        }
        let today = clock.today();
        if today != day {
            day = today;
            warn_of_closing(&app, today);
        }
    }
}

fn warn_of_closing(app: &App, today: Day) {
    let Some(warning) = app.published().closing_warning(today) else {
        return;
    };
    let days_left = warning.days_left;
    let say = "the keyholders must sign and publish manifests";
    match warning.level {
        Level::Closed => tracing::error!("no signed manifest is valid, nobody can report: {say}"),
        Level::Urgent => tracing::error!(days_left, "the last signed manifest is about to close: {say}"),
        Level::Warning => tracing::warn!(days_left, "the signed manifests run out soon: {say}"),
        Level::Notice => tracing::info!(days_left, "the signed manifests run out within a month: {say}"),
    }
}
