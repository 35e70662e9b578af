//! The stories of a dialogue, replayed with a model, and the coverage that they must reach.

use botops_dialogue::{Coverage, Dialogue, DialogueSpec, Heard, StoryReport, StorySpec};
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_models::{IntentModel, Scratch};
use botops_text::display;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The names of intents and branches that a finding lists.
const SHOWN: usize = 8;

/// The least coverage that stories must reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoryRules {
    /// The least share of the intents of the dialogue, in [0, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_intents: Option<f64>,
    /// The least share of its branches, in [0, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_branches: Option<f64>,
}

impl StoryRules {
    /// Checks that shares lie in [0, 1].
    ///
    /// # Errors
    /// `BOT-1112` (exit 2), with the key.
    pub fn check_ranges(&self) -> Result<()> {
        for (key, share) in [("min_intents", self.min_intents), ("min_branches", self.min_branches)]
        {
            if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share)) {
                let place = Place { key: Some(key.to_owned()), ..Place::default() };
                let message = format!("`{key}` is {share}: expected a share from 0 to 1");
                return Err(Fault::usage("BOT-1112", message)
                    .at(place)
                    .hint("write `0.8` for 80 %"));
            }
        }
        Ok(())
    }
}

/// A file with stories.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoryFile {
    tests: Vec<StorySpec>,
}

/// Reads the stories under `tests:` of the YAML file at `path`, and checks them with `dialogue`.
///
/// # Errors
/// Those of [`botops_spec::read`], [`Dialogue::compile`] and [`Dialogue::check_stories`].
pub fn read_stories(path: &Path, dialogue: &DialogueSpec) -> Result<Vec<StorySpec>> {
    let StoryFile { tests } = botops_spec::read(path)?;
    Dialogue::compile(dialogue)?.check_stories(&tests).map_err(|fault| {
        let place = Place { file: Some(path.display().to_string()), ..fault.place().clone() };
        fault.at(place)
    })?;
    Ok(tests)
}

/// Replays the stories of `dialogue`, then `more`. With a `model`, it classifies the messages and tags them.
///
/// # Errors
/// `BOT-1119` (exit 2) if there is no story, `BOT-1114` (exit 2) for one that cannot be replayed, and those of
/// [`Dialogue::compile`].
pub fn replay(
    model: Option<&IntentModel>,
    dialogue: &DialogueSpec,
    more: Vec<StorySpec>,
) -> Result<StoryReport> {
    let compiled = Dialogue::compile(dialogue)?;
    let mut stories = dialogue.tests.clone();
    stories.extend(more);
    if stories.is_empty() {
        return Err(Fault::usage("BOT-1119", "there are no stories to replay").hint(
            "write stories under `tests:` of the dialogue: `{story: a greeting, turns: [{user: Hello, intent: greet}]}`",
        ));
    }
    match model {
        Some(model) => compiled.replay(&stories, Some(&|text: &str| hear(model, text))),
        None => compiled.replay(&stories, None),
    }
}

/// Classifies `text`.
fn hear(model: &IntentModel, text: &str) -> Heard {
    let mut scratch = Scratch::default();
    let prediction = model.predict_with(text, &mut scratch);
    let labels = model.labels();
    let mut ranking: Vec<(String, f64)> =
        labels.iter().map(str::to_owned).zip(scratch.proba().iter().copied()).collect();
    ranking.sort_by(|(a, p), (b, q)| q.total_cmp(p).then_with(|| a.cmp(b)));
    Heard {
        intent: (!prediction.fallback).then(|| labels.name(prediction.intent).to_owned()),
        confidence: prediction.confidence,
        ranking,
        tagged: model.tag(text),
    }
}

/// Returns an error (`BOT-1118`) for each difference of `report`, and for each share below those of `rules`.
#[must_use]
pub fn story_findings(report: &StoryReport, rules: &StoryRules) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut error = |message: String, help: &'static str| {
        findings.push(Finding::new("BOT-1118", Severity::Error, message, help));
    };
    for story in &report.stories {
        for difference in &story.differences {
            error(
                format!(
                    "story `{}`, turn {} (`{}`): `{}` is `{}`, expected `{}`",
                    display(&story.story, 80),
                    difference.turn,
                    display(&difference.user, 80),
                    difference.key,
                    display(&difference.found, 200),
                    display(&difference.expected, 200)
                ),
                "correct the dialogue, train with more examples, or correct the expectation",
            );
        }
    }
    for (name, coverage, least) in [
        ("intents", &report.intents, rules.min_intents),
        ("branches", &report.branches, rules.min_branches),
    ] {
        if let Some(least) = least.filter(|&least| coverage.share < least) {
            error(
                format!(
                    "the stories reach {} of {} {name}, a share of {:.3} below {least}; missing: {}",
                    coverage.covered,
                    coverage.total,
                    coverage.share,
                    missing(coverage)
                ),
                "write stories that reach them",
            );
        }
    }
    findings
}

