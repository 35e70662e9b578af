//! What has to be compared across a whole file, sorted: in memory as far as it goes, then in runs on disk.

use botops_files::Scratch;
use botops_findings::Result;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    fs::File,
    io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

/// Entries held in memory before they are put on disk: about 30 MB.
pub(crate) const HELD: usize = 1 << 19;
/// Bytes of one entry on disk.
const BYTES: usize = 52;

/// One record, by what it is compared by; in the order of the key, then of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// What is compared, in 128 bits.
    pub(crate) key: u128,
    /// The position of the record, from 0.
    pub(crate) at: u64,
    /// Its number, and the line on which it starts.
    pub(crate) record: u64,
    pub(crate) line: u64,
    /// 64 bits of the SHA-256 of the text as it stands; of values, which kind of key theirs is.
    pub(crate) exact: u64,
    /// The number of its intent.
    pub(crate) intent: u32,
}

impl Entry {
    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..16].copy_from_slice(&self.key.to_le_bytes());
        for (slot, value) in
            bytes[16..48].chunks_exact_mut(8).zip([self.at, self.record, self.line, self.exact])
        {
            slot.copy_from_slice(&value.to_le_bytes());
        }
        bytes[48..].copy_from_slice(&self.intent.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; BYTES]) -> Self {
        let long = |at: usize| {
            let mut value = [0; 8];
            value.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(value)
        };
        let mut intent = [0; 4];
        intent.copy_from_slice(&bytes[48..]);
        Self {
            key: u128::from(long(8)) << 64 | u128::from(long(0)),
            at: long(16),
            record: long(24),
            line: long(32),
            exact: long(40),
            intent: u32::from_le_bytes(intent),
        }
    }
}

/// Entries of a file larger than memory, to be read in order.
#[derive(Debug)]
pub(crate) struct Sorted {
    held: Vec<Entry>,
    most: usize,
    /// Where runs are put; `None`: everything is held.
    folder: Option<PathBuf>,
    runs: Vec<Scratch>,
}

impl Sorted {
    /// Begins; at most `most` entries are held, and the others are put into `folder`.
    pub(crate) fn new(folder: Option<&Path>, most: usize) -> Self {
        Self { held: Vec::new(), most, folder: folder.map(Path::to_owned), runs: Vec::new() }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1) when the disk does not take it.
    pub(crate) fn push(&mut self, entry: Entry) -> Result<()> {
        if self.held.len() >= self.most
            && let Some(folder) = self.folder.clone()
        {
            self.spill(&folder)?;
        }
        self.held.push(entry);
        Ok(())
    }

    fn spill(&mut self, folder: &Path) -> Result<()> {
        self.held.sort_unstable();
        let run = Scratch::create(folder, "sorted")?;
        let mut writer = BufWriter::new(&run.file);
        for entry in self.held.drain(..) {
            writer.write_all(&entry.to_bytes()).map_err(|error| run.fault(error))?;
        }
        writer.flush().map_err(|error| run.fault(error))?;
        drop(writer);
        self.runs.push(run);
        Ok(())
    }

    /// Reads every entry in order; may be called again.
    ///
    /// # Errors
    /// `BOT-1002` when the disk does not give back what it took.
    pub(crate) fn merge(&mut self) -> Result<Merge<'_>> {
        self.held.sort_unstable();
        let mut merge = Merge {
            runs: Vec::with_capacity(self.runs.len()),
            held: self.held.iter(),
            next: BinaryHeap::with_capacity(self.runs.len() + 1),
        };
        for run in &self.runs {
            (&run.file).rewind().map_err(|error| run.fault(error))?;
            merge.runs.push((BufReader::with_capacity(1 << 14, &run.file), run));
        }
        for from in 0..=self.runs.len() {
            let entry = following(&mut merge.runs, &mut merge.held, from)?;
            merge.next.extend(entry.map(|entry| Reverse((entry, from))));
        }
        Ok(merge)
    }
}

/// Entries of all runs, in order.
pub(crate) struct Merge<'a> {
    runs: Vec<(BufReader<&'a File>, &'a Scratch)>,
    held: std::slice::Iter<'a, Entry>,
    /// The first entry of each run, and which run that is.
    next: BinaryHeap<Reverse<(Entry, usize)>>,
}

impl Merge<'_> {
    /// Returns the next entry without taking it.
    pub(crate) fn peek(&self) -> Option<&Entry> {
        self.next.peek().map(|Reverse((entry, _))| entry)
    }

    /// Takes the next entry; `None` at the end.
    ///
    /// # Errors
    /// `BOT-1002` when the disk does not give back what it took.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        let Some(mut top) = self.next.peek_mut() else { return Ok(None) };
        let Reverse((entry, from)) = *top;
        match following(&mut self.runs, &mut self.held, from)? {
            Some(following) => *top = Reverse((following, from)),
            None => drop(PeekMut::pop(top)),
        }
        Ok(Some(entry))
    }
}

/// Takes the next entry of run `from`; the last run is what is held.
fn following<'a>(
    runs: &mut [(BufReader<&File>, &Scratch)],
    held: &mut std::slice::Iter<'a, Entry>,
    from: usize,
) -> Result<Option<Entry>> {
    match runs.get_mut(from) {
        Some((reader, run)) => read(reader).map_err(|error| run.fault(error)),
        None => Ok(held.next().copied()),
    }
}

fn read(reader: &mut BufReader<&File>) -> io::Result<Option<Entry>> {
    let mut bytes = [0; BYTES];
    match reader.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(Entry::from_bytes(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_stats::random::Random;
    use std::fs;

    #[test]
    fn what_is_put_on_disk_comes_back_in_order_with_what_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random::new(7);
        let mut entries: Vec<Entry> = (0..1_000)
            .map(|at| Entry {
                key: u128::from(random.bits()) << 64 | random.below(10) as u128,
                at,
                record: at + 1,
                line: at + 2,
                exact: random.bits(),
                intent: random.below(5) as u32,
            })
            .collect();
        let mut sorted = Sorted::new(Some(folder.path()), 64);
        for entry in &entries {
            sorted.push(*entry).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 15);
        entries.sort_unstable();
        for _ in 0..2 {
            let mut merge = sorted.merge().unwrap();
            let given: Vec<Entry> = std::iter::from_fn(|| merge.next().unwrap()).collect();
            assert_eq!(given, entries);
        }
        drop(sorted);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_disk_that_takes_nothing_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let mut sorted = Sorted::new(Some(&folder.path().join("nowhere")), 1);
        let entry = Entry { key: 1, at: 0, record: 1, line: 1, exact: 0, intent: 0 };
        sorted.push(entry).unwrap();
        assert_eq!(sorted.push(entry).unwrap_err().code(), "BOT-1002");
    }
}
