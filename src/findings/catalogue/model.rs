//! 7xxx: training and model files.

use super::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "BOT-7001",
        title: "a file is not a model",
        explanation: "The file does not begin as a `.botops` model file does. Check the path; a model is written by `botops train … --out model.botops` or pulled from the registry.",
    },
    Entry {
        code: "BOT-7002",
        title: "a model file is truncated or altered",
        explanation: "The digest kept in the file is not that of its contents: it was cut short or changed on the way. Copy it again, pull it again from the registry, or train the model again.",
    },
    Entry {
        code: "BOT-7003",
        title: "a model file is malformed",
        explanation: "The file is complete but its contents contradict each other. Train the model again, or pull it again from the registry.",
    },
    Entry {
        code: "BOT-7004",
        title: "a model file is of a newer format",
        explanation: "A newer botops wrote the file, and this one does not know its format. Upgrade botops, or train the model with this version.",
    },
    Entry {
        code: "BOT-7010",
        title: "a setting of the model is out of range",
        explanation: "A number under `features:`, `head:` or `fallback:` is outside what can be trained. The message names the key and what it may be.",
    },
    Entry {
        code: "BOT-7011",
        title: "too few examples to train on",
        explanation: "Training needs at least 10 records in all and 2 of every intent, so that one can be kept aside to calibrate confidence. Add records, or leave out the intents that are too rare.",
    },
    Entry {
        code: "BOT-7012",
        title: "no term is left to learn from",
        explanation: "With these n-grams and this `min_df`, no word or group of characters is common enough to be a feature. Lower `min_df`, or add n-grams of characters.",
    },
    Entry {
        code: "BOT-7013",
        title: "a tree could not be grown",
        explanation: "The decision-tree library refused the data of a node. This is a bug of botops: please report it with the command you ran.",
    },
    Entry {
        code: "BOT-7014",
        title: "a head does not fit the features",
        explanation: "Not every classifier learns from every kind of features: naive Bayes wants counts (`tfidf` or `stacked`), a random forest wants terms (`tfidf`), fine-tuning wants an encoder (`encoder` or `stacked`). `linear_svm` and `logistic_regression` learn from all of them.",
    },
    Entry {
        code: "BOT-7070",
        title: "a model cannot be explained term by term",
        explanation: "An explanation adds up what each term contributes to a score, which only linear heads do: a random forest votes. Train a linear head (`--head linear_svm` or `logistic_regression`) to see its reasons.",
    },
];
