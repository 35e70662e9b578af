//! Attributes of tokens: word, shape, affixes, place and lookup lists, each as a hash.
//!
//! Model files hold the hashes, so a change to the functions here needs a new version of the file.

use super::{
    gazetteer::{Gazetteer, Listed},
    hashing::mix,
    tokens::Token,
};
use botops_text::normalise_into;

/// The largest distance between a token and a neighbour whose attributes it sees.
pub(super) const RADIUS: usize = 2;
/// The number of places of an attribute relative to the token that sees it: two before to two after.
pub(super) const N_PLACES: usize = 2 * RADIUS + 1;

/// The kinds of attributes. The number of each is part of its hash.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Kind {
    Word = 1,
    /// Runs of capitals, small letters and digits, without their lengths.
    OutlineShape = 2,
    /// Runs with their lengths.
    Shape = 3,
    Prefix = 4,
    Suffix = 5,
    /// The word with the word before it.
    WordPair = 6,
    /// The outline with that of the token before it.
    OutlinePair = 7,
    /// The shape with those of both neighbours.
    ShapeTriple = 8,
    /// The first or the last token.
    Edge = 9,
    Listed = 10,
    /// A suffix that the neighbours see.
    WideSuffix = 11,
}

/// The tokens that see an attribute, by their distance from its token.
const fn reach(kind: Kind) -> usize {
    match kind {
        Kind::Word | Kind::OutlineShape => 2,
        Kind::Shape
        | Kind::WordPair
        | Kind::OutlinePair
        | Kind::Edge
        | Kind::Listed
        | Kind::WideSuffix => 1,
        Kind::Prefix | Kind::Suffix | Kind::ShapeTriple => 0,
    }
}

/// Returns the key of an attribute: a hash whose two lowest bits are its reach.
#[inline]
const fn key(kind: Kind, value: u64) -> u64 {
    let mixed = mix(mix(0x0074_6167, kind as u64), value);
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)) << 2) | reach(kind) as u64
}

/// Returns the reach of the attribute `key`: it is seen by tokens up to this distance.
pub(super) const fn reach_of(key: u64) -> usize {
    (key & 3) as usize
}

/// The hashes of the words and shapes of the tokens of a text.
#[derive(Debug, Default)]
pub(super) struct Words {
    words: Vec<u64>,
    outlines: Vec<u64>,
    shapes: Vec<u64>,
    /// Keys of the affixes of all tokens, with the end of each token in them.
    affixes: Vec<u64>,
    affix_ends: Vec<usize>,
    /// The normal form of a token.
    normal: String,
}

impl Words {
    /// Returns the hash of each word.
    pub(super) fn hashes(&self) -> &[u64] {
        &self.words
    }

    /// Reads words, shapes and affixes of `tokens` of `text`.
    pub(super) fn read(&mut self, text: &str, tokens: &[Token]) {
        let Self { words, outlines, shapes, affixes, affix_ends, normal } = self;
        words.clear();
        outlines.clear();
        shapes.clear();
        affixes.clear();
        affix_ends.clear();
        for token in tokens {
            let written = &text[token.bytes.0..token.bytes.1];
            normalise_into(written, normal);
            words.push(read_affixes(normal, affixes));
            affix_ends.push(affixes.len());
            let (outline, shape) = shapes_of(written);
            outlines.push(mix(outline, u64::from(token.glued)));
            shapes.push(shape);
        }
    }
}

/// The attributes of the tokens of a text.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    /// The keys of all tokens, one token after the other.
    keys: Vec<u64>,
    /// The end of each token in `keys`.
    ends: Vec<usize>,
    words: Words,
    listed: Vec<Listed>,
}

/// The classes of characters in a shape.
const UPPER: u64 = 1;
const LOWER: u64 = 2;
const DIGIT: u64 = 3;
const OTHER_LETTER: u64 = 4;

fn class(c: char) -> u64 {
    match c {
        'a'..='z' => LOWER,
        'A'..='Z' => UPPER,
        '0'..='9' => DIGIT,
        c if c.is_ascii() => c as u64 + 16,
        c if c.is_lowercase() => LOWER,
        c if c.is_uppercase() => UPPER,
        c if c.is_numeric() => DIGIT,
        c if c.is_alphabetic() => OTHER_LETTER,
        c => c as u64 + 16,
    }
}

