//! Findings that are known, and accepted for now.

use botops_digest::Digest;
use botops_findings::{Fault, FaultKind, Place, Result};
use botops_spec as spec;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

const SCHEMA: &str = "botops.baseline/1";

/// Known findings: how many there are of each, by what it is and what it is about, whichever line that stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    schema: String,
    findings: BTreeMap<Digest, Known>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    code: String,
    count: u64,
}

impl Baseline {
    /// Reads the baseline at `path`.
    ///
    /// # Errors
    /// `BOT-1001` (exit 2) when it cannot be read, `BOT-2217` (exit 2) when it is no baseline, or (exit 6) a newer one.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|error| spec::unreadable(path, &error))?;
        #[derive(Deserialize)]
        struct Named {
            schema: String,
        }
        let place = || Place { file: Some(path.display().to_string()), ..Place::default() };
        let no_baseline = |what: &str, error: serde_json::Error| {
            Fault::usage("BOT-2217", what.to_owned())
                .at(Place { line: Some(error.line().max(1) as u64), ..place() })
                .hint("write it again with `botops validate DATA --baseline FILE --write-baseline`")
                .caused_by(error)
        };
        let Named { schema } = serde_json::from_slice(&bytes)
            .map_err(|error| no_baseline("the file is no baseline of `botops validate`", error))?;
        if schema != SCHEMA {
            let shown = botops_text::display(&schema, 40);
            let is_newer = schema.starts_with("botops.baseline/");
            let message = format!("the file is of the format `{shown}`, and `{SCHEMA}` is wanted");
            let fault = match is_newer {
                true => Fault::policy("BOT-5007", message),
                false => Fault::usage("BOT-2217", message),
            };
            return Err(fault.at(place()).hint(if is_newer {
                "use a newer botops"
            } else {
                "name a file that `botops validate --write-baseline` wrote"
            }));
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| no_baseline("the baseline is damaged", error))
    }

    /// Writes it to `path`, complete or absent.
    ///
    /// # Errors
    /// `BOT-1002`.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("digests and counts are valid JSON");
        bytes.push(b'\n');
        botops_files::replace(path, &bytes)
    }

    /// Returns how many findings it has.
    #[must_use]
    pub fn n_findings(&self) -> u64 {
        self.findings.values().map(|known| known.count).sum()
    }
}

/// A baseline being held against what is found.
#[derive(Debug, Default)]
pub(crate) struct Matching {
    /// Findings that are known and were not met yet.
    left: HashMap<Digest, u64>,
    /// All that were met; `None`: nobody asks.
    met: Option<BTreeMap<Digest, Known>>,
}

impl Matching {
    /// Begins with what `baseline` knows; what is met is noted if `notes`.
    pub(crate) fn new(baseline: Option<&Baseline>, notes: bool) -> Self {
        let left = baseline
            .iter()
            .flat_map(|baseline| &baseline.findings)
            .map(|(id, known)| (*id, known.count))
            .collect();
        Self { left, met: notes.then(BTreeMap::new) }
    }

    /// Returns whether the finding `id` is known; each known one is taken once.
    pub(crate) fn takes(&mut self, id: Digest, code: &str) -> bool {
        if let Some(met) = &mut self.met {
            met.entry(id).or_insert_with(|| Known { code: code.to_owned(), count: 0 }).count += 1;
        }
        match self.left.get_mut(&id) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    /// Returns everything that was met as a baseline.
    pub(crate) fn into_baseline(self) -> Option<Baseline> {
        self.met.map(|findings| Baseline { schema: SCHEMA.to_owned(), findings })
    }
}
