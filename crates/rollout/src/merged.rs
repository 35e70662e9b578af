//! The union of what all replicas published: each conversation once, each of its failures once.
//!
//! A unit that two replicas saw is one unit. What each of them reported is joined, so that the result depends neither on
//! the order of the objects, nor on how often one is read, nor on how units are spread over replicas:
//!
//! - the earliest share of traffic counts: the lowest (step, weight) under which any replica first saw the unit
//! - failures and measurements count if they were reported under that share. Those under a later one are dropped, as for
//!   a single server: a conversation that goes on after the weight changed counts for neither arm
//! - a unit that one replica saw while the weight changed is void: it is not judged
//! - a unit that two replicas sent to different arms under one share is void, and counted as a conflict
//!
//! Verdicts are joined by message, see `waiting_verdicts.rs`: each counts once, at whichever replica it was given.
//!
//! [`Merged::observation`] gives out what is new. A unit that was given out stays as it is, because the judge cannot take
//! counts back: only its further failures are given out later. Reports that would move or void it have no effect.
//!
//! Memory is bounded: the union remembers at least [`REMEMBERED_UNITS`] units and at most twice as many, those reported
//! last. A forgotten unit that is reported again is a new one, as at the observer of a single server.

use crate::{
    failure::FailureKind,
    observation::{FailureCount, FeedbackCount, MeasuredCount, Observation, UnitCount},
    replica_observation::{Marked, ReplicaObservation},
    union_unit::{
        CHANGED, CONFLICT, DISAGREEMENT, DISAGREEMENT_GIVEN, GIVEN, Report, SHADOW, SHADOW_GIVEN,
        Unit, VOID, bit, bits, kinds,
    },
    verdict::VerdictSource,
    waiting_verdicts::{Fate, WaitingVerdicts, source_bit, source_bits},
};
use botops_findings::{Fault, Result};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The fewest units that a union remembers.
pub const REMEMBERED_UNITS: usize = 1_000_000;
/// The most replicas (process starts) of one rollout.
pub(crate) const MOST_REPLICAS: usize = 10_000;
/// The most numbers of one replica that may be missing below its highest.
pub(crate) const MOST_MISSING: u64 = 10_000;
/// A share of 100 %, in billionths.
const BILLION: f64 = 1e9;

/// The result of merging one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// It was news.
    Merged,
    /// The object of that replica and number had been merged before; nothing changed.
    Known,
}

/// The union of the observations of all replicas of one rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    pub(crate) rollout: String,
    /// In the order in which they were first merged; [`Unit::replica`] is an index.
    pub(crate) replicas: Vec<Replica>,
    pub(crate) index: BTreeMap<String, u16>,
    pub(crate) units: Units,
    /// Units with news, each once.
    pub(crate) changed: Vec<u64>,
    /// News that was counted before the units behind it were forgotten.
    pub(crate) pending: Observation,
    /// The time of the latest look of any replica since the last observation was given out.
    pub(crate) looked_at: Option<DateTime<Utc>>,
    pub(crate) conflicts: u64,
    /// Verdicts that were not given out.
    pub(crate) verdicts: WaitingVerdicts,
}

/// The part of one replica that has been merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) id: String,
    /// The highest number merged.
    pub(crate) highest: u64,
    /// Lower numbers that have not been merged.
    pub(crate) missing: BTreeSet<u64>,
    /// Its open units, as of the highest number.
    pub(crate) open: u64,
    /// The time of the highest number.
    pub(crate) at: DateTime<Utc>,
}

/// Units by key, of which those reported last are remembered.
///
/// When the younger of the two generations is full, the older is dropped.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Units {
    pub(crate) capacity: usize,
    pub(crate) young: HashMap<u64, Unit>,
    pub(crate) old: HashMap<u64, Unit>,
}

impl Units {
    fn entry(&mut self, key: u64) -> &mut Unit {
        let Self { young, old, .. } = self;
        young.entry(key).or_insert_with(|| old.remove(&key).unwrap_or_default())
    }

    fn get_mut(&mut self, key: u64) -> Option<&mut Unit> {
        self.young.get_mut(&key).or_else(|| self.old.get_mut(&key))
    }
}

/// News by share, replica and kind: `[primary, canary]`.
#[derive(Default)]
struct Tally {
    units: BTreeMap<(u32, u16), [u64; 2]>,
    failures: BTreeMap<(FailureKind, u32), [u64; 2]>,
    measured: BTreeMap<FailureKind, [u64; 2]>,
    /// Judged and wrong units, by source and share.
    feedback: BTreeMap<(VerdictSource, u32), [[u64; 2]; 2]>,
    shadow: u64,
    disagreements: u64,
}

