//! The plan of a pipeline: its stages, checked and in the order of execution.

use super::{
    knowledge_input::KnowledgeInput,
    spec::{
        DriftStage, NearDuplicates, OnInsufficient, PipelineSpec, PushStage, SplitStage, StageSpec,
        ValidateStage,
    },
};
use botops_evaluation::KnowledgeGate;
use botops_findings::{Fault, Place, Result};
use botops_spec::{Spec as _, nearest};
use std::path::{Path, PathBuf};

/// The name of the stage that trains the first champion.
pub(super) const BASELINE: &str = "baseline";

/// A checked pipeline: every stage that it names exists and is of the expected kind, and there is no cycle.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The file that it was read from.
    pub file: PathBuf,
    /// The pipeline as written.
    pub spec: PipelineSpec,
    /// The model's name in the registry.
    pub model: Option<String>,
    /// The stages in the order of execution.
    pub stages: Vec<Stage>,
}

/// One stage of a plan.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The name of the stage.
    pub name: String,
    /// Its spec; `None` for the baseline.
    pub spec: Option<StageSpec>,
    /// The names of the stages that must run before it.
    pub needs: Vec<String>,
}

impl Plan {
    /// Reads and checks the pipeline at `path`. `model` is the model name of the workspace, used if the file has none.
    ///
    /// # Errors
    /// Those of [`PipelineSpec::read`]; `BOT-8001` an invalid stage name or setting; `BOT-8002` a stage that does not
    /// exist or is of another kind, or a name used twice; `BOT-8003` a cycle; `BOT-8004` no model name for a push, a
    /// promotion or a baseline. All exit 2.
    pub fn read(path: &Path, model: Option<&str>) -> Result<Self> {
        Self::check(PipelineSpec::read(path)?, path, model)
    }

    /// Checks a pipeline that was read from `file`.
    pub(super) fn check(spec: PipelineSpec, file: &Path, model: Option<&str>) -> Result<Self> {
        let mut stages = stages_by_name(&spec, file)?;
        add_needs(&mut stages, &spec, file)?;
        let model = spec.model.clone().or_else(|| model.map(str::to_owned));
        let needs_model = spec.baseline.is_some()
            || spec.stages.iter().any(|s| matches!(s, StageSpec::Push(_) | StageSpec::Promote(_)));
        if needs_model && model.is_none() {
            return Err(Fault::usage(
                "BOT-8004",
                "the pipeline registers or promotes a model, but names none",
            )
            .file(file)
            .hint("add `model: support` to the pipeline, or to botops.yaml"));
        }
        if let Some(baseline) = &spec.baseline {
            baseline.check_ranges().map_err(|fault| {
                let (file, key) = (Some(file.display().to_string()), Some("baseline".to_owned()));
                fault.at(Place { file, key, ..Place::default() })
            })?;
            add_baseline(&mut stages, &spec, file)?;
        }
        let stages = sorted(stages, file)?;
        spec.checked_schedule(file)?;
        spec.stages.iter().try_for_each(|stage| check_settings(stage, file))?;
        spec.stages.iter().try_for_each(|stage| check_sources(stage, &spec, file))?;
        Ok(Self { file: file.to_owned(), spec, model, stages })
    }

