//! A split that does not leak and does not move: near duplicates stay together, and a lock remembers who is where.
//!
//! The lock holds the digests of the folded texts (and of the values of the group column) of each side,
//! no text. What it names stays where it is; a new record goes
//! - where the records are that it is near to, or shares a group with
//! - nowhere, when those are on several sides: it is left out and reported, for on either side it would leak
//! - else with all that it is near to, as one unit, to the side that its intent and language lack most

use super::{
    Dataset, Record, Rejected,
    split::{hash, largest_remainder, part},
    write,
};
use crate::{
    digest::{Digest, Hasher},
    findings::{Fault, Finding, Place, Result, Severity},
    labels::OOS,
    text::{self, NearSpec},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    io::ErrorKind,
    path::Path,
};

const SCHEMA: &str = "botops.split/1";

/// A side of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitSide {
    /// Learned from.
    Train,
    /// Chosen by.
    Validation,
    /// Judged on.
    Test,
}

impl SplitSide {
    /// All sides.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// How to split for good.
///
/// - `test_share` is in (0, 1), `validation_share` in [0, 1), their sum below 1
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedSplitSpec {
    /// The share of each intent that goes to test.
    pub test_share: f64,
    /// The share of each intent that goes to validation; 0: there is no such side.
    pub validation_share: f64,
    /// Changes which records those are.
    pub seed: u64,
    /// The column whose values stay on one side each, such as a conversation or a customer.
    pub group: Option<String>,
}

/// Who is on which side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitLock {
    schema: String,
    spec: LockedSplitSpec,
    /// When two texts count as near: the least Jaccard index, and characters of a shingle.
    near: (f64, usize),
    /// The digests (first 32 digits) of folded texts, by side.
    texts: BTreeMap<SplitSide, BTreeSet<String>>,
    /// Those of the values of the group column.
    groups: BTreeMap<SplitSide, BTreeSet<String>>,
}

/// A split, and what it came to.
#[derive(Debug, Clone)]
pub struct LockedSplit {
    /// Learned from.
    pub train: Dataset,
    /// Chosen by, where that was asked for.
    pub validation: Option<Dataset>,
    /// Judged on.
    pub test: Dataset,
    /// Records on no side, with the reason.
    pub left_out: Vec<Rejected>,
    /// What to look at, the reasons of those among it.
    pub findings: Vec<Finding>,
    /// The lock afterwards: what it held, and what is new.
    pub lock: SplitLock,
    /// Records whose side the lock told.
    pub records_locked: u64,
    /// Records that followed others.
    pub records_following: u64,
    /// Records that were given a side as units of their own.
    pub records_new: u64,
}

impl SplitLock {
    /// Reads the lock at `path`; nothing when there is none.
    ///
    /// # Errors
    /// `BOT-2180`: malformed (exit 3), or of a newer format (exit 6); `BOT-1001` unreadable.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(|error| crate::spec::unreadable(path, &error))?,
        };
        let shown = path.display();
        let broken = |why: String| {
            Fault::data("BOT-2180", format!("`{shown}` is no lock of a split: {why}"))
                .file(path)
                .hint("restore it from version control; without it, records would move")
        };
        let head: Head =
            serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        if head.schema != SCHEMA {
            let version = head.schema.strip_prefix("botops.split/").map(str::parse::<u32>);
            return Err(match version {
                Some(Ok(version)) if version > 1 => {
                    let message = format!(
                        "`{shown}` has the format `{}`, newer than this botops",
                        head.schema
                    );
                    Fault::policy("BOT-2180", message).file(path).hint("install a newer botops")
                }
                _ => broken(format!("its schema is `{}`", text::display(&head.schema, 60))),
            });
        }
        let lock: Self =
            serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        for names in [&lock.texts, &lock.groups] {
            let n: usize = names.values().map(BTreeSet::len).sum();
            if names.values().flatten().collect::<BTreeSet<_>>().len() < n {
                return Err(broken("it has the same record on two sides".to_owned()));
            }
        }
        Ok(Some(lock))
    }

    /// Writes the lock to `path`, complete or absent, unless it is there already.
    ///
    /// # Errors
    /// `BOT-2180` (exit 5) when what is there is not `before`; `BOT-1002`.
    pub fn write(&self, path: &Path, before: Option<&Self>) -> Result<()> {
        let there = Self::read(path)?;
        if there.as_ref() == Some(self) {
            return Ok(());
        }
        if there.as_ref() != before {
            let message = format!("`{}` was changed by another run meanwhile", path.display());
            return Err(Fault::conflict("BOT-2180", message)
                .file(path)
                .hint("run again: it starts from what is there now"));
        }
        let mut bytes = serde_json::to_vec_pretty(self).expect("a structure of ours is valid JSON");
        bytes.push(b'\n');
        write::replace(path, &bytes)
    }

    /// Returns what the split was asked to be.
    #[must_use]
    pub fn spec(&self) -> &LockedSplitSpec {
        &self.spec
    }

    fn new(spec: &LockedSplitSpec, near: &NearSpec) -> Self {
        let sides = || SplitSide::ALL.map(|side| (side, BTreeSet::new())).into();
        let near = (near.threshold(), near.shingle());
        Self {
            schema: SCHEMA.to_owned(),
            spec: spec.clone(),
            near,
            texts: sides(),
            groups: sides(),
        }
    }

    fn by_name(names: &BTreeMap<SplitSide, BTreeSet<String>>) -> HashMap<&str, SplitSide> {
        names
            .iter()
            .flat_map(|(side, names)| names.iter().map(|name| (name.as_str(), *side)))
            .collect()
    }
}

