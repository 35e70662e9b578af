//! Units of linked texts: found, placed beside the locked texts they are linked to, or assigned to a side.

use crate::{
    by_text::hash,
    lock::{LockedSplit, LockedSplitSpec, SplitLock, SplitSide, lock_key, side_by_key},
    strata::{EmptySide, Strata, TooFewUnits, Unit},
};
use botops_datasets::{Dataset, Record, Rejected, part};
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_text::{self as text, NearSpec};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The side of a text, and how it was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Not decided yet.
    Open,
    /// Decided by the lock.
    Locked(SplitSide),
    /// The side of near duplicates, or of its group.
    Following(SplitSide),
    /// Assigned as part of a new unit.
    New(SplitSide),
    /// No side, because it is linked to several.
    LeftOut,
}

impl Placement {
    fn side(self) -> Option<SplitSide> {
        match self {
            Self::Locked(side) | Self::Following(side) | Self::New(side) => Some(side),
            Self::Open | Self::LeftOut => None,
        }
    }
}

/// The folded texts of a data set, with the placement of each.
///
/// Texts and groups are numbered in the order of the first record that has them.
pub(crate) struct Assignment<'a> {
    data: &'a Dataset,
    /// The records of each text.
    records_of: Vec<Vec<usize>>,
    texts: Vec<&'a str>,
    keys: Vec<String>,
    hashes: Vec<Digest>,
    placements: Vec<Placement>,
    /// The groups of each text.
    groups_of: Vec<Vec<usize>>,
    group_keys: Vec<String>,
    group_sides: Vec<Option<SplitSide>>,
    /// The unit of each text: the smallest text that it is linked to.
    unit_of: Vec<usize>,
    /// The reason for each text that was left out.
    reasons: BTreeMap<usize, String>,
}

