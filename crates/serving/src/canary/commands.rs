//! Rollout commands: their checks, and their entries in the log. Any server of the environment takes them.
//!
//! A command reads the log, is checked against what it read, and is appended behind it. If another server was first, it
//! is read and checked again.

use super::{
    drill::{check_drill, is_drill},
    follow::Canary,
    state::{InEffect, Mode, Requester, Reverted, Started, State, named, unchanged, under_way},
};
use crate::routing::Served;
use botops_access::Identity;
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Result};
use botops_registry::{Change, Deployment, RolloutStep, Version, check_labels};
use botops_rollout::{
    self as rollout, Command, Effect, Observation, Phase, Rollout, RolloutPolicy, RolloutRequest,
    RolloutSpec, Strategy, Transition, Versions as Names,
};
use chrono::{DateTime, Utc};
use std::sync::{Arc, PoisonError, atomic::Ordering};

/// A request for a rollout.
#[derive(Debug, Clone)]
pub(crate) struct StartRequest {
    /// The version, such as `support@3`.
    pub(crate) version: String,
    /// The plan.
    pub(crate) plan: RolloutSpec,
    /// Whether the rollout that is under way is rolled back first.
    pub(crate) supersede: bool,
    /// Whether it starts although the version adds or removes intents, or cannot answer some.
    pub(crate) accept_labels: bool,
    /// Whether it is a drill: a rollout of the champion's own version, which proves that it can be rolled back.
    pub(crate) drill: bool,
}

impl Canary {
    /// Starts a rollout, or joins the one under way for the same version.
    ///
    /// If the last rollout made this version champion, it is joined too: a client that repeats its request may not
    /// have learned how the rollout ended.
    ///
    /// # Errors
    /// `BOT-6032`, `BOT-6190`, `BOT-6037`, `BOT-6001`, those of the registry; `BOT-5017` the version has no gate report; `BOT-5047`
    /// it changes the intents, or cannot answer some; those of [`Self::check_held`].
    pub(crate) async fn start(
        self: &Arc<Self>,
        request: &StartRequest,
        requester: Requester,
        mode: Mode,
    ) -> Result<(Transition, Started)> {
        let policy = request.plan.check()?;
        self.journal.check()?;
        let version = self.versions.find(&request.version).await?;
        let is_shadow = policy.strategy() == Strategy::Shadow;
        // The answers of a challenger in shadow reach nobody.
        if !request.accept_labels && !is_shadow {
            self.check_labels(&version).await?;
        }
        let launched = loop {
            let mut state = self.lock().await;
            self.catch_up(&mut state).await?;
            self.route(&mut state);
            if request.drill && self.repeated(&state, &requester)?.is_none() {
                check_drill(&state, &self.app.model, &version)?;
            } else if let Some(joined) =
                self.joined(&state, (&version, is_shadow, request.supersede), &requester).await?
            {
                return Ok(joined);
            }
            self.check_held(&state)?;
            let now = self.app.clock.now();
            let (policy, warnings) = match request.drill || is_shadow {
                // It promotes nothing, so the policy has nothing to say about it.
                true => (policy.clone(), Vec::new()),
                false => self.versions.permit(&version, policy.clone(), now).await?,
            };
            let warnings = in_words(&warnings);
            let rollout = self.requested(&state, &version, policy, &requester)?;
            let rollout = rollout.with_warnings(warnings);
            if !request.drill {
                self.versions.admit(&version).await?;
            }
            // Every check of the new rollout comes before the open one is touched.
            if let Some(open) = state.open(&self.app.model) {
                if !request.supersede {
                    return Err(match self.is_ending(&open.rollout) {
                        true => rolling_back(&open.rollout.id),
                        false => in_the_way(&open.rollout, &version),
                    });
                }
                if !matches!(open.rollout.phase, Phase::RollingBack { .. }) {
                    let command = Command::Supersede { by: rollout.id.clone() };
                    let now = self.rollout_now(&state);
                    let transition = rollout::command(&open.rollout, &command, now)?;
                    if matches!(mode, Mode::Real) && self.take_lease(&mut state).await? {
                        // The mark of the request belongs to the entry that starts the rollout.
                        let unmarked = Requester { request: None, ..requester.clone() };
                        self.step(&mut state, &transition, &unmarked, None).await?;
                    }
                }
                if matches!(mode, Mode::Real) {
                    drop(state);
                    // The server that ticks waits for the last requests of the one that is rolled back.
                    self.drive().await?;
                    tokio::time::sleep(self.pace.busy / 10).await;
                    continue;
                }
            }
            let now = rollout.started_at;
            if matches!(mode, Mode::Dry) {
                let nothing = Observation { observed_at: Some(now), ..Observation::default() };
                return Ok((rollout::advance(&rollout, &nothing, now), Started::New));
            }
            if self.take_lease(&mut state).await?
                && self.launch(&mut state, &rollout, &requester).await?
            {
                break rollout;
            }
        };
        for warning in &launched.warnings {
            self.event("warn", "policy", format!("{}: {warning}", launched.id));
        }
        self.drive().await?;
        let state = self.lock().await;
        let step = named(state.step(&self.app.model), &launched.id, &self.app.model)?;
        Ok((unchanged(&step.rollout, Effect::None), Started::New))
    }

