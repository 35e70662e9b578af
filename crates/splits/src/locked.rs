//! A split that does not leak and does not move: near duplicates stay together, and a lock remembers who is where.
//!
//! The lock holds the digests of the folded texts (and of the values of the group column) of each side,
//! no text. What it names stays where it is; a new record goes
//! - where the records are that it is near to, or shares a group with
//! - nowhere, when those are on several sides: it is left out and reported, for on either side it would leak
//! - else with all that it is near to, as one unit, to the side that its intent and language lack most

use crate::assignment::{Seat, Work};
use botops_datasets::{Dataset, Rejected};
use botops_digest::Hasher;
use botops_findings::{Fault, Finding, Place, Result};
use botops_text::{self as text, NearSpec};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    io::ErrorKind,
    path::Path,
};

const SCHEMA: &str = "botops.split/1";

/// A side of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitSide {
    /// Learned from.
    Train,
    /// Chosen by.
    Validation,
    /// Judged on.
    Test,
}

impl SplitSide {
    /// All sides.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// How to split for good.
///
/// - `test_share` is in (0, 1), `validation_share` in [0, 1), their sum below 1
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedSplitSpec {
    /// The share of each intent that goes to test.
    pub test_share: f64,
    /// The share of each intent that goes to validation; 0: there is no such side.
    pub validation_share: f64,
    /// Changes which records those are.
    pub seed: u64,
    /// The column whose values stay on one side each, such as a conversation or a customer.
    pub group: Option<String>,
}

/// Who is on which side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitLock {
    schema: String,
    spec: LockedSplitSpec,
    /// When two texts count as near: the least Jaccard index, and characters of a shingle.
    near: (f64, usize),
    /// The digests (first 32 digits) of folded texts, by side.
    pub texts: BTreeMap<SplitSide, BTreeSet<String>>,
    /// Those of the values of the group column.
    pub groups: BTreeMap<SplitSide, BTreeSet<String>>,
}

/// A split, and what it came to.
#[derive(Debug, Clone)]
pub struct LockedSplit {
    /// Learned from.
    pub train: Dataset,
    /// Chosen by, where that was asked for.
    pub validation: Option<Dataset>,
    /// Judged on.
    pub test: Dataset,
    /// Records on no side, with the reason.
    pub left_out: Vec<Rejected>,
    /// What to look at, the reasons of those among it.
    pub findings: Vec<Finding>,
    /// The lock afterwards: what it held, and what is new.
    pub lock: SplitLock,
    /// Records whose side the lock told.
    pub records_locked: u64,
    /// Records that followed others.
    pub records_following: u64,
    /// Records that were given a side as units of their own.
    pub records_new: u64,
}

/// Says in words why a lock cannot be read.
fn told(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Eof => format!("it ends in the middle, on line {line}"),
        serde_json::error::Category::Data => {
            format!(
                "a key is missing, unknown, or holds what it cannot, at line {line}, column {column}"
            )
        }
        _ => format!("it is no JSON, from line {line}, column {column} on"),
    }
}

impl SplitLock {
    /// Reads the lock at `path`; nothing when there is none.
    ///
    /// # Errors
    /// `BOT-2180`: malformed (exit 3), or of a newer format (exit 6); `BOT-1001` unreadable.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(|error| botops_spec::unreadable(path, &error))?,
        };
        let shown = path.display();
        let broken = |why: String| {
            Fault::data("BOT-2180", format!("`{shown}` is no lock of a split: {why}"))
                .file(path)
                .hint("restore it from version control; without it, records would move")
        };
        let head: Head = serde_json::from_slice(&bytes).map_err(|error| broken(told(&error)))?;
        if head.schema != SCHEMA {
            let version = head.schema.strip_prefix("botops.split/").map(str::parse::<u32>);
            return Err(match version {
                Some(Ok(version)) if version > 1 => {
                    let message = format!(
                        "`{shown}` has the format `{}`, newer than this botops",
                        head.schema
                    );
                    Fault::policy("BOT-5007", message).file(path).hint("install a newer botops")
                }
                _ => broken(format!("its schema is `{}`", text::display(&head.schema, 60))),
            });
        }
        let lock: Self = serde_json::from_slice(&bytes).map_err(|error| broken(told(&error)))?;
        for names in [&lock.texts, &lock.groups] {
            let n: usize = names.values().map(BTreeSet::len).sum();
            if names.values().flatten().collect::<BTreeSet<_>>().len() < n {
                return Err(broken("it has the same record on two sides".to_owned()));
            }
        }
        Ok(Some(lock))
    }

    /// Writes the lock to `path`, complete or absent, unless it is there already.
    ///
    /// # Errors
    /// `BOT-2180` (exit 5) when what is there is not `before`; `BOT-1002`.
    pub fn write(&self, path: &Path, before: Option<&Self>) -> Result<()> {
        let there = Self::read(path)?;
        if there.as_ref() == Some(self) {
            return Ok(());
        }
        if there.as_ref() != before {
            let message = format!("`{}` was changed by another run meanwhile", path.display());
            return Err(Fault::conflict("BOT-2184", message)
                .file(path)
                .hint("run again: it starts from what is there now"));
        }
        let mut bytes = serde_json::to_vec_pretty(self).expect("a structure of ours is valid JSON");
        bytes.push(b'\n');
        botops_files::replace(path, &bytes)
    }

    /// Returns what the split was asked to be.
    #[must_use]
    pub fn spec(&self) -> &LockedSplitSpec {
        &self.spec
    }

    fn new(spec: &LockedSplitSpec, near: &NearSpec) -> Self {
        let sides = || SplitSide::ALL.map(|side| (side, BTreeSet::new())).into();
        let near = (near.threshold(), near.shingle());
        Self {
            schema: SCHEMA.to_owned(),
            spec: spec.clone(),
            near,
            texts: sides(),
            groups: sides(),
        }
    }

    pub fn by_name(names: &BTreeMap<SplitSide, BTreeSet<String>>) -> HashMap<&str, SplitSide> {
        names
            .iter()
            .flat_map(|(side, names)| names.iter().map(|name| (name.as_str(), *side)))
            .collect()
    }
}

