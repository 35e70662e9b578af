//! The policy of an environment: read from a file, recorded in the deployment log, applied to promotions.
//!
//! The policy that the deployment log names last is in force, for servers and for commands on bare storage alike. A file
//! takes effect when it is recorded: by `botops policy apply`, or by a server that is started with it.

use super::{Act, Change, Deployment, Environment, Registry, Version, state::MAX_CONFLICTS};
use botops_access::{
    Case, Evidence, EvidenceBasis, GateRules, Judgement, MeasuredBound, Policy, PolicyMode,
    PolicySpec,
};
use botops_evaluation::{GateSpec, PassedGates};
use botops_findings::{Fault, Finding, Place, Result};
use botops_rollout::RolloutPolicy;
use botops_spec::{self as spec, Outline, Spec as _};
use botops_store::Appended;
use chrono::{DateTime, Utc};
use std::path::Path;

/// The newest supported `version:` of a policy file.
const NEWEST: u32 = 1;

/// Reads the policy file at `path`.
///
/// # Errors
/// As [`botops_spec::read_versioned`]; `BOT-3010` a gate on an unknown metric, `BOT-1063` a setting out of range or a file
/// without any key, `BOT-1064` an invalid window (exit 2), each with file, line and key.
pub fn read_policy(path: &Path) -> Result<Policy> {
    let yaml = spec::text(path)?;
    let file = path.display().to_string();
    spec::check_version(&yaml, &file, NEWEST)?;
    let policy: PolicySpec = spec::parse(&yaml, &file)?;
    if spec::parse::<Option<PolicySpec>>(&yaml, &file)?.is_none() {
        return Err(Fault::usage("BOT-1063", "the policy file is empty: it demands nothing")
            .file(path)
            .hint(
                "write what a promotion needs, such as `gates: {metrics: {accuracy: {min: 0.85}}}`",
            )
            .hint("to demand nothing on purpose, write `mode: off`"));
    }
    let placed = |fault: Fault| {
        let key = fault.place().key.clone().unwrap_or_default();
        let (line, column) = Outline::of(&yaml).place(&key).unzip();
        fault.at(Place {
            file: Some(file.clone()),
            line,
            column,
            key: Some(key).filter(|key| !key.is_empty()),
            ..Place::default()
        })
    };
    check_gates(&policy.gates).map_err(placed)?;
    policy.check().map_err(placed)
}

/// Checks the gates by the rules of the gate rules file, whose words they are.
fn check_gates(gates: &GateRules) -> Result<()> {
    if gates.is_empty() {
        return Ok(());
    }
    gates.check_numbers()?;
    let gates = serde_json::to_value(gates).and_then(serde_json::from_value::<GateSpec>);
    let gates = gates
        .map_err(|error| Fault::usage("BOT-1063", "`gates` are no gate rules").caused_by(error))?;
    gates.check_ranges().map_err(|fault| {
        let key = fault.place().key.as_ref().map(|key| format!("gates.{key}"));
        fault.at(Place { key, ..Place::default() })
    })
}

/// Returns the evidence behind `passed`, as a policy sees it.
#[must_use]
pub fn policy_evidence(passed: &PassedGates) -> Evidence {
    let report = passed.report();
    Evidence {
        digest: passed.evidence(),
        kind: report.evidence.clone(),
        basis: report.basis.as_ref().map(|basis| EvidenceBasis {
            data: basis.data.clone(),
            data_digest: basis.data_digest,
            n: basis.n,
            champion: basis.champion,
            bounds: basis
                .bounds
                .iter()
                .map(|bound| MeasuredBound {
                    key: bound.key.clone(),
                    bound: bound.bound,
                    value: bound.value,
                })
                .collect(),
            behaviour: basis.behaviour,
            champion_knowledge: basis
                .questions
                .iter()
                .map(|(name, questions)| (name.clone(), questions.champion))
                .collect(),
        }),
    }
}

/// Returns why nothing may advance in `environment` at `now`: a freeze, or closed promotion windows of the enforced
/// `policy`. `None` if it may.
#[must_use]
pub fn held(
    environment: &Environment,
    policy: Option<&Policy>,
    now: DateTime<Utc>,
) -> Option<String> {
    match environment.freeze(now) {
        Some(freeze) => Some(freeze.words()),
        None => policy.and_then(|policy| policy.closed(now)),
    }
}

