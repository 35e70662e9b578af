//! One column of one side, read cell by cell: its numbers, its values, and its empty cells.

use crate::times::{are_stamps, is_time, names_a_time, names_an_id};
use botops_stats::two_sample::sorted;
use botops_text::composed;
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

/// The most different values that are compared as categories. A column with more holds ids or free text.
pub(crate) const MOST_VALUES: usize = 1_000;
/// The different values that a column of ids or texts has more than, and a column of categories may have always.
const FEW_VALUES: usize = 10;
/// The different values up to which a column is one of categories, although its name says that it holds ids.
const FEW_IDS: usize = 50;
/// The least number of integers that can be recognized as a counter.
const LEAST_COUNTED: usize = 20;
/// The share of the values that are of a type for the column to be of it, in percent.
const MOSTLY: u64 = 90;
/// Texts for a missing number.
const NO_NUMBER: [&str; 9] = ["null", "none", "nan", "na", "n/a", "#n/a", "<na>", "nil", "-"];

/// The meaning of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The utterance.
    Text,
    /// The declared intent.
    Intent,
    /// The declared language.
    Language,
    /// The declared entities.
    Entities,
    /// None that botops knows.
    Other,
}

/// The cells of one column of one side.
///
/// Memory: 8 bytes for each number, and at most 1,000 different values.
#[derive(Debug)]
pub struct Column {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The number of cells.
    pub(crate) n_rows: u64,
    /// The number of cells that are empty, or white space.
    pub(crate) n_empty: u64,
    /// The cells that are numbers, in the order of the rows.
    numbers: Vec<f64>,
    commas: Commas,
    /// The number of filled cells that stand for a missing number, such as `NaN`.
    n_no_number: u64,
    n_times: u64,
    /// The count of each value; `None` once there are more than [`MOST_VALUES`].
    values: Option<HashMap<String, u64>>,
    /// Whether some cell has white space inside.
    has_spaces: bool,
    /// The number of cells with an integer of more than 15 digits, which no float holds exactly.
    n_long: u64,
    integers: Counter,
}

/// The cells that are numbers if a comma stands before the decimals, such as `0,712`.
#[derive(Debug, Default)]
struct Commas {
    numbers: Vec<f64>,
    /// Whether some cell can be nothing else. `1,234` may also be 1234.
    is_clear: bool,
    /// Whether another cell has a point before the decimals.
    has_point: bool,
}

/// Whether numbers are integers in a rising or a falling order.
#[derive(Debug)]
struct Counter {
    are_integers: bool,
    is_rising: bool,
    is_falling: bool,
    last: Option<f64>,
}

/// The kind of the values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// There is no value.
    Empty,
    Numbers,
    /// Numbers that are all 0 or 1.
    Booleans,
    /// Categories: few different values.
    Names,
    Times,
    /// Identifiers, by the name or the values of the column.
    Ids,
    /// Integers that may be ids: each occurs once, in order or without large gaps.
    Sequence,
    /// Texts with many different values.
    Texts,
}

impl Column {
    /// Begins the column called `name`.
    #[must_use]
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        let integers =
            Counter { are_integers: true, is_rising: true, is_falling: true, last: None };
        Self {
            name: name.into(),
            role,
            n_rows: 0,
            n_empty: 0,
            numbers: Vec::new(),
            commas: Commas::default(),
            n_no_number: 0,
            n_times: 0,
            values: Some(HashMap::new()),
            has_spaces: false,
            n_long: 0,
            integers,
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns whether no cell has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n_filled() == 0
    }

    /// Adds the cell of the next row.
    pub fn add(&mut self, cell: &str) {
        self.n_rows += 1;
        let cell = cell.trim();
        // One spelling of each character, or equal names would be different categories.
        let cell = &*if cell.is_ascii() { Cow::from(cell) } else { Cow::from(composed(cell)) };
        if cell.is_empty() {
            self.n_empty += 1;
            return;
        }
        match self.role {
            Role::Intent => self.count(cell, usize::MAX),
            Role::Text | Role::Language | Role::Entities => {}
            Role::Other => {
                self.type_of(cell);
                self.count(cell, MOST_VALUES);
            }
        }
    }

