//! Rollouts whose registry and store fail.

use super::{
    driver::Canary,
    state::{Mode, Requester, Restored},
};
use crate::{
    AccessSettings, RequestLog, ServerSettings,
    app::App,
    clock::ManualClock,
    observe::Outcome,
    routing::Served,
    server::new_app,
    shadow,
    version_source::{Deployment, VersionSource},
};
use async_trait::async_trait;
use botops_access::{Identity, IdentityKind};
use botops_digest::Digest;
use botops_findings::{Fault, FaultKind, Result};
use botops_models::IntentModel;
use botops_registry::{Act, Manifest, Version};
use botops_rollout::{Arm, Command, Effect, PauseReason, Phase, Rollout, RolloutSpec, StepSpec};
use chrono::DateTime;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

mod clock_jumps;
mod model_rollback;

/// How every call of the source fails.
#[derive(Clone, Copy, PartialEq)]
enum Failure {
    None,
    Unreachable,
    Conflict,
    /// Only the writes fail, as on a full disk.
    Full,
}

struct FlakySource {
    failure: std::sync::Mutex<Failure>,
    written: std::sync::Mutex<Vec<Deployment>>,
    model: Arc<IntentModel>,
    /// Whether no version has a gate report.
    ungated: std::sync::atomic::AtomicBool,
    /// The champions so far, the current one last.
    reigns: std::sync::Mutex<Vec<&'static str>>,
    /// The acts that moved the champion.
    acts: std::sync::Mutex<Vec<Act>>,
    /// The number of moves of the champion that fail next.
    refused: std::sync::Mutex<u32>,
}

/// The names of all versions.
const NAMES: [&str; 4] = ["oldest", "older", "champion", "challenger"];

fn version(name: &str) -> Version {
    Version {
        model: "m".to_owned(),
        number: 1,
        manifest_digest: Digest::of(name.as_bytes()),
        registered_at: DateTime::UNIX_EPOCH,
        actor: "ada".to_owned(),
        aliases: Vec::new(),
        manifest: Manifest {
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
        },
    }
}

fn name_of(digest: &Digest) -> &'static str {
    NAMES.into_iter().find(|name| Digest::of(name.as_bytes()) == *digest).unwrap()
}

impl FlakySource {
    fn served(&self, name: &str) -> Served {
        let digest = Digest::of(name.as_bytes());
        let model = Arc::clone(&self.model);
        let version = Some(version(name));
        Served::prepare(model, digest, name.to_owned(), Some(digest), version).unwrap()
    }

    fn answer(&self) -> Result<()> {
        match *self.failure.lock().unwrap() {
            Failure::None | Failure::Full => Ok(()),
            Failure::Unreachable => Err(Fault::unreachable("BOT-6031", "the store is down")),
            Failure::Conflict => Err(Fault::conflict("BOT-6026", "someone else wrote")),
        }
    }

    fn write(&self) -> Result<()> {
        let failure = *self.failure.lock().unwrap();
        match failure {
            Failure::Full => Err(Fault::unreachable("BOT-6031", "the disk is full")),
            _ => self.answer(),
        }
    }

    fn phases(&self) -> Vec<String> {
        self.written.lock().unwrap().iter().map(|entry| entry.phase.clone()).collect()
    }
}

