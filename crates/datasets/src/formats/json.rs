//! JSON: one object a line, or one list of objects.

use super::{
    csv::too_long,
    encoding::{Start, decode_part},
};
use crate::{ReadOptions, Record, column_roles::Roles, read::Cells, reading::LONGEST};
use botops_findings::{Fault, Place, Result};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value, error::Category};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
};

/// Objects with the lines on which they begin.
pub(crate) type Objects = Vec<(u64, Map<String, Value>)>;

/// Reads the records of a file part by part. Its keys are those of the first part.
#[derive(Debug)]
pub(crate) struct Parts {
    objects: Reader,
    header: Option<Header>,
    /// Records that were made.
    records: u64,
    /// Every object, where the keys are to be those of all of them.
    gathered: Option<Objects>,
}

impl Parts {
    /// Begins a file of one object a line, whose text begins at the byte `offset`.
    pub(crate) fn lines(file: &str, offset: u64) -> Self {
        Self::of(Reader::lines(file, offset))
    }

    /// Begins a file of one list, whose text begins at the byte `offset`.
    pub(crate) fn list(file: &str, offset: u64) -> Self {
        Self::of(Reader::list(file, offset))
    }

    fn of(objects: Reader) -> Self {
        Self { objects, header: None, records: 0, gathered: None }
    }

    /// Takes the keys of all objects, and makes records of them at the end.
    pub(crate) fn gather(&mut self) {
        self.gathered = Some(Vec::new());
    }

    /// Reads the whole records at the beginning of `bytes`, the next part of the file, and says how many bytes they are;
    /// `last` says that nothing follows.
    pub(crate) fn read(
        &mut self,
        bytes: &[u8],
        last: bool,
        options: &ReadOptions,
    ) -> Result<(usize, Vec<Record>)> {
        let (whole, mut objects) = self.objects.read_whole(bytes, last)?;
        let records = match &mut self.gathered {
            Some(gathered) => {
                gathered.append(&mut objects);
                Vec::new()
            }
            None => self.make(&objects, options)?,
        };
        Ok((whole, records))
    }

    /// Ends the file: returns the records of what was gathered.
    ///
    /// # Errors
    /// `BOT-2107` for a list that is not closed.
    pub(crate) fn finish(&mut self, options: &ReadOptions) -> Result<Vec<Record>> {
        self.objects.finish()?;
        let gathered = self.gathered.take().unwrap_or_default();
        self.make(&gathered, options)
    }

    fn make(&mut self, objects: &Objects, options: &ReadOptions) -> Result<Vec<Record>> {
        if self.header.is_none() && !objects.is_empty() {
            self.header = Some(Header::of(objects, &self.objects.file, options)?);
        }
        let Some(header) = &self.header else { return Ok(Vec::new()) };
        let records = header.records(objects, &self.objects.file, self.records)?;
        self.records += objects.len() as u64;
        Ok(records)
    }

    /// The fault of `bytes`, which begin with a record that does not end in them.
    pub(crate) fn too_long(&self, _: &[u8]) -> Fault {
        self.objects.too_long()
    }

    /// Returns the columns that have a role; none before a record was read.
    pub(crate) fn columns(&self) -> Option<BTreeMap<String, String>> {
        self.header.as_ref().map(|header| header.roles.columns(&header.names))
    }

    /// Returns the keys that have no role.
    pub(crate) fn other_columns(&self) -> Vec<String> {
        self.header.as_ref().map_or(Vec::new(), |header| header.roles.others(&header.names))
    }
}

/// Returns the objects of `bytes`, one a line, with their lines; blank lines are skipped.
///
/// # Errors
/// See [`crate::read()`].
pub(crate) fn objects(bytes: &[u8], file: &str) -> Result<Objects> {
    Reader::lines(file, 0).read(bytes)
}

/// Returns the keys of `objects`, in the order in which they come.
pub(crate) fn keys(objects: &Objects) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut names: Vec<String> = Vec::new();
    for key in objects.iter().flat_map(|(_, object)| object.keys()) {
        if seen.insert(key.as_str()) {
            names.push(key.clone());
        }
    }
    names
}

