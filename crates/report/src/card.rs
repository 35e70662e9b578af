//! A model in words for whoever meets it without having made it: a card as Hugging Face's hub reads them.
//!
//! Front matter in YAML, then Markdown. Everything in it was recorded or measured; what was not is said to be unknown,
//! and nothing is added from elsewhere.

use super::{
    markdown::{plain, table},
    matrix::confused,
    wording::{count, counted, number, of, percent},
};
use botops_evaluation::{EvaluationReport, METRICS, Metric, UNKNOWN_LANGUAGE};
use botops_models::confidence::{FallbackRule, OosScore, PredictionSets};

/// Intents shown among the weakest, and pairs among the most confused.
const MOST: usize = 10;

/// What a card is about.
#[derive(Debug, Clone)]
pub struct CardSubject<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The run that made it.
    pub run: &'a str,
    /// The day it was made.
    pub day: String,
    /// The version of botops that made it.
    pub botops: &'a str,
    /// Operating system and architecture it was made on.
    pub platform: &'a str,
    /// The commit it was made at.
    pub git_commit: Option<&'a str>,
    /// Whether tracked files differed from it.
    pub git_dirty: bool,
    /// The license, where the user names one.
    pub license: Option<&'a str>,
    /// Digest of the model file.
    pub digest: String,
    /// Its size.
    pub size_bytes: u64,
    /// The intents.
    pub intents: Vec<&'a str>,
    /// Utterances it learned from.
    pub n_samples: u64,
    /// The temperature by which scores are divided.
    pub temperature: f64,
    /// When it falls back.
    pub fallback: FallbackRule,
    /// What makes sets of intents, where it makes any.
    pub sets: Option<&'a PredictionSets>,
    /// Whether it brings entities or responses.
    pub has_dialogue: bool,
    /// Settings by name.
    pub settings: Vec<(String, String)>,
    /// The classifier's kind.
    pub head: Option<&'a str>,
    /// What it learned from: file, digest, whether it is kept with the run.
    pub training_data: Option<CardData<'a>>,
    /// Its evaluation.
    pub evaluation: Option<&'a EvaluationReport>,
}

/// A data file of a card.
#[derive(Debug, Clone)]
pub struct CardData<'a> {
    /// Its name; empty where it is not known.
    pub file: &'a str,
    /// Its digest.
    pub digest: String,
    /// Whether it is kept with the run.
    pub kept: bool,
}

/// Returns the card.
#[must_use]
pub fn model_card(subject: &CardSubject<'_>) -> String {
    let mut out = front_matter(subject);
    out += &format!("\n# Model card: {}\n", plain(subject.name, 100));
    out += &what_it_is(subject);
    out += &intended_use(subject);
    out += &training_data(subject);
    out += &evaluation(subject);
    out += &calibration(subject);
    out += &limits(subject);
    out += &reproduction(subject);
    out
}

/// Writes a text as YAML takes it whatever is in it: JSON's own form.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is valid JSON")
}

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

