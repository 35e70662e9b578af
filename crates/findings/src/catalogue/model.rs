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
        code: "BOT-7026",
        title: "the hub of encoders cannot be reached",
        explanation: "An encoder named `hf://owner/name` is not in the cache folder yet, and the hub could not be asked: there is no network, it does not answer, or it was not to be asked. Trying again is safe. Without a network, give the path of a folder that holds the encoder as `source`, or copy the cache folder from a machine that has it. `HF_ENDPOINT` names another hub.",
    },
    Entry {
        code: "BOT-7027",
        title: "the hub has no such encoder, or does not give it",
        explanation: "The hub answered that the encoder, the revision or one of its files is not there, or that it may not be read without a token, or with this one; of private encoders it says the same as of those that do not exist. Check `hf://owner/name@revision`; for a private or gated encoder set `HF_TOKEN`. An encoder without model.safetensors or tokenizer.json has to be converted first.",
    },
    Entry {
        code: "BOT-7028",
        title: "a cache cannot be used",
        explanation: "The folder in which encoders or embeddings are kept cannot be written, read or listed, or holds a segment that was cut short, altered, or written by another encoder or version. A segment that cannot be trusted is ignored and its texts are embedded again: remove the file. Caches hold nothing that cannot be made again, so the whole folder may be removed.",
    },
    Entry {
        code: "BOT-7029",
        title: "a downloaded encoder is not what it should be",
        explanation: "What came is shorter, longer or of another SHA-256 than the hub announced, or a file of the cache folder changed after it was downloaded. Nothing of it was used. Try the download again; remove the folder that the message names to have it fetched anew.",
    },
    Entry {
        code: "BOT-7030",
        title: "too few records to fine-tune on",
        explanation: "An intent has no record, so that nothing can be learnt of it. Add records of it, or leave it out.",
    },
    Entry {
        code: "BOT-7031",
        title: "a checkpoint of another run",
        explanation: "The folder of checkpoints holds one that was written with other data, another encoder, other settings, another seed, another kind of device or another version of botops. Going on from it would mix two runs, so it is not used. Name another folder, or delete this one to begin anew.",
    },
    Entry {
        code: "BOT-7032",
        title: "fine-tuning diverged",
        explanation: "The loss or its gradient is no number any more, which steps that are too large bring about. Nothing was written over: the last checkpoint stands. Lower `learning_rate` (and `head_learning_rate`) under `fine_tuning:`, lengthen the warm-up by `warmup_share`, or set `clip_norm: 1`.",
    },
    Entry {
        code: "BOT-7033",
        title: "no checkpoint is whole",
        explanation: "There are checkpoints in the folder, and the digest of none is that of its contents: files were cut short, altered or lost. A kill or a power cut does not do that, a failing disk or a hand may. Delete the folder to begin anew.",
    },
    Entry {
        code: "BOT-7034",
        title: "a checkpoint cannot be read or written",
        explanation: "The operating system refused a file in the folder of checkpoints: no room, no permission, a read-only disk. What was saved before stands; the same command goes on from there once the folder can be written.",
    },
    Entry {
        code: "BOT-7035",
        title: "the device failed",
        explanation: "A computation on the processor or the GPU failed, most often because a GPU has too little memory even for a few texts at once. Lower `max_batch_tokens` under `fine_tuning:`, shorten texts by `max_tokens` under `encoder:`, or use the processor.",
    },
    Entry {
        code: "BOT-7050",
        title: "the features ask for an encoder, and none was given",
        explanation: "`features.kind` is `encoder`, `concatenated` or `stacked`, and the training was not handed the encoder that `features.encoder` names. The command line and pipelines read it themselves; whoever trains through the library passes it in `Resources`.",
    },
    Entry {
        code: "BOT-7051",
        title: "a logistic regression on embeddings could not be fitted",
        explanation: "The library that minimises its loss found no way down, or ran out of numbers. Regularise more (a smaller `c` under `head:`, or `dense_c` where features are stacked), or ask for less precision (a larger `tolerance`).",
    },
    Entry {
        code: "BOT-7052",
        title: "a fine-tuned model cannot be refitted on its own reference",
        explanation: "Drift is judged against records that the model did not learn from. For the very file it learned from, the model is trained again without each third of it, which a fine-tuned encoder makes too dear. Give another reference: the test side of the split, or records of after the training.",
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
    Entry {
        code: "BOT-7063",
        title: "a score that a fine-tuned model does not have",
        explanation: "Nearness to the intents' centroids is measured out of fold, in an embedding that is the same for every fold; one that is fine-tuned with the head is another in each. So `fallback.score: centroid` is refused with `head.kind: fine_tuned`, and `auto` compares the scores of that one model alone: `max_probability`, `max_logit` and `energy`. `oos_class` may be named: the model is then fine-tuned with the out-of-scope records as one class more.",
    },
    Entry {
        code: "BOT-7064",
        title: "cross-validation does not judge the fallback that is asked for",
        explanation: "`fallback.target_accuracy` and every score but the confidence are found in training, out of fold, and a fold of a fold has too few records for that. So the folds decline below `fallback.threshold` of the confidence: the share that falls back and the out-of-scope figures are about that. Accuracy, macro-F1, calibration and log loss are not touched by it. Train the configuration to see what it finds, and evaluate the model on data of its own to see what it does.",
    },
    Entry {
        code: "BOT-7065",
        title: "sets of intents that leave nothing out",
        explanation: "A set (`conformal:`) leaves an intent out when that goes wrong for no more than the share `alpha` of messages, and that has to be seen on records: on (1 - alpha) / alpha of them at least, so 9 for 0.1, 99 for 0.01; with `class_conditional`, that many of each intent. With fewer, the promise is kept by a set that holds everything, of which nobody has any use. Label more, raise `alpha`, or leave `class_conditional` out.",
    },
    Entry {
        code: "BOT-7066",
        title: "a setting that another one leaves nothing to say",
        explanation: "A key of a model configuration is not looked at because of another one: a `threshold` beside a `target_accuracy` that finds it, `lambda` and `k_reg` with another method than `raps`, or a setting of a head that is not the one of `head.kind`. The model is trained without it; take it out, or change the other.",
    },
    Entry {
        code: "BOT-7067",
        title: "records without a text were classified",
        explanation: "A record whose text is empty or missing gets a row like any other, so that rows and records stay side by side: an empty text, the intent that leads without evidence, the same probability for every intent, and `fallback: true`. A reply is never to be chosen by it.",
    },
    Entry {
        code: "BOT-7070",
        title: "a model cannot be explained term by term",
        explanation: "An explanation adds up what each term contributes to a score, which only linear heads do: a random forest votes. Train a linear head (`--head linear_svm` or `logistic_regression`) to see its reasons.",
    },
];
