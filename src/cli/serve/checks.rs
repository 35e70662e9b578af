//! The checks of the settings of a server that need neither its store nor the network. `botops serve` and `botops doctor`
//! run the same.

use super::{
    access, conversations, identity_key, listeners,
    placed::placed,
    predictions, protection,
    settings::{actions, webhooks},
    telemetry,
};
use crate::cli::{
    monitor::settings::{Flags, watched},
    session::conversing,
};
use botops_access::{Issuers, TokenKeys};
use botops_conversations::{DataKeys, RedisLimits};
use botops_findings::{Fault, Finding, Result};
use botops_registry::read_policy;
use botops_serving as serving;
use botops_workspace::{PublicAccess, SecretSource, Setting, Tls, Workspace};
use std::net::SocketAddr;

/// Checks the settings of a server that listens at `listen`.
///
/// # Errors
/// The first of [`faults`].
pub(super) fn check(workspace: &Workspace, listen: SocketAddr) -> Result<()> {
    faults(workspace, listen).into_iter().next().map_or(Ok(()), Err)
}

/// Returns the faults of the settings of a server that listens at `listen`, each with its place. Makes and changes nothing.
pub(crate) fn faults(workspace: &Workspace, listen: SocketAddr) -> Vec<Fault> {
    let mut found = Vec::new();
    let mut note = |checked: Result<()>| found.extend(checked.err());
    note(admin_token(workspace));
    note(access::roles_of_socket(workspace).map(|_| ()));
    note(administrators(workspace));
    note(clients(workspace));
    note(receivers(workspace));
    note(calls(workspace));
    note(certificate(workspace, "server.tls", &workspace.tls));
    note(certificate(workspace, "server.admin_tls", &workspace.admin_tls));
    note(identity_key::check(workspace));
    note(secret(workspace, "secrets.token_key", &workspace.token_key, |keys| {
        TokenKeys::parse(keys).map(|_| ())
    }));
    note(secret(workspace, "secrets.data_key", &workspace.data_key, |keys| {
        DataKeys::parse(keys).map(|_| ())
    }));
    note(workspace.old_identity_key.value.resolve().map(|_| ()));
    note(protection::allowed_hosts(workspace, &[]).map(|_| ()));
    note(protection::of(workspace, listen).map(|_| ()));
    note(secret(workspace, "limits.shared", &workspace.request_limits.shared, |location| {
        RedisLimits::open(location).map(|_| ())
    }));
    let store = &workspace.conversations_store;
    note(
        conversing::location(workspace)
            .map(|_| ())
            .map_err(|fault| placed(workspace, "conversations.store", store, fault)),
    );
    note(conversations::settings(workspace).map(|_| ()));
    note(predictions::settings(workspace).map(|_| ()));
    note(watched(workspace, None, Flags::default()).map(|_| ()));
    note(telemetry::traces(workspace).map(|_| ()));
    note(telemetry::log_file(workspace).map(|_| ()));
    note(policy(workspace));
    found
}

/// Returns the settings that weaken the protection of a server without being wrong.
pub(crate) fn warnings(workspace: &Workspace) -> Vec<Finding> {
    protection::warnings(workspace).into_iter().chain(telemetry::warning(workspace)).collect()
}

/// Checks the secret of a setting, if it is set.
fn secret(
    workspace: &Workspace,
    key: &str,
    setting: &Setting<SecretSource>,
    check: impl Fn(&str) -> Result<()>,
) -> Result<()> {
    match setting.value.resolve()? {
        Some(secret) => {
            check(secret.expose()).map_err(|fault| placed(workspace, key, setting, fault))
        }
        None => Ok(()),
    }
}

fn admin_token(workspace: &Workspace) -> Result<()> {
    let setting = &workspace.admin_token;
    match setting.value.resolve()? {
        Some(token) => serving::check_admin_token(&token)
            .map_err(|fault| placed(workspace, "server.admin_token", setting, fault)),
        None => Ok(()),
    }
}