    /// Refuses a version that adds or removes intents, or cannot answer some that the primary answers.
    ///
    /// # Errors
    /// `BOT-5047`; those of the store and of the model file.
    async fn check_labels(&self, version: &Version) -> Result<()> {
        let primary = self.primary()?;
        let Some(champion) = &primary.version else { return Ok(()) };
        let before = primary.unanswered_intents();
        check_labels(Some((champion, &before)), (version, &[]))?;
        // What the primary cannot answer either is no change, so the challenger is read only if it answers something.
        if before.len() == primary.intents.len() {
            return Ok(());
        }
        let challenger = self.versions.load(&version.manifest_digest).await?;
        check_labels(Some((champion, &before)), (version, &challenger.unanswered_intents()))
    }

    /// Returns the rollout that a request for `version` joins, if there is one.
    /// One that is being rolled back is joined by nobody: its end is decided.
    ///
    /// # Errors
    /// `BOT-6037` it is the champion already, or the same model; `BOT-6190` its rollout is being rolled back; those of a
    /// repeated request.
    async fn joined(
        &self,
        state: &State,
        (version, is_shadow, supersede): (&Version, bool, bool),
        requester: &Requester,
    ) -> Result<Option<(Transition, Started)>> {
        let primary = self.primary()?;
        let champion = state.champions.current();
        if let Some(seq) = self.repeated(state, requester)? {
            let rollout = self.rollout_after(seq).await?;
            return Ok(Some((unchanged(&rollout, Effect::None), Started::Repeated)));
        }
        let ending = state.open(&self.app.model).filter(|open| self.is_ending(&open.rollout));
        if let Some(step) = state.step(&self.app.model).filter(|_| ending.is_none()) {
            let rollout = &step.rollout;
            let is_same = rollout.challenger == version.manifest_digest
                && !is_drill(rollout)
                && is_shadow == (rollout.policy.strategy() == Strategy::Shadow);
            let joins = is_same
                && (!rollout.is_over()
                    || rollout.phase == Phase::Promoted && champion == Some(rollout.challenger));
            if joins {
                return Ok(Some((unchanged(rollout, Effect::None), Started::Joined)));
            }
        }
        if let Some(open) = ending.filter(|_| !supersede) {
            // Out of settling, the version may be the champion for a moment longer.
            return Err(rolling_back(&open.rollout.id));
        }
        let is_champion = champion == Some(version.manifest_digest);
        // The same model with other documents answers differently, so it is a rollout of its own.
        let is_same_set = match &primary.version {
            Some(champion) => champion.set().is_some_and(|set| version.set() == Some(set)),
            None => version.set() == Some(primary.digest.into()),
        };
        if is_champion || is_same_set {
            return Err(already_champion(version, &primary));
        }
        Ok(None)
    }

