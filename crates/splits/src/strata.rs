//! Quotas of intents and languages, filled with units.
//!
//! In: the records that have a side already, and the units that have none. Out: a side for each unit.

use crate::{
    by_text::largest_remainder,
    lock::{LockedSplitSpec, SplitSide},
    mixed_units::{Class, MixedUnit, divide},
};
use botops_datasets::Record;
use botops_digest::Digest;
use botops_labels::OOS;
use std::collections::{BTreeMap, BTreeSet};

/// Texts that go to one side together.
pub(crate) struct Unit {
    /// The smallest hash of its texts; units are taken in this order.
    pub(crate) hash: Digest,
    /// The indices of its texts.
    pub(crate) texts: Vec<usize>,
}

/// A unit and its number of records.
struct SizedUnit {
    unit: Unit,
    size: usize,
}

/// The records of one intent in one language.
#[derive(Default)]
struct Language {
    /// Records that have a side already.
    fixed: BTreeMap<SplitSide, usize>,
    units: Vec<SizedUnit>,
    /// All records, with and without a side.
    size: usize,
}

impl Language {
    fn fixed(&self, side: SplitSide) -> usize {
        self.fixed.get(&side).copied().unwrap_or(0)
    }
}

type Languages<'a> = BTreeMap<Option<&'a str>, Language>;

/// A unit of records of several intents, with their number in each stratum.
struct SeveralIntents<'a> {
    unit: Unit,
    counts: BTreeMap<Stratum<'a>, usize>,
}

/// Records and units by intent, then by language.
#[derive(Default)]
pub(crate) struct Strata<'a> {
    intents: BTreeMap<Option<&'a str>, Languages<'a>>,
    /// The units that are in several intents.
    mixed: Vec<SeveralIntents<'a>>,
}

/// The sides of all units.
#[derive(Default)]
pub(crate) struct Filled<'a> {
    /// The texts of each unit, with the side of the unit.
    pub(crate) units: Vec<(SplitSide, Vec<usize>)>,
    /// In-scope intents without a record on a side.
    pub(crate) empty_sides: Vec<EmptySide<'a>>,
}

/// An in-scope intent without a record on a side.
pub(crate) struct EmptySide<'a> {
    pub(crate) intent: &'a str,
    pub(crate) side: SplitSide,
    /// The units with records of the intent that had no side yet.
    pub(crate) n_units: usize,
}

/// An in-scope intent with no record on any side, and fewer units than there are sides.
pub(crate) struct TooFewUnits<'a> {
    pub(crate) intent: &'a str,
    pub(crate) n_units: usize,
    pub(crate) n_sides: usize,
}

impl<'a> Strata<'a> {
    /// Adds a record that is on `side` already.
    pub(crate) fn add_fixed(&mut self, record: &'a Record, side: SplitSide) {
        let language = self.language((record.intent.as_deref(), record.lang.as_deref()));
        *language.fixed.entry(side).or_default() += 1;
        language.size += 1;
    }

