//! Lists of names, found with a limited number of typing errors.
//!
//! The names are a tree of letters. From each word of a text, the tree is walked with the row of edit distances to the
//! text that follows, so that one walk finds names of any number of words. Each walk visits a limited number of nodes.

use super::tokens::fold_into;
use botops_text::{normalise, strip_accents};
use std::collections::BTreeMap;

/// The longest name, in folded characters.
pub(crate) const LONGEST_NAME: usize = 64;
/// The most names of all lists of a dialogue, synonyms included.
pub(crate) const MOST_NAMES: usize = 20_000;
/// The most edits.
pub(crate) const MOST_EDITS: u8 = 2;
/// The most nodes that one walk visits. A walk in a list of 20,000 words visits a few hundred.
const MOST_NODES: usize = 4_096;
/// The letters that an edit costs when a longer name competes with a better one.
const EDIT_COST: usize = 3;

/// A list of names as a tree.
#[derive(Debug)]
pub(crate) struct Lookup {
    nodes: Vec<Node>,
    canonical: Vec<String>,
    edits: usize,
}

#[derive(Debug, Default)]
struct Node {
    /// The nodes of longer names, by their next letter.
    children: Vec<(char, usize)>,
    /// The index of the canonical name that ends here.
    name: Option<usize>,
}

/// A text as letters to compare: lower case, no accents, one space for all that is no letter or digit.
#[derive(Debug)]
pub(crate) struct Letters {
    chars: Vec<char>,
    /// The first byte in the text of each letter.
    starts: Vec<usize>,
    /// One past the last byte of each.
    ends: Vec<usize>,
}

/// A name in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameHit<'a> {
    /// One past the last letter.
    pub(crate) end: usize,
    /// The canonical name.
    pub(crate) canonical: &'a str,
    /// The number of edits.
    pub(crate) edits: usize,
}

impl Letters {
    /// Folds `text`, in linear time.
    pub(crate) fn of(text: &str) -> Self {
        let mut letters = Self { chars: Vec::new(), starts: Vec::new(), ends: Vec::new() };
        let mut folded = String::new();
        for (start, c) in text.char_indices() {
            let end = start + c.len_utf8();
            if matches!(c, '\u{300}'..='\u{36f}') {
                // A mark belongs to the letter before it.
                if let Some(last) = letters.ends.last_mut().filter(|last| **last == start) {
                    *last = end;
                }
                continue;
            }
            folded.clear();
            if c.is_alphanumeric() {
                fold_into(c.encode_utf8(&mut [0; 4]), &mut folded);
            }
            let before = letters.chars.len();
            for c in folded.chars().filter(|c| c.is_alphanumeric()) {
                letters.push(c, start, end);
            }
            if letters.chars.len() == before && letters.chars.last().is_some_and(|c| *c != ' ') {
                letters.push(' ', start, end);
            }
        }
        letters
    }

    fn push(&mut self, c: char, start: usize, end: usize) {
        self.chars.push(c);
        self.starts.push(start);
        self.ends.push(end);
    }

    /// Returns the number of letters and spaces.
    pub(crate) fn len(&self) -> usize {
        self.chars.len()
    }

    /// Returns whether a word starts at `at`.
    pub(crate) fn starts_word(&self, at: usize) -> bool {
        self.chars[at] != ' ' && (at == 0 || self.chars[at - 1] == ' ')
    }

    /// Returns whether a word ends before `end`.
    fn ends_word(&self, end: usize) -> bool {
        end > 0 && self.chars[end - 1] != ' ' && self.chars.get(end).is_none_or(|c| *c == ' ')
    }

    /// Returns the bytes of the letters from `start` to `end`, which is greater.
    pub(crate) fn bytes(&self, start: usize, end: usize) -> std::ops::Range<usize> {
        self.starts[start]..self.ends[end - 1]
    }
}

/// Returns the letters of a name; empty if it has none.
pub(crate) fn letters_of(name: &str) -> Vec<char> {
    let folded = strip_accents(&normalise(name));
    let mut letters: Vec<char> = Letters::of(&folded).chars;
    while letters.last() == Some(&' ') {
        letters.pop();
    }
    letters
}

/// Returns the most edits of a name with `n` letters: none for less than 4, one for less than 8.
fn allowed(n: usize, most: usize) -> usize {
    most.min(match n {
        0..4 => 0,
        4..8 => 1,
        _ => 2,
    })
}

/// The walk of a tree along a text.
struct Walk<'a> {
    text: &'a [char],
    letters: &'a Letters,
    start: usize,
    left: usize,
    /// The best name: its value, edits, name and end.
    best: Option<(usize, usize, usize, usize)>,
}

/// The rows of distances of a node and its parent, and the letter of the node.
struct Rows<'a> {
    row: &'a [usize],
    before: Option<&'a [usize]>,
    letter: Option<char>,
}

