//! `botops drift`.

mod actions;
mod answer;
mod arguments;
pub(super) mod profiles;
mod side;
pub(super) mod text;

pub(crate) use arguments::Args;

use super::{Exit, Outcome};
use crate::cli::{
    arguments::model_arg::{self, Found},
    session::context::Context,
    terminal::tables,
};
use answer::{Answer, Shares};
use botops_datasets::{Presence, ReadOptions};
use botops_drift::{self as drift, DriftReport, DriftSpec, DriftVerdict, Role, Row};
use botops_findings::{Finding, Result};
use botops_models::IntentModel;
use botops_monitoring::{
    model_drift::{with_embeddings, with_label_shift, with_texts},
    text_drift::Actions,
};
use botops_pipelines::FoldModels;
use botops_registry::CHAMPION;
use botops_report as report;
use botops_spec::Spec as _;
use side::{Learned, Scorer, Side};
use std::path::Path;

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let spec = DriftSpec {
        alpha: args.alpha,
        min_psi: args.min_psi,
        min_ks: args.min_ks,
        min_rows: args.min_rows,
        min_auc: args.min_auc,
        columns: (!args.columns.is_empty())
            .then(|| args.columns.iter().map(|name| name.trim().to_owned()).collect()),
    };
    let spec = spec.check()?;
    let Some(now) = args.current.as_deref().filter(|_| !profiles::are_named(args)) else {
        return profiles::run(args, context, &spec);
    };
    let model = args.model.as_deref().map(Path::new);
    let inputs = [Some(args.reference.as_path()), Some(now), model];
    args.files.check(&inputs)?;
    // A model needs texts. Without one, tables of other columns can be compared, too.
    let text = if model.is_some() { Presence::Required } else { Presence::Optional };
    let options = ReadOptions { text, ..args.data.options(Presence::Optional) };
    let reference = Side::read(context, &args.reference, &options)?;
    let current = Side::read(context, now, &options)?;
    let found = match &args.model {
        Some(name) => Some(model_arg::load(context, name)?),
        None => None,
    };
    let model = found.as_ref().map(|found| &found.model);
    let sides = [&reference, &current];
    let learned = sides.map(|side| model.and_then(|model| side.learned(model)));
    let (scorer, findings) = match model {
        Some(model) => scorer(model, sides, learned)?,
        None => (Scorer::Nobody, Vec::new()),
    };
    let is_retrained = matches!(scorer, Scorer::Folds(_));
    let [trained_on_reference, trained_on_current] =
        learned.map(|learned| is_retrained && learned.is_some_and(Learned::is_mostly));
    let (reference_rows, current_rows) = (reference.rows(&scorer), current.rows(&scorer));
    let report = drift::compare(
        &reference.of_rows(&reference_rows),
        &current.of_rows(&current_rows),
        &spec,
    )?;
    let texts = sides.map(Side::only_texts);
    let (report, compared) = with_texts(report, &columns_of_texts(sides), &texts[0], &texts[1]);
    let report = match (&compared, model.and_then(IntentModel::encoder)) {
        (Some(compared), Some(encoder)) => with_embeddings(report, compared, encoder),
        _ => report,
    };
    // A model that was trained on the reference makes fewer mistakes there than elsewhere.
    let is_held_out = learned[0].is_none() || is_retrained;
    let rows = [&reference_rows, &current_rows].map(Vec::as_slice);
    let (report, intents) = match model.filter(|_| is_held_out) {
        Some(model) => with_shares(report, model, &reference, rows),
        None => (report, None),
    };
    let actions = match (&compared, report.verdict) {
        (Some(compared), DriftVerdict::Drift) => Some(compared.actions(&known_intents(sides))),
        (Some(compared), _) if args.files.out.is_some() => {
            Some(compared.actions(&known_intents(sides)))
        }
        _ => None,
    };
    let none = Actions::default();
    let labels =
        args.files.write(actions.as_ref().unwrap_or(&none), |new| current.is_unlabelled(new.at))?;
    let html = args.files.page().write(|| report::drift_html(&report))?;
    let answer = Answer {
        n_reference: reference.n_rows,
        n_current: current.n_rows,
        model: found.as_ref().map(|found| found.name.as_str()),
        trained_on_reference,
        trained_on_current,
        html,
        intents,
        actions,
        labels,
        report: &report,
    };
    let text = match context.printer.is_markdown() {
        true => report::drift_markdown(&report),
        false if findings.is_empty() => answer.text(),
        false => format!("{}\n{}", answer.text(), tables::findings(&findings, 3)),
    };
    let outcome = Outcome::done(&answer, text).findings(findings).exit(match report.verdict {
        DriftVerdict::NoDrift => Exit::Done,
        DriftVerdict::Drift => Exit::Gate,
        DriftVerdict::Insufficient => Exit::Insufficient,
    });
    let next = match report.verdict {
        DriftVerdict::Insufficient => None,
        _ => next((args, now), context, found.as_ref())?,
    };
    let merge =
        answer.labels.as_ref().filter(|labels| labels.is_written && labels.n_utterances > 0);
    let merge = merge.filter(|_| reference.data().is_some()).map(|labels| {
        let base = args.reference.display().to_string();
        let words = ["botops", "data", "merge", &base, &labels.file, "--new-intents"];
        args.data.line(words.into_iter().chain(["--out", "merged.csv"]))
    });
    Ok(merge.into_iter().chain(next).fold(outcome, Outcome::next))
}

