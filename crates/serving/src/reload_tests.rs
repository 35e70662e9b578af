//! Settings that are read again while the server runs.

use super::{
    Configuration, Reloaded, Reread, Running, ServerSettings, Source, WebhookSpec, start,
    tests::{model, settings},
};
use async_trait::async_trait;
use botops_access::{Grants, Identity, IssuerKeys, IssuerSpec, Role};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_http::Client;
use botops_workspace::Secret;
use serde_json::{Value, json};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

const TOKEN: &str = "the shared token of these tests, long enough";
const OTHER_TOKEN: &str = "another token of these tests, long enough too";

/// The file that is read again.
struct File {
    settings: Mutex<ServerSettings>,
    /// Whether the store refuses the policy.
    refuses: AtomicBool,
    /// The authors of policies that were applied.
    applied: Mutex<Vec<String>>,
}

#[async_trait]
impl Configuration for File {
    fn read(&self) -> Result<Reread> {
        let settings = self.settings.lock().unwrap().clone();
        Ok(Reread { settings, restart: vec!["registry".to_owned()] })
    }

    async fn apply_policy(&self, by: &Identity, reason: &str, dry_run: bool) -> Result<bool> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(Fault::unreachable("BOT-5003", "the store does not answer"));
        }
        if !dry_run {
            self.applied.lock().unwrap().push(format!("{}: {reason}", by.label()));
        }
        Ok(false)
    }
}

/// A change of settings that cannot be used.
type Spoil<'a> = Box<dyn Fn(&mut ServerSettings) + 'a>;

struct Server {
    running: Running,
    file: Arc<File>,
    http: Client,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = ServerSettings { admin_token: Some(Secret::new(TOKEN)), ..settings() };
        settings.access.socket = Some(folder.path().join("admin.sock"));
        let source = Source::File {
            model: Box::new(model()),
            digest: Digest::of(b"model"),
            name: "m".to_owned(),
        };
        let running = start(settings.clone(), source).await.unwrap();
        let file = Arc::new(File {
            settings: Mutex::new(settings),
            refuses: AtomicBool::new(false),
            applied: Mutex::default(),
        });
        let http = super::client::http().unwrap();
        Self { running, file, http, _folder: folder }
    }

    fn write(&self, change: impl FnOnce(&mut ServerSettings)) {
        change(&mut self.file.settings.lock().unwrap());
    }

    async fn ask(&self, query: &str, token: &str) -> (u16, Value) {
        let at = self.running.admin_address().unwrap();
        let url = format!("http://{at}/admin/v1/reload{query}");
        let body = json!({"reason": "new roles"});
        let answer = self.http.post(url).bearer_auth(token).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Returns whether `token` is let in.
    async fn admits(&self, token: &str) -> bool {
        let url = format!("http://{}/admin/v1/models", self.running.admin_address().unwrap());
        self.http.get(url).bearer_auth(token).send().await.unwrap().status() == 200
    }

    fn mode_of_socket(&self) -> u32 {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.running.admin_socket().unwrap();
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }
}

#[tokio::test]
async fn a_reload_changes_what_it_can_and_names_what_needs_a_restart() {
    let server = Server::start().await;
    let (status, refused) = server.ask("", TOKEN).await;
    assert_eq!((status, &refused["code"]), (409, &json!("BOT-6088")), "no source yet");
    server.running.reload_from(Arc::clone(&server.file) as Arc<dyn Configuration>);
    let (_, told) = server.ask("", TOKEN).await;
    assert_eq!(told, json!({"changed": [], "restart": ["registry"], "dry_run": false}));

    server.write(|settings| {
        settings.admin_token = Some(Secret::new(OTHER_TOKEN));
        settings.access.socket_users = [("ada".to_owned(), Role::Viewer)].into();
        settings.environment = "staging".to_owned();
    });
    let changed = ["server.admin_socket_users"];
    let restart = ["server.admin_token", "environment", "registry"];
    let expected =
        |dry_run: bool| json!({"changed": changed, "restart": restart, "dry_run": dry_run});
    assert_eq!(server.ask("?dry_run=true", TOKEN).await, (200, expected(true)));
    assert!(server.admits(TOKEN).await && !server.admits(OTHER_TOKEN).await);
    assert_eq!(server.mode_of_socket(), 0o600);
    assert_eq!(server.ask("", TOKEN).await, (200, expected(false)));
    assert!(server.admits(TOKEN).await && !server.admits(OTHER_TOKEN).await);
    assert_eq!(server.mode_of_socket(), 0o666, "another user has a role");

    // The same by a signal.
    server.write(|settings| settings.access.socket_users.clear());
    let by = Identity::automatic();
    let told = server.running.reload(&by, "a signal").await.unwrap();
    let restart = restart.map(str::to_owned).to_vec();
    let changed = vec!["server.admin_socket_users".to_owned()];
    assert_eq!(told, Reloaded { changed, restart, dry_run: false });
    assert_eq!(server.mode_of_socket(), 0o600);
    let applied = server.file.applied.lock().unwrap().clone();
    assert_eq!(applied.len(), 3, "{applied:?}");
    assert!(applied[0].ends_with(": new roles") && applied[2].ends_with(": a signal"));
    server.running.shutdown().await;
}

#[tokio::test]
async fn after_an_error_of_a_reload_nothing_has_changed() {
    let server = Server::start().await;
    server.running.reload_from(Arc::clone(&server.file) as Arc<dyn Configuration>);
    let good = server.file.settings.lock().unwrap().clone();
    let webhook = |url: &str| WebhookSpec {
        url: url.to_owned(),
        secrets: vec![Secret::new("k".repeat(32))],
        events: Vec::new(),
    };
    let cases: [(&str, Spoil<'_>); 3] = [
        ("BOT-1031", Box::new(|settings| settings.admin_token = Some(Secret::new("short")))),
        ("BOT-1070", Box::new(|settings| settings.webhooks = vec![webhook("ftp://a.example")])),
        (
            "BOT-1049",
            Box::new(|settings| {
                settings.access.issuers = vec![IssuerSpec {
                    issuer: "https://login.example".to_owned(),
                    audience: String::new(),
                    keys: IssuerKeys::Jwks("keys.json".to_owned()),
                    algorithms: Vec::new(),
                    leeway: IssuerSpec::LEEWAY,
                    grants: Grants::Roles {
                        claim: "groups".to_owned(),
                        roles: [("ops".to_owned(), Role::Operator)].into(),
                    },
                }];
            }),
        ),
    ];
    for (code, spoil) in cases {
        server.write(|settings| {
            settings.access.socket_users = [("ada".to_owned(), Role::Viewer)].into();
            spoil(settings);
        });
        for query in ["", "?dry_run=true"] {
            let (status, refused) = server.ask(query, TOKEN).await;
            assert_eq!((status, &refused["code"]), (400, &json!(code)), "{refused}");
        }
        assert_eq!(server.mode_of_socket(), 0o600, "{code}");
        server.write(|settings| *settings = good.clone());
    }
    assert!(server.file.applied.lock().unwrap().is_empty());
    server.write(|settings| {
        settings.access.socket_users = [("ada".to_owned(), Role::Viewer)].into();
    });
    server.file.refuses.store(true, Ordering::SeqCst);
    let (status, refused) = server.ask("", TOKEN).await;
    assert_eq!((status, &refused["code"]), (503, &json!("BOT-5003")), "{refused}");
    assert_eq!(server.mode_of_socket(), 0o600);
    server.running.shutdown().await;
}
