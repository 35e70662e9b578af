//! The admin API with tokens of a real OIDC provider: npm's `oidc-provider`, in a process of its own.

use super::{models, registry, settings};
use crate::{servers::skip, support::tool};
use botops_access::{Grants, IssuerKeys, IssuerSpec, Role};
use botops_registry::deployment_log;
use botops_serving::{AccessSettings, ServerSettings, Source, start};
use reqwest::Client;
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// A provider on a free loopback port. Killed when dropped.
struct Provider {
    process: Child,
    issuer: String,
}

impl Provider {
    /// Starts a provider. Returns `None`, with a message, if Node.js or the package is not installed.
    fn start() -> Option<Self> {
        let modules = std::env::var_os("BOTOPS_NODE_MODULES").map(PathBuf::from);
        let modules = modules.filter(|folder| folder.join("oidc-provider").is_dir());
        let (Some(node), Some(modules)) = (tool("BOTOPS_NODE", "node"), modules) else {
            skip(
                "oidc-provider (npm install oidc-provider; BOTOPS_NODE_MODULES names node_modules)",
            );
            return None;
        };
        // Another process may take the free port first; the provider then ends at once.
        let start = |_| {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/serving/oidc_provider.mjs");
            let mut process = Command::new(&node)
                .arg(script)
                .arg(&modules)
                .arg(port.to_string())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let out = BufReader::new(process.stdout.take().unwrap());
            let is_ready = out.lines().map_while(Result::ok).any(|line| line == "ready");
            let provider = Self { process, issuer: format!("http://127.0.0.1:{port}") };
            is_ready.then_some(provider)
        };
        Some((0..5).find_map(start).expect("the provider starts"))
    }

    async fn token(&self, client: &str, resource: &str) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id={client}&client_secret=of-the-test&resource={resource}&scope=deploy"
        );
        let request = Client::new()
            .post(format!("{}/token", self.issuer))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_an_oidc_provider_are_people_and_jobs_with_the_roles_of_the_settings() {
    let Some(provider) = Provider::start() else { return };
    let [champion, challenger, _] = models();
    let (registry, _) = registry(&[&champion, &challenger]).await;
    let issuer = IssuerSpec {
        issuer: provider.issuer.clone(),
        audience: "urn:botops".to_owned(),
        keys: IssuerKeys::Jwks(format!("{}/jwks", provider.issuer)),
        algorithms: Vec::new(),
        leeway: IssuerSpec::LEEWAY,
        grants: Grants::Roles {
            claim: "groups".to_owned(),
            roles: [("release".to_owned(), Role::Operator)].into(),
        },
    };
    let access = AccessSettings { issuers: vec![issuer], ..AccessSettings::default() };
    let settings = ServerSettings { access, ..settings(false) };
    let environment = settings.environment.clone();
    let source =
        Source::Registry { registry: registry.clone(), model: "support".to_owned(), pinned: None };
    let running = start(settings, source).await.unwrap();
    let admin = format!("http://{}/admin/v1", running.admin_address().unwrap());
    let rollback = async |token: &str| {
        let request = Client::new().post(format!("{admin}/models/support/rollback"));
        let body = json!({"reason": "a test", "actor": "ada", "version": "support@1"});
        request.bearer_auth(token).json(&body).send().await.unwrap()
    };
    let release = provider.token("release-bot", "urn:botops").await;
    let seen = Client::new().get(format!("{admin}/models")).bearer_auth(&release);
    assert_eq!(seen.send().await.unwrap().status(), 200);
    let answer = rollback(&release).await;
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    let visitor = rollback(&provider.token("visitor", "urn:botops").await).await;
    assert_eq!(visitor.status(), 403, "its group has no role");
    assert!(visitor.text().await.unwrap().contains("`visitor` needs the scope `emergency`"));
    let other = rollback(&provider.token("release-bot", "urn:other").await).await;
    assert_eq!(other.status(), 401, "the token is for another service");
    let start = Client::new().post(format!("{admin}/models/support/rollouts"));
    let body = json!({"version": "support@2", "reason": "try", "actor": "ada"});
    let answer = start.bearer_auth(&release).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    running.shutdown().await;
    let log = deployment_log(registry.store(), &environment).entries().await.unwrap();
    let written = serde_json::to_string(&log).unwrap();
    assert!(written.contains("release-bot"), "{written}");
}