/// The keys, and which are which.
#[derive(Debug)]
struct Header {
    names: Vec<String>,
    roles: Roles,
}

impl Header {
    fn of(objects: &Objects, file: &str, options: &ReadOptions) -> Result<Self> {
        let names = keys(objects);
        let place = Place { file: Some(file.to_owned()), ..Place::default() };
        let roles = Roles::recognise(&names, options, &place)?;
        Ok(Self { names, roles })
    }

    /// Makes records of `objects`, which come after `before` others.
    fn records(&self, objects: &Objects, file: &str, before: u64) -> Result<Vec<Record>> {
        let Self { names, roles } = self;
        let place = Place { file: Some(file.to_owned()), ..Place::default() };
        let mut records = Vec::with_capacity(objects.len());
        for (record, (line, object)) in (before + 1..).zip(objects) {
            let cell = |column: Option<usize>| -> Result<Option<String>> {
                let Some(name) = column.map(|column| &names[column]) else { return Ok(None) };
                scalar(object.get(name), name).map_err(|fault| {
                    fault.at(Place { record: Some(record), line: Some(*line), ..place.clone() })
                })
            };
            let entities = roles.entities.and_then(|column| match object.get(&names[column])? {
                Value::Null => None,
                // A list as such, or as the text that a table would hold.
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            });
            let text = cell(Some(roles.text))?.unwrap_or_default();
            let (intent, lang) = (cell(roles.intent)?, cell(roles.lang)?);
            let cells = Cells {
                text: &text,
                intent: intent.as_deref(),
                lang: lang.as_deref(),
                entities: entities.as_deref(),
            };
            records.push(cells.record(file, record, *line)?);
        }
        Ok(records)
    }
}

/// Returns a value as a text; `None` where there is none.
pub(crate) fn scalar(value: Option<&Value>, name: &str) -> Result<Option<String>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
        Some(other) => {
            let what = if other.is_array() { "a list" } else { "an object" };
            let name = botops_text::display(name, 40);
            Err(Fault::data("BOT-2107", format!("`{name}` is {what}, and a text is wanted"))
                .hint(format!("write it as `\"{name}\": \"…\"`")))
        }
    }
}

/// How objects are put together.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Syntax {
    /// One a line.
    Lines,
    /// In one list, in which this is expected next.
    List(Expected),
}

/// What comes next in a list.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    /// The list itself.
    List,
    /// Its first object, or its end.
    First,
    /// Another object.
    Object,
    /// A comma, or its end.
    Comma,
    /// Nothing.
    Nothing,
}

/// A piece of a list.
#[derive(Debug, PartialEq)]
enum Token {
    /// `[` at the top, `,` between objects, `]` at the end.
    Sign(u8),
    /// Anything else, of this many bytes.
    Value(usize),
    /// A value that does not end in what there is.
    Unfinished,
}

/// Takes objects out of text.
#[derive(Debug)]
pub(crate) struct Reader {
    file: String,
    syntax: Syntax,
    start: Start,
    /// Characters of the line on which the next part begins that come before it.
    column: usize,
}

impl Reader {
    /// Begins a file of one object a line, whose text begins at the byte `offset`.
    pub(crate) fn lines(file: &str, offset: u64) -> Self {
        let start = Start { offset, ..Start::default() };
        Self { file: file.to_owned(), syntax: Syntax::Lines, start, column: 0 }
    }

    /// Begins a file of one list, whose text begins at the byte `offset`.
    pub(crate) fn list(file: &str, offset: u64) -> Self {
        Self { syntax: Syntax::List(Expected::List), ..Self::lines(file, offset) }
    }

    /// Returns how many objects were read.
    pub(crate) fn records(&self) -> u64 {
        self.start.records
    }

    /// The fault of an object that does not end in what there is of it.
    pub(crate) fn too_long(&self) -> Fault {
        too_long(self.place(self.start.records + 1, self.start.line))
    }

    pub(crate) fn place(&self, record: u64, line: u64) -> Place {
        Place {
            file: Some(self.file.clone()),
            record: Some(record),
            line: Some(line),
            ..Place::default()
        }
    }

