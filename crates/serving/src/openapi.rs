//! OpenAPI 3.1 documents of HTTP APIs, built from the endpoints that the router is built from and the types that it reads
//! and writes.
//!
//! An API describes each endpoint as a [`Described`]; [`document`] adds the answers that every endpoint shares: problem
//! documents by status, and the header `X-Request-Id`. No description, no document: a test of each API compares it with its
//! table of endpoints.

use crate::problem::Document as ProblemDocument;
use axum::http::{Method, StatusCode};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{
    ToSchema,
    openapi::{
        Components, Content, ContentBuilder, Header, HeaderBuilder, InfoBuilder, ObjectBuilder,
        OpenApiBuilder, PathItem, Paths, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
        Server, Type,
        path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::{RequestBody, RequestBodyBuilder},
        schema::AnyOfBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

/// The media type of bodies.
const JSON: &str = "application/json";
/// The media type of server-sent events.
const EVENT_STREAM: &str = "text/event-stream";
/// The media type of problem documents.
const PROBLEM_JSON: &str = "application/problem+json";
/// The name of the scheme of bearer tokens.
const BEARER: &str = "bearer";

/// The statuses of problems, and what each says of the request.
const PROBLEMS: [(StatusCode, &str, &str); 15] = [
    (
        StatusCode::BAD_REQUEST,
        "BadRequest",
        "The query, a header or the body cannot be read. Nothing was changed.",
    ),
    (StatusCode::UNAUTHORIZED, "Unauthorized", "The bearer token is missing, or is not accepted."),
    (
        StatusCode::FORBIDDEN,
        "Forbidden",
        "A scope is missing, or the policy of the environment refuses the request.",
    ),
    (StatusCode::NOT_FOUND, "NotFound", "The path, or something that it names, does not exist."),
    (
        StatusCode::CONFLICT,
        "Conflict",
        "The state does not allow it, or someone else was first: read the state again.",
    ),
    (
        StatusCode::PRECONDITION_FAILED,
        "PreconditionFailed",
        "`If-Match` names another revision than the current one.",
    ),
    (StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", "The body is larger than 64 KiB."),
    (
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UnsupportedMediaType",
        "The body is not declared as JSON.",
    ),
    (StatusCode::MISDIRECTED_REQUEST, "Misdirected", "`Host` is not a name of this server."),
    (
        StatusCode::UNPROCESSABLE_ENTITY,
        "Unprocessable",
        "The body is JSON and has another shape or a value that cannot be used, the key of the request belongs to another \
         request, or a gate did not pass.",
    ),
    (StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "The server failed on this request."),
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "Unavailable",
        "The store, an issuer of tokens or the model is not available: safe to send again.",
    ),
    (
        StatusCode::TOO_MANY_REQUESTS,
        "TooManyRequests",
        "A rate is used up: `Retry-After` and `RateLimit` say for how long.",
    ),
    (
        StatusCode::UPGRADE_REQUIRED,
        "UpgradeRequired",
        "The path speaks WebSocket, and the request does not.",
    ),
    (
        StatusCode::METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        "The path has other methods: see `Allow`.",
    ),
];

/// Problems that any endpoint can answer with.
const ANYWHERE: [StatusCode; 6] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::MISDIRECTED_REQUEST,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// Problems of a request with a body, besides [`ANYWHERE`].
const WITH_BODY: [StatusCode; 3] = [
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
];

/// An API, without its endpoints.
pub(crate) struct Api {
    /// The title.
    pub(crate) title: &'static str,
    /// The introduction, in Markdown.
    pub(crate) description: String,
    /// The credentials that a bearer token can be, in words.
    pub(crate) bearer: &'static str,
}

/// One endpoint, with the rights that it needs.
pub(crate) struct Operation {
    /// The method.
    pub(crate) method: Method,
    /// The path as the router matches it.
    pub(crate) path: &'static str,
    /// The rights of which one is needed.
    pub(crate) any_of: Vec<String>,
    /// Its description.
    pub(crate) described: Described,
}

/// The description of an endpoint.
pub(crate) struct Described {
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Parameter>,
    body: Option<RequestBody>,
    answers: Vec<(StatusCode, Response)>,
    problems: Vec<StatusCode>,
    is_open: bool,
}

impl Described {
    /// Describes an endpoint by its name for programs, such as `startRollout`, and in a sentence.
    pub(crate) fn new(id: &'static str, summary: &'static str) -> Self {
        let (parameters, answers, problems) = (Vec::new(), Vec::new(), Vec::new());
        Self { id, summary, parameters, body: None, answers, problems, is_open: false }
    }

    /// Adds a parameter.
    pub(crate) fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Adds a body, which may be left out unless it is `required`, with an example.
    pub(crate) fn body(
        mut self,
        required: Required,
        schema: RefOr<Schema>,
        example: Value,
    ) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).example(Some(example)).build();
        let body = RequestBodyBuilder::new().required(Some(required));
        self.body = Some(body.content(JSON, content).build());
        self.problems.extend(WITH_BODY);
        self
    }

    /// Adds a body of the media type `multipart/form-data`.
    pub(crate) fn form(mut self, schema: RefOr<Schema>) -> Self {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let body = RequestBodyBuilder::new().required(Some(Required::True));
        self.body = Some(body.content("multipart/form-data", content).build());
        self.problems.extend(WITH_BODY);
        self
    }

    /// Lets a body be of the media type `kind`, too. It has no example: programs that send the examples of a document write
    /// them as JSON.
    pub(crate) fn or_body(mut self, kind: &str, schema: RefOr<Schema>) -> Self {
        if let Some(body) = &mut self.body {
            body.content.insert(kind.to_owned(), Content::new(Some(schema)));
        }
        self
    }

    /// Says that a server may answer without credentials.
    pub(crate) fn open(mut self) -> Self {
        self.is_open = true;
        self
    }

    /// Adds an answer.
    pub(crate) fn answer(mut self, status: StatusCode, answer: Response) -> Self {
        self.answers.push((status, answer));
        self
    }

    /// Adds the statuses of problems that not every endpoint has.
    pub(crate) fn problems(mut self, problems: &[StatusCode]) -> Self {
        self.problems.extend(problems);
        self
    }
}

