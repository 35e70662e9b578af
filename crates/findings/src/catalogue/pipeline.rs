//! 8xxx: pipelines.

use super::Entry;
use crate::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-8001",
        kind: Some(FaultKind::Usage),
        title: "a pipeline that cannot be read as one",
        explanation: "A pipeline needs a name made of letters, digits, `-` and `_`, and at least one stage, each with a name of the same kind. A key that says nothing without another one is refused where that one is missing.",
    },
    Entry {
        code: "BOT-8002",
        kind: Some(FaultKind::Usage),
        title: "a stage that is not there",
        explanation: "A stage takes its input from another stage by name. The name is not that of a stage in this file, belongs to a stage of another kind, or is used twice.",
    },
    Entry {
        code: "BOT-8003",
        kind: Some(FaultKind::Usage),
        title: "stages that wait for each other",
        explanation: "The stages named form a cycle: each waits for another of them, so none can begin. Remove one of their references.",
    },
    Entry {
        code: "BOT-8004",
        kind: Some(FaultKind::Usage),
        title: "a model without a name",
        explanation: "A pipeline that pushes or promotes needs the model's name in the registry: `model:` in the pipeline or in botops.yaml.",
    },
    Entry {
        code: "BOT-8005",
        kind: Some(FaultKind::Usage),
        title: "nothing to promote with",
        explanation: "A promotion is judged on traffic: a server's (`server.admin_url`), or recorded traffic that is replayed in a rehearsal (`traffic:` of the promote stage, `--traffic`).",
    },
    Entry {
        code: "BOT-8010",
        kind: Some(FaultKind::Conflict),
        title: "another run is under way",
        explanation: "A pipeline runs once at a time in a workspace. The lock is the operating system's and ends with its process, so a run that was killed never blocks the next.",
    },
    Entry {
        code: "BOT-8011",
        kind: Some(FaultKind::Interrupted),
        title: "a run was interrupted",
        explanation: "The run was ended by a signal. Each stage's result is published whole or not at all, so nothing is half-written: the next run goes on from the last stage that was done.",
    },
    Entry {
        code: "BOT-8012",
        kind: Some(FaultKind::Terminated),
        title: "terminated",
        explanation: "The process received SIGTERM. Everything that was published is kept, and nothing is half-written. Run again to continue from there.",
    },
    Entry {
        code: "BOT-8020",
        kind: Some(FaultKind::Gate),
        title: "a stage said no",
        explanation: "A gate of the pipeline failed: validation, evaluation, drift or the canary. What it found is in the stage's folder under `.botops/pipelines`. Later stages did not run; nothing was promoted.",
    },
    Entry {
        code: "BOT-8021",
        kind: Some(FaultKind::Insufficient),
        title: "a stage had too little evidence",
        explanation: "A stage could not decide: too few records, or too little traffic. Nothing is wrong with the model as far as is known, but nothing was promoted either.",
    },
    Entry {
        code: "BOT-8022",
        kind: None,
        title: "the pipeline went on in spite of drift",
        explanation: "Recorded traffic differs from the training data by more than sampling explains. The drift stage is set to warn, so the run went on. Label some of the new utterances and train on them.",
    },
    Entry {
        code: "BOT-8030",
        kind: Some(FaultKind::Internal),
        title: "a stage's result is missing or unreadable",
        explanation: "The state of the pipeline under `.botops/pipelines` was altered by something else. Remove the folder of the stage named and run again: it is made anew.",
    },
    Entry {
        code: "BOT-8031",
        kind: Some(FaultKind::Gate),
        title: "a registered version is gone",
        explanation: "The pipeline registered a version that the registry no longer has: the registry was replaced or emptied. Remove the push stage's folder to register it again.",
    },
    Entry {
        code: "BOT-8040",
        kind: Some(FaultKind::Internal),
        title: "a command cannot be started",
        explanation: "A shell stage needs `sh`. It was not found, or the system refused to start it.",
    },
    Entry {
        code: "BOT-8023",
        kind: None,
        title: "what the pipeline promoted is no longer the champion",
        explanation: "The promotion stands as it was decided, and nothing it depends on changed, so it is not made again; but the champion was moved since, by a rollback for instance. `botops registry log` says by whom and why. A new model goes through its own canary.",
    },
    Entry {
        code: "BOT-8041",
        kind: Some(FaultKind::Usage),
        title: "a shell stage wrote what cannot be kept",
        explanation: "A shell stage's outputs are the files it writes directly into `$BOTOPS_OUTPUT`. Folders, and a file called `stage.json`, which is where the stage itself is remembered, cannot be kept there.",
    },
    Entry {
        code: "BOT-8042",
        kind: Some(FaultKind::Usage),
        title: "a search that cannot be made",
        explanation: "`botops tune` needs a block `tune:` in the pipeline, a train stage whose `model:` is where it begins, and numbers within their ranges: at least 2 trials, 2 to 100 folds, a halving factor of 2 or more, a first share above 0 and at most 1.",
    },
    Entry {
        code: "BOT-8043",
        kind: Some(FaultKind::Usage),
        title: "a setting without a range",
        explanation: "A setting of the space is given by one of `choice: [...]`, `uniform: [low, high]`, `log_uniform: [low, high]`, `integer: [low, high]` and `log_integer: [low, high]`. A range has its smaller end first; where each ratio is as likely, it begins above 0.",
    },
    Entry {
        code: "BOT-8044",
        kind: Some(FaultKind::Usage),
        title: "a space that cannot be searched",
        explanation: "A setting is not one that a search can choose by cross-validation (the seed, what falls back, how many goldens are kept), or no combination of the values given is a configuration that can be trained.",
    },
    Entry {
        code: "BOT-8045",
        kind: Some(FaultKind::Usage),
        title: "a shard that there is not",
        explanation: "A search shared by several machines is told to each as `--shard 0/4`, `--shard 1/4` and so on: shards are counted from 0, as Kubernetes counts the pods of an indexed job. Where `JOB_COMPLETION_INDEX` gives the number, `--shards 4` says of how many.",
    },
    Entry {
        code: "BOT-8046",
        kind: Some(FaultKind::Gate),
        title: "results of another search",
        explanation: "What a trial came to is kept under `tunes/<search>/trials` of the experiments store. An object there is of another search, is damaged, or was written by a newer botops. Nothing was changed: remove the object named and run again, and the trial is judged anew.",
    },
    Entry {
        code: "BOT-8047",
        kind: Some(FaultKind::Gate),
        title: "no trial could be trained",
        explanation: "Not one configuration of the search, nor its base, could be trained on the data. The message says what the first of them failed on.",
    },
    Entry {
        code: "BOT-8048",
        kind: Some(FaultKind::Internal),
        title: "the winner cannot be written down",
        explanation: "The winner's configuration, written as YAML, is not read back as it was. This is a bug of botops: please report it with the pipeline file.",
    },
];
