//! Profiles as sides of a comparison: a `.profile.json`, or the training data of a model, as its file tells it.

use super::{
    answer::Answer,
    arguments::Args,
    side::{Content, Learned, Side},
};
use crate::cli::{
    Exit, Outcome,
    arguments::model_arg::{self, Found},
    session::context::Context,
    terminal::tables,
};
use botops_datasets::{self as datasets, Presence, ReadOptions};
use botops_digest::Digest;
use botops_drift::{self as drift, DriftSpec, DriftVerdict};
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_monitoring::{DataRecord, ReferenceProfile};
use botops_report as report;
use botops_spec::Checked;
use std::path::Path;

/// The ending of the name of a profile.
const ENDING: &str = ".profile.json";
/// The most new words of a report.
const NEW_WORDS: usize = 50;

/// Returns whether a side is a profile: a file that ends in `.profile.json`, or the one that only the model has.
pub(super) fn are_named(args: &Args) -> bool {
    is_profile(&args.reference) || args.current.as_deref().is_none_or(is_profile)
}

fn is_profile(path: &Path) -> bool {
    path.to_string_lossy().ends_with(ENDING)
}

/// A profile with its name in the report.
struct Profiled {
    name: String,
    profile: ReferenceProfile,
    /// A warning that the model knows the texts.
    warning: Option<Finding>,
}

/// Compares two sides of which one is a profile.
///
/// # Errors
/// `BOT-2268` (exit 2) one file and no model; `BOT-2266` (exit 2) the model has no profile; `BOT-2260` to `BOT-2263` for a
/// profile that is damaged, newer, or of another model; those of reading data and models.
pub(super) fn run(args: &Args, context: &Context, spec: &Checked<DriftSpec>) -> Result<Outcome> {
    let (before, now) = match &args.current {
        Some(current) => (Some(args.reference.as_path()), current.as_path()),
        None => (None, args.reference.as_path()),
    };
    let model = args.model.as_deref().map(Path::new);
    args.files.check(&[before, Some(now), model])?;
    if args.files.out.is_some() {
        return Err(Fault::usage(
            "BOT-2275",
            "a profile holds no texts to compare, so no utterance is known to be new",
        )
        .hint("leave out `--out`, or compare two files with texts"));
    }
    let found = match &args.model {
        Some(name) => Some(model_arg::load(context, name)?),
        None => None,
    };
    let text = if found.is_some() { Presence::Required } else { Presence::Optional };
    let options = ReadOptions { text, ..args.data.options(Presence::Optional) };
    let read = |path: &Path| profiled(context, path, &options, found.as_ref());
    let reference = match (before, &found) {
        (Some(before), _) => read(before)?,
        (None, Some(found)) => of_model(found)?,
        (None, None) => {
            let message = format!("there is nothing to compare `{}` with", now.display());
            return Err(Fault::usage("BOT-2268", message)
                .hint("name two files: `botops drift REFERENCE CURRENT`")
                .hint("or a model, whose training data is the reference: add `--model MODEL`"));
        }
    };
    let current = read(now)?;
    let findings: Vec<Finding> =
        [&reference, &current].into_iter().filter_map(|side| side.warning.clone()).collect();
    let report = compare([&reference, &current], found.as_ref(), spec)?;
    let html = args.files.page().write(|| report::drift_html(&report))?;
    let answer = Answer {
        n_reference: reference.profile.columns.n_rows(),
        n_current: current.profile.columns.n_rows(),
        model: found.as_ref().map(|found| found.name.as_str()),
        trained_on_reference: false,
        trained_on_current: false,
        html,
        report: &report,
        intents: None,
        actions: None,
        labels: None,
    };
    let text = match context.printer.is_markdown() {
        true => report::drift_markdown(&report),
        false if findings.is_empty() => answer.text(),
        false => format!("{}\n{}", answer.text(), tables::findings(&findings, 3)),
    };
    let exit = match report.verdict {
        DriftVerdict::NoDrift => Exit::Done,
        DriftVerdict::Drift => Exit::Gate,
        DriftVerdict::Insufficient => Exit::Insufficient,
    };
    Ok(Outcome::done(&answer, text).findings(findings).exit(exit))
}

