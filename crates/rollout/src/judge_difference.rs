//! The observation between two states of the judge.

use crate::{
    failure::FailureKind,
    judge::{JudgeState, KindState},
    observation::{FailureCount, MeasuredCount, Observation, UnitCount},
};
use botops_stats::evidence::SplitCounts;
use std::collections::BTreeSet;

impl JudgeState {
    /// Returns the observation that leads from this state to `after`; `None` if a count fell, as it does when the evidence
    /// starts over.
    ///
    /// `at_full_weight` returns the failures of a kind, among the new ones, in conversations that began at weight 1. Such
    /// failures are in the totals, but not in the counts by weight.
    pub(crate) fn difference(
        &self,
        after: &Self,
        at_full_weight: impl Fn(FailureKind) -> Option<u64>,
    ) -> Option<Observation> {
        let mut observation = Observation {
            primary_units: after.units[0].checked_sub(self.units[0])?,
            canary_units: after.units[1].checked_sub(self.units[1])?,
            shadow_units: after.shadow_units.checked_sub(self.shadow_units)?,
            observed_at: after.observed_at,
            ..Observation::default()
        };
        if !after.replicas.is_empty() {
            observation.units = self.unit_difference(after, &observation)?;
        }
        if let Some(feedback) = &after.feedback {
            let before = match &self.feedback {
                Some(before) => before.difference(feedback),
                None => self.unnamed_feedback().difference(feedback),
            };
            observation.feedback = before?;
        }
        let empty = KindState::default();
        for (&kind, state) in &after.kinds {
            let before = self.kinds.get(&kind);
            let measured = |state: Option<&KindState>| {
                state.and_then(|state| state.measured.as_ref()).map_or([0, 0], |m| m.units)
            };
            let (old, new) = (measured(before), measured(Some(state)));
            let [primary, canary] = [new[0].checked_sub(old[0])?, new[1].checked_sub(old[1])?];
            if before.is_none() || primary > 0 || canary > 0 {
                observation.measured.push(MeasuredCount { kind, canary, primary });
            }
            let before = before.unwrap_or(&empty);
            let mut left = [
                state.failures[0].checked_sub(before.failures[0])?,
                state.failures[1].checked_sub(before.failures[1])?,
            ];
            for (weight, canary, primary) in split_difference(&before.split, &state.split)? {
                left = [left[0].checked_sub(primary)?, left[1].checked_sub(canary)?];
                observation.failures.push(FailureCount { kind, weight, canary, primary });
            }
            let full = at_full_weight(kind)?;
            let rest = FailureCount {
                kind,
                weight: 0.0,
                canary: left[1].checked_sub(full)?,
                primary: left[0],
            };
            let at_one = FailureCount { kind, weight: 1.0, canary: full, primary: 0 };
            let counted = [rest, at_one].into_iter().filter(|f| f.canary > 0 || f.primary > 0);
            observation.failures.extend(counted);
        }
        Some(observation)
    }

    /// Returns the units of `observation`, the difference to `after`, by weight and replica; `None` if a count fell.
    fn unit_difference(&self, after: &Self, observation: &Observation) -> Option<Vec<UnitCount>> {
        let none = SplitCounts::default();
        let mut by_weight = SplitCounts::default();
        let mut units = Vec::new();
        let mut left = [observation.primary_units, observation.canary_units];
        for (replica, counts) in after.replicas.iter() {
            let before = self.replicas.iter().find(|(id, _)| *id == replica);
            let added = split_difference(before.map_or(&none, |(_, counts)| counts), counts)?;
            let one = |(weight, canary, primary)| {
                let replica = Some(replica.to_owned());
                UnitCount { weight, replica, canary, primary }
            };
            if before.is_none() && added.is_empty() {
                // It was seen at a weight that is not compared, and counts as a replica.
                units.push(one((1.0, 0, 0)));
            }
            for (weight, canary, primary) in added {
                by_weight.add(weight, canary, primary);
                left = [left[0].checked_sub(primary)?, left[1].checked_sub(canary)?];
                units.push(one((weight, canary, primary)));
            }
        }
        // Units that no replica is known of, and those at a weight that is not compared.
        for (weight, canary, primary) in split_difference(&self.split, &after.split)? {
            let own = by_weight.iter().find(|(w, ..)| w.to_bits() == weight.to_bits());
            let (_, own_canary, own_primary) = own.unwrap_or((weight, 0, 0));
            let (canary, primary) =
                (canary.checked_sub(own_canary)?, primary.checked_sub(own_primary)?);
            if (canary, primary) != (0, 0) {
                left = [left[0].checked_sub(primary)?, left[1].checked_sub(canary)?];
                units.push(UnitCount { weight, replica: None, canary, primary });
            }
        }
        if left != [0, 0] {
            let [primary, canary] = left;
            units.push(UnitCount { weight: 1.0, replica: None, canary, primary });
        }
        Some(units)
    }
}

/// Returns the counts that were added at each weight, `(weight, canary, primary)`; `None` if one fell.
fn split_difference(before: &SplitCounts, after: &SplitCounts) -> Option<Vec<(f64, u64, u64)>> {
    let bits = |counts: &SplitCounts| counts.iter().map(|(w, ..)| w.to_bits()).collect();
    let (old, new): (BTreeSet<u64>, BTreeSet<u64>) = (bits(before), bits(after));
    if !old.is_subset(&new) {
        return None;
    }
    let mut added = Vec::new();
    for (weight, canary, primary) in after.iter() {
        let known = before.iter().find(|(w, ..)| w.to_bits() == weight.to_bits());
        let (_, old_canary, old_primary) = known.unwrap_or((weight, 0, 0));
        let counts = (canary.checked_sub(old_canary)?, primary.checked_sub(old_primary)?);
        if counts != (0, 0) {
            added.push((weight, counts.0, counts.1));
        }
    }
    Some(added)
}
