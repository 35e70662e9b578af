//! Several servers of one environment, in one process: each turn is taken by the test.

use super::{
    StartRequest,
    follow::{Canary, Parts},
    journal::{Journal, Opened},
    pace::Pace,
    state::{Mode, Requester},
    versions::Versions,
};
use crate::{
    Replication, RequestLog, ServerSettings,
    app::App,
    clock::{Clock, WallClock},
    routing::Served,
    server::new_app,
    shadow,
};
use async_trait::async_trait;
use botops_access::{Identity, IdentityKind};
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Result, Severity};
use botops_models::IntentModel;
use botops_observation::{Outcome, Place};
use botops_registry::{
    ChampionMove, Champions, Deployment, FormerChampion, Manifest, Version, deployment_log,
};
use botops_rollout::{Command, Phase, RolloutPolicy, RolloutSpec};
use botops_store::{Entry, Store};
use chrono::{DateTime, Utc};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

mod admin_api;
mod clocks;
mod feedback;
mod following;
mod takeover;

/// The key of feedback tokens of all servers.
const TOKEN_KEY: &str = "the-token-key-of-all-servers-here";
/// All waits for other servers are this much shorter.
const TIMES: u32 = 50;

fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

/// Two versions of one model, in memory.
struct TwoVersions {
    model: Arc<IntentModel>,
    /// Whether the challenger was withdrawn.
    withdrawn: AtomicBool,
    /// Whether the policy warns of every rollout.
    warns: AtomicBool,
    /// The number of models that were loaded.
    loaded: AtomicU32,
}

fn version(name: &str) -> Version {
    let manifest = Manifest {
        schema: "botops.model/1".to_owned(),
        model: "m".to_owned(),
        files: Vec::new(),
        run: None,
        data: None,
        params: [].into(),
        metrics: [].into(),
        gates: None,
        botops: "0.1.0".to_owned(),
        git_commit: None,
        creator: "ada".to_owned(),
        intents: Vec::new(),
    };
    Version {
        model: "m".to_owned(),
        number: 1,
        manifest_digest: digest(name),
        registered_at: DateTime::UNIX_EPOCH,
        actor: "ada".to_owned(),
        aliases: Vec::new(),
        manifest,
        yanked: None,
        deprecated: None,
        erased: None,
    }
}

impl TwoVersions {
    fn served(&self, name: &str) -> Served {
        let model = Arc::clone(&self.model);
        let version = Some(version(name));
        Served::prepare(model, digest(name), name.to_owned(), Some(digest(name)), version).unwrap()
    }
}

#[async_trait]
impl Versions for TwoVersions {
    async fn load(&self, manifest: &Digest) -> Result<Served> {
        self.loaded.fetch_add(1, Ordering::SeqCst);
        let name = ["champion", "challenger"].into_iter().find(|name| digest(name) == *manifest);
        Ok(self.served(name.unwrap()))
    }
    async fn find(&self, reference: &str) -> Result<Version> {
        Ok(version(reference))
    }
    async fn admit(&self, _: &Version) -> Result<()> {
        Ok(())
    }
    async fn permit(
        &self,
        _: &Version,
        plan: RolloutPolicy,
        _: DateTime<Utc>,
    ) -> Result<(RolloutPolicy, Vec<Finding>)> {
        let warns = self.warns.load(Ordering::SeqCst);
        let warning = || {
            let fault = Fault::policy("BOT-6050", "the policy asks for `accuracy`");
            Finding { severity: Severity::Warning, ..fault.as_finding() }
        };
        Ok((plan, warns.then(warning).into_iter().collect()))
    }
    async fn promotion(&self, to: &Digest, from: Digest) -> Result<Option<ChampionMove>> {
        let json = serde_json::json!({"from": from, "to": to, "evidence": digest("gates")});
        Ok(Some(serde_json::from_value(json).unwrap()))
    }
    async fn former(&self, _: Option<&str>, _: &Digest) -> Result<FormerChampion> {
        Err(Fault::usage("BOT-6024", "no champion before"))
    }
    async fn objection(&self, _: &Digest) -> Result<Option<Fault>> {
        Ok(None)
    }
    async fn withdrawn(&self, manifest: &Digest) -> Result<Option<String>> {
        let is_it = *manifest == digest("challenger") && self.withdrawn.load(Ordering::SeqCst);
        Ok(is_it.then(|| "`m@2` is yanked".to_owned()))
    }
}

/// A server whose turns the test takes.
struct Server {
    app: Arc<App>,
    canary: Arc<Canary>,
    versions: Arc<TwoVersions>,
}

impl Server {
    /// Starts a server. Its looks count for a minute, so that a slow machine does not change what a test sees.
    async fn start(store: &Store) -> Self {
        Self::with_clock(store, Arc::new(WallClock::start())).await
    }