impl Registry {
    /// Returns the policy in force in this environment: the one that its deployment log names last.
    ///
    /// # Errors
    /// `BOT-6056` (exit 6) it cannot be read by this botops; those of the store.
    pub async fn policy(&self) -> Result<Option<Policy>> {
        self.policy_of(&*self.environment().await?).await
    }

    /// Returns the policy that `environment` names.
    ///
    /// # Errors
    /// Those of [`Self::policy`].
    pub async fn policy_of(&self, environment: &Environment) -> Result<Option<Policy>> {
        let Some(record) = environment.policy() else { return Ok(None) };
        let bytes = self.store.blob(&record.digest).await?;
        Policy::from_bytes(&bytes).map(Some)
    }

    /// Makes `policy` the policy of this environment. Returns whether it was not in force before; if it was, nothing is
    /// written. The last one recorded is in force, and the log keeps the others.
    ///
    /// # Errors
    /// `BOT-6057` (exit 2) the policy is for another environment; `BOT-5014` (exit 5) others keep writing; those of the
    /// store.
    pub async fn apply_policy(&self, policy: &Policy, act: &Act) -> Result<bool> {
        self.check_policy_environment(policy)?;
        let digest = policy.digest();
        let is_new = |environment: &Environment| {
            environment.policy().is_none_or(|record| record.digest != digest)
        };
        if !is_new(&*self.environment().await?) {
            return Ok(false);
        }
        self.store.put_blob(policy.to_bytes().into()).await?;
        let change = Change::Policy { digest, mode: policy.mode() };
        let written = self
            .change_environment(act, |environment| Ok(is_new(environment).then(|| change.clone())));
        let is_written = written.await?.is_some();
        self.outlast_sweep(vec![policy.to_bytes().into()]).await?;
        Ok(is_written)
    }

    /// Refuses a policy for another environment than this one.
    ///
    /// # Errors
    /// `BOT-6057` (exit 2).
    pub fn check_policy_environment(&self, policy: &Policy) -> Result<()> {
        let (named, ours) = (policy.environment(), self.environment_name());
        if named == ours {
            return Ok(());
        }
        let message = format!("the policy is for the environment `{named}`, not for `{ours}`");
        Err(Fault::usage("BOT-6057", message)
            .hint(format!("write `environment: {ours}` in the policy file, or name another file")))
    }

    /// Judges a promotion of `version` by `policy`: its evidence, and where given the plan and the time.
    ///
    /// # Errors
    /// Those of [`Self::proof`], but not of missing evidence, which is a violation; those of the store.
    pub async fn judge(
        &self,
        policy: &Policy,
        version: &Version,
        plan: Option<&RolloutPolicy>,
        at: Option<DateTime<Utc>>,
    ) -> Result<Judgement> {
        let passed = match self.proof(version).await {
            Ok(passed) => Some(passed),
            Err(fault) if fault.code() == "BOT-5017" => None,
            Err(fault) => return Err(fault),
        };
        self.judge_passed(policy, version, passed.as_ref(), plan, at).await
    }

    async fn judge_passed(
        &self,
        policy: &Policy,
        version: &Version,
        passed: Option<&PassedGates>,
        plan: Option<&RolloutPolicy>,
        at: Option<DateTime<Utc>>,
    ) -> Result<Judgement> {
        let champion = self.champion(&version.model).await?;
        let knowledge = champion.as_ref().map(|champion| champion.manifest.knowledge());
        let evidence = passed.map(policy_evidence);
        Ok(policy.judge(&Case {
            judges_evidence: true,
            evidence: evidence.as_ref(),
            plan,
            champion: champion.as_ref().and_then(Version::model_digest),
            champion_knowledge: knowledge.as_ref(),
            at,
        }))
    }