    /// Adds a unit with its records: to the language that most of them are in, or to each of its intents.
    pub(crate) fn add_unit(&mut self, unit: Unit, records: &[&'a Record]) {
        let size = records.len();
        let counts = strata_of(records);
        let mut intents = counts.keys().map(|(intent, _)| intent);
        let first = intents.next();
        if intents.any(|intent| Some(intent) != first) {
            for (&stratum, n) in &counts {
                self.language(stratum).size += n;
            }
            self.mixed.push(SeveralIntents { unit, counts });
            return;
        }
        let language = self.language(most_frequent(&counts));
        language.size += size;
        language.units.push(SizedUnit { unit, size });
    }

    fn language(&mut self, (intent, lang): Stratum<'a>) -> &mut Language {
        self.intents.entry(intent).or_default().entry(lang).or_default()
    }

    /// Assigns each unit to a side, so that each intent and language comes near its quota of test and validation.
    ///
    /// Units of several intents come first; those of one intent make up for the rest.
    ///
    /// # Errors
    /// An in-scope intent without any record on a side has fewer units than there are sides.
    pub(crate) fn fill(mut self, spec: &LockedSplitSpec) -> Result<Filled<'a>, TooFewUnits<'a>> {
        let (test, validation) = (self.quotas(spec.test_share), self.quotas(spec.validation_share));
        let sides: Vec<SplitSide> = SplitSide::ALL
            .into_iter()
            .filter(|&side| side != SplitSide::Validation || spec.validation_share > 0.0)
            .collect();
        let n_mixed = self.mixed_units_by_intent();
        let mut filled = Filled { units: self.place_mixed(&sides, spec), ..Filled::default() };
        for ((intent, languages), (test, validation)) in
            self.intents.iter_mut().zip(test.into_iter().zip(validation))
        {
            let n_units: usize = languages.values().map(|language| language.units.len()).sum();
            let is_empty =
                |side: SplitSide| languages.values().all(|language| language.fixed(side) == 0);
            let mut empty: Vec<SplitSide> =
                sides.iter().copied().filter(|&side| is_empty(side)).collect();
            if n_units < empty.len() {
                let in_scope = intent.filter(|intent| *intent != OOS);
                if let Some(intent) = in_scope
                    && empty.len() == sides.len()
                {
                    return Err(TooFewUnits { intent, n_units, n_sides: sides.len() });
                }
                // Train comes first, because no model can be fitted without it.
                let unfilled: Vec<SplitSide> = empty.drain(n_units..).collect();
                if let Some(name) = in_scope {
                    let n_units = n_units + n_mixed.get(intent).copied().unwrap_or(0);
                    let empty_side = |side| EmptySide { intent: name, side, n_units };
                    filled.empty_sides.extend(unfilled.into_iter().map(empty_side));
                }
            }
            for language in languages.values_mut() {
                language.units.sort_unstable_by_key(|sized| sized.unit.hash);
            }
            for (side, quota) in [(SplitSide::Test, test), (SplitSide::Validation, validation)] {
                if sides.contains(&side) {
                    let units = fill_side(languages, side, quota, &mut empty);
                    filled.units.extend(units.into_iter().map(|sized| (side, sized.unit.texts)));
                }
            }
            let rest = languages.values_mut().flat_map(|language| language.units.drain(..));
            filled.units.extend(rest.map(|sized| (SplitSide::Train, sized.unit.texts)));
        }
        Ok(filled)
    }

    /// Returns the number of mixed units with records of each intent.
    fn mixed_units_by_intent(&self) -> BTreeMap<Option<&'a str>, usize> {
        let mut n_units = BTreeMap::new();
        for several in &self.mixed {
            let intents: BTreeSet<_> = several.counts.keys().map(|(intent, _)| *intent).collect();
            for intent in intents {
                *n_units.entry(intent).or_default() += 1;
            }
        }
        n_units
    }

    /// Assigns each unit of several intents to one of `sides`; its records then count as placed.
    fn place_mixed(
        &mut self,
        sides: &[SplitSide],
        spec: &LockedSplitSpec,
    ) -> Vec<(SplitSide, Vec<usize>)> {
        let mut mixed = std::mem::take(&mut self.mixed);
        if mixed.is_empty() {
            return Vec::new();
        }
        let (classes, class_of) = self.classes(&mixed, sides);
        mixed.sort_unstable_by_key(|several| several.unit.hash);
        let mut units: Vec<MixedUnit> = mixed
            .iter()
            .map(|several| MixedUnit {
                hash: several.unit.hash,
                counts: class_of.counts(&several.counts),
            })
            .collect();
        let share = |side: &SplitSide| match side {
            SplitSide::Train => 1.0 - spec.test_share - spec.validation_share,
            SplitSide::Validation => spec.validation_share,
            SplitSide::Test => spec.test_share,
        };
        let shares: Vec<f64> = sides.iter().map(share).collect();
        let placed = divide(&mut units, classes, sides, &shares);
        let mut out = Vec::with_capacity(mixed.len());
        for (several, side) in mixed.into_iter().zip(placed) {
            let side = sides[side];
            for (stratum, n) in several.counts {
                *self.language(stratum).fixed.entry(side).or_default() += n;
            }
            out.push((side, several.unit.texts));
        }
        out
    }

