//! A span as it is sent: names, times and attributes.

use std::borrow::Cow;

/// The kind of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Work of this server.
    Internal,
    /// A request that this server answers.
    Server,
    /// A call of this server to another system.
    Client,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(Cow<'static, str>),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// Yes or no.
    Bool(bool),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// An attribute: a key and its value.
pub(crate) type Attribute = (Cow<'static, str>, Value);

/// A span that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) trace_id: [u8; 16],
    pub(crate) id: [u8; 8],
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) has_remote_parent: bool,
    pub(crate) state: Option<String>,
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: Kind,
    /// In nanoseconds of Unix time.
    pub(crate) times: (u64, u64),
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) error: Option<Cow<'static, str>>,
}
