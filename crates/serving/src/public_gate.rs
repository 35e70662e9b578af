//! The way into the public API: who a request is from, and whether that is enough for its endpoint.

use crate::{app::App, exchange::Exchange, problem::Problem, public_endpoints::PublicEndpoint};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use botops_access::{PublicCaller, ScopeSet};
use std::sync::Arc;

/// The check of requests of the public API.
pub(super) struct PublicGate {
    app: Arc<App>,
    /// The caller of a request without credentials, on an open server.
    everyone: PublicCaller,
}

impl PublicGate {
    /// Makes the gate of a server that is open to everyone.
    pub(super) fn open(app: &Arc<App>) -> Arc<Self> {
        let scopes = ScopeSet::of(&PublicCaller::OF_EVERYONE);
        Arc::new(Self { app: Arc::clone(app), everyone: PublicCaller::anonymous(scopes) })
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

    /// Checks that `caller` has a scope of the endpoint.
    fn check(&self, caller: &PublicCaller) -> Result<(), Problem> {
        if self.endpoint.any_of.is_empty() || caller.scopes.has_any(self.any_of) {
            return Ok(());
        }
        Err(self.endpoint.missing_scope(caller.scopes).into())
    }
}

/// Lets a request pass whose caller has a scope of the endpoint; from here on it carries its [`PublicCaller`].
pub(super) async fn admitted(
    State(right): State<Arc<PublicRight>>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = right.gate.everyone.clone();
    if let Err(problem) = right.check(&caller) {
        return Exchange::begin(&right.gate.app, right.endpoint.name).refuse(problem, None);
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}