#[async_trait]
impl VersionSource for FlakySource {
    async fn load(&self, manifest: &Digest) -> Result<Served> {
        self.answer().map(|()| self.served(name_of(manifest)))
    }
    async fn record(&self, deployment: Deployment) -> Result<()> {
        self.write()?;
        self.written.lock().unwrap().push(deployment);
        Ok(())
    }
    async fn promote(&self, served: &Served, expected: Digest, act: &Act) -> Result<()> {
        self.write()?;
        {
            let mut refused = self.refused.lock().unwrap();
            if *refused > 0 {
                *refused -= 1;
                return Err(Fault::unreachable("BOT-6031", "the registry is down"));
            }
        }
        self.acts.lock().unwrap().push(act.clone());
        let mut reigns = self.reigns.lock().unwrap();
        let now = Digest::of(reigns.last().unwrap().as_bytes());
        if now != expected && Some(now) != served.manifest {
            return Err(Fault::conflict("BOT-6026", "it was moved"));
        }
        let name = name_of(&served.manifest.unwrap());
        // A move back removes the champions after it.
        let kept = reigns.iter().position(|reign| *reign == name).unwrap_or(reigns.len());
        reigns.truncate(kept);
        reigns.push(name);
        Ok(())
    }
    async fn champion(&self) -> Result<Option<Digest>> {
        self.answer()?;
        Ok(self.reigns.lock().unwrap().last().map(|name| Digest::of(name.as_bytes())))
    }
    async fn objection(&self, _: &Digest) -> Result<Option<Fault>> {
        self.answer().map(|()| None)
    }
    async fn find(&self, name: Option<&str>, current: &Digest) -> Result<Version> {
        self.answer()?;
        if let Some(name) = name {
            return Ok(version(name));
        }
        let reigns = self.reigns.lock().unwrap();
        let at = reigns.iter().position(|reign| Digest::of(reign.as_bytes()) == *current);
        match at {
            Some(at) if at > 0 => Ok(version(reigns[at - 1])),
            _ => Err(Fault::usage("BOT-6024", "there was none before")),
        }
    }
    async fn admit(&self, _: &Version) -> Result<()> {
        self.answer()?;
        match self.ungated.load(std::sync::atomic::Ordering::SeqCst) {
            true => Err(Fault::policy("BOT-5017", "it has no gate report")),
            false => Ok(()),
        }
    }
    async fn former(&self, name: Option<&str>, current: &Digest) -> Result<Digest> {
        let version = self.find(name, current).await?;
        let reigns = self.reigns.lock().unwrap();
        match reigns.iter().any(|reign| Digest::of(reign.as_bytes()) == version.manifest_digest) {
            true => Ok(version.manifest_digest),
            false => Err(Fault::policy("BOT-5031", "it was never champion")),
        }
    }
    async fn go_back(&self, to: &Digest, expected: Digest, act: &Act) -> Result<()> {
        self.promote(&self.served(name_of(to)), expected, act).await
    }
}

struct Setup {
    app: Arc<App>,
    source: Arc<FlakySource>,
    canary: Canary,
    clock: Arc<ManualClock>,
}

impl Setup {
    fn fail(&self, failure: Failure) {
        *self.source.failure.lock().unwrap() = failure;
    }

    /// Lets the next `n` moves of the champion fail.
    fn fail_promotions(&self, n: u32) {
        *self.source.refused.lock().unwrap() = n;
    }

    fn weight(&self) -> Option<f64> {
        self.app.slot.load().unwrap().split.as_ref().map(|split| split.weight)
    }

    fn pass(&self, seconds: i64) {
        let now = crate::clock::Clock::now(&*self.clock);
        self.clock.set(now + chrono::TimeDelta::seconds(seconds));
    }

    /// Counts `n` conversations on each arm.
    fn converse(&self, from: u64, n: u64) {
        for request in from..from + 2 * n {
            let arm = if request % 2 == 0 { Arm::Canary } else { Arm::Primary };
            let outcome =
                Outcome { request, predicted: Some("a".into()), fallback: false, slow: false };
            self.app.observer.message(&request.to_string(), arm, 0.5, outcome);
        }
    }

    async fn phase(&self) -> Phase {
        self.canary.read("latest", |active, _| active.rollout.phase.clone()).await.unwrap()
    }

    async fn units(&self) -> [u64; 2] {
        self.canary.read("latest", |_, decision| decision.units).await.unwrap()
    }

    /// Returns the version that serves, and the champion.
    fn serving(&self) -> [&'static str; 2] {
        let served = self.app.slot.load().unwrap().primary.manifest.unwrap();
        [name_of(&served), self.source.reigns.lock().unwrap().last().unwrap()]
    }

