//! The checks of one record's text, intent, language and entities.

use crate::{
    damage_checks::{DamageSlots, characters},
    record_position::{FindingSink, Message, RecordPosition},
    tally::Tally,
    utterance::Utterance,
    words::{WordSet, excerpt, is_blank},
};
use botops_datasets::{Dataset, Record, table::Row};
use botops_expectations::Expectations;
use botops_findings::Result;
use botops_spec::nearest;
use std::collections::HashMap;

/// The checks of one record, with a slot each; `None` for a check that is silenced.
#[derive(Debug)]
pub(crate) struct UtteranceChecks<'a> {
    expectations: &'a Expectations,
    file: String,
    intents: Option<WordSet>,
    languages: Option<WordSet>,
    test: Option<TestData<'a>>,
    /// The slot of empty texts, and of blank rows.
    pub(crate) empty: Option<usize>,
    short: Option<usize>,
    long: Option<usize>,
    damaged: DamageSlots,
    no_intent: Option<usize>,
    intent: Option<usize>,
    language: Option<usize>,
    span: Option<usize>,
}

/// The records of the test data by their texts.
#[derive(Debug)]
struct TestData<'a> {
    data: &'a Dataset,
    exact: HashMap<&'a str, &'a Record>,
    folded: HashMap<String, &'a Record>,
    /// The slots of exact leaks, and of leaks but for case and spaces.
    leaks: [Option<usize>; 2],
}

impl<'a> UtteranceChecks<'a> {
    /// Prepares the checks of a file, whose name is `file`.
    pub(crate) fn new(
        expectations: &'a Expectations,
        file: &str,
        has_intents: bool,
        test: Option<&'a Dataset>,
        tally: &mut Tally,
    ) -> Self {
        let mut slot = |code| tally.slot(expectations, code, None);
        let (empty, no_intent) = (slot("BOT-2111"), slot("BOT-2112").filter(|_| has_intents));
        let (intent, language) = (slot("BOT-2113"), slot("BOT-2114"));
        let (short, long) = (slot("BOT-2115"), slot("BOT-2116"));
        let damaged = DamageSlots::new(&mut slot);
        let test = test.map(|data| {
            let leaks = [slot("BOT-2124"), slot("BOT-2125")];
            let (mut exact, mut folded) = (HashMap::new(), HashMap::new());
            for record in &data.records {
                exact.entry(record.text.as_str()).or_insert(record);
                folded.entry(botops_text::fold(&record.text)).or_insert(record);
            }
            TestData { data, exact, folded, leaks }
        });
        let span = slot("BOT-2126");
        let set = |values: &Option<Vec<String>>| {
            values.as_ref().map(|values| values.iter().cloned().collect())
        };
        Self {
            expectations,
            file: file.to_owned(),
            intents: set(&expectations.intents),
            languages: set(&expectations.languages),
            test,
            empty,
            short,
            long,
            damaged,
            no_intent,
            intent,
            language,
            span,
        }
    }

    /// Checks `utterance`, the record of `row`; `has_damage_rule`: a rule checks its text for damage.
    ///
    /// # Errors
    /// `BOT-2128` when its entities cannot be parsed.
    pub(crate) fn check(
        &self,
        utterance: &Utterance<'_>,
        row: Row<'_>,
        (at, has_damage_rule): (RecordPosition, bool),
        sink: &mut impl FindingSink,
    ) -> Result<()> {
        self.text(utterance.text, at, sink);
        if !has_damage_rule && !is_blank(utterance.text) {
            self.damaged.check("the text", utterance.text, at, sink);
        }
        for (name, label) in [("the intent", utterance.intent), ("the language", utterance.lang)] {
            if let Some(label) = label.filter(|label| label.contains(char::is_control)) {
                self.damaged.check(name, label, at, sink);
            }
        }
        self.labels(utterance, at, sink);
        self.leaks(utterance, at, sink);
        self.entities(utterance, row, at, sink)
    }

    fn text(&self, text: &str, at: RecordPosition, sink: &mut impl FindingSink) {
        if is_blank(text) {
            if let Some(slot) = self.empty {
                sink.add(slot, at, &[text], || {
                    message("the text is empty".to_owned(), "write the text, or remove the record")
                });
            }
            return;
        }
        let bounds = &self.expectations.text;
        let (min, max) = (bounds.min_chars, bounds.max_chars);
        // A character has 1 to 4 bytes, so most lengths need no count.
        if text.len() < min.saturating_mul(4) || text.len() > max {
            let chars = text.chars().count();
            if let Some(slot) = self.short.filter(|_| chars < min) {
                sink.add(slot, at, &[text], || {
                    message(
                        format!(
                            "the text `{}` has {}: expected at least {min}",
                            excerpt(text),
                            characters(chars)
                        ),
                        "remove the record, or lower `text.min_chars` in the expectations",
                    )
                });
            }
            if let Some(slot) = self.long.filter(|_| chars > max) {
                sink.add(slot, at, &[text], || {
                    message(
                        format!(
                            "the text `{}` has {}: expected at most {max}",
                            excerpt(text),
                            characters(chars)
                        ),
                        "shorten it, check for a quote that is never closed, or raise `text.max_chars` in the expectations",
                    )
                });
            }
        }
    }