/// The schemas of the types that a document names.
#[derive(Default)]
pub(crate) struct Schemas(BTreeMap<String, RefOr<Schema>>);

impl Schemas {
    /// Adds `T` with all types in it, and returns a reference to it.
    ///
    /// # Panics
    /// If another type has the same name; a test builds every document.
    pub(crate) fn of<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let mut found = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut found);
        for (name, schema) in found {
            let known = self.0.entry(name.clone()).or_insert_with(|| schema.clone());
            assert!(*known == schema, "two types are called `{name}`");
        }
        Ref::from_schema_name(T::name()).into()
    }
}

/// Returns a schema that either of two fits.
pub(crate) fn either(one: RefOr<Schema>, other: RefOr<Schema>) -> RefOr<Schema> {
    AnyOfBuilder::new().item(one).item(other).into()
}

/// Returns a schema of texts that match `pattern`.
pub(crate) fn text(pattern: &str) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).into()
}

/// Returns a schema of whole numbers of 64 bits.
pub(crate) fn number() -> RefOr<Schema> {
    let number = ObjectBuilder::new().schema_type(Type::Integer);
    number.minimum(Some(0)).maximum(Some(usize::MAX)).into()
}

/// Returns a parameter.
pub(crate) fn parameter(
    (place, name): (ParameterIn, &str),
    schema: RefOr<Schema>,
    description: &str,
    example: impl Into<Value>,
) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .schema(Some(schema))
        .description(Some(description))
        .example(Some(example.into()))
        .build()
}

/// Returns an answer with a JSON body.
pub(crate) fn json(description: &str, schema: RefOr<Schema>) -> ResponseBuilder {
    let content = Content::new(Some(schema));
    identified(ResponseBuilder::new().description(description).content(JSON, content))
}

/// Returns an answer of server-sent events with these names. The schema is that of one event, with its `data` as text.
pub(crate) fn events(description: &str, names: &[&str], data: &str) -> ResponseBuilder {
    let of = |builder: ObjectBuilder| builder.schema_type(Type::String);
    let event = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("id", of(ObjectBuilder::new()).pattern(Some("^[0-9]+$")))
        .property("event", of(ObjectBuilder::new()).enum_values(Some(names.to_vec())))
        .property("data", of(ObjectBuilder::new()).content_media_type(JSON).description(Some(data)))
        .required("id")
        .required("event")
        .required("data");
    let content = Content::new(Some(RefOr::T(Schema::from(event))));
    identified(ResponseBuilder::new().description(description).content(EVENT_STREAM, content))
}

