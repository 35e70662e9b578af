//! Listeners: how they are bound, and how they serve routes until the server stops.

use crate::{
    activity::Cut,
    connection::{Mark, Protocols, Stay, protocols, serve_connection},
    limits::{Place, Places},
    tls::{Certificates, OverTls},
};
use axum::{
    Router,
    extract::{ConnectInfo, Request},
};
use botops_findings::{Fault, Result};
use std::{
    convert::Infallible,
    io::{self, ErrorKind, Write as _},
    net::{IpAddr, Shutdown, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream},
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::sleep,
};

/// The time before the next try after a connection could not be accepted; it doubles with each failure.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// The longest such time.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The most connections that wait to be accepted; the system may allow fewer. Beyond them, clients try again by themselves,
/// later and later.
const BACKLOG: u32 = 16_384;

/// Binds a listener.
///
/// # Errors
/// `BOT-6010`.
pub async fn bind(at: SocketAddr) -> Result<TcpListener> {
    let bound = (|| {
        let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // The port can be used again at once after a restart.
        socket.set_reuseaddr(true)?;
        socket.bind(at)?;
        socket.listen(BACKLOG)
    })();
    bound.map_err(|error: io::Error| {
        let fault = if error.kind() == io::ErrorKind::AddrInUse {
            Fault::internal("BOT-6010", format!("the address `{at}` is in use"))
                .hint("choose another port, or `:0` for any free port")
        } else {
            Fault::internal("BOT-6010", format!("cannot listen on `{at}`: {error}"))
        };
        fault.caused_by(error)
    })
}

/// Returns the address of a listener.
///
/// # Errors
/// `BOT-6010` if it was closed.
pub fn address(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(|error| {
        Fault::internal("BOT-6010", "the listener has no address").caused_by(error)
    })
}

/// Serves `routes` on the threads of `runtime`, on which `listener` was bound, until `stop`; the task ends when the requests
/// in flight are answered.
///
/// Each request carries the address of its peer, as `ConnectInfo<SocketAddr>`; one that came over TLS carries [`OverTls`].
pub fn serve(
    runtime: &Handle,
    listener: TcpListener,
    routes: Router,
    places: Arc<Places>,
    tls: Option<Arc<Certificates>>,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let door = Door::new(places, routes, stop);
    runtime.spawn(door.keep(TcpEntrance { listener, tls }))
}

/// Like [`serve`], on a Unix socket. Each request carries the facts that `mark` knows about its peer.
pub fn serve_socket<M: Mark>(
    runtime: &Handle,
    (listener, mark): (UnixListener, fn(&UnixStream) -> M),
    routes: Router,
    places: Arc<Places>,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let door = Door::new(places, routes, stop);
    runtime.spawn(door.keep(SocketEntrance { listener, mark }))
}

/// A listener, as the door needs it.
trait Entrance: Send + Sync + 'static {
    /// A connection.
    type Stream: Send;

    /// Waits for a connection.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Returns the address by which the connections of a peer are counted; `None` for a user of this machine.
    fn address(stream: &Self::Stream) -> Option<IpAddr>;

    /// Serves a connection, in a task of its own.
    fn enter(&self, stream: Self::Stream, guest: Guest);

    /// Turns a connection away, with the answer `busy` where it can be given.
    fn refuse(&self, stream: Self::Stream, busy: &[u8]);
}

struct TcpEntrance {
    listener: TcpListener,
    tls: Option<Arc<Certificates>>,
}

impl Entrance for TcpEntrance {
    type Stream = (TcpStream, SocketAddr);

    async fn accept(&self) -> io::Result<Self::Stream> {
        self.listener.accept().await
    }

    fn address((_, peer): &Self::Stream) -> Option<IpAddr> {
        Some(peer.ip())
    }

    fn enter(&self, (stream, peer): Self::Stream, guest: Guest) {
        // A small answer is sent at once, and does not wait for more bytes to fill a packet.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => tokio::spawn(guest.serve(stream, PeerAddress { peer, is_tls: false })),
            Some(tls) => tokio::spawn(guest.serve_tls(stream, peer, Arc::clone(tls))),
        };
    }

    fn refuse(&self, (stream, _): Self::Stream, busy: &[u8]) {
        if self.tls.is_none() {
            say_busy(stream, busy);
        }
    }
}

struct SocketEntrance<M> {
    listener: UnixListener,
    mark: fn(&UnixStream) -> M,
}

