//! Conversations as JSON lines, the same for every database: a backup of one is restored into another.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use botops_conversations::{Id, Row, WrappedKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A row that is stored as a line.
pub(crate) trait Line: Sized {
    /// Appends the line of the row.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads a line; `None` if it is not one.
    fn read(line: &[u8]) -> Option<Self>;
}

#[derive(Serialize, Deserialize)]
struct TurnLine {
    c: Id,
    n: i64,
    t: Id,
    m: Id,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<Id>,
    at: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    open: bool,
    body: String,
}

#[derive(Serialize, Deserialize)]
struct KeyLine {
    c: Id,
    p: Id,
    id: String,
    key: String,
    at: i64,
}

fn write(line: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, line).expect("a row can be written as JSON");
    out.push(b'\n');
}

fn read<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    serde_json::from_slice(line).ok()
}

impl Line for Row {
    fn write(&self, out: &mut Vec<u8>) {
        let line = TurnLine {
            c: self.conversation,
            n: self.number,
            t: self.turn,
            m: self.message,
            p: self.person,
            at: self.at,
            open: self.open,
            body: STANDARD.encode(&self.body),
        };
        write(&line, out);
    }

    fn read(line: &[u8]) -> Option<Self> {
        let TurnLine { c, n, t, m, p, at, open, body } = read(line)?;
        let body = STANDARD.decode(body).ok()?;
        Some(Self { conversation: c, number: n, turn: t, message: m, person: p, at, open, body })
    }
}

impl Line for WrappedKey {
    fn write(&self, out: &mut Vec<u8>) {
        let key = STANDARD.encode(&self.wrapped);
        let (c, p, id) = (self.conversation, self.person, self.key_id.clone());
        write(&KeyLine { c, p, id, key, at: self.at }, out);
    }

    fn read(line: &[u8]) -> Option<Self> {
        let KeyLine { c, p, id, key, at } = read(line)?;
        let wrapped = STANDARD.decode(key).ok()?;
        Some(Self { conversation: c, person: p, key_id: id, wrapped, at })
    }
}

/// Reads all lines; `None` if one of them is not a row.
pub(crate) fn read_all<T: Line>(bytes: &[u8]) -> Option<Vec<T>> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(T::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let id = || Id::random().unwrap();
        let row = Row {
            conversation: id(),
            number: 3,
            turn: id(),
            message: id(),
            person: Some(id()),
            at: 1_700,
            open: true,
            body: vec![1, 0, 255],
        };
        let other = Row { person: None, open: false, ..row.clone() };
        let mut lines = Vec::new();
        row.write(&mut lines);
        other.write(&mut lines);
        assert_eq!(read_all::<Row>(&lines).unwrap(), [row, other]);
        let key = WrappedKey {
            person: id(),
            conversation: id(),
            key_id: "a".into(),
            wrapped: vec![7],
            at: 5,
        };
        let mut lines = Vec::new();
        key.write(&mut lines);
        assert_eq!(read_all::<WrappedKey>(&lines).unwrap(), [key]);
        assert!(read_all::<Row>(&lines).is_none());
    }
}