/// Compares two profiles of one model, and lists the words that only the current one has.
fn compare(
    [reference, current]: [&Profiled; 2],
    found: Option<&Found>,
    spec: &Checked<DriftSpec>,
) -> Result<drift::DriftReport> {
    for side in [reference, current] {
        if let Some(Found { model, digest, .. }) = found {
            side.profile.check_model(model, *digest).map_err(|fault| fault.file(&side.name))?;
        }
    }
    reference.profile.check_comparable(&current.profile)?;
    let sides = [reference, current].map(|side| (side.name.as_str(), &side.profile.columns));
    let mut report = drift::compare_profiles(sides[0], sides[1], spec)?;
    // A word that a few training records have is no news, although the profile leaves it out.
    let is_known = |word: &str| found.is_some_and(|f| f.model.unseen_word_rate(word) == 0.0);
    let words = [reference, current].map(|side| &side.profile.words);
    report.new_words = words[1].new_words(words[0], is_known, NEW_WORDS);
    Ok(report)
}

/// Returns the profile of the training data of a model.
fn of_model(found: &Found) -> Result<Profiled> {
    let profile = ReferenceProfile::of_model(&found.model, found.digest)
        .map_err(|fault| fault.file(&found.name))?;
    let Some(profile) = profile else {
        let message = format!("`{}` has no profile of its training data", found.name);
        return Err(Fault::usage("BOT-2266", message)
            .hint("train it again with this version of botops")
            .hint("or name its training data as the reference: `botops drift TRAIN CURRENT --model MODEL`"));
    };
    let name = format!("the training data of {}", found.name);
    Ok(Profiled { name, profile, warning: None })
}

/// Reads a profile, or data and makes its profile.
fn profiled(
    context: &Context,
    path: &Path,
    options: &ReadOptions,
    found: Option<&Found>,
) -> Result<Profiled> {
    if is_profile(path) {
        let bytes = datasets::bytes(path)?;
        let mut profile = ReferenceProfile::from_bytes(&bytes).map_err(|fault| fault.file(path))?;
        profile.finish();
        return Ok(Profiled { name: path.display().to_string(), profile, warning: None });
    }
    let data = Data::read(context, path, options)?;
    let model = found.map(|found| (&found.model, found.digest));
    let mut profile = data.profile(model, None)?;
    profile.finish();
    let Data(side) = data;
    // A profile of the model's own training data would show it more certain than it is.
    let learned = found.and_then(|found| side.learned(&found.model));
    let warning = match learned {
        Some(Learned::Texts(seen)) => Some(side.warning(seen)),
        Some(Learned::File) => Some(known(&side.name)),
        None => None,
    };
    Ok(Profiled { name: side.name, profile, warning })
}

/// Returns the warning that a side is the training data of the model.
fn known(name: &str) -> Finding {
    let message = format!(
        "`{name}` is the training data of the model, which knows it by heart and is more confident on it"
    );
    let help = "compare other data with the profile of the training data: `botops drift CURRENT --model MODEL`";
    let place = Place { file: Some(name.to_owned()), ..Place::default() };
    Finding::new("BOT-3056", Severity::Warning, message, help).at(place)
}

/// A part of the records: those whose number leaves the remainder `index` modulo `n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    /// The number of the part, from 0.
    pub(crate) index: u32,
    /// The number of parts.
    pub(crate) n: u32,
}

impl Shard {
    fn has(self, record: usize) -> bool {
        record as u64 % u64::from(self.n) == u64::from(self.index)
    }
}

/// Data of which a profile can be made.
pub(crate) struct Data(Side);

impl Data {
    /// Reads data or recorded traffic.
    ///
    /// # Errors
    /// Those of reading data.
    pub(crate) fn read(context: &Context, path: &Path, options: &ReadOptions) -> Result<Self> {
        Side::read(context, path, options).map(Self)
    }

    /// Returns the digest of the file.
    pub(crate) fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Makes the profile of all records, or of those of `shard`; the first shard has the columns. It is not finished.
    ///
    /// # Errors
    /// Those of [`ReferenceProfile::of_data`].
    pub(crate) fn profile(
        &self,
        model: Option<(&botops_models::IntentModel, Digest)>,
        shard: Option<Shard>,
    ) -> Result<ReferenceProfile> {
        let conversations = match &self.0.content {
            Content::Traffic(records) => {
                records.iter().map(|record| Some(record.conversation_id.as_str())).collect()
            }
            Content::Records(data) => vec![None; data.records.len()],
        };
        let texts = self.0.texts();
        let records: Vec<DataRecord<'_>> = texts
            .iter()
            .zip(conversations)
            .enumerate()
            .filter(|(record, _)| shard.is_none_or(|shard| shard.has(*record)))
            .map(|(_, ((text, lang), conversation))| DataRecord { text, lang: *lang, conversation })
            .collect();
        let mut profile = ReferenceProfile::of_data(&records, model)?;
        if shard.is_none_or(|shard| shard.index == 0) {
            profile.columns.add_columns(self.0.columns.get());
        }
        Ok(profile)
    }
}