    /// Returns the stage named `name`.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}

/// Returns the place of `key` of the stage `name`.
fn place(file: &Path, name: &str, key: &str) -> Place {
    Place {
        file: Some(file.display().to_string()),
        key: Some(format!("stages.{name}.{key}")),
        ..Place::default()
    }
}

/// Returns the stages in the order of the file, without needs, and checks their names.
fn stages_by_name(spec: &PipelineSpec, file: &Path) -> Result<Vec<Stage>> {
    let mut stages: Vec<Stage> = Vec::new();
    for stage in &spec.stages {
        let name = stage.name();
        if name == BASELINE || stages.iter().any(|other| other.name == name) {
            return Err(Fault::usage("BOT-8002", format!("two stages have the name `{name}`"))
                .at(place(file, name, "name"))
                .hint("give one of them another `name:`"));
        }
        // `lock` is a file in the folder of the pipeline, beside the folders of its stages.
        if name == "lock"
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            || name.is_empty()
        {
            return Err(Fault::usage("BOT-8001", format!("`{name}` is not a valid stage name"))
                .at(place(file, name, "name"))
                .hint("use letters, digits, `-` and `_`, and not the name `lock`"));
        }
        if let StageSpec::Split(SplitStage { lock: None, validation_share: Some(_), .. }) = stage {
            return Err(Fault::usage(
                "BOT-8001",
                "`validation_share` has no effect without `lock`: only a locked split has a validation side",
            )
            .at(place(file, name, "validation_share"))
            .hint("add `lock: split.lock.json` to the stage, or remove `validation_share`"));
        }
        if let StageSpec::Split(SplitStage {
            lock: Some(_),
            near_duplicates: NearDuplicates::Ignored,
            ..
        }) = stage
        {
            return Err(Fault::usage(
                "BOT-8001",
                "`near_duplicates: ignored` has no effect with a `lock`: a locked split keeps near duplicates together",
            )
            .at(place(file, name, "near_duplicates"))
            .hint("remove `near_duplicates`, or remove `lock`"));
        }
        if let StageSpec::Validate(ValidateStage { max_rejected_share: Some(share), .. }) = stage {
            return Err(Fault::usage(
                "BOT-8001",
                "a pipeline cannot set `max_rejected_share`: the expectations set it, for `validate` and `run` alike",
            )
            .at(place(file, name, "max_rejected_share"))
            .hint(format!(
                "write `max_rejected_share: {share}` into the expectations of the data, and remove it here"
            )));
        }
        stages.push(Stage { name: name.to_owned(), spec: Some(stage.clone()), needs: Vec::new() });
    }
    Ok(stages)
}

/// Checks the settings of `stage`, so that a mistake is found before any stage runs.
fn check_settings(stage: &StageSpec, file: &Path) -> Result<()> {
    stage.check_settings().map_err(|(block, fault)| {
        let key = match (&fault.place().key, block) {
            (Some(key), "") => key.clone(),
            (Some(key), block) => format!("{block}.{key}"),
            (None, block) => block.to_owned(),
        };
        fault.at(place(file, stage.name(), &key))
    })
}

/// Checks the keys of `stage` that exclude or need each other.
fn check_sources(stage: &StageSpec, spec: &PipelineSpec, file: &Path) -> Result<()> {
    let wrong = |key: &str, message: &str, hint: &str| {
        Err(Fault::usage("BOT-8001", message).at(place(file, stage.name(), key)).hint(hint))
    };
    match stage {
        StageSpec::Push(push) if judges_no_knowledge(push, spec) => wrong(
            "gate",
            "the evaluation of a push has knowledge, and the rules of its gate judge none",
            "write rules on it, such as `knowledge: {recall_at_5: {min: 0.9}}`, into the gate stage",
        ),
        StageSpec::Drift(DriftStage { current: None, window: None, .. }) => wrong(
            "current",
            "a drift stage needs current data",
            "name a file (`current: traffic.jsonl`) or a window stage (`window: window`)",
        ),
        StageSpec::Drift(DriftStage { current: Some(_), window: Some(_), .. }) => {
            wrong("window", "a drift stage has one current side: a file or a window", "remove one")
        }
        StageSpec::Promote(promote) if promote.traffic.is_some() && promote.window.is_some() => {
            wrong("window", "a promote stage has one traffic: a file or a window", "remove one")
        }
        StageSpec::Push(push) => {
            let find = |name: &str| spec.stages.iter().find(|other| other.name() == name);
            let evaluate = match find(&push.gate) {
                Some(StageSpec::Gate(gate)) => find(&gate.from),
                _ => None,
            };
            match evaluate {
                Some(StageSpec::Evaluate(evaluate))
                    if evaluate.on_insufficient == OnInsufficient::Warn =>
                {
                    wrong(
                        "gate",
                        "the gate of a push takes from an evaluation that may have too few records",
                        "remove `on_insufficient: warn` from the evaluate stage, or name the gate of another one",
                    )
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Returns whether the evaluation that `push` rests on has knowledge, and its gate no rule about it.
fn judges_no_knowledge(push: &PushStage, spec: &PipelineSpec) -> bool {
    let find = |name: &str| spec.stages.iter().find(|other| other.name() == name);
    let Some(StageSpec::Gate(gate)) = find(&push.gate) else { return false };
    let Some(StageSpec::Evaluate(evaluate)) = find(&gate.from) else { return false };
    let judged = gate.rules.knowledge.as_ref();
    let has_rule = judged.is_some_and(|rules| *rules != KnowledgeGate::default());
    !evaluate.knowledge.is_empty() && !has_rule
}

/// Adds the needs of each stage: those that it takes files from, and those named under `after`.
fn add_needs(stages: &mut [Stage], spec: &PipelineSpec, file: &Path) -> Result<()> {
    let find = |name: &str| spec.stages.iter().find(|stage| stage.name() == name);
    let missing = |stage: &str, at: &str, name: &str| {
        let fault = Fault::usage(
            "BOT-8002",
            format!("stage `{stage}` names `{name}`, which is not a stage"),
        )
        .at(place(file, stage, at));
        match nearest(name, spec.stages.iter().map(StageSpec::name)) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint("name one of the stages of this file"),
        }
    };
    let compactions: Vec<String> = spec
        .stages
        .iter()
        .filter(|stage| matches!(stage, StageSpec::Compact(_)))
        .map(|stage| stage.name().to_owned())
        .collect();
    for stage in stages {
        let Some(spec) = &stage.spec else { continue };
        for (at, name, kinds) in spec.takes() {
            let other = find(name).ok_or_else(|| missing(&stage.name, at, name))?;
            if !kinds.contains(&other.kind()) {
                return Err(Fault::usage(
                    "BOT-8002",
                    format!(
                        "stage `{}` takes `{at}` from `{name}`, which is a {} stage",
                        stage.name,
                        other.kind()
                    ),
                )
                .at(place(file, &stage.name, at))
                .hint(format!("name a {} stage", kinds.join(" or "))));
            }
            stage.needs.push(name.to_owned());
        }
        for name in spec.after() {
            find(name).ok_or_else(|| missing(&stage.name, "after", name))?;
            stage.needs.push(name.clone());
        }
        // A compaction removes files of the log that a window may be about to read.
        if matches!(spec, StageSpec::Window(_)) {
            stage.needs.extend(compactions.iter().filter(|it| **it != stage.name).cloned());
        }
    }
    Ok(())
}

/// Adds the baseline, which the evaluate and promote stages need.
fn add_baseline(stages: &mut Vec<Stage>, spec: &PipelineSpec, file: &Path) -> Result<()> {
    let source = spec.stages.iter().find_map(|stage| match stage {
        StageSpec::Train(train) => Some(train.from.clone()),
        _ => None,
    });
    let Some(source) = source else {
        return Err(Fault::usage(
            "BOT-8002",
            "a baseline needs a train stage, because it is trained on the same data",
        )
        .file(file)
        .hint("add a `train` stage, or remove `baseline`"));
    };
    for stage in stages.iter_mut() {
        if matches!(stage.spec, Some(StageSpec::Evaluate(_) | StageSpec::Promote(_))) {
            stage.needs.push(BASELINE.to_owned());
        }
    }
    // The first champion answers from the same knowledge, but its golden self-test judges none of it.
    let mut needs = vec![source];
    needs.extend(knowledge_of(spec).iter().filter_map(|input| input.from.clone()));
    stages.push(Stage { name: BASELINE.to_owned(), spec: None, needs });
    Ok(())
}

/// Returns the knowledge of the versions of a pipeline: that of its first evaluation with some.
pub(super) fn knowledge_of(spec: &PipelineSpec) -> &[KnowledgeInput] {
    let mut all = spec.stages.iter().filter_map(|stage| match stage {
        StageSpec::Evaluate(evaluate) => Some(evaluate.knowledge.as_slice()),
        _ => None,
    });
    all.find(|knowledge| !knowledge.is_empty()).unwrap_or_default()
}

/// Sorts stages so that each follows the stages it needs, and otherwise keeps the order of the file.
fn sorted(mut waiting: Vec<Stage>, file: &Path) -> Result<Vec<Stage>> {
    let mut done: Vec<Stage> = Vec::new();
    // The baseline was added last. It runs as early as possible: right after the stage with its data.
    if let Some(at) = waiting.iter().position(|stage| stage.spec.is_none()) {
        let baseline = waiting.remove(at);
        let source = waiting.iter().position(|stage| Some(&stage.name) == baseline.needs.first());
        waiting.insert(source.map_or(0, |at| at + 1), baseline);
    }
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|stage| {
            stage.needs.iter().all(|need| done.iter().any(|other| &other.name == need))
        });
        match ready {
            Some(at) => done.push(waiting.remove(at)),
            None => {
                let names: Vec<_> =
                    waiting.iter().map(|stage| format!("`{}`", stage.name)).collect();
                return Err(Fault::usage(
                    "BOT-8003",
                    format!("these stages wait for each other: {}", names.join(", ")),
                )
                .file(file)
                .hint("remove one of their `after:` or `from:` to break the cycle"));
            }
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ShellStage;

    fn validate() -> StageSpec {
        StageSpec::Validate(ValidateStage {
            name: None,
            after: vec![],
            retries: None,
            data: "a.csv".into(),
            expectations: None,
            max_rejected_share: None,
        })
    }

    fn split(from: &str) -> StageSpec {
        StageSpec::Split(SplitStage {
            name: None,
            after: vec![],
            retries: None,
            from: from.into(),
            test_share: 0.2,
            seed: 1,
            validation_share: None,
            lock: None,
            near_duplicates: NearDuplicates::Together,
        })
    }

    fn shell(name: &str, after: &[&str]) -> StageSpec {
        let after = after.iter().map(|&s| s.to_owned()).collect();
        StageSpec::Shell(ShellStage {
            name: Some(name.into()),
            after,
            retries: None,
            run: "true".into(),
            inputs: vec![],
            outputs: vec![],
        })
    }

    fn check(stages: Vec<StageSpec>) -> Result<Vec<String>> {
        let spec = PipelineSpec {
            version: 1,
            name: "p".into(),
            model: None,
            baseline: None,
            tune: None,
            stages,
            share: false,
            schedule: None,
        };
        Ok(Plan::check(spec, Path::new("p.yaml"), None)?
            .stages
            .into_iter()
            .map(|s| s.name)
            .collect())
    }

    #[test]
    fn stages_are_sorted_by_their_needs() {
        assert_eq!(check(vec![split("validate"), validate()]).unwrap(), ["validate", "split"]);
    }

    #[test]
    fn a_missing_stage_gets_a_hint_with_the_nearest_name() {
        let fault = check(vec![validate(), split("validte")]).unwrap_err();
        assert_eq!(fault.code(), "BOT-8002");
        assert_eq!(fault.hints(), ["did you mean `validate`?"]);
    }

    #[test]
    fn a_pipeline_cannot_override_the_rule_of_the_expectations() {
        let mut stage = validate();
        if let StageSpec::Validate(stage) = &mut stage {
            stage.max_rejected_share = Some(0.5);
        }
        let fault = check(vec![stage]).unwrap_err();
        assert_eq!(fault.code(), "BOT-8001");
        assert!(fault.hints()[0].contains("into the expectations"), "{fault}");
    }

    #[test]
    fn a_stage_of_another_kind_is_refused() {
        let fault = check(vec![shell("x", &[]), split("x")]).unwrap_err();
        assert!(fault.message().contains("which is a shell stage"), "{fault}");
    }

    #[test]
    fn a_cycle_names_its_stages() {
        let fault = check(vec![shell("a", &["b"]), shell("b", &["a"]), validate()]).unwrap_err();
        assert_eq!(fault.code(), "BOT-8003");
        assert!(fault.message().contains("`a`, `b`"), "{fault}");
    }
}
