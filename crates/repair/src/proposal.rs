//! Proposals: fixes for the findings of a file, safe ones to be applied, the others for a person to decide.

mod across_records;
mod drafts;
mod single_record;

use crate::{document::Document, fix::Fix, repaired::Repaired, suggested_intent::SuggestedIntent};
use botops_datasets::{ReadOptions, formats::csv::SheetForm};
use botops_expectations::Expectations;
use botops_findings::Result;
use botops_validation::{ValidateOptions, Validation};
use drafts::Drafts;
use serde::Serialize;
use std::path::Path;

/// The most times that the data are checked again with the fixes so far.
const ROUNDS: usize = 4;

/// The proposed fixes, and the result of those that are to be applied.
#[derive(Debug, Clone, Serialize)]
pub struct Proposal {
    /// The data file.
    pub file: String,
    /// Records read.
    pub records_in: u64,
    /// Records that would be written.
    pub records_out: u64,
    /// Fixes that are to be applied unless the reviewer refuses.
    pub to_apply: u64,
    /// The fixes, in the order of the file.
    pub fixes: Vec<Fix>,
    /// The form of a patch of the data.
    #[serde(skip)]
    pub form: SheetForm,
    /// The validation of the data with the fixes applied.
    #[serde(skip)]
    pub remaining: Validation,
}

/// Proposes fixes for the file at `path`, checked against `expectations`, and for the labels that `suggested` doubts.
///
/// Safe fixes are to be applied: damage by wrong encodings is undone ([`botops_validation::damage::undo`]), white space
/// around a text or a label is removed, an intent or language with a spelling that fits only one expected name is corrected, exact
/// repeats are removed, the span of an entity whose value occurs once in the text is corrected, and a language that the
/// text clearly contradicts is replaced. The other fixes (for repeats but for case, texts under two intents, personal data,
/// empty texts and suggested intents) are proposed as not to be applied.
///
/// # Errors
/// `BOT-2220` (exit 2) for a file that cannot be repaired; `BOT-2222` (exit 5) when `suggested` is for other data; those of
/// [`botops_validation::validate_bytes`].
pub fn propose(
    path: &Path,
    read: &ReadOptions,
    expectations: &Expectations,
    options: &ValidateOptions<'_>,
    suggested: &[SuggestedIntent],
) -> Result<Proposal> {
    let document = Document::read(path, read)?;
    let mut drafts = Drafts::new(&document);
    // One fix may uncover another finding: the language of a text can be detected once its damage is undone. Records keep
    // their numbers until repeats are removed.
    for _ in 0..ROUNDS {
        let before = drafts.edits.cells.clone();
        drafts.fix_records(expectations, options)?;
        if drafts.edits.cells == before {
            break;
        }
    }
    if let Some(roles) = &document.roles {
        drafts.fix_labels(roles, suggested)?;
        drafts.unify_spellings(roles, expectations);
        drafts.remove_repeats(roles, expectations);
    }
    let repaired = Repaired {
        bytes: document.render(&drafts.edits)?,
        format: document.format,
        read: document.options().clone(),
    };
    let remaining = repaired.validate(&document.name, expectations, options)?;
    let fixes = drafts.into_fixes();
    Ok(Proposal {
        file: document.name.clone(),
        records_in: document.len() as u64,
        records_out: remaining.records_in,
        to_apply: fixes.iter().filter(|fix| fix.is_applied).count() as u64,
        fixes,
        form: document.sheet_form(),
        remaining,
    })
}