    /// Counts the value `cell`; forgets all values once there are more than `most`.
    fn count(&mut self, cell: &str, most: usize) {
        let Some(values) = &mut self.values else { return };
        if let Some(n) = values.get_mut(cell) {
            *n += 1;
        } else if values.len() == most {
            self.values = None;
        } else {
            values.insert(cell.to_owned(), 1);
        }
    }

    fn type_of(&mut self, cell: &str) {
        if let Some(number) = number(cell) {
            self.numbers.push(number);
            let is_integer = self.integers.add(cell, number);
            self.n_long += u64::from(is_integer && cell.len() > 15);
            self.commas.has_point |= cell.contains('.');
        } else if let Some(number) = number_with_comma(cell) {
            self.commas.numbers.push(number);
            self.commas.is_clear |= !may_be_thousands(cell);
        } else if NO_NUMBER.iter().any(|word| cell.eq_ignore_ascii_case(word)) {
            self.n_no_number += 1;
        } else {
            self.n_times += u64::from(is_time(cell));
            self.has_spaces |= cell.contains(char::is_whitespace);
        }
    }

    /// Returns the number of filled cells.
    pub(crate) fn n_filled(&self) -> u64 {
        self.n_rows - self.n_empty
    }

    /// Returns whether a comma stands before the decimals: no number has a point there, and integers stand beside numbers
    /// with a comma only if these cannot have it after their thousands.
    fn has_decimal_commas(&self) -> bool {
        let Commas { numbers, is_clear, has_point } = &self.commas;
        !numbers.is_empty() && !has_point && (*is_clear || self.numbers.is_empty())
    }

    /// Returns the finite numbers in rising order.
    pub(crate) fn sorted_numbers(&self) -> Vec<f64> {
        let mut numbers = self.numbers.clone();
        if self.has_decimal_commas() {
            numbers.extend(&self.commas.numbers);
        }
        sorted(numbers)
    }

    /// Returns the number of cells without a number.
    pub(crate) fn n_without_number(&self) -> u64 {
        let with_comma = if self.has_decimal_commas() { self.commas.numbers.len() } else { 0 };
        self.n_rows - (self.numbers.len() + with_comma) as u64
    }

    /// Returns the count of each value by name; `None` if there are too many.
    ///
    /// If all are `true` or `false`, in any case, they are counted in lower case: a table writes `True` where JSON has
    /// `true`.
    pub(crate) fn names(&self) -> Option<BTreeMap<&str, u64>> {
        let values = self.values.as_ref()?;
        let boolean =
            |name: &str| ["true", "false"].into_iter().find(|word| name.eq_ignore_ascii_case(word));
        let are_booleans = values.keys().all(|name| boolean(name).is_some());
        let mut counts = BTreeMap::new();
        for (name, n) in values {
            let name = boolean(name).filter(|_| are_booleans).unwrap_or(name.as_str());
            *counts.entry(name).or_default() += n;
        }
        Some(counts)
    }

    /// Returns the kind of the values; `numbers` are the sorted numbers.
    pub(crate) fn kind(&self, numbers: &[f64]) -> Kind {
        let n_values = self.n_filled() - self.n_no_number;
        let mostly = |n: u64| 100 * n >= MOSTLY * n_values;
        if n_values == 0 {
            Kind::Empty
        } else if mostly(self.n_times) {
            Kind::Times
        } else if mostly(numbers.len() as u64) {
            self.kind_of_numbers(numbers)
        } else {
            self.kind_of_names()
        }
    }

