//! The checks of the log and of the answers.

use super::{
    campaign::Acknowledged,
    fleet::{ENVIRONMENT, Fleet},
    invariants,
    load::Answer,
};
use botops_access::IdentityKind;
use botops_registry::{Change, Deployment, Environment, deployment_log};
use botops_rollout::{Arm, Phase, Rollout, assign};
use botops_serving::verify_deployments;
use botops_store::Entry;
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

/// The name of the model.
const MODEL: &str = "support";
/// The time that a busy machine adds to one that is stated.
const SLACK: TimeDelta = TimeDelta::milliseconds(1_500);
/// How late a server that can read the store follows a rollback.
const FOLLOWS: Duration = Duration::from_secs(2);
/// How late one that cannot follows it.
const STALE_AFTER: Duration = Duration::from_secs(15);
/// How long a server that ticks is awaited.
const REPLACE: Duration = Duration::from_secs(10);

/// Returns the entries of the deployment log.
pub(super) async fn log(fleet: &Fleet) -> Vec<Entry<Deployment>> {
    deployment_log(fleet.registry.store(), ENVIRONMENT).entries().await.unwrap()
}

/// Returns the part of `time` that the servers wait, and the slack.
pub(super) fn scaled(fleet: &Fleet, time: Duration) -> TimeDelta {
    TimeDelta::from_std(time / fleet.times()).unwrap() + SLACK
}

/// Checks everything, and stops the servers.
pub(super) async fn check(fleet: &Fleet, answers: &[Answer], acknowledged: &[Acknowledged]) {
    let said = fleet.finish();
    for text in &said {
        assert!(!text.contains("panicked"), "{text}");
    }
    let log = log(fleet).await;
    assert_eq!(verify_deployments(&fleet.registry).await.unwrap(), []);
    let verified = fleet.program(&["registry", "verify"]);
    let output = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success(), "{output}{}", String::from_utf8_lossy(&verified.stderr));
    check_requests(fleet, answers);
    check_lease(&log);
    invariants::check(&log);
    check_acknowledged(fleet, &log, acknowledged);
    let rollouts = histories(&log);
    check_arms(fleet, &rollouts, answers);
    for rollout in &rollouts {
        check_evidence(rollout, answers);
    }
    check_replacement(fleet, &log);
}

/// Checks that only requests to a killed process fail.
fn check_requests(fleet: &Fleet, answers: &[Answer]) {
    let killed = fleet.killed.lock().unwrap();
    let mut held = 0;
    for answer in answers {
        let Err(problem) = &answer.result else { continue };
        let by_kill = killed.get(&answer.start).is_some_and(|at| answer.ended >= *at);
        assert!(by_kill, "a request failed at a server that lives: {answer:?}: {problem}");
        held += 1;
    }
    let n = answers.len();
    super::super::support::print_past_harness(&format!("{n} requests, {held} at killed servers"));
    assert!(n > 100, "only {n} requests");
}

/// Checks that only the holder of the lease decides by itself, and that no revision is decided twice.
pub(super) fn check_lease(log: &[Entry<Deployment>]) {
    let mut environment = Environment::default();
    let mut revisions: BTreeMap<String, (u64, String)> = BTreeMap::new();
    for entry in log {
        let payload = &entry.payload;
        let holder = environment.model(MODEL).and_then(|it| it.lease.clone()).map(|it| it.holder);
        let is_automatic = payload.by.as_ref().is_some_and(|by| by.kind == IdentityKind::Automatic);
        if let (Some(step), Some(writer)) = (payload.step(), &payload.writer) {
            let id = &step.rollout.id;
            if is_automatic {
                let seq = entry.seq;
                assert_eq!(holder.as_ref(), Some(writer), "entry {seq} is not by the holder");
            }
            let (revision, phase) = (step.rollout.revision, step.rollout.phase.name().to_owned());
            if let Some((before, known)) = revisions.get(id) {
                let is_count = revision == *before && phase == *known;
                assert!(is_count || revision == before + 1, "entry {}: {revision}", entry.seq);
            }
            revisions.insert(id.clone(), (revision, phase));
        }
        environment.apply(entry);
    }
}

/// Checks that every acknowledged command is in the log. One that was not durable may be lost with its process.
pub(super) fn check_acknowledged(
    fleet: &Fleet,
    log: &[Entry<Deployment>],
    acknowledged: &[Acknowledged],
) {
    let killed = fleet.killed.lock().unwrap();
    for command in acknowledged {
        if command.status == 202 && killed.contains_key(&command.start) {
            continue;
        }
        let is_in_log = log.iter().any(|entry| {
            let Some(rollout) = entry.payload.rollout() else { return false };
            let is_same = rollout.id == command.rollout;
            let is_back =
                matches!(rollout.phase, Phase::RollingBack { .. } | Phase::RolledBack { .. });
            match command.command {
                "start" => is_same,
                // The judge may have been first.
                _ => is_same && (entry.payload.reason.contains(&command.reason) || is_back),
            }
        });
        assert!(is_in_log, "{command:?} is not in the log");
    }
}

/// A rollout as the log tells it.
struct History<'a> {
    /// Its steps, the oldest first.
    steps: Vec<(&'a Entry<Deployment>, &'a Rollout)>,
}

