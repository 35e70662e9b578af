//! `botops doctor --ready`: one question to a server, as a container asks it about itself.

use crate::cli::session::context::Context;
use botops_findings::{Fault, Result};
use botops_http::{ClientSpec, Proxy, Redirects, StatusCode, Url, header, why_unreachable};
use serde::Serialize;
use std::time::Duration;

/// A server that is ready answers at once; orchestrators give up after a few seconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// A server that is ready says little; of any other answer, only the status is shown.
const SPEC: ClientSpec = ClientSpec {
    answer: Some(PATIENCE),
    silence: None,
    redirects: Redirects::Refused,
    proxy: Proxy::None,
};

/// A server that answers.
#[derive(Serialize)]
pub(super) struct Ready {
    /// The address that was asked, without credentials.
    pub(super) url: String,
    ready: bool,
}

/// Asks the server at `url`, such as `http://127.0.0.1:8080`, whether it is ready.
///
/// # Errors
/// - `BOT-1180` (exit 2): `url` is no address of a server
/// - `BOT-1181` (exit 7): it cannot be reached, or is not ready
pub(super) fn ask(context: &Context, url: &str) -> Result<Ready> {
    let no_address = || {
        Fault::usage("BOT-1180", "`--ready` takes the address of a server, without credentials")
            .hint("write its scheme, host and port, such as `http://127.0.0.1:8080`")
    };
    let server = Url::parse(url).map_err(|_| no_address())?;
    let is_address = matches!(server.scheme(), "http" | "https")
        && server.has_host()
        && server.username().is_empty()
        && server.password().is_none()
        && server.query().is_none()
        && server.fragment().is_none()
        && server.path() == "/";
    let question = server.join("readiness").ok().filter(|_| is_address).ok_or_else(no_address)?;
    let shown = server.as_str().trim_end_matches('/').to_owned();
    let request =
        botops_http::client(&SPEC)?.get(question).header(header::ACCEPT, "application/json");
    // The time-outs of a request begin inside the runtime.
    let why = match context.wait(async move { request.send().await })? {
        Ok(answer) if answer.status() == StatusCode::OK => {
            return Ok(Ready { url: shown, ready: true });
        }
        Ok(answer) => format!("it answered {}", answer.status()),
        Err(error) => why_unreachable(&error).to_owned(),
    };
    Err(Fault::unreachable("BOT-1181", format!("the server at {shown} is not ready: {why}"))
        .hint("see its log; a server is ready when its model was loaded and tested"))
}
