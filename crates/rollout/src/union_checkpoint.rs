//! The stored form of a union, from which another replica takes over without reading every object.
//!
//! Two lines of JSON: the schema with the SHA-256 of the second line, and the union. Units that are in the same state are
//! one list, so that a unit takes about ten bytes. What is read back continues exactly as the original would.

use crate::{
    failure::FailureKind,
    merged::{MOST_MISSING, MOST_REPLICAS, Merged, Replica, Units},
    observation::Observation,
    replica_observation::{check_schema, is_id},
    union_unit::{CHANGED, GIVEN, UNSEEN, Unit, bits, kinds},
    unit_set::UnitSet,
    verdict::Judged,
    waiting_verdicts::{MOST_WAITING, WaitingVerdicts},
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The schema of a stored union.
pub const EVIDENCE_SCHEMA: &str = "botops.evidence/1";
/// The largest stored union, in bytes: a few million units, all replicas and their missing numbers.
pub const LARGEST_EVIDENCE: usize = 128 << 20;
const BILLION: u32 = 1_000_000_000;

#[derive(Serialize, Deserialize)]
struct Head {
    schema: String,
    sha256: Digest,
}

#[derive(Serialize, Deserialize)]
struct Body {
    rollout: String,
    capacity: usize,
    conflicts: u64,
    looked_at: Option<DateTime<Utc>>,
    pending: Observation,
    replicas: Vec<StoredReplica>,
    groups: Vec<Group>,
    /// Verdicts that wait for their conversations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<Judged>,
    /// The messages that were judged: the younger and the older generation.
    #[serde(default, skip_serializing_if = "UnitSet::is_empty")]
    judged: UnitSet,
    #[serde(default, skip_serializing_if = "UnitSet::is_empty")]
    judged_before: UnitSet,
}

#[derive(Serialize, Deserialize)]
struct StoredReplica {
    id: String,
    highest: u64,
    missing: UnitSet,
    open: u64,
    at: DateTime<Utc>,
}

/// Units in the same state.
#[derive(Serialize, Deserialize)]
struct Group {
    /// Whether they belong to the older generation.
    old: bool,
    /// (step, billionths); absent for units that no replica saw on an arm.
    share: Option<(u16, u32)>,
    arms: u8,
    /// An index into the replicas; absent with the share.
    replica: Option<u16>,
    flags: u8,
    failed: Vec<FailureKind>,
    failed_given: Vec<FailureKind>,
    measured: Vec<FailureKind>,
    measured_given: Vec<FailureKind>,
    /// The sources that judged them, see `waiting_verdicts.rs`.
    #[serde(default, skip_serializing_if = "is_zero")]
    sources: u8,
    #[serde(default, skip_serializing_if = "is_zero")]
    sources_given: u8,
    units: UnitSet,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(bits: &u8) -> bool {
    *bits == 0
}

impl Group {
    fn new(old: bool, unit: Unit, units: UnitSet) -> Self {
        let names = |bits| kinds(bits).collect();
        let is_seen = unit.share != UNSEEN;
        Self {
            old,
            share: is_seen.then_some(unit.share),
            arms: unit.arms,
            replica: is_seen.then_some(unit.replica),
            flags: unit.flags,
            failed: names(unit.failed),
            failed_given: names(unit.failed_given),
            measured: names(unit.measured),
            measured_given: names(unit.measured_given),
            sources: unit.sources,
            sources_given: unit.sources_given,
            units,
        }
    }

    /// Returns the state of the units; a reason if no unit can be in it.
    fn unit(&self, n_replicas: usize) -> std::result::Result<Unit, String> {
        let unit = Unit {
            share: self.share.unwrap_or(UNSEEN),
            arms: self.arms,
            replica: self.replica.unwrap_or(u16::MAX),
            flags: self.flags,
            failed: bits(&self.failed),
            failed_given: bits(&self.failed_given),
            measured: bits(&self.measured),
            measured_given: bits(&self.measured_given),
            sources: self.sources,
            sources_given: self.sources_given,
        };
        let is_seen = self.share.is_some();
        let consistent = is_seen == self.replica.is_some()
            && is_seen == (unit.arms != 0)
            && unit.arms <= 3
            && self.share.is_none_or(|(_, weight)| weight > 0 && weight <= BILLION)
            && self.replica.is_none_or(|replica| usize::from(replica) < n_replicas)
            && (is_seen || unit.failed | unit.measured == 0)
            && unit.failed_given & !unit.failed == 0
            && unit.measured_given & !unit.measured == 0
            && unit.sources_given & !unit.sources == 0
            && unit.sources < 1 << 6
            && (is_seen || unit.sources == 0)
            // Only a unit of one arm is given out, and only then its failures are.
            && (unit.flags & GIVEN == 0 || matches!(unit.arms, 1 | 2))
            && (unit.flags & GIVEN != 0
                || unit.failed_given | unit.measured_given == 0 && unit.sources_given == 0);
        if consistent { Ok(unit) } else { Err("units are in an impossible state".to_owned()) }
    }
}

impl Merged {
    /// Returns the stored form: equal unions have equal bytes, whatever the order of merges.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Replicas by id, so that the order in which they came does not show.
        let rank: BTreeMap<u16, u16> =
            self.index.values().enumerate().map(|(rank, &index)| (index, rank as u16)).collect();
        let mut groups: BTreeMap<(bool, Unit), Vec<u64>> = BTreeMap::new();
        for (old, units) in [(false, &self.units.young), (true, &self.units.old)] {
            for (&key, unit) in units {
                let replica = rank.get(&unit.replica).copied().unwrap_or(u16::MAX);
                groups.entry((old, Unit { replica, ..*unit })).or_default().push(key);
            }
        }
        let stored = |replica: &Replica| StoredReplica {
            id: replica.id.clone(),
            highest: replica.highest,
            missing: replica.missing.iter().copied().collect(),
            open: replica.open,
            at: replica.at,
        };
        let replicas =
            self.index.values().filter_map(|&index| self.replicas.get(usize::from(index)));
        let body = Body {
            rollout: self.rollout.clone(),
            capacity: self.units.capacity,
            conflicts: self.conflicts,
            looked_at: self.looked_at,
            pending: self.pending.clone(),
            replicas: replicas.map(stored).collect(),
            groups: groups
                .into_iter()
                .map(|((old, unit), keys)| Group::new(old, unit, keys.into_iter().collect()))
                .collect(),
            waiting: self.verdicts.lists(),
            judged: self.verdicts.young.iter().copied().collect(),
            judged_before: self.verdicts.old.iter().copied().collect(),
        };
        let body = botops_digest::canonical_json(&body);
        let head = Head { schema: EVIDENCE_SCHEMA.to_owned(), sha256: Digest::of(&body) };
        let mut bytes = botops_digest::canonical_json(&head);
        bytes.push(b'\n');
        bytes.extend(body);
        bytes
    }

    /// Reads a stored union.
    ///
    /// # Errors
    /// - `BOT-6044` (exit 3) if it is damaged, too large, or in a state that no union can be in
    /// - `BOT-6045` (exit 6) if a newer botops wrote it
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > LARGEST_EVIDENCE {
            let n = bytes.len();
            return Err(damaged(&format!("it has {n} bytes, more than {LARGEST_EVIDENCE}")));
        }
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let (head, body) = bytes.split_at(end.ok_or_else(|| damaged("it is cut off"))?);
        let body = &body[1..];
        check_schema(head, EVIDENCE_SCHEMA, "BOT-6044", "a checkpoint of the evidence")?;
        let head: Head =
            serde_json::from_slice(head).map_err(|error| damaged(&error.to_string()))?;
        if Digest::of(body) != head.sha256 {
            return Err(damaged("its bytes are not those that were written"));
        }
        let body: Body =
            serde_json::from_slice(body).map_err(|error| damaged(&error.to_string()))?;
        body.into_union().map_err(|reason| damaged(&reason))
    }
}

