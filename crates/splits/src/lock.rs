//! The lock of a split: its settings and the side of each text and group, kept in a file.
//!
//! The file holds digests of folded texts and of group values, by side. It holds no text.

use botops_datasets::{Dataset, Rejected};
use botops_digest::Hasher;
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Finding, Result};
use botops_spec::Spec;
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
    /// Records to fit a model on.
    Train,
    /// Records to choose settings by.
    Validation,
    /// Records to evaluate on.
    Test,
}

impl SplitSide {
    /// All sides.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Returns the name of the side: `train`, `validation` or `test`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// The settings of a locked split.
///
/// - `test_share` is in (0, 1), `validation_share` in [0, 1), their sum below 1
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedSplitSpec {
    /// The share of each intent that goes to test.
    pub test_share: f64,
    /// The share of each intent that goes to validation; 0 for no validation side.
    pub validation_share: f64,
    /// The seed of the text hashes: another seed selects other records.
    pub seed: u64,
    /// The column whose values stay on one side each, such as a conversation or a customer.
    pub group: Option<String>,
}

impl Spec for LockedSplitSpec {
    /// Checks that every side gets a share.
    ///
    /// # Errors
    /// `BOT-2130` (exit 2).
    fn check_ranges(&self) -> Result<()> {
        let Self { test_share: test, validation_share: validation, .. } = self;
        let invalid = |message: String| {
            Err(Fault::usage("BOT-2130", message)
                .hint("write shares between 0 and 1 (or percentages) that leave something to train on: `--test 20% --validation 10%`"))
        };
        if !(*test > 0.0 && *test < 1.0) {
            return invalid(format!("a test share of {test} leaves one side empty"));
        }
        if !(*validation >= 0.0 && *validation < 1.0) {
            return invalid(format!("a validation share of {validation} leaves one side empty"));
        }
        // In floating point, shares such as 0.7 and 0.3 may sum to slightly less than 1.
        if test + validation > 1.0 - 1e-9 {
            return invalid(format!(
                "a test share of {test} and a validation share of {validation} leave nothing to train on"
            ));
        }
        Ok(())
    }
}

/// The side of each text and group of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitLock {
    schema: String,
    spec: LockedSplitSpec,
    /// The rule for near duplicates: the lowest Jaccard index, and the length of a shingle in characters.
    near: (f64, usize),
    /// The keys ([`lock_key`]) of folded texts, by side.
    pub(crate) texts: BTreeMap<SplitSide, BTreeSet<String>>,
    /// The keys of group values, by side.
    pub(crate) groups: BTreeMap<SplitSide, BTreeSet<String>>,
}

impl SplitLock {
    /// Reads the lock at `path`; `None` when there is no such file.
    ///
    /// # Errors
    /// `BOT-2180` malformed (exit 3), `BOT-5007` a newer format (exit 6), `BOT-1001` unreadable.
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
        let broken = |reason: String| {
            Fault::data("BOT-2180", format!("`{shown}` is not a split lock: {reason}"))
                .file(path)
                .hint("restore it from version control; without it, records would change sides")
        };
        let head: Head =
            serde_json::from_slice(&bytes).map_err(|error| broken(parse_error(&error)))?;
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
        let lock: Self =
            serde_json::from_slice(&bytes).map_err(|error| broken(parse_error(&error)))?;
        for keys in [&lock.texts, &lock.groups] {
            let n: usize = keys.values().map(BTreeSet::len).sum();
            if keys.values().flatten().collect::<BTreeSet<_>>().len() < n {
                return Err(broken("it has the same record on two sides".to_owned()));
            }
        }
        Ok(Some(lock))
    }

    /// Writes the lock to `path`, complete or not at all; skips the write when the file already holds this lock.
    ///
    /// # Errors
    /// `BOT-2184` (exit 5) when the file differs from `before`, the lock that this one was made from; `BOT-1002`;
    /// `BOT-1033` (exit 2) when it is a link.
    pub fn write(&self, path: &Path, before: Option<&Self>) -> Result<()> {
        let current = Self::read(path)?;
        if current.as_ref() == Some(self) {
            return Ok(());
        }
        if current.as_ref() != before {
            let message = format!("another run changed `{}` in the meantime", path.display());
            return Err(Fault::conflict("BOT-2184", message)
                .file(path)
                .hint("run again: it starts from the lock that is there now"));
        }
        let mut bytes = serde_json::to_vec_pretty(self).expect("a lock serializes to JSON");
        bytes.push(b'\n');
        Output::new(path, OutputKind::Json("split"), false).write(&bytes)
    }

    /// Returns the settings that the split was made with.
    #[must_use]
    pub fn spec(&self) -> &LockedSplitSpec {
        &self.spec
    }

    /// Makes a lock without texts and groups.
    pub(crate) fn new(spec: &LockedSplitSpec, near: &NearSpec) -> Self {
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

    /// Returns whether both locks have the same settings and the same rule for near duplicates.
    pub(crate) fn has_settings_of(&self, other: &Self) -> bool {
        (&self.spec, self.near) == (&other.spec, other.near)
    }
}

/// Returns the side of each key.
pub(crate) fn side_by_key(
    keys: &BTreeMap<SplitSide, BTreeSet<String>>,
) -> HashMap<&str, SplitSide> {
    keys.iter().flat_map(|(side, keys)| keys.iter().map(|key| (key.as_str(), *side))).collect()
}

/// Returns the key of a text or group in a lock: the first 32 hex digits of the digest of `kind`, a zero byte and `value`.
pub(crate) fn lock_key(kind: &str, value: &str) -> String {
    let mut hasher = Hasher::default();
    hasher.update(kind.as_bytes());
    hasher.update(&[0]);
    hasher.update(value.as_bytes());
    hasher.finish().hex()[..32].to_owned()
}

/// Returns why a lock cannot be parsed.
fn parse_error(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Eof => format!("it ends early, on line {line}"),
        serde_json::error::Category::Data => {
            format!(
                "a key is missing, unknown or has an invalid value, at line {line}, column {column}"
            )
        }
        _ => format!("it is not valid JSON at line {line}, column {column}"),
    }
}

/// The result of a locked split.
#[derive(Debug, Clone)]
pub struct LockedSplit {
    /// Records to fit a model on.
    pub train: Dataset,
    /// Records to choose settings by; `None` when the validation share is 0.
    pub validation: Option<Dataset>,
    /// Records to evaluate on.
    pub test: Dataset,
    /// The side of each record of the data, in its order; `None` for a record that was left out.
    pub sides: Vec<Option<SplitSide>>,
    /// Records on no side, with reasons.
    pub left_out: Vec<Rejected>,
    /// All findings, including the reasons of `left_out`.
    pub findings: Vec<Finding>,
    /// The new lock: the entries of the old one and the new ones.
    pub lock: SplitLock,
    /// Records whose side the lock decided.
    pub records_locked: u64,
    /// Records that followed near duplicates or their group.
    pub records_following: u64,
    /// Records assigned as units of their own.
    pub records_new: u64,
}