impl Lookup {
    /// Makes the tree of canonical names and their letters. A name with the same letters as an earlier one is left out.
    pub(crate) fn of(names: &BTreeMap<String, Vec<Vec<char>>>, edits: u8) -> Self {
        let mut lookup = Self {
            nodes: vec![Node::default()],
            canonical: names.keys().cloned().collect(),
            edits: usize::from(edits),
        };
        for (index, forms) in names.values().enumerate() {
            for form in forms {
                let mut node = 0;
                for &letter in form {
                    let children = &lookup.nodes[node].children;
                    node = match children.binary_search_by_key(&letter, |(c, _)| *c) {
                        Ok(at) => children[at].1,
                        Err(at) => {
                            let new = lookup.nodes.len();
                            lookup.nodes[node].children.insert(at, (letter, new));
                            lookup.nodes.push(Node::default());
                            new
                        }
                    };
                }
                lookup.nodes[node].name.get_or_insert(index);
            }
        }
        lookup
    }

    /// Returns the name that starts at the word at `start` of `letters`, and whether the walk was cut.
    ///
    /// Of several names the one with the most letters is found, where an edit counts as three letters less; then the one
    /// with the fewest edits, then the first.
    pub(crate) fn name_at(&self, letters: &Letters, start: usize) -> (Option<NameHit<'_>>, bool) {
        let text = &letters.chars[start..];
        let text = &text[..text.len().min(LONGEST_NAME + self.edits)];
        let mut walk = Walk { text, letters, start, left: MOST_NODES, best: None };
        let first: Vec<usize> = (0..=text.len().min(self.edits)).collect();
        self.walk(&mut walk, 0, 0, &Rows { row: &first, before: None, letter: None });
        let hit = walk.best.map(|(_, edits, name, end)| NameHit {
            end: start + end,
            canonical: &self.canonical[name],
            edits,
        });
        (hit, walk.left == 0)
    }

    /// Visits the node at `depth` and those below it. A row holds the distances of the node's letters to the first `j`
    /// letters of the text, for `j` up to `depth` plus the edits.
    fn walk(&self, walk: &mut Walk<'_>, node: usize, depth: usize, rows: &Rows<'_>) {
        if walk.left == 0 {
            return;
        }
        walk.left -= 1;
        let Node { children, name } = &self.nodes[node];
        if let Some(name) = name {
            walk.meet(*name, depth, allowed(depth, self.edits), rows.row);
        }
        let lowest = rows.row.iter().copied().min().unwrap_or(usize::MAX);
        // When no edit is left, only the letters of the text can follow.
        let only = (lowest == self.edits).then(|| {
            let at = depth.saturating_sub(self.edits);
            &walk.text[at.min(walk.text.len())..walk.text.len().min(depth + self.edits + 1)]
        });
        for &(letter, child) in children {
            if only.is_some_and(|only| !only.contains(&letter)) {
                continue;
            }
            let row = self.next_row(walk.text, letter, depth + 1, rows);
            if row.iter().any(|distance| *distance <= self.edits) {
                let rows = Rows { row: &row, before: Some(rows.row), letter: Some(letter) };
                self.walk(walk, child, depth + 1, &rows);
            }
        }
    }

    /// Returns the row below `rows` after `letter`: edit distances with insertions, deletions, replacements and swaps of
    /// neighbours (optimal string alignment). Distances above the limit may be larger than they are.
    fn next_row(&self, text: &[char], letter: char, depth: usize, rows: &Rows<'_>) -> Vec<usize> {
        let beyond = self.edits + 1;
        let width = text.len().min(depth + self.edits);
        let mut row = vec![beyond; width + 1];
        let get = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(beyond);
        row[0] = depth.min(beyond);
        for j in depth.saturating_sub(self.edits).max(1)..=width {
            let cost = usize::from(text[j - 1] != letter);
            let mut distance =
                (get(rows.row, j) + 1).min(row[j - 1] + 1).min(get(rows.row, j - 1) + cost);
            if let (Some(before), Some(last)) = (rows.before, rows.letter)
                && j > 1
                && text[j - 2] == letter
                && text[j - 1] == last
            {
                distance = distance.min(get(before, j - 2) + 1);
            }
            row[j] = distance.min(beyond);
        }
        row
    }
}

impl Walk<'_> {
    /// Takes the name with `n_letters` if the text holds it better than the best so far.
    fn meet(&mut self, name: usize, n_letters: usize, allowed: usize, row: &[usize]) {
        for (end, &edits) in row.iter().enumerate() {
            if edits > allowed || !self.letters.ends_word(self.start + end) || end == 0 {
                continue;
            }
            let value = (n_letters + EDIT_COST * usize::from(MOST_EDITS)) - EDIT_COST * edits;
            // A longer value is better, then fewer edits, then the first name, then the shorter text.
            let rank = |(value, edits, name, end): (usize, usize, usize, usize)| {
                (std::cmp::Reverse(value), edits, name, end)
            };
            let found = (value, edits, name, end);
            if self.best.is_none_or(|best| rank(found) < rank(best)) {
                self.best = Some(found);
            }
        }
    }
}