    /// Returns whether `rollout` is being rolled back: by its log, or by an abort that is in effect here.
    fn is_ending(&self, rollout: &Rollout) -> bool {
        matches!(rollout.phase, Phase::RollingBack { .. }) || self.is_aborted(&rollout.id)
    }

    /// Returns the rollout that `requester` asks for.
    ///
    /// # Errors
    /// `BOT-6019` no model is ready.
    fn requested(
        &self,
        state: &State,
        version: &Version,
        policy: RolloutPolicy,
        requester: &Requester,
    ) -> Result<Rollout> {
        let primary = self.primary()?;
        let champion = state.champions.current().or(primary.manifest);
        let champion = champion.expect("a model of a registry has its manifest");
        let request = RolloutRequest {
            id: ulid::Ulid::generate().to_string(),
            model: version.model.clone(),
            champion,
            challenger: version.manifest_digest,
            policy,
            actor: requester.by.label(),
            reason: requester.reason.clone(),
        };
        let names =
            Names { champion: primary.reference.to_string(), challenger: version.reference() };
        Ok(Rollout::request(request, self.app.clock.steady())
            .with_requester(requester.by.name.clone())
            .with_versions(names))
    }

    /// Appends the first entry of `rollout`. Returns whether this server was first.
    async fn launch(
        self: &Arc<Self>,
        state: &mut State,
        rollout: &Rollout,
        requester: &Requester,
    ) -> Result<bool> {
        // Fixed before the first request reaches the canary. The latency of a rehearsal is not that of the traffic.
        let slow_bound = if self.rehearsal { None } else { self.app.metrics.slow_bound() };
        let step = RolloutStep {
            rollout: rollout.clone(),
            champion: None,
            effective_at: None,
            slow_bound_seconds: slow_bound.map(|bound| bound.as_secs_f64()),
            counted: std::collections::BTreeMap::new(),
        };
        let by = (requester.by.clone(), rollout.reason.clone());
        let change = Change::Rollout(Box::new(step));
        let mut entry = Deployment::new(by, self.app.clock.now(), &self.app.model, change);
        entry.request.clone_from(&requester.request);
        self.append(state, entry).await
    }

