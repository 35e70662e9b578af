//! The check of an answer against an OpenAPI document, for tests: its status, its headers, its media type and its body.
//!
//! The check knows the keywords that the documents have, and refuses all others, so that none is passed over.

use crate::admin_openapi::admin_openapi;
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    middleware::Next,
    response::Response,
};
use chrono::DateTime;
use regex::Regex;
use serde_json::{Map, Value};

/// An answer to a request.
pub(crate) struct Answer<'a> {
    /// The method of the request.
    pub(crate) method: &'a str,
    /// The path of the request, with its query.
    pub(crate) path: &'a str,
    /// The status.
    pub(crate) status: u16,
    /// The headers, with names in small letters.
    pub(crate) headers: &'a [(String, String)],
    /// The body.
    pub(crate) body: &'a str,
}

/// Checks every answer of the admin API in the tests of this room.
///
/// # Panics
/// If the document does not allow an answer: the client gets none then.
pub(crate) async fn checked(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().to_string(), request.uri().to_string());
    let (parts, body) = next.run(request).await.into_parts();
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers: Vec<(String, String)> =
        parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    // A stream may not end.
    let is_stream = headers.contains(&("content-type".to_owned(), "text/event-stream".to_owned()));
    let (bytes, body) = match is_stream {
        true => (Vec::new(), body),
        false => {
            let bytes = to_bytes(body, usize::MAX).await.unwrap();
            (bytes.to_vec(), Body::from(bytes))
        }
    };
    let document = serde_json::from_str(admin_openapi()).unwrap();
    let status = parts.status.as_u16();
    let body_text = std::str::from_utf8(&bytes).unwrap();
    let answer =
        Answer { method: &method, path: &path, status, headers: &headers, body: body_text };
    if let Err(problem) = check(&document, &answer) {
        panic!("{method} {path}: {status} {body_text}\nis not as documented: {problem}");
    }
    Response::from_parts(parts, body)
}

/// Checks an answer.
///
/// # Errors
/// The part that the document does not allow.
pub(crate) fn check(document: &Value, answer: &Answer<'_>) -> Result<(), String> {
    let header = |name: &str| {
        answer.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    };
    let kind = header("content-type").ok_or("there is no content type")?;
    let kind = kind.split(';').next().unwrap_or_default();
    let path = answer.path.split('?').next().unwrap_or_default();
    let Some(operation) = operation(document, answer.method, path) else {
        let name = match answer.status {
            401 => "Unauthorized",
            404 => "NotFound",
            405 => "MethodNotAllowed",
            _ => return Err(format!("no endpoint answers {}", answer.status)),
        };
        let response = &document["components"]["responses"][name];
        return check_response(document, response, kind, answer);
    };
    let response = &operation["responses"][answer.status.to_string()];
    if response.is_null() {
        return Err(format!("the status {} is not documented", answer.status));
    }
    check_response(document, resolved(document, response), kind, answer)
}

fn check_response(
    document: &Value,
    response: &Value,
    kind: &str,
    answer: &Answer<'_>,
) -> Result<(), String> {
    let headers = response["headers"].as_object().ok_or("no headers are documented")?;
    for name in ["X-Request-Id", "ETag", "Location", "Allow", "WWW-Authenticate"] {
        let sent = answer.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        match (headers.get(name), sent) {
            (Some(header), Some((_, value))) => {
                validate(document, &header["schema"], &Value::from(value.as_str()))
                    .map_err(|problem| format!("`{name}`: {problem}"))?;
            }
            (None, Some(_)) => return Err(format!("the header `{name}` is not documented")),
            (Some(_), None) if name == "X-Request-Id" => {
                return Err("there is no `X-Request-Id`".to_owned());
            }
            _ => {}
        }
    }
    let content = &response["content"][kind];
    if content.is_null() {
        return Err(format!("the content type `{kind}` is not documented"));
    }
    if kind.ends_with("json") {
        let body: Value = serde_json::from_str(answer.body).map_err(|error| error.to_string())?;
        validate(document, &content["schema"], &body)?;
    }
    Ok(())
}

/// Returns the operation of a request; of several paths that match, the one with the fewest variables.
fn operation<'a>(document: &'a Value, method: &str, path: &str) -> Option<&'a Value> {
    let parts: Vec<&str> = path.split('/').collect();
    let matches = |template: &str| {
        let template: Vec<&str> = template.split('/').collect();
        let fits = |(of, part): (&&str, &&str)| of.starts_with('{') || of == part;
        template.len() == parts.len() && template.iter().zip(&parts).all(fits)
    };
    let found = document["paths"].as_object()?.iter().filter(|(template, _)| matches(template));
    let (_, item) = found.min_by_key(|(template, _)| template.matches('{').count())?;
    item.get(method.to_lowercase())
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(path) => {
            document.pointer(path.trim_start_matches('#')).expect("a part of the document")
        }
        None => schema,
    }
}

/// Checks a value against a schema.
///
/// # Errors
/// The keyword that it violates.
pub(crate) fn validate(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Some(keywords) = schema.as_object() else {
        return Err(format!("`{schema}` is no schema"));
    };
    for (keyword, of) in keywords {
        keyword_of(document, (keyword, of), keywords, value)?;
    }
    Ok(())
}

