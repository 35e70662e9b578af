//! Sets and maps of words, and small helpers for cells and messages.

use botops_findings::Fault;
use std::collections::{HashMap, HashSet};

/// A set of words that is looked up for every record; its order has no effect on the output.
pub(crate) type WordSet = HashSet<String, foldhash::fast::RandomState>;
/// A map by word; its order has no effect on the output.
pub(crate) type ByWord<V> = HashMap<String, V, foldhash::fast::RandomState>;

/// Returns whether `cell` is empty or holds only white space; the first byte decides for most cells.
pub(crate) fn is_blank(cell: &str) -> bool {
    !cell.as_bytes().first().is_some_and(u8::is_ascii_graphic) && cell.trim().is_empty()
}

/// Returns the first 60 characters of `text`, safe to show: on one line, without personal data.
pub(crate) fn excerpt(text: &str) -> String {
    botops_text::utterance(text, 60)
}

/// Returns the fault for a file whose second reading differs from the first.
pub(crate) fn changed(file: &str) -> Fault {
    Fault::conflict("BOT-2218", "the file changed while it was read")
        .file(file)
        .hint("wait until it is complete, then validate it again")
}