    /// Starts the checked `rollout` of a rehearsal.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn launch_rehearsed(self: &Arc<Self>, rollout: &Rollout) -> Result<()> {
        let requester = Requester::new(
            Identity::new(botops_access::IdentityKind::Automatic, rollout.actor.clone()),
            "",
        );
        let mut state = self.lock().await;
        self.take_lease(&mut state).await?;
        self.launch(&mut state, rollout, &requester).await?;
        drop(state);
        self.drive().await
    }

    /// Applies `command`, which is not an abort. Returns the rollout as the first request left it, if this is a repeated one.
    ///
    /// # Errors
    /// `BOT-6034`, `BOT-6022`, `BOT-6002`, those of [`Self::check_held`] and of the store.
    pub(crate) async fn command(
        self: &Arc<Self>,
        id: &str,
        command: &Command,
        requester: &Requester,
        if_match: Option<u64>,
    ) -> Result<Option<Rollout>> {
        self.journal.check()?;
        loop {
            let mut state = self.lock().await;
            self.catch_up(&mut state).await?;
            self.route(&mut state);
            if let Some(seq) = self.repeated(&state, requester)? {
                drop(state);
                return self.rollout_after(seq).await.map(Some);
            }
            self.learn_policy(&mut state).await?;
            self.learn_time(&mut state).await?;
            self.pause_after_jump(&mut state).await?;
            self.check_approver(&state, id, command, requester).await?;
            let transition = self.checked(&state, id, command, requester, if_match)?;
            if self.step(&mut state, &transition, requester, None).await? {
                break;
            }
        }
        // The effect of the command, if this server ticks; else the one that does carries it out at its next turn.
        self.drive().await.map(|()| None)
    }

    /// Checks that the author of an approval may approve. The rollout itself refuses an approval by its requester; nobody
    /// approves either what was requested on their behalf, or on behalf of the requester: a name that nothing proves is
    /// good enough to refuse.
    ///
    /// # Errors
    /// `BOT-6006` (exit 6) the rollout was requested on behalf of the author, or the other way round; `BOT-6055` (exit 6)
    /// the policy names others as approvers; those of the store.
    async fn check_approver(
        &self,
        state: &State,
        id: &str,
        command: &Command,
        requester: &Requester,
    ) -> Result<()> {
        if !matches!(command, Command::Approve { .. }) {
            return Ok(());
        }
        let rollout = &named(state.step(&self.app.model), id, &self.app.model)?.rollout;
        let name = requester.by.name.as_str();
        let for_them = rollout.actor.rsplit_once(" on behalf of ").map(|(_, other)| other);
        let by_them = requester.by.on_behalf_of.as_deref();
        if !rollout.policy.approval().is_some_and(|approval| approval.allow_self_approval)
            && (for_them == Some(name) || by_them == Some(rollout.requester()))
        {
            let message = format!("the rollout was requested by `{}`", rollout.actor);
            return Err(Fault::policy("BOT-6006", message)
                .hint("ask somebody else to approve it: `botops rollout approve --reason TEXT`"));
        }
        self.versions.check_approver(name).await
    }

    /// Returns the transition that `command` would make, with the reason that the request gives.
    fn checked(
        &self,
        state: &State,
        id: &str,
        command: &Command,
        requester: &Requester,
        if_match: Option<u64>,
    ) -> Result<Transition> {
        let rollout = &named(state.step(&self.app.model), id, &self.app.model)?.rollout;
        check_revision(if_match, rollout.revision)?;
        let is_forward = matches!(
            command,
            Command::Promote | Command::Advance | Command::Resume | Command::SetWeight { .. }
        );
        if is_drill(rollout) && is_forward && !rollout.is_over() {
            return Err(Fault::conflict(
                "BOT-6085",
                "a drill promotes nothing: it can only be aborted",
            )
            .hint("end it with `botops rollout abort --reason TEXT`"));
        }
        let (held, now) = (self.held(state), self.rollout_now(state));
        let transition = rollout::command_held(rollout, command, held.as_deref(), now)?;
        // The reason of an abort is part of the command.
        let is_abort = matches!(command, Command::Abort { .. });
        Ok(transition.because(if is_abort { "" } else { &requester.reason }))
    }

    /// Returns the transition that `command` would make.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub(crate) async fn preview(
        self: &Arc<Self>,
        id: &str,
        command: &Command,
        requester: &Requester,
        if_match: Option<u64>,
    ) -> Result<Transition> {
        let mut state = self.lock().await;
        self.catch_up(&mut state).await?;
        if self.repeated(&state, requester)?.is_some() {
            let step = named(state.step(&self.app.model), id, &self.app.model)?;
            return Ok(unchanged(&step.rollout, Effect::None));
        }
        self.learn_time(&mut state).await?;
        self.check_approver(&state, id, command, requester).await?;
        self.checked(&state, id, command, requester, if_match)
    }

    /// Rolls the rollout `id` back: no request reaches the challenger from here on, and then the log records it. Returns the
    /// rollout as the first request left it, if this is a repeated one.
    ///
    /// A store that fails is no error: the answer says that the abort is not durable, and the server keeps trying.
    ///
    /// # Errors
    /// `BOT-6034`, `BOT-6022`, `BOT-6002`, those of a repeated request: nothing has changed then.
    pub(crate) async fn abort(
        self: &Arc<Self>,
        id: &str,
        reason: String,
        requester: Requester,
        if_match: Option<u64>,
    ) -> Result<Option<Rollout>> {
        self.journal.check()?;
        // What is known without the store: an abort does not wait for it.
        let known = match self.state.try_lock() {
            Ok(state) => self.repeated(&state, &requester)?,
            Err(_) => None,
        };
        if let Some(seq) = known {
            return self.rollout_after(seq).await.map(Some);
        }
        let view = self.view(id)?;
        if let Some(asked) = if_match
            && asked > view.rollout.revision
        {
            // A stale revision never blocks a rollback; one that nobody has given out is a mistake.
            check_revision(if_match, view.rollout.revision)?;
        }
        let now = self.app.clock.steady();
        if !view.durable && self.is_aborted(&view.rollout.id) {
            return self.record_now().await.map(|()| None);
        }
        let command = Command::Abort { reason: reason.clone() };
        let end = rollout::command(&view.rollout, &command, now)?;
        let act = Reverted::Abort { id: view.rollout.id.clone(), reason };
        self.act(act, requester, now);
        self.app.slot.withdraw();
        // A shadow run answered nobody: it finishes.
        if end.effect == Effect::RollBack {
            self.app.metrics.rolled_back("requested");
        }
        self.record_now().await.map(|()| None)
    }

    /// Notes an act that is in effect from now on.
    pub(super) fn act(&self, act: Reverted, requester: Requester, at: DateTime<Utc>) {
        let number = self.acted.fetch_add(1, Ordering::SeqCst) + 1;
        let act = InEffect { number, act, requester, at };
        self.show_act(&act);
        self.acts.lock().unwrap_or_else(PoisonError::into_inner).push(act);
        self.woken.notify_one();
    }
}

