//! The entity annotations of training data: the input of the tagger, and findings on what it could not learn.

use botops_datasets::{Dataset, EntitySpan, Record};
use botops_findings::{Finding, Place, Severity};
use botops_models::{Annotated, IntentModel, LearnEntities, Span, SpanProblem, span_problems};
use std::collections::BTreeMap;

/// The most kinds of entities that are named.
const MOST_KINDS: usize = 8;

/// Returns the utterances of `data` with their annotated spans, as a tagger learns from them.
///
/// Utterances without spans are included: they show where there is no entity.
#[must_use]
pub fn annotated(data: &Dataset) -> Vec<Annotated<'_>> {
    data.records
        .iter()
        .map(|record| Annotated { text: &record.text, spans: spans(record) })
        .collect()
}

fn spans(record: &Record) -> Vec<Span<'_>> {
    record.entities.iter().map(span).collect()
}

fn span(span: &EntitySpan) -> Span<'_> {
    Span {
        entity: &span.entity,
        start: span.start,
        end: span.end,
        synonym_of: span.synonym_of.as_deref(),
        role: span.role.as_deref(),
        group: span.group.as_deref(),
    }
}

/// Returns findings on the entity annotations of `data`, on which `model` was trained.
///
/// - `BOT-1057` (info): kinds that nothing finds, because training was told not to learn entities
/// - `BOT-1142` (warning): kinds that the dialogue leaves to the tagger, which does not find them
/// - `BOT-2186`, `BOT-2187` (warning): spans that overlap others, and spans that do not begin and end at tokens
/// - `BOT-2188` (info): kinds with too few spans, that nothing else finds
#[must_use]
pub fn annotation_findings(data: &Dataset, model: &IntentModel) -> Vec<Finding> {
    let unheard = unheard_kinds(data, model);
    let mut findings = Vec::new();
    if model.lineage().spec.entities.learn == LearnEntities::Never {
        findings.extend(ignored_kinds(data, &unheard));
    } else {
        findings.extend(problems(data));
        findings.extend(rare_kinds(data, &unheard, model.lineage().spec.entities.min_examples));
    }
    findings.extend(missing_kinds(model));
    findings
}

/// A kind of entity that nothing finds.
#[derive(Default)]
struct Unheard {
    n_spans: usize,
    /// The indices of the records that have it.
    records: Vec<usize>,
}

/// Returns the annotated kinds that neither the tagger nor a rule of the dialogue finds.
fn unheard_kinds<'a>(data: &'a Dataset, model: &IntentModel) -> BTreeMap<&'a str, Unheard> {
    let is_found = |kind: &str| {
        let by_rule = model.dialogue().entities.get(kind).is_some_and(|e| e.is_found_by_rule());
        by_rule || model.tagger().is_some_and(|tagger| tagger.finds(kind))
    };
    let mut kinds: BTreeMap<&str, Unheard> = BTreeMap::new();
    for (i, record) in data.records.iter().enumerate() {
        for span in record.entities.iter().filter(|span| !is_found(&span.entity)) {
            let unheard = kinds.entry(&span.entity).or_default();
            unheard.n_spans += 1;
            if unheard.records.last() != Some(&i) {
                unheard.records.push(i);
            }
        }
    }
    kinds
}