impl<'a> Assignment<'a> {
    pub(crate) fn new(
        data: &'a Dataset,
        groups: Option<&'a [Option<String>]>,
        seed: u64,
        lock: &SplitLock,
        near: &NearSpec,
    ) -> Self {
        debug_assert!(groups.is_none_or(|groups| groups.len() == data.records.len()));
        let mut by_fold: HashMap<String, usize> = HashMap::new();
        let mut records_of: Vec<Vec<usize>> = Vec::new();
        let (mut texts, mut keys, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        let mut text_of = Vec::with_capacity(data.records.len());
        for (i, record) in data.records.iter().enumerate() {
            let fold = text::fold(&record.text);
            let t = *by_fold.entry(fold).or_insert_with_key(|fold| {
                records_of.push(Vec::new());
                texts.push(record.text.as_str());
                keys.push(lock_key("text", fold));
                hashes.push(hash(seed, fold));
                texts.len() - 1
            });
            records_of[t].push(i);
            text_of.push(t);
        }
        let known = side_by_key(&lock.texts);
        let placement = |key: &String| {
            known.get(key.as_str()).map_or(Placement::Open, |side| Placement::Locked(*side))
        };
        let placements = keys.iter().map(placement).collect();
        let mut linked = UnionFind::new(texts.len());
        for (t, first) in text::near_groups(&texts, near).group_of.into_iter().enumerate() {
            linked.unite(t, first as usize);
        }
        let mut groups_of = vec![Vec::new(); texts.len()];
        let (mut group_keys, mut first_text_of) = (Vec::new(), Vec::new());
        let mut by_value: HashMap<&str, usize> = HashMap::new();
        for (record, group) in groups.into_iter().flatten().enumerate() {
            let Some(value) = group else { continue };
            let t = text_of[record];
            let g = *by_value.entry(value).or_insert_with(|| {
                first_text_of.push(t);
                group_keys.push(lock_key("group", value));
                group_keys.len() - 1
            });
            if !groups_of[t].contains(&g) {
                groups_of[t].push(g);
                linked.unite(t, first_text_of[g]);
            }
        }
        let known = side_by_key(&lock.groups);
        let group_sides = group_keys.iter().map(|key| known.get(key.as_str()).copied()).collect();
        let unit_of = (0..texts.len()).map(|t| linked.root(t)).collect();
        Self {
            data,
            records_of,
            texts,
            keys,
            hashes,
            placements,
            groups_of,
            group_keys,
            group_sides,
            unit_of,
            reasons: BTreeMap::new(),
        }
    }

    /// Places every text that is linked to a locked text or group; returns the texts of each unit without such a link.
    pub(crate) fn place_linked(&mut self, near: &NearSpec) -> Vec<Vec<usize>> {
        let mut units: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (t, &unit) in self.unit_of.iter().enumerate() {
            units.entry(unit).or_default().push(t);
        }
        let mut open = Vec::new();
        for texts in units.into_values() {
            let mut sides: BTreeSet<SplitSide> =
                texts.iter().filter_map(|&t| self.placements[t].side()).collect();
            let groups = texts.iter().flat_map(|&t| &self.groups_of[t]);
            sides.extend(groups.filter_map(|&g| self.group_sides[g]));
            let mut sides = sides.into_iter();
            match (sides.next(), sides.next()) {
                (None, _) => open.push(texts),
                (Some(side), None) => texts.into_iter().for_each(|t| self.settle(t, side)),
                (Some(_), Some(_)) => open.extend(self.divide(texts, near)),
            }
        }
        open
    }

    /// Places a text on `side` unless it is placed already, and its groups likewise.
    fn settle(&mut self, t: usize, side: SplitSide) {
        if self.placements[t] == Placement::Open {
            self.placements[t] = Placement::Following(side);
        }
        for &g in &self.groups_of[t] {
            self.group_sides[g].get_or_insert(side);
        }
    }

    /// Divides a unit whose locked texts and groups are on several sides. Returns the texts that are linked to no side.
    ///
    /// In each round, a text that is linked to one side follows it, and a text that is linked to several is left out.
    fn divide(&mut self, texts: Vec<usize>, near: &NearSpec) -> Option<Vec<usize>> {
        for &t in &texts {
            if let Placement::Locked(side) = self.placements[t] {
                self.settle(t, side);
            }
        }
        let mut open: Vec<usize> =
            texts.iter().copied().filter(|&t| self.placements[t] == Placement::Open).collect();
        // Hash order, so that the result does not depend on the order of the file.
        open.sort_unstable_by_key(|&t| self.hashes[t]);
        loop {
            let mut links = self.links(&texts, &open, near);
            if links.is_empty() {
                break;
            }
            let mut settled: Vec<usize> = Vec::new();
            for t in std::mem::take(&mut open) {
                match links.remove(&t) {
                    None => open.push(t),
                    Some(sides) if sides.len() > 1 => self.leave_out(t, sides),
                    Some(sides) => {
                        let Some((side, reason)) = sides.into_iter().next() else { continue };
                        // When two linked texts follow different sides in one round, the later one is left out.
                        match self.conflicting_side(t, side, &settled, near) {
                            Some(other) => {
                                let both = [
                                    (side, reason),
                                    (other, format!("linked to {}", other.name())),
                                ];
                                self.leave_out(t, both.into());
                            }
                            None => {
                                self.settle(t, side);
                                settled.push(t);
                            }
                        }
                    }
                }
            }
        }
        (!open.is_empty()).then_some(open)
    }

    /// Returns the sides that each of the `open` texts is linked to, with a reason for each link.
    fn links(
        &self,
        unit: &[usize],
        open: &[usize],
        near: &NearSpec,
    ) -> HashMap<usize, BTreeMap<SplitSide, String>> {
        let mut links: HashMap<usize, BTreeMap<SplitSide, String>> = HashMap::new();
        for side in SplitSide::ALL {
            let placed: Vec<usize> =
                unit.iter().copied().filter(|&t| self.placements[t].side() == Some(side)).collect();
            for (a, b) in self.near(&placed, open, near) {
                let record = &self.data.records[self.records_of[a][0]];
                links
                    .entry(b)
                    .or_default()
                    .entry(side)
                    .or_insert_with(|| format!("near record {} ({})", record.record, side.name()));
            }
        }
        for &t in open {
            for &g in &self.groups_of[t] {
                if let Some(side) = self.group_sides[g] {
                    links
                        .entry(t)
                        .or_default()
                        .entry(side)
                        .or_insert_with(|| format!("in a group that is in {}", side.name()));
                }
            }
        }
        links
    }

    /// Returns another side than `side` that the text `t` is linked to through a `settled` text or a group.
    fn conflicting_side(
        &self,
        t: usize,
        side: SplitSide,
        settled: &[usize],
        near: &NearSpec,
    ) -> Option<SplitSide> {
        let across: Vec<usize> =
            settled.iter().copied().filter(|&a| self.placements[a].side() != Some(side)).collect();
        let by_text = self.near(&across, &[t], near).first().map(|&(a, _)| a);
        by_text.and_then(|a| self.placements[a].side()).or_else(|| {
            let groups = self.groups_of[t].iter();
            groups.filter_map(|&g| self.group_sides[g]).find(|&other| other != side)
        })
    }

    /// Returns the near pairs of a text in `a` and a text in `b`.
    fn near(&self, a: &[usize], b: &[usize], near: &NearSpec) -> Vec<(usize, usize)> {
        if a.is_empty() || b.is_empty() {
            return Vec::new();
        }
        let of = |texts: &[usize]| texts.iter().map(|&t| self.texts[t]).collect::<Vec<_>>();
        let pairs = text::near_between(&of(a), &of(b), near).pairs;
        pairs.into_iter().map(|pair| (a[pair.a as usize], b[pair.b as usize])).collect()
    }

    fn leave_out(&mut self, t: usize, sides: BTreeMap<SplitSide, String>) {
        self.placements[t] = Placement::LeftOut;
        let reasons: Vec<String> = sides.into_values().collect();
        self.reasons.insert(t, reasons.join(" and "));
    }

    /// Returns the number of records whose placement satisfies `predicate`.
    pub(crate) fn count(&self, predicate: impl Fn(Placement) -> bool) -> u64 {
        let placed = self.placements.iter().zip(&self.records_of);
        placed.filter(|(placement, _)| predicate(**placement)).map(|(_, r)| r.len() as u64).sum()
    }

    /// Returns a finding for each record that was left out, in the order of the file.
    pub(crate) fn left_out_findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self
            .reasons
            .iter()
            .flat_map(|(&t, reason)| self.records_of[t].iter().map(move |&i| (i, reason)))
            .map(|(i, reason)| {
                Finding::new(
                    "BOT-2181",
                    Severity::Warning,
                    format!("the record is {reason}: it is left out, because on one side it would leak into the other"),
                    "leave it out, or reword it so that it is near records of one side only",
                )
                .at(self.data.place(&self.data.records[i]))
            })
            .collect();
        findings.sort_by_key(|finding| finding.place.record);
        findings
    }

