//! External sort: items that are compared across a whole file, sorted in memory or, beyond a limit, in runs on disk.

use botops_files::Scratch;
use botops_findings::Result;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    fmt,
    fs::File,
    io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

/// The most items held in memory before they are written to disk: about 30 MB.
pub(crate) const MOST_HELD: usize = 1 << 19;
/// The most bytes of one item on disk.
const MAX_BYTES: usize = 64;

/// An item of fixed size that can be sorted on disk.
pub(crate) trait Sortable: Copy + Ord + fmt::Debug {
    /// The number of bytes of one item on disk, at most 64.
    const BYTES: usize;

    /// Appends the item to `bytes`.
    fn write(self, bytes: &mut Vec<u8>);

    /// Reads the item from `BYTES` bytes.
    fn read(bytes: &[u8]) -> Self;
}

/// Items of a file that may be larger than memory, to be read in order.
#[derive(Debug)]
pub(crate) struct ExternalSort<T> {
    held: Vec<T>,
    most_held: usize,
    /// The folder for runs; `None`: all items are held.
    folder: Option<PathBuf>,
    runs: Vec<Scratch>,
}

impl<T: Sortable> ExternalSort<T> {
    /// Begins; at most `most_held` items are held, the others go to `folder`.
    pub(crate) fn new(folder: Option<&Path>, most_held: usize) -> Self {
        Self { held: Vec::new(), most_held, folder: folder.map(Path::to_owned), runs: Vec::new() }
    }

    /// Adds an item.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1) when the disk cannot be written.
    pub(crate) fn push(&mut self, item: T) -> Result<()> {
        if self.held.len() >= self.most_held
            && let Some(folder) = self.folder.clone()
        {
            self.spill(&folder)?;
        }
        self.held.push(item);
        Ok(())
    }

    fn spill(&mut self, folder: &Path) -> Result<()> {
        self.held.sort_unstable();
        let run = Scratch::create(folder, "sorted")?;
        let mut writer = BufWriter::new(&run.file);
        let mut bytes = Vec::with_capacity(MAX_BYTES);
        for item in self.held.drain(..) {
            bytes.clear();
            item.write(&mut bytes);
            writer.write_all(&bytes).map_err(|error| run.fault(error))?;
        }
        writer.flush().map_err(|error| run.fault(error))?;
        drop(writer);
        self.runs.push(run);
        Ok(())
    }

    /// Reads all items in order; may be called again.
    ///
    /// # Errors
    /// `BOT-1002` when the disk cannot be read.
    pub(crate) fn merge(&mut self) -> Result<Merge<'_, T>> {
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
            let item = following(&mut merge.runs, &mut merge.held, from)?;
            merge.next.extend(item.map(|item| Reverse((item, from))));
        }
        Ok(merge)
    }
}

/// The items of all runs, in order.
pub(crate) struct Merge<'a, T> {
    runs: Vec<(BufReader<&'a File>, &'a Scratch)>,
    held: std::slice::Iter<'a, T>,
    /// The first item of each run, and the number of the run.
    next: BinaryHeap<Reverse<(T, usize)>>,
}

impl<T: Sortable> Merge<'_, T> {
    /// Returns the next item without taking it.
    pub(crate) fn peek(&self) -> Option<&T> {
        self.next.peek().map(|Reverse((item, _))| item)
    }

    /// Takes the next item; `None` at the end.
    ///
    /// # Errors
    /// `BOT-1002` when the disk cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<T>> {
        let Some(mut top) = self.next.peek_mut() else { return Ok(None) };
        let Reverse((item, from)) = *top;
        match following(&mut self.runs, &mut self.held, from)? {
            Some(following) => *top = Reverse((following, from)),
            None => drop(PeekMut::pop(top)),
        }
        Ok(Some(item))
    }
}

/// Takes the next item of run `from`; the items in memory are the last run.
fn following<T: Sortable>(
    runs: &mut [(BufReader<&File>, &Scratch)],
    held: &mut std::slice::Iter<'_, T>,
    from: usize,
) -> Result<Option<T>> {
    match runs.get_mut(from) {
        Some((reader, run)) => read(reader).map_err(|error| run.fault(error)),
        None => Ok(held.next().copied()),
    }
}

fn read<T: Sortable>(reader: &mut BufReader<&File>) -> io::Result<Option<T>> {
    let mut bytes = [0; MAX_BYTES];
    let bytes = &mut bytes[..T::BYTES];
    match reader.read_exact(bytes) {
        Ok(()) => Ok(Some(T::read(bytes))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_stats::random::Random;
    use std::fs;

    impl Sortable for (u64, u64) {
        const BYTES: usize = 16;

        fn write(self, bytes: &mut Vec<u8>) {
            bytes.extend_from_slice(&self.0.to_le_bytes());
            bytes.extend_from_slice(&self.1.to_le_bytes());
        }

        fn read(bytes: &[u8]) -> Self {
            let half = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            (half(0), half(8))
        }
    }

    #[test]
    fn items_on_disk_and_in_memory_are_read_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random::new(7);
        let mut items: Vec<(u64, u64)> = (0..1_000).map(|at| (random.bits() % 300, at)).collect();
        let mut sorted = ExternalSort::new(Some(folder.path()), 64);
        for item in &items {
            sorted.push(*item).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 15);
        items.sort_unstable();
        for _ in 0..2 {
            let mut merge = sorted.merge().unwrap();
            let merged: Vec<(u64, u64)> = std::iter::from_fn(|| merge.next().unwrap()).collect();
            assert_eq!(merged, items);
        }
        drop(sorted);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_disk_that_cannot_be_written_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let mut sorted = ExternalSort::new(Some(&folder.path().join("nowhere")), 1);
        sorted.push((1, 0)).unwrap();
        assert_eq!(sorted.push((1, 0)).unwrap_err().code(), "BOT-1002");
    }
}
