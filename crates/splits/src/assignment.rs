//! Units of near duplicates, each given a side.

use crate::by_text::{hash, largest_remainder};
use crate::locked::{LockedSplit, LockedSplitSpec, SplitLock, SplitSide, name};
use botops_datasets::{Dataset, Record, Rejected, part};
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_labels::OOS;
use botops_text::{self as text, NearSpec};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Where a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seat {
    /// Nowhere yet.
    Open,
    /// The lock says so.
    Locked(SplitSide),
    /// It is near to those, or of their group.
    Following(SplitSide),
    /// As a unit of its own.
    New(SplitSide),
    /// On no side: it is near to two.
    LeftOut,
}

impl Seat {
    fn side(self) -> Option<SplitSide> {
        match self {
            Self::Locked(side) | Self::Following(side) | Self::New(side) => Some(side),
            Self::Open | Self::LeftOut => None,
        }
    }
}

/// What is to be split: records by their folded texts.
pub(crate) struct Work<'a> {
    data: &'a Dataset,
    groups: Option<&'a [Option<String>]>,
    /// Of each text (by the first record that has it): its records.
    records_of: Vec<Vec<usize>>,
    texts: Vec<&'a str>,
    names: Vec<String>,
    hashes: Vec<Digest>,
    places: Vec<Seat>,
    /// Of each text, its groups; of each group, its texts.
    groups_of: Vec<Vec<usize>>,
    texts_of: Vec<Vec<usize>>,
    group_names: Vec<String>,
    group_sides: Vec<Option<SplitSide>>,
    /// Texts that are linked, each by its unit.
    unit_of: Vec<usize>,
    /// Why texts were left out: one near record of either side, if it is that.
    reasons: BTreeMap<usize, String>,
}

