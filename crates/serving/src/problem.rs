//! Errors as RFC 9457 problem documents, with the codes that `botops explain` describes.

use axum::{
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use botops_findings::{Fault, FaultKind, catalogue};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The document as it is sent.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document {
    /// The code as a URN, such as `urn:botops:BOT-6012`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The title of the code.
    pub(super) title: String,
    /// The HTTP status.
    pub(super) status: u16,
    /// The message.
    pub(super) detail: String,
    /// The stable code.
    pub(super) code: String,
    /// The exit code of a command that fails with this code.
    pub(super) exit: u8,
    /// The hints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) hints: Vec<String>,
    /// The values of the body that are not valid, as far as it is known which they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) errors: Vec<FieldError>,
}

impl Document {
    fn new(status: StatusCode, fault: &Fault) -> Self {
        let code = fault.code();
        Self {
            kind: format!("urn:botops:{code}"),
            title: catalogue::find(code).map_or_else(String::new, |entry| entry.title.to_owned()),
            status: status.as_u16(),
            detail: fault.message().to_owned(),
            code: code.to_owned(),
            exit: fault.kind().exit_code(),
            hints: fault.hints().to_vec(),
            errors: Vec::new(),
        }
    }
}

/// A value of the body that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(super) struct FieldError {
    /// Its place, as a JSON pointer of RFC 6901: `/texts/3`, or empty for the body.
    pub(super) pointer: String,
    /// The problem.
    pub(super) message: String,
}

/// A fault and the HTTP status of its answer.
#[derive(Debug)]
pub(super) struct Problem {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// The fault.
    pub(super) fault: Fault,
    /// The values of the body that are not valid.
    errors: Vec<FieldError>,
    /// The credentials that would do.
    challenge: Option<Challenge>,
    /// The time after which the client may try again; the answer gives it in whole seconds, rounded up.
    pub(super) retry_after: Option<Duration>,
}

/// The credentials that a refused request would need: `WWW-Authenticate` of RFC 6750.
#[derive(Debug)]
pub(super) enum Challenge {
    /// Any.
    Credentials,
    /// Others than those sent.
    Invalid,
    /// Those with one of these scopes, separated by spaces.
    MissingScope(String),
}

impl Challenge {
    fn header(&self) -> HeaderValue {
        let text = match self {
            Self::Credentials => return HeaderValue::from_static("Bearer"),
            Self::Invalid => return HeaderValue::from_static("Bearer error=\"invalid_token\""),
            Self::MissingScope(scopes) => {
                format!("Bearer error=\"insufficient_scope\", scope=\"{scopes}\"")
            }
        };
        HeaderValue::from_str(&text).expect("the names of scopes are a valid header")
    }
}

impl Problem {
    /// Gives `fault` the status `status` instead of that of its family.
    pub(super) fn new(status: StatusCode, fault: Fault) -> Self {
        Self { status, fault, errors: Vec::new(), challenge: None, retry_after: None }
    }

    /// Names the value of the body that is not valid.
    pub(super) fn at(mut self, pointer: String) -> Self {
        let message = self.fault.message().to_owned();
        self.errors.push(FieldError { pointer, message });
        self
    }

    /// Names the credentials that would do.
    pub(super) fn challenge(mut self, challenge: Challenge) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// Tells the client to try again after `time`.
    pub(super) fn retry_after(self, time: Duration) -> Self {
        Self { retry_after: Some(time), ..self }
    }

    /// Returns the document.
    pub(super) fn document(&self) -> Document {
        Document { errors: self.errors.clone(), ..Document::new(self.status, &self.fault) }
    }

