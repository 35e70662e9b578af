//! What is checked of the text, the intent, the language and the entities of one record.

use super::{
    WordSet,
    damage::{self, Damage},
    is_blank, shown,
};
use crate::{
    tally::{At, Found, Sink, Told},
    utterance::View,
};
use botops_datasets::{Dataset, Record, table::Row};
use botops_expectations::{Expectations, Threshold};
use botops_findings::Result;
use botops_labels::OOS;
use botops_spec::nearest;
use std::collections::HashMap;

/// The checks of one record, ready to be made; `None` where one is silenced.
#[derive(Debug)]
pub(crate) struct RoleChecks<'a> {
    expectations: &'a Expectations,
    file: String,
    intents: Option<WordSet>,
    languages: Option<WordSet>,
    test: Option<Test<'a>>,
    empty: Option<usize>,
    short: Option<usize>,
    long: Option<usize>,
    damaged: DamageSlots,
    no_intent: Option<usize>,
    intent: Option<usize>,
    language: Option<usize>,
    span: Option<usize>,
}

/// The records of the test data, by what they say.
#[derive(Debug)]
struct Test<'a> {
    data: &'a Dataset,
    exact: HashMap<&'a str, &'a Record>,
    folded: HashMap<String, &'a Record>,
    leaks: [Option<usize>; 2],
}

impl<'a> RoleChecks<'a> {
    /// Prepares the checks of the file called `file`.
    pub(crate) fn new(
        expectations: &'a Expectations,
        file: &str,
        has_intents: bool,
        test: Option<&'a Dataset>,
        found: &mut Found,
    ) -> Self {
        let mut slot = |code| found.slot(expectations, code, None);
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
            Test { data, exact, folded, leaks }
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

    /// Checks the record `view` of `row`.
    ///
    /// # Errors
    /// `BOT-2128` when its entities cannot be read.
    pub(crate) fn check(
        &self,
        view: &View<'_>,
        row: Row<'_>,
        at: At,
        sink: &mut impl Sink,
    ) -> Result<()> {
        self.text(view.text, at, sink);
        self.labels(view, at, sink);
        self.leaks(view, at, sink);
        self.entities(view, row, at, sink)
    }

    fn text(&self, text: &str, at: At, sink: &mut impl Sink) {
        if is_blank(text) {
            if let Some(slot) = self.empty {
                sink.add(slot, at, &[text], || {
                    let help = "write the text, or remove the record";
                    ("the text is empty".to_owned(), help.to_owned())
                });
            }
            return;
        }
        let bounds = &self.expectations.text;
        let (min, max) = (bounds.min_chars, bounds.max_chars);
        // A character is one byte to four: most lengths need no counting.
        if text.len() < min.saturating_mul(4) || text.len() > max {
            let chars = text.chars().count();
            if let Some(slot) = self.short.filter(|_| chars < min) {
                sink.add(slot, at, &[text], || {
                    (
                        format!(
                            "the text `{}` has {}, and at least {min} are wanted",
                            shown(text),
                            characters(chars)
                        ),
                        "remove the record, or lower `text.min_chars` of the expectations"
                            .to_owned(),
                    )
                });
            }
            if let Some(slot) = self.long.filter(|_| chars > max) {
                sink.add(slot, at, &[text], || {
                    (
                        format!(
                            "the text `{}` has {}, and at most {max} are allowed",
                            shown(text),
                            characters(chars)
                        ),
                        "shorten it, look for a quote that swallowed lines, or raise `text.max_chars` of the expectations".to_owned(),
                    )
                });
            }
        }
        self.damaged.check("the text", text, at, sink);
    }

    fn labels(&self, view: &View<'_>, at: At, sink: &mut impl Sink) {
        let expectations = self.expectations;
        match view.intent {
            None => {
                if let Some(slot) = self.no_intent {
                    sink.add(slot, at, &[view.text], || {
                        (
                            format!("the text `{}` has no intent", shown(view.text)),
                            "label it, or remove the record".to_owned(),
                        )
                    });
                }
            }
            Some(intent) => {
                let is_known = self.intents.as_ref().is_none_or(|known| {
                    known.contains(intent) || intent == expectations.oos || intent == OOS
                });
                if let Some(slot) = self.intent.filter(|_| !is_known) {
                    sink.add(slot, at, &[view.text, intent], || {
                        let known = expectations.intents.iter().flatten().map(String::as_str);
                        let help = match nearest(intent, known.chain([expectations.oos.as_str()])) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => {
                                "relabel it, or add it to `intents` of the expectations".to_owned()
                            }
                        };
                        (format!("the intent `{}` is not expected", shown(intent)), help)
                    });
                }
            }
        }
        if let (Some(languages), Some(lang), Some(slot)) =
            (&self.languages, view.lang, self.language)
            && !languages.contains(lang)
        {
            sink.add(slot, at, &[view.text, lang], || {
                let known = expectations.languages.iter().flatten().map(String::as_str);
                let help = match nearest(lang, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "correct it, or add it to `languages` of the expectations".to_owned(),
                };
                (format!("the language `{}` is not expected", shown(lang)), help)
            });
        }
    }

