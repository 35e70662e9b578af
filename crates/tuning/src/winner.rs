//! The winner as a model configuration in YAML.

use botops_evaluation::SearchReport;
use botops_findings::{Fault, Result};
use botops_models::ModelSpec;
use botops_pipelines::Folder;
use botops_spec as spec;
use botops_text::shell_line;
use serde_json::Value;
use std::path::Path;

/// The search that `tune` ran.
pub(crate) struct Tuned<'a> {
    /// The file of the pipeline.
    pub(crate) file: &'a str,
    /// The name of the pipeline.
    pub(crate) pipeline: &'a str,
    /// The train stage.
    pub(crate) stage: &'a str,
    /// The split stage, whose train side was used.
    pub(crate) source: &'a str,
}

/// Returns the winner's configuration in YAML, for `train --config` and for the `model:` of a train stage.
///
/// Every key is written, so a default of a later version cannot change it. A comment names the search that found it.
///
/// # Errors
/// `BOT-8048` (exit 1) if it does not read back equal: a bug.
pub(crate) fn winner_yaml(report: &SearchReport, tuned: &Tuned<'_>) -> Result<String> {
    let mut value = serde_json::to_value(&report.spec).expect("a spec is valid JSON");
    prune(&mut value);
    let yaml = spec::render(&value)?;
    let read: ModelSpec = spec::parse(&yaml, "the winner")?;
    if read != report.spec {
        return Err(Fault::internal(
            "BOT-8048",
            "the winner does not read back as the same configuration",
        ));
    }
    Ok(comment(report, tuned) + &yaml)
}

/// Removes null values.
fn prune(value: &mut Value) {
    if let Value::Object(map) = value {
        map.retain(|_, value| !value.is_null());
        map.values_mut().for_each(prune);
    }
}

fn comment(report: &SearchReport, tuned: &Tuned<'_>) -> String {
    let setting = &report.setting;
    // A line break in a file name would end the comment.
    let plain = |text: &str| botops_text::display(text, 200);
    let metric = setting.metric.name();
    let [lower, upper] = report.score.ci95;
    let corrected = report.unchosen.map_or(String::new(), |score| {
        format!("; {score:.4} corrected for the choice of the best")
    });
    // Relative to the workspace, so that every machine writes the same bytes.
    let data = Folder::new(Path::new(""), tuned.pipeline).file(tuned.source, "train.csv");
    let train = ["botops", "train", &data.display().to_string(), "--config"];
    let mut lines = vec![
        format!(
            "The winner of `botops tune {}`: {} of {} trials, stage `{}`.",
            plain(tuned.file),
            match report.winner {
                0 => "the base, unchanged, as the best".to_owned(),
                number => format!("trial {number}"),
            },
            report.trials.len(),
            plain(tuned.stage)
        ),
        format!(
            "Cross-validated on {} records of {} ({} folds, seed {}):",
            setting.n_samples,
            plain(&setting.data),
            setting.n_folds,
            setting.seed
        ),
        format!(
            "{metric} {:.4} [{lower:.4}, {upper:.4}], optimistic as the best of many{corrected}.",
            report.score.value
        ),
        format!("search {}", setting.search),
        format!("data   {}", setting.data_digest),
        format!("botops {}", env!("CARGO_PKG_VERSION")),
        format!("Train with it: {} THIS_FILE", plain(&shell_line(train))),
        format!("or paste it, indented, under `model:` of stage `{}`.", plain(tuned.stage)),
    ];
    for line in &mut lines {
        *line = format!("# {line}\n");
    }
    lines.concat()
}