    /// Assigns each of `units` to a side; returns a finding for each intent that has no record on a side.
    ///
    /// # Errors
    /// `BOT-2131` (exit 4) an intent has too few units for all sides.
    pub(crate) fn assign(
        &mut self,
        units: Vec<Vec<usize>>,
        spec: &LockedSplitSpec,
    ) -> Result<Vec<Finding>> {
        let mut strata = Strata::default();
        for (t, placement) in self.placements.iter().enumerate() {
            let Some(side) = placement.side() else { continue };
            for &i in &self.records_of[t] {
                strata.add_fixed(&self.data.records[i], side);
            }
        }
        for texts in units {
            let records: Vec<&Record> = texts
                .iter()
                .flat_map(|&t| &self.records_of[t])
                .map(|&i| &self.data.records[i])
                .collect();
            let hash = texts.iter().map(|&t| self.hashes[t]).min();
            let hash = hash.expect("a unit has a text");
            strata.add_unit(Unit { hash, texts }, &records);
        }
        let filled = strata.fill(spec).map_err(|error| self.too_few(&error, spec))?;
        for (side, texts) in filled.units {
            texts.into_iter().for_each(|t| self.placements[t] = Placement::New(side));
        }
        Ok(filled.empty_sides.into_iter().map(|empty| self.empty_side(&empty, spec)).collect())
    }

