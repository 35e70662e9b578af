//! Fine-tuning of a tiny encoder: it learns, and gives the same bytes with any threads and interruptions.

use super::*;
use crate::{ClassWeight, Silent};
use botops_features::encoder::{EncoderFiles, EncoderSpec};
use botops_findings::FaultKind;
use botops_tiny_encoder::Tiny;
use std::{fs, sync::Mutex};

/// Returns four intents of twelve utterances, each intent with its own word.
fn data() -> (Vec<String>, Vec<u32>) {
    let topics = ["card", "transfer", "exchange", "refund"];
    let forms = [
        "my {} is lost",
        "what is the {}?",
        "how do i {} money",
        "please, {}!",
        "why {} failed",
        "{} not working",
        "when is my {}",
        "where is the {} account",
        "change the {}",
        "new {} please",
        "i {} cash",
        "do {} to a pin",
    ];
    let rows = topics.iter().zip(0_u32..).flat_map(|(topic, intent)| {
        forms.iter().map(move |form| (form.replace("{}", topic), intent))
    });
    rows.unzip()
}

fn encoder() -> Encoder {
    let files = Tiny::bert().files();
    let files = EncoderFiles {
        config: files["config.json"].clone(),
        tokenizer: files["tokenizer.json"].clone(),
        weights: files["model.safetensors"].clone(),
        pooling: None,
    };
    Encoder::new(&files, &EncoderSpec::new("tiny")).unwrap()
}

fn spec() -> FineTuningSpec {
    FineTuningSpec {
        epochs: 3,
        batch_size: 8,
        learning_rate: 2e-3,
        head_learning_rate: 1e-2,
        validation_share: 0.2,
        ..FineTuningSpec::default()
    }
}

fn tune_in(
    spec: &FineTuningSpec,
    seed: u64,
    folder: Option<&Path>,
    progress: &dyn Progress,
) -> Result<FineTuned> {
    let (texts, y) = data();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let input = FineTuningInput {
        encoder: &encoder(),
        texts: &texts,
        y: &y,
        n_classes: 4,
        spec,
        seed,
        checkpoints: folder,
    };
    fine_tune(&input, progress)
}

fn tune(spec: &FineTuningSpec) -> FineTuned {
    tune_in(spec, 1, None, &Silent).unwrap()
}

/// Returns weights, history and scores of a run, bit for bit.
fn bits(tuned: &FineTuned) -> (Vec<u32>, Vec<EpochRecord>, Vec<u64>) {
    let tensors = tuned.encoder.tensors();
    let weights =
        tensors.iter().flat_map(|tensor| &tensor.values).chain(&tuned.weights).chain(&tuned.bias);
    let scores = tuned.held_out.scores.iter().map(|score| score.to_bits()).collect();
    (weights.map(|weight| weight.to_bits()).collect(), tuned.history.clone(), scores)
}

#[test]
fn fine_tuning_learns_the_words_of_the_intents() {
    let spec = FineTuningSpec { epochs: 12, ..spec() };
    let tuned = tune(&spec);
    let first = &tuned.history[0];
    let last = &tuned.history[11];
    assert!(last.train_loss < 0.5 * first.train_loss, "{first:?} {last:?}");
    assert!(last.validation_accuracy > Some(0.8), "{last:?}");
    assert_eq!(tuned.epoch, 12);
    assert_eq!((tuned.device, tuned.resumed_from, tuned.notes.len()), ("cpu", None, 0));
    assert!(!tuned.encoder.normalise());
    assert_eq!((tuned.weights.len(), tuned.bias.len()), (4 * 32, 4));
    let HeldOutScores { rows, scores } = &tuned.held_out;
    assert!((8..=12).contains(&rows.len()) && scores.len() == 4 * rows.len());
    let right = rows.iter().zip(scores.chunks(4)).filter(|(row, scores)| {
        let best = (0..4).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
        best as u32 == *row / 12
    });
    assert_eq!(Some(right.count() as f64 / rows.len() as f64), last.validation_accuracy);
}