impl<'a> Work<'a> {
    pub(crate) fn new(
        data: &'a Dataset,
        groups: Option<&'a [Option<String>]>,
        seed: u64,
        lock: &SplitLock,
        near: &NearSpec,
    ) -> Self {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut records_of: Vec<Vec<usize>> = Vec::new();
        let (mut texts, mut names, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        let mut text_of = Vec::with_capacity(data.records.len());
        for (i, record) in data.records.iter().enumerate() {
            let fold = text::fold(&record.text);
            let t = *places.entry(fold).or_insert_with_key(|fold| {
                records_of.push(Vec::new());
                texts.push(record.text.as_str());
                names.push(name("text", fold));
                hashes.push(hash(seed, fold));
                texts.len() - 1
            });
            records_of[t].push(i);
            text_of.push(t);
        }
        let known = SplitLock::by_name(&lock.texts);
        let places = names
            .iter()
            .map(|name| known.get(name.as_str()).map_or(Seat::Open, |side| Seat::Locked(*side)))
            .collect();
        let mut linked = Linked::new(texts.len());
        for (t, first) in text::near_groups(&texts, near).group_of.into_iter().enumerate() {
            linked.unite(t, first as usize);
        }
        let (mut groups_of, mut texts_of, mut group_names) =
            (vec![Vec::new(); texts.len()], Vec::<Vec<usize>>::new(), Vec::new());
        let mut by_value: HashMap<&str, usize> = HashMap::new();
        for (record, group) in groups.into_iter().flatten().enumerate() {
            let Some(value) = group else { continue };
            let g = *by_value.entry(value).or_insert_with(|| {
                texts_of.push(Vec::new());
                group_names.push(name("group", value));
                texts_of.len() - 1
            });
            let t = text_of[record];
            if !groups_of[t].contains(&g) {
                groups_of[t].push(g);
                texts_of[g].push(t);
                linked.unite(t, texts_of[g][0]);
            }
        }
        let known = SplitLock::by_name(&lock.groups);
        let group_sides =
            group_names.iter().map(|name| known.get(name.as_str()).copied()).collect();
        let unit_of = (0..texts.len()).map(|t| linked.root(t)).collect();
        Self {
            data,
            groups,
            records_of,
            texts,
            names,
            hashes,
            places,
            groups_of,
            texts_of,
            group_names,
            group_sides,
            unit_of,
            reasons: BTreeMap::new(),
        }
    }

    /// Gives a side to everything that is linked to what is locked; returns the units that are not, as texts.
    pub(crate) fn follow(&mut self, near: &NearSpec) -> Vec<Vec<usize>> {
        let mut units: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (t, &unit) in self.unit_of.iter().enumerate() {
            units.entry(unit).or_default().push(t);
        }
        let mut open = Vec::new();
        for texts in units.into_values() {
            let mut sides: BTreeSet<SplitSide> =
                texts.iter().filter_map(|&t| self.places[t].side()).collect();
            let groups = texts.iter().flat_map(|&t| &self.groups_of[t]);
            sides.extend(groups.filter_map(|&g| self.group_sides[g]));
            let mut sides = sides.into_iter();
            match (sides.next(), sides.next()) {
                (None, _) => open.push(texts),
                (Some(side), None) => texts.into_iter().for_each(|t| self.settle(t, side)),
                (Some(_), Some(_)) => open.extend(self.part(texts, near)),
            }
        }
        open
    }

    fn settle(&mut self, t: usize, side: SplitSide) {
        if self.places[t] == Seat::Open {
            self.places[t] = Seat::Following(side);
        }
        for &g in &self.groups_of[t] {
            self.group_sides[g].get_or_insert(side);
        }
    }

    /// Parts a unit whose locked texts are on several sides: round by round, what is linked to one side only follows it,
    /// and what is linked to several is left out. Returns what is linked to none any more.
    fn part(&mut self, texts: Vec<usize>, near: &NearSpec) -> Option<Vec<usize>> {
        for &t in &texts {
            if let Seat::Locked(side) = self.places[t] {
                self.settle(t, side);
            }
        }
        let mut open: Vec<usize> =
            texts.iter().copied().filter(|&t| self.places[t] == Seat::Open).collect();
        // In an order that is not that of the file.
        open.sort_unstable_by_key(|&t| self.hashes[t]);
        loop {
            let mut links: HashMap<usize, BTreeMap<SplitSide, String>> = HashMap::new();
            for side in SplitSide::ALL {
                let there: Vec<usize> = texts
                    .iter()
                    .copied()
                    .filter(|&t| self.places[t].side() == Some(side))
                    .collect();
                for (a, b) in self.near(&there, &open, near) {
                    let record = &self.data.records[self.records_of[a][0]];
                    links.entry(b).or_default().entry(side).or_insert_with(|| {
                        format!("near record {} ({})", record.record, side.name())
                    });
                }
            }
            for &t in &open {
                for &g in &self.groups_of[t] {
                    if let Some(side) = self.group_sides[g] {
                        links
                            .entry(t)
                            .or_default()
                            .entry(side)
                            .or_insert_with(|| format!("of a group that is in {}", side.name()));
                    }
                }
            }
            if links.is_empty() {
                break;
            }
            let mut settled: Vec<usize> = Vec::new();
            for t in std::mem::take(&mut open) {
                match links.remove(&t) {
                    None => open.push(t),
                    Some(sides) if sides.len() > 1 => self.leave_out(t, sides),
                    Some(sides) => {
                        let Some((side, why)) = sides.into_iter().next() else { continue };
                        // Of two that follow different sides in one round and are linked, the later is left out.
                        let across: Vec<usize> = settled
                            .iter()
                            .copied()
                            .filter(|&a| self.places[a].side() != Some(side))
                            .collect();
                        let clash = self.near(&across, &[t], near).first().map(|&(a, _)| a);
                        let group = self.groups_of[t]
                            .iter()
                            .find_map(|&g| self.group_sides[g].filter(|&other| other != side));
                        match (clash.and_then(|a| self.places[a].side()), group) {
                            (Some(other), _) | (None, Some(other)) => {
                                let both =
                                    [(side, why), (other, format!("linked to {}", other.name()))];
                                self.leave_out(t, both.into());
                            }
                            (None, None) => {
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

    /// Returns near pairs of a text of `a` and one of `b`.
    fn near(&self, a: &[usize], b: &[usize], near: &NearSpec) -> Vec<(usize, usize)> {
        if a.is_empty() || b.is_empty() {
            return Vec::new();
        }
        let of = |texts: &[usize]| texts.iter().map(|&t| self.texts[t]).collect::<Vec<_>>();
        let pairs = text::near_between(&of(a), &of(b), near).pairs;
        pairs.into_iter().map(|pair| (a[pair.a as usize], b[pair.b as usize])).collect()
    }

    fn leave_out(&mut self, t: usize, sides: BTreeMap<SplitSide, String>) {
        self.places[t] = Seat::LeftOut;
        let why: Vec<String> = sides.into_values().collect();
        self.reasons.insert(t, why.join(" and "));
    }

    pub(crate) fn count(&self, wanted: impl Fn(Seat) -> bool) -> u64 {
        let of = |(place, records): (&Seat, &Vec<usize>)| {
            if wanted(*place) { records.len() as u64 } else { 0 }
        };
        self.places.iter().zip(&self.records_of).map(of).sum()
    }

    /// Says which records were left out, in the order of the file.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self
            .reasons
            .iter()
            .flat_map(|(&t, why)| self.records_of[t].iter().map(move |&i| (i, why)))
            .map(|(i, why)| {
                Finding::new(
                    "BOT-2181",
                    Severity::Warning,
                    format!("the record is {why}, so on either side it would leak into the other: it is left out"),
                    "leave it out for good, or reword it so that it is near to one side only",
                )
                .at(self.data.place(&self.data.records[i]))
            })
            .collect();
        findings.sort_by_key(|finding| finding.place.record);
        findings
    }

    /// Gives a side to each of `units`.
    pub(crate) fn assign(
        &mut self,
        units: Vec<Vec<usize>>,
        spec: &LockedSplitSpec,
        findings: &mut Vec<Finding>,
    ) -> Result<()> {
        type Stratum<'s> = (Option<&'s str>, Option<&'s str>);
        let data = self.data;
        let stratum = |records: &[&'a Record]| -> Stratum<'a> {
            let mut counts: BTreeMap<Stratum<'a>, usize> = BTreeMap::new();
            for record in records {
                *counts.entry((record.intent.as_deref(), record.lang.as_deref())).or_default() += 1;
            }
            // The commonest; of several, the first by name.
            let most = counts.values().max().copied();
            counts.into_iter().find(|(_, n)| Some(*n) == most).map(|(s, _)| s).unwrap_or_default()
        };
        struct Unit {
            hash: Digest,
            texts: Vec<usize>,
            size: usize,
        }
        #[derive(Default)]
        struct Language {
            fixed: BTreeMap<SplitSide, usize>,
            units: Vec<Unit>,
            size: usize,
        }
        let mut strata: BTreeMap<Option<&str>, BTreeMap<Option<&str>, Language>> = BTreeMap::new();
        for (t, place) in self.places.iter().enumerate() {
            let Some(side) = place.side() else { continue };
            for &i in &self.records_of[t] {
                let record = &data.records[i];
                let language = strata
                    .entry(record.intent.as_deref())
                    .or_default()
                    .entry(record.lang.as_deref())
                    .or_default();
                *language.fixed.entry(side).or_default() += 1;
                language.size += 1;
            }
        }
        for texts in units {
            let records: Vec<&Record> = texts
                .iter()
                .flat_map(|&t| &self.records_of[t])
                .map(|&i| &data.records[i])
                .collect();
            let (intent, lang) = stratum(&records);
            let hash = texts.iter().map(|&t| self.hashes[t]).min();
            let hash = hash.expect("a unit has a text");
            let language = strata.entry(intent).or_default().entry(lang).or_default();
            language.size += records.len();
            language.units.push(Unit { hash, texts, size: records.len() });
        }
        let sizes: Vec<usize> =
            strata.values().map(|languages| languages.values().map(|l| l.size).sum()).collect();
        let n: usize = sizes.iter().sum();
        let quotas =
            |share: f64| largest_remainder(&sizes, (n as f64 * share + 0.5).floor() as usize);
        let (test, validation) = (quotas(spec.test_share), quotas(spec.validation_share));
        let sides: Vec<SplitSide> = SplitSide::ALL
            .into_iter()
            .filter(|&side| side != SplitSide::Validation || spec.validation_share > 0.0)
            .collect();
        for (stratum, (intent, languages)) in strata.iter_mut().enumerate() {
            let fixed = |side| -> usize {
                languages.values().filter_map(|language| language.fixed.get(&side)).sum()
            };
            let n_units: usize = languages.values().map(|language| language.units.len()).sum();
            let mut missing: Vec<SplitSide> =
                sides.iter().copied().filter(|&side| fixed(side) == 0).collect();
            let is_named = intent.is_some_and(|intent| intent != OOS);
            if n_units < missing.len() {
                if is_named && missing.len() == sides.len() {
                    return Err(self.too_few(*intent, n_units, sides.len(), spec));
                }
                // Train first: it is the one that nothing can do without.
                for side in missing.drain(n_units..) {
                    if is_named {
                        findings.push(self.empty_side(*intent, side));
                    }
                }
            }
            languages.values_mut().for_each(|language| {
                language.units.sort_unstable_by_key(|unit| unit.hash);
            });
            let counts: Vec<usize> = languages.values().map(|language| language.size).collect();
            for (side, quota) in
                [(SplitSide::Test, test[stratum]), (SplitSide::Validation, validation[stratum])]
            {
                if !sides.contains(&side) {
                    continue;
                }
                let needed =
                    missing.iter().position(|&other| other == side).map(|i| missing.remove(i));
                let mut left: usize = languages.values().map(|l| l.units.len()).sum();
                let by_language = largest_remainder(&counts, quota.min(counts.iter().sum()));
                let mut wanted = 0_i64;
                let mut taken: Vec<Unit> = Vec::new();
                for (language, quota) in languages.values_mut().zip(by_language) {
                    // What one language is over or under, the next makes good.
                    wanted += quota as i64 - language.fixed.get(&side).copied().unwrap_or(0) as i64;
                    let mut rest = Vec::new();
                    for unit in language.units.drain(..) {
                        if left > missing.len() && wanted > 0 && 2 * wanted >= unit.size as i64 {
                            wanted -= unit.size as i64;
                            left -= 1;
                            taken.push(unit);
                        } else {
                            rest.push(unit);
                        }
                    }
                    language.units = rest;
                }
                if needed.is_some() && taken.is_empty() {
                    let smallest = languages
                        .values_mut()
                        .flat_map(|language| {
                            (0..language.units.len())
                                .map(|i| (language.units[i].size, language.units[i].hash))
                                .collect::<Vec<_>>()
                        })
                        .min();
                    for language in languages.values_mut() {
                        let at = language
                            .units
                            .iter()
                            .position(|unit| Some((unit.size, unit.hash)) == smallest);
                        taken.extend(at.map(|at| language.units.remove(at)));
                    }
                }
                for unit in taken {
                    unit.texts.into_iter().for_each(|t| self.places[t] = Seat::New(side));
                }
            }
            for unit in languages.values_mut().flat_map(|language| language.units.drain(..)) {
                unit.texts.into_iter().for_each(|t| self.places[t] = Seat::New(SplitSide::Train));
            }
        }
        Ok(())
    }

    fn too_few(
        &self,
        intent: Option<&str>,
        n_units: usize,
        n_sides: usize,
        spec: &LockedSplitSpec,
    ) -> Fault {
        let shown = text::display(intent.unwrap_or_default(), 60);
        let n =
            self.data.records.iter().filter(|record| record.intent.as_deref() == intent).count();
        let why = match (&spec.group, n) {
            (_, 0 | 1) => "1 record".to_owned(),
            (Some(group), n) => format!(
                "{n} records, which near duplicates and groups of `{}` tie into {n_units}",
                text::display(group, 60)
            ),
            (None, n) => format!("{n} records, which near duplicates tie into {n_units}"),
        };
        Fault::insufficient(
            "BOT-2131",
            format!(
                "the intent `{shown}` has {why}, and a split needs one for each of {n_sides} sides"
            ),
        )
        .at(Place { file: Some(self.data.name.clone()), ..Place::default() })
        .hint("add records of this intent that say it differently, or remove it")
    }

    fn empty_side(&self, intent: Option<&str>, side: SplitSide) -> Finding {
        let shown = text::display(intent.unwrap_or_default(), 60);
        Finding::new(
            "BOT-2183",
            Severity::Warning,
            format!(
                "the intent `{shown}` has no record in {}, and none that could go there",
                side.name()
            ),
            "add records of this intent that say it differently: what is locked does not move",
        )
        .at(Place { file: Some(self.data.name.clone()), ..Place::default() })
    }

    pub(crate) fn finish(
        mut self,
        mut lock: SplitLock,
        findings: Vec<Finding>,
        (records_locked, records_following): (u64, u64),
        spec: &LockedSplitSpec,
    ) -> LockedSplit {
        let records_new = self.count(|place| matches!(place, Seat::New(_)));
        let mut side_of = vec![None; self.data.records.len()];
        for (t, place) in self.places.iter().enumerate() {
            let Some(side) = place.side() else { continue };
            lock.texts.entry(side).or_default().insert(self.names[t].clone());
            for &i in &self.records_of[t] {
                side_of[i] = Some(side);
            }
            for &g in &self.groups_of[t] {
                self.group_sides[g].get_or_insert(side);
            }
        }
        for (g, side) in self.group_sides.iter().enumerate() {
            // Of a group all of which was left out, nothing is known.
            if let Some(side) = side.filter(|_| !self.texts_of[g].is_empty()) {
                lock.groups.entry(side).or_default().insert(self.group_names[g].clone());
            }
        }
        let of = |side| {
            let records = self.data.records.iter().zip(&side_of);
            let records = records.filter(|(_, there)| **there == Some(side));
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
        debug_assert!(self.groups.is_none_or(|groups| groups.len() == self.data.records.len()));
        LockedSplit {
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

/// Texts put together (union-find); a root is the least of its members.
struct Linked(Vec<usize>);

impl Linked {
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
