//! `botops doctor --strict`: what a server that others can reach should have.

use botops_access::PolicyMode;
use botops_findings::{Finding, Severity};
use botops_registry::read_policy;
use botops_workspace::{PublicAccess, Setting, Workspace};
use std::net::SocketAddr;

/// Returns the protections that the server at `listen` lacks, each with the place of its setting and what to write. A server
/// that only this machine reaches lacks none.
pub(super) fn lacking(workspace: &Workspace, listen: SocketAddr) -> Vec<Finding> {
    if listen.ip().to_canonical().is_loopback() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut lacks = |finding: Option<Finding>| found.extend(finding);
    lacks(callers(workspace));
    lacks(wire(workspace));
    lacks(metrics(workspace));
    lacks(promotions(workspace));
    lacks(unset(
        workspace,
        "secrets.identity_key",
        &workspace.identity_key,
        workspace.identity_key.value.is_set(),
        "each server makes a key of its own, so that a conversation changes its name with its server",
        "write `identity_key: ${env:NAME}`, the same secret for every server of the environment",
    ));
    lacks(unset(
        workspace,
        "secrets.token_key",
        &workspace.token_key,
        workspace.token_key.value.is_set(),
        "each server makes a key of its own, so that feedback is only accepted by the server that answered",
        "write `token_key: ${env:NAME}`, the same secret for every server of the environment",
    ));
    lacks(addresses(workspace));
    lacks(unset(
        workspace,
        "monitoring",
        &workspace.monitoring,
        workspace.monitoring.value.every.is_some(),
        "nobody is told when the model gets worse",
        "write `monitoring: {every: 1h}`, and a receiver under `webhooks`",
    ));
    found
}

fn lack<T>(
    workspace: &Workspace,
    key: &str,
    setting: &Setting<T>,
    message: String,
    help: &str,
) -> Finding {
    Finding::new("BOT-1195", Severity::Error, message, help).at(workspace.place(key, setting))
}

/// Returns that `key` is not set, and what follows from it.
fn unset<T>(
    workspace: &Workspace,
    key: &str,
    setting: &Setting<T>,
    is_set: bool,
    follows: &str,
    help: &str,
) -> Option<Finding> {
    let message = || format!("`{key}` is not set: {follows}");
    (!is_set).then(|| lack(workspace, key, setting, message(), help))
}

/// Who may call is written down. `open` is a decision, too.
fn callers(workspace: &Workspace) -> Option<Finding> {
    let undecided = matches!(workspace.access.value, PublicAccess::Undecided);
    unset(
        workspace,
        "access",
        &workspace.access,
        !undecided,
        "the server refuses to listen beyond this machine",
        "write `access: keys`, or `access: open` if everyone may call",
    )
}

/// Texts are encrypted on their way: by the server, or by a proxy before it.
fn wire(workspace: &Workspace) -> Option<Finding> {
    let is_set = workspace.tls.value.is_some() || !workspace.trusted_proxies.value.is_empty();
    unset(
        workspace,
        "server.tls",
        &workspace.tls,
        is_set,
        "messages and keys cross the network as plain text",
        "name a certificate and its key under `server.tls`, or the proxy that ends TLS under `server.trusted_proxies`",
    )
}

fn metrics(workspace: &Workspace) -> Option<Finding> {
    let (key, setting) = ("server.metrics", &workspace.open_metrics);
    let message = format!("`{key}: open` shows to everyone how much the server is used");
    let help = "leave it out: on the admin listener, whoever has the scope `read` sees the metrics";
    setting.value.then(|| lack(workspace, key, setting, message, help))
}

/// A policy says what a promotion needs, and is applied. One that cannot be read is a fault of its own.
fn promotions(workspace: &Workspace) -> Option<Finding> {
    let (key, setting) = ("policy", &workspace.policy);
    let help = "name a policy file with `mode: enforce`";
    let Some(path) = &setting.value else {
        let follows = "whoever may push decides alone what is promoted";
        return unset(workspace, key, setting, false, follows, help);
    };
    let mode = match read_policy(path).ok()?.mode() {
        PolicyMode::Enforce => return None,
        PolicyMode::Warn => "warn",
        PolicyMode::Off => "off",
    };
    let message = format!("the policy has `mode: {mode}`: a violation does not stop a promotion");
    Some(lack(workspace, key, setting, message, help))
}

/// One address cannot use up the server.
fn addresses(workspace: &Workspace) -> Option<Finding> {
    let (key, setting) = ("limits.per_address", &workspace.request_limits.per_address);
    let off = setting.value.as_deref().is_some_and(|rate| rate.trim() == "off");
    let message = format!("`{key}: off` lets one address send as much as it likes");
    let help = "leave it out for `20/s burst 100`, or write a rate";
    off.then(|| lack(workspace, key, setting, message, help))
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_workspace::Overrides;
    use std::fs;

    /// Returns the messages about the server of `yaml` at `listen`, up to the first colon, with their lines.
    fn found(yaml: &str, listen: &str) -> Vec<(String, Option<u32>)> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("botops.yaml"), yaml).unwrap();
        fs::write(folder.path().join("warn.yaml"), "mode: warn\nmin_records: 10\n").unwrap();
        fs::write(folder.path().join("enforce.yaml"), "min_records: 10\n").unwrap();
        let workspace = Workspace::discover(folder.path(), &Overrides::default()).unwrap();
        let shown = |finding: Finding| {
            assert_eq!(finding.code, "BOT-1195");
            let line = finding.place.line.and_then(|line| u32::try_from(line).ok());
            (finding.message.split(": ").next().unwrap_or("").to_owned(), line)
        };
        lacking(&workspace, listen.parse().unwrap()).into_iter().map(shown).collect()
    }

    #[test]
    fn a_server_of_this_machine_lacks_nothing() {
        assert!(found("", "127.0.0.1:8080").is_empty());
        assert!(found("server: {metrics: open}", "[::1]:8080").is_empty());
        assert!(found("", "[::ffff:127.0.0.1]:8080").is_empty());
    }

    #[test]
    fn a_server_without_settings_lacks_every_protection() {
        let messages: Vec<String> =
            found("", "0.0.0.0:8080").into_iter().map(|(message, _)| message).collect();
        let expected = [
            "`access` is not set",
            "`server.tls` is not set",
            "`policy` is not set",
            "`secrets.identity_key` is not set",
            "`secrets.token_key` is not set",
            "`monitoring` is not set",
        ];
        assert_eq!(messages, expected);
    }

    #[test]
    fn a_setting_that_weakens_is_named_with_its_line() {
        let yaml = "access: open\npolicy: warn.yaml\nserver:\n  metrics: open\n  trusted_proxies: [10.0.0.0/8]\n\
                    limits:\n  per_address: off\nmonitoring: {every: 1h}\n\
                    secrets: {identity_key: '${env:A}', token_key: '${env:B}'}\n";
        let expected = [
            ("`server.metrics", Some(4)),
            ("the policy has `mode", Some(2)),
            ("`limits.per_address", Some(7)),
        ];
        let found = found(yaml, "10.1.2.3:8080");
        let found: Vec<(&str, Option<u32>)> =
            found.iter().map(|(message, line)| (message.as_str(), *line)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_protected_server_lacks_nothing() {
        let yaml = "access: keys\npolicy: enforce.yaml\nserver:\n  tls: {certificate: a.pem, key: a.key}\n\
                    monitoring: {every: 1h}\nsecrets: {identity_key: '${env:A}', token_key: '${env:B}'}\n";
        assert_eq!(found(yaml, "0.0.0.0:8080"), []);
    }
}
