//! The conversations of a backup, without those that were erased later.

use crate::{chunk_reader::ChunkReader, erased::Erased, format::FileEntry};
use botops_conversations::{Copied, Id, Row, RowSource, Rows, WrappedKey};
use botops_findings::{Fault, Result};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// The keys that are passed on at a time.
const BATCH: usize = 500;

/// The rows of a backup, one piece of the file at a time.
pub(crate) struct RestoredRows<'a, 'r> {
    reader: &'a mut ChunkReader<'r>,
    file: &'a FileEntry,
    /// The next piece.
    next: usize,
    /// The bytes after the last line.
    rest: Vec<u8>,
    /// The turns of the last conversation, which may go on.
    open: Vec<Row>,
    keys: Vec<WrappedKey>,
    erased: &'a Erased,
    /// The time after which turns are left out, in milliseconds since 1970.
    until: Option<i64>,
    /// The conversations that were left out because a person in them was erased.
    left_out: BTreeSet<Id>,
}

impl<'a, 'r> RestoredRows<'a, 'r> {
    pub(crate) fn new(
        reader: &'a mut ChunkReader<'r>,
        file: &'a FileEntry,
        mut keys: Vec<WrappedKey>,
        (erased, at): (&'a Erased, Option<DateTime<Utc>>),
    ) -> Self {
        // The last one is taken first.
        keys.reverse();
        let until = at.map(|at| at.timestamp_millis());
        let (rest, open, left_out) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { reader, file, next: 0, rest, open, keys, erased, until, left_out }
    }

    /// Reads all rows, and returns their extent.
    ///
    /// # Errors
    /// `BOT-5100` (exit 3) they are damaged.
    pub(crate) async fn extent(mut self) -> Result<Copied> {
        let mut extent = Copied::default();
        let mut last = None;
        while let Some(rows) = self.next().await? {
            match rows {
                Rows::Turns(rows) => {
                    for row in rows {
                        extent.turns += 1;
                        let is_new = last.replace(row.conversation) != Some(row.conversation);
                        extent.conversations += u64::from(is_new);
                    }
                }
                Rows::Keys(keys) => extent.keys += keys.len() as u64,
            }
        }
        Ok(extent)
    }

    fn wrong(&self) -> Fault {
        Fault::data("BOT-5100", "the turns in the backup cannot be read")
            .hint("use an earlier backup, and make a new one soon")
    }

    /// Returns the turns of a conversation, or none if it was erased.
    fn passed(&mut self, rows: Vec<Row>) -> Vec<Row> {
        let Some(conversation) = rows.first().map(|row| row.conversation) else { return rows };
        let is_named = |row: &Row| {
            row.person.is_some_and(|person| self.erased.persons.contains(&person.to_string()))
        };
        if self.erased.conversations.contains(&conversation.to_string())
            || rows.iter().any(is_named)
        {
            self.left_out.insert(conversation);
            return Vec::new();
        }
        let until = self.until.unwrap_or(i64::MAX);
        rows.into_iter().filter(|row| row.at <= until).collect()
    }
}

impl RowSource for RestoredRows<'_, '_> {
    async fn next(&mut self) -> Result<Option<Rows>> {
        let mut rows = Vec::new();
        while rows.is_empty() && self.next < self.file.pieces.len() {
            let piece = self.file.pieces[self.next];
            self.next += 1;
            let part = self.reader.part(piece).await?;
            self.rest.extend_from_slice(&part);
            let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let lines: Vec<u8> = self.rest.drain(..end).collect();
            for row in crate::rows::read_all::<Row>(&lines).ok_or_else(|| self.wrong())? {
                if self.open.last().is_some_and(|last| last.conversation != row.conversation) {
                    let whole = std::mem::take(&mut self.open);
                    rows.extend(self.passed(whole));
                }
                self.open.push(row);
            }
        }
        if rows.is_empty() && self.next == self.file.pieces.len() {
            if !self.rest.is_empty() {
                return Err(self.wrong());
            }
            let whole = std::mem::take(&mut self.open);
            rows = self.passed(whole);
        }
        if !rows.is_empty() {
            return Ok(Some(Rows::Turns(rows)));
        }
        let mut keys = Vec::new();
        while keys.len() < BATCH
            && let Some(key) = self.keys.pop()
        {
            let is_erased = self.left_out.contains(&key.conversation)
                || self.erased.conversations.contains(&key.conversation.to_string())
                || self.erased.persons.contains(&key.person.to_string());
            if !is_erased {
                keys.push(key);
            }
        }
        Ok((!keys.is_empty()).then_some(Rows::Keys(keys)))
    }
}
