//! The end of a drift report: the terms that moved, candidates for new intents, and a file of new utterances to label.

use crate::cli::{
    arguments::{out_path::OutPath, output_args::PageArgs},
    session::outputs,
    terminal::tables,
};
use botops_curation::utterance_id;
use botops_datasets::spreadsheet_csv;
use botops_files::{Output, OutputKind};
use botops_findings::Result;
use botops_monitoring::text_drift::{Actions, NewUtterance};
use botops_text::{display, percent};
use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
};

/// The most terms listed.
const MOST_TERMS: usize = 12;
/// The most candidates and utterances listed.
const MOST_LISTED: usize = 5;
/// The columns of the file to label: those of `botops data suggest`.
const HEADER: [&str; 8] =
    ["id", "text", "suggested_intent", "confidence", "intent", "count", "worth", "reason"];

/// The flags of the files that the verb writes.
#[derive(Debug, clap::Args)]
pub(super) struct FileArgs {
    /// Write a report page to this file
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<OutPath>,
    /// Write the utterances that are surest to be new to this CSV file, with an empty column `intent` to fill in
    #[arg(long, short, value_name = "FILE")]
    pub(super) out: Option<OutPath>,
    /// Write at most N utterances to the file of --out
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Replace existing files that botops did not write, and the labels in them
    #[arg(long)]
    force: bool,
    /// Write nothing
    #[arg(long)]
    dry_run: bool,
}

impl FileArgs {
    /// Returns the flags of the page.
    pub(super) fn page(&self) -> PageArgs {
        PageArgs { html: self.html.clone(), force: self.force, dry_run: self.dry_run }
    }

    /// Checks that the files can be written, and that they are different and none of `inputs`.
    pub(super) fn check(&self, inputs: &[Option<&Path>]) -> Result<()> {
        outputs::distinct_outputs(&[self.html.as_deref(), self.out.as_deref()], inputs)?;
        outputs::csv_named(self.out.as_deref(), "the list of new utterances")?;
        self.out.as_deref().map_or(Ok(()), |path| self.output(path).check())?;
        self.page().check(inputs)
    }

    fn output<'a>(&self, path: &'a Path) -> Output<'a> {
        // People fill in the labels: an existing file is replaced only by the same content.
        Output::new(path, OutputKind::Other, self.force)
    }

    /// Writes the utterances for which `is_open` holds; returns the file and the number of utterances. `None` if no file
    /// was named.
    pub(super) fn write(
        &self,
        actions: &Actions,
        is_open: impl Fn(&NewUtterance) -> bool,
    ) -> Result<Option<Labels>> {
        let Some(path) = self.out.as_deref() else { return Ok(None) };
        let chosen = chosen(actions, self.limit, is_open);
        let bytes = csv(actions, &chosen);
        self.output(path).check_content(&bytes)?;
        if !self.dry_run {
            self.output(path).write(&bytes)?;
        }
        let file = self.out.as_ref().map_or_else(String::new, OutPath::shown);
        Ok(Some(Labels { file, n_utterances: chosen.len() as u64, is_written: !self.dry_run }))
    }
}

/// The file of utterances to label.
#[derive(Debug, serde::Serialize)]
pub(super) struct Labels {
    pub(super) file: String,
    pub(super) n_utterances: u64,
    /// False in a dry run.
    pub(super) is_written: bool,
}

/// Chooses at most `limit` utterances: one of each candidate in turn, and then the others.
fn chosen(
    actions: &Actions,
    limit: usize,
    is_open: impl Fn(&NewUtterance) -> bool,
) -> Vec<&NewUtterance> {
    let mut queues: BTreeMap<usize, VecDeque<&NewUtterance>> = BTreeMap::new();
    for new in actions.new.iter().filter(|new| is_open(new)) {
        queues.entry(new.candidate.unwrap_or(usize::MAX)).or_default().push_back(new);
    }
    let others = queues.remove(&usize::MAX).unwrap_or_default();
    let mut chosen = Vec::new();
    while queues.values().any(|queue| !queue.is_empty()) {
        chosen.extend(queues.values_mut().filter_map(VecDeque::pop_front));
    }
    chosen.extend(others);
    chosen.truncate(limit);
    chosen
}

