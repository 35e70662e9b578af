//! The classes of every record, its intent and its language, in as few bytes as possible; on disk beyond a million records.

use crate::{record_set::RecordSet, words::ByWord};
use botops_files::Scratch;
use botops_findings::Result;
use std::{
    collections::{BTreeMap, HashMap},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

/// Words with a number each, in order of first use.
#[derive(Debug, Default)]
pub(crate) struct Words {
    numbers: ByWord<u32>,
    words: Vec<String>,
}

impl Words {
    /// Returns the number of `word`, a new one at its first use.
    pub(crate) fn number(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        let number = u32::try_from(self.words.len()).expect("the classes are fewer than 2^32");
        self.numbers.insert(word.to_owned(), number);
        self.words.push(word.to_owned());
        number
    }

    /// Returns the word of `number`.
    pub(crate) fn word(&self, number: u32) -> &str {
        &self.words[number as usize]
    }

    /// Iterates over the words by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }
}

/// The number that stands for no intent, or no language.
pub(crate) const NO_CLASS: u32 = u32::MAX;

/// The most numbers held in memory before they are written to disk: 1 MiB if a byte each is enough.
const MOST_HELD: usize = 1 << 20;

/// The intents and languages, and the pair of them that each record has.
#[derive(Debug)]
pub(crate) struct Classes {
    pub(crate) intents: Words,
    languages: Words,
    /// The number of each pair of intent and language.
    pairs: HashMap<(u32, u32), u32, foldhash::fast::RandomState>,
    /// The pairs by number.
    listed: Vec<(u32, u32)>,
    of_record: Numbers,
}

/// A number for each record, in the order of the file.
#[derive(Debug)]
struct Numbers {
    held: NarrowNumbers,
    most_held: usize,
    /// The folder for the numbers before those held; `None`: all are held.
    folder: Option<PathBuf>,
    run: Option<Run>,
}

/// The numbers on disk.
#[derive(Debug)]
struct Run {
    scratch: Scratch,
    /// The parts of the run: the bytes per number, and the count of numbers.
    parts: Vec<(usize, usize)>,
}

/// Numbers in as few bytes each as the greatest needs.
#[derive(Debug)]
enum NarrowNumbers {
    One(Vec<u8>),
    Two(Vec<u16>),
    Four(Vec<u32>),
}

impl NarrowNumbers {
    fn push(&mut self, number: u32) {
        match self {
            Self::One(numbers) => match u8::try_from(number) {
                Ok(number) => return numbers.push(number),
                Err(_) => *self = Self::Two(numbers.iter().map(|&n| n.into()).collect()),
            },
            Self::Two(numbers) => match u16::try_from(number) {
                Ok(number) => return numbers.push(number),
                Err(_) => *self = Self::Four(numbers.iter().map(|&n| n.into()).collect()),
            },
            Self::Four(numbers) => return numbers.push(number),
        }
        self.push(number);
    }

    fn len(&self) -> usize {
        match self {
            Self::One(numbers) => numbers.len(),
            Self::Two(numbers) => numbers.len(),
            Self::Four(numbers) => numbers.len(),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::One(numbers) => numbers.clear(),
            Self::Two(numbers) => numbers.clear(),
            Self::Four(numbers) => numbers.clear(),
        }
    }

    /// Returns the bytes per number, and the bytes of all numbers.
    fn to_bytes(&self) -> (usize, Vec<u8>) {
        match self {
            Self::One(numbers) => (1, numbers.clone()),
            Self::Two(numbers) => (2, numbers.iter().flat_map(|n| n.to_le_bytes()).collect()),
            Self::Four(numbers) => (4, numbers.iter().flat_map(|n| n.to_le_bytes()).collect()),
        }
    }

    fn each(&self, mut each: impl FnMut(u32)) {
        match self {
            Self::One(numbers) => numbers.iter().for_each(|&n| each(n.into())),
            Self::Two(numbers) => numbers.iter().for_each(|&n| each(n.into())),
            Self::Four(numbers) => numbers.iter().for_each(|&n| each(n)),
        }
    }
}

impl Numbers {
    fn new(folder: Option<&Path>, most_held: usize) -> Self {
        let folder = folder.map(Path::to_owned);
        Self { held: NarrowNumbers::One(Vec::new()), most_held, folder, run: None }
    }

    fn push(&mut self, number: u32) -> Result<()> {
        if self.held.len() >= self.most_held
            && let Some(folder) = &self.folder
        {
            let run = match &mut self.run {
                Some(run) => run,
                none => none.insert(Run {
                    scratch: Scratch::create(folder, "classes")?,
                    parts: Vec::new(),
                }),
            };
            let (width, bytes) = self.held.to_bytes();
            let mut file = &run.scratch.file;
            file.write_all(&bytes).map_err(|error| run.scratch.fault(error))?;
            run.parts.push((width, self.held.len()));
            self.held.clear();
        }
        self.held.push(number);
        Ok(())
    }

    /// Calls `each` with every number, in the order of the records.
    fn each(&self, mut each: impl FnMut(u32)) -> Result<()> {
        if let Some(Run { scratch, parts }) = &self.run {
            let mut file = &scratch.file;
            file.rewind().map_err(|error| scratch.fault(error))?;
            let mut bytes = Vec::new();
            for &(width, n) in parts {
                bytes.resize(width * n, 0);
                file.read_exact(&mut bytes).map_err(|error| scratch.fault(error))?;
                for number in bytes.chunks_exact(width) {
                    let mut whole = [0; 4];
                    whole[..width].copy_from_slice(number);
                    each(u32::from_le_bytes(whole));
                }
            }
        }
        self.held.each(each);
        Ok(())
    }
}

/// The number of records by intent, and by language.
pub(crate) type Counts = (BTreeMap<String, u64>, BTreeMap<String, u64>);

impl Classes {
    /// Begins; numbers that do not fit into memory go to `spill`.
    pub(crate) fn new(spill: Option<&Path>) -> Self {
        Self::holding(spill, MOST_HELD)
    }

    fn holding(spill: Option<&Path>, most_held: usize) -> Self {
        Self {
            intents: Words::default(),
            languages: Words::default(),
            pairs: HashMap::default(),
            listed: Vec::new(),
            of_record: Numbers::new(spill, most_held),
        }
    }

    /// Adds the next record; returns the number of its intent.
    ///
    /// # Errors
    /// `BOT-1002` when the disk cannot be written.
    pub(crate) fn note(&mut self, intent: Option<&str>, lang: Option<&str>) -> Result<u32> {
        let intent = intent.map_or(NO_CLASS, |intent| self.intents.number(intent));
        let lang = lang.map_or(NO_CLASS, |lang| self.languages.number(lang));
        let listed = &mut self.listed;
        let pair = *self.pairs.entry((intent, lang)).or_insert_with(|| {
            listed.push((intent, lang));
            u32::try_from(listed.len() - 1).expect("the pairs of classes are fewer than 2^32")
        });
        self.of_record.push(pair)?;
        Ok(intent)
    }

    /// Counts the records that are not `rejected`.
    ///
    /// # Errors
    /// `BOT-1002` when the disk cannot be read.
    pub(crate) fn counts(&self, rejected: &RecordSet) -> Result<Counts> {
        let mut counts = vec![0_u64; self.listed.len()];
        let mut at = 0;
        self.of_record.each(|pair| {
            counts[pair as usize] += u64::from(!rejected.contains(at));
            at += 1;
        })?;
        let (mut intents, mut languages) = Counts::default();
        for (&(intent, lang), &count) in self.listed.iter().zip(&counts).filter(|(_, n)| **n > 0) {
            if intent != NO_CLASS {
                *intents.entry(self.intents.word(intent).to_owned()).or_default() += count;
            }
            if lang != NO_CLASS {
                *languages.entry(self.languages.word(lang).to_owned()).or_default() += count;
            }
        }
        Ok((intents, languages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn records_are_counted_for_any_number_of_classes_in_memory_and_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        for (n, spill, most) in [
            (3_u64, None, 1),
            (300, None, 1),
            (70_000, None, 1),
            (3, Some(folder.path()), 4),
            (70_000, Some(folder.path()), 1_000),
        ] {
            let mut classes = Classes::holding(spill, most);
            let mut rejected = RecordSet::default();
            for i in 0..2 * n {
                classes.note(Some(&format!("i{}", i % n)), Some("en").filter(|_| i < n)).unwrap();
            }
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), usize::from(spill.is_some()));
            rejected.insert(0);
            let (intents, languages) = classes.counts(&rejected).unwrap();
            assert_eq!((intents["i0"], intents["i1"], intents.len() as u64), (1, 2, n));
            assert_eq!(languages["en"], n - 1);
            assert_eq!(classes.counts(&rejected).unwrap(), (intents, languages));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
