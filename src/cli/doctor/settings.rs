//! The settings in force, as `botops doctor` lists them.

use crate::cli::session::{context::Context, conversing};
use botops_workspace::{Origin, PublicAccess, SecretSource, Tls, Workspace};
use serde::Serialize;
use std::time::Duration;

/// A setting with its origin; secrets are redacted.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) value: Option<String>,
    pub(super) origin: String,
}

/// Returns the issuers of OIDC tokens, separated by commas; `None` if there are none.
fn issuers(workspace: &Workspace) -> Option<String> {
    let issuers = &workspace.admin_oidc.value;
    let names: Vec<&str> = issuers.iter().map(|it| it.issuer.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Returns the number of receivers of webhooks; `None` if there are none. An address may be a secret.
fn webhooks(workspace: &Workspace) -> Option<String> {
    match workspace.webhooks.value.len() {
        0 => None,
        1 => Some("1 receiver".to_owned()),
        n => Some(format!("{n} receivers")),
    }
}

/// Returns how servers monitor the environment; `None` if they do not.
fn monitoring(workspace: &Workspace) -> Option<String> {
    let block = &workspace.monitoring.value;
    let every = block.every.as_ref()?;
    let window = block.window.as_deref().unwrap_or("7d");
    let receivers = match block.webhooks.len() {
        0 => String::new(),
        1 => ", 1 receiver".to_owned(),
        n => format!(", {n} receivers"),
    };
    Some(format!("every {every}, windows of {window}{receivers}"))
}

/// Returns the log file; `None` without one.
fn log_file(workspace: &Workspace) -> Option<String> {
    workspace.log.value.file.as_ref().map(|file| file.display().to_string())
}

/// Returns who may call the public API; `None` if nobody decided.
fn access(workspace: &Workspace) -> Option<String> {
    match &workspace.access.value {
        PublicAccess::Undecided => None,
        PublicAccess::Open => Some("open".to_owned()),
        PublicAccess::Restricted { keys, jwt } => {
            let issuers = jwt.iter().map(|(spec, _)| format!("tokens of {}", spec.issuer));
            let keys = keys.then(|| "keys".to_owned());
            Some(keys.into_iter().chain(issuers).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Lists the settings by which a server protects itself.
pub(super) fn protection(workspace: &Workspace) -> Vec<Setting> {
    let shown = |name: &str, value: Option<String>, origin: &Origin| Setting {
        name: name.to_owned(),
        value,
        origin: origin_words(origin),
    };
    let list = |values: &[String]| (!values.is_empty()).then(|| values.join(", "));
    let limits = &workspace.request_limits;
    let routes: Vec<String> = limits.routes.value.keys().cloned().collect();
    let number = |value: Option<usize>| value.map(|value| value.to_string());
    let location = limits.shared.value.is_set().then(|| "[redacted]".to_owned());
    let text = |name: &str, setting: &botops_workspace::Setting<Option<String>>| {
        shown(name, setting.value.clone(), &setting.origin)
    };
    vec![
        shown(
            "server.trusted_proxies",
            list(&workspace.trusted_proxies.value),
            &workspace.trusted_proxies.origin,
        ),
        shown(
            "server.allowed_hosts",
            list(&workspace.allowed_hosts.value),
            &workspace.allowed_hosts.origin,
        ),
        shown("server.actions", list(&workspace.actions.value.allow), &workspace.actions.origin),
        shown(
            "server.cors.origins",
            list(&workspace.cors_origins.value),
            &workspace.cors_origins.origin,
        ),
        text("limits.per_key", &limits.per_key),
        text("limits.per_address", &limits.per_address),
        text("limits.per_conversation", &limits.per_conversation),
        shown("limits.routes", list(&routes), &limits.routes.origin),
        shown("limits.max_texts", number(limits.max_texts.value), &limits.max_texts.origin),
        shown(
            "limits.max_text_chars",
            number(limits.max_text_chars.value),
            &limits.max_text_chars.origin,
        ),
        text("limits.max_queue_delay", &limits.max_queue_delay),
        shown("limits.shared", location, &limits.shared.origin),
        text("limits.on_shared_failure", &limits.on_shared_failure),
        shown(
            "limits.max_json_depth",
            number(limits.max_json_depth.value),
            &limits.max_json_depth.origin,
        ),
    ]
}

/// Returns the path of a certificate.
fn certificate(tls: &Option<Tls>) -> Option<String> {
    tls.as_ref().map(|tls| tls.certificate.display().to_string())
}

/// Lists the limits of the server that are set.
pub(super) fn limits(workspace: &Workspace) -> Vec<Setting> {
    fn row<T>(
        name: &str,
        setting: &botops_workspace::Setting<Option<T>>,
        show: impl Fn(&T) -> String,
    ) -> Option<Setting> {
        let value = setting.value.as_ref().map(show)?;
        let name = format!("server.limits.{name}");
        Some(Setting { name, value: Some(value), origin: origin_words(&setting.origin) })
    }
    let count = |value: &u32| value.to_string();
    let time = |value: &Duration| humantime::format_duration(*value).to_string();
    let of = &workspace.limits;
    [
        row("connections", &of.connections, count),
        row("per_address", &of.per_address, count),
        row("handshake_timeout", &of.handshake_timeout, time),
        row("headers_timeout", &of.headers_timeout, time),
        row("request_timeout", &of.request_timeout, time),
        row("idle_timeout", &of.idle_timeout, time),
        row("write_timeout", &of.write_timeout, time),
        row("headers", &of.headers, count),
        row("header_bytes", &of.header_bytes, count),
        row("uri_bytes", &of.uri_bytes, count),
        row("websocket_ping", &of.websocket_ping, time),
        row("websocket_idle", &of.websocket_idle, time),
        row("batch_bytes", &of.batch_bytes, count),
        row("batch_lines", &of.batch_lines, count),
        row("batch_wait", &of.batch_wait, time),
        row("streams", &of.streams, count),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Lists the settings, and the environment variables that change the behavior.
pub(super) fn settings(context: &Context, workspace: &Workspace, has_token: bool) -> Vec<Setting> {
    let shown = |name: &str, value: Option<String>, origin: &Origin| Setting {
        name: name.to_owned(),
        value,
        origin: origin_words(origin),
    };
    let url = |value: &Option<String>| value.as_deref().map(redacted);
    let secret = |source: &SecretSource| source.is_set().then(|| "[redacted]".to_owned());
    let token = has_token.then(|| "[redacted]".to_owned());
    let mut settings = vec![
        Setting {
            name: "root".to_owned(),
            value: Some(workspace.root.display().to_string()),
            origin: if workspace.root.join("botops.yaml").exists() {
                "botops.yaml"
            } else {
                "current folder"
            }
            .to_owned(),
        },
        shown("model", workspace.model.value.clone(), &workspace.model.origin),
        shown("registry", Some(redacted(&workspace.registry.value)), &workspace.registry.origin),
        shown(
            "experiments",
            Some(redacted(&workspace.experiments.value)),
            &workspace.experiments.origin,
        ),
        shown(
            "environment",
            Some(workspace.environment.value.clone()),
            &workspace.environment.origin,
        ),
        shown(
            "policy",
            workspace.policy.value.as_ref().map(|path| path.display().to_string()),
            &workspace.policy.origin,
        ),
        shown("server.admin_url", url(&workspace.admin_url.value), &workspace.admin_url.origin),
        shown("server.url", url(&workspace.server_url.value), &workspace.server_url.origin),
        shown("server.admin_token", token, &workspace.admin_token.origin),
        shown(
            "secrets.identity_key",
            workspace.identity_key.value.is_set().then(|| "[redacted]".to_owned()),
            &workspace.identity_key.origin,
        ),
        shown(
            "server.client_key",
            workspace.client_key.value.is_set().then(|| "[redacted]".to_owned()),
            &workspace.client_key.origin,
        ),
        shown(
            "secrets.token_key",
            workspace.token_key.value.is_set().then(|| "[redacted]".to_owned()),
            &workspace.token_key.origin,
        ),
        shown("server.admin_oidc", issuers(workspace), &workspace.admin_oidc.origin),
        shown("server.webhooks", webhooks(workspace), &workspace.webhooks.origin),
        shown("access", access(workspace), &workspace.access.origin),
        shown(
            "server.metrics",
            Some(if workspace.open_metrics.value { "open" } else { "admin" }.to_owned()),
            &workspace.open_metrics.origin,
        ),
        shown(
            "server.chat_page",
            Some(workspace.chat_page.value.to_string()),
            &workspace.chat_page.origin,
        ),
        shown("server.tls", certificate(&workspace.tls.value), &workspace.tls.origin),
        shown(
            "server.admin_tls",
            certificate(&workspace.admin_tls.value),
            &workspace.admin_tls.origin,
        ),
        shown(
            "secrets.old_identity_key",
            secret(&workspace.old_identity_key.value),
            &workspace.old_identity_key.origin,
        ),
        shown("secrets.data_key", secret(&workspace.data_key.value), &workspace.data_key.origin),
        shown(
            "conversations.store",
            Some(
                conversing::location(workspace)
                    .map_or("[redacted]".to_owned(), |it| it.to_string()),
            ),
            &workspace.conversations_store.origin,
        ),
        shown(
            "conversations.retention",
            Some(workspace.conversations_retention.value.clone()),
            &workspace.conversations_retention.origin,
        ),
        shown(
            "conversations.on_store_failure",
            Some(workspace.on_store_failure.value.clone()),
            &workspace.on_store_failure.origin,
        ),
        shown(
            "predictions.log",
            Some(workspace.predictions_log.value.clone()),
            &workspace.predictions_log.origin,
        ),
        shown(
            "predictions.text",
            Some(workspace.predictions_text.value.clone()),
            &workspace.predictions_text.origin,
        ),
        shown(
            "predictions.retention",
            Some(workspace.predictions_retention.value.clone()),
            &workspace.predictions_retention.origin,
        ),
        shown(
            "predictions.folder",
            Some(workspace.predictions_folder.value.clone()),
            &workspace.predictions_folder.origin,
        ),
        shown("monitoring", monitoring(workspace), &workspace.monitoring.origin),
        shown("traces", url(&workspace.traces.value.endpoint), &workspace.traces.origin),
        shown("log", log_file(workspace), &workspace.log.origin),
        shown("actor", Some(workspace.actor.value.clone()), &workspace.actor.origin),
    ];
    settings.extend(protection(workspace));
    let profile = match &context.global.profile {
        Some(name) => Some((name.clone(), Origin::Flag("--profile".to_owned()))),
        None => variable("BOTOPS_PROFILE")
            .map(|name| (name, Origin::Environment("BOTOPS_PROFILE".to_owned()))),
    };
    settings.extend(limits(workspace));
    if let Some((name, origin)) = profile {
        settings.push(shown("profile", Some(name), &origin));
    }
    // (variable, whether it is secret)
    let variables = [
        ("AWS_ENDPOINT_URL", false),
        ("AWS_REGION", false),
        ("AWS_DEFAULT_REGION", false),
        ("AWS_ALLOW_HTTP", false),
        ("AWS_ACCESS_KEY_ID", true),
        ("AWS_SECRET_ACCESS_KEY", true),
        ("AWS_SESSION_TOKEN", true),
        ("SOURCE_DATE_EPOCH", false),
    ];
    for (name, is_secret) in variables {
        if let Some(value) = variable(name) {
            let value = if is_secret { "[redacted]".to_owned() } else { without_user(&value) };
            settings.push(shown(name, Some(value), &Origin::Environment(name.to_owned())));
        }
    }
    settings
}

/// Returns a URL without its user and password, even if it is not well-formed: all before the last `@`.
fn without_user(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, host)) => redacted(&format!("[redacted]@{host}")),
        None => redacted(url),
    }
}

/// Returns an environment variable; an empty one counts as unset.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn origin_words(origin: &Origin) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        Origin::File(place) => place.clone(),
        Origin::Profile(name) => format!("profile {name}"),
        Origin::Environment(name) => format!("${name}"),
        Origin::Flag(name) => name.clone(),
    }
}

/// Returns a location without the parts of a URL that may hold secrets: the user and password, and the query.
pub(super) fn redacted(location: &str) -> String {
    let Some((scheme, rest)) = location.split_once("://") else { return location.to_owned() };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, _)) => (rest, "?[redacted]"),
        None => (rest, ""),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://[redacted]@{host}{path}{query}"),
        None => format!("{scheme}://{rest}{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_shown_without_its_secrets() {
        assert_eq!(redacted("registry"), "registry");
        assert_eq!(redacted("/home/a@b/registry"), "/home/a@b/registry");
        assert_eq!(redacted("s3://bucket/pre@fix"), "s3://bucket/pre@fix");
        assert_eq!(redacted("s3://key:secret@bucket/prefix"), "s3://[redacted]@bucket/prefix");
        assert_eq!(redacted("https://a:b@c@host"), "https://[redacted]@host");
        assert_eq!(redacted("http://host/path?token=abc"), "http://host/path?[redacted]");
    }

    #[test]
    fn an_origin_names_the_place_of_the_setting() {
        assert_eq!(origin_words(&Origin::File("botops.yaml:3".to_owned())), "botops.yaml:3");
        assert_eq!(origin_words(&Origin::Environment("BOTOPS_MODEL".to_owned())), "$BOTOPS_MODEL");
    }
}