#[test]
fn held_out_scores_match_the_encoder_and_the_classifier() {
    let tuned = tune(&FineTuningSpec { epochs: 1, ..spec() });
    let (texts, _) = data();
    let rows: Vec<&str> =
        tuned.held_out.rows.iter().map(|&row| texts[row as usize].as_str()).collect();
    let embeddings = tuned.encoder.embed(&rows, &|_| ());
    for (embedding, scores) in embeddings.chunks(32).zip(tuned.held_out.scores.chunks(4)) {
        for (intent, score) in scores.iter().enumerate() {
            let weights = &tuned.weights[intent * 32..][..32];
            let sum: f32 = embedding.iter().zip(weights).map(|(x, w)| x * w).sum();
            assert!((f64::from(sum + tuned.bias[intent]) - score).abs() < 1e-4);
        }
    }
}

#[test]
fn all_tensors_change_except_frozen_ones() {
    let before = encoder().tensors();
    for freeze_embeddings in [true, false] {
        let after =
            tune(&FineTuningSpec { epochs: 1, freeze_embeddings, ..spec() }).encoder.tensors();
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.name, after.name);
            let frozen = freeze_embeddings && before.name.starts_with("embeddings.");
            assert_eq!(before.values == after.values, frozen, "{}", before.name);
        }
    }
}

#[test]
fn training_the_classifier_first_lowers_the_first_loss() {
    let first_loss = |head_epochs| {
        let spec = FineTuningSpec { epochs: 1, learning_rate: 1e-6, head_epochs, ..spec() };
        tune(&spec).history[0].train_loss
    };
    let (trained, random) = (first_loss(300), first_loss(0));
    assert!(trained < 0.7 * random, "{trained} {random}");
}

#[test]
fn the_seed_determines_the_result() {
    let spec = FineTuningSpec { epochs: 1, ..spec() };
    let with_seed = |seed| bits(&tune_in(&spec, seed, None, &Silent).unwrap());
    assert_eq!(with_seed(1), with_seed(1));
    assert_ne!(with_seed(1).0, with_seed(2).0);
}

#[test]
fn the_number_of_threads_does_not_change_the_result() {
    let spec = FineTuningSpec { epochs: 1, batch_size: 32, ..spec() };
    let on = |n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| bits(&tune(&spec)))
    };
    assert_eq!(on(1), on(2));
}

/// Panics after the given number of steps, to simulate a kill.
struct Interruption(Mutex<u64>);