    /// Returns how many bytes of `bytes` are whole objects.
    fn whole(&self, bytes: &[u8]) -> usize {
        let Syntax::List(mut expected) = self.syntax else {
            return bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        };
        let (mut at, mut whole) = (0, 0);
        while let Some((from, token)) = token(bytes, at, expected) {
            at = match token {
                Token::Sign(_) => from + 1,
                // One more byte may belong to a number or a word.
                Token::Value(length) if from + length < bytes.len() => from + length,
                Token::Value(_) | Token::Unfinished => break,
            };
            expected = expected.after(&token);
            whole = at;
        }
        whole
    }

    /// Reads the whole objects at the beginning of `bytes`, and says how many bytes they are; `last` says that nothing
    /// follows.
    ///
    /// # Errors
    /// See [`crate::read()`].
    pub(crate) fn read_whole(&mut self, bytes: &[u8], last: bool) -> Result<(usize, Objects)> {
        let whole = if last { bytes.len() } else { self.whole(bytes) };
        Ok((whole, self.read(&bytes[..whole])?))
    }

    /// Reads the objects of `bytes`, the next part of the file.
    ///
    /// # Errors
    /// See [`crate::read()`].
    fn read(&mut self, bytes: &[u8]) -> Result<Objects> {
        let text = decode_part(bytes, &self.file, self.start, |valid| match self.syntax {
            Syntax::Lines => {
                let complete = valid.rfind('\n').map_or("", |at| &valid[..at]);
                Some(complete.lines().filter(|line| !line.trim().is_empty()).count() as u64 + 1)
            }
            Syntax::List(expected) => {
                let (mut at, mut expected, mut values) = (0, expected, 1);
                while let Some((from, token)) = token(valid.as_bytes(), at, expected) {
                    at = match token {
                        Token::Sign(_) => from + 1,
                        Token::Value(length) => from + length,
                        Token::Unfinished => break,
                    };
                    values += u64::from(matches!(token, Token::Value(_)));
                    expected = expected.after(&token);
                }
                Some(values)
            }
        })?;
        let objects = match self.syntax {
            Syntax::Lines => self.of_lines(text)?,
            Syntax::List(expected) => self.of_list(text, expected)?,
        };
        self.start = Start {
            offset: self.start.offset + bytes.len() as u64,
            line: self.start.line + newlines(text.as_bytes()),
            records: self.start.records + objects.len() as u64,
        };
        self.column = column_after(self.column, text);
        Ok(objects)
    }

    fn of_lines(&self, text: &str) -> Result<Objects> {
        let mut objects = Vec::new();
        for (number, line) in (self.start.line..).zip(text.lines()) {
            if !line.trim().is_empty() {
                let record = self.start.records + objects.len() as u64 + 1;
                objects.push((number, self.object(line, record, number, 0)?));
            }
        }
        Ok(objects)
    }

