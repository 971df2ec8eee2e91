//! The server: a small runtime in a thread of its own, its sockets, and who comes by them.

use crate::RestError;
use crate::management::App;
use crate::routes::router;
use crate::socket::{Bound, Listener, Stream};
use crate::waits::Waits;
use axum::Router;
use diptych_cha::scsi::ScsiTarget;
use diptych_cha::{TargetId, Users};
use diptych_rt::Rt;
use diptych_rt::net::{Address, Budget, ServerWatch};
use diptych_sync::{Arc, thread};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::fmt;
use std::fs;
use std::pin::pin;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, warn};

/// After a failed accept.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// What is served.
#[derive(Debug, Clone)]
pub struct Served {
    /// The driver of the unit.
    pub rt: Rt,
    /// The unit's id, to be told from others.
    pub id: u64,
    /// Its logical units, if it has any.
    pub scsi: Option<Scsi>,
    /// The servers that hosts come to.
    pub servers: Servers,
}

/// The servers that hosts come to, for those who look on.
#[derive(Debug, Clone, Default)]
pub struct Servers {
    /// Each of them.
    pub watched: Vec<ServerWatch>,
    /// What they keep requests under way in together.
    pub budget: Option<Budget>,
}

/// The SCSI target of a unit, whose map of logical units operators change.
#[derive(Clone)]
pub struct Scsi {
    /// The target.
    pub target: Arc<ScsiTarget>,
    /// The name under which the map is kept in the unit, in `postcard`'s form.
    pub kept_as: &'static str,
    /// Who may log in, by CHAP.
    pub users: Arc<Users>,
    /// The name under which those that were made are kept.
    pub users_kept_as: &'static str,
    /// What hosts call each target.
    pub target_name: Arc<TargetName>,
}

/// What hosts call a target.
pub type TargetName = dyn Fn(TargetId) -> String + Send + Sync;

impl fmt::Debug for Scsi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scsi").field("kept_as", &self.kept_as).finish_non_exhaustive()
    }
}

/// What connections may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestLimits {
    /// Connections at once. One more is closed as soon as it is accepted.
    pub connections: usize,
    /// Bytes of a request's line and headers; at least 8 KiB.
    pub header_bytes: usize,
    /// Bytes of a request's body, contents of volumes excepted.
    pub body_bytes: usize,
    /// Time for a request's line and headers, and between two requests of a connection.
    pub header: Duration,
    /// A client that sends nothing more of a body for so long, or takes nothing of contents, loses its
    /// connection.
    pub stalled: Duration,
    /// Transfers of contents at once.
    pub transfers: usize,
    /// Requests at once that wait for a status.
    pub waits: usize,
    /// Time that requests have to end when the server stops.
    pub drain: Duration,
}

impl Default for RestLimits {
    /// 64 connections, headers of 16 KiB within 30 seconds, bodies of 64 KiB, 30 seconds for a client that
    /// has stalled, 4 transfers, 32 requests that wait, 10 seconds to drain.
    fn default() -> Self {
        Self {
            connections: 64,
            header_bytes: 16 << 10,
            body_bytes: 64 << 10,
            header: Duration::from_secs(30),
            stalled: Duration::from_secs(30),
            transfers: 4,
            waits: 32,
            drain: Duration::from_secs(10),
        }
    }
}

/// A server of the interface. It stops when it is dropped.
pub struct RestServer {
    addresses: Vec<Address>,
    stop: watch::Sender<bool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl fmt::Debug for RestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.addresses).finish()
    }
}

