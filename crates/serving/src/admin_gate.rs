//! The way into the admin API: who a request is from, and whether that is enough for its endpoint.

use crate::{
    admin_socket::SocketUser,
    app::App,
    authorization::{Caller, Endpoint},
    exchange::Exchange,
    login::{FailedLogins, SharedLogins},
    problem::{Listener, no_such_path},
};
use axum::{
    Extension,
    extract::{ConnectInfo, FromRequestParts as _, RawPathParams, Request, State},
    middleware::Next,
    response::Response,
};
use botops_access::{Refused, TokenProblem};
use botops_findings::Fault;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Instant,
};

/// The credentials that are accepted, and the failed logins.
pub(super) struct Gate {
    app: Arc<App>,
    logins: Arc<SharedLogins>,
    failed_logins: FailedLogins,
}

impl Gate {
    /// Makes the gate of a server.
    pub(super) fn new(app: Arc<App>, logins: Arc<SharedLogins>) -> Self {
        Self { app, logins, failed_logins: FailedLogins::default() }
    }

    /// Logs a failed login of `peer`, and answers it after a delay that grows with each one.
    async fn refuse_login(&self, peer: &Peer, refused: &Refused) -> Response {
        let exchange = Exchange::begin(&self.app, "admin");
        let unread = match refused {
            Refused::KeysUnread => Some(
                Fault::unreachable("BOT-1047", refused.clause())
                    .hint("repair the store of the registry, or use the shared token"),
            ),
            Refused::Token(TokenProblem::NoKeys) => Some(
                Fault::unreachable("BOT-1058", refused.clause())
                    .hint("check `jwks` of `server.admin_oidc`, or use a key or the shared token"),
            ),
            Refused::User { name } => {
                Some(Fault::policy("BOT-1048", refused.clause()).hint(format!(
                    "add `{}` to `server.admin_socket_users`, or send a key",
                    botops_text::display(name, 80)
                )))
            }
            _ => None,
        };
        if let Some(fault) = unread {
            let message = format!("login from {peer}: {}", refused.clause());
            self.app.log.event(self.app.clock.now(), "warn", "login", message);
            return exchange.refuse(fault.into(), None);
        }
        let (in_a_row, delay) = self.failed_logins.count(peer.address(), Instant::now());
        let message =
            format!("failed login from {peer}: {}, {in_a_row} in a row", refused.clause());
        self.app.log.event(self.app.clock.now(), "warn", "login", message);
        tokio::time::sleep(delay).await;
        // A stranger does not learn more than this. The others hold the secret of a key, or a token of an issuer.
        let message = match refused {
            Refused::Token(problem) if problem.is_signed() => refused.clause(),
            Refused::NoToken | Refused::WrongToken | Refused::Token(_) => {
                "the bearer token is missing or wrong".to_owned()
            }
            refused => refused.clause(),
        };
        let fault = Fault::policy("BOT-6033", message)
            .hint("set `BOTOPS_ADMIN_TOKEN` to a key, or to the token the server was started with");
        exchange.refuse(fault.into(), None)
    }
}

/// Lets a request pass whose caller is known.
pub(super) async fn authenticated(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = Peer::of(&request);
    match gate.logins.get().authenticate(request.headers(), peer.user()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refused) => gate.refuse_login(&peer, &refused).await,
    }
}

/// The other end of a connection.
enum Peer {
    Address(SocketAddr),
    User(SocketUser),
}

impl Peer {
    fn of(request: &Request) -> Self {
        match request.extensions().get::<ConnectInfo<SocketUser>>() {
            Some(ConnectInfo(user)) => Self::User(*user),
            None => {
                let address = request.extensions().get::<ConnectInfo<SocketAddr>>();
                Self::Address(address.expect("a listener names the peers of its connections").0)
            }
        }
    }

    fn user(&self) -> Option<SocketUser> {
        match self {
            Self::Address(_) => None,
            Self::User(user) => Some(*user),
        }
    }

    /// Returns the address by which failed logins are counted; the users of the socket are all on this machine.
    fn address(&self) -> IpAddr {
        match self {
            Self::Address(address) => address.ip(),
            Self::User(_) => Ipv4Addr::LOCALHOST.into(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::User(user) => write!(f, "the admin socket (user {})", user.name()),
        }
    }
}

/// The right to call one endpoint.
pub(super) struct Right {
    /// The server.
    pub(super) app: Arc<App>,
    /// The endpoint.
    pub(super) endpoint: Endpoint,
}

/// Lets a request pass whose caller has a scope of the endpoint.
pub(super) async fn authorized(
    State(right): State<Arc<Right>>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    // A path whose variables are not UTF-8 names nothing.
    let variables = RawPathParams::from_request_parts(&mut parts, &()).await;
    let refused = match (variables, right.endpoint.check(&caller)) {
        (_, Err(fault)) => fault.into(),
        (Err(_), Ok(())) => no_such_path(Listener::Admin, parts.uri.path()),
        (Ok(_), Ok(())) => return next.run(Request::from_parts(parts, body)).await,
    };
    Exchange::begin(&right.app, "admin").refuse(refused, None)
}
