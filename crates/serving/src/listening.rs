//! Listeners: how they are bound, and how they serve routes until the server stops.

use axum::{Router, serve::ListenerExt};
use botops_findings::{Fault, Result};
use std::{future::IntoFuture, io, net::SocketAddr};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::watch,
    task::JoinHandle,
};

/// Binds a listener.
///
/// # Errors
/// `BOT-6010`.
pub(super) async fn bind(at: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(at).await.map_err(|error| {
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
pub(super) fn address(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(|error| {
        Fault::internal("BOT-6010", "the listener has no address").caused_by(error)
    })
}

/// Serves `routes` on the threads of `runtime`, on which `listener` was bound. Each request carries the address of its
/// peer, as `ConnectInfo<SocketAddr>`.
pub(super) fn serve(
    runtime: &Handle,
    listener: TcpListener,
    routes: Router,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener.tap_io(without_delay), routes);
    run(runtime, server.with_graceful_shutdown(stopped(stop)))
}

/// Sends small answers at once, instead of waiting for more bytes to fill a packet.
fn without_delay(stream: &mut TcpStream) {
    let _ = stream.set_nodelay(true);
}

/// Waits until the server stops.
pub(super) async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Runs `server` on the threads of `runtime`.
pub(super) fn run(
    runtime: &Handle,
    server: impl IntoFuture<IntoFuture: Future<Output = io::Result<()>> + Send + 'static>,
) -> JoinHandle<()> {
    let server = server.into_future();
    runtime.spawn(async move {
        // It never returns an error: it goes on accepting after one.
        let _ = server.await;
    })
}