    fn of_list(&mut self, text: &str, mut expected: Expected) -> Result<Objects> {
        let bytes = text.as_bytes();
        let mut objects = Objects::new();
        let (mut at, mut line, mut column, mut counted) = (0, self.start.line, self.column, 0);
        while let Some((from, token)) = token(bytes, at, expected) {
            line += newlines(&bytes[counted..from]);
            column = column_after(column, &text[counted..from]);
            counted = from;
            let record = self.start.records + objects.len() as u64 + 1;
            let place = || Place { column: Some(column as u64 + 1), ..self.place(record, line) };
            let wanted = match (expected, &token) {
                (Expected::List, Token::Sign(b'['))
                | (Expected::First, Token::Sign(b']') | Token::Value(_) | Token::Unfinished)
                | (Expected::Object, Token::Value(_) | Token::Unfinished)
                | (Expected::Comma, Token::Sign(_)) => None,
                (Expected::List, _) => Some("a list `[`"),
                (Expected::First | Expected::Object, _) => Some("an object"),
                (Expected::Comma, _) => Some("a comma, or the end of the list `]`,"),
                (Expected::Nothing, _) => Some("nothing more, after the end of the list,"),
            };
            if let Some(wanted) = wanted {
                let there: String = text[from..].chars().take(30).collect();
                return Err(Fault::data("BOT-2107", format!("{wanted} is wanted here"))
                    .at(place())
                    .hint(format!("look at `{}`", botops_text::display(&there, 30))));
            }
            at = match token {
                Token::Sign(_) => from + 1,
                Token::Value(length) => {
                    let value = &text[from..from + length];
                    objects.push((line, self.object(value, record, line, column)?));
                    from + length
                }
                Token::Unfinished => {
                    return Err(Fault::data(
                        "BOT-2107",
                        "the file ends in the middle of an object",
                    )
                    .at(place())
                    .hint("it may have been cut off: write it again"));
                }
            };
            expected = expected.after(&token);
        }
        self.syntax = Syntax::List(expected);
        Ok(objects)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// `BOT-2107` for a list that is not closed.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.syntax {
            Syntax::Lines | Syntax::List(Expected::List | Expected::Nothing) => Ok(()),
            Syntax::List(_) => Err(Fault::data("BOT-2107", "the list is never closed")
                .at(self.place(self.start.records + 1, self.start.line))
                .hint("it may have been cut off: write it again, to its `]`")),
        }
    }

    /// Returns the object that `text` holds, which begins behind `column` characters of its line.
    fn object(
        &self,
        text: &str,
        record: u64,
        line: u64,
        column: usize,
    ) -> Result<Map<String, Value>> {
        let place = self.place(record, line);
        if text.len() > LONGEST {
            return Err(too_long(place));
        }
        let fault = |message: &str| Fault::data("BOT-2107", message);
        let error = match serde_json::from_str::<Unique>(text) {
            Ok(Unique { object, twice: None }) => return Ok(object),
            Ok(Unique { twice: Some(key), .. }) => {
                let key = botops_text::display(&key, 40);
                return Err(Fault::data(
                    "BOT-2109",
                    format!("the object has the key `{key}` twice"),
                )
                .at(place)
                .hint("rename or remove one of them"));
            }
            Err(error) => error,
        };
        let in_line = self.syntax == Syntax::Lines;
        let opened = text.trim_start().as_bytes().first();
        let document = matches!(text.trim(), "[" | "{");
        if error.classify() == Category::Data && !document {
            let (what, hint) = match opened {
                Some(b'[') if in_line => (
                    "a list",
                    "a file that is one list is read when it is named `.json`, or with `--input-format json`",
                ),
                Some(b'[') => ("a list", "a list in a list is no record: take its objects out"),
                _ => ("no object", "write `{\"text\": \"…\", \"intent\": \"…\"}`"),
            };
            let message = match in_line {
                true => format!("the line holds {what}, and a JSON object is wanted"),
                false => format!("the list holds {what}, and a JSON object is wanted"),
            };
            return Err(fault(&message).at(place).hint(hint));
        }
        let (down, right) = (error.line().saturating_sub(1), error.column());
        let place = Place {
            line: Some(line + down as u64),
            column: Some((if down == 0 { column + right } else { right }).max(1) as u64),
            ..place
        };
        let fault = match error.classify() {
            _ if document => {
                fault("the file is one JSON document, and one object a line is wanted")
                    .hint("a list is read when the file is named `.json`, or with `--input-format json`; `jq -c` writes an object on a line of its own")
            }
            Category::Eof => fault("the line ends in the middle of a JSON object")
                .hint("it may have been cut off: write the line again"),
            _ if error.to_string().starts_with("recursion limit") => {
                fault("the record is nested deeper than 128 lists and objects")
                    .hint("a record is flat: a text, an intent, a list of entities")
            }
            _ => {
                let wrong = text.lines().nth(down).unwrap_or_default();
                fault(if in_line { "the line is not JSON" } else { "the record is not JSON" })
                    .hint(format!("look at `{}`", around(wrong, right)))
            }
        };
        Err(fault.at(place).caused_by(error))
    }
}

impl Expected {
    /// Returns what comes after `token`, which was expected.
    fn after(self, token: &Token) -> Self {
        match (self, token) {
            (Self::List, _) => Self::First,
            (_, Token::Sign(b']')) => Self::Nothing,
            (_, Token::Sign(_)) => Self::Object,
            (_, _) => Self::Comma,
        }
    }
}