impl Tally {
    /// Counts the news of `unit`, and marks it as given out. Returns whether it was found on both arms.
    fn count(&mut self, unit: &mut Unit) -> bool {
        unit.flags &= !CHANGED;
        let conflict = unit.arms == 3 && unit.flags & CONFLICT == 0;
        if conflict {
            unit.flags |= CONFLICT;
        }
        if unit.flags & (SHADOW | SHADOW_GIVEN) == SHADOW {
            unit.flags |= SHADOW_GIVEN;
            self.shadow += 1;
        }
        if unit.flags & (DISAGREEMENT | DISAGREEMENT_GIVEN) == DISAGREEMENT {
            unit.flags |= DISAGREEMENT_GIVEN;
            self.disagreements += 1;
        }
        let Some(side) = unit.side() else { return conflict };
        if unit.flags & GIVEN == 0 {
            if unit.flags & VOID != 0 {
                return conflict;
            }
            unit.flags |= GIVEN;
            self.units.entry((unit.share.1, unit.replica)).or_default()[side] += 1;
        }
        for kind in kinds(unit.failed & !unit.failed_given) {
            self.failures.entry((kind, unit.share.1)).or_default()[side] += 1;
        }
        for kind in kinds(unit.measured & !unit.measured_given) {
            self.measured.entry(kind).or_default()[side] += 1;
        }
        self.count_sources(unit, side);
        (unit.failed_given, unit.measured_given) = (unit.failed, unit.measured);
        conflict
    }

    /// Counts the sources that judged `unit`, of the arm `side`, since it was given out.
    fn count_sources(&mut self, unit: &mut Unit, side: usize) {
        let wrong = bit(FailureKind::Wrong);
        if unit.sources == 0 && unit.measured & wrong != 0 {
            // An older version kept it without a source.
            unit.sources = source_bits(VerdictSource::EndUser, unit.failed & wrong != 0);
        }
        for source in VerdictSource::ALL {
            let news = (unit.sources & !unit.sources_given) / source_bit(source);
            if news & 3 == 0 {
                continue;
            }
            let [judged, wrong] = self.feedback.entry((source, unit.share.1)).or_default();
            judged[side] += u64::from(news & 1);
            wrong[side] += u64::from(news >> 1 & 1);
        }
        unit.sources_given = unit.sources;
    }

    fn into_observation(self, replicas: &[Replica]) -> Observation {
        let weight = |billionths: u32| f64::from(billionths) / BILLION;
        let mut units: Vec<UnitCount> = self
            .units
            .into_iter()
            .map(|((billionths, replica), [primary, canary])| UnitCount {
                weight: weight(billionths),
                replica: replicas.get(usize::from(replica)).map(|replica| replica.id.clone()),
                canary,
                primary,
            })
            .collect();
        // By id: the order in which replicas came does not show.
        let order =
            |count: &UnitCount| ((count.weight * BILLION).round() as u32, count.replica.clone());
        units.sort_by_cached_key(order);
        let mut failures: Vec<FailureCount> = self
            .failures
            .into_iter()
            .map(|((kind, billionths), [primary, canary])| FailureCount {
                kind,
                weight: weight(billionths),
                canary,
                primary,
            })
            .collect();
        if self.disagreements > 0 {
            // In shadow the challenger's share is zero: counted, and no evidence on the arms.
            let kind = FailureKind::Disagreement;
            failures.push(FailureCount {
                kind,
                weight: 0.0,
                canary: self.disagreements,
                primary: 0,
            });
        }
        let measured = self.measured.into_iter().map(|(kind, [primary, canary])| MeasuredCount {
            kind,
            canary,
            primary,
        });
        Observation {
            canary_units: units.iter().map(|count| count.canary).sum(),
            primary_units: units.iter().map(|count| count.primary).sum(),
            shadow_units: self.shadow,
            failures,
            measured: measured.collect(),
            units,
            feedback: self
                .feedback
                .into_iter()
                .map(|((source, billionths), [judged, wrong])| FeedbackCount {
                    source,
                    weight: weight(billionths),
                    judged,
                    wrong,
                })
                .collect(),
            observed_at: None,
            held: None,
        }
    }
}

impl Merged {
    /// Makes the union of nothing, for the rollout with this id.
    #[must_use]
    pub fn new(rollout: &str) -> Self {
        Self::remembering(rollout, REMEMBERED_UNITS)
    }

