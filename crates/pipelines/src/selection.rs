//! The stages that a run takes: those up to a stage, from a stage, and those that run although they are up to date.

use super::plan::{BASELINE, Plan, Stage};
use botops_findings::{Fault, Result};
use botops_spec::nearest;
use std::collections::BTreeSet;

/// How to run a pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// The last stage: it runs with the stages that it needs, and no other.
    pub until: Option<String>,
    /// The first stage: it runs with the stages that need it; those before must be up to date.
    pub from: Option<String>,
    /// Stages that run although they are up to date.
    pub forced: Vec<String>,
    /// The most stages at once; 0 for the number of processors. It changes no result.
    pub jobs: usize,
}

/// The stages of a run, by [`RunOptions`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The stages; `None` for all.
    chosen: Option<BTreeSet<String>>,
    forced: BTreeSet<String>,
}

impl Selection {
    /// Returns whether a stage is part of the run.
    pub(crate) fn has(&self, stage: &str) -> bool {
        self.chosen.as_ref().is_none_or(|chosen| chosen.contains(stage))
    }

    /// Returns whether stages before the chosen ones may be left out.
    pub(crate) fn begins_late(&self) -> bool {
        self.chosen.is_some()
    }

    /// Returns the chosen stages, and all that they need.
    pub(crate) fn with_needs(&self, plan: &Plan) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for stage in plan.stages.iter().rev() {
            if self.has(&stage.name) || found.contains(&stage.name) {
                found.insert(stage.name.clone());
                found.extend(stage.needs.iter().cloned());
            }
        }
        found
    }

    /// Returns whether a stage runs although it is up to date.
    pub(crate) fn forces(&self, stage: &str) -> bool {
        self.forced.contains(stage)
    }
}

impl RunOptions {
    /// Returns the stages of `plan` that a run with these options takes.
    ///
    /// # Errors
    /// `BOT-8002` (exit 2) a name is not that of a stage; `BOT-7087` (exit 2) a forced stage is not part of the run, or is the
    /// baseline, or no stage is left.
    pub(crate) fn select(&self, plan: &Plan) -> Result<Selection> {
        for (flag, name) in [("--until", &self.until), ("--from", &self.from)] {
            if let Some(name) = name {
                known(plan, flag, name)?;
            }
        }
        let upstream = self.until.as_ref().map(|until| reach(plan, until, |stage| &stage.needs));
        let downstream = self.from.as_ref().map(|from| {
            let mut found = BTreeSet::from([from.clone()]);
            // In the order of execution, so that one pass is enough.
            for stage in &plan.stages {
                if stage.needs.iter().any(|need| found.contains(need)) {
                    found.insert(stage.name.clone());
                }
            }
            found
        });
        let chosen = match (upstream, downstream) {
            (Some(up), Some(down)) => Some(up.intersection(&down).cloned().collect()),
            (up, down) => up.or(down),
        };
        if chosen.as_ref().is_some_and(BTreeSet::is_empty) {
            let message = "no stage is both from the one and until the other";
            return Err(Fault::usage("BOT-7087", message)
                .file(&plan.file)
                .hint("`botops pipeline graph` shows which stage needs which"));
        }
        let selection = Selection { chosen, forced: self.forced.iter().cloned().collect() };
        for name in &self.forced {
            known(plan, "--force", name)?;
            if name == BASELINE {
                let message = "the baseline cannot be forced: a model has one first champion";
                return Err(Fault::usage("BOT-7087", message).file(&plan.file));
            }
            if !selection.has(name) {
                let message = format!("`{name}` is forced, but not part of this run");
                return Err(Fault::usage("BOT-7087", message)
                    .file(&plan.file)
                    .hint("change `--from` or `--until`"));
            }
        }
        Ok(selection)
    }
}

/// Checks that `name` is a stage of `plan`.
fn known(plan: &Plan, flag: &str, name: &str) -> Result<()> {
    if plan.stage(name).is_some() {
        return Ok(());
    }
    let shown = botops_text::display(name, 60);
    let fault = Fault::usage("BOT-8002", format!("`{flag}` names `{shown}`, which is not a stage"))
        .file(&plan.file);
    Err(match nearest(name, plan.stages.iter().map(|stage| stage.name.as_str())) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault.hint("`botops pipeline graph` shows the stages"),
    })
}

/// Returns `name` and the stages that it reaches through `next`.
fn reach(plan: &Plan, name: &str, next: impl Fn(&Stage) -> &Vec<String>) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![name.to_owned()]);
    while let Some(name) = open.pop() {
        if found.insert(name.clone())
            && let Some(stage) = plan.stage(&name)
        {
            open.extend(next(stage).iter().cloned());
        }
    }
    found
}
