//! A date that a parser found.

use super::context::in_range;
use chrono::NaiveDate;

/// The length of time that a date names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grain {
    Day,
    Week,
    Month,
    Year,
}

/// A date in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DateHit {
    /// The first token.
    pub(crate) start: usize,
    /// One past the last token.
    pub(crate) end: usize,
    /// The day, or the first day of the week, month or year.
    pub(crate) date: NaiveDate,
    pub(crate) grain: Grain,
    /// Whether it is this evening, so that 8 is 20:00.
    pub(crate) evening: bool,
}

impl DateHit {
    pub(crate) fn new(start: usize, end: usize, date: NaiveDate, grain: Grain) -> Option<Self> {
        Some(Self { start, end, date: in_range(date)?, grain, evening: false })
    }

    pub(crate) fn day(start: usize, end: usize, date: NaiveDate) -> Option<Self> {
        Self::new(start, end, date, Grain::Day)
    }
}
