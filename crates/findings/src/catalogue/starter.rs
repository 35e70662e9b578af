//! 117x: the files of a new workspace.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-1170",
        kind: Some(FaultKind::Usage),
        title: "a file is in the place of a folder",
        explanation: "`botops init` writes files into folders such as `pipelines`. A file has the name of such a folder, or a folder has the name of such a file. Nothing was written. Rename it, or name another folder: `botops init DIR`.",
    },
    Entry {
        code: "BOT-1171",
        kind: Some(FaultKind::Usage),
        title: "the data of a new workspace is not a file",
        explanation: "`botops init --data FILE` infers expectations from one file of utterances with their intents, and writes its path into the pipeline. Standard input, a folder and a pattern have no such path. Name a file; `data:` of the pipeline may name several files later, such as `data/part-*.csv`.",
    },
    Entry {
        code: "BOT-1172",
        kind: Some(FaultKind::Gate),
        title: "the data has fewer than two intents",
        explanation: "A model tells intents apart, so its data needs at least two of them, besides out of scope. Label the records, or name the column of the labels with `--intent-column`. Nothing was written.",
    },
    Entry {
        code: "BOT-1173",
        kind: Some(FaultKind::Usage),
        title: "workflows belong to the root of the repository",
        explanation: "GitHub and GitLab read workflows only at the root of a repository, and the workspace is in a folder below it. Run `botops init --ci` in the root, or leave `--ci` out and call `botops -C FOLDER run pipelines/weekly.yaml` from a workflow of your own. Nothing was written.",
    },
    Entry {
        code: "BOT-1174",
        kind: None,
        title: "the data of the workspace is an example",
        explanation: "Without `--data`, `botops init` writes a small set of utterances, so that every command can be tried. A model trained on it knows nothing of your users. Replace the utterances and their expectations with yours.",
    },
    Entry {
        code: "BOT-1175",
        kind: None,
        title: "git does not ignore the local stores",
        explanation: "`botops init` changes no existing file, and the existing `.gitignore` lacks lines for caches (`.botops/`) and for the local registry and runs. Add them, or these files are committed.",
    },
    Entry {
        code: "BOT-1176",
        kind: Some(FaultKind::Usage),
        title: "the pipeline has no model to compare",
        explanation: "`botops pipeline diff` compares the data of two pipelines and the models that they train. It needs the stages `validate`, `split`, `train` and `evaluate`; a `gate` stage adds its rules. `botops data diff` compares data alone.",
    },
    Entry {
        code: "BOT-1177",
        kind: None,
        title: "test records that the model before had learned",
        explanation: "A text of the test side stood in the training data of the side before, so the model before knows its answer. Such records are left out of the comparison of both models. A split with a `lock` keeps every record on its side.",
    },
    Entry {
        code: "BOT-1195",
        kind: Some(FaultKind::Usage),
        title: "a server that others can reach lacks a protection",
        explanation: "`botops doctor --strict` checks the settings for a server on a network: who may call is written down, TLS is on or a trusted proxy ends it, metrics are not open, a policy is enforced, the keys that servers share are set, one address cannot use up the server, and the model is monitored. It checks them for the address of `--listen` or `BOTOPS_LISTEN`; a server on a loopback address needs none. Write the setting that the message names. `docs/operations/configure.md` has files that pass.",
    },
];
