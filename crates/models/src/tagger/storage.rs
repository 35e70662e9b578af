//! The parts of a tagger in a model file.

use super::{
    gazetteer::Gazetteer,
    labels::{MOST_TAGS, Tag},
    learned::{TaggedKind, Tagger},
    weights::Weights,
};
use crate::heads::head::{Tensor, malformed};
use botops_findings::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The names of the parts: names as JSON, weights as safetensors.
pub(crate) const TAGGER_PARTS: [&str; 2] = ["tagger.json", "tagger"];

/// The names of a tagger, as stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    tags: Vec<Tag>,
    kinds: Vec<TaggedKind>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lists: Vec<String>,
    /// The most tokens of an entry of a list.
    #[serde(default, skip_serializing_if = "is_zero")]
    longest_entry: usize,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    synonyms: BTreeMap<String, BTreeMap<String, String>>,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// Returns the two parts: JSON, and tensors.
pub(crate) fn write(tagger: &Tagger) -> (Vec<u8>, Vec<Tensor>) {
    let Tagger { tags, kinds, bias, first, transitions, weights, lists, gazetteer, synonyms } =
        tagger;
    let names = Names {
        tags: tags.clone(),
        kinds: kinds.clone(),
        lists: lists.clone(),
        longest_entry: gazetteer.longest(),
        synonyms: synonyms.clone(),
    };
    let (keys, ends, codes, values) = weights.parts();
    let n_labels = tagger.n_labels();
    let halves = |key: u64| [key as u32, (key >> 32) as u32];
    let entries: (Vec<u64>, Vec<u32>) =
        gazetteer.hashes().map(|(hash, list)| (hash, u32::from(list))).unzip();
    let mut tensors = vec![
        Tensor::of_floats("bias", vec![n_labels], bias.clone()),
        Tensor::of_floats("first", vec![n_labels], first.clone()),
        Tensor::of_floats("transitions", vec![n_labels, n_labels], transitions.clone()),
        Tensor::of_integers("keys", keys.iter().flat_map(|key| halves(*key)).collect()),
        Tensor::of_integers("ends", ends.to_vec()),
        Tensor::of_integers("codes", packed(codes)),
        Tensor::of_floats("weights", vec![values.len()], values.to_vec()),
    ];
    if !lists.is_empty() {
        let hashes = entries.0.iter().flat_map(|hash| halves(*hash)).collect();
        tensors.push(Tensor::of_integers("entries", hashes));
        tensors.push(Tensor::of_integers("entry_lists", entries.1));
    }
    (botops_digest::canonical_json(&names), tensors)
}

/// Reads a tagger of its two parts; every length is checked before it is used.
///
/// # Errors
/// `BOT-7003` (exit 3).
pub(crate) fn read(names: &[u8], tensors: &[u8]) -> Result<Tagger> {
    let invalid = |problem: &str| malformed(&format!("has a tagger {problem}"));
    let names: Names = serde_json::from_slice(names)
        .map_err(|error| invalid("with malformed names").caused_by(error))?;
    let Names { tags, kinds, lists, longest_entry, synonyms } = names;
    if tags.is_empty() || tags.len() > MOST_TAGS || !tags.is_sorted_by(|a, b| a < b) {
        return Err(invalid("with no tags, too many, or tags out of order"));
    }
    let is_kind = |tag: &Tag| kinds.iter().any(|kind| kind.entity == tag.entity);
    if !kinds.is_sorted_by(|a, b| a.entity < b.entity) || !tags.iter().all(is_kind) {
        return Err(invalid("with kinds out of order or missing"));
    }
    let n_labels = super::labels::n_labels(tags.len());
    let tensors = Tensor::from_bytes(tensors)?;
    let floats = |name: &str, shape: &[usize]| -> Result<Vec<f32>> {
        let floats = Tensor::floats(&tensors, name, shape)?;
        match floats.iter().all(|value| value.is_finite()) {
            true => Ok(floats.to_vec()),
            false => Err(invalid("with weights that are not finite")),
        }
    };
    let codes = Tensor::integers(&tensors, "codes")?;
    let ends = Tensor::integers(&tensors, "ends")?.to_vec();
    let n_weights = ends.last().copied().unwrap_or(0) as usize;
    let codes =
        unpacked(codes, n_weights).ok_or_else(|| invalid("with too few or too many codes"))?;
    let weights = floats("weights", &[n_weights])?;
    let keys =
        wide(Tensor::integers(&tensors, "keys")?).ok_or_else(|| invalid("with half a key"))?;
    let weights = Weights::new(keys, ends, codes, weights, n_labels)
        .ok_or_else(|| invalid("with weights that do not belong together"))?;
    let gazetteer = match lists.as_slice() {
        [] => Gazetteer::default(),
        lists => {
            let hashes = wide(Tensor::integers(&tensors, "entries")?);
            let places = Tensor::integers(&tensors, "entry_lists")?;
            let is_valid = |hashes: &Vec<u64>| {
                hashes.len() == places.len()
                    && places.iter().all(|list| (*list as usize) < lists.len())
                    && lists.len() <= usize::from(u16::MAX)
            };
            let hashes = hashes
                .filter(is_valid)
                .ok_or_else(|| invalid("with lookup lists that do not belong together"))?;
            let places = places.iter().map(|list| *list as u16);
            Gazetteer::of_hashes(hashes.into_iter().zip(places), longest_entry)
        }
    };
    Ok(Tagger {
        bias: floats("bias", &[n_labels])?,
        first: floats("first", &[n_labels])?,
        transitions: floats("transitions", &[n_labels, n_labels])?,
        tags,
        kinds,
        weights,
        lists,
        gazetteer,
        synonyms,
    })
}

/// Packs two codes into one integer, the first into the lower half.
fn packed(codes: &[u16]) -> Vec<u32> {
    let pair = |pair: &[u16]| {
        let second = pair.get(1).copied().unwrap_or(0);
        u32::from(pair[0]) | u32::from(second) << 16
    };
    codes.chunks(2).map(pair).collect()
}

/// Returns the `n` codes of `packed`; `None` if their number is another.
fn unpacked(packed: &[u32], n: usize) -> Option<Vec<u16>> {
    if packed.len() != n.div_ceil(2) {
        return None;
    }
    let codes = packed.iter().flat_map(|pair| [*pair as u16, (*pair >> 16) as u16]);
    Some(codes.take(n).collect())
}

/// Joins the halves of 64-bit integers, the lower first; `None` if one has no other half.
fn wide(halves: &[u32]) -> Option<Vec<u64>> {
    let joined = halves.chunks_exact(2).map(|pair| u64::from(pair[0]) | u64::from(pair[1]) << 32);
    halves.len().is_multiple_of(2).then(|| joined.collect())
}