    /// Makes a union that remembers at least `units` units.
    pub(crate) fn remembering(rollout: &str, units: usize) -> Self {
        Self {
            rollout: rollout.to_owned(),
            replicas: Vec::new(),
            index: BTreeMap::new(),
            units: Units { capacity: units.max(1), young: HashMap::new(), old: HashMap::new() },
            changed: Vec::new(),
            pending: Observation::default(),
            looked_at: None,
            conflicts: 0,
            verdicts: WaitingVerdicts::default(),
        }
    }

    /// Merges one object. Merging it again changes nothing.
    ///
    /// # Errors
    /// `BOT-6043` (exit 3), and nothing is merged, if the object breaks a limit, belongs to another rollout, or if too
    /// many objects of the replica, or too many replicas, would have to be remembered.
    pub fn merge(&mut self, seen: &ReplicaObservation) -> Result<Merge> {
        seen.check()?;
        if seen.rollout != self.rollout {
            return Err(refused(seen, &format!("it belongs to rollout `{}`", seen.rollout)));
        }
        let replica = match self.index.get(&seen.replica) {
            Some(&replica) => replica,
            None if self.replicas.len() >= MOST_REPLICAS => {
                return Err(refused(seen, &format!("{MOST_REPLICAS} replicas are known already")));
            }
            None => self.replicas.len() as u16,
        };
        let known = self.replicas.get(usize::from(replica));
        let highest = known.map_or(0, |known| known.highest);
        let missing = known.map_or(0, |known| known.missing.len() as u64);
        if seen.number <= highest && known.is_some_and(|k| !k.missing.contains(&seen.number)) {
            return Ok(Merge::Known);
        }
        let skipped = seen.number.saturating_sub(highest.saturating_add(1));
        if missing.saturating_add(skipped) > MOST_MISSING {
            let reason = format!("more than {MOST_MISSING} objects before it are missing");
            return Err(refused(seen, &reason));
        }
        self.mark(seen, replica);
        self.join(seen, replica);
        self.looked_at = self.looked_at.max(Some(seen.at));
        if self.units.young.len() >= self.units.capacity {
            self.give_out();
            self.forget();
        }
        Ok(Merge::Merged)
    }

    /// Marks the number of `seen` as merged.
    fn mark(&mut self, seen: &ReplicaObservation, replica: u16) {
        if usize::from(replica) == self.replicas.len() {
            self.index.insert(seen.replica.clone(), replica);
            self.replicas.push(Replica {
                id: seen.replica.clone(),
                highest: 0,
                missing: BTreeSet::new(),
                open: 0,
                at: seen.at,
            });
        }
        let known = &mut self.replicas[usize::from(replica)];
        if seen.number > known.highest {
            known.missing.extend(known.highest + 1..seen.number);
            (known.highest, known.open, known.at) = (seen.number, seen.open, seen.at);
        } else {
            known.missing.remove(&seen.number);
        }
    }

    /// Joins the reports of `seen` to its units.
    fn join(&mut self, seen: &ReplicaObservation, replica: u16) {
        for list in &seen.arms {
            let measured = bits(&list.measures);
            let report = Report { slot: list.slot, replica, failed: 0, measured, sources: 0 };
            self.join_all(report, list.units.iter());
        }
        for Marked { kind, slot, units } in &seen.measured {
            let sources = unnamed_source(*kind, false);
            let report = Report { slot: *slot, replica, failed: 0, measured: bit(*kind), sources };
            self.join_all(report, units.iter());
        }
        for Marked { kind, slot, units } in &seen.failures {
            // A failure measures its kind.
            let measured = if kind.is_measured_in_part() { bit(*kind) } else { 0 };
            let sources = unnamed_source(*kind, true);
            let report = Report { slot: *slot, replica, failed: bit(*kind), measured, sources };
            self.join_all(report, units.iter());
        }
        seen.judged.iter().for_each(|list| self.verdicts.join(list));
        let flags = [(&seen.shadow, SHADOW), (&seen.disagreements, SHADOW | DISAGREEMENT)];
        for (units, flag) in flags.into_iter().chain([(&seen.void, VOID)]) {
            for key in units.iter() {
                let unit = self.changed_unit(key);
                // A unit that was given out stays.
                if flag != VOID || unit.flags & GIVEN == 0 {
                    unit.flags |= flag;
                }
            }
        }
    }