    /// Decides whether a rollout of `version` by `plan` may start at `at`: no freeze, and the policy in force allows it.
    /// `passed` is the evidence, if it is not that in the registry. Returns the violations that the policy only warns of.
    ///
    /// # Errors
    /// `BOT-6051` frozen, `BOT-6050` refused by the policy, `BOT-6052` outside its windows, `BOT-6056` it cannot be read
    /// (all exit 6); those of [`Self::judge`].
    pub async fn admit(
        &self,
        version: &Version,
        passed: Option<&PassedGates>,
        plan: Option<&RolloutPolicy>,
        at: DateTime<Utc>,
    ) -> Result<Vec<Finding>> {
        let environment = self.environment().await?;
        self.refuse_frozen(&environment, at)?;
        let policy = match self.policy_of(&environment).await? {
            Some(policy) if policy.mode() != PolicyMode::Off => policy,
            _ => return Ok(Vec::new()),
        };
        let judgement = match passed {
            Some(passed) => {
                self.judge_passed(&policy, version, Some(passed), plan, Some(at)).await?
            }
            None => self.judge(&policy, version, plan, Some(at)).await?,
        };
        judgement.decide(&self.subject(version))
    }

    /// As [`Self::admit`] for a promotion that is about to be written after `environment`, with its evidence.
    pub(super) async fn admit_promotion(
        &self,
        environment: &Environment,
        (version, passed): (&Version, &PassedGates),
        at: DateTime<Utc>,
    ) -> Result<()> {
        self.refuse_frozen(environment, at)?;
        self.check_by_policy(environment, (version, passed), Some(at)).await
    }

    /// Refuses a promotion whose evidence, or whose time, an enforced policy does not allow.
    pub(super) async fn check_by_policy(
        &self,
        environment: &Environment,
        (version, passed): (&Version, &PassedGates),
        at: Option<DateTime<Utc>>,
    ) -> Result<()> {
        let Some(policy) = self.policy_of(environment).await? else { return Ok(()) };
        if policy.mode() == PolicyMode::Enforce {
            let judgement = self.judge_passed(&policy, version, Some(passed), None, at).await?;
            judgement.decide(&self.subject(version))?;
        }
        Ok(())
    }

    /// Returns whether a freeze or a closed window would hold a promotion at `at`. A policy that cannot be read holds nothing:
    /// a rollback does not depend on it.
    pub(super) async fn is_held(&self, environment: &Environment, at: DateTime<Utc>) -> bool {
        let policy = self.policy_of(environment).await.ok().flatten();
        held(environment, policy.as_ref(), at).is_some()
    }

    /// Returns the promotion of `version` in words, such as `support@3 in production`.
    #[must_use]
    pub fn subject(&self, version: &Version) -> String {
        format!("{} in {}", version.reference(), self.environment_name())
    }

    fn refuse_frozen(&self, environment: &Environment, at: DateTime<Utc>) -> Result<()> {
        let Some(freeze) = environment.freeze(at) else { return Ok(()) };
        let message = format!("`{}` is {}", self.environment_name(), freeze.words());
        Err(Fault::policy("BOT-6051", message)
            .hint("wait for its end, or end it: `botops unfreeze --reason TEXT`")
            .hint("a rollback is always possible: `botops rollback --reason TEXT`"))
    }

    /// Appends the change of this environment that `decide` makes of its state; `None` writes nothing. If someone else
    /// appends first, it decides again. Returns the change that was written.
    pub(super) async fn change_environment(
        &self,
        act: &Act,
        decide: impl Fn(&Environment) -> Result<Option<Change>>,
    ) -> Result<Option<Change>> {
        super::check_author(&act.actor, &act.reason)?;
        let mut retries = self.store.retries().begin_against(MAX_CONFLICTS);
        loop {
            let known = self.deployments.read(&self.environment).await?;
            let Some(change) = decide(&known.environment)? else { return Ok(None) };
            let by = (act.by.clone(), act.reason.clone());
            let mut entry = Deployment::new(by, act.at, "", change.clone());
            entry.actor.clone_from(&act.actor);
            let appended = self.deployments.append(&self.environment, &known, entry).await?;
            if let Appended::Written(_) = appended {
                return Ok(Some(change));
            }
            if !retries.pause().await {
                let name = &self.environment;
                let message = format!("others keep writing to the deployment log of `{name}`");
                return Err(Fault::conflict("BOT-5014", message).hint("try again in a moment"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