    fn labels(&self, utterance: &Utterance<'_>, at: RecordPosition, sink: &mut impl FindingSink) {
        let expectations = self.expectations;
        match utterance.intent {
            None => {
                if let Some(slot) = self.no_intent {
                    sink.add(slot, at, &[utterance.text], || {
                        message(
                            format!("the text `{}` has no intent", excerpt(utterance.text)),
                            "label it, or remove the record",
                        )
                    });
                }
            }
            Some(intent) => {
                let is_known = self
                    .intents
                    .as_ref()
                    .is_none_or(|known| known.contains(intent) || expectations.is_oos(intent));
                if let Some(slot) = self.intent.filter(|_| !is_known) {
                    sink.add(slot, at, &[utterance.text, intent], || {
                        let known = expectations.intents.iter().flatten().map(String::as_str);
                        let help = match nearest(intent, known.chain([expectations.oos.as_str()])) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => {
                                "relabel it, or add it to `intents` in the expectations".to_owned()
                            }
                        };
                        (format!("the intent `{}` is not expected", excerpt(intent)), help)
                    });
                }
            }
        }
        if let (Some(languages), Some(lang), Some(slot)) =
            (&self.languages, utterance.lang, self.language)
            && !languages.contains(lang)
        {
            sink.add(slot, at, &[utterance.text, lang], || {
                let known = expectations.languages.iter().flatten().map(String::as_str);
                let help = match nearest(lang, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "correct it, or add it to `languages` in the expectations".to_owned(),
                };
                (format!("the language `{}` is not expected", excerpt(lang)), help)
            });
        }
    }

    fn leaks(&self, utterance: &Utterance<'_>, at: RecordPosition, sink: &mut impl FindingSink) {
        let Some(test) = &self.test else { return };
        let [exact, folded] = test.leaks;
        if utterance.folded().is_empty() {
            return;
        }
        let (slot, record, but) =
            match (test.exact.get(utterance.text), test.folded.get(utterance.folded())) {
                (Some(record), _) => (exact, record, ""),
                (None, Some(record)) => (folded, record, ", but for case and spaces"),
                (None, None) => return,
            };
        let Some(slot) = slot else { return };
        sink.add(slot, at, &[utterance.text], || {
            message(
                format!(
                    "the text `{}` is also record {} (line {}) of the test data `{}`{but}",
                    excerpt(utterance.text),
                    record.record,
                    record.line,
                    excerpt(&test.data.name)
                ),
                "remove it from the training data: a test is only meaningful on unseen texts",
            )
        });
    }

    fn entities(
        &self,
        utterance: &Utterance<'_>,
        row: Row<'_>,
        at: RecordPosition,
        sink: &mut impl FindingSink,
    ) -> Result<()> {
        let file = row.file().map_or(self.file.as_str(), |file| file);
        let entities = utterance.entities(file, row)?;
        let Some(slot) = self.span.filter(|_| !entities.is_empty()) else { return Ok(()) };
        let text = utterance.text;
        // The byte offsets of the characters, and of the end.
        let offsets: Vec<usize> =
            text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        for span in &entities {
            let actual = match (offsets.get(span.start), offsets.get(span.end)) {
                (Some(&start), Some(&end)) if start < end => Some(&text[start..end]),
                _ => None,
            };
            if actual == Some(span.value.as_str()) {
                continue;
            }
            let (name, value) = (excerpt(&span.entity), excerpt(&span.value));
            let (start, end) = (span.start, span.end);
            sink.add(slot, at, &[text, &span.entity, &span.value], || {
                let message = match actual {
                    Some(actual) => format!(
                        "the entity `{name}` is `{value}`, but characters {start} to {end} are `{}`",
                        excerpt(actual)
                    ),
                    None => format!(
                        "the entity `{name}` spans characters {start} to {end} of a text of {}",
                        offsets.len() - 1
                    ),
                };
                let help = match text.find(&span.value) {
                    Some(at) if !span.value.is_empty() => {
                        let start = text[..at].chars().count();
                        let end = start + span.value.chars().count();
                        format!(
                            "`{value}` is at {start} to {end}; offsets count characters from 0, the end is exclusive"
                        )
                    }
                    _ => "offsets count characters from 0, the end is exclusive".to_owned(),
                };
                (message, help)
            });
        }
        Ok(())
    }
}

fn message(message: String, help: &str) -> Message {
    (message, help.to_owned())
}