    fn kind_of_numbers(&self, numbers: &[f64]) -> Kind {
        let (Some(&low), Some(&high)) = (numbers.first(), numbers.last()) else {
            return Kind::Empty;
        };
        let n = numbers.len();
        let are_distinct = || numbers.windows(2).all(|pair| pair[0] < pair[1]);
        let are_ids = || {
            names_an_id(&self.name)
                && self.values.as_ref().is_none_or(|known| known.len() > FEW_IDS)
        };
        let is_sequence = || {
            let order = &self.integers;
            n >= LEAST_COUNTED
                && (order.is_rising || order.is_falling || high - low < 2.0 * n as f64)
                && are_distinct()
        };
        if names_a_time(&self.name) && are_stamps(&self.name, low, high) {
            Kind::Times
        } else if numbers.iter().all(|&number| number == 0.0 || number == 1.0) {
            Kind::Booleans
        } else if !self.integers.are_integers || self.has_decimal_commas() {
            Kind::Numbers
        } else if are_ids() || 2 * self.n_long > n as u64 {
            Kind::Ids
        } else if is_sequence() {
            Kind::Sequence
        } else {
            Kind::Numbers
        }
    }

    fn kind_of_names(&self) -> Kind {
        let n = self.values.as_ref().map_or(usize::MAX, HashMap::len);
        let is_mostly_different = n > FEW_VALUES && 2 * n as u64 > self.n_filled();
        match (names_an_id(&self.name), n) {
            (true, n) if n > FEW_IDS || is_mostly_different => Kind::Ids,
            (_, n) if n <= MOST_VALUES && !is_mostly_different => Kind::Names,
            _ if self.has_spaces => Kind::Texts,
            _ => Kind::Ids,
        }
    }
}

impl Counter {
    /// Adds the number that `cell` holds. Returns whether it is an integer.
    fn add(&mut self, cell: &str, number: f64) -> bool {
        let is_integer = !cell.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
        self.are_integers &= is_integer;
        if let Some(last) = self.last.replace(number) {
            self.is_rising &= last < number;
            self.is_falling &= last > number;
        }
        is_integer
    }
}

