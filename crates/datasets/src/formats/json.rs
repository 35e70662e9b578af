//! JSON: one object a line, or one list of objects. A value keeps the form in which it is written.
//!
//! In: the bytes of a file, part by part. Out: the [`Member`]s of each object, with its record number and line.

mod cells;

use super::encoding::{LONGEST, Start, decode, not_utf8, too_long};
use botops_findings::{Fault, Place, Result};
use serde::{
    Deserialize as _, Deserializer,
    de::{DeserializeSeed, MapAccess, Visitor},
};
use serde_json::{Map, Value, error::Category, value::RawValue};
use std::{borrow::Cow, collections::HashSet, fmt, ops::Range};

pub(crate) use cells::{Kind, push_cell};
use cells::{TOO_DEEP, Text};

/// A key of an object, and its value as written.
pub(crate) type Member<'t> = (Cow<'t, str>, &'t RawValue);

/// The position of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    /// The record number, from 1.
    pub(crate) record: u64,
    /// The line on which the object begins, from 1.
    pub(crate) line: u64,
}

/// The syntax that holds the objects together.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Syntax {
    /// One object a line.
    Lines,
    /// One list, in which this is expected next.
    List(Expected),
}

/// The next element of a list.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    /// `[`.
    List,
    /// The first object, or `]`.
    First,
    /// Another object.
    Object,
    /// A comma, or `]`.
    Comma,
    /// Nothing: the list has ended.
    Nothing,
}

/// Reads the objects of a file part by part.
#[derive(Debug)]
pub(crate) struct Reader {
    file: String,
    syntax: Syntax,
    start: Start,
}

impl Reader {
    /// Begins a file of one object a line, whose text begins at the byte `offset`.
    pub(crate) fn lines(file: &str, offset: u64) -> Self {
        Self { file: file.to_owned(), syntax: Syntax::Lines, start: Start::at(offset) }
    }

    /// Begins a file of one list, whose text begins at the byte `offset`.
    pub(crate) fn list(file: &str, offset: u64) -> Self {
        Self { syntax: Syntax::List(Expected::List), ..Self::lines(file, offset) }
    }

    /// The fault of an object of more than 64 MiB, the next one of the file.
    pub(crate) fn too_long(&self) -> Fault {
        let Start { records, line, .. } = self.start;
        too_long(self.place(Position { record: records + 1, line }))
    }

    /// Returns the place of the object at `position`.
    pub(crate) fn place(&self, position: Position) -> Place {
        Place {
            file: Some(self.file.clone()),
            record: Some(position.record),
            line: Some(position.line),
            ..Place::default()
        }
    }

