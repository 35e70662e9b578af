//! Whether a rollout could start: the demands of a policy, the promotion windows, a freeze, and the approvals to come.

use super::{Registry, Version};
use botops_access::{Check, Judgement, Policy, PolicyMode};
use botops_findings::{Finding, Result, Severity};
use botops_rollout::RolloutPolicy;
use chrono::{DateTime, Utc};

/// The answer to whether a rollout of a version could start at a time.
#[derive(Debug, Clone)]
pub struct StartForecast {
    /// The demands of the policy on the evidence, the plan and the time.
    pub judgement: Judgement,
    /// The freeze in force at that time. It refuses in every mode of the policy.
    pub freeze: Option<Check>,
    /// The approvals by different people that the promotion needs at its end; 0: none.
    pub approvals: u32,
}

impl StartForecast {
    /// Iterates over all checks; a freeze is the last.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.judgement.checks.iter().chain(&self.freeze)
    }

    /// Returns whether nothing is in the way.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        self.freeze.is_none() && self.judgement.is_satisfied()
    }

    /// Returns whether the start would be refused: by a freeze, or by a policy that is enforced.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let is_enforced = self.judgement.mode == PolicyMode::Enforce;
        self.freeze.is_some() || is_enforced && !self.judgement.is_satisfied()
    }

    /// Returns a finding for everything in the way: an error if it refuses, else a warning, or information if the policy is
    /// off.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let severity = match self.judgement.mode {
            PolicyMode::Enforce => Severity::Error,
            PolicyMode::Warn => Severity::Warning,
            PolicyMode::Off => Severity::Info,
        };
        let mut findings = self.judgement.findings(severity);
        findings.extend(self.freeze.iter().map(|check| {
            let message = format!("the environment is {}", check.found);
            Finding::new("BOT-6051", Severity::Error, message, check.help.clone())
        }));
        findings
    }
}

impl Registry {
    /// Judges the start of a rollout of `version` by `plan` at `at`, as `policy` and a freeze of this environment decide it.
    ///
    /// # Errors
    /// Those of [`Self::judge`]; those of the store.
    pub async fn start_forecast(
        &self,
        policy: &Policy,
        version: &Version,
        plan: &RolloutPolicy,
        at: DateTime<Utc>,
    ) -> Result<StartForecast> {
        let judgement = self.judge(policy, version, Some(plan), Some(at)).await?;
        let freeze = self.environment().await?.freeze(at).map(|freeze| Check {
            rule: "freeze".to_owned(),
            required: "no freeze is in force".to_owned(),
            found: freeze.words(),
            passed: false,
            help: "wait for its end, or end it: `botops unfreeze --reason TEXT`".to_owned(),
        });
        let plan = policy.with_approvals(plan.clone());
        let approvals = plan.approval().map_or(0, |approval| approval.quorum);
        Ok(StartForecast { judgement, freeze, approvals })
    }
}