impl<M: Mark> Entrance for SocketEntrance<M> {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    fn address(_: &UnixStream) -> Option<IpAddr> {
        None
    }

    fn enter(&self, stream: UnixStream, guest: Guest) {
        let mark = (self.mark)(&stream);
        tokio::spawn(guest.serve(stream, mark));
    }

    fn refuse(&self, _: UnixStream, _: &[u8]) {}
}

/// The door of a listener: it lets connections in as long as there are places.
struct Door {
    places: Arc<Places>,
    protocols: Arc<Protocols>,
    routes: Router,
    stop: watch::Receiver<bool>,
}

/// A connection that was let in.
struct Guest {
    place: Place,
    protocols: Arc<Protocols>,
    routes: Router,
    stop: watch::Receiver<bool>,
    /// Dropped when it is over.
    inside: mpsc::Sender<Infallible>,
}

impl Guest {
    async fn serve<S, M>(self, stream: S, mark: M)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        M: Mark,
    {
        let stay = Stay::begin(self.place, self.stop, self.inside);
        serve_connection(stream, &self.protocols, stay, self.routes, mark).await;
    }

    async fn serve_tls(mut self, stream: TcpStream, peer: SocketAddr, tls: Arc<Certificates>) {
        let places = Arc::clone(self.place.places());
        let handshake = tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => return,
            handshake = tls.shake_hands(stream, (places.limits.handshake_timeout, &places.needs_tls)) => handshake,
        };
        let metrics = places.keeper.metrics();
        match handshake {
            Ok(stream) => self.serve(stream, PeerAddress { peer, is_tls: true }).await,
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                metrics.cut(places.listener, Cut::Handshake.name());
            }
            Err(_) => metrics.handshake_failed(places.listener),
        }
    }
}

impl Door {
    fn new(places: Arc<Places>, routes: Router, stop: watch::Receiver<bool>) -> Self {
        let protocols = Arc::new(protocols(&places));
        Self { places, protocols, routes, stop }
    }

    /// Accepts connections until the server stops, and waits until those inside are over.
    async fn keep<E: Entrance>(self, entrance: E) {
        let (inside, mut all_out) = mpsc::channel(1);
        let mut stop = self.stop.clone();
        let mut wait = FIRST_WAIT;
        let metrics = self.places.keeper.metrics();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                accepted = entrance.accept() => accepted,
            };
            match accepted {
                Ok(stream) => {
                    wait = FIRST_WAIT;
                    match self.places.take(E::address(&stream)) {
                        Ok(place) => entrance.enter(
                            stream,
                            Guest {
                                place,
                                protocols: Arc::clone(&self.protocols),
                                routes: self.routes.clone(),
                                stop: self.stop.clone(),
                                inside: inside.clone(),
                            },
                        ),
                        Err(reason) => {
                            metrics.refused(self.places.listener, reason.name());
                            entrance.refuse(stream, &self.places.busy);
                        }
                    }
                }
                Err(error) if is_of_peer(&error) => {}
                Err(error) => {
                    metrics.accept_error(self.places.listener);
                    if wait == FIRST_WAIT {
                        self.report(&error);
                    }
                    // The connection still waits in the queue of the system, so another try would fail at once.
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => break,
                        () = sleep(wait) => {}
                    }
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
        // The listener is closed first: a client that comes now goes to another server.
        drop((inside, entrance));
        let _ = all_out.recv().await;
    }

    fn report(&self, error: &io::Error) {
        let message =
            format!("the {} listener cannot accept connections: {error}", self.places.listener);
        self.places.keeper.event("error", "listen", message);
    }
}

/// Returns whether accepting failed because the peer has gone.
fn is_of_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
    )
}

/// Answers a connection beyond the limit without reading from it.
fn say_busy(stream: TcpStream, busy: &[u8]) {
    let Ok(mut stream) = stream.into_std() else { return };
    // The socket does not block, and its empty buffer takes the answer; if not, the client sees a closed connection.
    let _ = stream.write(busy);
    let _ = stream.shutdown(Shutdown::Write);
}

/// The address of a peer.
#[derive(Clone, Copy)]
struct PeerAddress {
    peer: SocketAddr,
    is_tls: bool,
}

impl Mark for PeerAddress {
    fn put(&self, request: &mut Request) {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        if self.is_tls {
            request.extensions_mut().insert(OverTls);
        }
    }
}