    /// Returns the classes that the `mixed` units are divided by, with the records that have a side already.
    fn classes(
        &self,
        mixed: &[SeveralIntents<'a>],
        sides: &[SplitSide],
    ) -> (Vec<Class>, ClassOf<'a>) {
        let mut class_of = ClassOf::default();
        let all = || Class { weight: 1.0, counts: vec![0; sides.len()], size: 0, fillers: None };
        let mut classes = vec![all()];
        for (&intent, languages) in &self.intents {
            let is_in_scope = intent.is_some_and(|intent| intent != OOS);
            let n_units = languages.values().map(|language| language.units.len()).sum();
            class_of.intents.insert(intent, classes.len());
            classes.push(Class { fillers: is_in_scope.then_some(n_units), ..all() });
            let of_intent = classes.len() - 1;
            for (&lang, language) in languages {
                class_of.strata.insert((intent, lang), classes.len());
                classes.push(Class { weight: LANGUAGE_WEIGHT, ..all() });
                let of_language = classes.len() - 1;
                for (at, &side) in sides.iter().enumerate() {
                    let n = language.fixed(side);
                    for class in [0, of_intent, of_language] {
                        classes[class].counts[at] += n;
                        classes[class].size += n;
                    }
                }
            }
        }
        for (class, n) in mixed.iter().flat_map(|several| class_of.counts(&several.counts)) {
            classes[class].size += n;
        }
        (classes, class_of)
    }

    /// Returns the records of each intent that should go to a side with this share of all records.
    fn quotas(&self, share: f64) -> Vec<usize> {
        let sizes: Vec<usize> = self
            .intents
            .values()
            .map(|languages| languages.values().map(|language| language.size).sum())
            .collect();
        let n: usize = sizes.iter().sum();
        largest_remainder(&sizes, (n as f64 * share + 0.5).floor() as usize)
    }
}

/// An intent and a language.
type Stratum<'a> = (Option<&'a str>, Option<&'a str>);

/// The weight of the division of a language of an intent, beside 1 for that of the intent.
const LANGUAGE_WEIGHT: f64 = 0.25;

/// The index of the class of each intent and stratum; the class of all records is 0.
#[derive(Default)]
struct ClassOf<'a> {
    intents: BTreeMap<Option<&'a str>, usize>,
    strata: BTreeMap<Stratum<'a>, usize>,
}

impl ClassOf<'_> {
    /// Returns the records of a unit in each class, from those in each stratum.
    fn counts(&self, strata: &BTreeMap<Stratum<'_>, usize>) -> Vec<(usize, usize)> {
        let mut counts = BTreeMap::from([(0, strata.values().sum())]);
        for (stratum, &n) in strata {
            let classes = [self.intents.get(&stratum.0), self.strata.get(stratum)];
            for &class in classes.into_iter().flatten() {
                *counts.entry(class).or_default() += n;
            }
        }
        counts.into_iter().collect()
    }
}

/// Returns the number of `records` in each stratum.
fn strata_of<'a>(records: &[&'a Record]) -> BTreeMap<Stratum<'a>, usize> {
    let mut counts: BTreeMap<Stratum<'a>, usize> = BTreeMap::new();
    for record in records {
        *counts.entry((record.intent.as_deref(), record.lang.as_deref())).or_default() += 1;
    }
    counts
}

/// Returns the stratum with the most records; of equally frequent ones, the first by name.
fn most_frequent<'a>(counts: &BTreeMap<Stratum<'a>, usize>) -> Stratum<'a> {
    let most = counts.values().max();
    counts.iter().find(|(_, n)| Some(*n) == most).map(|(s, _)| *s).unwrap_or_default()
}

/// Takes the units of one intent that go to `side`, at least one when the side is among the `empty` ones.
///
/// Removes `side` from `empty`, and leaves one unit for each of the others.
fn fill_side(
    languages: &mut Languages<'_>,
    side: SplitSide,
    quota: usize,
    empty: &mut Vec<SplitSide>,
) -> Vec<SizedUnit> {
    let position = empty.iter().position(|&other| other == side);
    let needs_one = position.map(|position| empty.remove(position)).is_some();
    let sizes: Vec<usize> = languages.values().map(|language| language.size).collect();
    let quotas = largest_remainder(&sizes, quota.min(sizes.iter().sum()));
    let mut n_units: usize = languages.values().map(|language| language.units.len()).sum();
    let mut deficit = 0_i64;
    let mut taken: Vec<SizedUnit> = Vec::new();
    for (language, quota) in languages.values_mut().zip(quotas) {
        // A language makes up for the records that the ones before it are over or under.
        deficit += quota as i64 - language.fixed(side) as i64;
        for sized in std::mem::take(&mut language.units) {
            let size = sized.size as i64;
            if n_units > empty.len() && deficit > 0 && 2 * deficit >= size {
                deficit -= size;
                n_units -= 1;
                taken.push(sized);
            } else {
                language.units.push(sized);
            }
        }
    }
    if needs_one && taken.is_empty() {
        taken.extend(take_smallest(languages));
    }
    taken
}

/// Takes the unit with the fewest records; of equal ones, the one with the smallest hash.
fn take_smallest(languages: &mut Languages<'_>) -> Option<SizedUnit> {
    let key = |sized: &SizedUnit| (sized.size, sized.unit.hash);
    let smallest = languages.values().flat_map(|language| &language.units).map(key).min()?;
    languages.values_mut().find_map(|language| {
        let position = language.units.iter().position(|sized| key(sized) == smallest)?;
        Some(language.units.remove(position))
    })
}