/// Adds the server-sent events with these names to an answer that is JSON otherwise.
pub(crate) fn or_events(answer: ResponseBuilder, names: &[&str], data: &str) -> ResponseBuilder {
    let of = |builder: ObjectBuilder| builder.schema_type(Type::String);
    let event = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("event", of(ObjectBuilder::new()).enum_values(Some(names.to_vec())))
        .property("data", of(ObjectBuilder::new()).content_media_type(JSON).description(Some(data)))
        .required("event")
        .required("data");
    answer.content(EVENT_STREAM, Content::new(Some(RefOr::T(Schema::from(event)))))
}

/// Returns an answer of text of the media type `kind`.
pub(crate) fn text_of(description: &str, kind: &str) -> ResponseBuilder {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    let content = Content::new(Some(schema));
    identified(ResponseBuilder::new().description(description).content(kind, content))
}

/// Returns a header of an answer.
pub(crate) fn header(schema: RefOr<Schema>, description: &str) -> Header {
    HeaderBuilder::new().schema(schema).description(Some(description)).build()
}

/// Adds the header that every answer has.
fn identified(answer: ResponseBuilder) -> ResponseBuilder {
    let id = header(text("^[0-9a-f]{48}$"), "The id of the request, as in the log.");
    answer.header("X-Request-Id", id)
}

/// Returns the document of `api` as JSON.
pub(crate) fn document(api: &Api, operations: Vec<Operation>, mut schemas: Schemas) -> Value {
    let problem = schemas.of::<ProblemDocument>();
    let mut components = Components::new();
    for (status, name, description) in PROBLEMS {
        let content = Content::new(Some(problem.clone()));
        let answer = ResponseBuilder::new().description(description).content(PROBLEM_JSON, content);
        let answer = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let challenge = "The credentials that would do (RFC 6750).";
                answer.header("WWW-Authenticate", header(text("^Bearer( |$)"), challenge))
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                answer.header("Allow", header(text("^[A-Z, ]+$"), "The methods of the path."))
            }
            _ => answer,
        };
        components.responses.insert(name.to_owned(), identified(answer).build().into());
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(api.bearer));
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    components.schemas = schemas.0;
    let mut paths = Paths::new();
    for operation in operations {
        let path = operation.path.to_owned();
        let item = item(operation);
        match paths.paths.get_mut(&path) {
            Some(known) => known.merge_operations(item),
            None => drop(paths.paths.insert(path, item)),
        }
    }
    let info = InfoBuilder::new()
        .title(api.title)
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(&api.description));
    let document = OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([Server::new("/")]))
        .paths(paths)
        .components(Some(components))
        .build();
    let mut json = serde_json::to_value(document).expect("a document can be written as JSON");
    without_rust(&mut json);
    json
}

fn item(operation: Operation) -> PathItem {
    let Operation { method, any_of, described, .. } = operation;
    let Described { id, summary, parameters, body, answers, mut problems, is_open } = described;
    problems.extend(ANYWHERE);
    let mut built = OperationBuilder::new()
        .operation_id(Some(id))
        .summary(Some(summary))
        .parameters(Some(parameters))
        .request_body(body);
    for scope in any_of {
        built = built.security(SecurityRequirement::new(BEARER, [scope]));
    }
    if is_open {
        built = built.security(SecurityRequirement::default());
    }
    let mut has = Vec::new();
    for (status, answer) in answers {
        has.push(status);
        built = built.response(status.as_str(), answer);
    }
    for (status, name, _) in PROBLEMS {
        if problems.contains(&status) && !has.contains(&status) {
            built = built.response(status.as_str(), Ref::from_response_name(name));
        }
    }
    let method = match method.as_str() {
        "GET" => HttpMethod::Get,
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "DELETE" => HttpMethod::Delete,
        "PATCH" => HttpMethod::Patch,
        other => unreachable!("no endpoint has the method `{other}`"),
    };
    PathItem::new(method, built)
}

/// Returns the content of a problem document, for an answer that has another content too.
pub(crate) fn problem_content(schemas: &mut Schemas) -> (&'static str, Content) {
    (PROBLEM_JSON, Content::new(Some(schemas.of::<ProblemDocument>())))
}

/// Rewrites the links of doc comments in descriptions: ``[`Self::rate`]`` is `rate` to a reader of the document.
fn without_rust(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if matches!(name.as_str(), "description" | "summary") => {
                        *text = text
                            .replace("[`", "`")
                            .replace("`]", "`")
                            .replace("Self::", "")
                            .replace("crate::", "")
                            .replace("`None`", "`null`")
                            .replace('\n', " ")
                            .replace("  ", " ");
                    }
                    member => without_rust(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_rust),
        _ => {}
    }
}
