//! An answer of a language model.

/// An answer as it was written. Its citations are not checked yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The text, with its citations such as `[1]`.
    pub text: String,
    /// The numbers that the text cites, in the order of their first use, without repetitions. A number may be of no passage.
    pub citations: Vec<u32>,
    /// The tokens.
    pub usage: Usage,
    /// The cost, in the currency of the price; 0 without a price.
    pub cost: f64,
    /// Why the text ends.
    pub finish: Finish,
    /// The tries before the one that succeeded.
    pub retries: u32,
}

/// Tokens of a request and its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The tokens of the request.
    pub tokens_in: u64,
    /// The tokens of the answer.
    pub tokens_out: u64,
    /// Whether the endpoint reported them. If not, they are estimated from the number of bytes.
    pub is_reported: bool,
}

impl Usage {
    /// Returns the sum, at most `u64::MAX`.
    #[must_use]
    pub fn tokens(self) -> u64 {
        self.tokens_in.saturating_add(self.tokens_out)
    }
}

/// The reason why a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model finished.
    Stop,
    /// The text reached the most tokens: its last sentence may be incomplete.
    Length,
}

/// Returns the numbers in brackets in `text`, such as 1 and 3 in `[1][3]` or `[1, 3]`, in the order of their first use.
pub(crate) fn citations(text: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for part in text.split('[').skip(1) {
        let Some((inside, _)) = part.split_once(']') else { continue };
        let numbers: Option<Vec<u32>> =
            inside.split(',').map(|number| number.trim().parse().ok()).collect();
        for number in numbers.into_iter().flatten() {
            if !found.contains(&number) {
                found.push(number);
            }
        }
    }
    found
}

#[test]
fn numbers_in_brackets_are_citations_and_words_are_not() {
    assert_eq!(citations("A [2]. B [1, 3][2]. C [see 4], [5"), [2, 1, 3]);
    assert!(citations("no [] nor [x]").is_empty());
}
