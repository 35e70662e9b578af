//! 8xxx: pipelines.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-8001",
        kind: Some(FaultKind::Usage),
        title: "invalid pipeline",
        explanation: "A pipeline needs a name made of letters, digits, `-` and `_`, and at least one stage with such a name. A key that depends on another key is refused if that other key is missing.",
    },
    Entry {
        code: "BOT-8002",
        kind: Some(FaultKind::Usage),
        title: "unknown stage",
        explanation: "A stage names another stage as its input. That name belongs to no stage in this file, belongs to a stage of the wrong kind, or is used twice.",
    },
    Entry {
        code: "BOT-8003",
        kind: Some(FaultKind::Usage),
        title: "stages depend on each other in a cycle",
        explanation: "Each of the named stages waits for another of them, so none can start. Remove one of the references.",
    },
    Entry {
        code: "BOT-8004",
        kind: Some(FaultKind::Usage),
        title: "the model has no name",
        explanation: "A pipeline that pushes or promotes needs the model's name in the registry. Set `model:` in the pipeline or in botops.yaml.",
    },
    Entry {
        code: "BOT-8005",
        kind: Some(FaultKind::Usage),
        title: "no traffic to judge a promotion on",
        explanation: "A promotion is judged on the traffic of a server (`server.admin_url`), or on recorded traffic replayed in a rehearsal (`traffic:` of the promote stage, or `--traffic` of `botops promote`). Configure one of them. `botops run` checks this before its first stage.",
    },
    Entry {
        code: "BOT-8010",
        kind: Some(FaultKind::Conflict),
        title: "another run is in progress",
        explanation: "A pipeline runs only once at a time in a workspace. The operating system releases the lock when the process ends, so a killed run never blocks the next one. Wait for the other run to finish.",
    },
    Entry {
        code: "BOT-8011",
        kind: Some(FaultKind::Interrupted),
        title: "the run was interrupted",
        explanation: "A signal ended the run. The result of each stage is published completely or not at all. The next run continues after the last completed stage.",
    },
    Entry {
        code: "BOT-8012",
        kind: Some(FaultKind::Terminated),
        title: "the process was terminated",
        explanation: "The process received SIGTERM. Everything published so far is kept and complete. Run the command again to continue.",
    },
    Entry {
        code: "BOT-8020",
        kind: Some(FaultKind::Gate),
        title: "a stage failed its gate",
        explanation: "A gate of the pipeline failed: validation, evaluation, drift or the canary. Its findings are in the stage's folder under `.botops/pipelines`. Later stages did not run, and nothing was promoted.",
    },
    Entry {
        code: "BOT-8021",
        kind: Some(FaultKind::Insufficient),
        title: "a stage had too little evidence",
        explanation: "A stage had too few records or too little traffic to decide. This says nothing against the model, but nothing was promoted.",
    },
    Entry {
        code: "BOT-8022",
        kind: None,
        title: "the pipeline continued despite drift",
        explanation: "Recorded traffic differs from the training data by more than sampling explains. The drift stage is set to warn, so the run continued. Label some of the new utterances and train on them.",
    },
    Entry {
        code: "BOT-8030",
        kind: Some(FaultKind::Internal),
        title: "the result of a stage is missing or unreadable",
        explanation: "Something else altered the state of the pipeline under `.botops/pipelines`. Remove the folder of the named stage and run again to rebuild it.",
    },
    Entry {
        code: "BOT-8031",
        kind: Some(FaultKind::Gate),
        title: "a registered version no longer exists",
        explanation: "The pipeline registered a version that the registry no longer has: the registry was replaced or emptied. Remove the folder of the push stage to register the version again.",
    },
    Entry {
        code: "BOT-8040",
        kind: Some(FaultKind::Internal),
        title: "a command cannot be started",
        explanation: "A shell stage needs `sh`, which was not found or could not be started.",
    },
    Entry {
        code: "BOT-8023",
        kind: None,
        title: "the promoted version is no longer the champion",
        explanation: "The promotion and everything it depends on are unchanged, so it is not repeated. The champion was moved afterwards, for example by a rollback. `botops registry log` shows by whom and why. A new model goes through its own canary.",
    },
    Entry {
        code: "BOT-8041",
        kind: Some(FaultKind::Usage),
        title: "a shell stage wrote files that cannot be kept",
        explanation: "The outputs of a shell stage are the files it writes directly into `$BOTOPS_OUTPUT`. Folders are not supported there, and neither is a file named `stage.json`, which botops uses to record the stage.",
    },
    Entry {
        code: "BOT-8042",
        kind: Some(FaultKind::Usage),
        title: "invalid search settings",
        explanation: "`botops tune` needs a `tune:` block in the pipeline and a train stage whose `model:` is the starting point. It needs at least 2 trials, 2 to 100 folds, a halving factor of at least 2, and a first share above 0 and at most 1.",
    },
    Entry {
        code: "BOT-8043",
        kind: Some(FaultKind::Usage),
        title: "a search setting without a valid range",
        explanation: "Give each setting of the search space as one of `choice: [...]`, `uniform: [low, high]`, `log_uniform: [low, high]`, `integer: [low, high]` or `log_integer: [low, high]`. The smaller end comes first. A logarithmic range starts above 0.",
    },
    Entry {
        code: "BOT-8044",
        kind: Some(FaultKind::Usage),
        title: "invalid search space",
        explanation: "Cross-validation cannot choose this setting (the seed, the fallback and the number of goldens are such), or no combination of the given values is a configuration that can be trained.",
    },
    Entry {
        code: "BOT-8045",
        kind: Some(FaultKind::Usage),
        title: "invalid shard",
        explanation: "Give each machine that shares a search its shard as `--shard 0/4`, `--shard 1/4` and so on. Shards are numbered from 0, as are the pods of an indexed Kubernetes job. If `JOB_COMPLETION_INDEX` gives the number, give the total with `--shards 4`.",
    },
    Entry {
        code: "BOT-8046",
        kind: Some(FaultKind::Gate),
        title: "results of another search",
        explanation: "The results of trials are stored under `tunes/<search>/trials` of the experiments store. An object there belongs to another search, is damaged, or was written by a newer botops. Nothing was changed. Remove the named object and run again to repeat that trial.",
    },
    Entry {
        code: "BOT-8047",
        kind: Some(FaultKind::Gate),
        title: "no trial could be trained",
        explanation: "None of the configurations of the search, nor its starting point, could be trained on the data. The message contains the first failure.",
    },
    Entry {
        code: "BOT-8048",
        kind: Some(FaultKind::Internal),
        title: "the winner cannot be written",
        explanation: "The winning configuration changed when it was written as YAML and read back. This is a bug in botops. Please report it with the pipeline file.",
    },
];