    async fn roll_back(&self, version: Option<&str>) -> Result<Restored> {
        self.roll_back_in(version, Mode::Real).await
    }

    async fn roll_back_in(&self, version: Option<&str>, mode: Mode) -> Result<Restored> {
        let requester = Requester::new(Identity::new(IdentityKind::Key, "ada"), "it is bad");
        self.canary.roll_back_model(version, &requester, mode).await
    }

    async fn promote(&self) {
        let requester = Requester::new(Identity::new(IdentityKind::Key, "ada"), "");
        self.canary.command("latest", &Command::Promote, requester, None).await.unwrap();
        assert_eq!(self.serving(), ["challenger", "challenger"]);
    }

    async fn abort(&self) -> Result<()> {
        let requester = Requester::new(Identity::new(IdentityKind::Key, "ada"), "");
        let command = Command::Abort { reason: "enough".to_owned() };
        self.canary.command("latest", &command, requester, None).await
    }
}

/// Starts a rollout that ramps at 50 %, in one step of 20 conversations.
async fn ramping() -> Setup {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = ServerSettings {
        listen: anywhere,
        admin_listen: anywhere,
        admin_token: None,
        allowed_hosts: Vec::new(),
        environment: "test".to_owned(),
        request_log: RequestLog::Off,
        access: AccessSettings::default(),
    };
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    let app = new_app("m", &settings, Arc::clone(&clock) as _, shadow::CAPACITY).unwrap();
    let source = Arc::new(FlakySource {
        failure: std::sync::Mutex::new(Failure::None),
        written: std::sync::Mutex::default(),
        model: Arc::new(crate::tests::model()),
        ungated: false.into(),
        reigns: std::sync::Mutex::new(NAMES[..3].to_vec()),
        acts: std::sync::Mutex::default(),
        refused: std::sync::Mutex::default(),
    });
    app.slot.set(Arc::new(source.served("champion")), None);
    let canary = Canary::new(Arc::clone(&app), Arc::clone(&source) as _, false);
    let spec = RolloutSpec {
        steps: vec![StepSpec {
            weight: 50.0,
            min_time: None,
            min_units: Some(20),
            deadline: "1h".to_owned(),
            require: None,
        }],
        interval: "10s".to_owned(),
        stale_after: "1m".to_owned(),
        ..RolloutSpec::default()
    };
    let rollout = Rollout::request(
        botops_rollout::RolloutRequest {
            id: "r".to_owned(),
            model: "m".to_owned(),
            champion: Digest::of(b"champion"),
            challenger: Digest::of(b"challenger"),
            policy: spec.check().unwrap(),
            actor: "ada".to_owned(),
            reason: "a test".to_owned(),
        },
        DateTime::UNIX_EPOCH,
    );
    canary.launch_rehearsed(rollout).await.unwrap();
    let setup = Setup { app, source, canary, clock };
    assert_eq!(setup.source.phases(), ["pending", "loading", "ramping"]);
    assert_eq!(setup.weight(), Some(0.5));
    setup
}

#[tokio::test]
async fn a_rollback_acts_while_the_store_is_down_and_is_written_when_it_is_back() {
    let setup = ramping().await;
    setup.fail(Failure::Unreachable);
    setup.abort().await.unwrap();
    assert_eq!(setup.weight(), None);
    assert_eq!(setup.phase().await, Phase::RolledBack { reason: "aborted: enough".to_owned() });
    assert!(setup.canary.tick().await.is_err(), "it cannot be written yet");
    setup.fail(Failure::None);
    setup.canary.tick().await.unwrap();
    let phases = setup.source.phases();
    assert_eq!(phases[3..], ["rolling_back", "rolled_back"]);
    setup.canary.tick().await.unwrap();
    assert_eq!(setup.source.phases(), phases, "once");
    assert!(setup.abort().await.is_err(), "a rollout that is over cannot be aborted");
    assert_eq!(setup.weight(), None);
}

