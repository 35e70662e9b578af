//! Conditions on one record: two cells compared, or a cell and a value (`shipped_at >= ordered_at`, `intent = refund`).

use botops_spec::nearest;

/// The sign of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=` or `==`.
    Equal,
    /// `!=`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    AtMost,
    /// `>`.
    Greater,
    /// `>=`.
    AtLeast,
}

/// A comparison as written: a column, a sign, and a column or a value.
///
/// The right side is a value if it is quoted; otherwise it is the column of that name, or a value if there is no such
/// column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The column on the left.
    pub left: String,
    /// The sign.
    pub comparison: Comparison,
    /// The column or value on the right, without quotes.
    pub right: String,
    /// Whether the right side is quoted.
    pub is_quoted: bool,
}

impl Condition {
    /// Parses `text`.
    ///
    /// # Errors
    /// A message that names the mistake and the correct form.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The longer signs come first: `<=` is not `<` before a value that begins with `=`.
        const SIGNS: [(&str, Comparison); 7] = [
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("==", Comparison::Equal),
            ("=", Comparison::Equal),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let shown = botops_text::display(text, 60);
        let at = text.find(['!', '<', '>', '=']).ok_or_else(|| {
            format!("`{shown}` is not a comparison: write a column, then `=`, `!=`, `<`, `<=`, `>` or `>=`, then a column or a value")
        })?;
        let Some((sign, comparison)) =
            SIGNS.into_iter().find(|(sign, _)| text[at..].starts_with(sign))
        else {
            return Err(format!("`{shown}` has no comparison sign: did you mean `!=`?"));
        };
        let (left, right) = (text[..at].trim(), text[at + sign.len()..].trim());
        if left.is_empty() {
            return Err(format!("`{shown}` has no column before `{sign}`"));
        }
        let unquoted = ['\'', '"']
            .into_iter()
            .find_map(|quote| right.strip_prefix(quote)?.strip_suffix(quote));
        if right.is_empty() {
            return Err(format!(
                "`{shown}` has nothing after `{sign}`; write `''` for an empty cell"
            ));
        }
        Ok(Self {
            left: left.to_owned(),
            comparison,
            right: unquoted.unwrap_or(right).to_owned(),
            is_quoted: unquoted.is_some(),
        })
    }
}

impl Comparison {
    /// Returns whether two values in this `order` satisfy the comparison.
    pub fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }

    /// Returns whether the comparison needs an order of the values: it is neither `=` nor `!=`.
    pub fn orders(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// Returns a hint with the column nearest to `name`, or with the first 20 columns if none is near.
pub fn nearest_column(name: &str, columns: &[String]) -> String {
    match nearest(name, columns.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{}`?", botops_text::display(near, 40)),
        None => {
            let shown = |name: &String| format!("`{}`", botops_text::display(name, 40));
            let names: Vec<String> = columns.iter().take(20).map(shown).collect();
            format!("the columns are {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_a_column_a_sign_and_a_value() {
        for (text, left, comparison, right, is_quoted) in [
            ("end >= start", "end", Comparison::AtLeast, "start", false),
            ("intent=refund", "intent", Comparison::Equal, "refund", false),
            ("order id != ''", "order id", Comparison::NotEqual, "", true),
            ("n < 5", "n", Comparison::Less, "5", false),
            ("a == \"b\"", "a", Comparison::Equal, "b", true),
        ] {
            let right = right.to_owned();
            let expected = Condition { left: left.to_owned(), comparison, right, is_quoted };
            assert_eq!(Condition::parse(text), Ok(expected), "{text}");
        }
        for text in ["", "end", "= 5", "a >", "a ! b"] {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
    }
}