/// Returns the digest that identifies an `Idempotency-Key` of `by`.
pub(crate) fn request_key(by: &Identity, key: &str) -> Digest {
    Digest::of_json(&(&by.name, by.kind, key))
}

/// The fault of a rollout that cannot begin before the rollback of rollout `id` is complete.
fn rolling_back(id: &str) -> Fault {
    let message = format!(
        "rollout `{id}` is being rolled back: its last requests end before another rollout begins"
    );
    Fault::conflict("BOT-6190", message).hint(
        "ask again once `botops rollout status` shows its end, or use `--supersede`, which waits for it",
    )
}

/// The fault of a rollout of `version` that cannot begin before `open` ends.
fn in_the_way(open: &Rollout, version: &Version) -> Fault {
    if open.challenger != version.manifest_digest {
        return under_way(&open.id);
    }
    let (reference, id) = (version.reference(), &open.id);
    let message = match open.policy.strategy() {
        Strategy::Shadow => {
            format!("`{reference}` is in shadow, as rollout `{id}`: nothing promotes it from there")
        }
        _ => format!("`{reference}` is in rollout `{id}`, which is no shadow run"),
    };
    Fault::conflict("BOT-6089", message).hint(
        "wait for its end, end it with `botops rollout abort --reason TEXT`, or use `--supersede`",
    )
}

/// Returns the rules that a policy only warns of, in words.
fn in_words(warnings: &[Finding]) -> Vec<String> {
    warnings.iter().map(|warning| format!("{} [{}]", warning.message, warning.code)).collect()
}

/// The fault of a rollout of the champion, or of a version with the same model.
fn already_champion(version: &Version, primary: &Served) -> Fault {
    let message = if primary.manifest == Some(version.manifest_digest) {
        format!("`{}` is already the champion", version.reference())
    } else {
        let champion = &primary.reference;
        match version.manifest.knowledge().is_empty() {
            true => {
                format!("`{}` is the same model as the champion `{champion}`", version.reference())
            }
            false => format!(
                "`{}` has the model and the knowledge of the champion `{champion}`",
                version.reference()
            ),
        }
    };
    Fault::conflict("BOT-6037", message).hint("there is nothing to do")
}

/// Refuses a command that was meant for another revision.
fn check_revision(if_match: Option<u64>, revision: u64) -> Result<()> {
    match if_match {
        Some(expected) if expected != revision => Err(Fault::conflict(
            "BOT-6022",
            format!("the rollout is at revision {revision}, not {expected}"),
        )
        .hint("read the rollout again, then decide again")),
        _ => Ok(()),
    }
}
