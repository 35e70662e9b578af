//! The checked policy, its stored form, and its digest.

use super::{
    gates::Required,
    judgement::{Case, Check, Demand, Judgement},
    plan_rules::limits,
    spec::{ApprovalRules, DataRule, Parsed, PolicyMode, PolicySpec},
};
use crate::window::{self, Window};
use botops_digest::{Digest, canonical_json};
use botops_findings::{Fault, Finding, Result, Severity};
use botops_rollout::RolloutPolicy;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// The schema of the stored form.
const SCHEMA: &str = "botops.policy/1";

/// A checked policy, in its normal form.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    spec: PolicySpec,
    parsed: Parsed,
}

/// The stored form of a policy.
#[derive(Serialize, Deserialize)]
struct Stored {
    schema: String,
    policy: PolicySpec,
}

impl PolicySpec {
    /// Checks the policy, and brings it into its normal form. The names of metrics are not checked.
    ///
    /// # Errors
    /// `BOT-1063` (exit 2) a setting out of range, `BOT-1064` (exit 2) an invalid window, each with the key.
    pub fn check(mut self) -> Result<Policy> {
        let parsed = self.normalize()?;
        Ok(Policy { spec: self, parsed })
    }
}

impl Policy {
    /// Returns the settings in their normal form.
    #[must_use]
    pub fn spec(&self) -> &PolicySpec {
        &self.spec
    }

    /// Returns the environment that the policy is for.
    #[must_use]
    pub fn environment(&self) -> &str {
        &self.spec.environment
    }

    /// Returns how strictly the policy is applied.
    #[must_use]
    pub fn mode(&self) -> PolicyMode {
        self.spec.mode
    }

