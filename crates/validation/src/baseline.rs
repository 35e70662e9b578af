//! The baseline: known findings, which are accepted for now.

use botops_digest::Digest;
use botops_files::Output;
use botops_findings::{Fault, Place, Result};
use botops_spec as spec;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

const SCHEMA: &str = "botops.baseline/1";

/// The known findings and the count of each, by the identity of the finding ([`crate::Mark::id`]).
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
    /// `BOT-1001` (exit 2) when it cannot be read, `BOT-2217` (exit 2) when it is not a baseline, `BOT-5007` (exit 6) when
    /// a newer version wrote it.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|error| spec::unreadable(path, &error))?;
        #[derive(Deserialize)]
        struct Header {
            schema: String,
        }
        let place = || Place { file: Some(path.display().to_string()), ..Place::default() };
        let not_a_baseline = |message: &str, error: serde_json::Error| {
            Fault::usage("BOT-2217", message.to_owned())
                .at(Place { line: Some(error.line().max(1) as u64), ..place() })
                .hint("write it again with `botops validate DATA --baseline FILE --write-baseline`")
                .caused_by(error)
        };
        let Header { schema } = serde_json::from_slice(&bytes).map_err(|error| {
            not_a_baseline("the file is not a baseline of `botops validate`", error)
        })?;
        if schema != SCHEMA {
            let shown = botops_text::display(&schema, 40);
            let is_newer = schema.starts_with("botops.baseline/");
            let message = format!("the file has the format `{shown}`: expected `{SCHEMA}`");
            let fault = match is_newer {
                true => Fault::policy("BOT-5007", message),
                false => Fault::usage("BOT-2217", message),
            };
            return Err(fault.at(place()).hint(if is_newer {
                "use a newer botops"
            } else {
                "name a file that `botops validate DATA --baseline FILE --write-baseline` wrote"
            }));
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| not_a_baseline("the baseline is damaged", error))
    }

    /// Writes the baseline; the file is complete or absent.
    ///
    /// # Errors
    /// `BOT-1002`; those of [`Output::create`].
    pub fn write(&self, output: &Output<'_>) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("digests and counts are valid JSON");
        bytes.push(b'\n');
        output.write(&bytes)
    }

    /// Returns the number of findings.
    #[must_use]
    pub fn n_findings(&self) -> u64 {
        self.findings.values().map(|known| known.count).sum()
    }
}

/// A baseline that is matched with the findings.
#[derive(Debug, Default)]
pub(crate) struct BaselineMatch {
    /// The known findings that did not occur yet, with their counts.
    left: HashMap<Digest, u64>,
    /// All findings, as a new baseline; `None`: none is needed.
    noted: Option<BTreeMap<Digest, Known>>,
}

impl BaselineMatch {
    /// Begins with the findings of `baseline`; with `notes`, all findings are noted as a new baseline.
    pub(crate) fn new(baseline: Option<&Baseline>, notes: bool) -> Self {
        let left = baseline
            .iter()
            .flat_map(|baseline| &baseline.findings)
            .map(|(id, known)| (*id, known.count))
            .collect();
        Self { left, noted: notes.then(BTreeMap::new) }
    }

    /// Returns whether the finding `id` is known; each known finding is matched once.
    pub(crate) fn takes(&mut self, id: Digest, code: &str) -> bool {
        if let Some(noted) = &mut self.noted {
            noted.entry(id).or_insert_with(|| Known { code: code.to_owned(), count: 0 }).count += 1;
        }
        match self.left.get_mut(&id) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    /// Returns all findings as a baseline.
    pub(crate) fn into_baseline(self) -> Option<Baseline> {
        self.noted.map(|findings| Baseline { schema: SCHEMA.to_owned(), findings })
    }
}
