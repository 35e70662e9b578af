//! The judgement of a policy: one check for every demand, and the decision that its mode makes of it.

use super::{evidence::Evidence, spec::PolicyMode};
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_rollout::RolloutPolicy;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The things to judge.
#[derive(Debug, Clone, Copy, Default)]
pub struct Case<'a> {
    /// Whether the evidence is judged; missing evidence is a violation then.
    pub judges_evidence: bool,
    /// The gate report of the version.
    pub evidence: Option<&'a Evidence>,
    /// The plan of the rollout; `None` leaves plans out.
    pub plan: Option<&'a RolloutPolicy>,
    /// The model file of the champion in force; `None` for the first champion.
    pub champion: Option<Digest>,
    /// The knowledge files of the champion in force, by name; `None` if it has none.
    pub champion_knowledge: Option<&'a BTreeMap<String, Digest>>,
    /// The time of the start or of the promotion; `None` leaves windows out.
    pub at: Option<DateTime<Utc>>,
}

/// One demand of a policy, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// The dotted key in the policy file, such as `gates.metrics.accuracy.min`.
    pub rule: String,
    /// The demand, such as `accuracy >= 0.85`.
    pub demand: String,
}

/// One demand, against what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The dotted key in the policy file, such as `gates.metrics.accuracy.min`.
    pub rule: String,
    /// The demand, such as `accuracy >= 0.85`.
    pub required: String,
    /// The rule, the number or the setting that was found.
    pub found: String,
    /// Whether the demand is satisfied.
    pub passed: bool,
    /// How to satisfy it; empty if it is satisfied.
    pub help: String,
}

/// The checks of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// How strictly the policy is applied.
    pub mode: PolicyMode,
    /// The digest of the policy.
    pub policy: Digest,
    /// One check for every demand that applies.
    pub checks: Vec<Check>,
}

impl Judgement {
    /// Iterates over the demands that are not satisfied.
    pub fn violations(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.passed)
    }

    /// Returns whether every demand is satisfied.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        self.violations().next().is_none()
    }

    /// Returns a finding for each violation: `BOT-6052` for closed promotion windows, else `BOT-6050`.
    #[must_use]
    pub fn findings(&self, severity: Severity) -> Vec<Finding> {
        let findings = self.violations().map(|check| {
            let place = Place { key: Some(check.rule.clone()), ..Place::default() };
            let code = if check.rule == "windows" { "BOT-6052" } else { "BOT-6050" };
            Finding::new(code, severity, check.words(), check.help.clone()).at(place)
        });
        findings.collect()
    }

    /// Decides by the mode: `off` allows everything, `warn` returns the violations as warnings, `enforce` refuses.
    /// `subject` is the promotion in words, such as `support@3 in production`.
    ///
    /// # Errors
    /// `BOT-6050` (exit 6) the policy is enforced, and a demand is not satisfied. `BOT-6052` (exit 6) only the promotion
    /// windows are closed.
    pub fn decide(&self, subject: &str) -> Result<Vec<Finding>> {
        let violations: Vec<&Check> = self.violations().collect();
        match (self.mode, violations.as_slice()) {
            (PolicyMode::Off, _) | (_, []) => Ok(Vec::new()),
            (PolicyMode::Warn, _) => Ok(self.findings(Severity::Warning)),
            (PolicyMode::Enforce, [check]) if check.rule == "windows" => {
                let message = format!("{subject}: the promotion windows are {}", check.found);
                Err(Fault::policy("BOT-6052", message)
                    .hint("wait until a window opens; a rollback is always possible")
                    .hint("see what the policy demands: `botops policy explain`"))
            }
            (PolicyMode::Enforce, violations) => {
                let words: Vec<String> = violations.iter().map(|check| check.words()).collect();
                let message = format!("the policy refuses {subject}: {}", words.join("; "));
                let mut helps: Vec<&str> = Vec::new();
                for help in violations.iter().map(|check| check.help.as_str()) {
                    if !helps.contains(&help) {
                        helps.push(help);
                    }
                }
                let fault = Fault::policy("BOT-6050", message)
                    .with_findings(self.findings(Severity::Error));
                let fault = helps.into_iter().fold(fault, Fault::hint);
                Err(fault.hint("see what the policy demands: `botops policy explain`"))
            }
        }
    }
}

impl Check {
    /// Returns the check in words.
    fn words(&self) -> String {
        format!("`{}` requires {}; found {}", self.rule, self.required, self.found)
    }
}