#[tokio::test]
async fn a_step_that_cannot_be_recorded_is_not_taken_and_its_observations_are_kept() {
    let setup = ramping().await;
    setup.converse(0, 25);
    setup.pass(10);
    setup.fail(Failure::Unreachable);
    assert!(setup.canary.tick().await.is_err());
    assert!(matches!(setup.phase().await, Phase::Ramping { units: 0, .. }));
    assert_eq!(setup.app.slot.load().unwrap().primary.manifest, Some(Digest::of(b"champion")));
    setup.fail(Failure::None);
    setup.pass(10);
    assert!(setup.canary.tick().await.unwrap());
    assert_eq!(setup.units().await, [25, 25]);
    assert_eq!(setup.phase().await, Phase::Promoted);
    assert_eq!(setup.source.phases()[3..], ["promoting", "promoted"]);
    assert_eq!(setup.app.slot.load().unwrap().primary.manifest, Some(Digest::of(b"challenger")));
}

#[tokio::test]
async fn a_promotion_that_was_written_is_finished_by_a_later_tick() {
    let setup = ramping().await;
    let promote = setup.canary.preview("latest", &Command::Promote, None).await.unwrap();
    assert_eq!(promote.effect, Effect::Promote);
    // The log has the entry, then the registry fails.
    {
        let mut state = setup.canary.state.lock().await;
        state.active.as_mut().unwrap().rollout = promote.next;
    }
    setup.fail(Failure::Unreachable);
    assert!(setup.canary.tick().await.is_err());
    assert_eq!(setup.phase().await, Phase::Promoting);
    setup.fail(Failure::None);
    setup.canary.tick().await.unwrap();
    assert_eq!(setup.phase().await, Phase::Promoted);
}

#[tokio::test]
async fn a_server_that_lost_the_log_to_another_withdraws_its_challenger() {
    let setup = ramping().await;
    setup.converse(0, 5);
    setup.pass(10);
    setup.fail(Failure::Conflict);
    assert_eq!(setup.canary.tick().await.unwrap_err().code(), "BOT-6026");
    assert_eq!(setup.weight(), None);
    setup.fail(Failure::None);
    setup.pass(10);
    assert!(!setup.canary.tick().await.unwrap());
    assert_eq!(setup.weight(), None, "the challenger does not come back");
}

#[tokio::test]
async fn quiet_ticks_write_nothing_and_keep_the_rollout_fresh() {
    let setup = ramping().await;
    for _ in 0..100 {
        setup.pass(10);
        setup.canary.tick().await.unwrap();
    }
    assert!(matches!(setup.phase().await, Phase::Ramping { .. }), "the server ticked all the time");
    assert_eq!(setup.source.phases().len(), 3);
    // No tick for longer than `stale_after`: the next tick makes it fresh again, and the deadline pauses it.
    setup.pass(3_000);
    setup.canary.tick().await.unwrap();
    assert!(matches!(
        setup.phase().await,
        Phase::Paused { reason: PauseReason::NoTraffic, weight: 0.5, .. }
    ));
    assert_eq!(setup.weight(), Some(0.5));
}

#[tokio::test]
async fn an_abort_of_another_rollout_does_not_change_this_one() {
    let setup = ramping().await;
    // Even while the state is locked: nothing may be withdrawn before the id is checked.
    let held = setup.canary.state.lock().await;
    let requester = Requester::new(Identity::new(IdentityKind::Key, "ada"), "");
    let command = Command::Abort { reason: "enough".to_owned() };
    let aborting = setup.canary.command("another", &command, requester, None);
    let outcome = tokio::time::timeout(Duration::from_millis(50), aborting).await;
    assert_eq!(setup.weight(), Some(0.5));
    assert_eq!(outcome.unwrap().unwrap_err().code(), "BOT-6034");
    drop(held);
    setup.abort().await.unwrap();
    assert_eq!(setup.weight(), None);
}

