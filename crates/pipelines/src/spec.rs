//! The specification of a pipeline, as written in YAML.

use crate::{
    knowledge_input::KnowledgeInput,
    log_window::{LogSpec, Sides, days},
    retries::RetrySpec,
    stories::StoryRules,
    tune_block::TuneSpec,
};
use botops_drift::DriftSpec;
use botops_evaluation::GateSpec;
use botops_findings::{Fault, Place, Result};
use botops_models::ModelSpec;
use botops_monitoring::ScheduleSpec;
use botops_rollout::RolloutSpec;
use botops_spec::{self as spec, Spec as _};
use botops_splits::{LockedSplitSpec, SplitSpec};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A pipeline: a named list of stages.
///
/// Paths are relative to the workspace root. A stage refers to the stages that it takes files from by their names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineSpec {
    /// The version of the format: 1.
    pub version: u32,
    /// The pipeline's name; its state lives in `.botops/pipelines/<name>`.
    pub name: String,
    /// The name of the model in the registry; default: `model` of botops.yaml.
    #[serde(default)]
    pub model: Option<String>,
    /// The model that is trained and registered as the first champion, if there is none.
    #[serde(default)]
    pub baseline: Option<ModelSpec>,
    /// The search space of `botops tune`; a run ignores it.
    #[serde(default)]
    pub tune: Option<TuneSpec>,
    /// The stages.
    pub stages: Vec<StageSpec>,
    /// Whether results of stages are shared through the store of runs; default: no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub share: bool,
    /// When runs are due, so that a missing one is noticed; it starts nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleSpec>,
}

/// One stage, by its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a pipeline has about a dozen of them")]
pub enum StageSpec {
    /// Validates data.
    Validate(ValidateStage),
    /// Splits the accepted records.
    Split(SplitStage),
    /// Trains a model.
    Train(Box<TrainStage>),
    /// Evaluates a model.
    Evaluate(EvaluateStage),
    /// Applies gates to an evaluation.
    Gate(GateStage),
    /// Compares recorded traffic with the training data.
    Drift(DriftStage),
    /// Registers a model.
    Push(PushStage),
    /// Promotes a version through a canary.
    Promote(Box<PromoteStage>),
    /// Runs a shell command.
    Shell(ShellStage),
    /// Replays the stories of the dialogue with a model.
    DialogueTest(DialogueTestStage),
    /// Takes messages and labels from the prediction log.
    Window(WindowStage),
    /// Compacts the prediction log.
    Compact(CompactStage),
    /// Imports documents into a knowledge base.
    KnowledgeImport(KnowledgeImportStage),
}

macro_rules! stage {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident : $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The stage's name; default: its kind.
            #[serde(default)]
            pub name: Option<String>,
            /// Stages that must run before, in addition to those it takes files from.
            #[serde(default)]
            pub after: Vec<String>,
            /// Retries after a fault that may pass (exit 7); default: none.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub retries: Option<RetrySpec>,
            $($(#[$fdoc])* pub $field: $type,)*
        }
    };
}

