//! A reproduction as text.

use super::answer::{Answer, Predictions};
use crate::cli::terminal::tables;
use botops_datasets::Dataset;
use botops_digest::Digest;

/// Renders the steps, and the differences in predictions, metrics and conditions.
pub(super) fn text(answer: &Answer, data: &Dataset, n_samples: u64) -> String {
    let mut out = format!(
        "run {}, trained again on {} records of {} ({})\n\n",
        answer.run,
        tables::count(n_samples),
        data.name,
        data.digest.short()
    );
    let short = |digest: Option<Digest>| digest.map_or("-".to_owned(), |digest| digest.short());
    let rows = answer.steps.iter().map(|step| {
        let verdict = if step.is_same() { "same" } else { "differs" };
        vec![step.name.clone(), short(step.recorded), short(step.again), verdict.to_owned()]
    });
    out.push_str(&tables::table(&["step", "recorded", "again", ""], rows, &[]));
    out.push('\n');
    if answer.identical {
        out.push_str("the model is identical\n");
        if let Some(path) = &answer.model {
            out.push_str(&format!("wrote {path}\n"));
        }
        return out;
    }
    let at =
        answer.steps.iter().find(|step| !step.is_same()).map_or("the file", |step| step.words());
    out.push_str(&format!("the model differs: {at} is the first to differ\n"));
    match &answer.predictions {
        Some(Predictions { on, n, same_intent, max_confidence_difference }) => {
            out.push_str(&format!(
                "predictions: the same intent for {} of {} {on} records, confidence off by at most {:.2e}\n",
                tables::count(*same_intent),
                tables::count(*n),
                max_confidence_difference
            ));
        }
        None => out.push_str("predictions: the recorded model is missing from the store\n"),
    }
    match answer.metrics.as_deref() {
        Some([]) => out.push_str("metrics: the same\n"),
        Some(metrics) => {
            let cell = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.6}"));
            let rows = metrics
                .iter()
                .map(|metric| vec![metric.name.clone(), cell(metric.recorded), cell(metric.again)]);
            out.push_str(&format!(
                "\n{}",
                tables::table(&["metric", "recorded", "again"], rows, &[1, 2])
            ));
        }
        None => out.push_str("metrics: not measured, because the run stored no test data\n"),
    }
    if !answer.circumstances.is_empty() {
        let rows = answer
            .circumstances
            .iter()
            .map(|found| vec![found.name.to_owned(), found.recorded.clone(), found.now.clone()]);
        out.push_str(&format!("\n{}", tables::table(&["condition", "then", "now"], rows, &[])));
    }
    out
}