    fn leaks(&self, view: &View<'_>, at: At, sink: &mut impl Sink) {
        let Some(test) = &self.test else { return };
        let [same, alike] = test.leaks;
        if view.fold().is_empty() {
            return;
        }
        let (slot, there, but) = match (test.exact.get(view.text), test.folded.get(view.fold())) {
            (Some(there), _) => (same, there, ""),
            (None, Some(there)) => (alike, there, ", but for case and spaces"),
            (None, None) => return,
        };
        let Some(slot) = slot else { return };
        sink.add(slot, at, &[view.text], || {
            (
                format!(
                    "the text `{}` is also record {} (line {}) of the test data `{}`{but}",
                    shown(view.text),
                    there.record,
                    there.line,
                    shown(&test.data.name)
                ),
                "remove it from the training data: a test is worth what was not learned from"
                    .to_owned(),
            )
        });
    }

    fn entities(&self, view: &View<'_>, row: Row<'_>, at: At, sink: &mut impl Sink) -> Result<()> {
        let file = row.file().map_or(self.file.as_str(), |file| file);
        let entities = view.entities(file, row)?;
        let Some(slot) = self.span.filter(|_| !entities.is_empty()) else { return Ok(()) };
        let text = view.text;
        // Byte offsets of the characters, and of the end.
        let offsets: Vec<usize> =
            text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        for span in &entities {
            let there = match (offsets.get(span.start), offsets.get(span.end)) {
                (Some(&start), Some(&end)) if start < end => Some(&text[start..end]),
                _ => None,
            };
            if there == Some(span.value.as_str()) {
                continue;
            }
            let (name, value) = (shown(&span.entity), shown(&span.value));
            let (start, end) = (span.start, span.end);
            sink.add(slot, at, &[text, &span.entity, &span.value], || {
                let message = match there {
                    Some(there) => format!(
                        "the entity `{name}` is `{value}`, and characters {start} to {end} are `{}`",
                        shown(there)
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
                            "`{value}` stands at {start} to {end}; offsets count characters from 0, the end not included"
                        )
                    }
                    _ => "offsets count characters from 0, the end not included".to_owned(),
                };
                (message, help)
            });
        }
        Ok(())
    }
}

/// The slots of damage to a text.
#[derive(Debug)]
pub(crate) struct DamageSlots {
    lost: Option<usize>,
    misread: Option<usize>,
    invisible: Option<usize>,
    decomposed: Option<usize>,
}

impl DamageSlots {
    pub(crate) fn new(slot: &mut impl FnMut(&'static str) -> Option<usize>) -> Self {
        Self {
            lost: slot("BOT-2117"),
            misread: slot("BOT-2118"),
            invisible: slot("BOT-2119"),
            decomposed: slot("BOT-2215"),
        }
    }

    /// Makes the same slots for a rule.
    pub(crate) fn of_rule(
        found: &mut Found,
        expectations: &Expectations,
        label: &str,
        thresholds: [Option<Threshold>; 2],
    ) -> Self {
        Self::new(&mut |code| found.slot(expectations, code, Some((label.to_owned(), thresholds))))
    }

    /// Looks for damage in `text`, which messages call `what`.
    pub(crate) fn check(&self, what: &str, text: &str, at: At, sink: &mut impl Sink) {
        for damage in damage::find(text) {
            let slot = match damage {
                Damage::Replacement { .. } => self.lost,
                Damage::Mojibake { .. } => self.misread,
                Damage::Invisible { .. } => self.invisible,
                Damage::Decomposed { .. } => self.decomposed,
            };
            if let Some(slot) = slot {
                sink.add(slot, at, &[text], || told(what, text, &damage));
            }
        }
    }
}

fn told(what: &str, text: &str, damage: &Damage) -> Told {
    match damage {
        Damage::Replacement { count, at } => (
            format!(
                "{what} `{}` lost {} to a damaged encoding, the first at character {at}",
                shown(text),
                characters(*count)
            ),
            "export the data again as UTF-8: what stood there cannot be restored from this file"
                .to_owned(),
        ),
        Damage::Mojibake { seen, meant, at } => (
            format!(
                "`{}` at character {at} looks like `{}` read in the wrong encoding",
                shown(seen),
                shown(meant)
            ),
            "export the data again as UTF-8, or let it be undone: `botops data repair`".to_owned(),
        ),
        Damage::Invisible { which, count, at } => (
            format!(
                "{what} holds {} that cannot be seen, the first, U+{:04X}, at character {at}",
                characters(*count),
                u32::from(*which)
            ),
            "remove what cannot be seen".to_owned(),
        ),
        Damage::Decomposed { which, count, at } => (
            format!(
                "{what} writes {} as a letter and its mark apart, the first, U+{:04X}, at character {at}",
                characters(*count),
                u32::from(*which)
            ),
            "write the data in one form (NFC): the same word in two forms is two words to some tools"
                .to_owned(),
        ),
    }
}

fn characters(count: usize) -> String {
    if count == 1 { "1 character".to_owned() } else { format!("{count} characters") }
}