/// Returns under which name a text or a group stands in a lock.
fn name(kind: &str, value: &str) -> String {
    let mut hasher = Hasher::default();
    hasher.update(kind.as_bytes());
    hasher.update(&[0]);
    hasher.update(value.as_bytes());
    hasher.finish().hex()[..32].to_owned()
}

/// Splits `data` by `spec`, keeping everything that `lock` names where it is. `groups` has the group of each record, if there is such a column.
///
/// - a unit is what is near to each other ([`NearSpec::default`]), has the same folded text or group, or is linked by such; it goes
///   to one side whole, in the stratum of its commonest intent and language
/// - what each intent and language should have on a side is shared out by the largest remainder over all records; new
///   units go there in the order of their hashes, as long as that brings a stratum nearer to what it should have
/// - the same data and lock in any order: the same sides; once more with the lock that came out: the same again
///
/// # Errors
/// `BOT-2130` shares that leave a side empty, `BOT-2180` a lock made for another request, `BOT-2182` everything is one unit
/// (exit 2); `BOT-2131` an intent has too few units for all sides (exit 4).
pub fn split_locked(
    data: &Dataset,
    groups: Option<&[Option<String>]>,
    spec: &LockedSplitSpec,
    lock: Option<&SplitLock>,
) -> Result<LockedSplit> {
    check_shares(spec)?;
    let near = NearSpec::default();
    let fresh = SplitLock::new(spec, &near);
    if let Some(lock) = lock
        && (&lock.spec, lock.near) != (spec, fresh.near)
    {
        return Err(other_request(&lock.spec, spec));
    }
    let mut work = Work::new(data, groups, spec.seed, lock.unwrap_or(&fresh), &near);
    let units = work.follow(&near);
    let n_following = work.count(|place| matches!(place, Seat::Following(_)));
    let n_locked = work.count(|place| matches!(place, Seat::Locked(_)));
    let mut findings = work.findings();
    if units.len() == 1 && n_locked == 0 && data.records.len() > 1 {
        return Err(one_unit(data, spec));
    }
    work.assign(units, spec, &mut findings)?;
    Ok(work.finish(lock.cloned().unwrap_or(fresh), findings, (n_locked, n_following), spec))
}

fn check_shares(spec: &LockedSplitSpec) -> Result<()> {
    let LockedSplitSpec { test_share: test, validation_share: validation, .. } = spec;
    let wrong = |message: String| {
        Err(Fault::usage("BOT-2130", message)
            .hint("write shares between 0 and 1 (or per cent) that leave something to train on: `--test 20% --validation 10%`"))
    };
    if !(*test > 0.0 && *test < 1.0) {
        return wrong(format!("a test share of {test} leaves one side empty"));
    }
    if !(*validation >= 0.0 && *validation < 1.0) {
        return wrong(format!("a validation share of {validation} leaves one side empty"));
    }
    // Shares such as 0.7 and 0.3 sum to 1 but for what floating point adds.
    if test + validation > 1.0 - 1e-9 {
        return wrong(format!(
            "a test share of {test} and a validation share of {validation} leave nothing to train on"
        ));
    }
    Ok(())
}

fn other_request(locked: &LockedSplitSpec, asked: &LockedSplitSpec) -> Fault {
    let shown = |spec: &LockedSplitSpec| {
        let group = spec
            .group
            .as_deref()
            .map_or("no group".to_owned(), |group| format!("group `{}`", text::display(group, 60)));
        format!(
            "test {}, validation {}, seed {}, {group}",
            spec.test_share, spec.validation_share, spec.seed
        )
    };
    let what = if locked == asked {
        "with other rules of what is near".to_owned()
    } else {
        format!("for {}; asked for is {}", shown(locked), shown(asked))
    };
    Fault::usage("BOT-2180", format!("the lock was made {what}"))
        .hint("ask for the same, or name another lock file: with another request, records would have to move")
}

fn one_unit(data: &Dataset, spec: &LockedSplitSpec) -> Fault {
    let (what, hint) = match &spec.group {
        Some(group) => {
            let group = text::display(group, 60);
            (
                format!("groups of `{group}` and near duplicates link all records to one another"),
                "name a column whose values are shared by fewer records, or none",
            )
        }
        None => (
            "all records are near duplicates of one another".to_owned(),
            "add records that say something else",
        ),
    };
    Fault::usage("BOT-2182", format!("{what}: there is nothing to divide"))
        .at(Place { file: Some(data.name.clone()), ..Place::default() })
        .hint(hint)
}

/// Where a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seat {
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
struct Work<'a> {
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
    fn new(
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
    fn follow(&mut self, near: &NearSpec) -> Vec<Vec<usize>> {
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

    fn count(&self, wanted: impl Fn(Seat) -> bool) -> u64 {
        let of = |(place, records): (&Seat, &Vec<usize>)| {
            if wanted(*place) { records.len() as u64 } else { 0 }
        };
        self.places.iter().zip(&self.records_of).map(of).sum()
    }

    /// Says which records were left out, in the order of the file.
    fn findings(&self) -> Vec<Finding> {
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
    fn assign(
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

    fn finish(
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

#[cfg(test)]
mod tests;
