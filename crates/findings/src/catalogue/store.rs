//! 5xxx: store, registry and runs.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-5001",
        title: "a location names no store",
        explanation: "A store is a path such as `registry`, a URL such as `file:///srv/registry`, or `s3://bucket/prefix`. Credentials and endpoints come from the `AWS_*` variables, never from the location. Plain http is for loopback, unless `AWS_ALLOW_HTTP=true`.",
    },
    Entry {
        code: "BOT-5002",
        title: "the store refuses to be read or written",
        explanation: "The disk is full or read-only, a permission is lacking, or the bucket refuses the credentials. Trying again would end the same: the message names the cause, and the place names the object.",
    },
    Entry {
        code: "BOT-5003",
        title: "the store cannot be reached",
        explanation: "The store did not answer, or answered that it is overloaded, for several seconds and several tries. Nothing is half written: every change is one object that is there or not. Run the command again when the store answers.",
    },
    Entry {
        code: "BOT-5004",
        title: "a blob is missing",
        explanation: "A manifest or log names a blob that the store does not hold: it was deleted, or copied incompletely. Restore the object from a backup, or register the model again from its file.",
    },
    Entry {
        code: "BOT-5005",
        title: "a blob does not match its digest",
        explanation: "A blob's name is the SHA-256 of its bytes, and these bytes have another: the object was truncated or altered. It is not used. Restore it from a backup, or delete it and register the model again.",
    },
    Entry {
        code: "BOT-5006",
        title: "a stored record is damaged, missing or contradicts itself",
        explanation: "The entries of a log are numbered without gaps, each holds the digest of the one before and begins with its own. One of these does not hold, so the log was altered or lost an entry, or a run record cannot be read. `botops registry verify` lists everything that is wrong; restore the objects from a backup.",
    },
    Entry {
        code: "BOT-5007",
        title: "a stored format is newer than this program",
        explanation: "A newer botops wrote this object. Install that version or a later one; nothing was changed.",
    },
    Entry {
        code: "BOT-5008",
        title: "the bucket does not exist",
        explanation: "botops never creates buckets. Create it, or correct the location or `AWS_ENDPOINT_URL`.",
    },
    Entry {
        code: "BOT-5010",
        title: "a reference cannot be understood",
        explanation: "A version is named `model@12`, `model@champion` (or another alias), `model@latest` or `model@sha256:…` (at least 8 hex digits of the manifest's digest); a bare `model` is its champion.",
    },
    Entry {
        code: "BOT-5011",
        title: "the registry has no such model",
        explanation: "No version of that name was ever registered in this store. `botops registry list` shows the models there are; check also that the registry is the one you mean.",
    },
    Entry {
        code: "BOT-5012",
        title: "the model has no such version or alias",
        explanation: "The number, alias or digest names no version of this model, or a digest's first digits name several. `botops registry list MODEL` lists versions and aliases.",
    },
    Entry {
        code: "BOT-5013",
        title: "a name cannot be used",
        explanation: "Names of models and aliases begin with a lowercase letter and go on with lowercase letters, digits, `-` and `_`, 64 characters at most; `latest` is no name for an alias, because it always means the newest version.",
    },
    Entry {
        code: "BOT-5014",
        title: "an alias was moved meanwhile",
        explanation: "Between reading the alias and moving it, someone else moved it; the message names who, when and why. Nothing was written. Look at the history with `botops registry log MODEL`, decide again, and repeat the command.",
    },
    Entry {
        code: "BOT-5015",
        title: "`champion` moves only by promotion",
        explanation: "The champion serves all traffic, so it moves only with proof that the gates were passed: `botops promote` or `botops rollback`.",
    },
    Entry {
        code: "BOT-5016",
        title: "the passed gates are about another model",
        explanation: "The proof names the digest of the model file it judged, and this version holds another file. Evaluate and gate the very version that is to be promoted.",
    },
    Entry {
        code: "BOT-5017",
        title: "the version has no gate report",
        explanation: "It was registered without having passed gates, so it cannot become champion. Evaluate and gate it, then push it with its report: `botops push` takes the report along.",
    },
    Entry {
        code: "BOT-5018",
        title: "the version has no such file",
        explanation: "`botops registry show MODEL@VERSION` lists the files of a version.",
    },
    Entry {
        code: "BOT-5019",
        title: "something inconsistent was about to be stored",
        explanation: "A manifest and its files disagree, or a record could not have been read back. Nothing was written. Please report it, with the command that led to it.",
    },
    Entry {
        code: "BOT-5020",
        title: "no run, or several, have that id",
        explanation: "A run is named by its whole id, by its unique first characters, or by `latest`. `botops runs list` shows the ids.",
    },
    Entry {
        code: "BOT-5030",
        title: "the store overwrites what is there",
        explanation: "Everything durable rests on creating an object only if it is not there yet (put-if-absent). This store said yes twice to the same name, so two writers at once could lose one another's entries. Use a local disk, Amazon S3 or a server that honours `If-None-Match: *`; `botops doctor --probe` tells.",
    },
    Entry {
        code: "BOT-5031",
        title: "a rollback to what never was champion",
        explanation: "A rollback gives traffic back to a version that had it before, with the evidence that made it champion then. Any other version comes to serve through a promotion, with its gates and its canary.",
    },
    Entry {
        code: "BOT-5032",
        title: "no run can be compared by that",
        explanation: "`botops runs best` compares runs that have the metric and were measured on the same data in the same way. No run is left that fits. `botops runs list` shows the runs there are; train with `--test` (and `--record`) so that a run is measured.",
    },
    Entry {
        code: "BOT-5033",
        title: "metrics of runs were measured on different data",
        explanation: "The runs stand side by side, but their metrics do not: a model on one test set and another model on another differ by the data as well. Evaluate both models on the same data, and compare those.",
    },
    Entry {
        code: "BOT-5034",
        title: "a run made no model that could be made again",
        explanation: "Only a run that trained a model can be reproduced, and only when it says what it learned from. Runs of other kinds are repeated by running their command again.",
    },
    Entry {
        code: "BOT-5035",
        title: "the data of a run is not in the store",
        explanation: "A run keeps the data it learned from, unless it was recorded by a botops that did not, or the blob was taken away. Give the file with `--data`: it is used if its digest is the one recorded, so it has to be the very same file.",
    },
    Entry {
        code: "BOT-5036",
        title: "the data given is not the data of the run",
        explanation: "The digest of the file is another than the run recorded. A model made from it would say nothing of the run. Find the file as it was then; an editor that changed line ends or the order of records is enough to make it another.",
    },
    Entry {
        code: "BOT-5037",
        title: "a run did not come out again",
        explanation: "Trained again from its record, the model is not the same to the byte. The first step that differs says where to look: data and records, then settings, intents, vocabulary, weights, calibration, goldens. Another version of botops or another kind of processor are the usual reasons; what is otherwise than then is listed.",
    },
    Entry {
        code: "BOT-5038",
        title: "a metric is unknown, or nothing says which way it is better",
        explanation: "No run has a metric of that name; the hint names the nearest. Or it is one that botops does not know, and then `--better higher` or `--better lower` says whether more of it or less is better.",
    },
    Entry {
        code: "BOT-5039",
        title: "what runs were measured on cannot be told",
        explanation: "`--data` takes the digest of test data (or its first digits) that some run was measured on, and `--same-as` a run that has metrics and names its test data. The hints list the data there is.",
    },
    Entry {
        code: "BOT-5040",
        title: "a tracking server is not named by a plain URL",
        explanation: "MLflow's tracking server is named by the address at which its pages are, such as `http://127.0.0.1:5000`, with `--url` or `MLFLOW_TRACKING_URI`. Credentials never stand in it: `MLFLOW_TRACKING_TOKEN`, or `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, are read from the environment.",
    },
    Entry {
        code: "BOT-5041",
        title: "the tracking server cannot be reached",
        explanation: "It did not answer, or answered that it is not well, for several tries. Run the same export again: the run over there is found by a tag with its id here and completed, never made twice.",
    },
    Entry {
        code: "BOT-5042",
        title: "the tracking server refuses the caller",
        explanation: "It wants credentials, or other ones, or does not take requests for the host name used (`mlflow server --allowed-hosts`). The message is the server's own.",
    },
    Entry {
        code: "BOT-5043",
        title: "the tracking server says no, or is none",
        explanation: "The server refused a request for a reason of its own, which the message repeats, or what answers at that address is not MLflow's tracking API. What was exported until then stays, and the next export goes on from there.",
    },
    Entry {
        code: "BOT-5044",
        title: "files of a run were not exported",
        explanation: "The experiment on the tracking server keeps files in a place that the server does not pass on to (`--serve-artifacts` with an `mlflow-artifacts:` root). Params, metrics and tags were exported; the files stay where they are, and a tag names the run. Make the experiment on a server that serves artifacts, or name another with `--experiment`.",
    },
    Entry {
        code: "BOT-5046",
        title: "a store holds more than runs",
        explanation: "`botops runs gc` removes the blobs that no run and no version refers to. This store also holds something that this botops does not know, and which may refer to blobs as well, so nothing was removed. Keep the runs in a folder or prefix of their own, or use the version of botops that wrote the rest.",
    },
    Entry {
        code: "BOT-5048",
        title: "a file changed while it was being worked on",
        explanation: "What is kept with a run is what it learned from, and what a snapshot holds is what was there, byte for byte. The file is not any more what was read at the beginning. Run again, and leave the file alone meanwhile.",
    },
    Entry {
        code: "BOT-5060",
        title: "a snapshot is not named as snapshots are",
        explanation: "A snapshot of a data set is named `name@3` (the third that was taken), `name@latest`, or `name@sha256:` and at least eight digits of its identity; a bare `name` means the latest. One of its files is named after a colon: `name@3:train.csv`.",
    },
    Entry {
        code: "BOT-5061",
        title: "a data set cannot have this name",
        explanation: "Names become folders in buckets and on disks that tell upper from lower case and on others that do not: they have up to 64 lowercase letters, digits, `-` and `_`. Without `--name`, the name of the file or folder is taken.",
    },
    Entry {
        code: "BOT-5062",
        title: "something cannot be stored in a snapshot",
        explanation: "A snapshot holds plain files under names that can be written back on every system. Symbolic links in a folder, devices and pipes, names that are not UTF-8, files that may not be read, and two files of one name are refused, each with its path, and nothing is stored. The registry cannot be stored in itself.",
    },
    Entry {
        code: "BOT-5063",
        title: "there is no data set of that name",
        explanation: "The registry in force has no snapshot under that name. The hint names the nearest; `botops data log` lists what there is, and `botops doctor` says which registry is in force.",
    },
    Entry {
        code: "BOT-5064",
        title: "there is no such snapshot, or no such file in it",
        explanation: "Snapshots are numbered from 1 in the order in which they were taken. Where one file is wanted and the snapshot has several, name it: `name@3:train.csv`.",
    },
    Entry {
        code: "BOT-5065",
        title: "a snapshot cannot be written there",
        explanation: "A snapshot is written into a folder of its own, which is not there before, or holds just this snapshot already. Nothing is overwritten and nothing is mixed. Two runs do not write into one folder at the same time.",
    },
];
