//! Parts of a run as text, and the fault of a run without a model.

use crate::cli::terminal::tables;
use botops_experiments::RunRecord;
use botops_findings::Fault;
use std::collections::BTreeMap;

/// Returns the fault of a run without a model.
pub(super) fn no_model(run: &RunRecord) -> Fault {
    let message = format!("run `{}` made no model (it is a `{}` run)", run.id, run.kind);
    Fault::usage("BOT-5034", message)
        .hint("name a run that trained a model: `botops runs list` shows the kinds")
}

/// Returns params as text: strings without quotes, other values in JSON.
pub(in crate::cli) fn params(
    params: &BTreeMap<String, serde_json::Value>,
) -> Vec<(String, String)> {
    params
        .iter()
        .map(|(name, value)| {
            (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        })
        .collect()
}

/// Renders a table of two columns after an empty line; without rows, the text is empty.
pub(in crate::cli) fn pairs(header: [&str; 2], rows: Vec<(String, String)>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\n{}",
        tables::table(&header, rows.into_iter().map(|(name, value)| vec![name, value]), &[])
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn strings_have_no_quotes() {
        let values = BTreeMap::from([
            ("model.head.c".to_owned(), json!(1.0)),
            ("model.head.kind".to_owned(), json!("linear_svm")),
            ("model.head.max_depth".to_owned(), json!(null)),
        ]);
        let texts: Vec<String> = params(&values).into_iter().map(|(_, value)| value).collect();
        assert_eq!(texts, ["1.0", "linear_svm", "null"]);
    }
}