fn keyword_of(
    document: &Value,
    (keyword, of): (&str, &Value),
    all: &Map<String, Value>,
    value: &Value,
) -> Result<(), String> {
    let violated = || {
        let value: String = value.to_string().chars().take(200).collect();
        Err(format!("`{keyword}` is violated by {value}"))
    };
    let fits = |schema: &Value| validate(document, schema, value);
    let number = || value.as_f64().zip(of.as_f64());
    match keyword {
        "$ref" => fits(resolved(document, &Value::Object(all.clone())))?,
        "type" => {
            let has = |name: &Value| match name.as_str() {
                Some("null") => value.is_null(),
                Some("boolean") => value.is_boolean(),
                Some("integer") => value.is_i64() || value.is_u64(),
                Some("number") => value.is_number(),
                Some("string") => value.is_string(),
                Some("array") => value.is_array(),
                Some("object") => value.is_object(),
                _ => false,
            };
            if !of.as_array().map_or_else(|| has(of), |names| names.iter().any(has)) {
                return violated();
            }
        }
        "enum" if !of.as_array().is_some_and(|values| values.contains(value)) => return violated(),
        "required" if value.is_object() => {
            let missing = of.as_array().into_iter().flatten().filter_map(Value::as_str);
            if let Some(missing) = { missing }.find(|name| value.get(name).is_none()) {
                return Err(format!("`{missing}` is missing"));
            }
        }
        "properties" => {
            for (name, schema) in of.as_object().into_iter().flatten() {
                if let Some(member) = value.get(name) {
                    validate(document, schema, member)
                        .map_err(|problem| format!("{name}: {problem}"))?;
                }
            }
        }
        "additionalProperties" | "propertyNames" => {
            let known = all.get("properties").and_then(Value::as_object);
            for (name, member) in value.as_object().into_iter().flatten() {
                if keyword == "propertyNames" {
                    validate(document, of, &Value::from(name.as_str()))?;
                } else if known.is_none_or(|known| !known.contains_key(name)) {
                    match of {
                        Value::Bool(true) => {}
                        Value::Bool(false) => return Err(format!("`{name}` is not documented")),
                        schema => validate(document, schema, member)?,
                    }
                }
            }
        }
        "items" => {
            for item in value.as_array().into_iter().flatten() {
                validate(document, of, item)?;
            }
        }
        "minItems" | "maxItems" => {
            let n = value.as_array().map_or(0, Vec::len) as u64;
            let limit = of.as_u64().unwrap_or_default();
            if value.is_array() && if keyword == "minItems" { n < limit } else { n > limit } {
                return violated();
            }
        }
        "oneOf" | "anyOf" => {
            let schemas = of.as_array().ok_or("no list")?;
            let results: Vec<_> = schemas.iter().map(fits).collect();
            let n = results.iter().filter(|result| result.is_ok()).count();
            if n == 0 || keyword == "oneOf" && n > 1 {
                let why = results.into_iter().filter_map(Result::err).collect::<Vec<_>>();
                return Err(format!("{n} of `{keyword}` fit: {}", why.join("; ")));
            }
        }
        "allOf" => of.as_array().into_iter().flatten().try_for_each(fits)?,
        "minimum" if number().is_some_and(|(value, least)| value < least) => return violated(),
        "maximum" if number().is_some_and(|(value, most)| value > most) => return violated(),
        "exclusiveMinimum" if number().is_some_and(|(value, bound)| value <= bound) => {
            return violated();
        }
        "pattern" => {
            let pattern = Regex::new(of.as_str().unwrap_or_default()).map_err(|e| e.to_string())?;
            if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                return violated();
            }
        }
        "format" => {
            let is_time = |text| DateTime::parse_from_rfc3339(text).is_ok();
            match of.as_str() {
                Some("date-time") if !value.as_str().is_none_or(is_time) => return violated(),
                Some("date-time" | "int32" | "int64" | "double") => {}
                _ => return Err(format!("the format {of} is not known")),
            }
        }
        "enum" | "required" | "minimum" | "maximum" | "exclusiveMinimum" => {}
        "description" | "default" | "example" | "examples" => {}
        other => return Err(format!("the keyword `{other}` is not known")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_that_breaks_a_keyword_is_refused() {
        let document = json!({"components": {"schemas": {"Digits": {"type": "string", "pattern": "^[0-9]+$"}}}});
        let schema = json!({
            "type": "object",
            "required": ["id"],
            "additionalProperties": false,
            "properties": {
                "id": {"$ref": "#/components/schemas/Digits"},
                "at": {"type": ["string", "null"], "format": "date-time"},
                "counts": {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": 2},
                "kind": {"oneOf": [{"type": "null"}, {"type": "string", "enum": ["a", "b"]}]},
                "rates": {"type": "object", "additionalProperties": {"type": "number"}},
            },
        });
        let good =
            json!({"id": "12", "at": null, "counts": [1, 2], "kind": "b", "rates": {"x": 0.5}});
        validate(&document, &schema, &good).unwrap();
        for bad in [
            json!([]),
            json!({}),
            json!({"id": 12}),
            json!({"id": "x"}),
            json!({"id": "1", "other": 1}),
            json!({"id": "1", "at": "yesterday"}),
            json!({"id": "1", "counts": [1, 2, 3]}),
            json!({"id": "1", "counts": [-1]}),
            json!({"id": "1", "kind": "c"}),
            json!({"id": "1", "rates": {"x": "much"}}),
        ] {
            validate(&document, &schema, &bad).unwrap_err();
        }
        validate(&document, &json!({"not": {}}), &good).unwrap_err();
    }
}
