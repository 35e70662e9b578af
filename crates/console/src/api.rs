//! The page of an HTTP API, from its OpenAPI document: every endpoint with its parameters, bodies and answers.

use crate::page::Page;
use serde_json::{Map, Value};
use std::fmt::Write as _;

const STYLE: &str = include_str!("../assets/api/style.css");

/// Returns the page of the API that `document` (OpenAPI 3.1, as JSON) describes. It needs no script: the parts of an endpoint
/// fold by themselves.
///
/// # Panics
/// If `document` is not an OpenAPI document.
#[must_use]
pub fn api_page(document: &str) -> Page {
    let document: Value = serde_json::from_str(document).expect("the document is JSON");
    let info = &document["info"];
    let (title, version) = (escaped(&info["title"]), escaped(&info["version"]));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<!--style-->\n\
         <body>\n<header><h1>{title} <small>{version}</small></h1>\n<p>{}</p>\n\
         <p>For programs: <a href=\"/openapi.json\">openapi.json</a></p></header>\n<main>\n<h2 id=\"endpoints\">Endpoints</h2>\n",
        prose(&info["description"])
    );
    for (path, item) in members(&document["paths"]) {
        for (method, operation) in members(item) {
            endpoint(&mut html, (&method.to_uppercase(), path), operation, &document);
        }
    }
    html.push_str("<h2 id=\"types\">Types</h2>\n");
    for (name, schema) in members(&document["components"]["schemas"]) {
        let name = escape(name);
        let _ = writeln!(html, "<section class=\"type\" id=\"type-{name}\"><h3>{name}</h3>");
        if schema["description"].is_string() {
            let _ = writeln!(html, "<p>{}</p>", prose(&schema["description"]));
        }
        fields(&mut html, schema);
        html.push_str("</section>\n");
    }
    html.push_str("</main>\n</body>\n</html>\n");
    Page::without_script(&html, STYLE)
}

/// Adds an endpoint.
fn endpoint(html: &mut String, (method, path): (&str, &str), operation: &Value, document: &Value) {
    let path = escape(path);
    let _ = writeln!(
        html,
        "<details class=\"endpoint\"><summary><b class=\"{}\">{method}</b> <code>{path}</code> {}</summary>",
        method.to_lowercase(),
        prose(&operation["summary"])
    );
    let scopes: Vec<String> = operation["security"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["bearer"][0].as_str())
        .map(|scope| format!("<code>{}</code>", escape(scope)))
        .collect();
    if !scopes.is_empty() {
        let _ = writeln!(html, "<p>Scope: {}</p>", scopes.join(" or "));
    }
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !parameters.is_empty() {
        html.push_str("<h4>Parameters</h4>\n<dl>\n");
        for one in parameters {
            let (name, place) = (escaped(&one["name"]), escaped(&one["in"]));
            let about = prose(&one["description"]);
            let _ = writeln!(html, "<dt><code>{name}</code> <i>{place}</i></dt><dd>{about}</dd>");
        }
        html.push_str("</dl>\n");
    }
    for (kind, content) in members(&operation["requestBody"]["content"]) {
        let kind = escape(kind);
        let _ = writeln!(
            html,
            "<h4>Body <code>{kind}</code></h4>\n<p>{}</p>",
            type_of(&content["schema"])
        );
        if !content["example"].is_null() {
            let example = match &content["example"] {
                Value::String(text) => text.clone(),
                other => serde_json::to_string_pretty(other).unwrap_or_default(),
            };
            let _ = writeln!(html, "<pre>{}</pre>", escape(&example));
        }
    }
    html.push_str("<h4>Answers</h4>\n<dl>\n");
    for (status, answer) in members(&operation["responses"]) {
        let answer = match answer["$ref"].as_str().and_then(|at| document.pointer(&at[1..])) {
            Some(shared) => shared,
            None => answer,
        };
        let types: Vec<String> = members(&answer["content"])
            .map(|(kind, content)| {
                format!("<code>{}</code> {}", escape(kind), type_of(&content["schema"]))
            })
            .collect();
        let (status, about) = (escape(status), prose(&answer["description"]));
        let _ = writeln!(html, "<dt>{status}</dt><dd>{about} {}</dd>", types.join(", "));
    }
    html.push_str("</dl></details>\n");
}

