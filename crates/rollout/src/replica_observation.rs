//! The evidence that one replica publishes: the conversations it saw and those that failed, as keys.
//!
//! A replica writes an object every two seconds, numbered from 1, and never changes one. Each holds only news: a unit is
//! listed when the replica sees it first, a failure when it happens. Readers form the union (see [`crate::Merged`]), so it
//! does not matter how often or in which order they read.
//!
//! Objects come from other processes: [`ReplicaObservation::read`] checks every length and number, and refuses a damaged
//! object as a whole.

use crate::{failure::FailureKind, slot::Slot, unit_set::UnitSet, verdict::Judged};
use botops_findings::{Fault, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The schema of [`ReplicaObservation`].
pub const OBSERVATION_SCHEMA: &str = "botops.observation/1";
/// The most unit keys in one object, over all of its lists. A replica with more news writes a second object.
pub const MOST_KEYS: usize = 100_000;
/// The most verdicts in one object.
pub const MOST_VERDICTS: usize = 10_000;
/// The largest object, in bytes: 100,000 keys, and 10,000 verdicts as two keys each, with room to spare.
pub const LARGEST_OBSERVATION: usize = 2 << 20;
/// The most lists of units in one object.
const MOST_LISTS: usize = 1_000;
/// The longest id of a rollout, a replica or a verdict, in bytes.
const LONGEST_ID: usize = 128;

/// The news of one replica since its previous object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplicaObservation {
    /// [`OBSERVATION_SCHEMA`].
    pub schema: String,
    /// The id of the rollout.
    pub rollout: String,
    /// The id of the process start, a ULID: a process that starts again is another replica.
    pub replica: String,
    /// 1 for the replica's first object, then one more for each.
    pub number: u64,
    /// The time of the observation, by the replica's own clock: of use only beside other times of this replica.
    pub at: DateTime<Utc>,
    /// The time of the rollout as the replica counts it ([`crate::RolloutTime`]). Older versions do not give it: the time
    /// of the rollout is then the clock of the replica that ticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<DateTime<Utc>>,
    /// Conversations of the current step that go on at this replica; if it is killed, they are lost.
    #[serde(default)]
    pub open: u64,
    /// Whether the replica stops: it publishes nothing after this.
    #[serde(default, skip_serializing_if = "is_false")]
    pub leaves: bool,
    /// Units seen for the first time at this replica.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<Seen>,
    /// Units that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Marked>,
    /// Units on which a kind was measured, failed or not, that not every conversation measures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<Marked>,
    /// Units mirrored to the challenger.
    #[serde(default, skip_serializing_if = "UnitSet::is_empty")]
    pub shadow: UnitSet,
    /// Mirrored units for which the challenger predicted another intent.
    #[serde(default, skip_serializing_if = "UnitSet::is_empty")]
    pub disagreements: UnitSet,
    /// Units seen for the first time while the weight changed: the arms are not compared on them.
    #[serde(default, skip_serializing_if = "UnitSet::is_empty")]
    pub void: UnitSet,
    /// The ids of the feedback that was judged, as older versions wrote them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<String>,
    /// Verdicts on answers. Older versions reported them in [`Self::failures`] and [`Self::measured`], without a source:
    /// they count as those of end users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<Judged>,
}

/// Units first seen under one share of traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The share, and the arm.
    #[serde(flatten)]
    pub slot: Slot,
    /// The kinds measured on each of these units from its first message, such as `slow` once there is a bound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<FailureKind>,
    /// The units.
    pub units: UnitSet,
}

/// Units that failed in one way, or on which one kind was measured.
///
/// They count as seen under this share too, even if the object that lists them as seen is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marked {
    /// The kind of failure.
    pub kind: FailureKind,
    /// The share under which this replica first saw the units, and their arm.
    #[serde(flatten)]
    pub slot: Slot,
    /// The units.
    pub units: UnitSet,
}

/// Returns the key of a conversation: the first 64 bits of its HMAC-SHA256 under the identity key.
///
/// All replicas of an environment share that key, so they give a conversation the same key, which says nothing about it
/// to a reader without the identity key.
#[must_use]
pub fn unit_key(identity_key: &[u8], conversation_id: &str) -> u64 {
    let digest = botops_digest::hmac_sha256(identity_key, conversation_id.as_bytes());
    let head: [u8; 8] = digest.as_bytes()[..8].try_into().expect("a digest has 32 bytes");
    u64::from_be_bytes(head)
}

impl ReplicaObservation {
    /// Returns the observation `number` of `replica`, made `at` a time, without any news.
    #[must_use]
    pub fn new(rollout: &str, replica: &str, number: u64, at: DateTime<Utc>) -> Self {
        Self {
            schema: OBSERVATION_SCHEMA.to_owned(),
            rollout: rollout.to_owned(),
            replica: replica.to_owned(),
            number,
            at,
            time: None,
            open: 0,
            leaves: false,
            arms: Vec::new(),
            failures: Vec::new(),
            measured: Vec::new(),
            shadow: UnitSet::default(),
            disagreements: UnitSet::default(),
            void: UnitSet::default(),
            verdicts: Vec::new(),
            judged: Vec::new(),
        }
    }

    /// Returns the number of verdicts; an object holds at most [`MOST_VERDICTS`].
    #[must_use]
    pub fn n_verdicts(&self) -> usize {
        self.verdicts.len() + self.judged.iter().map(|list| list.verdicts.len()).sum::<usize>()
    }

