//! What a server cannot do without: the least that could answer a report, to compare with.

use std::{fs::File, io::Write, path::Path, sync::Arc};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use clap::ValueEnum;
use marram_crypto::{day::Epoch, digest::Digest, instance::InstanceId, key::SigningKey, leaf::Leaf, receipt};
use marram_tests::{organization::rng, server::this_epoch};
use tokio::sync::{mpsc, oneshot};

/// How many records are appended before a sync: as many as the server takes.
pub(crate) const GROUP: usize = 1024;

/// What it does with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Hashes it, appends it to a file with whatever waits, syncs, and answers with a signed receipt.
    Append,
    /// Forgets it.
    Discard,
}

struct App {
    kind: Kind,
    instance: InstanceId,
    key: SigningKey,
    epoch: Epoch,
    queue: mpsc::Sender<Record>,
}

/// A body to append, and whom to tell.
pub(crate) type Record = (Bytes, oneshot::Sender<()>);

/// Appends groups of what waits to `file`, each with one sync, until all senders are gone.
pub(crate) fn append(mut file: File, mut queue: mpsc::Receiver<Record>) {
    let mut group = Vec::new();
    while queue.blocking_recv_many(&mut group, GROUP) > 0 {
        for (body, _) in &group {
            file.write_all(body).unwrap();
        }
        file.sync_data().unwrap();
        for (_, done) in group.drain(..) {
            // Whoever asked may be gone.
            let _ = done.send(());
        }
    }
}

/// Serves `POST /` on a free port of loopback, and says which.
pub(crate) fn serve(kind: Kind, folder: &Path) {
    let (queue, records) = mpsc::channel(GROUP);
    let file = File::create_new(folder.join("records")).unwrap();
    std::thread::spawn(move || append(file, records));
    let app = Arc::new(App {
        kind,
        instance: InstanceId::random(&mut rng()),
        key: SigningKey::random(&mut rng()),
        epoch: this_epoch(),
        queue,
    });
    let router = Router::new().route("/", post(take)).with_state(app);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listen=\"{}\"", listener.local_addr().unwrap());
        axum::serve(listener, router).await.unwrap();
    });
}

async fn take(State(app): State<Arc<App>>, body: Bytes) -> (StatusCode, Vec<u8>) {
    if app.kind == Kind::Discard {
        return (StatusCode::CREATED, Vec::new());
    }
    let leaf = Leaf {
        digest: Digest::of(&body),
        epoch: app.epoch,
        day: app.epoch.opens(),
        log2_size: u8::try_from(body.len().ilog2()).unwrap(),
    };
    let (done, appended) = oneshot::channel();
    app.queue.send((body, done)).await.unwrap();
    appended.await.unwrap();
    let receipt = receipt::sign(app.instance, &leaf, &app.key).unwrap();
    (StatusCode::CREATED, receipt.to_bytes())
}