/// Adds the members of an object.
fn fields(html: &mut String, schema: &Value) {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let parts = schema["allOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    for part in parts {
        if part["$ref"].is_string() {
            let _ = writeln!(html, "<p>The members of {}, and:</p>", type_of(part));
        } else {
            fields(html, part);
        }
    }
    if members(&schema["properties"]).next().is_none() {
        return;
    }
    html.push_str("<dl>\n");
    for (name, member) in members(&schema["properties"]) {
        let mark = if required.contains(&name.as_str()) { " <i>required</i>" } else { "" };
        let (name, about) = (escape(name), prose(&member["description"]));
        let _ = writeln!(
            html,
            "<dt><code>{name}</code> {}{mark}</dt><dd>{about}</dd>",
            type_of(member)
        );
    }
    html.push_str("</dl>\n");
}

/// Returns a schema in a few words.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|at| at.rsplit('/').next()) {
        let name = escape(name);
        return format!("<a href=\"#type-{name}\">{name}</a>");
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(parts) = schema[key].as_array() {
            return parts.iter().map(type_of).collect::<Vec<_>>().join(" or ");
        }
    }
    let name = match &schema["type"] {
        Value::Array(types) => {
            types.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        Value::String(name) => name.clone(),
        _ => return "any value".to_owned(),
    };
    match schema["items"].is_object() {
        true => format!("{} of {}", escape(&name), type_of(&schema["items"])),
        false => escape(&name),
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn escaped(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Returns a text whose parts between backticks are code.
fn prose(value: &Value) -> String {
    let text = escaped(value);
    let mut html = String::new();
    for (i, part) in text.split('`').enumerate() {
        match i % 2 {
            1 => drop(write!(html, "<code>{part}</code>")),
            _ => html.push_str(part),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_page_is_made_from_the_document_and_nothing_in_it_is_markup() {
        let document = json!({
            "info": {"title": "<b>A</b>", "version": "1", "description": "Takes `a & b`."},
            "paths": {"/v1/{id}": {"post": {
                "summary": "Do it",
                "security": [{"bearer": ["chat"]}, {}],
                "parameters": [{"name": "id", "in": "path", "description": "The \"id\"."}],
                "requestBody": {"content": {"application/json": {
                    "schema": {"$ref": "#/components/schemas/Thing"}, "example": {"a": "</pre>"},
                }}},
                "responses": {"200": {"$ref": "#/components/responses/Fine"}},
            }}},
            "components": {
                "responses": {"Fine": {"description": "Fine.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
                "schemas": {"Thing": {"required": ["a"], "properties": {
                    "a": {"type": ["string", "null"], "description": "An <i>a</i>."},
                    "b": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
                }}},
            },
        });
        let page = api_page(&document.to_string());
        for part in [
            "&lt;b&gt;A&lt;/b&gt;",
            "Takes <code>a &amp; b</code>.",
            "<b class=\"post\">POST</b> <code>/v1/{id}</code> Do it",
            "Scope: <code>chat</code>",
            "The &quot;id&quot;.",
            "<a href=\"#type-Thing\">Thing</a>",
            "&lt;/pre&gt;",
            "<dt>200</dt><dd>Fine. <code>text/plain</code> string</dd>",
            "<dt><code>a</code> string or null <i>required</i></dt><dd>An &lt;i&gt;a&lt;/i&gt;.</dd>",
            "<dt><code>b</code> array of <a href=\"#type-Thing\">Thing</a></dt>",
        ] {
            assert!(page.html().contains(part), "{part} in {}", page.html());
        }
        assert!(!page.html().contains("<script"));
        assert!(page.policy().starts_with("default-src 'none'; style-src 'sha256-"));
        assert_eq!(page, api_page(&document.to_string()), "the same document, the same page");
    }
}