/// Returns the first names that were not reached.
fn missing(coverage: &Coverage) -> String {
    let shown: Vec<String> = coverage
        .missing
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{}`", display(name, 80)))
        .collect();
    match coverage.missing.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_models::{ModelSpec, Sample, Silent, TrainingInput, train};
    use botops_spec::{Spec as _, parse};

    const DIALOGUE: &str = "
slots: {order: {pattern: '\\d{5}', ask: {en: 'Which order?'}}}
intents: {track: {needs: [order]}}
responses: {track: {en: 'Order {order}.'}, greet: {en: Hello.}}
tests:
  - story: an order is asked for
    turns:
      - {user: where is my parcel, intent: track, state: awaiting_slot}
      - {user: 'it is 20447', reply: Order 20447.}
";

    fn dialogue() -> DialogueSpec {
        parse(DIALOGUE, "dialogue.yaml").unwrap()
    }

    fn model() -> IntentModel {
        let greetings = ["hello", "good morning", "hello there", "hi there", "good evening"];
        let parcels = [
            "where is my parcel",
            "where is it",
            "my parcel",
            "track my parcel",
            "is my parcel here",
        ];
        let samples: Vec<Sample<'_>> = greetings
            .map(|text| Sample { text, intent: "greet" })
            .into_iter()
            .chain(parcels.map(|text| Sample { text, intent: "track" }))
            .collect();
        let spec = ModelSpec::default().check().unwrap();
        train(TrainingInput::new(&samples, &spec), &Silent).unwrap()
    }

    #[test]
    fn stories_pass_with_and_without_a_model() {
        let model = model();
        for model in [None, Some(&model)] {
            let report = replay(model, &dialogue(), Vec::new()).unwrap();
            assert!(report.passed, "{report:?}");
            assert_eq!((report.intents.covered, report.intents.total), (1, 2));
            assert!(story_findings(&report, &StoryRules::default()).is_empty());
            let rules = StoryRules { min_intents: Some(0.5), min_branches: Some(0.9) };
            let found = story_findings(&report, &rules);
            let [low] = &found[..] else { panic!("{found:?}") };
            assert_eq!(low.code, "BOT-1118");
            let message = "the stories reach 2 of 7 branches, a share of 0.286 below 0.9; missing: \
                           `cancel`, `fallback`, `greet/respond`, `track/ask_again/order`, `track/give_up/order`";
            assert_eq!(low.message, message);
        }
    }

    #[test]
    fn a_wrong_intent_of_the_model_is_a_difference() {
        let yaml = "tests: [{story: wrong, turns: [{user: hello there, intent: track}]}]";
        let more = parse::<StoryFile>(yaml, "stories.yaml").unwrap().tests;
        let report = replay(Some(&model()), &dialogue(), more).unwrap();
        assert_eq!(report.stories.iter().map(|s| s.passed).collect::<Vec<_>>(), [true, false]);
        let found = story_findings(&report, &StoryRules::default());
        assert_eq!(found.len(), 1);
        let start = "story `wrong`, turn 1 (`hello there`): `intent` is `greet (";
        assert!(found[0].message.starts_with(start), "{}", found[0].message);
    }

    #[test]
    fn no_stories_and_shares_out_of_range_are_refused() {
        let silent = DialogueSpec { tests: Vec::new(), ..dialogue() };
        assert_eq!(replay(None, &silent, Vec::new()).unwrap_err().code(), "BOT-1119");
        for share in [-0.1, 1.1, f64::NAN] {
            let rules = StoryRules { min_branches: Some(share), ..StoryRules::default() };
            let fault = rules.check_ranges().unwrap_err();
            assert_eq!(
                (fault.code(), fault.place().key.as_deref()),
                ("BOT-1112", Some("min_branches"))
            );
        }
    }

    #[test]
    fn a_file_of_stories_is_checked_with_the_dialogue() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stories.yaml");
        std::fs::write(&path, "tests: [{story: a, turns: [{user: a, branch: track/ask}]}]")
            .unwrap();
        let fault = read_stories(&path, &dialogue()).unwrap_err();
        assert_eq!(fault.code(), "BOT-1114");
        assert_eq!(fault.place().file.as_deref(), Some(path.to_str().unwrap()));
        assert_eq!(fault.place().key.as_deref(), Some("tests[0].turns[0].branch"));
    }
}
