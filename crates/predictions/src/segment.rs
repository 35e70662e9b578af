//! A segment: records of one hour, in groups. A group is synced as a whole, and has one or more zstd frames of JSON lines.

use crate::record::{MOST_RECORD_BYTES, Record};
use botops_findings::{Finding, Place, Result, Severity};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

/// The level of compression: the fastest of the usual ones, because a server compresses beside its requests.
const LEVEL: i32 = 1;
/// The most bytes of all lines of a segment that is read.
const MOST_SEGMENT_BYTES: u64 = 1 << 30;
/// The logarithm of the most bytes of a frame that are kept to decompress it. Groups are smaller.
const MOST_WINDOW_LOG: u32 = 27;
/// The most findings about lines.
const MOST_FINDINGS: usize = 100;

/// Writes a segment.
#[derive(Debug)]
pub struct SegmentWriter {
    file: File,
    path: PathBuf,
    bytes: u64,
    /// The bytes at the front that are synced.
    synced_bytes: u64,
    /// The bytes of its lines before compression.
    line_bytes: u64,
}

impl SegmentWriter {
    /// Creates the file `path`.
    ///
    /// # Errors
    /// Those of the file system; the file must not exist.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Self { file, path: path.to_owned(), bytes: 0, synced_bytes: 0, line_bytes: 0 })
    }

    /// Appends a group of lines, and returns when it is synced to the disk.
    ///
    /// # Errors
    /// Those of [`Self::write`] and [`Self::sync`].
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.write(lines)?;
        self.sync()
    }

    /// Appends lines as a frame, which is not synced. One that could not be written as a whole is removed again. Close the
    /// segment then: if that failed, too, no later frame of it could be read.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let frame = zstd::bulk::compress(lines, LEVEL)?;
        if let Err(error) = self.file.write_all(&frame) {
            self.cut(self.bytes)?;
            return Err(error);
        }
        self.bytes += frame.len() as u64;
        self.line_bytes += lines.len() as u64;
        Ok(())
    }

    /// Returns when all frames are on the disk. If that fails, those since the last success are removed again.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.synced_bytes == self.bytes {
            return Ok(());
        }
        if let Err(error) = self.file.sync_data() {
            self.bytes = self.synced_bytes;
            self.cut(self.synced_bytes)?;
            return Err(error);
        }
        self.synced_bytes = self.bytes;
        Ok(())
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        io::Seek::seek(&mut self.file, io::SeekFrom::Start(bytes)).map(|_| ())
    }

    /// Returns the bytes of the lines so far, before compression.
    #[must_use]
    pub fn line_bytes(&self) -> u64 {
        self.line_bytes
    }

    /// Returns the bytes written so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A segment that was read.
#[derive(Debug, Default)]
pub struct Segment {
    /// The records, in their order.
    pub records: Vec<Record>,
    /// The lines that are no records, and the end that is missing: a crash leaves a half group, which was not synced.
    pub findings: Vec<Finding>,
    /// The number of lines that are no records.
    pub refused: u64,
}

/// Reads a segment; `name` is for findings. What follows a damaged frame cannot be read, and is a finding.
///
/// At most 100 lines that are no records have a finding each; all are counted.
///
/// # Errors
/// `BOT-6201` (exit 6) a newer botops wrote it.
pub fn read_segment(bytes: &[u8], name: &str) -> Result<Segment> {
    let mut records = Vec::new();
    let segment = each_record(bytes, name, |record| {
        records.push(record);
        Ok(())
    })?;
    Ok(Segment { records, ..segment })
}

/// Calls `read` with each record of a segment, and returns the rest of it. Memory: one line, and the window of a frame, at most
/// 128 MiB.
///
/// # Errors
/// As [`read_segment`], and those of `read`.
pub(crate) fn each_record(
    bytes: &[u8],
    name: &str,
    mut read: impl FnMut(Record) -> Result<()>,
) -> Result<Segment> {
    let mut segment = Segment::default();
    let end = each_line(bytes, |number, line| match Record::read_line(line) {
        Ok(record) => read(record),
        Err(fault) if fault.code() == "BOT-6201" => Err(fault.file(name)),
        Err(fault) => {
            segment.refused += 1;
            if segment.findings.len() < MOST_FINDINGS {
                let place = Place { line: Some(number), ..Place::default() };
                segment.findings.push(fault.at(place).file(name).as_finding());
            }
            Ok(())
        }
    })?;
    if let Err(error) = end {
        let message = format!("the end of the segment cannot be read: {error}");
        let help =
            "a crash leaves half a group, which was not synced; the records before it are read";
        let place = Place { file: Some(name.to_owned()), ..Place::default() };
        segment.findings.push(Finding::new("BOT-6203", Severity::Warning, message, help).at(place));
    }
    Ok(segment)
}