/// Reads a finite number in decimal notation. A code with a leading zero, such as `0123`, is none.
fn number(cell: &str) -> Option<f64> {
    let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell).as_bytes();
    match digits {
        [b'0', b'0'..=b'9', ..] => None,
        [b'0'..=b'9' | b'.', ..] => cell.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// Reads a number with a comma before its decimals: `0,712`.
fn number_with_comma(cell: &str) -> Option<f64> {
    let (whole, decimals) = cell.split_once(',')?;
    let are_digits = !decimals.is_empty() && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = whole.ends_with(|c: char| c.is_ascii_digit()) && !whole.contains('.');
    (are_digits && is_whole).then(|| number(&format!("{whole}.{decimals}"))).flatten()
}

/// Returns whether the comma of a number may stand after its thousands: `1,234`, but not `0,712` or `1,5`.
fn may_be_thousands(cell: &str) -> bool {
    let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    let parts = digits.split_once(',');
    parts.is_some_and(|(whole, rest)| rest.len() == 3 && whole.len() <= 3 && whole != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column<C: AsRef<str>>(name: &str, cells: impl IntoIterator<Item = C>) -> Column {
        let mut column = Column::new(name, Role::Other);
        cells.into_iter().for_each(|cell| column.add(cell.as_ref()));
        column
    }

    fn kind<C: AsRef<str>>(name: &str, cells: impl IntoIterator<Item = C>) -> Kind {
        let column = column(name, cells);
        column.kind(&column.sorted_numbers())
    }

    #[test]
    fn columns_are_compared_by_the_type_of_their_values() {
        let shuffled = |i: u32| (i * 37) % 101;
        for (name, cells, wanted) in [
            (
                "confidence",
                (0..200).map(|i| format!("0.{}", 10 + i % 83)).collect::<Vec<_>>(),
                Kind::Numbers,
            ),
            (
                "latency_ms",
                (0..200).map(|i| (100 + shuffled(i)).to_string()).collect(),
                Kind::Numbers,
            ),
            ("flag", (0..200).map(|i| (i % 2).to_string()).collect(), Kind::Booleans),
            ("channel", (0..200).map(|i| ["web", "app"][i % 2].to_owned()).collect(), Kind::Names),
            ("zip", (0..200).map(|i| format!("0{}", 1000 + i % 20)).collect(), Kind::Names),
            (
                "created_at",
                (0..200).map(|i| format!("2026-11-{:02}", 1 + i % 28)).collect(),
                Kind::Times,
            ),
            (
                "created_at",
                (0..200).map(|i| (1_700_000_000 + shuffled(i)).to_string()).collect(),
                Kind::Times,
            ),
            ("id", (0..200).map(|i| format!("order-{i}")).collect(), Kind::Ids),
            ("order", (0..200).map(|i| format!("{i:08x}-af")).collect(), Kind::Ids),
            (
                "customer_id",
                (0..200).map(|i| (5_000 + shuffled(i)).to_string()).collect(),
                Kind::Ids,
            ),
            ("store_id", (0..200).map(|i| (i % 7).to_string()).collect(), Kind::Numbers),
            ("store_id", (0..200).map(|i| format!("s{}", i % 7)).collect(), Kind::Names),
            ("row", (0..200).map(|i| (3 * i).to_string()).collect(), Kind::Sequence),
            ("row", (0..101).map(|i| shuffled(i).to_string()).collect(), Kind::Sequence),
            (
                "account",
                (0..200).map(|i| format!("12345678901234567{}", 100 + shuffled(i))).collect(),
                Kind::Ids,
            ),
            ("note", (0..200).map(|i| format!("note {i}")).collect(), Kind::Texts),
            ("score", vec!["NaN".to_owned(); 5], Kind::Empty),
            ("empty", vec![" ".to_owned(); 5], Kind::Empty),
        ] {
            assert_eq!(kind(name, &cells), wanted, "{name} {:?}", cells.first());
        }
    }

    #[test]
    fn a_cell_that_is_not_a_number_is_missing_in_a_column_of_numbers() {
        let mut cells = vec!["0.5"; 190];
        cells.extend(["n/a", "", "error", "NaN", "inf", "1e999"]);
        let column = column("confidence", &cells);
        let numbers = column.sorted_numbers();
        assert_eq!(column.kind(&numbers), Kind::Numbers);
        assert_eq!((numbers.len(), column.n_without_number(), column.n_empty), (190, 6, 1));
    }

    #[test]
    fn a_name_is_counted_once_whatever_its_spelling() {
        let names = |cells: &[&str]| -> Vec<(String, u64)> {
            let column = column("flag", cells);
            let names = column.names().unwrap();
            names.into_iter().map(|(name, n)| (name.to_owned(), n)).collect()
        };
        let wanted = [("false".to_owned(), 1), ("true".to_owned(), 3)];
        assert_eq!(names(&["True", "true", "TRUE", "False", ""]), wanted);
        // Other names are kept as they are written.
        assert_eq!(names(&["True", "true", "Maybe"]).len(), 3);
        assert_eq!(names(&["caf\u{e9}", "cafe\u{301}"]), [("caf\u{e9}".to_owned(), 2)]);
    }

    #[test]
    fn a_comma_may_stand_before_decimals() {
        let numbers = |cells: &[&str]| column("confidence", cells).sorted_numbers();
        assert_eq!(numbers(&["0,712", "-1,5", "2", ""]), [-1.5, 0.712, 2.0]);
        assert_eq!(numbers(&["1,234", "2,345"]), [1.234, 2.345]);
        // 1,234 beside 999 may be 1234, and with a point in another cell the comma is none before decimals.
        assert_eq!(numbers(&["1,234", "999"]), [999.0]);
        assert_eq!(numbers(&["0,712", "0.5"]), [0.5]);
        assert!(numbers(&["1,2,3", ",5", "a,5", "01,5", "1,e5", "1.5,5"]).is_empty());
        let cells = |from: usize| (0..200).map(move |i| format!("0,{}", from + i % 83));
        assert_eq!(kind("confidence", cells(100)), Kind::Numbers);
        let column = column("id", cells(100));
        assert_eq!(column.n_without_number(), 0);
    }

    #[test]
    fn no_more_than_a_thousand_values_are_kept() {
        let at = |n: usize| column("code", (0..3 * n).map(|i| format!("c{}", i % n)));
        assert_eq!(at(MOST_VALUES).names().map(|names| names.len()), Some(MOST_VALUES));
        assert!(at(MOST_VALUES + 1).names().is_none());
    }
}