    fn too_few(&self, error: &TooFewUnits<'_>, spec: &LockedSplitSpec) -> Fault {
        let TooFewUnits { intent, n_units, n_sides } = *error;
        let shown = text::display(intent, 60);
        let n = self
            .data
            .records
            .iter()
            .filter(|record| record.intent.as_deref() == Some(intent))
            .count();
        let units = || text::counted(n_units as u64, "unit", "units");
        let count = match (&spec.group, n) {
            (_, 0 | 1) => "1 record".to_owned(),
            (Some(group), n) => format!(
                "{n} records, which near duplicates and groups of `{}` link into {}",
                text::display(group, 60),
                units()
            ),
            (None, n) => format!("{n} records, which near duplicates link into {}", units()),
        };
        Fault::insufficient(
            "BOT-2131",
            format!(
                "the intent `{shown}` has {count}; a split into {n_sides} sides needs at least {n_sides}"
            ),
        )
        .at(Place { file: Some(self.data.name.clone()), ..Place::default() })
        .hint("add records of this intent with other wording, or remove the intent")
    }

    fn empty_side(&self, empty: &EmptySide<'_>, spec: &LockedSplitSpec) -> Finding {
        let shown = text::display(empty.intent, 60);
        let side = empty.side.name();
        let (cause, help) = match (empty.n_units, &spec.group) {
            (0, _) => (
                "no unlocked record could go there".to_owned(),
                "add records of this intent with other wording: locked records do not move",
            ),
            (n, Some(group)) => (
                format!(
                    "near duplicates and groups of `{}` link its records into {}",
                    text::display(group, 60),
                    text::counted(n as u64, "unit", "units")
                ),
                "add records of this intent in other groups, or split without this group",
            ),
            (n, None) => (
                format!(
                    "near duplicates link its records into {}",
                    text::counted(n as u64, "unit", "units")
                ),
                "add records of this intent with other wording",
            ),
        };
        Finding::new(
            "BOT-2183",
            Severity::Warning,
            format!("the intent `{shown}` has no record in {side}, and {cause}"),
            help,
        )
        .at(Place { file: Some(self.data.name.clone()), ..Place::default() })
    }

    /// Returns the data sets of all sides, and `lock` with the new texts and groups.
    pub(crate) fn finish(
        mut self,
        mut lock: SplitLock,
        findings: Vec<Finding>,
        (records_locked, records_following): (u64, u64),
        spec: &LockedSplitSpec,
    ) -> LockedSplit {
        let records_new = self.count(|placement| matches!(placement, Placement::New(_)));
        let mut side_of = vec![None; self.data.records.len()];
        for (t, placement) in self.placements.iter().enumerate() {
            let Some(side) = placement.side() else { continue };
            lock.texts.entry(side).or_default().insert(self.keys[t].clone());
            for &i in &self.records_of[t] {
                side_of[i] = Some(side);
            }
            for &g in &self.groups_of[t] {
                self.group_sides[g].get_or_insert(side);
            }
        }
        for (g, side) in self.group_sides.iter().enumerate() {
            // A group whose records were all left out has no side.
            if let Some(side) = side {
                lock.groups.entry(*side).or_default().insert(self.group_keys[g].clone());
            }
        }
        let of = |side| {
            let records = self.data.records.iter().zip(&side_of);
            let records = records.filter(|(_, own)| **own == Some(side));
            part(self.data, records.map(|(record, _)| record.clone()).collect())
        };
        let left_out = self
            .data
            .records
            .iter()
            .zip(&side_of)
            .filter(|(_, side)| side.is_none())
            .map(|(record, _)| Rejected {
                record: record.clone(),
                reasons: findings
                    .iter()
                    .filter(|finding| finding.place == self.data.place(record))
                    .cloned()
                    .collect(),
            })
            .collect();
        LockedSplit {
            sides: side_of.clone(),
            train: of(SplitSide::Train),
            validation: (spec.validation_share > 0.0).then(|| of(SplitSide::Validation)),
            test: of(SplitSide::Test),
            left_out,
            findings,
            lock,
            records_locked,
            records_following,
            records_new,
        }
    }
}

/// Sets of linked texts (union-find); the root of a set is its smallest member.
struct UnionFind(Vec<usize>);

impl UnionFind {
    fn new(n: usize) -> Self {
        Self((0..n).collect())
    }

    fn root(&mut self, mut t: usize) -> usize {
        while self.0[t] != t {
            self.0[t] = self.0[self.0[t]];
            t = self.0[t];
        }
        t
    }

    fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}
