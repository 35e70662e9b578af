//! Duplicates and near duplicates, within a file and across files.

use botops_datasets::{Dataset, Record};
use botops_findings::{Finding, Place, Severity};
use botops_text::{self as text, NearPair, NearSpec, near_groups, near_pairs};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The degree to which records are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Likeness {
    /// Their texts are equal.
    Same,
    /// Their texts are equal except for case, spaces and apostrophes.
    Folded,
    /// Their texts share most of their shingles.
    Near,
}

/// One record of a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DuplicateMember {
    /// Its file.
    pub file: String,
    /// The record, from 1.
    pub record: u64,
    /// The line on which it starts.
    pub line: u64,
    /// Its intent, if it has one.
    pub intent: Option<String>,
    /// Its text.
    pub text: String,
    /// The index of the nearest member in the group; `None` if the group is too large to compare all members.
    pub nearest: Option<usize>,
    /// The Jaccard index of the shingles of both, in [threshold, 1].
    pub jaccard: Option<f64>,
}

/// A group of duplicates: each record is near another one of the group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DuplicateGroup {
    /// The lowest likeness of its members.
    pub likeness: Likeness,
    /// The intents of the members, sorted.
    pub intents: Vec<String>,
    /// The files of the members, in the given order.
    pub files: Vec<String>,
    /// Whether one text (except for case and spaces) has two intents.
    pub conflict: bool,
    /// The members, in the order of the files and records.
    pub members: Vec<DuplicateMember>,
}

/// The duplicates of some files.
#[derive(Debug, Clone, Serialize)]
pub struct Duplicates {
    /// Records compared.
    pub records: u64,
    /// Records with an empty text, which are not compared.
    pub empty: u64,
    /// The lowest Jaccard index of near records.
    pub threshold: f64,
    /// Records that could be removed: all but one of each group.
    pub redundant: u64,
    /// Groups whose texts are all equal (except for case and spaces).
    pub exact_groups: u64,
    /// Groups with near texts.
    pub near_groups: u64,
    /// Groups in which one text has two intents.
    pub conflicts: u64,
    /// Groups with several intents, including conflicts.
    pub across_intents: u64,
    /// Groups with records of several files.
    pub across_files: u64,
    /// Texts that were not compared with every candidate; usually 0.
    pub truncated: u64,
    /// The groups: conflicts first, then groups across intents, then across files; larger ones first.
    pub groups: Vec<DuplicateGroup>,
    /// All findings, in the order of the files and records.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// A record of one of the files.
struct Entry<'a> {
    file: usize,
    record: &'a Record,
    place: Place,
    fold: String,
}

/// Finds duplicates and near duplicates in `data`, within and across files and intents.
///
/// Texts are compared by the exact join of [`text::near_pairs`], which finds every near pair unless `truncated` is above 0.
/// Texts in the groups are not redacted. Findings:
///
/// - `BOT-2120`, `BOT-2121`: every duplicate after the first, with the same intent and file
/// - `BOT-2122`: every record of a text with two intents
/// - `BOT-2124`, `BOT-2125`: a record whose text is also in a later file
/// - `BOT-2192`, `BOT-2193`, `BOT-2194`: a record that is near another one, but not equal, within an intent, across
///   intents, and across files
#[must_use]
pub fn duplicates(data: &[Dataset], spec: &NearSpec) -> Duplicates {
    let entries: Vec<Entry<'_>> = data
        .iter()
        .enumerate()
        .flat_map(|(file, data)| {
            data.records.iter().map(move |record| Entry {
                file,
                record,
                place: data.place(record),
                fold: text::fold(&record.text),
            })
        })
        .collect();
    let kept: Vec<&Entry<'_>> = entries.iter().filter(|entry| !entry.fold.is_empty()).collect();
    let texts: Vec<&str> = kept.iter().map(|entry| entry.record.text.as_str()).collect();
    let grouped = near_groups(&texts, spec);
    let pairs = near_pairs(&texts, spec);
    let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (i, &group) in grouped.group_of.iter().enumerate() {
        members.entry(group).or_default().push(i);
    }
    members.retain(|_, members| members.len() > 1);
    let mut best: HashMap<usize, (f32, usize)> = HashMap::new();
    for pair in &pairs.pairs {
        for (i, other) in [(pair.a, pair.b), (pair.b, pair.a)] {
            let (i, other) = (i as usize, other as usize);
            let is_better = best.get(&i).is_none_or(|&(jaccard, _)| pair.jaccard > jaccard);
            if is_better {
                best.insert(i, (pair.jaccard, other));
            }
        }
    }
    let mut found: Vec<(usize, Finding)> = Vec::new();
    let mut groups: Vec<DuplicateGroup> = Vec::with_capacity(members.len());
    for members in members.values() {
        find_equal(&kept, members, &mut found);
        groups.push(group(&kept, members, &best, data));
    }
    find_near(&kept, &pairs.pairs, &mut found);
    found.sort_by(|(a, x), (b, y)| (a, &x.code).cmp(&(b, &y.code)));
    let rank =
        |group: &DuplicateGroup| (!group.conflict, group.intents.len() < 2, group.files.len() < 2);
    // Stable, so that groups of one size stay in the order of their first records.
    groups.sort_by(|a, b| rank(a).cmp(&rank(b)).then(b.members.len().cmp(&a.members.len())));
    let count = |predicate: &dyn Fn(&DuplicateGroup) -> bool| {
        groups.iter().filter(|group| predicate(group)).count() as u64
    };
    Duplicates {
        records: entries.len() as u64,
        empty: (entries.len() - kept.len()) as u64,
        threshold: spec.threshold(),
        redundant: groups.iter().map(|group| group.members.len() as u64 - 1).sum(),
        exact_groups: count(&|group| group.likeness < Likeness::Near),
        near_groups: count(&|group| group.likeness == Likeness::Near),
        conflicts: count(&|group| group.conflict),
        across_intents: count(&|group| group.intents.len() > 1),
        across_files: count(&|group| group.files.len() > 1),
        truncated: grouped.truncated.max(pairs.truncated) as u64,
        groups,
        findings: found.into_iter().map(|(_, finding)| finding).collect(),
    }
}

