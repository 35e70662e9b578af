//! Model cards in the format of the Hugging Face Hub: YAML front matter, then Markdown.
//!
//! A card contains only recorded or measured facts, and states which ones are unknown.

use super::{
    markdown::{plain, table},
    matrix::confused,
    wording::{count, counted, number, of, percent},
};
use botops_evaluation::{EvaluationReport, METRICS, Metric, UNKNOWN_LANGUAGE};
use botops_models::confidence::{FallbackRule, OosScore, PredictionSets};

/// The most rows of the tables of weakest intents and of confused pairs.
const MOST: usize = 10;

/// The model of a card, and all recorded facts about it.
#[derive(Debug, Clone)]
pub struct CardSubject<'a> {
    /// The name of the model.
    pub name: &'a str,
    /// The id of the run that trained it.
    pub run: &'a str,
    /// The day of the training.
    pub day: String,
    /// The version of botops that trained it.
    pub botops: &'a str,
    /// The operating system and architecture of the training.
    pub platform: &'a str,
    /// The commit of the code.
    pub git_commit: Option<&'a str>,
    /// Whether tracked files differed from the commit.
    pub git_dirty: bool,
    /// The license, if the user names one.
    pub license: Option<&'a str>,
    /// The digest of the model file.
    pub digest: String,
    /// The size of the model file, in bytes.
    pub size_bytes: u64,
    /// The intents.
    pub intents: Vec<&'a str>,
    /// The number of training utterances.
    pub n_samples: u64,
    /// The temperature that divides the scores.
    pub temperature: f64,
    /// The rule that decides when the model falls back.
    pub fallback: FallbackRule,
    /// The prediction sets, if the model has them.
    pub sets: Option<&'a PredictionSets>,
    /// Whether the model file contains entities or responses.
    pub has_dialogue: bool,
    /// The settings: pairs of name and value.
    pub settings: Vec<(String, String)>,
    /// The kind of the classifier.
    pub head: Option<&'a str>,
    /// The training data, if it was recorded.
    pub training_data: Option<CardData<'a>>,
    /// The evaluation of the run, if it has one.
    pub evaluation: Option<&'a EvaluationReport>,
}

/// A data file of a card.
#[derive(Debug, Clone)]
pub struct CardData<'a> {
    /// The name of the file; empty if unknown.
    pub file: &'a str,
    /// The digest of the file.
    pub digest: String,
    /// Whether the run keeps the file.
    pub kept: bool,
}

/// Returns the model card of `subject`.
#[must_use]
pub fn model_card(subject: &CardSubject<'_>) -> String {
    let mut out = front_matter(subject);
    out += &format!("\n# Model card: {}\n", plain(subject.name, 100));
    out += &description(subject);
    out += &intended_use(subject);
    out += &training_data(subject);
    out += &evaluation(subject);
    out += &calibration(subject);
    out += &limits(subject);
    out += &reproduction(subject);
    out
}

/// Writes a text as a JSON string, which is valid YAML for any text.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is valid JSON")
}

/// Returns the YAML front matter, which the hub reads.
fn front_matter(subject: &CardSubject<'_>) -> String {
    let mut out = "---\n".to_owned();
    let languages = languages(subject.evaluation);
    if !languages.is_empty() {
        out += "language:\n";
        for language in languages {
            out += &format!("- {}\n", quoted(language));
        }
    }
    if let Some(license) = subject.license {
        out += &format!("license: {}\n", quoted(license));
    }
    out += "library_name: botops\npipeline_tag: text-classification\n";
    out += "tags:\n- text-classification\n- intent-classification\n- botops\n";
    if let Some(head) = subject.head {
        out += &format!("- {}\n", quoted(head));
    }
    if let Some(report) = subject.evaluation {
        out += &format!(
            "model-index:\n- name: {}\n  results:\n  - task:\n      type: text-classification\n      \
             name: Intent classification\n    dataset:\n      name: {}\n      type: {}\n    metrics:\n",
            quoted(subject.name),
            quoted(&report.data),
            quoted(&report.data_digest.to_string())
        );
        for (name, metric) in measured(report) {
            let kind = if name.ends_with("_f1") { "f1" } else { name };
            out += &format!(
                "    - type: {}\n      name: {}\n      value: {:.6}\n",
                quoted(kind),
                quoted(name),
                metric.value
            );
        }
    }
    out + "---\n"
}