/// Checks the issuers of administrators, one by one.
fn administrators(workspace: &Workspace) -> Result<()> {
    for (i, issuer) in access::administrators(workspace)?.into_iter().enumerate() {
        let key = format!("server.admin_oidc[{i}]");
        Issuers::new(&key, vec![issuer], &workspace.root)
            .map_err(|fault| placed(workspace, &key, &workspace.admin_oidc, fault))?;
    }
    Ok(())
}

/// Checks the issuers of clients, one by one.
fn clients(workspace: &Workspace) -> Result<()> {
    let PublicAccess::Restricted { jwt, .. } = &workspace.access.value else { return Ok(()) };
    for (i, (spec, secret)) in jwt.iter().enumerate() {
        let issuer = access::issuer(workspace, i, (spec, secret))?;
        let key = format!("access.jwt[{i}]");
        Issuers::new(&key, vec![issuer], &workspace.root)
            .map_err(|fault| placed(workspace, &key, &workspace.access, fault))?;
    }
    Ok(())
}

/// Checks the receivers of webhooks, one by one and together.
fn receivers(workspace: &Workspace) -> Result<()> {
    let (key, setting) = ("server.webhooks", &workspace.webhooks);
    let specs = webhooks(workspace)?;
    for (i, spec) in specs.iter().enumerate() {
        serving::check_webhooks(std::slice::from_ref(spec))
            .map_err(|fault| placed(workspace, &format!("{key}[{i}]"), setting, fault))?;
    }
    serving::check_webhooks(&specs).map_err(|fault| placed(workspace, key, setting, fault))
}

/// Checks the calls that dialogues may ask for.
fn calls(workspace: &Workspace) -> Result<()> {
    let (key, setting) = ("server.actions", &workspace.actions);
    serving::check_actions(&actions(workspace)?)
        .map_err(|fault| placed(workspace, key, setting, fault))
}

/// Checks the files of a certificate.
fn certificate(workspace: &Workspace, key: &str, setting: &Setting<Option<Tls>>) -> Result<()> {
    let Some(tls) = listeners::tls(setting) else { return Ok(()) };
    serving::check_certificate(&tls).map_err(|fault| placed(workspace, key, setting, fault))
}