    /// Returns the number of unit keys, over all lists; an object holds at most [`MOST_KEYS`].
    #[must_use]
    pub fn n_keys(&self) -> usize {
        let seen: usize = self.arms.iter().map(|seen| seen.units.len()).sum();
        let marked: usize =
            self.failures.iter().chain(&self.measured).map(|marked| marked.units.len()).sum();
        seen + marked + self.shadow.len() + self.disagreements.len() + self.void.len()
    }

    /// Returns the stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        botops_digest::canonical_json(self)
    }

    /// Reads a stored observation.
    ///
    /// # Errors
    /// - `BOT-6043` (exit 3) if it is damaged: too long, not JSON of this form, or beyond a limit
    /// - `BOT-6045` (exit 6) if a newer botops wrote it
    pub fn read(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > LARGEST_OBSERVATION {
            return Err(damaged(format!(
                "it has {} bytes, more than {LARGEST_OBSERVATION}",
                bytes.len()
            )));
        }
        check_schema(bytes, OBSERVATION_SCHEMA, "BOT-6043", "an observation of a replica")?;
        let read: Self =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        read.check()?;
        Ok(read)
    }

    /// Checks the limits.
    ///
    /// # Errors
    /// `BOT-6043` (exit 3) with the first breach.
    pub fn check(&self) -> Result<()> {
        let breach = self.breach().map_or(Ok(()), Err);
        breach.map_err(|reason| {
            damaged(format!(
                "{reason} (replica `{}`, number {})",
                shown(&self.replica),
                self.number
            ))
        })
    }

    fn breach(&self) -> Option<String> {
        if self.schema != OBSERVATION_SCHEMA {
            return Some(format!("its schema is not `{OBSERVATION_SCHEMA}`"));
        }
        let ids = [("rollout", &self.rollout), ("replica", &self.replica)];
        if let Some((what, id)) = ids.into_iter().find(|(_, id)| !is_id(id)) {
            return Some(format!("`{}` is not the id of a {what}", shown(id)));
        }
        if self.number == 0 {
            return Some("its number is 0: numbers begin at 1".to_owned());
        }
        let lists = self.arms.len() + self.failures.len() + self.measured.len() + self.judged.len();
        if lists > MOST_LISTS {
            return Some(format!("it has {lists} lists of units, more than {MOST_LISTS}"));
        }
        if self.n_keys() > MOST_KEYS {
            return Some(format!("it has {} keys, more than {MOST_KEYS}", self.n_keys()));
        }
        if self.n_verdicts() > MOST_VERDICTS {
            return Some(format!(
                "it has {} verdicts, more than {MOST_VERDICTS}",
                self.n_verdicts()
            ));
        }
        if let Some(id) = self.verdicts.iter().find(|id| !is_id(id)) {
            return Some(format!("`{}` is not the id of a verdict", shown(id)));
        }
        let marked = self.failures.iter().chain(&self.measured);
        let slots = self.arms.iter().map(|seen| seen.slot).chain(marked.clone().map(|m| m.slot));
        let mut slots = slots.chain(self.judged.iter().map(|list| list.slot));
        if let Some(slot) = slots.find(|slot| !slot.is_valid()) {
            return Some(format!("a weight of {} billionths is not in (0, 1]", slot.weight));
        }
        // Disagreements are counted in the shadow stage, where nobody gets the challenger's answer.
        let measures = self.arms.iter().flat_map(|seen| &seen.measures).copied();
        if marked.map(|m| m.kind).chain(measures).any(|kind| kind == FailureKind::Disagreement) {
            return Some("`disagreement` is not a failure of an arm".to_owned());
        }
        None
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

fn damaged(reason: String) -> Fault {
    Fault::data("BOT-6043", format!("an observation of a replica is damaged: {reason}"))
        .hint("the object is skipped; see `botops explain BOT-6043`")
}

/// Returns whether `id` is one: visible ASCII without spaces, and not too long.
pub(crate) fn is_id(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Returns the beginning of `id`, escaped, for a message.
fn shown(id: &str) -> String {
    id.chars().take(40).flat_map(char::escape_debug).collect()
}

/// Checks that the object `bytes` (JSON) has `schema`, and that no newer botops wrote it.
///
/// # Errors
/// `code` (exit 3) if it has none, `BOT-6045` (exit 6) if it has a later version.
pub(crate) fn check_schema(
    bytes: &[u8],
    schema: &'static str,
    code: &'static str,
    name: &str,
) -> Result<()> {
    #[derive(Deserialize)]
    struct Head {
        schema: Option<String>,
    }
    let head: Head = serde_json::from_slice(bytes)
        .map_err(|error| Fault::data(code, format!("{name} is damaged: {error}")))?;
    let found = head.schema.unwrap_or_default();
    if found == schema {
        return Ok(());
    }
    let family = schema.split_once('/').map_or(schema, |(family, _)| family);
    let version = found.strip_prefix(family).and_then(|rest| rest.strip_prefix('/'));
    if version.is_some_and(|version| version.parse::<u32>().is_ok_and(|version| version > 1)) {
        return Err(Fault::policy(
            "BOT-6045",
            format!("{name} is in the format `{}`, which this botops does not read", shown(&found)),
        )
        .hint("a newer botops wrote it: update this replica"));
    }
    Err(Fault::data(code, format!("{name} is damaged: its schema is `{}`", shown(&found))))
}