    /// Returns the promotion windows; empty if every time is allowed.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        &self.parsed.windows
    }

    /// Returns the approvals that a promotion needs, and the time within which they must be given.
    #[must_use]
    pub fn approvals(&self) -> Option<(&ApprovalRules, Duration)> {
        self.spec.approvals.as_ref().zip(self.parsed.expires)
    }

    /// Returns `plan` with the approvals that an enforced policy demands; a plan that demands more keeps its own.
    #[must_use]
    pub fn with_approvals(&self, plan: RolloutPolicy) -> RolloutPolicy {
        match (self.mode(), self.approvals()) {
            (PolicyMode::Enforce, Some((rules, expires))) => plan
                .with_required_approvals(rules.required)
                .with_approvals_within(expires)
                .allowing_self_approval(rules.self_approval),
            _ => plan,
        }
    }

    /// Returns whether the person or job `name` may approve.
    #[must_use]
    pub fn may_approve(&self, name: &str) -> bool {
        match (self.mode(), &self.spec.approvals) {
            (PolicyMode::Enforce, Some(rules)) => {
                rules.approvers.is_empty() || rules.approvers.iter().any(|known| known == name)
            }
            _ => true,
        }
    }

    /// Returns the stored form, in canonical JSON.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical_json(&Stored { schema: SCHEMA.to_owned(), policy: self.spec.clone() })
    }

    /// Returns the identity of the content: the digest of [`Self::to_bytes`]. Two files that demand the same have the same.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// `BOT-6056` (exit 6) the policy is of a newer botops, or damaged: what it demands is not known.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let refuse =
            |problem: &str| Fault::policy("BOT-6056", format!("the recorded policy {problem}"));
        let damaged = || refuse("cannot be read").hint("record it again: `botops policy apply`");
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let head: Head =
            serde_json::from_slice(bytes).map_err(|error| damaged().caused_by(error))?;
        if head.schema != SCHEMA {
            return Err(refuse(&format!("has the format `{}`, not `{SCHEMA}`", head.schema))
                .hint("install a newer botops"));
        }
        let Stored { policy, .. } =
            serde_json::from_slice(bytes).map_err(|error| damaged().caused_by(error))?;
        policy.check().map_err(|fault| damaged().caused_by(fault.to_string()))
    }

    /// Judges `case`: one check for every demand that applies to what is given.
    #[must_use]
    pub fn judge(&self, case: &Case<'_>) -> Judgement {
        let mut checks = Vec::new();
        if case.judges_evidence {
            checks.extend(self.evidence_checks(case));
        }
        if let Some(plan) = case.plan {
            checks.extend(
                limits(&self.spec.rollout, self.parsed.times).iter().map(|limit| limit.check(plan)),
            );
        }
        if let Some(at) = case.at
            && !self.parsed.windows.is_empty()
        {
            checks.push(self.window_check(at));
        }
        Judgement { mode: self.mode(), policy: self.digest(), checks }
    }

    fn evidence_checks(&self, case: &Case<'_>) -> Vec<Check> {
        let check = |rule: &str, required: &str, found: String, help: &str| Check {
            rule: rule.to_owned(),
            required: required.to_owned(),
            found,
            passed: help.is_empty(),
            help: help.to_owned(),
        };
        let push = "push the version with `--test DATA --rules FILE`";
        let Some(evidence) = case.evidence else {
            let found = "no gate report".to_owned();
            return vec![check("evidence", "a gate report", found, push)];
        };
        let required = Required::all(&self.spec.gates);
        let needs_basis = !required.is_empty()
            || !self.spec.data.is_empty()
            || self.spec.min_records.is_some()
            || !self.spec.behaviour.is_empty();
        let Some(basis) = &evidence.basis else {
            let (found, help) = match evidence.kind.as_str() {
                "evaluation" => (
                    "a gate report that names neither its data nor its bounds, of an older botops",
                    "judge the version again, and push it",
                ),
                _ => ("a golden self-test, which measures nothing", push),
            };
            let help = if needs_basis { help } else { "" };
            let required =
                if needs_basis { "a gate report on an evaluation" } else { "a gate report" };
            return vec![check("evidence", required, found.to_owned(), help)];
        };
        let none = BTreeMap::new();
        let knowledge = case.champion_knowledge.unwrap_or(&none);
        let mut checks: Vec<Check> = required
            .iter()
            .map(|required| required.check(basis, case.champion, knowledge))
            .collect();
        if !self.spec.data.is_empty() {
            let known = self.spec.data.iter().any(|data| data.digest == basis.data_digest);
            let found =
                format!("`{}` ({})", botops_text::display(&basis.data, 80), basis.data_digest);
            let help =
                if known { "" } else { "judge the version on a data set that the policy names" };
            checks.push(check("data", &self.data_words(), found, help));
        }
        if let Some(least) = self.spec.min_records {
            let help = if basis.n >= least { "" } else { "judge the version on more records" };
            let required = records_words(least);
            checks.push(check("min_records", &required, format!("{} records", basis.n), help));
        }
        if !self.spec.behaviour.is_empty() {
            let known = |digest| self.spec.behaviour.iter().any(|tests| tests.digest == digest);
            let (found, help) = match basis.behaviour {
                Some(digest) if known(digest) => (digest.to_string(), ""),
                Some(digest) => {
                    (digest.to_string(), "judge the version with tests that the policy names")
                }
                None => (
                    "no behavioural tests".to_owned(),
                    "judge the version again, with `--behaviour FILE` and rules on it",
                ),
            };
            checks.push(check("behaviour", &self.behaviour_words(), found, help));
        }
        checks
    }

    fn window_check(&self, at: DateTime<Utc>) -> Check {
        let open = window::is_open(&self.parsed.windows, at);
        let found = match (open, window::next_opening(&self.parsed.windows, at)) {
            (true, _) => "open".to_owned(),
            (false, Some((opening, window))) => format!("closed until {}", window.shown(opening)),
            (false, None) => "closed".to_owned(),
        };
        Check {
            rule: "windows".to_owned(),
            required: self.window_words(),
            found,
            passed: open,
            help: if open { String::new() } else { "wait until the window opens".to_owned() },
        }
    }

    /// Returns why nothing may advance at `now`; `None` if a window is open, or the policy is not enforced.
    #[must_use]
    pub fn closed(&self, now: DateTime<Utc>) -> Option<String> {
        if self.mode() != PolicyMode::Enforce || window::is_open(&self.parsed.windows, now) {
            return None;
        }
        Some(match window::next_opening(&self.parsed.windows, now) {
            Some((opening, window)) => {
                format!("outside the promotion windows until {}", window.shown(opening))
            }
            None => "outside the promotion windows".to_owned(),
        })
    }

    /// Lists what the policy demands, in the order of the file.
    #[must_use]
    pub fn demands(&self) -> Vec<Demand> {
        let mut demands = Vec::new();
        let mut push = |rule: String, demand: String| demands.push(Demand { rule, demand });
        push("evidence".to_owned(), "a gate report in the registry".to_owned());
        for required in Required::all(&self.spec.gates) {
            push(format!("gates.{}", required.key), required.words(required.bound));
        }
        if !self.spec.data.is_empty() {
            push("data".to_owned(), self.data_words());
        }
        if let Some(least) = self.spec.min_records {
            push("min_records".to_owned(), records_words(least));
        }
        if !self.spec.behaviour.is_empty() {
            push("behaviour".to_owned(), self.behaviour_words());
        }
        for limit in limits(&self.spec.rollout, self.parsed.times) {
            push(limit.key, limit.words);
        }
        if let Some((rules, _)) = self.approvals() {
            push("approvals".to_owned(), approval_words(rules));
        }
        if !self.parsed.windows.is_empty() {
            push("windows".to_owned(), self.window_words());
        }
        demands
    }

    /// Returns a warning if the policy demands nothing but a gate report, although it is applied.
    #[must_use]
    pub fn warnings(&self) -> Vec<Finding> {
        if self.mode() == PolicyMode::Off || self.demands().len() > 1 {
            return Vec::new();
        }
        let message =
            "the policy demands nothing: every version with a gate report may be promoted";
        let help = "write what a promotion needs, such as `gates: {metrics: {accuracy: {min: 0.85}}}`, or `mode: off`";
        vec![Finding::new("BOT-1066", Severity::Warning, message, help)]
    }

    fn data_words(&self) -> String {
        format!("measured on {}", names_of(&self.spec.data))
    }

    fn behaviour_words(&self) -> String {
        format!("behavioural tests of {}", names_of(&self.spec.behaviour))
    }

    fn window_words(&self) -> String {
        let windows: Vec<String> =
            self.parsed.windows.iter().map(|window| format!("`{window}`")).collect();
        format!("starts and advances in {}", windows.join(" or "))
    }
}

/// Returns the names and digests of `rules`.
fn names_of(rules: &[DataRule]) -> String {
    let names = rules.iter().map(|data| match &data.name {
        Some(name) => format!("`{}` ({})", botops_text::display(name, 60), data.digest.short()),
        None => data.digest.short(),
    });
    names.collect::<Vec<_>>().join(" or ")
}

fn records_words(least: u64) -> String {
    format!("measured on at least {least} records")
}

fn approval_words(rules: &ApprovalRules) -> String {
    let ApprovalRules { required, expires, self_approval, approvers } = rules;
    let plural = if *required == 1 { "approval" } else { "approvals by different people" };
    let who = match approvers.as_slice() {
        [] => "by anyone with the scope `approve`".to_owned(),
        names => format!("by {}", names.join(", ")),
    };
    let requester = if *self_approval { "" } else { ", not by the requester" };
    format!("{required} {plural}, {who}{requester}, within {expires}")
}