    fn join_all(&mut self, report: Report, keys: impl Iterator<Item = u64>) {
        for key in keys {
            // Borrows by field: the names of replicas are compared while the unit is changed.
            let Self { units, changed, replicas, .. } = self;
            let unit = changed_in(units, changed, key);
            unit.join(report, |a, b| {
                let id = |i: u16| replicas.get(usize::from(i)).map(|replica| &replica.id);
                a != b && id(a) < id(b)
            });
        }
    }

    fn changed_unit(&mut self, key: u64) -> &mut Unit {
        changed_in(&mut self.units, &mut self.changed, key)
    }

    /// Returns the news since the last call, and begins to collect the next.
    ///
    /// The sums of all observations given out are the counts of the union, whatever the order of merges and calls, except
    /// for units that a later object moves to an earlier share or voids after they were given out.
    ///
    /// [`Observation::observed_at`] is the time of the latest object merged since the last call, by its replica's clock.
    #[must_use]
    pub fn observation(&mut self) -> Observation {
        self.give_out();
        let mut news = std::mem::take(&mut self.pending);
        news.observed_at = self.looked_at.take();
        news
    }

    /// Counts the news of all changed units.
    fn give_out(&mut self) {
        let mut tally = Tally::default();
        let Self { units, changed, verdicts, .. } = self;
        verdicts.settle(units.capacity, |verdict| match units.get_mut(verdict.unit) {
            None => Fate::Waits,
            Some(unit) => {
                let fate = unit.judge(verdict);
                if fate == Fate::Done && unit.flags & CHANGED == 0 {
                    unit.flags |= CHANGED;
                    changed.push(verdict.unit);
                }
                fate
            }
        });
        for key in std::mem::take(&mut self.changed) {
            let unit = self.units.get_mut(key);
            if unit.is_some_and(|unit| tally.count(unit)) {
                self.conflicts += 1;
            }
        }
        self.pending.add(tally.into_observation(&self.replicas));
    }

    /// Drops the older generation of units.
    fn forget(&mut self) {
        self.units.old = std::mem::take(&mut self.units.young);
    }

    /// Returns the highest number merged of each replica; every lower number has been merged too, except
    /// [`Self::missing`].
    #[must_use]
    pub fn marks(&self) -> BTreeMap<String, u64> {
        self.replicas.iter().map(|replica| (replica.id.clone(), replica.highest)).collect()
    }

    /// Returns the numbers below the highest of each replica that have not been merged.
    #[must_use]
    pub fn missing(&self) -> Vec<(String, u64)> {
        let mut missing: Vec<(String, u64)> = self
            .replicas
            .iter()
            .flat_map(|replica| replica.missing.iter().map(|&n| (replica.id.clone(), n)))
            .collect();
        missing.sort();
        missing
    }

    /// Returns the units that were open at `replica` in its latest object: if it was killed, they are lost.
    #[must_use]
    pub fn lost(&self, replica: &str) -> u64 {
        self.replica(replica).map_or(0, |replica| replica.open)
    }

    /// Returns the time of the latest object of `replica`, by its own clock; `None` before the first.
    #[must_use]
    pub fn last_seen(&self, replica: &str) -> Option<DateTime<Utc>> {
        self.replica(replica).map(|replica| replica.at)
    }

    /// Returns the units that replicas sent to both arms under one share, as far as they were not given out before.
    #[must_use]
    pub fn conflicts(&self) -> u64 {
        self.conflicts
    }

    /// Returns the number of units remembered.
    #[must_use]
    pub fn n_units(&self) -> usize {
        self.units.young.len() + self.units.old.len()
    }

    fn replica(&self, id: &str) -> Option<&Replica> {
        self.index.get(id).and_then(|&replica| self.replicas.get(usize::from(replica)))
    }
}

/// Returns the source bits of a report on `kind` as older versions made it, without a source.
fn unnamed_source(kind: FailureKind, wrong: bool) -> u8 {
    if kind == FailureKind::Wrong { source_bits(VerdictSource::EndUser, wrong) } else { 0 }
}

/// Returns the unit `key`, noted as changed.
fn changed_in<'a>(units: &'a mut Units, changed: &mut Vec<u64>, key: u64) -> &'a mut Unit {
    let unit = units.entry(key);
    if unit.flags & CHANGED == 0 {
        unit.flags |= CHANGED;
        changed.push(key);
    }
    unit
}

fn refused(seen: &ReplicaObservation, reason: &str) -> Fault {
    let (replica, number) = (&seen.replica, seen.number);
    Fault::data(
        "BOT-6043",
        format!("object {number} of replica `{replica}` is not merged: {reason}"),
    )
    .hint("the object is skipped; see `botops explain BOT-6043`")
}
