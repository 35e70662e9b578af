//! The stage that replays the stories of the dialogue with a model.

use super::{
    files::{read_model, write_json},
    work::{Ended, Work},
};
use crate::{
    spec::DialogueTestStage,
    state::StageVerdict,
    stories::{read_stories, replay, story_findings},
};
use botops_findings::Result;
use botops_text::counted;
use std::path::Path;

/// Replays the stories in the dialogue of the model, then those of the file, and writes `dialogue_test.json`.
pub(super) fn dialogue_test(
    work: &mut Work<'_>,
    stage: &DialogueTestStage,
    made: &Path,
) -> Result<Ended> {
    let (model, _) = read_model(work, &stage.model)?;
    let more = match &stage.stories {
        Some(path) => read_stories(&work.services.root.join(path), model.dialogue())?,
        None => Vec::new(),
    };
    let report = replay(Some(&model), model.dialogue(), more)?;
    write_json(made, "dialogue_test.json", &report)?;
    let findings = story_findings(&report, &stage.rules);
    let n_failed = report.stories.iter().filter(|story| !story.passed).count();
    let summary = format!(
        "{} of {} passed; {} of {} intents, {} of {} branches",
        report.stories.len() - n_failed,
        counted(report.stories.len() as u64, "story", "stories"),
        report.intents.covered,
        report.intents.total,
        report.branches.covered,
        report.branches.total
    );
    let verdict = match findings.is_empty() {
        true => StageVerdict::Passed,
        false => StageVerdict::Failed,
    };
    work.findings.extend(findings);
    Ok((verdict, summary))
}
