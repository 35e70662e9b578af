//! The admission of a request by rate limits: by its address, its caller, and its conversation.

use crate::{
    app::App,
    exchange::Exchange,
    problem::Problem,
    rate_limit::{self, Decision},
};
use axum::{
    extract::{ConnectInfo, Request},
    middleware::Next,
    response::Response,
};
use botops_access::{Applied, CallerKind, PublicCaller, Sender, Verdict};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The address of a request without one: all of those share a limit.
const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The address of the client of a request, behind trusted proxies that of their client.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientAddress(pub(super) IpAddr);

/// Returns the route of a path, as limits and the request log name it; `None` for one without limits: health, readiness
/// and metrics are read by probes, which must see an overload, and not add to it.
pub(super) fn limited_route(path: &str) -> Option<&'static str> {
    match path {
        "/health" | "/livez" | "/readiness" | "/readyz" | "/metrics" => None,
        "/v2/health/live" | "/v2/health/ready" => None,
        "/v1/predict" | "/model/parse" => Some("predict"),
        path if path == "/v2" || path.starts_with("/v2/models/") => Some("predict"),
        "/v1/chat" | "/v1/ws" | "/webhooks/rest/webhook" => Some("chat"),
        "/v1/feedback" => Some("feedback"),
        "/v1/search" => Some("search"),
        path if path.starts_with("/channels/") => Some("channels"),
        "/openapi.json" | "/docs" => Some("docs"),
        "/" | "/widget.js" => Some("chat_page"),
        _ => Some("unknown"),
    }
}

/// Admits a request by its address, which it carries from here on as [`ClientAddress`]. Returns the verdict, if a limit
/// applies.
///
/// # Errors
/// The answer to a request that is refused.
pub(super) fn by_address(
    app: &App,
    request: &mut Request,
) -> Result<Option<Verdict>, Box<Response>> {
    let Some(route) = limited_route(request.uri().path()) else { return Ok(None) };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(NO_ADDRESS, |peer| peer.0.ip());
    let address = app.rate_limits.client(peer, request.headers());
    request.extensions_mut().insert(ClientAddress(address));
    let decision = app.rate_limits.take_here(app.rate_limits.limits().of_address(address));
    match decision.problem {
        None => Ok(decision.verdict),
        Some(problem) => {
            let exchange = Exchange::begin(app, route);
            exchange.limited_by(decision.verdict);
            Err(Box::new(exchange.refuse(problem, None)))
        }
    }
}

/// Admits a request of `caller` to `route` by the rates of both, and passes it on with its caller.
///
/// With shared limits, the address counts here as well, in the same question.
pub(super) async fn pass_on(
    app: &App,
    route: &'static str,
    caller: PublicCaller,
    mut request: Request,
    next: Next,
) -> Response {
    let limiting = &app.rate_limits;
    let is_limited = limited_route(request.uri().path()).is_some()
        && (limiting.is_shared() || limiting.limits().limits_callers());
    let verdict = if is_limited {
        let address = request.extensions().get::<ClientAddress>().map(|it| it.0);
        let decision = by_caller(app, route, &caller, address.unwrap_or(NO_ADDRESS)).await;
        if let Some(problem) = decision.problem {
            let exchange = Exchange::begin(app, route);
            exchange.limited_by(decision.verdict);
            return exchange.refuse(problem, None);
        }
        decision.verdict
    } else {
        None
    };
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    let carried = response.extensions().get::<Verdict>().copied();
    if let (Some(_), Some(tightest)) = (verdict, tightest(verdict, carried)) {
        response.extensions_mut().insert(tightest);
    }
    response
}

/// Admits one more request of `caller` to `route` that came over a connection that was admitted before, by the rates of its
/// address and its caller.
///
/// # Errors
/// `BOT-1095` (429) one has used its rate up; `BOT-1096` (503).
pub(super) async fn once_more(
    app: &App,
    route: &str,
    caller: &PublicCaller,
    address: Option<ClientAddress>,
) -> Result<(), Problem> {
    let address = address.map_or(NO_ADDRESS, |it| it.0);
    let limiting = &app.rate_limits;
    let here = limiting.take_here(limiting.limits().of_address(address));
    match here.problem {
        Some(problem) => Err(problem),
        None => by_caller(app, route, caller, address).await.problem.map_or(Ok(()), Err),
    }
}

async fn by_caller(app: &App, route: &str, caller: &PublicCaller, address: IpAddr) -> Decision {
    let limiting = &app.rate_limits;
    let sender = Sender { caller: named(caller), address };
    let of_address = limiting.limits().of_address(address).filter(|_| limiting.is_shared());
    let applied: Vec<_> =
        of_address.into_iter().chain(limiting.limits().of_caller(route, &sender)).collect();
    decide(app, applied).await
}

/// Returns the kind and the name of a caller; `None` for an anonymous one.
fn named(caller: &PublicCaller) -> Option<(&'static str, &str)> {
    let kind = match caller.kind {
        CallerKind::Anonymous => return None,
        CallerKind::Key => "key",
        CallerKind::Token => "token",
        CallerKind::SharedToken => "shared",
    };
    Some((kind, &*caller.id))
}

/// Admits a message in a conversation of the caller of `exchange`.
///
/// # Errors
/// `BOT-1095` (429) the conversation has used its rate up; `BOT-1096` (503).
pub(super) async fn by_conversation(
    exchange: &Exchange<'_>,
    conversation_id: Option<&str>,
) -> Result<(), Problem> {
    let limits = exchange.app.rate_limits.limits();
    let caller = exchange.caller.and_then(named);
    let Some(applied) = conversation_id.and_then(|id| limits.of_conversation(caller, id)) else {
        return Ok(());
    };
    let decision = decide(exchange.app, vec![applied]).await;
    exchange.limited_by(decision.verdict);
    decision.problem.map_or(Ok(()), Err)
}

async fn decide(app: &App, applied: Vec<Applied<'_>>) -> Decision {
    if applied.is_empty() {
        return Decision::default();
    }
    let mut decision = app.rate_limits.take(&applied).await;
    if let Some(change) = decision.change.take() {
        app.log.event(app.clock.now(), change.level, "limits", change.message);
    }
    decision
}

fn tightest(one: Option<Verdict>, other: Option<Verdict>) -> Option<Verdict> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.tighter(other)),
        (one, other) => one.or(other),
    }
}

/// Writes the tightest verdict on a request into the headers of its answer: that of its address, and the one that the answer
/// carries.
pub(super) fn write_verdict(of_address: Option<Verdict>, response: &mut Response) {
    let carried = response.extensions().get::<Verdict>().copied();
    if let Some(verdict) = tightest(of_address, carried) {
        rate_limit::write(&verdict, response.headers_mut());
    }
}
