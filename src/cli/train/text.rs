//! A training as text.

use super::{arguments::Args, prepared::Prepared, seeds, trained::Trained};
use crate::cli::{session::recording, terminal::tables};
use botops_experiments::Recorded;
use botops_findings::Finding;
use botops_models::{
    IntentModel,
    confidence::{FallbackRule, OosScore},
};
use botops_text::{percent, utterance};

/// Renders a training; `notes` are the findings on the configuration, the encoder and the data.
pub(super) fn training(
    args: &Args,
    prepared: &Prepared,
    trained: &Trained,
    notes: &[Finding],
    run: Option<&Recorded>,
) -> String {
    let spec = &prepared.configuration.spec;
    let file = match args.dry_run {
        true => "not written (dry run)".to_owned(),
        false => args.out.shown(),
    };
    let mut text = format!(
        "{file}: {} on {} features, {} intents from {} records, temperature {:.3}, {} kB, {}\n",
        spec.head.kind.name(),
        spec.features.kind.name(),
        trained.model.labels().len(),
        tables::count(prepared.training.usable.samples().len() as u64),
        trained.model.temperature(),
        tables::count(trained.bytes.len().div_ceil(1_000) as u64),
        trained.digest.short()
    );
    text.push_str(&out_of_scope(&spec.oos_labels, prepared.training.usable.n_oos(spec)));
    text.push_str(&confidence(&trained.model));
    text.push_str(&entities(&trained.model));
    text.push_str(&prepared.training.usable.left_out_text());
    text.push_str(&tables::findings(notes, 3));
    if let (Some(report), Some((_, test))) = (&trained.evaluation, &prepared.test) {
        text.push_str(&format!("on {}: {} utterances\n", test.name, tables::count(report.n)));
        text.push_str(&tables::metrics(&report.metrics));
    }
    if let Some(spread) = &trained.seeds {
        text.push_str(&seeds::text(spread, "the model of the first seed is kept"));
    }
    if let Some(run) = run {
        text.push_str(&recording::text(run));
    }
    text
}

/// Tells how many records count as out of scope, if any do or the configuration declares `labels` for them.
fn out_of_scope(labels: &[String], n: u64) -> String {
    if n == 0 && labels.is_empty() {
        return String::new();
    }
    let labels: Vec<String> =
        labels.iter().map(|label| format!("`{}`", utterance(label, 40))).collect();
    let others = match labels.is_empty() {
        true => String::new(),
        false => format!(", or {}", labels.join(", ")),
    };
    format!(
        "out of scope: {} with the label `oos`{others}\n",
        tables::counted(n, "record", "records")
    )
}

/// Names the kinds of entities that the tagger learned, with their numbers of spans.
fn entities(model: &IntentModel) -> String {
    let Some(tagger) = model.tagger() else { return String::new() };
    let kinds: Vec<String> = tagger
        .kinds()
        .iter()
        .map(|kind| {
            let spans = tables::counted(kind.n_spans, "span", "spans");
            format!("`{}` ({spans})", utterance(&kind.entity, 40))
        })
        .collect();
    format!("entities learned: {}\n", kinds.join(", "))
}

/// Describes when the model answers and when it declines, where training chose the score or the threshold.
fn confidence(model: &IntentModel) -> String {
    let FallbackRule { score, threshold, guarantee, oos_declined } = model.fallback();
    let compared = model.confidence().comparison();
    let mut out = String::new();
    if !compared.is_empty() {
        out.push_str("scores out of fold, in scope against out of scope:\n");
        out.push_str(&tables::scores(compared, score));
    }
    if let Some(guarantee) = guarantee {
        out.push_str(&format!(
            "answers where {} >= {threshold:.3}: of {} records kept aside {} ({}) are answered, {} of them wrongly; \
             with {} confidence {:.3} or more are right{} (target {})\n",
            score.name(),
            tables::count(guarantee.n_samples),
            tables::count(guarantee.n_answered),
            percent(guarantee.n_answered as f64 / guarantee.n_samples as f64, 1),
            tables::count(guarantee.n_wrong),
            percent(guarantee.level, 0),
            guarantee.accuracy_bound,
            guarantee.oos_share.map_or_else(String::new, |share| {
                format!(" if {} of the messages are out of scope", percent(share, 1))
            }),
            guarantee.target_accuracy
        ));
    } else if let Some(declined) = oos_declined {
        let share = |part: u64, n: u64| percent(part as f64 / n.max(1) as f64, 1);
        out.push_str(&format!(
            "answers where {} >= {threshold:.3}: {} of {} out-of-scope records are declined ({}, 95 % interval {} to {}; \
             at least {} were asked for), and {} of {} in-scope records ({})\n",
            score.name(),
            tables::count(declined.n_declined),
            tables::count(declined.n_oos),
            share(declined.n_declined, declined.n_oos),
            percent(declined.ci95[0], 1),
            percent(declined.ci95[1], 1),
            percent(declined.min, 1),
            tables::count(declined.n_in_scope_declined),
            tables::count(declined.n_in_scope),
            share(declined.n_in_scope_declined, declined.n_in_scope)
        ));
    } else if score != OosScore::MaxProbability {
        out.push_str(&format!("answers where {} >= {threshold:.3}\n", score.name()));
    }
    if let Some(sets) = model.confidence().sets() {
        out.push_str(&format!(
            "sets of intents ({}) hold the truth of {} of in-scope utterances{}; fitted on {}\n",
            sets.method.name(),
            percent(1.0 - sets.alpha, 1),
            if sets.is_class_conditional() { ", of each intent" } else { "" },
            tables::count(sets.n_samples)
        ));
    }
    let findings = model.findings();
    if !findings.is_empty() {
        out.push_str(&tables::findings(&findings, 1));
    }
    out
}