stage! {
    /// Validates data, and writes the accepted records with all of their columns, the quarantine and a report.
    ValidateStage {
        /// The data file, or a pattern such as `data/part-*.csv` that names several.
        data: PathBuf,
        /// The expectations; default: `expectations.yaml` in the folder of the data, if it exists.
        #[serde(default)]
        expectations: Option<PathBuf>,
        /// Refused here: the expectations set it, so that `validate` and `run` agree.
        #[doc(hidden)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_rejected_share: Option<f64>,
    }
}
stage! {
    /// Splits the accepted records into train and test.
    SplitStage {
        /// The validate stage.
        from: String,
        /// The share of each intent that goes to test.
        #[serde(default = "default_test_share")]
        test_share: f64,
        /// The share of each intent that goes to `validation.csv`, which no other stage reads; only with a `lock`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        validation_share: Option<f64>,
        /// The seed of the split: it determines which records go to test.
        #[serde(default = "default_seed")]
        seed: u64,
        /// The file that stores the side of each record; the first run creates it.
        ///
        /// With a lock, no record ever changes sides. Without one, the hashes of the texts determine the sides, and few
        /// records change sides when the data grows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lock: Option<PathBuf>,
        /// Whether near duplicates stay on one side, so that the test side holds no text that the model has almost seen.
        #[serde(default)]
        near_duplicates: NearDuplicates,
    }
}
stage! {
    /// Trains a model on the train side of a split, or of a window.
    TrainStage {
        /// The split or window stage.
        from: String,
        /// The settings of the model.
        #[serde(default)]
        model: ModelSpec,
        /// Entities and responses to put into the model.
        #[serde(default)]
        dialogue: Option<PathBuf>,
    }
}
stage! {
    /// Evaluates a model, and its knowledge, on the test side of a split or of a window, and compares them with the champion.
    EvaluateStage {
        /// The train stage.
        model: String,
        /// The split or window stage.
        on: String,
        /// Behavioural tests of the model (YAML), for the report and for rules on `behaviour`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        behaviour: Option<PathBuf>,
        /// The effect of too few records on the run. After a warning, gates on this evaluation are not judged.
        #[serde(default, skip_serializing_if = "OnInsufficient::is_fail")]
        on_insufficient: OnInsufficient,
        /// The knowledge of the version, and its questions: a push registers both with the model.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        knowledge: Vec<KnowledgeInput>,
    }
}
stage! {
    /// Applies gates to an evaluation.
    GateStage {
        /// The evaluate stage.
        from: String,
        /// The rules.
        rules: GateSpec,
    }
}
stage! {
    /// Compares recorded traffic with the training data: its texts, and the columns that both have.
    DriftStage {
        /// The split stage whose train side is the reference.
        reference: String,
        /// The train stage whose model adds intents, confidence and unseen words.
        #[serde(default)]
        model: Option<String>,
        /// Recorded traffic (JSONL), or a data file; or a pattern. Without a window.
        #[serde(default)]
        current: Option<PathBuf>,
        /// The thresholds of the drift checks, and the columns to compare.
        #[serde(default)]
        rules: DriftSpec,
        /// The effect of a drift on the run.
        #[serde(default)]
        on_drift: OnDrift,
        /// The window stage whose messages are compared, in place of a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        window: Option<String>,
    }
}
stage! {
    /// Registers a model that passed its gate, with the knowledge that its evaluation judged.
    PushStage {
        /// The train stage.
        model: String,
        /// The gate stage.
        gate: String,
    }
}
stage! {
    /// Promotes a registered version through a canary on a server, or in a rehearsal without one.
    PromoteStage {
        /// The push stage.
        version: String,
        /// Recorded traffic to rehearse with: JSONL, CSV or Parquet with `at`, `conversation_id`, `text` and, where it is
        /// known, `truth`; or a pattern.
        #[serde(default)]
        traffic: Option<PathBuf>,
        /// The plan of the rollout.
        #[serde(default)]
        plan: RolloutSpec,
        /// Whether to promote a version although it adds or removes intents, or cannot answer some; default: no.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        accept_labels: bool,
        /// The window stage whose messages the rehearsal replays, in place of a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        window: Option<String>,
    }
}
stage! {
    /// Runs a command with `sh -c` in the workspace root; files under `$BOTOPS_OUTPUT` are its outputs.
    ShellStage {
        /// The command.
        run: String,
        /// Files it reads.
        #[serde(default)]
        inputs: Vec<PathBuf>,
        /// Files of the workspace that it writes. Each must exist after the command, and the stage is stale if one changes.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        outputs: Vec<PathBuf>,
    }
}

stage! {
    /// Replays the stories of the dialogue with a model: a difference, or too little coverage, stops the run.
    DialogueTestStage {
        /// The train stage, whose model has the dialogue.
        model: String,
        /// A file with more stories, under `tests:`.
        #[serde(default)]
        stories: Option<PathBuf>,
        /// The least coverage.
        #[serde(default)]
        rules: StoryRules,
    }
}