impl History<'_> {
    fn last(&self) -> &Rollout {
        self.steps.last().unwrap().1
    }

    /// Returns the reference of its challenger.
    fn challenger(&self) -> &str {
        &self.last().versions.as_ref().unwrap().challenger
    }

    /// Returns whether it was open at `at`, or shortly before or after.
    fn is_near(&self, fleet: &Fleet, at: DateTime<Utc>) -> bool {
        let (first, last) = (self.steps[0].0.payload.at, self.steps.last().unwrap().0.payload.at);
        first - scaled(fleet, STALE_AFTER) <= at && at <= last + scaled(fleet, STALE_AFTER)
    }

    /// Returns the steps that changed something, as text.
    fn told(&self) -> String {
        let mut told = String::new();
        for (entry, rollout) in &self.steps {
            let (at, writer) = (entry.payload.at, entry.payload.writer.as_deref().unwrap_or("-"));
            let (phase, weight) = (rollout.phase.name(), rollout.weight());
            let effective_at = entry.payload.step().unwrap().effective_at;
            let _ = writeln!(told, "{} {at} {effective_at:?} {phase} {weight} {writer}", entry.seq);
        }
        told
    }

    /// Returns the largest share that a request between `from` and `to` may meet.
    fn most_between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
        let mut most = 0.0_f64;
        for (index, (entry, rollout)) in self.steps.iter().enumerate() {
            let step = entry.payload.step().unwrap();
            let begins = step.effective_at.unwrap_or(entry.payload.at);
            let ends = self.steps.get(index + 1).map(|(next, _)| next.payload.at);
            if begins <= to && ends.is_none_or(|ends| ends >= from) {
                most = most.max(rollout.weight());
            }
        }
        most
    }
}

fn histories(log: &[Entry<Deployment>]) -> Vec<History<'_>> {
    let mut histories: Vec<History<'_>> = Vec::new();
    for entry in log {
        let Some(rollout) = entry.payload.rollout() else { continue };
        match histories.last_mut() {
            Some(last) if last.last().id == rollout.id => last.steps.push((entry, rollout)),
            _ => histories.push(History { steps: vec![(entry, rollout)] }),
        }
    }
    histories
}

/// Checks that a challenger answers only conversations of its share, and none before the first step and after a rollback.
fn check_arms(fleet: &Fleet, rollouts: &[History<'_>], answers: &[Answer]) {
    let cut_off = fleet.cut_off.lock().unwrap();
    for answer in answers {
        let Ok((arm, model)) = &answer.result else { continue };
        if arm != "canary" {
            continue;
        }
        let is_cut_off = cut_off.iter().any(|(place, time)| {
            *place == answer.place
                && time.from <= answer.ended
                && time.to.is_none_or(|to| to >= answer.began - scaled(fleet, STALE_AFTER))
        });
        let bound = scaled(fleet, if is_cut_off { STALE_AFTER } else { FOLLOWS });
        let from = answer.began - bound;
        let mut allowed = rollouts.iter().filter(|it| it.challenger() == model).map(|rollout| {
            let most = rollout.most_between(from, answer.ended);
            assign(&rollout.last().salt, &answer.conversation, most)
        });
        let is_allowed = allowed.any(|arm| arm == Arm::Canary);
        let near = rollouts.iter().filter(|it| it.is_near(fleet, answer.ended));
        let told: String = near.map(History::told).collect();
        assert!(is_allowed, "beyond every share: {answer:?}, cut off: {is_cut_off}\n{told}");
    }
}

/// Checks that the judge has counted no more conversations than there were, by arm.
fn check_evidence(rollout: &History<'_>, answers: &[Answer]) {
    let last = rollout.last();
    let begin = rollout.steps[0].0.payload.at;
    let end = rollout.steps.last().unwrap().0.payload.at;
    let judge = serde_json::to_value(&last.judge).unwrap();
    let counted = [0, 1].map(|arm| judge["units"][arm].as_u64().unwrap());
    let mut known: [BTreeSet<&str>; 2] = Default::default();
    for answer in answers.iter().filter(|it| it.ended >= begin && it.began <= end) {
        for (arm, known) in ["primary", "canary"].into_iter().zip(&mut known) {
            // A killed server may have counted a request without an answer.
            if answer.result.as_ref().map_or(true, |(answered, _)| answered == arm) {
                known.insert(&answer.conversation);
            }
        }
    }
    for arm in [0, 1] {
        let sent = known[arm].len() as u64;
        assert!(counted[arm] <= sent, "{counted:?} of {sent} counted in arm {arm}: {}", last.id);
        for (kind, state) in judge["kinds"].as_object().unwrap() {
            let failures = state["failures"][arm].as_u64().unwrap();
            assert!(failures <= counted[arm], "{failures} failures of {kind}: {}", last.id);
        }
    }
}

/// Checks that a killed server that ticked is replaced in time.
fn check_replacement(fleet: &Fleet, log: &[Entry<Deployment>]) {
    let killed = fleet.killed.lock().unwrap();
    let mut environment = Environment::default();
    let mut entries = log.iter().peekable();
    while let Some(entry) = entries.next() {
        environment.apply(entry);
        let Some(next) = entries.peek() else { return };
        let is_claim = matches!(next.payload.change, Change::Lease { .. });
        let is_open = environment.model(MODEL).is_some_and(|it| it.open().is_some());
        if !is_claim || !is_open {
            continue;
        }
        // The kill that the claim follows, if it follows one.
        let since = killed.values().filter(|at| **at <= next.payload.at).max();
        let waited = next.payload.at - entry.payload.at.max(*since.unwrap_or(&entry.payload.at));
        assert!(waited <= scaled(fleet, REPLACE), "entry {} came {waited} late", next.seq);
    }
}
