//! The listeners of the admin API: an address, a Unix socket, or both.

use crate::{
    ServerSettings, admin,
    admin_socket::{self, SocketFile, SocketUser},
    app::App,
    canary::Canary,
    control_threads::ControlThreads,
    key_ring::KeyRing,
    login::{AdminToken, Logins, SharedLogins},
    reload::{Admission, Reloading, read_issuers},
    request_guard::{RequestGuard, guard_request},
};
use axum::{
    extract::{ConnectInfo, Request},
    middleware::from_fn_with_state,
};
use botops_access::Issuers;
use botops_connections::{
    Certificates, ConnectionLimits, Mark, Places, address, bind, serve, serve_socket,
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};
use tokio::{
    net::{TcpListener, UnixListener, UnixStream},
    runtime::Handle,
    sync::watch,
    task::JoinHandle,
};

/// The note of a server whose admin API refuses everybody.
const NOBODY_YET: &str = "nobody can log in to the admin API yet; a key that `botops keys create --name NAME --role admin` makes is \
                          accepted within 5 s";

/// The most connections to the admin socket.
const SOCKET_CONNECTIONS: usize = 32;

/// The listeners of the admin API, bound and not served yet.
pub(super) struct AdminListeners {
    logins: Logins,
    /// Runs if someone can log in there, now or with a key that is made later.
    tcp: Option<(TcpListener, SocketAddr)>,
    /// A fact that whoever started the server should know.
    note: Option<String>,
    socket: Option<(UnixListener, SocketFile)>,
}

/// The credentials that need no store, checked before anything starts.
pub(super) struct Credentials {
    token: Option<AdminToken>,
    issuers: Option<Arc<Issuers>>,
}

impl Credentials {
    /// Checks the credentials of `settings`.
    ///
    /// # Errors
    /// `BOT-1031` (exit 2) the token is too short; `BOT-1049` (exit 2) an issuer cannot be used.
    pub(super) fn check(settings: &ServerSettings) -> Result<Self> {
        let token = settings.admin_token.as_ref().map(AdminToken::new).transpose()?;
        let access = &settings.access;
        let issuers = Issuers::new("server.admin_oidc", access.issuers.clone(), &access.root)?;
        let issuers = if issuers.is_empty() { None } else { Some(Arc::new(issuers)) };
        Ok(Self { token, issuers })
    }

    /// Returns the digest of the shared token, if there is one.
    pub(super) fn token_digest(&self) -> Option<Digest> {
        self.token.as_ref().map(AdminToken::digest)
    }
}

impl AdminListeners {
    /// Binds the listeners on the threads of `control`.
    ///
    /// A server of a registry listens although nobody can log in yet: every request is refused with 401 until a key is made. If
    /// its address cannot be had then, it runs without: a second server on one machine needs no settings.
    ///
    /// # Errors
    /// `BOT-6010` (exit 1) the address is in use, and somebody could log in there; `BOT-1059` (exit 1) the socket cannot be made.
    pub(super) async fn bind(
        Credentials { token, issuers }: Credentials,
        (app, keys): (&Arc<App>, Option<Arc<KeyRing>>),
        settings: &ServerSettings,
        control: &ControlThreads,
    ) -> Result<Self> {
        let access = &settings.access;
        let socket = match access.socket.clone() {
            Some(path) => {
                let is_shared = !access.socket_users.is_empty();
                Some(control.run(async move { admin_socket::bind(&path, is_shared) }).await?)
            }
            None => None,
        };
        let users = socket.as_ref().map(|(_, file)| file.users(access.socket_users.clone()));
        let logins = Logins { token, keys, issuers, users, clock: Arc::clone(&app.clock) };
        let bound = async {
            let listener = control.run(bind(settings.admin_listen)).await?;
            let at = address(&listener)?;
            Ok::<_, Fault>((listener, at))
        };
        let (tcp, note) = match (logins.is_empty(), logins.keys.is_some()) {
            (false, _) => (Some(bound.await?), None),
            // Keys are in a registry.
            (true, false) => (None, None),
            (true, true) => match bound.await {
                Ok(bound) => (Some(bound), Some(NOBODY_YET.to_owned())),
                Err(fault) => (None, Some(format!("no admin API: {fault}"))),
            },
        };
        Ok(Self { logins, tcp, socket, note })
    }

    /// Returns a fact that whoever started the server should know.
    pub(super) fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Returns the address, if there is one.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().map(|(_, address)| *address)
    }

    /// Serves the admin API on `threads` until `stop`. Returns the tasks, and the file of the socket.
    pub(super) fn serve(
        self,
        (app, canary, reloading): (&Arc<App>, Option<Arc<Canary>>, &Arc<Reloading>),
        (settings, tls): (&ServerSettings, Option<Arc<Certificates>>),
        threads: &Handle,
        stop: &watch::Receiver<bool>,
    ) -> (Vec<JoinHandle<()>>, Option<SocketFile>) {
        let mut tasks = Vec::new();
        if self.tcp.is_none() && self.socket.is_none() {
            return (tasks, None);
        }
        if let Some(issuers) = &self.logins.issuers {
            threads.spawn(read_issuers(Arc::clone(app), Arc::clone(issuers)));
        }
        let logins = Arc::new(SharedLogins::new(self.logins));
        let has_address = self.tcp.is_some();
        reloading.admit_by(Admission { logins: Arc::clone(&logins), has_address });
        let behind = (logins, Some(Arc::clone(reloading)));
        let routes = admin::routes(Arc::clone(app), canary, behind, stop);
        let guarded = |address| {
            let guard = RequestGuard::new(Arc::clone(app), address, &settings.allowed_hosts);
            routes.clone().layer(from_fn_with_state(guard, guard_request))
        };
        let limits = settings.listeners.limits.of_admin();
        if let Some((listener, address)) = self.tcp {
            let places = Places::new(Arc::<App>::clone(app), "admin", limits.clone());
            let routes = guarded(address);
            tasks.push(serve(threads, listener, routes, places, tls, stop.clone()));
        }
        let file = self.socket.map(|(listener, file)| {
            // A request names this machine, as on a loopback address.
            let routes = guarded(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
            let limits = ConnectionLimits { connections: SOCKET_CONNECTIONS, ..limits };
            let places = Places::new(Arc::<App>::clone(app), "socket", limits);
            let listener = (listener, PeerUser::of as fn(&UnixStream) -> PeerUser);
            tasks.push(serve_socket(threads, listener, routes, places, stop.clone()));
            file
        });
        (tasks, file)
    }
}

/// The user of a peer on the admin socket.
#[derive(Clone, Copy)]
struct PeerUser(SocketUser);

impl PeerUser {
    fn of(stream: &UnixStream) -> Self {
        Self(SocketUser::of(stream))
    }
}

impl Mark for PeerUser {
    fn put(&self, request: &mut Request) {
        request.extensions_mut().insert(ConnectInfo(self.0));
        // For limits by address: all users of the socket are on this machine.
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        request.extensions_mut().insert(ConnectInfo(here));
    }
}