    /// Returns the document of `fault` with the status `status`, as JSON.
    pub(super) fn document_of(status: StatusCode, fault: &Fault) -> String {
        serde_json::to_string(&Document::new(status, fault))
            .expect("a problem can be written as JSON")
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let status = match fault.code() {
            "BOT-7411" => StatusCode::PAYLOAD_TOO_LARGE,
            "BOT-7414" => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "BOT-7232" | "BOT-7233" | "BOT-7400" | "BOT-5011" | "BOT-5012" | "BOT-6016"
            | "BOT-6034" | "BOT-6036" => StatusCode::NOT_FOUND,
            "BOT-6022" => StatusCode::PRECONDITION_FAILED,
            // The body is well formed and holds a value that cannot be used, or a key that belongs to another request.
            "BOT-1034" | "BOT-5010" | "BOT-6001" | "BOT-6003" | "BOT-6009" | "BOT-6046"
            | "BOT-7231" | "BOT-7410" | "BOT-7412" | "BOT-6240" | "BOT-6053" | "BOT-6072"
            | "BOT-6084" => StatusCode::UNPROCESSABLE_ENTITY,
            "BOT-6024" => StatusCode::CONFLICT,
            "BOT-6033" | "BOT-1081" => StatusCode::UNAUTHORIZED,
            _ => match fault.kind() {
                FaultKind::Usage => StatusCode::BAD_REQUEST,
                FaultKind::Gate | FaultKind::Insufficient => StatusCode::UNPROCESSABLE_ENTITY,
                FaultKind::Conflict => StatusCode::CONFLICT,
                FaultKind::Policy => StatusCode::FORBIDDEN,
                FaultKind::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
                FaultKind::Internal | FaultKind::Interrupted | FaultKind::Terminated => {
                    StatusCode::INTERNAL_SERVER_ERROR
                }
            },
        };
        Self::new(status, fault)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.document()).expect("a problem can be written as JSON");
        let mut response = (self.status, body).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(time) = self.retry_after {
            let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let challenge = match self.challenge {
            None if self.status == StatusCode::UNAUTHORIZED => Some(Challenge::Credentials),
            challenge => challenge,
        };
        if let Some(challenge) = challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.header());
        }
        response
    }
}

/// Answers a request that panicked. The server goes on.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    Problem::from(internal()).into_response()
}

/// The fault of a panic.
pub(super) fn internal() -> Fault {
    Fault::internal("BOT-6018", "the server failed on this request")
        .hint("try again; if it fails again, report it with the request id")
}

/// A listener, by the paths that it serves.
#[derive(Debug, Clone, Copy)]
pub(super) enum Listener {
    /// The one for clients.
    Public,
    /// The one for operators.
    Admin,
}

/// The problem of a path that is not served by `listener`.
pub(super) fn no_such_path(listener: Listener, path: &str) -> Problem {
    let fault = Fault::usage(
        "BOT-6016",
        match listener {
            Listener::Public => {
                format!("this server has no path `{}`", botops_text::display(path, 80))
            }
            Listener::Admin => {
                format!("the admin API has no path `{}`", botops_text::display(path, 80))
            }
        },
    );
    let fault = match listener {
        Listener::Public => fault
            .hint("the paths are `/v1/predict`, `/v1/chat`, `/v1/feedback`, `/health` and `/readiness`; `/docs` shows all")
            .hint("`/metrics` is on the admin listener, unless the server has `metrics: open`"),
        Listener::Admin => fault
            .hint("the paths are `/admin/v1/models`, `/admin/v1/models/{model}`, `/admin/v1/models/{model}/rollouts`, `/admin/v1/models/{model}/rollback`, `/admin/v1/rollouts/{id}`, `/admin/v1/rollouts/{id}/decision`, `/admin/v1/rollouts/{id}/events`, `/admin/v1/rollouts/{id}/weight`, `/admin/v1/rollouts/{id}/approvals`, `/admin/v1/rollouts/{id}/{command}`, `/admin/v1/freeze`, `/admin/v1/audit`, `/admin/v1/selftest`, `/admin/v1/plan`, `/admin/v1/openapi.json`, `/admin/v1/knowledge`, `/admin/v1/knowledge/{name}`, `/admin/v1/knowledge/{name}/documents`, `/admin/v1/knowledge/{name}/documents/{id}`, `/admin/v1/jobs`, `/admin/v1/jobs/{id}`, `/admin/v1/jobs/{id}/cancel`, `/admin/v1/jobs/{id}/retry` and `/metrics`")
            .hint("predictions are served at the other address"),
    };
    Problem::new(StatusCode::NOT_FOUND, fault)
}

/// The problem of a method that a path does not accept.
pub(super) fn no_such_method(method: &Method) -> Problem {
    let method = botops_text::display(method.as_str(), 20);
    let fault = Fault::usage("BOT-6017", format!("this path does not accept `{method}`"));
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, fault)
}
