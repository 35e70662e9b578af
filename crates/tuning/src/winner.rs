//! The winner as a model configuration that can be trained from.

use botops_evaluation::SearchReport;
use botops_findings::{Fault, Result};
use botops_models::ModelSpec;
use botops_spec as spec;
use serde_json::Value;

/// Returns the winner's configuration in YAML: as `train --config` and the `model:` of a train stage take it, whole, so
/// that no default of a later version changes it, under a comment that says where it came from.
///
/// `pipeline` and `stage` are what was tuned.
///
/// # Errors
/// `BOT-8048` when it could not be read back as it is: a bug (exit 1).
pub(crate) fn winner_yaml(report: &SearchReport, pipeline: &str, stage: &str) -> Result<String> {
    let mut value = serde_json::to_value(&report.spec).expect("a spec is valid JSON");
    prune(&mut value);
    let yaml = spec::render(&value)?;
    let read: ModelSpec = spec::parse(&yaml, "the winner")?;
    if read != report.spec {
        return Err(Fault::internal("BOT-8048", "the winner could not be read back as it is"));
    }
    Ok(comment(report, pipeline, stage) + &yaml)
}

/// Takes out what says only that nothing is said.
fn prune(value: &mut Value) {
    if let Value::Object(map) = value {
        map.retain(|_, value| !value.is_null());
        map.values_mut().for_each(prune);
    }
}

fn comment(report: &SearchReport, pipeline: &str, stage: &str) -> String {
    let setting = &report.setting;
    // A line of a comment ends where the line does: names of files may hold anything.
    let plain = |text: &str| botops_text::display(text, 200);
    let metric = setting.metric.name();
    let [lower, upper] = report.score.ci95;
    let honest = report.unchosen.map_or(String::new(), |score| {
        format!("; {score:.4} once the choice of the best is taken off")
    });
    let mut lines = vec![
        format!(
            "The winner of `botops tune {}`: {} of {} trials, stage `{}`.",
            plain(pipeline),
            match report.winner {
                0 => "the base, unchanged, as the best".to_owned(),
                number => format!("trial {number}"),
            },
            report.trials.len(),
            plain(stage)
        ),
        format!(
            "Cross-validated on {} records of {} ({} folds, seed {}):",
            setting.n_samples,
            plain(&setting.data),
            setting.n_folds,
            setting.seed
        ),
        format!(
            "{metric} {:.4} [{lower:.4}, {upper:.4}], optimistic as the best of many{honest}.",
            report.score.value
        ),
        format!("search {}", setting.search),
        format!("data   {}", setting.data_digest),
        format!("botops {}", env!("CARGO_PKG_VERSION")),
        "Train with it: botops train train.csv --config THIS_FILE".to_owned(),
        format!("or paste it, indented, under `model:` of stage `{}`.", plain(stage)),
    ];
    for line in &mut lines {
        *line = format!("# {line}\n");
    }
    lines.concat()
}
