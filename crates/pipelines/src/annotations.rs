//! The entity annotations of training data: what the tagger learns from, and what training ignores.

use botops_datasets::{Dataset, EntitySpan};
use botops_dialogue::DialogueSpec;
use botops_findings::{Finding, Place, Severity};
use botops_models::{Annotated, Span};
use std::collections::BTreeSet;

/// The most kinds of entities that are named.
const MOST_KINDS: usize = 8;

/// Returns the utterances of `data` with their annotated spans, as a tagger learns from them.
///
/// Utterances without spans are included: they show where there is no entity.
#[must_use]
pub fn annotated(data: &Dataset) -> Vec<Annotated<'_>> {
    data.records
        .iter()
        .map(|record| Annotated {
            text: &record.text,
            spans: record.entities.iter().map(span).collect(),
        })
        .collect()
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

/// Returns a note about the entity annotations in `data`, which training ignores; `None` if there are none, or if `dialogue`
/// has a pattern for every annotated kind.
#[must_use]
pub fn ignored_entities(data: &Dataset, dialogue: &DialogueSpec) -> Option<Finding> {
    let mut kinds: BTreeSet<&str> = BTreeSet::new();
    let (mut n, mut first) = (0, None);
    for record in &data.records {
        let named = record.entities.iter().map(|span| span.entity.as_str());
        let ignored: Vec<&str> =
            named.filter(|kind| !dialogue.entities.contains_key(*kind)).collect();
        if !ignored.is_empty() {
            n += 1;
            first.get_or_insert(record);
        }
        kinds.extend(ignored);
    }
    let place: Place = data.place(first?);
    let named = kinds.iter().take(MOST_KINDS);
    let mut names: Vec<String> =
        named.map(|kind| format!("`{}`", botops_text::display(kind, 40))).collect();
    if kinds.len() > MOST_KINDS {
        names.push(format!("and {} more", kinds.len() - MOST_KINDS));
    }
    let (records, have) = if n == 1 { ("record", "has") } else { ("records", "have") };
    let message = format!(
        "{n} {records} {have} entity annotations that training ignores: {}",
        names.join(", ")
    );
    let help = "a model learns intents only; entities are found by patterns: write one for each kind under `entities:` of the dialogue";
    Some(Finding::new("BOT-1057", Severity::Info, message, help).at(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_datasets::{ReadOptions, read_bytes};

    #[test]
    fn annotations_without_a_pattern_are_counted_by_record_and_named_by_kind() {
        let csv = "text,intent,entities\nhello,greeting,\n\
            FR-1 to Lyon,order,\"[{\"\"entity\"\":\"\"number\"\",\"\"value\"\":\"\"FR-1\"\",\"\"start\"\":0,\"\"end\"\":4},{\"\"entity\"\":\"\"city\"\",\"\"value\"\":\"\"Lyon\"\",\"\"start\"\":8,\"\"end\"\":12}]\"\n\
            to Lyon,order,\"[{\"\"entity\"\":\"\"city\"\",\"\"value\"\":\"\"Lyon\"\",\"\"start\"\":3,\"\"end\"\":7}]\"\n";
        let data = read_bytes(csv.as_bytes(), "a.csv", &ReadOptions::default()).unwrap();
        let mut dialogue = DialogueSpec::default();
        let found = ignored_entities(&data, &dialogue).unwrap();
        assert_eq!(
            found.message,
            "2 records have entity annotations that training ignores: `city`, `number`"
        );
        assert_eq!((found.place.record, found.severity), (Some(2), Severity::Info));
        dialogue.entities.insert("city".to_owned(), "Lyon".into());
        let found = ignored_entities(&data, &dialogue).unwrap();
        assert_eq!(
            found.message,
            "1 record has entity annotations that training ignores: `number`"
        );
        dialogue.entities.insert("number".to_owned(), "FR-[0-9]".into());
        assert_eq!(ignored_entities(&data, &dialogue), None);
    }
}
