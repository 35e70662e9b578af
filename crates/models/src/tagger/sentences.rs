//! Annotated utterances as label sequences over numbered attributes.

use super::{
    attributes::{Attributes, RADIUS, Words, reach_of},
    gazetteer::Gazetteer,
    labels::{MOST_TAGS, Tag, begin, inside, n_labels},
    learned::TaggedKind,
    spans::{Annotated, Span, SpanProblem, place},
    spec::TaggerSpec,
    tokens::{Token, tokenise},
    weights::code,
};
use botops_findings::{Fault, Result};
use botops_stats::random::Random;
use botops_text::normalise;
use std::collections::{BTreeMap, HashMap};

/// The most utterances without an entity that are learned from; of more, a sample is drawn.
const MOST_PLAIN: usize = 50_000;
/// Separates the draw of this sample from other draws.
const STREAM: u64 = 0x7A60;

/// The tags to learn, and what is known of their values.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub(super) tags: Vec<Tag>,
    pub(super) kinds: Vec<TaggedKind>,
    pub(super) synonyms: BTreeMap<String, BTreeMap<String, String>>,
}

/// An utterance: the number of its attributes, and the labels of its tokens.
#[derive(Debug)]
pub(super) struct Sentence {
    /// The attributes of all tokens, one token after the other, by number.
    pub(super) attributes: Vec<u32>,
    /// The end of each token in `attributes`.
    pub(super) ends: Vec<u32>,
    /// The label of each token.
    pub(super) gold: Vec<u16>,
}

/// Utterances with their attributes.
#[derive(Debug, Default)]
pub(super) struct Sentences {
    pub(super) all: Vec<Sentence>,
    /// The key of each attribute, by number.
    pub(super) keys: Vec<u64>,
}

/// The place of a span that can be learned, in tokens.
struct Placed<'a> {
    span: Span<'a>,
    tokens: (usize, usize),
}

/// An utterance to learn from.
pub(super) struct Usable<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    placed: Vec<Placed<'a>>,
}

/// Returns the utterances to learn from: those whose spans begin and end at tokens, in the order of `annotated`.
pub(super) fn usable<'a>(annotated: &[Annotated<'a>], seed: u64) -> Vec<Usable<'a>> {
    let mut usable = Vec::with_capacity(annotated.len());
    let mut plain = Vec::new();
    for Annotated { text, spans } in annotated {
        let mut tokens = Vec::new();
        tokenise(text, &mut tokens);
        let places = place(&tokens, spans);
        if tokens.is_empty() || places.contains(&Err(SpanProblem::Borders)) {
            continue;
        }
        let placed = spans.iter().zip(places);
        let placed: Vec<Placed<'a>> = placed
            .filter_map(|(span, place)| Some(Placed { span: *span, tokens: place.ok()? }))
            .collect();
        if placed.is_empty() {
            plain.push(usable.len());
        }
        usable.push(Usable { text, tokens, placed });
    }
    if plain.len() > MOST_PLAIN {
        Random::stream(seed, STREAM).shuffle(&mut plain);
        let mut left_out = vec![false; usable.len()];
        plain[MOST_PLAIN..].iter().for_each(|&i| left_out[i] = true);
        let mut left_out = left_out.into_iter();
        usable.retain(|_| left_out.next() != Some(true));
    }
    usable
}