/// Returns under which name a text or a group stands in a lock.
pub fn name(kind: &str, value: &str) -> String {
    let mut hasher = Hasher::default();
    hasher.update(kind.as_bytes());
    hasher.update(&[0]);
    hasher.update(value.as_bytes());
    hasher.finish().hex()[..32].to_owned()
}

/// Splits `data` by `spec`, keeping everything that `lock` names where it is. `groups` has the group of each record, if there is such a column.
///
/// - a unit is what is near to each other ([`NearSpec::default`]), has the same folded text or group, or is linked by such; it goes
///   to one side whole, in the stratum of its commonest intent and language
/// - what each intent and language should have on a side is shared out by the largest remainder over all records; new
///   units go there in the order of their hashes, as long as that brings a stratum nearer to what it should have
/// - the same data and lock in any order: the same sides; once more with the lock that came out: the same again
///
/// # Errors
/// `BOT-2130` shares that leave a side empty, `BOT-2180` a lock made for another request, `BOT-2182` everything is one unit
/// (exit 2); `BOT-2131` an intent has too few units for all sides (exit 4).
pub fn split_locked(
    data: &Dataset,
    groups: Option<&[Option<String>]>,
    spec: &LockedSplitSpec,
    lock: Option<&SplitLock>,
) -> Result<LockedSplit> {
    check_shares(spec)?;
    let near = NearSpec::default();
    let fresh = SplitLock::new(spec, &near);
    if let Some(lock) = lock
        && (&lock.spec, lock.near) != (spec, fresh.near)
    {
        return Err(other_request(&lock.spec, spec));
    }
    let mut work = Work::new(data, groups, spec.seed, lock.unwrap_or(&fresh), &near);
    let units = work.follow(&near);
    let n_following = work.count(|place| matches!(place, Seat::Following(_)));
    let n_locked = work.count(|place| matches!(place, Seat::Locked(_)));
    let mut findings = work.findings();
    if units.len() == 1 && n_locked == 0 && data.records.len() > 1 {
        return Err(one_unit(data, spec));
    }
    work.assign(units, spec, &mut findings)?;
    Ok(work.finish(lock.cloned().unwrap_or(fresh), findings, (n_locked, n_following), spec))
}

fn check_shares(spec: &LockedSplitSpec) -> Result<()> {
    let LockedSplitSpec { test_share: test, validation_share: validation, .. } = spec;
    let wrong = |message: String| {
        Err(Fault::usage("BOT-2130", message)
            .hint("write shares between 0 and 1 (or per cent) that leave something to train on: `--test 20% --validation 10%`"))
    };
    if !(*test > 0.0 && *test < 1.0) {
        return wrong(format!("a test share of {test} leaves one side empty"));
    }
    if !(*validation >= 0.0 && *validation < 1.0) {
        return wrong(format!("a validation share of {validation} leaves one side empty"));
    }
    // Shares such as 0.7 and 0.3 sum to 1 but for what floating point adds.
    if test + validation > 1.0 - 1e-9 {
        return wrong(format!(
            "a test share of {test} and a validation share of {validation} leave nothing to train on"
        ));
    }
    Ok(())
}

fn other_request(locked: &LockedSplitSpec, asked: &LockedSplitSpec) -> Fault {
    let shown = |spec: &LockedSplitSpec| {
        let group = spec
            .group
            .as_deref()
            .map_or("no group".to_owned(), |group| format!("group `{}`", text::display(group, 60)));
        format!(
            "test {}, validation {}, seed {}, {group}",
            spec.test_share, spec.validation_share, spec.seed
        )
    };
    let what = if locked == asked {
        "with other rules of what is near".to_owned()
    } else {
        format!("for {}; asked for is {}", shown(locked), shown(asked))
    };
    Fault::usage("BOT-2185", format!("the lock was made {what}"))
        .hint("ask for the same, or name another lock file: with another request, records would have to move")
}

fn one_unit(data: &Dataset, spec: &LockedSplitSpec) -> Fault {
    let (what, hint) = match &spec.group {
        Some(group) => {
            let group = text::display(group, 60);
            (
                format!("groups of `{group}` and near duplicates link all records to one another"),
                "name a column whose values are shared by fewer records, or none",
            )
        }
        None => (
            "all records are near duplicates of one another".to_owned(),
            "add records that say something else",
        ),
    };
    Fault::usage("BOT-2182", format!("{what}: there is nothing to divide"))
        .at(Place { file: Some(data.name.clone()), ..Place::default() })
        .hint(hint)
}

#[cfg(test)]
mod tests;