stage! {
    /// Takes the messages of the last days from the prediction log and splits them by conversation; the labels of reviewers
    /// on the train side join the training data.
    WindowStage {
        /// The split stage, whose train side the labels join, and whose test side stays unread by models.
        from: String,
        /// The part of the log.
        #[serde(default)]
        log: LogSpec,
        /// Recorded traffic that stands in while the registry has no log: `at`, `conversation_id`, `text`, `truth`.
        #[serde(default)]
        recorded: Option<PathBuf>,
        /// The share of conversations on the test side. It cannot be changed after the first run with a log.
        #[serde(default = "default_window_test_share")]
        test_share: f64,
        /// The salt of the hash that gives a conversation its side. It cannot be changed either.
        #[serde(default = "default_salt")]
        salt: String,
        /// The effect on the run of a window without a message, and of a registry without a log and no `recorded` traffic. After a
        /// warning, the model learns from the training data alone.
        #[serde(default, skip_serializing_if = "OnInsufficient::is_fail")]
        on_insufficient: OnInsufficient,
    }
}
stage! {
    /// Makes one Parquet file of the segments of each hour of the prediction log that is over.
    CompactStage {
        /// The age, such as `90d`, at which hours of the log are removed; default: none is removed.
        #[serde(default)]
        retention: Option<String>,
    }
}

stage! {
    /// Imports documents into a knowledge base of the registry: they replace those that it has. A version with the same content is
    /// not made again.
    KnowledgeImportStage {
        /// The folder of the documents, or one file.
        documents: PathBuf,
        /// The name of the knowledge base, such as `help`.
        into: String,
        /// The language of documents that name none; default: guessed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
        /// The most tokens of a passage; default: as in the version before, at first 200.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chunk_tokens: Option<u32>,
        /// The tokens that a passage repeats of the one before; default: as in the version before, at first 40.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overlap: Option<u32>,
        /// Whether files that cannot be read are left out with a warning; default: they stop the run.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        skip_unreadable: bool,
    }
}

/// The treatment of near duplicates by a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NearDuplicates {
    /// They stay on one side.
    #[default]
    Together,
    /// Only texts that are equal but for case and spaces stay on one side; only without a `lock`.
    Ignored,
}

/// The effect of a drift on the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDrift {
    /// The run continues with a warning.
    #[default]
    Warn,
    /// The run stops with exit 3.
    Fail,
}

/// The effect of too few records on the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnInsufficient {
    /// The run stops with exit 4.
    #[default]
    Fail,
    /// The run continues with a warning.
    Warn,
}

impl OnInsufficient {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_fail(&self) -> bool {
        *self == Self::Fail
    }
}

fn default_window_test_share() -> f64 {
    0.3
}

fn default_salt() -> String {
    "botops.window".to_owned()
}

impl WindowStage {
    /// Returns the sides of conversations.
    pub(super) fn sides(&self) -> Sides {
        Sides { salt: self.salt.clone(), test_share: self.test_share }
    }