/// Returns the next piece of a list from `at` on, and where it begins; none where only blanks follow.
fn token(bytes: &[u8], at: usize, expected: Expected) -> Option<(usize, Token)> {
    let from = at + bytes.get(at..)?.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let token = match bytes[from] {
        b'[' if expected == Expected::List => Token::Sign(b'['),
        sign @ (b',' | b']') => Token::Sign(sign),
        b'{' | b'[' | b'"' => extent(&bytes[from..]).map_or(Token::Unfinished, Token::Value),
        // A number or a word; what is neither is for the parser to say.
        _ => {
            let ends = |byte: &u8| byte.is_ascii_whitespace() || b",]".contains(byte);
            let length = bytes[from..].iter().position(ends);
            Token::Value(length.unwrap_or(bytes.len() - from).max(1))
        }
    };
    Some((from, token))
}

/// Returns the length of the object, list or text at the start of `bytes`; none when it does not end there.
fn extent(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut text, mut escaped) = (0_usize, false, false);
    for (i, &byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            _ if text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && !text && !escaped {
            return Some(i + 1);
        }
    }
    None
}

/// Returns where the objects of a list stand in `text`, which was read without a fault.
pub fn extents(text: &str) -> Vec<Range<usize>> {
    let (mut at, mut expected, mut spans) = (0, Expected::List, Vec::new());
    while let Some((from, token)) = token(text.as_bytes(), at, expected) {
        at = match token {
            Token::Sign(_) => from + 1,
            Token::Value(length) => {
                spans.push(from..from + length);
                from + length
            }
            Token::Unfinished => break,
        };
        expected = expected.after(&token);
    }
    spans
}

/// Returns the keys of `object`, which was read without a fault, and where their values stand in it.
pub fn members(object: &str) -> Vec<(String, Range<usize>)> {
    let bytes = object.as_bytes();
    let skip = |at: usize, signs: &[u8]| {
        let rest = bytes.get(at..).unwrap_or_default();
        let n = rest.iter().take_while(|b| b.is_ascii_whitespace() || signs.contains(b)).count();
        at + n
    };
    let mut members = Vec::new();
    let mut at = skip(0, b"{");
    while bytes.get(at) == Some(&b'"') {
        let Some(length) = extent(&bytes[at..]) else { break };
        let key = serde_json::from_str(&object[at..at + length]).unwrap_or_default();
        let start = skip(at + length, b":");
        let length = match bytes.get(start) {
            Some(b'{' | b'[' | b'"') => extent(&bytes[start..]),
            _ => bytes[start..].iter().position(|b| b.is_ascii_whitespace() || b",}".contains(b)),
        };
        let Some(length) = length else { break };
        members.push((key, start..start + length));
        at = skip(start + length, b",");
    }
    members
}

/// Returns how many characters come before the end of `text` on its line, where `column` come before `text`.
fn column_after(column: usize, text: &str) -> usize {
    match text.rfind('\n') {
        Some(newline) => text[newline + 1..].chars().count(),
        None => column + text.chars().count(),
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// An object, and the first of its keys that it has twice: which of the values is meant nobody can say.
struct Unique {
    object: Map<String, Value>,
    twice: Option<String>,
}

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut unique = Unique { object: Map::new(), twice: None };
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if unique.object.contains_key(&key) {
                        unique.twice.get_or_insert(key);
                    } else {
                        unique.object.insert(key, value);
                    }
                }
                Ok(unique)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// Returns what stands before column `column` (in bytes) of `line`.
fn around(line: &str, column: usize) -> String {
    let boundary = |at: usize| (0..=at).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
    let end = boundary(column.min(line.len()));
    // Personal data first, and in more than is shown: what is cut in two is not known for what it is.
    let before = botops_text::redact(&line[boundary(end.saturating_sub(1_000))..end]);
    let last = before.char_indices().rev().nth(29).map_or(0, |(at, _)| at);
    botops_text::display(&before[last..], 40)
}
