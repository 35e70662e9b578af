//! The way into the public API: who a request is from, and whether that is enough for its endpoint.

use crate::{
    ClientAccess, ServerSettings, Source,
    admission::pass_on,
    app::App,
    exchange::Exchange,
    key_ring::KeyRing,
    problem::{Challenge, Problem},
    public_endpoints::{PublicCall, PublicEndpoint},
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use botops_access::{
    ClientGate, Issuers, Looked, PublicCaller, Refused, Scope, ScopeSet, TokenCache, TokenProblem,
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use std::{sync::Arc, time::Instant};

/// The begin of a subprotocol that is a bearer token.
const BEARER_PROTOCOL: &[u8] = b"botops.bearer.";

/// The check of requests of the public API.
pub(super) struct PublicGate {
    app: Arc<App>,
    clients: ClientGate,
    /// The keys of the environment; `None` without a registry.
    ring: Option<Arc<KeyRing>>,
}

/// Checks who may call the public API by `settings`. Keys are in a registry, so a server of a file has none.
///
/// # Errors
/// `BOT-1082` (exit 2) the server would listen beyond this machine, and nobody decided who may call it; `BOT-1083` (exit 2)
/// nobody could call it; `BOT-1049`, `BOT-1080` (exit 2) an issuer cannot be used.
pub(super) fn client_gate(
    settings: &ServerSettings,
    source: &Source,
    shared_token: Option<Digest>,
) -> Result<ClientGate> {
    let access = &settings.access;
    let has_store = matches!(source, Source::Registry { .. });
    let open = ClientGate { is_open: true, shared_token, ..ClientGate::default() };
    match &access.clients {
        ClientAccess::Open => Ok(open),
        ClientAccess::Undecided if settings.listen.ip().to_canonical().is_loopback() => Ok(open),
        ClientAccess::Undecided => {
            let message = format!(
                "`{}` can be reached from other machines, and `access` is not set",
                settings.listen
            );
            Err(Fault::usage("BOT-1082", message)
                .hint("accept API keys: write `access: {keys: true}` to botops.yaml, and make one with `botops keys create --name NAME --scopes predict,chat`")
                .hint("or let everyone call it: write `access: open`"))
        }
        ClientAccess::Restricted { keys, issuers } => {
            let issuers = Issuers::new("access.jwt", issuers.clone(), &access.root)?;
            let issuers = (!issuers.is_empty()).then_some(issuers);
            if issuers.is_none() && !(*keys && has_store) {
                let message = match keys {
                    true => {
                        "nobody could call this server: it serves a file, and keys are in a registry"
                    }
                    false => {
                        "nobody could call this server: `access` accepts neither keys nor tokens"
                    }
                };
                return Err(Fault::usage("BOT-1083", message)
                    .hint("accept tokens with `access: {jwt: […]}`, register the model with `botops push MODEL`, or write `access: open`"));
            }
            let keys = keys.then(Default::default);
            let verified = TokenCache::default();
            Ok(ClientGate { is_open: false, keys, issuers, shared_token, verified })
        }
    }
}

/// Reads the public keys of issuers, so that the first token need not wait, and reports wrong settings early.
pub(super) async fn warm(gate: Arc<PublicGate>) {
    let Some(issuers) = &gate.clients.issuers else { return };
    for problem in issuers.warm(Instant::now()).await {
        gate.app.log.event(gate.app.clock.now(), "warn", "jwt", problem);
    }
}

impl PublicGate {
    /// Makes the gate of a server that accepts the credentials of `clients`, with the keys of `ring` if they are accepted. On
    /// an open server, a key shows who its holder is.
    pub(super) fn new(
        app: &Arc<App>,
        mut clients: ClientGate,
        ring: Option<Arc<KeyRing>>,
    ) -> Arc<Self> {
        let ring = ring.filter(|_| clients.is_open || clients.keys.is_some());
        clients.keys = ring.as_ref().map(|ring| Arc::clone(ring.keys()));
        Arc::new(Self { app: Arc::clone(app), clients, ring })
    }

    /// Makes the gate of a server that is open to everyone and knows nobody.
    pub(super) fn open(app: &Arc<App>) -> Arc<Self> {
        Self::new(app, ClientGate { is_open: true, ..ClientGate::default() }, None)
    }

    /// Returns who may call, in words.
    pub(super) fn words(&self) -> &'static str {
        let ClientGate { is_open, keys, issuers, .. } = &self.clients;
        match (is_open, keys, issuers) {
            (true, ..) => {
                "access is open: everyone who reaches this address may call the public API"
            }
            (false, Some(_), Some(_)) => "the public API needs an API key or a token",
            (false, Some(_), None) => "the public API needs an API key",
            (false, None, _) => "the public API needs a token",
        }
    }

    /// Finds out who a request with these credentials is from.
    async fn caller(&self, sent: Option<&Credentials>) -> Result<PublicCaller, Refused> {
        let (now, instant) = (self.app.clock.now(), Instant::now());
        let sent = sent.map(|sent| sent.0.as_bytes());
        if let (Some(_), Some(ring)) = (sent, &self.ring) {
            ring.refresh_if_old(instant).await;
        }
        match self.clients.look(sent, now, instant)? {
            Looked::Caller(caller) => Ok(caller),
            Looked::Token(token) => self.clients.verify(token, now, instant).await,
        }
    }
}

/// The credentials of a request: a value of `Authorization`.
#[derive(Clone)]
pub(super) struct Credentials(HeaderValue);

impl Credentials {
    /// Returns the credentials in `headers`. With `is_socket`, those of a browser, which can give a WebSocket only names of
    /// subprotocols: one that begins with `botops.bearer.`.
    fn of(headers: &HeaderMap, is_socket: bool) -> Option<Self> {
        if let Some(sent) = headers.get(header::AUTHORIZATION) {
            return Some(Self(sent.clone()));
        }
        let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter(|_| is_socket);
        let mut offered = offered.flat_map(|it| it.as_bytes().split(|byte| *byte == b','));
        let token = offered.find_map(|it| it.trim_ascii().strip_prefix(BEARER_PROTOCOL))?;
        HeaderValue::from_bytes(&[b"Bearer ", token].concat()).ok().map(Self)
    }
}

/// The right to call one endpoint.
pub(super) struct PublicRight {
    gate: Arc<PublicGate>,
    endpoint: PublicEndpoint,
    any_of: ScopeSet,
}

impl PublicRight {
    /// Makes the right to call `endpoint` behind `gate`.
    pub(super) fn new(gate: Arc<PublicGate>, endpoint: PublicEndpoint) -> Arc<Self> {
        Arc::new(Self { gate, endpoint, any_of: ScopeSet::of(endpoint.any_of) })
    }

    /// Returns the caller of a request with these credentials, if it may call the endpoint.
    pub(super) async fn admit(&self, sent: Option<&Credentials>) -> Result<PublicCaller, Problem> {
        let found = self.gate.caller(sent).await;
        if self.endpoint.any_of.is_empty() {
            // Nobody needs credentials here, so wrong ones do no harm: they show nothing.
            return Ok(found.unwrap_or_else(|_| PublicCaller::anonymous(ScopeSet::NONE)));
        }
        let caller = found.map_err(|refused| unauthorized(&refused))?;
        if !caller.scopes.has_any(self.any_of) {
            let scopes: Vec<&str> = self.endpoint.any_of.iter().map(|it| it.name()).collect();
            let challenge = Challenge::MissingScope(scopes.join(" "));
            let fault = self.endpoint.missing_scope(caller.scopes);
            return Err(Problem::from(fault).challenge(challenge));
        }
        if caller.by_old_key && caller.scopes.has(Scope::Review) {
            let message = "the server has not been able to read for minutes whether keys were revoked, so a reviewer may not judge";
            return Err(Fault::unreachable("BOT-1047", message)
                .hint("repair the store of the registry, and try again")
                .into());
        }
        Ok(caller)
    }
}

/// The problem of a request without credentials that are accepted.
fn unauthorized(refused: &Refused) -> Problem {
    match refused {
        Refused::KeysUnread => {
            return Fault::unreachable("BOT-1047", refused.clause())
                .hint("try again in a moment")
                .into();
        }
        Refused::Token(TokenProblem::NoKeys) => {
            return Fault::unreachable("BOT-1058", refused.clause())
                .hint("try again in a moment")
                .into();
        }
        _ => {}
    }
    // A stranger does not learn more than this. The others hold the secret of a key, or a token of an issuer.
    let (message, challenge) = match refused {
        Refused::NoToken => ("no bearer token was sent".to_owned(), Challenge::Credentials),
        Refused::Token(problem) if problem.is_signed() => (refused.clause(), Challenge::Invalid),
        Refused::WrongToken | Refused::Token(_) => {
            ("the bearer token is wrong".to_owned(), Challenge::Invalid)
        }
        refused => (refused.clause(), Challenge::Invalid),
    };
    let fault = Fault::policy("BOT-1081", message)
        .hint("send `Authorization: Bearer` with an API key or a token of this server");
    Problem::from(fault).challenge(challenge)
}

/// Lets a request pass whose caller has a scope of the endpoint; from here on it carries its [`PublicCaller`].
pub(super) async fn admitted(
    State(right): State<Arc<PublicRight>>,
    mut request: Request,
    next: Next,
) -> Response {
    let is_socket = right.endpoint.call == PublicCall::WebSocket;
    let sent = Credentials::of(request.headers(), is_socket);
    let admitted = right.admit(sent.as_ref()).await;
    if is_socket {
        // They are checked again while the socket is open.
        request.extensions_mut().insert(Arc::clone(&right));
        if let Some(sent) = sent {
            request.extensions_mut().insert(sent);
        }
    }
    match admitted {
        Ok(caller) => pass_on(&right.gate.app, right.endpoint.name, caller, request, next).await,
        Err(problem) => Exchange::begin(&right.gate.app, right.endpoint.name).refuse(problem, None),
    }
}