impl Vocabulary {
    /// Collects the kinds with at least `spec.min_examples` spans; `None` if there are none.
    ///
    /// # Errors
    /// `BOT-1141` (exit 3) when their roles and groups make more than 256 tags.
    pub(super) fn of(usable: &[Usable<'_>], spec: &TaggerSpec) -> Result<Option<Self>> {
        let placed = || usable.iter().flat_map(|usable| &usable.placed);
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        placed().for_each(|Placed { span, .. }| *counts.entry(span.entity).or_default() += 1);
        counts.retain(|_, n| *n >= spec.min_examples as u64);
        if counts.is_empty() {
            return Ok(None);
        }
        let kept = || placed().filter(|placed| counts.contains_key(placed.span.entity));
        let mut tags: Vec<Tag> = kept().map(|placed| tag(&placed.span)).collect();
        tags.sort_unstable();
        tags.dedup();
        if tags.len() > MOST_TAGS {
            let message = format!(
                "the annotated entities have {} different combinations of kind, role and group; at most {MOST_TAGS} can be learned",
                tags.len()
            );
            return Err(Fault::data("BOT-1141", message).hint(
                "remove roles and groups that number single entities, or set `entities: { learn: false }` in the settings of the model",
            ));
        }
        let mut synonyms: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for usable in usable {
            for Placed { span, tokens: (first, end) } in &usable.placed {
                let Some(canonical) = span.synonym_of else { continue };
                if !counts.contains_key(span.entity) {
                    continue;
                }
                let bytes = usable.tokens[*first].bytes.0..usable.tokens[end - 1].bytes.1;
                // The first of several canonical values stays.
                synonyms
                    .entry(span.entity.to_owned())
                    .or_default()
                    .entry(normalise(&usable.text[bytes]))
                    .or_insert_with(|| canonical.to_owned());
            }
        }
        let kinds = counts
            .iter()
            .map(|(entity, n)| TaggedKind { entity: (*entity).to_owned(), n_spans: *n });
        Ok(Some(Self { tags, kinds: kinds.collect(), synonyms }))
    }

    /// Returns the number of labels.
    pub(super) fn n_labels(&self) -> usize {
        n_labels(self.tags.len())
    }
}

fn tag(span: &Span<'_>) -> Tag {
    Tag {
        entity: span.entity.to_owned(),
        role: span.role.map(str::to_owned),
        group: span.group.map(str::to_owned),
    }
}

impl Sentences {
    /// Numbers the attributes of `usable`, in the order in which they come.
    pub(super) fn read(usable: &[Usable<'_>], tags: &[Tag], gazetteer: &Gazetteer) -> Self {
        let mut numbers: HashMap<u64, u32> = HashMap::new();
        let mut read = Self::default();
        let mut attributes = Attributes::default();
        for Usable { text, tokens, placed } in usable {
            attributes.read(text, tokens, gazetteer);
            let mut sentence = Sentence {
                attributes: Vec::new(),
                ends: Vec::with_capacity(tokens.len()),
                gold: vec![0; tokens.len()],
            };
            for keys in attributes.iter() {
                for &key in keys {
                    let number = *numbers.entry(key).or_insert_with(|| {
                        read.keys.push(key);
                        read.keys.len() as u32 - 1
                    });
                    sentence.attributes.push(number);
                }
                sentence.ends.push(sentence.attributes.len() as u32);
            }
            for Placed { span, tokens: (first, end) } in placed {
                // Rare kinds have no tag: their tokens are outside.
                let Ok(tag) = tags.binary_search(&tag(span)) else { continue };
                sentence.gold[*first] = begin(tag) as u16;
                sentence.gold[first + 1..*end].fill(inside(tag) as u16);
            }
            read.all.push(sentence);
        }
        read
    }

    /// Returns each pair of an attribute and a code that occurs with the labels of `self`, in rising order, with the number
    /// of tokens.
    pub(super) fn pairs(&self, n_labels: usize) -> Vec<(u64, u32)> {
        /// The most pairs that are counted at once; 32 MiB.
        const AT_ONCE: usize = 4 << 20;
        let mut counted: Vec<(u64, u32)> = Vec::new();
        let mut pairs: Vec<u64> = Vec::new();
        for sentence in &self.all {
            let n = sentence.gold.len() as isize;
            let mut start = 0;
            for (i, &end) in sentence.ends.iter().enumerate() {
                for &attribute in &sentence.attributes[start as usize..end as usize] {
                    let reach = reach_of(self.keys[attribute as usize]).min(RADIUS) as isize;
                    for place in -reach..=reach {
                        let at = i as isize + place;
                        if (0..n).contains(&at) {
                            let label = usize::from(sentence.gold[at as usize]);
                            let code = code(place, label, n_labels);
                            pairs.push(u64::from(attribute) << 16 | u64::from(code));
                        }
                    }
                }
                start = end;
            }
            if pairs.len() > AT_ONCE {
                count(&mut counted, &mut pairs);
            }
        }
        count(&mut counted, &mut pairs);
        counted
    }
}

/// Adds `pairs`, which it empties, to `counted`, which stays in rising order.
fn count(counted: &mut Vec<(u64, u32)>, pairs: &mut Vec<u64>) {
    pairs.sort_unstable();
    let new = pairs.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32));
    counted.extend(new);
    pairs.clear();
    counted.sort_by_key(|(pair, _)| *pair);
    counted.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 += later.1;
        }
        same
    });
}

/// Returns the gazetteer of `lists`, by the order of their names.
pub(super) fn gazetteer(lists: &BTreeMap<String, Vec<String>>) -> Gazetteer {
    let (mut words, mut tokens) = (Words::default(), Vec::new());
    let mut entries: Vec<(u16, Vec<u64>)> = Vec::new();
    for (list, written) in (0..).zip(lists.values()) {
        for entry in written {
            tokenise(entry, &mut tokens);
            words.read(entry, &tokens);
            entries.push((list, words.hashes().to_vec()));
        }
    }
    Gazetteer::new(entries.iter().map(|(list, words)| (*list, words.as_slice())))
}