impl Progress for Interruption {
    fn begin(&self, _: &'static str, _: u64) {}
    fn advance(&self, done: u64) {
        let mut left = self.0.lock().unwrap();
        *left = left.saturating_sub(done);
        if *left == 0 {
            drop(left);
            panic!("the run is interrupted");
        }
    }
    fn finish(&self) {}
}

/// Runs until step `step` is complete, then interrupts the run.
fn interrupt(spec: &FineTuningSpec, folder: &Path, step: u64) {
    let interruption = Interruption(Mutex::new(step));
    let run = std::panic::AssertUnwindSafe(|| tune_in(spec, 1, Some(folder), &interruption));
    assert!(std::panic::catch_unwind(run).is_err(), "the run was interrupted");
}

#[test]
fn a_resumed_run_gives_the_result_of_an_uninterrupted_one() {
    for spec in [
        spec(),
        FineTuningSpec { patience: Some(2), class_weight: ClassWeight::Balanced, ..spec() },
        FineTuningSpec {
            freeze_embeddings: false,
            label_smoothing: 0.1,
            layer_decay: 0.8,
            ..spec()
        },
    ] {
        let expected = bits(&tune(&spec));
        let spec = FineTuningSpec { checkpoint_steps: 2, ..spec };
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("checkpoints");
        // At the end of an epoch (5 steps each), within one, and one step later.
        for step in [5, 9, 10] {
            interrupt(&spec, &folder, step);
        }
        let resumed = tune_in(&spec, 1, Some(&folder), &Silent).unwrap();
        assert_eq!(resumed.resumed_from, Some(10));
        assert_eq!(bits(&resumed), expected);
        let done = tune_in(&spec, 1, Some(&folder), &Silent).unwrap();
        assert!(done.resumed_from > resumed.resumed_from);
        assert_eq!(bits(&done), expected);
    }
}

#[test]
fn two_checkpoints_are_kept_and_a_damaged_one_is_skipped() {
    let spec = FineTuningSpec { checkpoint_steps: 2, ..spec() };
    let folder = tempfile::tempdir().unwrap();
    // Files that a kill left behind are removed; other files are kept.
    for left in ["step-00000001.part", "step-00000001.safetensors", "notes.txt"] {
        fs::write(folder.path().join(left), "x").unwrap();
    }
    let expected = bits(&tune_in(&spec, 1, Some(folder.path()), &Silent).unwrap());
    let names = || {
        let entries = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let kept = names();
    assert_eq!(kept.len(), 5, "{kept:?}");
    let newest = folder.path().join(&kept[4]);
    let mut numbers = fs::read(&newest).unwrap();
    let middle = numbers.len() / 2;
    numbers[middle] ^= 1;
    fs::write(&newest, &numbers).unwrap();
    let again = tune_in(&spec, 1, Some(folder.path()), &Silent).unwrap();
    assert!(again.notes[0].ends_with("is damaged"), "{:?}", again.notes);
    assert_eq!(bits(&again), expected);
    for name in names() {
        let path = folder.path().join(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    let fault = tune_in(&spec, 1, Some(folder.path()), &Silent).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7033", FaultKind::Gate));
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let spec = FineTuningSpec { epochs: 1, checkpoint_steps: 2, ..spec() };
    let folder = tempfile::tempdir().unwrap();
    tune_in(&spec, 1, Some(folder.path()), &Silent).unwrap();
    let others = [
        (FineTuningSpec { learning_rate: 1e-3, ..spec.clone() }, 1),
        (FineTuningSpec { dropout: 0.2, ..spec.clone() }, 1),
        (spec.clone(), 2),
    ];
    for (other, seed) in others {
        let fault = tune_in(&other, seed, Some(folder.path()), &Silent).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-7031", FaultKind::Usage));
    }
    let (mut texts, mut y) = data();
    let tune = |texts: &[String], y: &[u32]| {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let input = FineTuningInput {
            encoder: &encoder(),
            texts: &texts,
            y,
            n_classes: 4,
            spec: &spec,
            seed: 1,
            checkpoints: Some(folder.path()),
        };
        fine_tune(&input, &Silent)
    };
    tune(&texts, &y).unwrap();
    y.swap(0, 47);
    assert_eq!(tune(&texts, &y).unwrap_err().code(), "BOT-7031");
    y.swap(0, 47);
    texts[3].push('!');
    assert_eq!(tune(&texts, &y).unwrap_err().code(), "BOT-7031");
    // The interval of checkpoints does not affect the result.
    let frequent = FineTuningSpec { checkpoint_steps: 1, ..spec };
    assert!(tune_in(&frequent, 1, Some(folder.path()), &Silent).unwrap().resumed_from.is_some());
}

#[test]
fn a_batch_in_parts_gives_the_same_result_up_to_rounding() {
    let spec = FineTuningSpec { epochs: 1, class_weight: ClassWeight::Balanced, ..spec() };
    let (whole, parts) = (tune(&spec), tune(&FineTuningSpec { max_batch_tokens: 16, ..spec }));
    let (a, b) = (whole.history[0].train_loss, parts.history[0].train_loss);
    assert!((a - b).abs() < 1e-4 * a, "{a} {b}");
    assert_ne!(bits(&whole).0, bits(&parts).0, "the batches were divided");
}

#[test]
fn a_diverging_run_is_refused_with_its_step() {
    let spec = FineTuningSpec {
        learning_rate: 1.0,
        head_learning_rate: 1.0,
        clip_norm: None,
        warmup_share: 0.0,
        epochs: 60,
        checkpoint_steps: 1,
        ..spec()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut encoder = encoder();
    // Weights close to overflow.
    let mut tensors = encoder.tensors();
    for tensor in &mut tensors {
        tensor.values.iter_mut().for_each(|value| *value *= 1e18);
    }
    let tokenizer = encoder.tokenizer_json().to_vec();
    let (config, pooling) = (encoder.config().clone(), encoder.pooling());
    encoder = Encoder::from_tensors(config, &tokenizer, tensors, pooling, 64, false).unwrap();
    let (texts, y) = data();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let input = FineTuningInput {
        encoder: &encoder,
        texts: &texts,
        y: &y,
        n_classes: 4,
        spec: &spec,
        seed: 1,
        checkpoints: Some(folder.path()),
    };
    let fault = fine_tune(&input, &Silent).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7032", FaultKind::Usage));
    assert!(fault.to_string().contains("in step 1 at a learning rate of 1.00e0"), "{fault}");
}

#[test]
fn training_stops_early_and_keeps_the_best_epoch() {
    // The learning rate is so high that the accuracy soon stops improving.
    let spec = FineTuningSpec { epochs: 40, patience: Some(2), ..spec() };
    let tuned = tune(&spec);
    let n_epochs = tuned.history.len();
    assert!(n_epochs < 40);
    assert_eq!(tuned.epoch, n_epochs - 2);
    let best = &tuned.history[tuned.epoch - 1];
    assert!(
        tuned.history.iter().all(|epoch| epoch.validation_accuracy <= best.validation_accuracy)
    );
    let truth: Vec<usize> = tuned.held_out.rows.iter().map(|row| *row as usize / 12).collect();
    let loss =
        botops_stats::calibration::negative_log_likelihood(&tuned.held_out.scores, 4, &truth, 1.0);
    assert_eq!(Some(loss), best.validation_loss);
}

#[test]
fn holding_out_rows_is_optional() {
    let tuned = tune(&FineTuningSpec { epochs: 1, validation_share: 0.0, ..spec() });
    assert!(tuned.held_out.rows.is_empty() && tuned.held_out.scores.is_empty());
    assert_eq!(tuned.history[0].validation_accuracy, None);
}

#[test]
fn an_intent_without_a_record_is_refused() {
    let input = FineTuningInput {
        encoder: &encoder(),
        texts: &["a", "b"],
        y: &[0, 2],
        n_classes: 3,
        spec: &spec(),
        seed: 1,
        checkpoints: None,
    };
    let fault = fine_tune(&input, &Silent).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7030", FaultKind::Insufficient));
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    for (json, key) in [
        (r#"{"epochs": 0}"#, "epochs"),
        (r#"{"batch_size": 0}"#, "batch_size"),
        (r#"{"learning_rate": 0}"#, "learning_rate"),
        (r#"{"head_learning_rate": 2}"#, "head_learning_rate"),
        (r#"{"head_epochs": 1001}"#, "head_epochs"),
        (r#"{"layer_decay": 0}"#, "layer_decay"),
        (r#"{"warmup_share": 1}"#, "warmup_share"),
        (r#"{"weight_decay": -1}"#, "weight_decay"),
        (r#"{"dropout": 1}"#, "dropout"),
        (r#"{"clip_norm": 0}"#, "clip_norm"),
        (r#"{"label_smoothing": 1}"#, "label_smoothing"),
        (r#"{"validation_share": 0.6}"#, "validation_share"),
        (r#"{"patience": 0}"#, "patience"),
        (r#"{"patience": 1, "validation_share": 0}"#, "patience"),
        (r#"{"max_batch_tokens": 1}"#, "max_batch_tokens"),
    ] {
        let spec: FineTuningSpec = serde_json::from_str(json).unwrap();
        let fault = spec.check().unwrap_err();
        assert_eq!(fault.code(), "BOT-7010");
        assert!(fault.to_string().contains(&format!("`fine_tuning.{key}`")), "{fault}");
    }
    FineTuningSpec::default().check().unwrap();
    assert!(serde_json::from_str::<FineTuningSpec>(r#"{"epoch": 1}"#).is_err());
}