impl Body {
    fn into_union(self) -> std::result::Result<Merged, String> {
        if !is_id(&self.rollout) || self.replicas.len() > MOST_REPLICAS || self.capacity == 0 {
            return Err("its rollout, its replicas or its size are not valid".to_owned());
        }
        let mut union = Merged::remembering(&self.rollout, self.capacity);
        for StoredReplica { id, highest, missing, open, at } in self.replicas {
            let missing: BTreeSet<u64> = missing.iter().collect();
            let is_last = union.replicas.last().is_none_or(|before| before.id < id);
            let in_range = missing.iter().all(|&number| (1..highest).contains(&number));
            if !is_id(&id) || !is_last || highest == 0 || !in_range {
                return Err("a replica is not valid".to_owned());
            }
            if missing.len() as u64 > MOST_MISSING {
                return Err("too many objects are missing".to_owned());
            }
            union.index.insert(id.clone(), union.replicas.len() as u16);
            union.replicas.push(Replica { id, highest, missing, open, at });
        }
        let n_units = self.groups.iter().map(|group| group.units.len()).sum();
        let mut units = Units {
            capacity: self.capacity,
            young: HashMap::with_capacity(n_units),
            old: HashMap::new(),
        };
        for group in &self.groups {
            let unit = group.unit(union.replicas.len())?;
            for key in group.units.iter() {
                let (own, other) = if group.old {
                    (&mut units.old, &units.young)
                } else {
                    (&mut units.young, &units.old)
                };
                if other.contains_key(&key) || own.insert(key, unit).is_some() {
                    return Err("a unit is there twice".to_owned());
                }
                if unit.flags & CHANGED != 0 {
                    union.changed.push(key);
                }
            }
        }
        let n_waiting: usize = self.waiting.iter().map(|list| list.verdicts.len()).sum();
        let mut verdicts = WaitingVerdicts {
            young: self.judged.iter().collect(),
            old: self.judged_before.iter().collect(),
            ..WaitingVerdicts::default()
        };
        self.waiting.iter().for_each(|list| verdicts.join(list));
        let is_sound = self.waiting.iter().all(|list| list.slot.is_valid());
        if !is_sound || n_waiting > MOST_WAITING || verdicts.waiting.len() != n_waiting {
            return Err("its verdicts are not valid".to_owned());
        }
        union.verdicts = verdicts;
        union.units = units;
        union.conflicts = self.conflicts;
        union.looked_at = self.looked_at;
        union.pending = self.pending;
        Ok(union)
    }
}

fn damaged(reason: &str) -> Fault {
    Fault::data("BOT-6044", format!("a checkpoint of the evidence is damaged: {reason}"))
        .hint("read the observations of the replicas instead; see `botops explain BOT-6044`")
}
