//! Checks of a text for damage by wrong encodings.

use crate::{
    damage::{self, Damage},
    record_position::{FindingSink, Message, RecordPosition},
    tally::Tally,
    words::excerpt,
};
use botops_expectations::{Expectations, Threshold};

/// The slots for damage to a text, one per kind; `None` for a kind that is silenced.
#[derive(Debug)]
pub(crate) struct DamageSlots {
    lost: Option<usize>,
    misread: Option<usize>,
    invisible: Option<usize>,
    decomposed: Option<usize>,
    html: Option<usize>,
    suspect: Option<usize>,
}

impl DamageSlots {
    /// Makes the slots; `slot` makes the slot of a code.
    pub(crate) fn new(slot: &mut impl FnMut(&'static str) -> Option<usize>) -> Self {
        Self {
            lost: slot("BOT-2117"),
            misread: slot("BOT-2118"),
            invisible: slot("BOT-2119"),
            decomposed: slot("BOT-2215"),
            html: slot("BOT-2242"),
            suspect: slot("BOT-2243"),
        }
    }

    /// Makes the slots for a rule with this label and these thresholds (`warn_if`, `fail_if`).
    pub(crate) fn of_rule(
        tally: &mut Tally,
        expectations: &Expectations,
        label: &str,
        thresholds: [Option<Threshold>; 2],
    ) -> Self {
        Self::new(&mut |code| tally.slot(expectations, code, Some((label.to_owned(), thresholds))))
    }

    /// Checks `text`; messages call it `name`.
    pub(crate) fn check(
        &self,
        name: &str,
        text: &str,
        at: RecordPosition,
        sink: &mut impl FindingSink,
    ) {
        for damage in damage::find(text) {
            let slot = match damage {
                Damage::Replacement { .. } => self.lost,
                Damage::Mojibake { .. } => self.misread,
                Damage::Invisible { .. } => self.invisible,
                Damage::Decomposed { .. } => self.decomposed,
                Damage::Html { .. } => self.html,
                Damage::Suspect { .. } => self.suspect,
            };
            if let Some(slot) = slot {
                sink.add(slot, at, &[text], || message(name, text, &damage));
            }
        }
    }
}

fn message(name: &str, text: &str, damage: &Damage) -> Message {
    let (message, help) = match damage {
        Damage::Replacement { count, at } => (
            format!(
                "{name} `{}` lost {} to a wrong encoding, the first at character {at}",
                excerpt(text),
                characters(*count)
            ),
            "export the data again as UTF-8: the lost characters cannot be restored from this file",
        ),
        Damage::Mojibake { seen, meant, at } => (
            format!(
                "`{}` at character {at} looks like `{}` in the wrong encoding",
                excerpt(seen),
                excerpt(meant)
            ),
            "export the data again as UTF-8, or repair it with `botops data repair`",
        ),
        Damage::Invisible { which, count, at } => (
            format!(
                "{name} has {}, the first, U+{:04X}, at character {at}",
                invisible(*count),
                u32::from(*which)
            ),
            "remove the invisible characters",
        ),
        Damage::Decomposed { which, count, at } => (
            format!(
                "{name} has {} separate from the letter, the first, U+{:04X}, at character {at}",
                marks(*count),
                u32::from(*which)
            ),
            "normalize the data to NFC: for some tools, two forms of one word are two words",
        ),
        Damage::Html { seen, at } => (
            format!("{name} has HTML: `{}` at character {at}", excerpt(seen)),
            "write plain text, or repair it with `botops data repair`",
        ),
        Damage::Suspect { seen, at } => (
            format!("`{}` at character {at} seems to have lost characters", excerpt(seen)),
            "export the data again as UTF-8, or correct the word: the characters cannot be restored from this file",
        ),
    };
    (message, help.to_owned())
}

/// Returns `count` with the word "character".
pub(crate) fn characters(count: usize) -> String {
    botops_text::counted(count as u64, "character", "characters")
}

fn invisible(count: usize) -> String {
    botops_text::counted(count as u64, "invisible character", "invisible characters")
}

fn marks(count: usize) -> String {
    botops_text::counted(count as u64, "combining mark", "combining marks")
}