    fn check_ranges(&self) -> Result<()> {
        self.log.check_ranges()?;
        let wrong = |key: &str, message: String| {
            let place = Place { key: Some(key.to_owned()), ..Place::default() };
            Err(Fault::usage("BOT-7085", message).at(place))
        };
        match self.test_share {
            share if !(share > 0.0 && share < 1.0) => wrong(
                "test_share",
                format!("`test_share` is {share}: expected a share between 0 and 1"),
            ),
            _ if self.salt.is_empty() => {
                wrong("salt", "`salt` is empty: expected a text".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn default_test_share() -> f64 {
    0.2
}

fn default_seed() -> u64 {
    17
}

impl SplitStage {
    /// Returns the settings of a split that ignores near duplicates.
    pub(super) fn by_text(&self) -> SplitSpec {
        SplitSpec { test_share: self.test_share, seed: self.seed }
    }

    /// Returns the settings of a split that keeps near duplicates together.
    pub(super) fn locked(&self) -> LockedSplitSpec {
        LockedSplitSpec {
            test_share: self.test_share,
            validation_share: self.validation_share.unwrap_or(0.0),
            seed: self.seed,
            group: None,
        }
    }
}

impl StageSpec {
    /// Checks the settings of the stage.
    ///
    /// # Errors
    /// The fault of a setting out of range, and the key of the stage that it is under.
    pub(super) fn check_settings(&self) -> Result<(), (&'static str, Fault)> {
        if let Some(retries) = self.retries() {
            retries.check_ranges().map_err(|fault| ("retries", fault))?;
        }
        match self {
            Self::Split(stage) => {
                stage.locked().check_ranges().map_err(|fault| ("test_share", fault))
            }
            Self::Train(stage) => stage.model.check_ranges().map_err(|fault| ("model", fault)),
            Self::Gate(stage) => stage.rules.check_ranges().map_err(|fault| ("rules", fault)),
            Self::Drift(stage) => stage.rules.check_ranges().map_err(|fault| ("rules", fault)),
            Self::Promote(stage) => stage.plan.check().map(|_| ()).map_err(|fault| ("plan", fault)),
            Self::DialogueTest(stage) => {
                stage.rules.check_ranges().map_err(|fault| ("rules", fault))
            }
            Self::Window(stage) => stage.check_ranges().map_err(|fault| ("", fault)),
            Self::Compact(stage) => match &stage.retention {
                Some(text) => days("retention", text).map(|_| ()).map_err(|fault| ("", fault)),
                None => Ok(()),
            },
            Self::Evaluate(stage) => {
                let mut sources = stage.knowledge.iter().map(|input| input.source().map(|_| ()));
                sources.find(Result::is_err).unwrap_or(Ok(())).map_err(|fault| ("knowledge", fault))
            }
            Self::KnowledgeImport(stage) => {
                botops_knowledge::store::check_name(&stage.into).map_err(|fault| ("into", fault))
            }
            Self::Validate(_) | Self::Push(_) | Self::Shell(_) => Ok(()),
        }
    }

    /// Returns the retries of the stage.
    pub(super) fn retries(&self) -> Option<&RetrySpec> {
        match self {
            Self::Validate(stage) => stage.retries.as_ref(),
            Self::Split(stage) => stage.retries.as_ref(),
            Self::Train(stage) => stage.retries.as_ref(),
            Self::Evaluate(stage) => stage.retries.as_ref(),
            Self::Gate(stage) => stage.retries.as_ref(),
            Self::Drift(stage) => stage.retries.as_ref(),
            Self::Push(stage) => stage.retries.as_ref(),
            Self::Promote(stage) => stage.retries.as_ref(),
            Self::Shell(stage) => stage.retries.as_ref(),
            Self::DialogueTest(stage) => stage.retries.as_ref(),
            Self::Window(stage) => stage.retries.as_ref(),
            Self::Compact(stage) => stage.retries.as_ref(),
            Self::KnowledgeImport(stage) => stage.retries.as_ref(),
        }
    }

    /// Returns the kind of the stage, such as `train`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Validate(_) => "validate",
            Self::Split(_) => "split",
            Self::Train(_) => "train",
            Self::Evaluate(_) => "evaluate",
            Self::Gate(_) => "gate",
            Self::Drift(_) => "drift",
            Self::Push(_) => "push",
            Self::Promote(_) => "promote",
            Self::Shell(_) => "shell",
            Self::DialogueTest(_) => "dialogue_test",
            Self::Window(_) => "window",
            Self::Compact(_) => "compact",
            Self::KnowledgeImport(_) => "knowledge_import",
        }
    }

    /// Returns the name of the stage; by default its kind.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = match self {
            Self::Validate(stage) => &stage.name,
            Self::Split(stage) => &stage.name,
            Self::Train(stage) => &stage.name,
            Self::Evaluate(stage) => &stage.name,
            Self::Gate(stage) => &stage.name,
            Self::Drift(stage) => &stage.name,
            Self::Push(stage) => &stage.name,
            Self::Promote(stage) => &stage.name,
            Self::Shell(stage) => &stage.name,
            Self::DialogueTest(stage) => &stage.name,
            Self::Window(stage) => &stage.name,
            Self::Compact(stage) => &stage.name,
            Self::KnowledgeImport(stage) => &stage.name,
        };
        name.as_deref().unwrap_or_else(|| self.kind())
    }

    /// Returns the stages named under `after`.
    pub(super) fn after(&self) -> &[String] {
        match self {
            Self::Validate(stage) => &stage.after,
            Self::Split(stage) => &stage.after,
            Self::Train(stage) => &stage.after,
            Self::Evaluate(stage) => &stage.after,
            Self::Gate(stage) => &stage.after,
            Self::Drift(stage) => &stage.after,
            Self::Push(stage) => &stage.after,
            Self::Promote(stage) => &stage.after,
            Self::Shell(stage) => &stage.after,
            Self::DialogueTest(stage) => &stage.after,
            Self::Window(stage) => &stage.after,
            Self::Compact(stage) => &stage.after,
            Self::KnowledgeImport(stage) => &stage.after,
        }
    }

    /// Returns the stages that it takes files from, as triples: key, name of the stage, expected kinds.
    pub(super) fn takes(&self) -> Vec<(&'static str, &str, &'static [&'static str])> {
        const SIDES: &[&str] = &["split", "window"];
        match self {
            Self::Validate(_) | Self::Shell(_) | Self::Compact(_) | Self::KnowledgeImport(_) => {
                Vec::new()
            }
            Self::Split(stage) => vec![("from", &stage.from, &["validate"])],
            Self::Window(stage) => vec![("from", &stage.from, &["split"])],
            Self::Train(stage) => vec![("from", &stage.from, SIDES)],
            Self::Evaluate(stage) => {
                let mut takes: Vec<(&str, &str, &[&str])> =
                    vec![("model", &stage.model, &["train"]), ("on", &stage.on, SIDES)];
                let imports = stage.knowledge.iter().filter_map(|input| input.from.as_deref());
                takes.extend(imports.map(|name| ("knowledge", name, &["knowledge_import"][..])));
                takes
            }
            Self::Gate(stage) => vec![("from", &stage.from, &["evaluate"])],
            Self::Drift(stage) => {
                let mut takes: Vec<(&str, &str, &[&str])> =
                    vec![("reference", stage.reference.as_str(), &["split"])];
                takes.extend(stage.model.iter().map(|it| ("model", it.as_str(), &["train"][..])));
                takes
                    .extend(stage.window.iter().map(|it| ("window", it.as_str(), &["window"][..])));
                takes
            }
            Self::Push(stage) => {
                vec![("model", &stage.model, &["train"]), ("gate", &stage.gate, &["gate"])]
            }
            Self::Promote(stage) => {
                let mut takes: Vec<(&str, &str, &[&str])> =
                    vec![("version", stage.version.as_str(), &["push"])];
                takes
                    .extend(stage.window.iter().map(|it| ("window", it.as_str(), &["window"][..])));
                takes
            }
            Self::DialogueTest(stage) => vec![("model", &stage.model, &["train"])],
        }
    }
}

impl PipelineSpec {
    /// Reads the pipeline at `path`.
    ///
    /// # Errors
    /// Those of [`spec::read_versioned`]; `BOT-8001` (exit 2) for an empty list of stages or an invalid name.
    pub fn read(path: &Path) -> Result<Self> {
        let pipeline: Self = spec::read_versioned(path, 1)?;
        let is_valid_name = !pipeline.name.is_empty()
            && pipeline.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !is_valid_name {
            return Err(Fault::usage(
                "BOT-8001",
                format!("`{}` is not a valid pipeline name", pipeline.name),
            )
            .file(path)
            .hint("use letters, digits, `-` and `_`"));
        }
        if pipeline.stages.is_empty() {
            return Err(Fault::usage("BOT-8001", "the pipeline has no stages")
                .file(path)
                .hint("add at least one stage under `stages:`"));
        }
        Ok(pipeline)
    }
}