    /// As [`Self::start`], with a clock of its own.
    async fn with_clock(store: &Store, clock: Arc<dyn Clock>) -> Self {
        let minute = Duration::from_secs(60);
        let pace = Pace { fresh: minute, stale_after: minute, ..Pace::default().times(TIMES) };
        Self::try_with_clock(store, pace, TOKEN_KEY, clock).await.unwrap()
    }

    async fn start_at(store: &Store, pace: Pace) -> Self {
        Self::try_start(store, pace, TOKEN_KEY).await.unwrap()
    }

    async fn try_start(store: &Store, pace: Pace, token_key: &str) -> Result<Self> {
        let clock = Arc::new(WallClock::start());
        Self::try_with_clock(store, pace, token_key, clock).await
    }

    async fn try_with_clock(
        store: &Store,
        pace: Pace,
        token_key: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let settings = ServerSettings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            admin_token: None,
            allowed_hosts: Vec::new(),
            environment: "production".to_owned(),
            request_log: RequestLog::Off,
            access: crate::AccessSettings::default(),
            listeners: crate::ListenerSettings::default(),
            replication: Replication {
                identity_key: Some(botops_workspace::Secret::new("k".repeat(32))),
                token_key: Some(botops_workspace::Secret::new(token_key)),
                ..Replication::default()
            },
            webhooks: Vec::new(),
            public: crate::PublicSettings::default(),
            conversations: None,
            actions: Some(crate::ActionSettings::default()),
            predictions: None,
            monitoring: None,
            disks: std::collections::BTreeMap::new(),
            knowledge: Default::default(),
            telemetry: Default::default(),
            uploads: Default::default(),
            channels: Default::default(),
        };
        let app = new_app("m", &settings, clock, shadow::CAPACITY).unwrap();
        let versions = Arc::new(TwoVersions {
            model: Arc::new(crate::tests::model()),
            withdrawn: AtomicBool::new(false),
            warns: AtomicBool::new(false),
            loaded: AtomicU32::new(0),
        });
        app.slot.set(Arc::new(versions.served("champion")), None);
        let Opened { journal, tip, environment, entries } =
            Journal::open(store.clone(), "production").await.unwrap();
        let parts = Parts {
            app: Arc::clone(&app),
            versions: Arc::clone(&versions) as Arc<dyn Versions>,
            journal,
            pace,
            unit_key: app.unit_key.clone(),
            champions: Champions::default(),
        };
        let canary = Arc::new(Canary::new(parts, false));
        canary.open((environment, tip), entries, Vec::new()).await?;
        Ok(Self { app, canary, versions })
    }

    /// Takes `n` turns, as far apart as a server takes them during a rollout.
    async fn turns(&self, n: usize) {
        for _ in 0..n {
            self.canary.turn().await.unwrap();
            tokio::time::sleep(Pace::default().times(TIMES).busy).await;
        }
    }

    /// Starts a rollout of the challenger.
    async fn begin(&self, plan: RolloutSpec) {
        let request = StartRequest {
            version: "challenger".to_owned(),
            plan,
            supersede: false,
            accept_labels: true,
            drill: false,
        };
        self.canary.start(&request, ada(), Mode::Real).await.unwrap();
    }

    fn phase(&self) -> Phase {
        self.canary.view("latest").unwrap().rollout.phase
    }

    /// Returns the share of the challenger that requests meet on this server.
    fn share(&self) -> f64 {
        let routing = self.app.slot.load().unwrap();
        routing.split().map_or(0.0, |split| split.weight)
    }

    /// Answers one message of each conversation `ids`, as the routing of this server has it.
    fn talk(&self, ids: impl IntoIterator<Item = usize>) {
        let routing = self.app.slot.load().unwrap();
        for id in ids {
            let name = format!("conversation {id}");
            let choice = routing.choose(Some(&name), 0.0);
            let Some(split) = choice.split else { continue };
            let place = Place {
                arm: choice.arm,
                step: split.step,
                weight: split.weight,
                changing: split.changing,
                bounded: false,
                at: None,
            };
            let outcome = Outcome { failed: false, fallback: false, slow: false };
            self.app.observer.message(&name, (place, split.epoch), &outcome);
        }
    }

    /// Returns the conversations that the judge has counted.
    fn units(&self) -> u64 {
        self.canary.view("latest").unwrap().rollout.units().iter().sum()
    }
}

fn ada() -> Requester {
    Requester::new(Identity::new(IdentityKind::Key, "ada"), "a test")
}

/// Returns a plan with one step at 50 %, whose ticks come every 10 ms.
fn plan() -> RolloutSpec {
    let yaml = r#"
steps:
  - { weight: 50, deadline: 7d, min_units: 100000 }
interval: 10ms
stale_after: 6h
"#;
    botops_spec::parse(yaml, "plan.yaml").unwrap()
}

async fn log(store: &Store) -> Vec<Entry<Deployment>> {
    deployment_log(store, "production").entries().await.unwrap()
}

/// Waits until a higher share is in effect.
async fn raised() {
    tokio::time::sleep(Pace::default().times(TIMES).raise + Duration::from_millis(5)).await;
}
