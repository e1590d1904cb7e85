//! Connections: listening, limits on slow clients, and the end.
//!
//! A client's address is dropped where it is accepted; nothing behind that line could log it.

use std::{
    fs,
    future::Future,
    io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::PathBuf,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpSocket, UnixListener, UnixStream},
    sync::Semaphore,
    time::{Instant, Sleep, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::config::{Limits, Listen};

/// A connection's buffer for headers and bodies, in bytes. Whoever fills it with a header that does not end holds it for
/// `header_timeout_s`, on every connection: all connections together take 64 MiB.
const BUFFER_LEN: usize = 1 << 14;
const MAX_HEADERS: usize = 64;
/// What the kernel takes of answers that a client does not read, in bytes. Left to itself it takes four megabytes on
/// each connection, and the server goes on answering into them. On a way of 100 ms this still allows 2.5 MB/s.
const UNREAD_LEN: u32 = 1 << 18;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// How much longer than an upload a connection may be idle: the upload's end is told before the connection's comes.
const FAREWELL: Duration = Duration::from_secs(2);
/// After a failed `accept` (no file descriptors left, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A listener.
#[derive(Debug)]
pub enum Bound {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket and its path.
    Unix(UnixListener, PathBuf),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Bound {
    /// Listens. A socket that a dead server left is replaced; a living one's is not.
    ///
    /// # Errors
    /// As the operating system says; [`io::ErrorKind::AddrInUse`] if somebody listens there.
    pub async fn bind(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) => {
                let socket = match address {
                    SocketAddr::V4(_) => TcpSocket::new_v4()?,
                    SocketAddr::V6(_) => TcpSocket::new_v6()?,
                };
                socket.set_reuseaddr(true)?;
                socket.set_send_buffer_size(UNREAD_LEN)?;
                socket.bind(*address)?;
                Ok(Self::Tcp(socket.listen(BACKLOG)?))
            }
            Listen::Unix(path) => {
                if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
                    if UnixStream::connect(path).await.is_ok() {
                        return Err(io::ErrorKind::AddrInUse.into());
                    }
                    fs::remove_file(path)?;
                }
                let listener = UnixListener::bind(path)?;
                // The reverse proxy shares the group.
                fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
                Ok(Self::Unix(listener, path.clone()))
            }
        }
    }

    /// Where it listens, as the configuration writes it.
    pub fn describe(&self) -> String {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|_| "unknown".to_owned(), |a| a.to_string()),
            Self::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// The TCP address, if it is one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                drop(stream.set_nodelay(true));
                Box::new(stream)
            }
            Self::Unix(listener, _) => Box::new(listener.accept().await?.0),
        })
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            drop(fs::remove_file(path));
        }
    }
}

/// Serves until `stop`; then no longer accepts, lets what is under way finish for `limits.stop_timeout_s`, and returns.
pub async fn serve(bound: Bound, router: Router, limits: Limits, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let tracker = TaskTracker::new();
    let abort = CancellationToken::new();
    let service = TowerToHyperService::new(router);
    loop {
        // Beyond the limit, connections wait in the kernel's queue.
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, bound.accept().await)
        };
        let (permit, stream) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        let Ok(stream) = stream else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let io = TokioIo::new(Idle::new(stream, limits.idle_timeout() + FAREWELL));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(limits.header_timeout_s))
            .max_buf_size(BUFFER_LEN)
            // A client that has sent all and closed its half still waits for its receipt.
            .half_close(true)
            .max_headers(MAX_HEADERS)
            // To the second, it would tell how far this machine's clock is off: a fingerprint, behind an onion.
            .auto_date_header(false)
            .serve_connection(io, service.clone());
        let (stop, abort) = (stop.clone(), abort.clone());
        tracker.spawn(async move {
            let mut connection = pin!(connection);
            // Whatever ends a connection is the client's affair, and nothing to log.
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        _ = connection => {}
                        () = abort.cancelled() => {}
                    }
                }
            }
            drop(permit);
        });
    }
    drop(bound);
    tracker.close();
    if tokio::time::timeout(Duration::from_secs(limits.stop_timeout_s), tracker.wait())
        .await
        .is_err()
    {
        abort.cancel();
        tracker.wait().await;
    }
}

/// A stream that fails when nothing has moved in either direction for some time.
struct Idle {
    stream: Box<dyn Stream>,
    after: Duration,
    moved: Instant,
    /// Not set anew at each movement, of which there are many: it looks at `moved` when it is up.
    sleep: Pin<Box<Sleep>>,
}

impl Idle {
    fn new(stream: Box<dyn Stream>, after: Duration) -> Self {
        Self {
            stream,
            after,
            moved: Instant::now(),
            sleep: Box::pin(sleep(after)),
        }
    }

    fn check<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.moved = Instant::now();
            return polled;
        }
        while self.sleep.as_mut().poll(context).is_ready() {
            let deadline = self.moved + self.after;
            if deadline <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl AsyncRead for Idle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.check(context, polled)
    }
}

impl AsyncWrite for Idle {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.check(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.check(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