/// Returns the utterances as CSV that is safe to open in a spreadsheet.
fn csv(actions: &Actions, chosen: &[&NewUtterance]) -> Vec<u8> {
    let mut rows = vec![HEADER.map(str::to_owned).to_vec()];
    rows.extend(chosen.iter().map(|new| {
        let name = new.candidate.map(|at| actions.candidates[at].name.clone());
        vec![
            utterance_id(&new.text),
            new.text.clone(),
            name.unwrap_or_default(),
            format!("{:.4}", new.probability),
            String::new(),
            new.count.to_string(),
            format!("{:.4}", new.probability * (1.0 + (new.count as f64).log2())),
            "drift".to_owned(),
        ]
    }));
    spreadsheet_csv(&rows)
}

/// Renders the actions; `labels` is the file of utterances, if one was asked for.
pub(super) fn text(actions: &Actions, labels: Option<&Labels>) -> String {
    let mut text = String::new();
    if !actions.terms.is_empty() {
        let rows = actions.terms.iter().take(MOST_TERMS).map(|moved| {
            vec![
                display(&moved.term, 40),
                percent(moved.reference, 1),
                percent(moved.current, 1),
                format!("{:+.1}", moved.z),
            ]
        });
        let header = ["term", "reference", "current", "z"];
        text.push_str(&format!(
            "\nterms that moved (share of texts)\n{}",
            tables::table(&header, rows, &[1, 2, 3])
        ));
    }
    if !actions.candidates.is_empty() {
        let rows = actions.candidates.iter().take(MOST_LISTED).map(|candidate| {
            vec![
                display(&candidate.name, 40),
                candidate.n_texts.to_string(),
                percent(candidate.share, 1),
                display(candidate.examples.first().map_or("", String::as_str), 60),
            ]
        });
        let header = ["candidate", "texts", "share", "example"];
        text.push_str(&format!(
            "\ncandidates for new intents\n{}",
            tables::table(&header, rows, &[1, 2])
        ));
    }
    if !actions.new.is_empty() {
        let n = tables::counted(actions.new.len() as u64, "utterance", "utterances");
        text.push_str(&match labels {
            None => format!("\n{n} unlike the reference; `--out new.csv` writes those to label\n"),
            Some(labels) if labels.n_utterances == 0 => {
                format!("\n{n} unlike the reference; each has an intent already\n")
            }
            Some(_) => {
                format!("\n{n} unlike the reference; `--limit` bounds those that are written\n")
            }
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_monitoring::text_drift::Candidate;

    #[test]
    fn candidates_take_turns_and_known_utterances_are_left_out() {
        let new = |text: &str, candidate: Option<usize>| NewUtterance {
            at: 0,
            text: text.to_owned(),
            probability: 0.9,
            count: 2,
            candidate,
        };
        let candidate = |name: &str| Candidate {
            name: name.to_owned(),
            n_texts: 5,
            share: 0.1,
            terms: Vec::new(),
            examples: Vec::new(),
        };
        let actions = Actions {
            terms: Vec::new(),
            candidates: vec![candidate("scooter"), candidate("gift_card")],
            new: vec![
                new("no topic", None),
                new("scooter one", Some(0)),
                new("scooter two", Some(0)),
                new("=card", Some(1)),
                new("labelled", Some(1)),
            ],
        };
        let chosen = chosen(&actions, 3, |new| new.text != "labelled");
        let texts: Vec<&str> = chosen.iter().map(|new| new.text.as_str()).collect();
        assert_eq!(texts, ["scooter one", "=card", "scooter two"]);
        let csv = String::from_utf8(csv(&actions, &chosen)).unwrap();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[0], HEADER.join(","));
        assert!(lines[1].ends_with(",scooter one,scooter,0.9000,,2,1.8000,drift"), "{csv}");
        assert!(lines[2].contains("'=card"), "a formula is made safe: {csv}");
    }
}
