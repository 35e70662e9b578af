//! A table of predictions on standard output that is printed as it grows.

use super::{classification::Classified, text};
use crate::cli::Printer;
use botops_findings::{Fault, Result};
use botops_models::{IntentModel, confidence::FallbackRule};
use botops_text::{display, utterance};
use std::io;

/// The origin of the utterances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Records of a file: each row has its number, and personal data is replaced.
    File,
    /// Lines that the user typed.
    Lines,
}

/// Prints one row for each prediction.
pub(super) struct Rows<'a> {
    printer: &'a Printer,
    origin: Origin,
    /// Whether each utterance gets several lines, with its likeliest intents.
    shows_others: bool,
    rule: FallbackRule,
    width: usize,
    has_header: bool,
}

impl<'a> Rows<'a> {
    /// Begins a table of predictions of `model`.
    pub(super) fn begin(
        printer: &'a Printer,
        model: &IntentModel,
        origin: Origin,
        shows_others: bool,
    ) -> Self {
        let widths = model.labels().iter().map(|name| name.chars().count());
        let width = widths.max().unwrap_or(0).max("intent".len());
        Self { printer, origin, shows_others, rule: model.fallback(), width, has_header: false }
    }

    /// Prints `predictions`; returns whether more can be printed, which a closed pipe prevents.
    pub(super) fn print(&mut self, predictions: &[Classified]) -> Result<bool> {
        let mut text = String::new();
        if !self.shows_others && !std::mem::replace(&mut self.has_header, true) {
            text.push_str(&self.line(["record", "intent", "confidence", "fallback", "text"]));
        }
        for one in predictions {
            text.push_str(&self.row(one));
        }
        match self.printer.part(&text) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => {
                let message = format!("the answer cannot be written: {error}");
                Err(Fault::internal("BOT-1008", message))
            }
        }
    }

    fn row(&self, one: &Classified) -> String {
        let shown = match self.origin {
            Origin::File => utterance(&one.text, 80),
            Origin::Lines => display(&one.text, 80),
        };
        if self.shows_others {
            return format!("{shown}\n{}\n", text::single(one, self.rule));
        }
        self.line([
            &one.record.unwrap_or_default().to_string(),
            &one.intent,
            &format!("{:.3}", one.confidence),
            if one.fallback { "yes" } else { "" },
            &shown,
        ])
    }

    /// Renders a row; the columns have their largest possible width, because later rows are not known yet.
    fn line(&self, [record, intent, confidence, fallback, text]: [&str; 5]) -> String {
        let width = self.width;
        let row = format!("{intent:<width$}  {confidence:>10}  {fallback:<8}  {text}");
        match self.origin {
            Origin::File => format!("{record:>8}  {}\n", row.trim_end()),
            Origin::Lines => format!("{}\n", row.trim_end()),
        }
    }
}