impl RestServer {
    /// Listens on all of these addresses, and answers who comes. A Unix socket is for its owner alone.
    ///
    /// # Errors
    ///
    /// If one of them cannot be listened on; then none is.
    pub fn listen(
        addresses: &[Address],
        limits: RestLimits,
        served: Served,
    ) -> Result<Self, RestError> {
        let bound: Result<Vec<_>, _> = addresses.iter().map(Bound::at).collect();
        let (bound, addresses): (Vec<_>, Vec<_>) = bound?.into_iter().unzip();
        let runtime = Builder::new_current_thread()
            .enable_all()
            // A request that waits has one; no connection has two requests under way.
            .max_blocking_threads(limits.connections.max(1))
            .thread_name("diptych-http-request")
            .build()
            .map_err(RestError::Start)?;
        let listeners = {
            let _within = runtime.enter();
            bound.into_iter().map(Bound::into_listener).collect::<Result<Vec<_>, _>>()
        };
        let listeners = listeners.map_err(RestError::Start)?;
        let (stop, stopped) = watch::channel(false);
        let (bell, rung) = watch::channel(());
        served.rt.unit().on_history(move || {
            bell.send_replace(());
        });
        let waits = Waits::new(limits.waits, rung, stopped.clone());
        let router = router(App::new(served, limits.transfers, waits), limits);
        let serving = Serving { limits, router, stopped };
        let thread = thread::Builder::new().name("diptych-http".to_owned());
        let thread = thread.spawn(move || serving.run(runtime, listeners));
        Ok(Self { addresses, stop, thread: Some(thread.map_err(RestError::Start)?) })
    }

    /// Where it listens: ports that were 0 are the real ones.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.addresses.iter()
    }

    /// The same as clients are told: `http://127.0.0.1:8080`, `unix:/path/to/socket`.
    pub fn urls(&self) -> impl Iterator<Item = String> {
        self.addresses.iter().map(|address| match address {
            Address::Tcp(address) => format!("http://{address}"),
            Address::Unix(_) => address.to_string(),
        })
    }

    /// Accepts no more, and lets requests that are under way end, for so long as they may take. Returns
    /// when all have ended or were cut off.
    pub fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.stop.send_replace(true);
        if thread.join().is_err() {
            warn!("the HTTP server had panicked");
        }
        for address in &self.addresses {
            if let Address::Unix(path) = address {
                // Somebody may have removed it before.
                let _ = fs::remove_file(path);
            }
        }
    }
}

impl Drop for RestServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the server's thread has.
struct Serving {
    limits: RestLimits,
    router: Router,
    stopped: watch::Receiver<bool>,
}

impl Serving {
    fn run(self, runtime: Runtime, listeners: Vec<Listener>) {
        let drain = self.limits.drain;
        runtime.block_on(self.serve(listeners));
        // A request that still waits for the unit is answered when the unit stops.
        runtime.shutdown_timeout(drain);
    }

    async fn serve(self, listeners: Vec<Listener>) {
        let mut connections = JoinSet::new();
        let (comes, mut came) = tokio::sync::mpsc::channel(1);
        for listener in listeners {
            tokio::spawn(accept(listener, comes.clone(), self.stopped.clone()));
        }
        drop(comes);
        while let Some(stream) = came.recv().await {
            while connections.try_join_next().is_some() {}
            if connections.len() >= self.limits.connections {
                debug!("too many connections: one more is closed");
                continue;
            }
            connections.spawn(self.connection(stream));
        }
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.limits.drain, ended).await.is_err() {
            warn!("requests took too long to end, and are cut off");
        }
    }

    /// Serves one connection to its end.
    fn connection(&self, stream: Stream) -> impl Future<Output = ()> + Send + use<> {
        let service = TowerToHyperService::new(self.router.clone());
        let mut stopped = self.stopped.clone();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.limits.header)
            .max_buf_size(self.limits.header_bytes);
        async move {
            let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = told(&mut stopped) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                debug!(%error, "a connection has ended");
            }
        }
    }
}

/// Waits until the server is to stop.
async fn told(stopped: &mut watch::Receiver<bool>) {
    // An error is the end of who would tell: the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Accepts until the server stops.
async fn accept(
    listener: Listener,
    comes: tokio::sync::mpsc::Sender<Stream>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stopped) => return,
        };
        match accepted {
            Ok(stream) => {
                if comes.send(stream).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}
