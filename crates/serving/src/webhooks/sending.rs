//! One attempt to deliver an event.

use super::{pace::Pace, receiver::Receiver};
use crate::log_event::LogEvent;
use botops_findings::Result;
use botops_http::{Client, ClientSpec, Proxy, Redirects, header, signed, why_unreachable};
use botops_telemetry::Span;

/// Makes the client of all receivers: bounded in time, and without redirects.
///
/// # Errors
/// `BOT-1018` (exit 1) the root certificates of the system cannot be read.
pub(super) fn client(pace: &Pace) -> Result<Client> {
    botops_http::client(&ClientSpec {
        answer: Some(pace.answer),
        silence: None,
        redirects: Redirects::Refused,
        proxy: Proxy::Environment,
    })
}

/// Sends `event` of `environment` to `receiver`. `timestamp` is the time of the attempt, in seconds of Unix time; `span` is the
/// span of the attempt, which the receiver goes on with.
///
/// The status decides; the body of the response is not read.
///
/// # Errors
/// The problem in words, without the address.
pub(super) async fn send(
    http: &Client,
    receiver: &Receiver,
    (environment, event): (&str, &LogEvent),
    (timestamp, mut span): (i64, Option<Span>),
) -> Result<(), String> {
    let id = message_id(environment, event);
    let request =
        http.post(receiver.url().clone()).header(header::CONTENT_TYPE, "application/json");
    let mut request = signed(request, receiver.keys(), (&id, timestamp), event.to_json());
    for (name, value) in span.iter().flat_map(Span::headers) {
        request = request.header(name, value);
    }
    let sent = match request.send().await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) if answer.status().is_redirection() => {
            Err(format!("it answers with the redirect {}, which is not followed", answer.status()))
        }
        Ok(answer) => Err(format!("it answers {}", answer.status().as_u16())),
        Err(error) => Err(why_unreachable(&error).to_owned()),
    };
    if let (Err(problem), Some(span)) = (&sent, &mut span) {
        span.fail(problem.clone());
    }
    sent
}

/// Returns the id of an event: the same in every attempt, and unique among the environments of a registry.
pub(super) fn message_id(environment: &str, event: &LogEvent) -> String {
    format!("{environment}-{}", event.number)
}