    /// Passes the whole objects at the beginning of `bytes`, the next part of the file, to `sink`; returns how many bytes
    /// they have.
    ///
    /// Unless `bytes` are the `last` ones, the object at their end is left, because it may continue in the next part.
    ///
    /// # Errors
    /// See [`crate::read()`]. An error of `sink` is a fault of the object. The objects before the fault were passed to
    /// `sink`.
    pub(crate) fn read<'t>(
        &mut self,
        bytes: &'t [u8],
        last: bool,
        sink: &mut impl FnMut(&[Member<'t>], Position) -> serde_json::Result<()>,
    ) -> Result<usize> {
        let (text, is_damaged) = decode(bytes, last);
        let last = last && !is_damaged;
        let start = self.start;
        let consumed = match self.syntax {
            Syntax::Lines => self.read_lines(text, last, sink)?,
            Syntax::List(expected) => self.read_list(text, last, expected, sink)?,
        };
        if is_damaged {
            let record = self.start.records + 1;
            return Err(not_utf8(bytes, text, &self.file, start, Some(record)));
        }
        Ok(consumed)
    }

    fn read_lines<'t>(
        &mut self,
        text: &'t str,
        last: bool,
        sink: &mut impl FnMut(&[Member<'t>], Position) -> serde_json::Result<()>,
    ) -> Result<usize> {
        let whole = match last {
            true => text.len(),
            false => text.rfind('\n').map_or(0, |newline| newline + 1),
        };
        let mut members = Vec::new();
        let mut position = Position { record: self.start.records, line: self.start.line };
        for line in text[..whole].split_inclusive('\n') {
            let line_end = usize::from(line.ends_with('\n'));
            let object = &line[..line.len() - line_end];
            let object = object.strip_suffix('\r').filter(|_| line_end > 0).unwrap_or(object);
            if !object.trim().is_empty() {
                position.record += 1;
                self.object(object, position, 0, &mut members, sink)?;
            }
            position.line += line_end as u64;
        }
        let Position { record: records, line } = position;
        let offset = self.start.offset + whole as u64;
        self.start = Start { offset, line, column: 0, records };
        Ok(whole)
    }

    fn read_list<'t>(
        &mut self,
        text: &'t str,
        last: bool,
        mut expected: Expected,
        sink: &mut impl FnMut(&[Member<'t>], Position) -> serde_json::Result<()>,
    ) -> Result<usize> {
        let mut members = Vec::new();
        let mut at = 0;
        loop {
            let rest = &text.as_bytes()[at..];
            let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let from = at + blank;
            // The start follows the reading, so that a fault has the place of the value at `from`.
            self.start = self.start.after(&text[at..from]);
            let Some(&sign) = text.as_bytes().get(from) else {
                at = from;
                break;
            };
            let position = Position { record: self.start.records + 1, line: self.start.line };
            let column = self.start.column;
            let (end, next) = match (expected, sign) {
                (Expected::List, b'[') => (from + 1, Expected::First),
                (Expected::First | Expected::Comma, b']') => (from + 1, Expected::Nothing),
                (Expected::Comma, b',') => (from + 1, Expected::Object),
                (Expected::First | Expected::Object, byte) if !b",]".contains(&byte) => {
                    let length = match value_length(&text[from..]) {
                        // One more byte may belong to a number or a word.
                        Ok(length) if last || from + length < text.len() => length,
                        Err(error) if !error.is_eof() => {
                            return Err(self.malformed(&text[from..], position, column, error));
                        }
                        Err(_) if last => {
                            return Err(Fault::data(
                                "BOT-2107",
                                "the file ends in the middle of an object",
                            )
                            .at(Place { column: Some(column as u64 + 1), ..self.place(position) })
                            .hint("it may have been cut off: write it again"));
                        }
                        _ => {
                            at = from;
                            break;
                        }
                    };
                    let value = &text[from..from + length];
                    self.object(value, position, column, &mut members, sink)?;
                    self.start.records += 1;
                    (from + length, Expected::Comma)
                }
                _ => return Err(self.unexpected(expected, &text[from..], position, column)),
            };
            self.start = self.start.after(&text[from..end]);
            at = end;
            expected = next;
            self.syntax = Syntax::List(expected);
        }
        Ok(at)
    }

    /// The fault of a list in which `rest` begins with something else than is `expected`.
    fn unexpected(
        &self,
        expected: Expected,
        rest: &str,
        position: Position,
        column: usize,
    ) -> Fault {
        let name = match expected {
            Expected::List => "a list `[`",
            Expected::First | Expected::Object => "an object",
            Expected::Comma => "a comma, or the end of the list `]`",
            Expected::Nothing => "nothing after the end of the list",
        };
        let found: String = rest.chars().take(30).collect();
        Fault::data("BOT-2107", format!("expected {name} here"))
            .at(Place { column: Some(column as u64 + 1), ..self.place(position) })
            .hint(format!("look at `{}`", botops_text::display(&found, 30)))
    }

    /// Ends the file.
    ///
    /// # Errors
    /// `BOT-2107` for a list that is not closed.
    pub(crate) fn finish(&self) -> Result<()> {
        let Start { records, line, .. } = self.start;
        match self.syntax {
            Syntax::Lines | Syntax::List(Expected::List | Expected::Nothing) => Ok(()),
            Syntax::List(_) => Err(Fault::data("BOT-2107", "the list is never closed")
                .at(self.place(Position { record: records + 1, line }))
                .hint("it may have been cut off: write it again, to its `]`")),
        }
    }

    /// Passes the object `text`, which begins after `column` characters of its line, to `sink`.
    fn object<'t>(
        &self,
        text: &'t str,
        position: Position,
        column: usize,
        members: &mut Vec<Member<'t>>,
        sink: &mut impl FnMut(&[Member<'t>], Position) -> serde_json::Result<()>,
    ) -> Result<()> {
        if text.len() > LONGEST {
            return Err(too_long(self.place(position)));
        }
        members.clear();
        let mut deserializer = serde_json::Deserializer::from_str(text);
        Members(members)
            .deserialize(&mut deserializer)
            .and_then(|()| deserializer.end())
            .map_err(|error| self.malformed(text, position, column, error))?;
        if let Some(key) = repeated(members) {
            let key = botops_text::display(key, 40);
            return Err(Fault::data("BOT-2109", format!("the object has the key `{key}` twice"))
                .at(self.place(position))
                .hint("rename or remove one of them"));
        }
        sink(members, position).map_err(|error| self.malformed(text, position, column, error))
    }

    /// The fault of `text`, which begins with a value that is not a well-formed object.
    fn malformed(
        &self,
        text: &str,
        position: Position,
        column: usize,
        error: serde_json::Error,
    ) -> Fault {
        let place = self.place(position);
        let fault = |message: &str| Fault::data("BOT-2107", message);
        let in_line = self.syntax == Syntax::Lines;
        let document = matches!(text.trim(), "[" | "{");
        if error.classify() == Category::Data && !document && !text.trim_start().starts_with('{') {
            let is_list = text.trim_start().starts_with('[');
            let message = match (is_list, in_line) {
                (true, true) => "the line holds a list: expected a JSON object",
                (true, false) => "the list holds a list: expected JSON objects",
                (false, true) => "the line is not a JSON object",
                (false, false) => "the list holds a value that is not a JSON object",
            };
            let hint = match (is_list, in_line) {
                (true, true) => {
                    "to read one list, name the file `.json`, or use `--input-format json`"
                }
                (true, false) => {
                    "a list in a list is not a record: move its objects to the outer list"
                }
                (false, _) => "write `{\"text\": \"…\", \"intent\": \"…\"}`",
            };
            return fault(message).at(place).hint(hint);
        }
        // Errors inside of a value have no place in the object: parsing all of it finds that.
        let error = serde_json::from_str::<Map<String, Value>>(text).err().unwrap_or(error);
        let (down, right) = (error.line().saturating_sub(1), error.column());
        let place = Place {
            line: Some(position.line + down as u64),
            column: Some((if down == 0 { column + right } else { right }).max(1) as u64),
            ..place
        };
        let fault = match error.classify() {
            _ if document => {
                fault("the file is one JSON document: expected one object per line")
                    .hint("to read one list, name the file `.json`, or use `--input-format json`; `jq -c` writes one object per line")
            }
            Category::Eof => fault("the line ends in the middle of a JSON object")
                .hint("it may have been cut off: write the line again"),
            _ if error.to_string().starts_with(TOO_DEEP) => {
                fault("the record is nested deeper than 128 lists and objects")
                    .hint("a record is flat: a text, an intent, a list of entities")
            }
            _ => {
                let wrong = text.lines().nth(down).unwrap_or_default();
                fault(if in_line { "the line is not JSON" } else { "the record is not JSON" })
                    .hint(format!("look at `{}`", around(wrong, right)))
            }
        };
        fault.at(place).caused_by(error)
    }
}

impl Start {
    /// Returns the start of the part that follows `text`, with the same number of records.
    fn after(self, text: &str) -> Self {
        let (lines, column) = match text.rfind('\n') {
            Some(newline) => (newlines(text), text[newline + 1..].chars().count()),
            None => (0, self.column + text.chars().count()),
        };
        let offset = self.offset + text.len() as u64;
        Self { offset, line: self.line + lines, column, ..self }
    }
}

fn newlines(text: &str) -> u64 {
    text.bytes().filter(|&byte| byte == b'\n').count() as u64
}

/// Returns the length of the value at the start of `text`, in bytes.
fn value_length(text: &str) -> serde_json::Result<usize> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Ok(<&RawValue>::deserialize(&mut deserializer)?.get().len())
}

/// Returns the places of the objects of the list `text`, which was read without a fault.
#[must_use]
pub fn objects(text: &str) -> Vec<Range<usize>> {
    let list: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
    list.into_iter().map(|value| span(text, value)).collect()
}

/// Returns the keys of `object`, which was read without a fault, and the places of their values in it.
#[must_use]
pub fn members(object: &str) -> Vec<(String, Range<usize>)> {
    let mut members = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_str(object);
    if Members(&mut members).deserialize(&mut deserializer).is_err() {
        return Vec::new();
    }
    members.into_iter().map(|(key, value)| (key.into_owned(), span(object, value))).collect()
}

/// Returns the place of `value` in `text`, from which it was read.
fn span(text: &str, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr() as usize - text.as_ptr() as usize;
    start..start + value.get().len()
}

/// Collects the members of an object.
struct Members<'a, 't>(&'a mut Vec<Member<'t>>);

impl<'t> DeserializeSeed<'t> for Members<'_, 't> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for Members<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((Text(key), value)) = map.next_entry::<Text<'t>, &'t RawValue>()? {
            self.0.push((key, value));
        }
        Ok(())
    }
}

/// Returns the first key that an object has twice.
fn repeated<'a>(members: &'a [Member<'_>]) -> Option<&'a str> {
    // Few members are compared faster than they are hashed.
    const FEW: usize = 16;
    if members.len() <= FEW {
        let is_repeated = |&at: &usize| members[..at].iter().any(|(key, _)| *key == members[at].0);
        return (1..members.len()).find(is_repeated).map(|at| members[at].0.as_ref());
    }
    let mut seen = HashSet::with_capacity(members.len());
    members.iter().map(|(key, _)| key.as_ref()).find(|key| !seen.insert(*key))
}

/// Returns the end of `line` before its byte `column`, without personal data.
fn around(line: &str, column: usize) -> String {
    let boundary = |at: usize| (0..=at).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
    let end = boundary(column.min(line.len()));
    // Redact before cutting, and more than is displayed: half of an address is not recognized.
    let before = botops_text::redact(&line[boundary(end.saturating_sub(1_000))..end]);
    let last = before.char_indices().rev().nth(29).map_or(0, |(at, _)| at);
    botops_text::display(&before[last..], 40)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_where_they_stand() {
        let list = " [ {\"a\": \"]\"} ,{\"\\u0061\":[1, 2],\"b\":3}\n]";
        let spans: Vec<&str> = objects(list).into_iter().map(|span| &list[span]).collect();
        assert_eq!(spans, ["{\"a\": \"]\"}", "{\"\\u0061\":[1, 2],\"b\":3}"]);
        let found = members(spans[1]);
        let values: Vec<(&str, &str)> =
            found.iter().map(|(key, span)| (key.as_str(), &spans[1][span.clone()])).collect();
        assert_eq!(values, [("a", "[1, 2]"), ("b", "3")]);
    }
}
