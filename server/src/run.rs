//! `marram-server run`: from the configuration to the last commit.

use std::{fs, io, net::SocketAddr, os::unix::fs::MetadataExt, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use marram_crypto::{day::Day, digest::Digest, manifest::Level};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::{Config, Listen},
    deletions::Deletions,
    failure::{ResultExt, fail},
    http::{self, App, Bound},
    log_key, page,
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
    check_folder(&config.data_dir)?;
    let log_key = log_key::read(&log_key::path_in(&config.data_dir))?;
    // First of all, since it is what goes wrong most easily, and nothing has to be undone. Who comes now waits.
    let bound = bind("listen", &config.listen).await?;
    let health = bind("health_listen", &config.health_listen).await?;

    let settings = Settings {
        segment_bytes: config.store.segment_bytes,
        reserve_bytes: config.store.reserve_bytes,
        ..Settings::default()
    };
    let store_path = config.data_dir.join("store");
    let store = tokio::task::spawn_blocking(move || Embedded::open(&store_path, settings)).await?;
    let store = store.context("the store does not open")?;
    let published = Published::load(&store, config.charter_fingerprint, clock.today()).await;
    let published = match published {
        Ok(published) => published,
        Err(error) => {
            // Or the next start would rebuild the view.
            drop(store.close().await);
            return Err(error);
        }
    };
    let deletions = match Deletions::load(&store).await {
        Ok(deletions) => deletions,
        Err(error) => {
            drop(store.close().await);
            return Err(error.into());
        }
    };
    let store = Arc::new(store);
    let app = Arc::new(App::new(
        Arc::clone(&store) as Arc<dyn Store>,
        clock.clone(),
        &config,
        log_key,
        published,
        deletions,
    ));

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

/// Refuses a data folder that is missing or another user's: what this user would write into it, that one could not
/// read.
///
/// # Errors
/// Says which.
pub fn check_folder(data_dir: &Path) -> anyhow::Result<()> {
    let shown = data_dir.display();
    let found = fs::metadata(data_dir)
        .with_context(|| format!("cannot use the data folder {shown}"))
        .next("check `data_dir` in the configuration; `marram-server init` makes a new one")?;
    let (owner, user) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        return Err(fail(
            format!("the data folder {shown} belongs to another user (uid {owner}; this runs as uid {user})"),
            format!("run this as that user, for example: sudo -u '#{owner}' marram-server …"),
        ));
    }
    Ok(())
}

async fn bind(field: &str, listen: &Listen) -> anyhow::Result<Bound> {
    let bound = Bound::bind(listen).await;
    let next = match bound.as_ref().map_err(io::Error::kind) {
        Ok(_) => "",
        Err(io::ErrorKind::AddrInUse) => {
            "another program listens there, perhaps this server already: ss -ltnxp shows which. End it, or choose \
             another address"
        }
        Err(io::ErrorKind::AddrNotAvailable) => {
            "this machine does not have that address: ip address shows those it has"
        }
        Err(io::ErrorKind::PermissionDenied) => {
            "a port below 1024, or a socket in that folder, is not allowed to this user: choose another, and put the \
             reverse proxy or onion service before it"
        }
        Err(_) => "choose another address in the configuration",
    };
    bound
        .with_context(|| format!("cannot listen on {listen} (`{field}`)"))
        .next(next)
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
    let mut judged = None;
    loop {
        warn_of_page(&app, clock.today(), &mut judged);
        if let Err(error) = app.destroy_what_is_due().await {
            tracing::error!(%error, "reports that are to be destroyed are not yet; tried again");
        }
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

/// Once for each manifest: whoever verifies what they are shown must be able to.
fn warn_of_page(app: &App, today: Day, judged: &mut Option<Digest>) {
    let published = app.published();
    let Some(manifest) = published.open_today(today) else {
        return;
    };
    if judged.replace(manifest.hash()) == Some(manifest.hash()) {
        return;
    }
    let page = page::digest();
    if manifest.pages.is_empty() {
        tracing::warn!(
            %page,
            "the signed manifest names no page, so nobody can verify the one that this server shows: ask the keyholders to \
             name it (marram-keyholder issue --page)"
        );
    } else if !manifest.pages.contains(&page) {
        tracing::error!(
            %page,
            "the page that this server shows is none that the keyholders have signed, and whoever verifies it is told so: \
             install the version that they have looked at, or ask them to name this one (marram-keyholder issue --page)"
        );
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
