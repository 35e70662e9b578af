//! What two cells of one record have to do with each other: `shipped_at >= ordered_at`, `intent = refund`.

use botops_spec::nearest;

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// A comparison as written: a column, a sign, and a column or a value.
///
/// A word in quotes is a value; without, it is a column where there is one of that name, else a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub left: String,
    pub comparison: Comparison,
    pub right: String,
    pub is_quoted: bool,
}

impl Condition {
    /// Reads `text`.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The longer signs first: `<=` is not `<` and a value that begins with `=`.
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
            format!("`{shown}` compares nothing: write a column, `=`, `!=`, `<`, `<=`, `>` or `>=`, and a column or value")
        })?;
        let Some((sign, comparison)) =
            SIGNS.into_iter().find(|(sign, _)| text[at..].starts_with(sign))
        else {
            return Err(format!("`{shown}` has no sign that compares: did you mean `!=`?"));
        };
        let (left, right) = (text[..at].trim(), text[at + sign.len()..].trim());
        if left.is_empty() {
            return Err(format!("`{shown}` names no column before `{sign}`"));
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
    /// Returns whether the order of the two values is as it says.
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

    /// Returns whether it is about which is greater.
    pub fn orders(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// Returns a hint that names the column nearest to `name`, else those there are.
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
            let wanted = Condition { left: left.to_owned(), comparison, right, is_quoted };
            assert_eq!(Condition::parse(text), Ok(wanted), "{text}");
        }
        for text in ["", "end", "= 5", "a >", "a ! b"] {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
    }
}
