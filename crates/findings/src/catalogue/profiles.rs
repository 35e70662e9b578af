//! 226x: reference profiles.

use super::entry::Entry;
use crate::fault_kind::FaultKind;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-2260",
        kind: Some(FaultKind::Gate),
        title: "a reference profile is damaged, or the file is none",
        explanation: "A reference profile is one JSON document of at most 4 MiB with the schema `botops.reference/1`: counts of rows, words and predictions. This one cannot be read, or its counts cannot be those of any rows. Write it again with `botops data profile DATA --out X.profile.json`; if it is part of a model file, train the model again.",
    },
    Entry {
        code: "BOT-2261",
        kind: Some(FaultKind::Gate),
        title: "a reference profile is that of a model with other intents",
        explanation: "A profile with predictions holds how often each intent was predicted, so it can be compared only with predictions of the same intents. Name the model that made the profile, or compare with the profile of the model in question: `botops drift CURRENT --model MODEL`.",
    },
    Entry {
        code: "BOT-2262",
        kind: Some(FaultKind::Gate),
        title: "a reference profile is that of another model",
        explanation: "Two models with the same intents predict otherwise on the same texts, with other confidences, so a difference between their profiles says nothing about the data. Compare with the profile of this model, or write the profile again with it. Profiles without predictions can be compared with any other.",
    },
    Entry {
        code: "BOT-2263",
        kind: Some(FaultKind::Policy),
        title: "a newer botops wrote the reference profile",
        explanation: "The profile has a schema that this version does not know. Use the version of botops that wrote it, or a newer one, or write the profile again with this version.",
    },
    Entry {
        code: "BOT-2264",
        kind: Some(FaultKind::Gate),
        title: "a reference profile would be too large",
        explanation: "A profile has at most 4 MiB, so that it can be part of every model file. It grows with the number of different names of categories, such as intents and languages. A column with thousands of names is usually one of ids or texts that was declared as intents.",
    },
    Entry {
        code: "BOT-2265",
        kind: Some(FaultKind::Gate),
        title: "a finished profile cannot be merged",
        explanation: "A finished profile has no words that fewer than 5 conversations used. In a merged profile such a word may be frequent, so its count would be wrong. Only the partial profiles that `--shard` writes can be merged.",
    },
    Entry {
        code: "BOT-2266",
        kind: Some(FaultKind::Usage),
        title: "the model has no reference profile",
        explanation: "A profile of the training data is part of every model file that this version of botops trains. This file was written by an older version, so there is nothing to compare with. Train the model again, or name the training data: `botops drift TRAIN CURRENT --model MODEL`.",
    },
    Entry {
        code: "BOT-2267",
        kind: Some(FaultKind::Gate),
        title: "a part of a sharded profile is missing",
        explanation: "`--merge` reads the parts that `--shard 0/n` to `--shard (n-1)/n` wrote to the store, and one of them is not there yet, or is of another data file or model. A merged profile without it would be wrong. Run the missing shard again; a shard that has written its part writes the same bytes again.",
    },
    Entry {
        code: "BOT-2268",
        kind: Some(FaultKind::Usage),
        title: "one side of a comparison is missing",
        explanation: "`botops drift` compares two sides: `botops drift REFERENCE CURRENT`. With one file and a model, `botops drift CURRENT --model MODEL`, the reference is the profile of the training data in the file of the model.",
    },
    Entry {
        code: "BOT-2269",
        kind: Some(FaultKind::Usage),
        title: "standard input cannot be read twice",
        explanation: "`botops data profile --out` reads the data once to describe it and once to make the profile for `botops drift`. Standard input can be read only once. Write it to a file first.",
    },
];