/// Makes the group of `members`.
fn group(
    entries: &[&Entry<'_>],
    members: &[usize],
    best: &HashMap<usize, (f32, usize)>,
    data: &[Dataset],
) -> DuplicateGroup {
    let of = |i: usize| entries[i];
    let first = of(members[0]);
    let likeness = if members.iter().any(|&i| of(i).fold != first.fold) {
        Likeness::Near
    } else if members.iter().any(|&i| of(i).record.text != first.record.text) {
        Likeness::Folded
    } else {
        Likeness::Same
    };
    let intents: BTreeSet<&str> =
        members.iter().filter_map(|&i| of(i).record.intent.as_deref()).collect();
    let mut intents_of_fold: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for &i in members {
        if let Some(intent) = of(i).record.intent.as_deref() {
            intents_of_fold.entry(&of(i).fold).or_default().insert(intent);
        }
    }
    let files: BTreeSet<usize> = members.iter().map(|&i| of(i).file).collect();
    DuplicateGroup {
        likeness,
        intents: intents.into_iter().map(str::to_owned).collect(),
        files: files.into_iter().map(|file| data[file].name.clone()).collect(),
        conflict: intents_of_fold.values().any(|intents| intents.len() > 1),
        members: members
            .iter()
            .map(|&i| {
                let nearest = best.get(&i).and_then(|&(jaccard, other)| {
                    Some((members.binary_search(&other).ok()?, f64::from(jaccard)))
                });
                let Entry { record, place, .. } = of(i);
                DuplicateMember {
                    file: place.file.clone().unwrap_or_default(),
                    record: record.record,
                    line: record.line,
                    intent: record.intent.clone(),
                    text: record.text.clone(),
                    nearest: nearest.map(|(nearest, _)| nearest),
                    jaccard: nearest.map(|(_, jaccard)| jaccard),
                }
            })
            .collect(),
    }
}

/// Reports the `members` of one group whose texts are equal except for case and spaces.
fn find_equal(entries: &[&Entry<'_>], members: &[usize], found: &mut Vec<(usize, Finding)>) {
    let mut folds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for &i in members {
        folds.entry(&entries[i].fold).or_default().push(i);
    }
    for equal in folds.into_values().filter(|equal| equal.len() > 1) {
        let mut first_same: HashMap<(usize, &str, Option<&str>), usize> = HashMap::new();
        let mut first_folded: BTreeMap<(usize, Option<&str>), usize> = BTreeMap::new();
        // The first record, and the first one with another intent; findings of the others refer to them.
        let mut conflict: Vec<(&str, usize)> = Vec::new();
        for &i in &equal {
            let Entry { file, record, .. } = entries[i];
            let intent = record.intent.as_deref();
            let same = *first_same.entry((*file, &record.text, intent)).or_insert(i);
            let folded = *first_folded.entry((*file, intent)).or_insert(i);
            if let Some(intent) = intent
                && conflict.len() < 2
                && conflict.iter().all(|(other, _)| *other != intent)
            {
                conflict.push((intent, i));
            }
            let (code, other, except) = match () {
                () if same < i => ("BOT-2120", same, ""),
                () if folded < i => ("BOT-2121", folded, ", except for case and spaces"),
                () => continue,
            };
            let message = format!(
                "the text `{}` is the same as that of {}{except}",
                excerpt(&record.text),
                position(entries[i], entries[other])
            );
            found.push((i, warning(entries[i], code, message, "keep one of them")));
        }
        if let [first, second] = conflict[..] {
            for &i in &equal {
                let Some(intent) = entries[i].record.intent.as_deref() else { continue };
                let (other_intent, other) = if first.0 == intent { second } else { first };
                let message = format!(
                    "the text `{}` has the intent `{}` here and `{}` in {}",
                    excerpt(&entries[i].record.text),
                    excerpt(intent),
                    excerpt(other_intent),
                    position(entries[i], entries[other])
                );
                let help = "choose one intent: a model cannot learn both";
                found.push((i, warning(entries[i], "BOT-2122", message, help)));
            }
        }
        find_leaks(entries, &equal, found);
    }
}

/// Reports the records of `equal`, whose texts are equal except for case and spaces, that a later file has too.
fn find_leaks(entries: &[&Entry<'_>], equal: &[usize], found: &mut Vec<(usize, Finding)>) {
    let mut alike: HashMap<&str, Vec<usize>> = HashMap::new();
    for &i in equal {
        alike.entry(&entries[i].record.text).or_default().push(i);
    }
    // Entries are in the order of the files.
    let later = |of: &[usize], file: usize| {
        of.get(of.partition_point(|&other| entries[other].file <= file)).copied()
    };
    for &i in equal {
        let Entry { file, record, .. } = entries[i];
        let same = later(&alike[record.text.as_str()], *file);
        let (code, other, except) = match (same, later(equal, *file)) {
            (Some(other), _) => ("BOT-2124", other, ""),
            (None, Some(other)) => ("BOT-2125", other, ", except for case and spaces"),
            (None, None) => continue,
        };
        let message = format!(
            "the text `{}` is also {}{except}",
            excerpt(&record.text),
            position(entries[i], entries[other])
        );
        found.push((i, warning(entries[i], code, message, LEAK)));
    }
}

const LEAK: &str = "if one file is for training and the other for testing, remove it from one: a test needs records that the model was not trained on";

/// Reports the records that are near another one, but not equal to it, with the nearest one of each kind.
///
/// The first of several texts that are equal except for case and spaces stands for all.
fn find_near(entries: &[&Entry<'_>], pairs: &[NearPair], found: &mut Vec<(usize, Finding)>) {
    let mut nearest: BTreeMap<(usize, &'static str), (f32, usize)> = BTreeMap::new();
    for pair in pairs {
        let (a, b) = (pair.a as usize, pair.b as usize);
        let (one, other) = (entries[a], entries[b]);
        if one.fold == other.fold {
            continue;
        }
        let code = if one.file != other.file {
            "BOT-2194"
        } else if one.record.intent != other.record.intent {
            "BOT-2193"
        } else {
            "BOT-2192"
        };
        for (i, other) in [(a, b), (b, a)] {
            let best = nearest.entry((i, code)).or_insert((pair.jaccard, other));
            if pair.jaccard > best.0 {
                *best = (pair.jaccard, other);
            }
        }
    }
    for ((i, code), (jaccard, other)) in nearest {
        let (one, other) = (entries[i], entries[other]);
        let help = match code {
            "BOT-2194" => LEAK,
            "BOT-2193" => "if they mean the same, choose one intent; otherwise keep both",
            _ => "keep them on one side of a split",
        };
        let note = match (&one.record.intent, &other.record.intent) {
            (Some(here), Some(there)) if here != there => {
                format!(", which has the intent `{}` and not `{}`", excerpt(there), excerpt(here))
            }
            _ => String::new(),
        };
        let message = format!(
            "the text `{}` is near `{}` (Jaccard {jaccard:.2}), {}{note}",
            excerpt(&one.record.text),
            excerpt(&other.record.text),
            position(one, other)
        );
        let severity = if code == "BOT-2192" { Severity::Info } else { Severity::Warning };
        found.push((i, Finding::new(code, severity, message, help).at(one.place.clone())));
    }
}

fn warning(entry: &Entry<'_>, code: &'static str, message: String, help: &str) -> Finding {
    Finding::new(code, Severity::Warning, message, help).at(entry.place.clone())
}

/// Returns the position of `other`, with its file if it differs from the file of `one`.
fn position(one: &Entry<'_>, other: &Entry<'_>) -> String {
    let Record { record, line, .. } = other.record;
    match &other.place.file {
        Some(file) if other.place.file != one.place.file => {
            format!("record {record} (line {line}) of `{}`", text::display(file, 60))
        }
        _ => format!("record {record} (line {line})"),
    }
}

/// Returns the first 60 characters of a text, without personal data.
fn excerpt(text: &str) -> String {
    text::utterance(text, 60)
}
