//! Approvals of a promotion: who may give one, and the promotion that the last one begins.

use crate::{
    approval::Approval,
    numbers::{duration, elapsed, list, percent},
    state::{Effect, Phase, Rollout},
    transition::{Transition, Verdict},
    wording,
};
use botops_findings::{Fault, Result};
use chrono::{DateTime, Utc};

/// Decides while persons have to approve, since `since`: expired approvals roll back, and complete ones promote.
pub(crate) fn awaiting(next: Rollout, since: DateTime<Utc>, now: DateTime<Utc>) -> Transition {
    if let Some(reason) = expired(&next, since, now) {
        let to = (Phase::rolling_back(&reason), Effect::RollBack);
        return Transition::decided(next, to, Verdict::Insufficient, reason, now);
    }
    if next.held.is_some() || next.missing_approvals() > 0 {
        return Transition::undecided(next, Verdict::Hold);
    }
    approved(next, Verdict::Pass, now)
}

/// Returns the reason why the approvals have expired, if they have.
fn expired(next: &Rollout, since: DateTime<Utc>, now: DateTime<Utc>) -> Option<String> {
    let approval = next.policy.approval()?;
    if elapsed(since, now) < approval.expires {
        return None;
    }
    let mut reason = format!(
        "the approvals expired after {}: {} of {} were given",
        duration(approval.expires),
        next.approvals.len(),
        approval.quorum
    );
    if let Some(held) = &next.held {
        reason.push_str(&format!("; {}", wording::hold(held)));
    }
    Some(reason)
}

/// Begins the promotion of an approved rollout.
fn approved(next: Rollout, verdict: Verdict, now: DateTime<Utc>) -> Transition {
    let names: Vec<String> = next.approvals.iter().map(|a| format!("`{}`", a.by)).collect();
    let by = if names.is_empty() { String::new() } else { format!(" by {}", list(&names)) };
    let mut reason = format!("approved{by} at {}", percent(next.weight_percent()));
    let numbers = wording::promote_numbers(&next);
    if !numbers.is_empty() {
        reason.push_str(&format!(": {numbers}"));
    }
    Transition::decided(next, (Phase::Promoting, Effect::Promote), verdict, reason, now)
}

/// Records the approval of `by`; the last one that is needed begins the promotion, unless the rollout is held.
///
/// A second approval by the same person changes nothing.
pub(crate) fn approve(
    mut next: Rollout,
    since: DateTime<Utc>,
    (by, comment): (&str, &str),
    now: DateTime<Utc>,
) -> Result<Transition> {
    let by = by.trim();
    check_approver(&next, by)?;
    check_time(&next, since, now)?;
    if next.approvals.iter().any(|approval| approval.by == by) {
        return Ok(Transition::undecided(next, Verdict::Hold));
    }
    let comment = comment.trim().to_owned();
    next.approvals.push(Approval { by: by.to_owned(), comment: comment.clone(), at: now });
    if next.missing_approvals() == 0 && next.held.is_none() {
        return Ok(approved(next, Verdict::Hold, now));
    }
    let quorum = next.policy.approval().map_or(0, |approval| approval.quorum);
    let mut reason = format!("approved by `{by}`: {} of {quorum}", next.approvals.len());
    if !comment.is_empty() {
        reason.push_str(&format!(" ({comment})"));
    }
    if let Some(held) = &next.held {
        reason.push_str(&format!("; {}", wording::hold(held)));
    }
    let phase = next.phase.clone();
    Ok(Transition::decided(next, (phase, Effect::None), Verdict::Hold, reason, now))
}

/// Rolls back because `by` rejects the promotion.
pub(crate) fn reject(
    next: Rollout,
    (by, comment): (&str, &str),
    now: DateTime<Utc>,
) -> Result<Transition> {
    let by = by.trim();
    if by.is_empty() {
        return Err(nameless("rejection"));
    }
    let mut reason = format!("rejected by `{by}`");
    if !comment.trim().is_empty() {
        reason.push_str(&format!(": {}", comment.trim()));
    }
    let to = (Phase::rolling_back(&reason), Effect::RollBack);
    Ok(Transition::decided(next, to, Verdict::Hold, reason, now))
}

/// Promotes a rollout whose approvals are complete.
///
/// # Errors
/// `BOT-6005` they are not, or they have expired.
pub(crate) fn promote_approved(
    next: Rollout,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Transition> {
    check_time(&next, since, now)?;
    let missing = next.missing_approvals();
    if missing > 0 {
        let quorum = next.policy.approval().map_or(0, |approval| approval.quorum);
        let given = next.approvals.len();
        let message = format!("the promotion has {given} of the {quorum} approvals that it needs");
        return Err(Fault::policy("BOT-6005", message)
            .hint("approve it as another person: `botops rollout approve --reason TEXT`"));
    }
    Ok(approved(next, Verdict::Hold, now))
}

/// Refuses an approval by the requester, or by nobody.
fn check_approver(rollout: &Rollout, by: &str) -> Result<()> {
    if by.is_empty() {
        return Err(nameless("approval"));
    }
    let is_requester = by == rollout.requester() || by == rollout.actor;
    let allowed = rollout.policy.approval().is_some_and(|approval| approval.allow_self_approval);
    if is_requester && !allowed {
        return Err(Fault::policy(
            "BOT-6006",
            format!("`{by}` requested the rollout `{}` and cannot approve it", rollout.id),
        )
        .hint("ask another person with the scope `approve`"));
    }
    Ok(())
}

fn nameless(what: &str) -> Fault {
    Fault::policy("BOT-6006", format!("a {what} needs the authenticated name of a person"))
        .hint("authenticate with a key or token of your own")
}

/// Refuses what comes after the approvals expired, before the tick that rolls back.
fn check_time(rollout: &Rollout, since: DateTime<Utc>, now: DateTime<Utc>) -> Result<()> {
    match expired(rollout, since, now) {
        None => Ok(()),
        Some(reason) => Err(Fault::policy("BOT-6005", reason)
            .hint("the next tick rolls back; start a new rollout: `botops promote`")),
    }
}