/// Returns the declared languages of the evaluation records that are language codes.
fn languages(report: Option<&EvaluationReport>) -> Vec<&str> {
    let is_code = |name: &&String| {
        (2..=3).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    let names = report.into_iter().flat_map(|report| report.per_language.keys());
    names.filter(is_code).map(String::as_str).collect()
}

/// Returns the guessed languages of the evaluation records, each of at least 5 % of those with a guess.
fn guessed(report: Option<&EvaluationReport>) -> Vec<&str> {
    let Some(report) = report else { return Vec::new() };
    let guesses = report.per_guessed_language.iter().filter(|(name, _)| *name != UNKNOWN_LANGUAGE);
    let n: u64 = guesses.clone().map(|(_, metric)| metric.n).sum();
    guesses.filter(|(_, metric)| metric.n * 20 >= n).map(|(name, _)| name.as_str()).collect()
}

/// Returns the metrics of `report`: the known ones in their usual order, then the rest.
fn measured(report: &EvaluationReport) -> Vec<(&str, &Metric)> {
    let known = METRICS.iter().filter_map(|(name, _)| Some((*name, report.metrics.get(*name)?)));
    let is_known = |name: &str| METRICS.iter().any(|(known, _)| *known == name);
    let rest = report.metrics.iter().filter(|(name, _)| !is_known(name));
    known.chain(rest.map(|(name, metric)| (name.as_str(), metric))).collect()
}

/// Returns the section with the intents, the file and the settings.
fn description(subject: &CardSubject<'_>) -> String {
    let settings = subject
        .settings
        .iter()
        .map(|(name, value)| vec![format!("`{}`", plain(name, 80)), plain(value, 200)]);
    let names: Vec<String> = subject.intents.iter().map(|intent| plain(intent, 80)).collect();
    format!(
        "\n## Description\n\nThe model classifies an utterance as one of {}, with a probability for each. If {}, it falls back: it replies that it did not understand.{} It is one file of {} bytes, `{}`, trained on {} with \
         botops {} in run `{}`.\n\nThe intents: {}.\n\n{}",
        counted(subject.intents.len() as u64, "intent", "intents"),
        fallback_condition(subject.fallback),
        if subject.has_dialogue {
            " It contains entities and responses, which were written by hand and not trained."
        } else {
            ""
        },
        count(subject.size_bytes),
        subject.digest,
        subject.day,
        plain(subject.botops, 40),
        subject.run,
        names.join(", "),
        table(&["setting", "value"], &[], settings)
    )
}

fn intended_use(subject: &CardSubject<'_>) -> String {
    let languages = match (languages(subject.evaluation), guessed(subject.evaluation)) {
        (codes, _) if !codes.is_empty() => {
            format!(", in the languages of its evaluation ({})", codes.join(", "))
        }
        (_, codes) if !codes.is_empty() => format!(
            ", in the languages of its evaluation (none is declared; guessed from the texts: {})",
            codes.join(", ")
        ),
        _ => String::new(),
    };
    format!(
        "\n## Intended use\n\nThe model is for messages like its training data{languages}. It gives every message one of the intents \
         above or falls back. A message on another subject also gets one of these intents if the score is high enough.\n"
    )
}

fn training_data(subject: &CardSubject<'_>) -> String {
    let mut out = "\n## Training data\n\n".to_owned();
    out += &match &subject.training_data {
        Some(CardData { file, digest, kept }) => {
            let file = if file.is_empty() { "a file".to_owned() } else { plain(file, 100) };
            let kept = if *kept { "kept with the run" } else { "not kept with the run" };
            format!("{file}, `{digest}`, {kept}: ")
        }
        None => "The training data was not recorded: ".to_owned(),
    };
    out + &format!("{}.\n", counted(subject.n_samples, "utterance", "utterances"))
}

fn evaluation(subject: &CardSubject<'_>) -> String {
    let Some(report) = subject.evaluation else {
        return "\n## Evaluation\n\nThe run did not evaluate the model.\n".to_owned();
    };
    let metric = |metric: &Metric| {
        let [lower, upper] = metric.ci95;
        [number(metric.value), format!("{} to {}", number(lower), number(upper)), count(metric.n)]
    };
    let rows = measured(report).into_iter().map(|(name, found)| {
        std::iter::once(format!("`{}`", plain(name, 60))).chain(metric(found)).collect()
    });
    let mut out = format!(
        "\n## Evaluation\n\nOn {}, `{}`: {}.{}\n\n{}",
        plain(&report.data, 120),
        report.data_digest,
        counted(report.n, "utterance", "utterances"),
        match learned_from_test(subject, report) {
            true =>
                " **This is also the training data, so the numbers do not apply to other messages.**",
            false => "",
        },
        table(&["metric", "value", "95 % interval", "n"], &[1, 2, 3], rows)
    );
    let languages = report.languages();
    if languages.len() > 1 {
        let rows = languages.into_iter().map(|(language, found)| {
            std::iter::once(plain(&language, 40)).chain(metric(found)).collect()
        });
        out += "\nAccuracy by language:\n\n";
        out += &table(&["language", "accuracy", "95 % interval", "n"], &[1, 2, 3], rows);
    }
    let mut weakest: Vec<_> = report.per_class.iter().filter(|(_, m)| m.support > 0).collect();
    weakest.sort_by(|(a, x), (b, y)| x.f1.total_cmp(&y.f1).then_with(|| a.cmp(b)));
    let rows = weakest.iter().take(MOST).map(|(intent, found)| {
        let [lower, upper] = found.recall_ci95;
        vec![
            plain(intent, 80),
            number(found.precision),
            number(found.recall),
            format!("{} to {}", number(lower), number(upper)),
            number(found.f1),
            count(found.support),
        ]
    });
    out += &match weakest.len() > MOST {
        true => format!("\nThe {MOST} of {} intents with the lowest F1:\n\n", weakest.len()),
        false => "\nBy intent, the lowest F1 first:\n\n".to_owned(),
    };
    out += &table(
        &["intent", "precision", "recall", "95 % interval of recall", "F1", "records"],
        &[1, 2, 3, 4, 5],
        rows,
    );
    let pairs = confused(report);
    if !pairs.is_empty() {
        let rows = pairs.iter().take(MOST).map(|pair| {
            vec![plain(pair.truth, 80), plain(pair.predicted, 80), of(pair.n, pair.support)]
        });
        out += "\nMost confused:\n\n";
        out += &table(&["truth", "predicted as", "records"], &[2], rows);
    }
    out
}

/// Returns whether the evaluation data is the training data.
fn learned_from_test(subject: &CardSubject<'_>, report: &EvaluationReport) -> bool {
    let digest = report.data_digest.to_string();
    subject.training_data.as_ref().is_some_and(|data| data.digest == digest)
}

fn calibration(subject: &CardSubject<'_>) -> String {
    let mut out = format!(
        "\n## Calibration\n\nScores are divided by a temperature of {:.4}, fitted on held-out utterances, \
         before they become probabilities.\n",
        subject.temperature
    );
    out += &guarantees(subject);
    let Some(report) = subject.evaluation else { return out };
    if let Some(ece) = report.metrics.get("ece") {
        out += &format!(
            "Expected calibration error on the test data: {} ({} to {}).\n",
            number(ece.value),
            number(ece.ci95[0]),
            number(ece.ci95[1])
        );
    }
    let rows = report.reliability.iter().filter(|bin| bin.n > 0).map(|bin| {
        vec![
            format!("{} to {}", number(bin.lower), number(bin.upper)),
            number(bin.confidence),
            number(bin.accuracy),
            count(bin.n),
        ]
    });
    out += "\n";
    out + &table(&["confidence", "mean", "share right", "records"], &[0, 1, 2, 3], rows)
}

/// Returns the condition of a fallback, which follows "if".
fn fallback_condition(rule: FallbackRule) -> String {
    let threshold = number(rule.threshold);
    match rule.score {
        OosScore::MaxProbability => format!("the highest probability is below {threshold}"),
        score => format!("its score `{}` is below {threshold}", score.name()),
    }
}

/// Returns the guarantees on answers and on prediction sets; empty without a target.
fn guarantees(subject: &CardSubject<'_>) -> String {
    let mut out = String::new();
    if let Some(guarantee) = subject.fallback.guarantee {
        out += &format!(
            "\nThe threshold is the lowest for which the held-out data shows, with {} confidence, that {} of the answers are right. \
             Of {} held out, {} were answered, {} of them wrongly, so that at least {} of the answers are right. This \
             holds for messages like these, {}.\n",
            percent(guarantee.level),
            percent(guarantee.target_accuracy),
            counted(guarantee.n_samples, "utterance", "utterances"),
            count(guarantee.n_answered),
            count(guarantee.n_wrong),
            percent(guarantee.accuracy_bound),
            match guarantee.oos_share {
                Some(share) => format!("of which {} are out of scope", percent(share)),
                None => "with the same share of out-of-scope messages".to_owned(),
            }
        );
    }
    if let Some(declined) = subject.fallback.oos_declined {
        out += &format!(
            "\nThe threshold is the lowest that declines {} of the out-of-scope records: {} of {} ({} to {}), and with them \
             {} of {} in-scope records.\n",
            percent(declined.min),
            count(declined.n_declined),
            count(declined.n_oos),
            percent(declined.ci95[0]),
            percent(declined.ci95[1]),
            count(declined.n_in_scope_declined),
            count(declined.n_in_scope)
        );
    }
    if let Some(sets) = subject.sets {
        out += &format!(
            "\nEach prediction has a set of intents ({}), which contains the intent of {} of the in-scope messages{}; its \
             quantiles were computed on {}.\n",
            sets.method.name(),
            percent(1.0 - sets.alpha),
            if sets.is_class_conditional() { " of every intent" } else { "" },
            counted(sets.n_samples, "utterance", "utterances")
        );
    }
    out
}

fn limits(subject: &CardSubject<'_>) -> String {
    let mut found = Vec::new();
    match subject.evaluation {
        None => found.push("The quality of the model is unknown: it was not evaluated.".to_owned()),
        Some(report) => {
            if let Some(accuracy) = report.metrics.get("accuracy") {
                found.push(format!(
                    "On the test data {} of the answers are wrong. On other data it may be more: the intervals above \
                     only cover chance.",
                    percent(1.0 - accuracy.value)
                ));
            }
            found.push(match &report.oos {
                Some(oos) => format!(
                    "Of {}, {} fell back; the others got an intent (AUROC {}, {} to {}).",
                    counted(oos.n_oos, "out-of-scope utterance", "out-of-scope utterances"),
                    percent(oos.fallback_rate.value),
                    number(oos.auroc.value),
                    number(oos.auroc.ci95[0]),
                    number(oos.auroc.ci95[1])
                ),
                None => "Its behavior on out-of-scope utterances was not measured.".to_owned(),
            });
            let rare =
                report.per_class.values().filter(|m| m.support > 0 && m.support < 30).count();
            if rare > 0 {
                found.push(format!(
                    "{} fewer than 30 test records, so the numbers for them are imprecise.",
                    counted(rare as u64, "intent has", "intents have")
                ));
            }
            let absent = report.per_class.values().filter(|m| m.support == 0).count();
            if absent > 0 {
                found.push(format!(
                    "{} no test record, so there are no numbers for them.",
                    counted(absent as u64, "intent has", "intents have")
                ));
            }
            if !report.unknown_intents.is_empty() {
                found.push(format!(
                    "The test data has {} that the model does not know.",
                    counted(report.unknown_intents.len() as u64, "intent", "intents")
                ));
            }
            if !report.per_guessed_language.is_empty() {
                found.push(format!(
                    "{} no language. It is guessed from the text, which can be wrong.",
                    counted(
                        report.per_guessed_language.values().map(|metric| metric.n).sum(),
                        "test record declares",
                        "test records declare"
                    )
                ));
            }
        }
    }
    format!(
        "\n## Limits\n\n{}\n",
        found.iter().map(|limit| format!("- {limit}")).collect::<Vec<_>>().join("\n")
    )
}

fn reproduction(subject: &CardSubject<'_>) -> String {
    let code = match (subject.git_commit, subject.git_dirty) {
        (Some(commit), true) => {
            format!("at commit `{}`, with uncommitted changes", plain(commit, 64))
        }
        (Some(commit), false) => format!("at commit `{}`", plain(commit, 64)),
        (None, _) => "outside a git repository".to_owned(),
    };
    let data = match &subject.training_data {
        Some(CardData { kept: true, .. }) => "The run keeps its training data.",
        _ => "The run does not keep its training data: pass the file with `--data`.",
    };
    format!(
        "\n## How to reproduce\n\n    botops runs reproduce {}\n\nThe model was trained with botops {} on {}, {code}. {data} The \
         command trains again from the record and reports whether the new file is byte-identical, or the first step \
         that differs.\n",
        subject.run,
        plain(subject.botops, 40),
        plain(subject.platform, 60)
    )
}