/// Checks the policy file. Whether it is for the environment of the server is checked with its registry.
fn policy(workspace: &Workspace) -> Result<()> {
    let Some(path) = &workspace.policy.value else { return Ok(()) };
    read_policy(path)
        .map(|_| ())
        .map_err(|fault| placed(workspace, "policy", &workspace.policy, fault))
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_workspace::Overrides;
    use std::fs;

    const JWT: &str = "issuer: https://a.example\n    audience: bots\n    ";

    /// Returns the faults of the settings in `yaml`, as `code file:line` with the number of hints.
    fn faults_of(yaml: &str) -> Vec<(String, usize)> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("botops.yaml"), yaml).unwrap();
        fs::write(folder.path().join("short"), "short\n").unwrap();
        fs::write(folder.path().join("wide"), "k".repeat(40)).unwrap();
        let overrides = Overrides {
            environment: [("SECRET".to_owned(), "k".repeat(40))].into(),
            ..Overrides::default()
        };
        let workspace = Workspace::discover(folder.path(), &overrides).unwrap();
        let listen = "127.0.0.1:8080".parse().unwrap();
        let found = faults(&workspace, listen);
        assert_eq!(check(&workspace, listen).is_err(), !found.is_empty());
        assert!(!folder.path().join(".botops").exists(), "a check makes nothing");
        let shown = |fault: Fault| {
            let place = fault.place();
            let file = place.file.as_deref().and_then(|file| file.rsplit('/').next());
            let at = format!("{}:{}", file.unwrap_or("-"), place.line.unwrap_or(0));
            assert_eq!(fault.kind().exit_code(), 2, "{fault:?}");
            assert!(!format!("{fault:?}").contains("kkkk"), "{fault:?}");
            (format!("{} {at}", fault.code()), fault.hints().len())
        };
        found.into_iter().map(shown).collect()
    }

    #[test]
    fn a_setting_that_cannot_be_used_is_reported_with_its_line_and_a_hint() {
        let jwt = |rest: &str| format!("access:\n  jwt:\n  - {JWT}{rest}\n");
        let hook = |rest: &str| format!("server:\n  webhooks:\n  - {rest}\n");
        let cases = [
            ("BOT-1031", 2, "server:\n  admin_token: ${file:short}\n".to_owned()),
            ("BOT-1049", 3, jwt("secret: ${file:short}")),
            ("BOT-1049", 3, jwt("secret: ${env:SECRET}\n    leeway: soon")),
            ("BOT-1049", 3, jwt("secret: ${env:SECRET}\n    leeway: 6m")),
            ("BOT-1049", 3, jwt("secret: ${env:SECRET}\n    algorithms: [none]")),
            ("BOT-1041", 3, jwt("secret: ${env:SECRET}\n    scopes: [everything]")),
            ("BOT-1049", 3, jwt("jwks: http://a.example/keys")),
            ("BOT-1070", 3, hook("{url: ftp://a.example, secret: '${env:SECRET}'}")),
            ("BOT-1070", 3, hook("{url: https://a.example, secret: '${file:short}'}")),
            ("BOT-1070", 3, hook("{url: https://a.example, secret: '${env:SECRET}', events: [x]}")),
            ("BOT-1089", 2, "server:\n  tls: {certificate: wide, key: wide}\n".to_owned()),
            ("BOT-1089", 2, "server:\n  admin_tls: {certificate: none, key: none}\n".to_owned()),
            ("BOT-1165", 3, "server:\n  admin_socket_users:\n    nobody-here: viewer\n".to_owned()),
            ("BOT-1052", 2, "secrets:\n  identity_key: ${file:short}\n".to_owned()),
            ("BOT-6131", 2, "secrets:\n  token_key: ${file:short}\n".to_owned()),
            ("BOT-6117", 2, "secrets:\n  data_key: ${env:SECRET}\n".to_owned()),
            ("BOT-1021", 2, "secrets:\n  old_identity_key: ${file:none}\n".to_owned()),
            ("BOT-1098", 2, "limits:\n  shared: http://127.0.0.1\n".to_owned()),
            ("BOT-1093", 2, "limits:\n  per_key: fast\n".to_owned()),
            ("BOT-6115", 2, "conversations:\n  store: mysql://db/bots\n".to_owned()),
            ("BOT-6115", 2, "conversations:\n  store: postgres://db:x/bots\n".to_owned()),
            ("BOT-6139", 2, "conversations:\n  retention: 5m\n".to_owned()),
            ("BOT-6139", 2, "conversations:\n  on_store_failure: shrug\n".to_owned()),
        ];
        for (code, line, yaml) in cases {
            let found = faults_of(&yaml);
            assert_eq!(found.len(), 1, "{yaml}: {found:?}");
            assert_eq!(found[0].0, format!("{code} botops.yaml:{line}"), "{yaml}");
            assert!(found[0].1 > 0, "{code} has no hint: {yaml}");
        }
        let sound =
            jwt("secret: ${env:SECRET}") + &hook("{url: 'https://a', secret: '${env:SECRET}'}");
        assert!(faults_of(&sound).is_empty());
        assert!(faults_of("").is_empty(), "a laptop");
    }

    #[test]
    fn every_fault_is_reported_and_not_the_first_alone() {
        let found = faults_of(
            "limits: {shared: nowhere}\nconversations: {retention: 1m}\nsecrets: {token_key: '${file:short}'}\n",
        );
        let codes: Vec<&str> = found.iter().map(|(shown, _)| &shown[..8]).collect();
        assert_eq!(codes, ["BOT-6131", "BOT-1098", "BOT-6139"]);
    }
}