impl Attributes {
    /// Iterates over the keys of each token.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u64]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.keys[start..end])
    }

    /// Reads the attributes of `tokens` of `text`.
    pub(super) fn read(&mut self, text: &str, tokens: &[Token], gazetteer: &Gazetteer) {
        self.words.read(text, tokens);
        gazetteer.find(self.words.hashes(), &mut self.listed);
        let Self { keys, ends, words, listed } = self;
        let Words { words, outlines, shapes, affixes, affix_ends, .. } = words;
        keys.clear();
        ends.clear();
        let (mut listed, mut affix) = (listed.iter().peekable(), 0);
        for i in 0..tokens.len() {
            let before = |hashes: &[u64]| if i > 0 { hashes[i - 1] } else { 0 };
            let after = shapes.get(i + 1).copied().unwrap_or(0);
            keys.extend([
                key(Kind::Word, words[i]),
                key(Kind::OutlineShape, outlines[i]),
                key(Kind::Shape, shapes[i]),
                key(Kind::WordPair, mix(before(words), words[i])),
                key(Kind::OutlinePair, mix(before(outlines), outlines[i])),
                key(Kind::ShapeTriple, mix(mix(before(shapes), shapes[i]), after)),
            ]);
            keys.extend_from_slice(&affixes[affix..affix_ends[i]]);
            affix = affix_ends[i];
            if i == 0 {
                keys.push(key(Kind::Edge, 0));
            }
            if i + 1 == tokens.len() {
                keys.push(key(Kind::Edge, 1));
            }
            while let Some(found) = listed.next_if(|found| found.token == i) {
                let value = 2 * u64::from(found.list) + u64::from(found.first);
                keys.push(key(Kind::Listed, value));
            }
            ends.push(keys.len());
        }
    }
}

/// The lengths of the affixes, in characters: 1 to 4.
const LONGEST_AFFIX: usize = 4;

/// Adds the keys of the affixes of `word` that are shorter than it, and returns its hash.
fn read_affixes(word: &str, affixes: &mut Vec<u64>) -> u64 {
    // Most words are ASCII, and the characters of a long word are not needed at once.
    let mut hash = 0;
    let mut last = [0_u64; LONGEST_AFFIX];
    let mut n = 0;
    for c in word.chars() {
        hash = mix(hash, u64::from(c));
        last = [last[1], last[2], last[3], u64::from(c)];
        n += 1;
        if (2..=LONGEST_AFFIX).contains(&n) {
            affixes.push(key(Kind::Prefix, hash));
        }
    }
    if (2..=LONGEST_AFFIX).contains(&n) {
        // The whole word is not a prefix of itself.
        affixes.pop();
    }
    let mut suffix = 0;
    for (length, c) in (1..n.min(LONGEST_AFFIX + 1)).zip(last.iter().rev()) {
        suffix = mix(suffix, *c);
        affixes.push(key(Kind::Suffix, suffix));
        if length == 3 {
            affixes.push(key(Kind::WideSuffix, suffix));
        }
    }
    hash
}

/// The longest run of letters whose length a shape states; a run of digits is at most 15.
const LONGEST_RUN: u64 = 4;

/// Returns the hashes of the outline and the shape of `written`.
fn shapes_of(written: &str) -> (u64, u64) {
    let (mut outline, mut shape) = (0, 0);
    let (mut run, mut n) = (0, 0_u64);
    let ended = |shape, run, n: u64| {
        let most = if run == DIGIT { 15 } else { LONGEST_RUN };
        mix(shape, (run << 4) | n.min(most))
    };
    for c in written.chars() {
        let class = class(c);
        if class == run {
            n += 1;
            continue;
        }
        if n > 0 {
            shape = ended(shape, run, n);
        }
        outline = mix(outline, class);
        (run, n) = (class, 1);
    }
    (outline, ended(shape, run, n))
}