/// Returns the languages of the records it was evaluated on, as far as they are language codes.
fn languages(report: Option<&EvaluationReport>) -> Vec<&str> {
    let is_code = |name: &&String| {
        (2..=3).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    let names = report.into_iter().flat_map(|report| report.per_language.keys());
    names.filter(is_code).map(String::as_str).collect()
}

/// Iterates over metrics, those that are known in their order, then the rest.
fn measured(report: &EvaluationReport) -> Vec<(&str, &Metric)> {
    let known = METRICS.iter().filter_map(|(name, _)| Some((*name, report.metrics.get(*name)?)));
    let is_known = |name: &str| METRICS.iter().any(|(known, _)| *known == name);
    let rest = report.metrics.iter().filter(|(name, _)| !is_known(name));
    known.chain(rest.map(|(name, metric)| (name.as_str(), metric))).collect()
}

fn what_it_is(subject: &CardSubject<'_>) -> String {
    let settings = subject
        .settings
        .iter()
        .map(|(name, value)| vec![format!("`{}`", plain(name, 80)), plain(value, 200)]);
    let names: Vec<String> = subject.intents.iter().map(|intent| plain(intent, 80)).collect();
    format!(
        "\n## What it is\n\nIt sorts an utterance into one of {}, with a probability for each. When {}, it says that it did not understand (it falls back).{} It is one file of {} bytes, `{}`, made on {} by \
         botops {} in run `{}`.\n\nThe intents: {}.\n\n{}",
        counted(subject.intents.len() as u64, "intent", "intents"),
        declines(subject.fallback),
        if subject.has_dialogue {
            " It brings entities to find and responses to give, which were written and not learned."
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
    let seen = languages(subject.evaluation);
    let seen = match seen.as_slice() {
        [] => String::new(),
        seen => format!(", in the languages it was evaluated on ({})", seen.join(", ")),
    };
    format!(
        "\n## Intended use\n\nFor messages of the kind it learned from{seen}. It gives every message one of the intents \
         above or falls back: a message about something else gets one of them too whenever the model is sure enough.\n"
    )
}

fn training_data(subject: &CardSubject<'_>) -> String {
    let mut out = "\n## Training data\n\n".to_owned();
    out += &match &subject.training_data {
        Some(CardData { file, digest, kept }) => {
            let file = if file.is_empty() { "a file".to_owned() } else { plain(file, 100) };
            let kept = if *kept { "kept with the run" } else { "not kept with the run" };
            format!("{file}, `{digest}`, {kept}; ")
        }
        None => "Which data is not recorded; ".to_owned(),
    };
    out + &format!(
        "{} learned from.\n",
        counted(subject.n_samples, "utterance was", "utterances were")
    )
}

fn evaluation(subject: &CardSubject<'_>) -> String {
    let Some(report) = subject.evaluation else {
        return "\n## Evaluation\n\nThe run did not evaluate it.\n".to_owned();
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
                " **It learned from this very data, so the numbers say nothing of other messages.**",
            false => "",
        },
        table(&["metric", "value", "95 % interval", "n"], &[1, 2, 3], rows)
    );
    if report.per_language.len() > 1 {
        let rows = report.per_language.iter().map(|(language, found)| {
            std::iter::once(plain(language, 40)).chain(metric(found)).collect()
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
        out += &table(&["truth", "taken for", "records"], &[2], rows);
    }
    out
}

/// Returns whether a model was evaluated on the very file that it learned from.
fn learned_from_test(subject: &CardSubject<'_>, report: &EvaluationReport) -> bool {
    let digest = report.data_digest.to_string();
    subject.training_data.as_ref().is_some_and(|data| data.digest == digest)
}

fn calibration(subject: &CardSubject<'_>) -> String {
    let mut out = format!(
        "\n## Calibration\n\nScores are divided by a temperature of {:.4}, fitted on utterances held out of the \
         fit, before they become probabilities.\n",
        subject.temperature
    );
    out += &promises(subject);
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

/// Says when a model falls back, to follow "when".
fn declines(rule: FallbackRule) -> String {
    let threshold = number(rule.threshold);
    match rule.score {
        OosScore::MaxProbability => format!("the highest is below {threshold}"),
        score => format!("its score `{}` is below {threshold}", score.name()),
    }
}

/// Says what was shown of the answers and of the sets of intents, where anything was stated.
fn promises(subject: &CardSubject<'_>) -> String {
    let mut out = String::new();
    if let Some(shown) = subject.fallback.guarantee {
        out += &format!(
            "\nThe threshold is the lowest that shows, with {} confidence, that {} of the messages answered are right: of \
             {} kept aside from the choice, {} were answered and {} of these wrongly, so that {} or more are right. It \
             holds for messages like those, out-of-scope ones as frequent.\n",
            percent(shown.level),
            percent(shown.target_accuracy),
            counted(shown.n_samples, "utterance", "utterances"),
            count(shown.n_answered),
            count(shown.n_wrong),
            percent(shown.accuracy_bound)
        );
    }
    if let Some(sets) = subject.sets {
        out += &format!(
            "\nWith a prediction comes a set of intents ({}), which holds the intent of {}{} in-scope messages; its \
             quantiles rest on {}.\n",
            sets.method.name(),
            percent(1.0 - sets.alpha),
            if sets.is_class_conditional() { " of each intent's" } else { " of" },
            counted(sets.n_samples, "utterance", "utterances")
        );
    }
    out
}

fn limits(subject: &CardSubject<'_>) -> String {
    let mut found = Vec::new();
    match subject.evaluation {
        None => found.push("How good it is, is not known.".to_owned()),
        Some(report) => {
            if let Some(accuracy) = report.metrics.get("accuracy") {
                found.push(format!(
                    "On the test data {} of answers are wrong, and on other data it may be more: the intervals above are \
                     about chance alone.",
                    percent(1.0 - accuracy.value)
                ));
            }
            found.push(match &report.oos {
                Some(oos) => format!(
                    "Of {}, {} fell back; the rest got an intent (AUROC {}, {} to {}).",
                    counted(oos.n_oos, "out-of-scope utterance", "out-of-scope utterances"),
                    percent(oos.fallback_rate.value),
                    number(oos.auroc.value),
                    number(oos.auroc.ci95[0]),
                    number(oos.auroc.ci95[1])
                ),
                None => "What it does with utterances that are out of scope was not measured."
                    .to_owned(),
            });
            let rare =
                report.per_class.values().filter(|m| m.support > 0 && m.support < 30).count();
            if rare > 0 {
                found.push(format!(
                    "{} fewer than 30 test records: what is said of them is rough.",
                    counted(rare as u64, "intent has", "intents have")
                ));
            }
            let absent = report.per_class.values().filter(|m| m.support == 0).count();
            if absent > 0 {
                found.push(format!(
                    "{} no test record: nothing is known of them.",
                    counted(absent as u64, "intent has", "intents have")
                ));
            }
            if !report.unknown_intents.is_empty() {
                found.push(format!(
                    "The test data has {} that the model does not know.",
                    counted(report.unknown_intents.len() as u64, "intent", "intents")
                ));
            }
            if report.per_language.contains_key(UNKNOWN_LANGUAGE) || report.per_language.len() > 1 {
                found.push(
                    "Languages are declared by the data, or detected from the text.".to_owned(),
                );
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
        _ => "The run does not keep its training data: give the file with `--data`.",
    };
    format!(
        "\n## How to reproduce\n\n    botops runs reproduce {}\n\nIt was made by botops {} on {}, {code}. {data} The \
         command trains again from the record and says whether the file is the same to the byte, or where it begins to \
         differ.\n",
        subject.run,
        plain(subject.botops, 40),
        plain(subject.platform, 60)
    )
}