/// Calls `read` with the number, from 1, and the bytes of each line that is not empty, without its end. A line is cut after
/// 64 KiB and one byte, so that it is found to be too long. Returns the error of a damaged end.
pub(crate) fn each_line(
    bytes: &[u8],
    read: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<io::Result<()>> {
    each_line_within(MOST_SEGMENT_BYTES, bytes, read)
}

fn each_line_within(
    most_bytes: u64,
    bytes: &[u8],
    mut read: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<io::Result<()>> {
    if bytes.is_empty() {
        return Ok(Ok(()));
    }
    let opened = zstd::Decoder::with_buffer(bytes).and_then(|mut decoder| {
        decoder.window_log_max(MOST_WINDOW_LOG)?;
        Ok(decoder)
    });
    let decoder = match opened {
        Ok(decoder) => decoder,
        Err(error) => return Ok(Err(error)),
    };
    let mut lines = BufReader::with_capacity(1 << 16, decoder.take(most_bytes));
    let mut line = Vec::new();
    let (mut number, mut total) = (0, 0_u64);
    loop {
        line.clear();
        number += 1;
        let limit = MOST_RECORD_BYTES as u64 + 1;
        let n = match (&mut lines).take(limit).read_until(b'\n', &mut line) {
            Ok(n) => n,
            Err(error) => return Ok(Err(error)),
        };
        if n == 0 {
            break;
        }
        total += n as u64;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if n as u64 == limit {
            match lines.skip_until(b'\n') {
                Ok(skipped) => total += skipped as u64,
                Err(error) => return Ok(Err(error)),
            }
        } else {
            return Ok(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "half a line")));
        }
        if !line.is_empty() {
            read(number, &line)?;
        }
    }
    Ok(match total >= most_bytes {
        true => Err(io::Error::other(format!("it has more than {most_bytes} bytes of records"))),
        false => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;
    use proptest::prelude::*;

    fn lines(range: std::ops::Range<u32>) -> Vec<u8> {
        let mut lines = Vec::new();
        range.for_each(|i| assert!(record(i).write_line(&mut lines)));
        lines
    }

    /// Writes three groups of ten records.
    fn written() -> (Vec<u8>, Vec<u64>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl.zst");
        let mut writer = SegmentWriter::create(&path).unwrap();
        let ends = [0..10, 10..20, 20..30].map(|group| {
            writer.append(&lines(group)).unwrap();
            writer.bytes()
        });
        assert!(SegmentWriter::create(&path).is_err(), "an existing segment is not overwritten");
        (std::fs::read(&path).unwrap(), ends.to_vec())
    }

    #[test]
    fn a_segment_is_read_as_it_was_written_and_zstd_reads_it_as_one_file() {
        let (bytes, _) = written();
        let segment = read_segment(&bytes, "a").unwrap();
        assert_eq!(segment.records, (0..30).map(record).collect::<Vec<_>>());
        assert!(segment.findings.is_empty());
        assert_eq!(zstd::decode_all(&bytes[..]).unwrap(), lines(0..30));
    }

    #[test]
    fn a_cut_segment_has_every_whole_group_and_a_finding() {
        let (bytes, ends) = written();
        for end in 0..bytes.len() {
            let segment = read_segment(&bytes[..end], "a").unwrap();
            let whole = ends.iter().filter(|it| **it <= end as u64).count();
            assert!(segment.records.len() >= whole * 10, "{end}");
            let is_whole = end == 0 || ends.contains(&(end as u64));
            assert_eq!(segment.findings.is_empty(), is_whole, "{end}: {:?}", segment.findings);
            if !is_whole {
                assert_eq!(segment.findings[0].code, "BOT-6203");
            }
        }
    }

    #[test]
    fn lines_that_are_no_records_are_counted_and_a_newer_one_is_refused() {
        let compressed = |lines: &[u8]| zstd::bulk::compress(lines, 1).unwrap();
        let huge = [&b"{\"schema\":\"botops.prediction/1\",\"text\":\""[..], &vec![b'x'; 10 << 20]]
            .concat();
        let mixed = [&lines(0..1)[..], b"{}\n\n", &huge, b"\"}\n", &lines(1..2)].concat();
        let segment = read_segment(&compressed(&mixed), "a").unwrap();
        assert_eq!(segment.records, [record(0), record(1)]);
        let lines_of: Vec<_> = segment.findings.iter().map(|it| it.place.line).collect();
        assert_eq!((segment.refused, lines_of), (2, vec![Some(2), Some(4)]));
        let many = compressed(&b"{}\n".repeat(1_000));
        let segment = read_segment(&many, "a").unwrap();
        assert_eq!((segment.refused, segment.findings.len()), (1_000, MOST_FINDINGS));
        let newer = compressed(b"{\"schema\":\"botops.prediction/9\"}\n");
        assert_eq!(read_segment(&newer, "a").unwrap_err().code(), "BOT-6201");
    }

    #[test]
    fn a_bomb_ends_at_the_most_bytes_of_a_segment() {
        // 256 MiB of one long line in a few kilobytes.
        let mut writer = zstd::Encoder::new(Vec::new(), 1).unwrap();
        let megabyte = vec![b'x'; 1 << 20];
        (0..256).for_each(|_| writer.write_all(&megabyte).unwrap());
        let bomb = writer.finish().unwrap();
        assert!(bomb.len() < 1 << 16, "{}", bomb.len());
        let mut lengths = Vec::new();
        let end = each_line_within(64 << 20, &bomb, |_, line| {
            lengths.push(line.len());
            Ok(())
        });
        assert_eq!(lengths, [MOST_RECORD_BYTES + 1], "a line is cut while it is decompressed");
        assert!(end.unwrap().unwrap_err().to_string().contains("more than 67108864 bytes"));
        // A frame that wants a window of 1 GiB is refused before it gets one.
        let mut greedy = zstd::Encoder::new(Vec::new(), 1).unwrap();
        greedy.window_log(30).unwrap();
        greedy.write_all(&lines(0..1)).unwrap();
        let segment = read_segment(&greedy.finish().unwrap(), "a").unwrap();
        assert_eq!(segment.findings[0].code, "BOT-6203");
    }

    proptest! {
        #[test]
        fn damaged_bytes_never_panic(at in 0_usize..600, to: u8) {
            let (mut bytes, _) = written();
            let at = at % bytes.len();
            bytes[at] = to;
            let _ = read_segment(&bytes, "a");
            let _ = read_segment(&bytes[at..], "a");
        }
    }
}
