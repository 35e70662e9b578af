//! The answer of `botops drift`.

use super::{actions, text};
use crate::cli::terminal::tables;
use botops_drift::DriftReport;
use botops_monitoring::{label_shift::Priors, text_drift::Actions};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Answer<'a> {
    #[serde(flatten)]
    pub(super) report: &'a DriftReport,
    pub(super) n_reference: u64,
    pub(super) n_current: u64,
    pub(super) model: Option<&'a str>,
    /// Whether the model was trained on the reference; then each text was judged by a model trained without it.
    pub(super) trained_on_reference: bool,
    /// Whether the model was trained on the current data; then each text was judged by a model trained without it.
    pub(super) trained_on_current: bool,
    pub(super) html: Option<String>,
    /// The estimated shares of the intents, if they could be corrected for the mistakes of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) intents: Option<Shares>,
    /// The actions, if the report drifts or a file of utterances was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) actions: Option<Actions>,
    /// The file of utterances to label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) labels: Option<actions::Labels>,
}

/// The shares of the intents.
#[derive(Serialize)]
pub(super) struct Shares {
    pub(super) names: Vec<String>,
    #[serde(flatten)]
    pub(super) shares: Priors,
}

impl Answer<'_> {
    /// Renders the answer.
    pub(super) fn text(&self) -> String {
        let model = self.model.map_or(String::new(), |name| format!(", as {name} sees them"));
        let mut text = format!(
            "{} ({} rows) -> {} ({} rows){model}\n\n{}",
            self.report.reference,
            tables::count(self.n_reference),
            self.report.current,
            tables::count(self.n_current),
            text::report(self.report)
        );
        if self.report.n_shared > 0 {
            text.push_str(&format!(
                "{} of {} rows of the current data have a text that stands in the reference, too\n",
                tables::count(self.report.n_shared),
                tables::count(self.n_current)
            ));
        }
        let learned = match (self.trained_on_reference, self.trained_on_current) {
            (true, true) => Some("both sides"),
            (true, false) => Some("the reference"),
            (false, true) => Some("the current data"),
            (false, false) => None,
        };
        if let Some(learned) = learned {
            text.push_str(&format!(
                "the model was trained on {learned}: each text was judged by a model of the same spec, trained \
                 without it\n"
            ));
        }
        text.push_str(
            &self
                .actions
                .as_ref()
                .map_or_else(String::new, |it| actions::text(it, self.labels.as_ref())),
        );
        if let Some(labels) = &self.labels {
            let n = tables::counted(labels.n_utterances, "utterance", "utterances");
            text.push_str(&match labels.is_written {
                true => format!("wrote {}: {n}; fill in the column `intent`\n", labels.file),
                false => format!("{n} to label, not written (dry run)\n"),
            });
        }
        if let Some(file) = &self.html {
            text.push_str(&format!("wrote {file}\n"));
        }
        text
    }
}
