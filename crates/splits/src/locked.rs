//! A split without leaks that does not move: near duplicates stay together, and a lock records the side of each text.
//!
//! A text or group that the lock names keeps its side. A new record goes
//! - to the side of the records that it is near to or shares a group with
//! - to no side when those records are on several sides: it would leak, so it is left out and reported
//! - otherwise, as one unit with everything it is near to, to the side that its intent and language lack most

use crate::{
    assignment::{Assignment, Placement},
    lock::{LockedSplit, LockedSplitSpec, SplitLock},
};
use botops_datasets::Dataset;
use botops_findings::{Fault, Place, Result};
use botops_spec::Checked;
use botops_text::{self as text, NearSpec};

/// Splits `data` by `spec`. Everything that `lock` names keeps its side.
///
/// `groups` holds the group of each record, if there is a group column.
///
/// - a unit is a set of records linked by nearness ([`NearSpec::default`]), an equal folded text or an equal group; it
///   goes to one side whole
/// - a unit of one intent is in the stratum of its most frequent language; a unit of several intents, such as a
///   conversation, counts for each of them
/// - each in-scope intent has a record on every side, if the units allow it; if they do not, a finding names the intent and
///   the side
/// - the quotas of each intent and language come from the largest remainder over all records; new units are assigned in
///   the order of their hashes, as long as that brings a stratum nearer to its quota
/// - the order of the records does not matter: the same data and lock give the same sides, and splitting again with the
///   returned lock gives them once more
///
/// # Errors
/// `BOT-2185` a lock made with other settings, `BOT-2182` all records form
/// one unit (exit 2); `BOT-2131` an intent has too few units for all sides (exit 4).
pub fn split_locked(
    data: &Dataset,
    groups: Option<&[Option<String>]>,
    spec: &Checked<LockedSplitSpec>,
    lock: Option<&SplitLock>,
) -> Result<LockedSplit> {
    let near = NearSpec::default();
    let fresh = SplitLock::new(spec, &near);
    if let Some(lock) = lock
        && !lock.has_settings_of(&fresh)
    {
        return Err(other_settings(lock.spec(), spec));
    }
    let mut assignment = Assignment::new(data, groups, spec.seed, lock.unwrap_or(&fresh), &near);
    let units = assignment.place_linked(&near);
    let n_following = assignment.count(|placement| matches!(placement, Placement::Following(_)));
    let n_locked = assignment.count(|placement| matches!(placement, Placement::Locked(_)));
    let mut findings = assignment.left_out_findings();
    if units.len() == 1 && n_locked == 0 && data.records.len() > 1 {
        return Err(one_unit(data, spec));
    }
    findings.extend(assignment.assign(units, spec)?);
    Ok(assignment.finish(lock.cloned().unwrap_or(fresh), findings, (n_locked, n_following), spec))
}

fn other_settings(locked: &LockedSplitSpec, requested: &LockedSplitSpec) -> Fault {
    let describe = |spec: &LockedSplitSpec| {
        let group = spec
            .group
            .as_deref()
            .map_or("no group".to_owned(), |group| format!("group `{}`", text::display(group, 60)));
        format!(
            "test {}, validation {}, seed {}, {group}",
            spec.test_share, spec.validation_share, spec.seed
        )
    };
    let message = if locked == requested {
        "the lock was made with other rules for near duplicates".to_owned()
    } else {
        format!(
            "the lock was made for {}; the request is {}",
            describe(locked),
            describe(requested)
        )
    };
    Fault::usage("BOT-2185", message)
        .hint("use the same settings, or name another lock file: other settings would move records")
}

fn one_unit(data: &Dataset, spec: &LockedSplitSpec) -> Fault {
    let (cause, hint) = match &spec.group {
        Some(group) => {
            let group = text::display(group, 60);
            (
                format!("groups of `{group}` and near duplicates link all records to each other"),
                "name a group column whose values are shared by fewer records, or use no group",
            )
        }
        None => (
            "all records are near duplicates of each other".to_owned(),
            "add records with other wording",
        ),
    };
    Fault::usage("BOT-2182", format!("{cause}: there is nothing to split"))
        .at(Place { file: Some(data.name.clone()), ..Place::default() })
        .hint(hint)
}

#[cfg(test)]
mod tests;