/// Names kinds, such as "`city`, `number` and 2 more"; `detail` follows a name.
fn named<'a>(kinds: impl ExactSizeIterator<Item = (&'a str, String)>) -> String {
    let more = kinds.len().saturating_sub(MOST_KINDS);
    let names = kinds.take(MOST_KINDS);
    let mut names: Vec<String> = names
        .map(|(kind, detail)| format!("`{}`{detail}", botops_text::display(kind, 40)))
        .collect();
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

fn first_place(data: &Dataset, kinds: &BTreeMap<&str, Unheard>) -> Option<Place> {
    let first = kinds.values().filter_map(|unheard| unheard.records.first()).min()?;
    Some(data.place(&data.records[*first]))
}

/// Returns a note about kinds that training ignores.
fn ignored_kinds(data: &Dataset, kinds: &BTreeMap<&str, Unheard>) -> Option<Finding> {
    let place = first_place(data, kinds)?;
    let mut records: Vec<usize> = kinds.values().flat_map(|u| &u.records).copied().collect();
    records.sort_unstable();
    records.dedup();
    let (n, noun, have) = match records.len() {
        1 => (1, "record", "has"),
        n => (n, "records", "have"),
    };
    let names = named(kinds.keys().map(|kind| (*kind, String::new())));
    let message = format!("{n} {noun} {have} entity annotations that training ignores: {names}");
    let help = "remove `learn: false` under `entities:` of the model, or write a pattern for each kind under `entities:` of the dialogue";
    Some(Finding::new("BOT-1057", Severity::Info, message, help).at(place))
}

/// Returns a note about kinds with fewer than `least` spans.
fn rare_kinds(data: &Dataset, kinds: &BTreeMap<&str, Unheard>, least: usize) -> Option<Finding> {
    let place = first_place(data, kinds)?;
    let counted = kinds.iter().map(|(kind, unheard)| {
        let n = unheard.n_spans;
        (*kind, format!(" ({n} {})", if n == 1 { "span" } else { "spans" }))
    });
    let message = format!("too few annotated spans to learn from: {}", named(counted));
    let help = format!(
        "annotate at least {least} spans of a kind that can be learned, or write a pattern for it under `entities:` of the dialogue"
    );
    Some(Finding::new("BOT-2188", Severity::Info, message, help).at(place))
}

/// Returns a warning about each kind of problem of annotated spans.
fn problems(data: &Dataset) -> Vec<Finding> {
    let mut found: [(usize, Option<&Record>); 2] = [(0, None); 2];
    for record in data.records.iter().filter(|record| !record.entities.is_empty()) {
        for (_, problem) in span_problems(&record.text, &spans(record)) {
            let (n, first) = &mut found[usize::from(problem == SpanProblem::Borders)];
            *n += 1;
            first.get_or_insert(record);
        }
    }
    let kinds = [
        (
            "BOT-2186",
            [
                "annotated span overlaps a longer one and is",
                "annotated spans overlap longer ones and are",
            ],
            "not learned",
            "keep one span for each part of a text",
        ),
        (
            "BOT-2187",
            [
                "annotated span does not begin and end at a word or a symbol",
                "annotated spans do not begin and end at a word or a symbol",
            ],
            "and their utterances are not learned",
            "correct `start` and `end`, counted in characters from 0; `botops validate` lists spans whose value is not in the text",
        ),
    ];
    let found = found.into_iter().zip(kinds);
    found
        .filter_map(|((n, first), (code, [one, many], end, help))| {
            let record = first?;
            let (subject, end) = match n {
                1 => (one, end.replace("their utterances are", "its utterance is")),
                _ => (many, end.to_owned()),
            };
            let message = format!("{n} {subject} {end}");
            let finding = Finding::new(code, Severity::Warning, message, help);
            Some(finding.at(data.place(record)))
        })
        .collect()
}

/// Returns a warning about the kinds that the dialogue leaves to the tagger alone, and that it does not find.
fn missing_kinds(model: &IntentModel) -> Option<Finding> {
    let is_missing = |kind: &str| !model.tagger().is_some_and(|tagger| tagger.finds(kind));
    let declared = model.dialogue().entities.iter();
    let missing: Vec<&str> = declared
        .filter(|(kind, entity)| entity.is_learned() && is_missing(kind))
        .map(|(kind, _)| kind.as_str())
        .collect();
    if missing.is_empty() {
        return None;
    }
    let names = named(missing.iter().map(|kind| (*kind, String::new())));
    let message =
        format!("the dialogue expects the tagger to find entities that it did not learn: {names}");
    let help = "annotate spans of the kind in the training data, or remove `learned: true` under `entities:` of the dialogue";
    Some(Finding::new("BOT-1142", Severity::Warning, message, help))
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_datasets::{ReadOptions, read_bytes};
    use botops_dialogue::{DialogueSpec, EntityRule};
    use botops_models::{ModelSpec, Sample, Silent, TaggerSpec, TrainingInput, train};
    use botops_spec::Spec as _;

    fn row(text: &str, spans: &[(&str, &str)]) -> String {
        let spans: Vec<String> = spans
            .iter()
            .map(|(kind, value)| {
                let start = text.find(value).unwrap();
                let end = start + value.len();
                format!(r#"{{""entity"":""{kind}"",""value"":""{value}"",""start"":{start},""end"":{end}}}"#)
            })
            .collect();
        format!("{text},order,\"[{}]\"\n", spans.join(","))
    }

    /// Orders with numbers, with cities in two of them, and six greetings.
    fn data(more: &[String]) -> Dataset {
        let mut csv = "text,intent,entities\n".to_owned();
        for i in 0..6 {
            csv.push_str(&row(&format!("send FR-10{i} now"), &[("number", &format!("FR-10{i}"))]));
            csv.push_str(&format!("hello number {i},greeting,\n"));
        }
        csv.push_str(&row("FR-77 to Lyon", &[("number", "FR-77"), ("city", "Lyon")]));
        csv.push_str(&row("to Lyon", &[("city", "Lyon")]));
        csv.extend(more.iter().map(String::as_str));
        read_bytes(csv.as_bytes(), "a.csv", &ReadOptions::default()).unwrap()
    }

    fn trained(data: &Dataset, learn: LearnEntities, dialogue: DialogueSpec) -> IntentModel {
        let samples: Vec<Sample<'_>> = data
            .records
            .iter()
            .map(|r| Sample { text: &r.text, intent: r.intent.as_deref().unwrap() })
            .collect();
        let entities = TaggerSpec { learn, ..TaggerSpec::default() };
        let spec = ModelSpec { entities, ..ModelSpec::default() }.check().unwrap();
        let annotated = annotated(data);
        let input = TrainingInput {
            dialogue,
            annotated: &annotated,
            lookups: data.lookups.clone(),
            ..TrainingInput::new(&samples, &spec)
        };
        train(input, &Silent).unwrap()
    }

    fn found(
        data: &Dataset,
        learn: LearnEntities,
        dialogue: DialogueSpec,
    ) -> Vec<(String, String)> {
        let model = trained(data, learn, dialogue);
        let findings = annotation_findings(data, &model);
        findings.into_iter().map(|found| (found.code, found.message)).collect()
    }

    fn finding(code: &str, message: &str) -> Vec<(String, String)> {
        vec![(code.to_owned(), message.to_owned())]
    }

    #[test]
    fn kinds_that_nothing_finds_are_named() {
        let data = data(&[]);
        let none = DialogueSpec::default;
        assert_eq!(
            found(&data, LearnEntities::Never, none()),
            finding(
                "BOT-1057",
                "8 records have entity annotations that training ignores: `city`, `number`"
            )
        );
        assert_eq!(
            found(&data, LearnEntities::Auto, none()),
            finding("BOT-2188", "too few annotated spans to learn from: `city` (2 spans)")
        );
        let mut dialogue = none();
        dialogue.entities.insert("city".to_owned(), "Lyon".into());
        assert_eq!(found(&data, LearnEntities::Auto, dialogue.clone()), []);
        dialogue.entities.insert("number".to_owned(), "FR-[0-9]".into());
        assert_eq!(found(&data, LearnEntities::Never, dialogue), []);
    }

    #[test]
    fn a_kind_left_to_the_tagger_that_it_does_not_find_is_reported() {
        let mut dialogue = DialogueSpec::default();
        for kind in ["number", "voucher"] {
            let rule = EntityRule { learned: true, ..EntityRule::default() };
            dialogue.entities.insert(kind.to_owned(), rule.into());
        }
        dialogue.entities.insert("city".to_owned(), "Lyon".into());
        let message =
            "the dialogue expects the tagger to find entities that it did not learn: `voucher`";
        assert_eq!(found(&data(&[]), LearnEntities::Auto, dialogue), finding("BOT-1142", message));
    }

    /// A made-up name; those with an even number are cities.
    fn name(i: usize) -> String {
        const PARTS: [&str; 20] = [
            "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so",
            "tu", "va", "we", "xi", "yo", "zu",
        ];
        format!("{}{}", PARTS[i % 20], PARTS[(7 * i + i / 20) % 20])
    }

    /// Sixteen orders for annotated cities and sixteen for other names, in the same sentence.
    fn rasa(with_lookup: bool) -> Dataset {
        let mut yaml = "nlu:\n- intent: order\n  examples: |\n".to_owned();
        for i in (0..32).step_by(2) {
            let (city, other) = (name(i), name(i + 1));
            yaml += &format!("    - book it for [{city}](city)\n    - book it for {other}\n");
        }
        yaml += "- intent: greeting\n  examples: |\n";
        (0..4).for_each(|i| yaml += &format!("    - hello number {i}\n"));
        if with_lookup {
            let cities: Vec<String> = (0..40).step_by(2).map(name).collect();
            let cities = cities.join("\n    - ");
            yaml += &format!("- lookup: city\n  examples: |\n    - {cities}\n");
        }
        read_bytes(yaml.as_bytes(), "nlu.yml", &ReadOptions::default()).unwrap()
    }

    #[test]
    fn the_lookup_tables_of_a_rasa_file_teach_names_that_were_never_annotated() {
        let tags = |data: &Dataset, text: &str| {
            let model = trained(data, LearnEntities::Auto, DialogueSpec::default());
            model.tag(text).into_iter().map(|found| found.value).collect::<Vec<_>>()
        };
        let with = rasa(true);
        let (city, other) = (name(38), name(39));
        assert_eq!(tags(&with, &format!("book it for {city}")), [city.as_str()]);
        assert!(tags(&with, &format!("book it for {other}")).is_empty(), "it is in no list");
        let model = trained(&with, LearnEntities::Auto, DialogueSpec::default());
        assert_eq!(model.tagger().unwrap().lists(), ["city"]);
        let without = trained(&rasa(false), LearnEntities::Auto, DialogueSpec::default());
        assert!(without.tagger().unwrap().lists().is_empty());
    }

    #[test]
    fn overlapping_and_misplaced_spans_are_counted_with_their_first_record() {
        let data = data(&[
            row("to New York", &[("place", "New York"), ("state", "York")]),
            row("to Paris", &[("place", "Pari")]),
            row("to Rome", &[("place", "ome")]),
        ]);
        let model = trained(&data, LearnEntities::Auto, DialogueSpec::default());
        let findings = annotation_findings(&data, &model);
        let shown: Vec<_> = findings
            .iter()
            .map(|found| (found.code.as_str(), found.severity, found.place.record))
            .collect();
        assert_eq!(
            shown,
            [
                ("BOT-2186", Severity::Warning, Some(15)),
                ("BOT-2187", Severity::Warning, Some(16)),
                ("BOT-2188", Severity::Info, Some(13)),
            ]
        );
        assert_eq!(
            findings[0].message,
            "1 annotated span overlaps a longer one and is not learned"
        );
        assert_eq!(
            findings[1].message,
            "2 annotated spans do not begin and end at a word or a symbol and their utterances are not learned"
        );
    }
}