/// Adds the check of the shares of the intents, if the reference has intents.
fn with_shares(
    report: DriftReport,
    model: &IntentModel,
    reference: &Side,
    [before, now]: [&[Row<'_>]; 2],
) -> (DriftReport, Option<Shares>) {
    let Some(data) = reference.data() else { return (report, None) };
    let spec = &model.lineage().spec;
    let pairs =
        data.records.iter().zip(before).filter_map(|(record, row)| {
            Some((spec.intent_of(record.intent.as_deref()?), row.intent?))
        });
    let (report, shares) = with_label_shift(report, pairs, now.iter().filter_map(|row| row.intent));
    (report, shares.map(|(names, shares)| Shares { names, shares }))
}

/// Returns the names of the columns of the texts.
fn columns_of_texts(sides: [&Side; 2]) -> Vec<&str> {
    let columns = sides.into_iter().flat_map(|side| side.columns.get());
    columns.filter(|column| column.role() == Role::Text).map(drift::Column::name).collect()
}

/// Returns the intents of both sides, which no candidate is called by.
fn known_intents(sides: [&Side; 2]) -> Vec<&str> {
    let records = sides.into_iter().filter_map(Side::data).flat_map(|data| &data.records);
    let mut names: Vec<&str> = records.filter_map(|record| record.intent.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Suggests to add the workspace's champion or a report page, whichever was not requested yet.
fn next(
    (args, now): (&Args, &Path),
    context: &Context,
    found: Option<&Found>,
) -> Result<Option<String>> {
    let (before, now) = (args.reference.display().to_string(), now.display().to_string());
    let model = context.workspace()?.model.value.as_ref();
    let champion = model.map(|model| format!("{model}@{CHAMPION}"));
    let mut words: Vec<String> = ["botops", "drift"].map(str::to_owned).into();
    words.extend([before, now]);
    words.extend(settings(args));
    let added: &[&str] = match (found, &champion) {
        (Some(found), _) if args.files.html.is_none() => {
            &["--model", &found.name, "--html", "drift.html"]
        }
        (None, Some(champion)) => &["--model", champion],
        (None, None) if args.files.html.is_none() => &["--html", "drift.html"],
        _ => return Ok(None),
    };
    let words = words.iter().map(String::as_str).chain(added.iter().copied());
    Ok(Some(args.data.line(words)))
}

/// Returns the flags that choose and judge the checks, as they were given.
fn settings(args: &Args) -> Vec<String> {
    let default = DriftSpec::default();
    let numbers = [
        ("--alpha", args.alpha, default.alpha),
        ("--min-auc", args.min_auc, default.min_auc),
        ("--min-psi", args.min_psi, default.min_psi),
        ("--min-ks", args.min_ks, default.min_ks),
    ];
    let mut words = Vec::new();
    if !args.columns.is_empty() {
        words.push(format!("--columns={}", args.columns.join(",")));
    }
    for (flag, value, _) in numbers.into_iter().filter(|(_, value, default)| value != default) {
        words.extend([flag.to_owned(), value.to_string()]);
    }
    if args.min_rows != default.min_rows {
        words.extend(["--min-rows".to_owned(), args.min_rows.to_string()]);
    }
    words
}

/// Chooses the scorer: if a side is training data, models that are trained on it without the text that they score.
///
/// Returns a warning for each side with training data that the model itself has to score.
///
/// # Errors
/// Those of [`FoldModels::train`] on the training data itself.
fn scorer<'a>(
    model: &'a IntentModel,
    sides: [&'a Side; 2],
    learned: [Option<Learned>; 2],
) -> Result<(Scorer<'a>, Vec<Finding>)> {
    let of_kind = |is_file: bool| {
        let mut known = sides.into_iter().zip(learned);
        known.find_map(|(side, learned)| {
            let learned = learned.filter(|learned| learned.is_mostly())?;
            side.data().filter(|_| matches!(learned, Learned::File) == is_file)
        })
    };
    if let Some(data) = of_kind(true) {
        return Ok((Scorer::Folds(FoldModels::train(data, model)?), Vec::new()));
    }
    // Texts of the training data may come without intents, or with too few to train on.
    if let Some(Ok(models)) = of_kind(false).map(|data| FoldModels::train(data, model)) {
        return Ok((Scorer::Folds(models), Vec::new()));
    }
    let warned = sides.into_iter().zip(learned).filter_map(|(side, learned)| match learned {
        Some(Learned::Texts(seen)) => Some(side.warning(seen)),
        _ => None,
    });
    Ok((Scorer::Model(model), warned.collect()))
}