#[tokio::test]
async fn every_act_has_its_own_actor_reason_and_effect_in_the_log() {
    let setup = ramping().await;
    let act = async |actor: &str, reason: &str, command: Command| {
        let requester = Requester::new(Identity::new(IdentityKind::Key, actor), reason);
        setup.canary.command("latest", &command, requester, None).await.unwrap();
    };
    act("bob", "lunch", Command::Pause).await;
    setup.pass(10);
    act("eve", "back again", Command::Resume).await;
    setup.converse(0, 25);
    setup.pass(10);
    // Nobody asked for this one.
    assert!(setup.canary.tick().await.unwrap());
    let written = setup.source.written.lock().unwrap().clone();
    let acts: Vec<(&str, &str, f64)> = written
        .iter()
        .map(|entry| (entry.actor.as_str(), entry.phase.as_str(), entry.weight_percent))
        .collect();
    assert_eq!(
        acts,
        [
            ("ada", "pending", 0.0),
            ("ada", "loading", 0.0),
            ("ada", "ramping", 50.0),
            ("bob", "paused", 50.0),
            ("eve", "ramping", 50.0),
            ("botops", "promoting", 100.0),
            ("botops", "promoted", 0.0),
        ]
    );
    assert_eq!(written[3].reason, "lunch (pause requested)");
    assert_eq!(written[4].reason, "back again (resume requested)");
    assert!(written[4].at - written[3].at == chrono::TimeDelta::seconds(10), "its own time");
    let decision = setup.canary.read("latest", |_, decision| decision).await.unwrap();
    assert_eq!(decision.transitions[3].actor.as_deref(), Some("bob"));
    // The one who requested the rollout answers for a promotion that nobody else approved.
    let acts = setup.source.acts.lock().unwrap().clone();
    assert_eq!((acts[0].actor.as_str(), acts[0].reason.as_str()), ("ada", "rollout r: a test"));
}

#[tokio::test]
async fn a_promotion_is_logged_under_the_person_who_approved_it_even_after_a_failure() {
    let setup = ramping().await;
    // The log has the approval, then the registry fails; the next tick finishes the promotion.
    setup.fail_promotions(1);
    let requester = Requester::new(Identity::new(IdentityKind::Key, "boss"), "approve now");
    setup.canary.command("latest", &Command::Promote, requester, None).await.unwrap_err();
    setup.canary.tick().await.unwrap();
    assert_eq!(setup.phase().await, Phase::Promoted);
    let acts = setup.source.acts.lock().unwrap().clone();
    assert_eq!(acts.len(), 1);
    assert_eq!(acts[0].actor, "boss");
    assert!(
        acts[0].reason.starts_with("rollout r: approve now (promotion requested at 50 %"),
        "{}",
        acts[0].reason
    );
    let written = setup.source.written.lock().unwrap().clone();
    let last: Vec<(&str, &str)> =
        written[3..].iter().map(|entry| (entry.actor.as_str(), entry.phase.as_str())).collect();
    assert_eq!(last, [("boss", "promoting"), ("boss", "promoted")]);
}

#[tokio::test]
async fn a_rollout_of_a_version_without_a_gate_report_is_not_resumed() {
    let setup = ramping().await;
    let log = setup.source.written.lock().unwrap().clone();
    for ungated in [false, true] {
        setup.source.ungated.store(ungated, std::sync::atomic::Ordering::SeqCst);
        let (app, source) = (Arc::clone(&setup.app), Arc::clone(&setup.source));
        app.slot.withdraw();
        let restarted = Canary::new(app, source as _, false);
        restarted.resume(&log, Digest::of(b"champion")).await.unwrap();
        let phase = restarted.read("latest", |active, _| active.rollout.phase.name()).await;
        let expected = if ungated { ("rolled_back", None) } else { ("ramping", Some(0.5)) };
        assert_eq!((phase.unwrap(), setup.weight()), expected);
    }
}
