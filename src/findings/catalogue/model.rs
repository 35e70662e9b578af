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
        explanation: "A number under `features:`, `head:`, `fallback:` or `conformal:` is outside what can be trained. The message names the key and what it may be.",
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
        code: "BOT-7020",
        title: "an encoder's files are not there",
        explanation: "An encoder is a folder in the Hugging Face layout: config.json, tokenizer.json and model.safetensors, and perhaps 1_Pooling/config.json. The message names the file that is missing or cannot be read, and the hint says how it is made from what other formats hold.",
    },
    Entry {
        code: "BOT-7021",
        title: "an encoder's config is not one that botops runs",
        explanation: "botops runs encoders of the families BERT (MiniLM included) and DistilBERT, with absolute positions, the activations gelu, gelu_new and relu, and pooling by the mean or by the first token. The message names what config.json or 1_Pooling/config.json says instead, or which of its numbers cannot be.",
    },
    Entry {
        code: "BOT-7022",
        title: "an encoder's weights are cut short or not those of its config",
        explanation: "model.safetensors could not be read to its end, or a tensor that config.json asks for is missing, there twice, or of another shape. Both files come from the same model: copy or download them again, together.",
    },
    Entry {
        code: "BOT-7023",
        title: "an encoder's weights hold NaN or infinity",
        explanation: "With such a weight every embedding is NaN. The training of that encoder diverged, or the file was altered on its way. Take another checkpoint.",
    },
    Entry {
        code: "BOT-7024",
        title: "an encoder's tokenizer is not the one it was trained with",
        explanation: "tokenizer.json is malformed, gives numbers that the table of embeddings does not have, knows far fewer tokens than there are embeddings, or lacks the special tokens. With the wrong tokenizer an encoder still answers, and its answers mean nothing; so it is refused. Copy tokenizer.json from where model.safetensors came from.",
    },
    Entry {
        code: "BOT-7025",
        title: "a setting of the encoder is out of range",
        explanation: "`source` is a folder or `hf://owner/name[@revision]`; `max_tokens` is at least 2, for the special tokens, and at most the number of positions that the encoder was trained with (512 for most).",
    },
    Entry {
        code: "BOT-7060",
        title: "the stated accuracy cannot be shown",
        explanation: "`fallback.target_accuracy` asks for a threshold above which that share of the answered messages is right, with 95 % confidence. It is sought on records kept aside (out of fold, half of them), and even the surest of those are too few, or too often wrong, to show it; an answered out-of-scope record counts as wrong. The message names the accuracy that is shown: state that or less, add records, or correct wrong labels. To show 0.9 takes at least 29 records without an error, to show 0.99 at least 299.",
    },
    Entry {
        code: "BOT-7061",
        title: "too few out-of-scope records to learn from",
        explanation: "With `fallback.score: oos_class` the model learns what is out of scope as a class that is never an answer, which takes at least 10 records labelled `oos`. Label some, or choose `max_probability`, `max_logit`, `energy` or `centroid`, which need none.",
    },
    Entry {
        code: "BOT-7062",
        title: "too few out-of-scope records to compare scores on",
        explanation: "`fallback.score: auto` chooses the score that does best on the records labelled `oos`: 30 are needed, and 60 with `target_accuracy`, since only half of the records choose there. With fewer, the confidence (`max_probability`) decides, as when no score is named. Label more of what is out of scope, or name the score.",
    },
];
