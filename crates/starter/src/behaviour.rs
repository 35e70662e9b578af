//! Behavioural tests to begin with: typical utterances of each intent, whose variants must get the same answer.

use crate::yaml_string::scalar;
use botops_datasets::{Dataset, Record};
use botops_labels::OOS;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// The utterances of each intent.
const PER_INTENT: usize = 3;
/// The most intents with tests; the largest ones.
const MOST_INTENTS: usize = 50;
/// The most characters of an utterance.
const MOST_CHARS: usize = 120;

const HEAD: &str = "\
# Behavioural tests: what a model must be able to do, whatever its accuracy.
#
# The utterances below are typical ones of your data, to begin with. Add those that your bot must never get wrong under
# `must_pass:`, and write `must_pass: true` into the rules on `behaviour` in pipelines/weekly.yaml.
#
# minimum: utterances with their intent, by capability.
# invariance: variants of these utterances (typing errors, case, accents, politeness, order numbers) that must get the same
# answer. They are generated from the seed.
version: 1
seed: 17

minimum:
";

/// Returns behavioural tests of a model of `data`, as YAML; `None` if no record fits.
///
/// Of each intent the utterances are chosen whose length is nearest to the median. A text with personal data, of several
/// lines, or with two intents is never chosen.
pub(crate) fn behaviour(data: &Dataset) -> Option<String> {
    let mut intents: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    let mut seen: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for record in &data.records {
        let Some(intent) = record.intent.as_deref().filter(|intent| *intent != OOS) else {
            continue;
        };
        seen.entry(botops_text::normalise(&record.text)).or_default().insert(intent);
        intents.entry(intent).or_default().push(record);
    }
    let mut largest: Vec<(&str, Vec<&Record>)> = intents.into_iter().collect();
    largest.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(b.0)));
    largest.truncate(MOST_INTENTS);
    largest.sort_by(|a, b| a.0.cmp(b.0));
    let mut yaml = HEAD.to_owned();
    let mut n_groups = 0;
    for (intent, records) in largest {
        let is_plain = |record: &&Record| {
            is_fit(&record.text) && seen[&botops_text::normalise(&record.text)].len() == 1
        };
        let mut texts: Vec<&str> =
            records.into_iter().filter(is_plain).map(|record| record.text.trim()).collect();
        let mut lengths: Vec<usize> = texts.iter().map(|text| text.chars().count()).collect();
        lengths.sort_unstable();
        let Some(&median) = lengths.get(lengths.len() / 2) else { continue };
        texts.sort_by(|a, b| {
            let far = |text: &str| text.chars().count().abs_diff(median);
            far(a).cmp(&far(b)).then(a.cmp(b))
        });
        let mut chosen: Vec<&str> = Vec::new();
        let mut keys = BTreeSet::new();
        for text in texts {
            if chosen.len() < PER_INTENT && keys.insert(botops_text::normalise(text)) {
                chosen.push(text);
            }
        }
        if intent.chars().any(char::is_control) || chosen.is_empty() {
            continue;
        }
        n_groups += 1;
        let _ = writeln!(yaml, "  - capability: {}", scalar(intent));
        let _ = writeln!(yaml, "    intent: {}\n    utterances:", scalar(intent));
        for text in chosen {
            let _ = writeln!(yaml, "      - {}", quoted(text));
        }
    }
    (n_groups > 0).then_some(yaml)
}

/// Returns whether a text can stand in a file that a team reads.
fn is_fit(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty()
        && text.chars().count() <= MOST_CHARS
        && !text
            .chars()
            .any(|c| c.is_control() || "\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}".contains(c))
        && botops_text::redact(text) == text
}

/// Returns `text`, which holds no control characters, in double quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_datasets::{ReadOptions, read_bytes};
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Tests {
        version: u32,
        minimum: Vec<Group>,
    }

    #[derive(Deserialize)]
    struct Group {
        intent: String,
        utterances: Vec<String>,
    }

    fn tests_of(csv: &str) -> Option<Tests> {
        let data = read_bytes(csv.as_bytes(), "a.csv", &ReadOptions::default()).unwrap();
        let yaml = behaviour(&data)?;
        let tests: Tests = botops_spec::parse(&yaml, "behaviour.yaml").unwrap();
        assert_eq!(tests.version, 1);
        Some(tests)
    }

    #[test]
    fn typical_utterances_of_each_intent_are_chosen_without_persons_and_without_conflicts() {
        let tests = tests_of(
            "text,intent\n\
             \"a \"\"quoted\"\" one: \\ # x\",a: b\nmy mail is me@example.org,a: b\nboth,a: b\nboth,c\n\
             one two,c\none  two,c\none two three,c\nfour five six seven eight nine ten,c\nten four,c\nno,oos\n",
        )
        .unwrap();
        let found: Vec<(&str, Vec<&str>)> = tests
            .minimum
            .iter()
            .map(|group| {
                (group.intent.as_str(), group.utterances.iter().map(String::as_str).collect())
            })
            .collect();
        assert_eq!(found[0], ("a: b", vec!["a \"quoted\" one: \\ # x"]));
        assert_eq!(found[1].0, "c");
        assert_eq!(found[1].1.len(), 3);
        assert!(!found[1].1.contains(&"both"), "{found:?}");
        assert_eq!(found.len(), 2, "out of scope is no intent");
    }

    #[test]
    fn without_a_fit_text_there_are_no_tests() {
        assert!(tests_of("text,intent\nme@example.org,a\nyou@example.org,b\n").is_none());
    }
}
