//! The features of a text by name, for comparison with other taggers.

use super::{
    attributes::{Attributes, RADIUS, reach_of},
    gazetteer::Gazetteer,
    tokens::tokenise,
};

/// A token of a text as a tagger sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFeatures {
    /// The first code point of the token.
    pub start: usize,
    /// One past the last code point.
    pub end: usize,
    /// The names of its features, such as `1f00c4a9d2e7b3a6@-1`: the key of an attribute, and the place of the token that
    /// has it, relative to this token.
    pub features: Vec<String>,
}

/// Returns the tokens of `text` with their features, without lookup lists.
///
/// A peer that is trained on these features has the same input as the tagger.
#[must_use]
pub fn token_features(text: &str) -> Vec<TokenFeatures> {
    let (mut tokens, mut attributes) = (Vec::new(), Attributes::default());
    tokenise(text, &mut tokens);
    attributes.read(text, &tokens, &Gazetteer::default());
    let token = |token: &super::tokens::Token| TokenFeatures {
        start: token.chars.0,
        end: token.chars.1,
        features: Vec::new(),
    };
    let mut seen: Vec<TokenFeatures> = tokens.iter().map(token).collect();
    for (i, keys) in attributes.iter().enumerate() {
        for &key in keys {
            let reach = reach_of(key).min(RADIUS);
            let sees = i.saturating_sub(reach)..=(i + reach).min(tokens.len() - 1);
            for at in sees {
                let place = i as isize - at as isize;
                seen[at].features.push(format!("{key:016x}@{place}"));
            }
        }
    }
    seen
}
