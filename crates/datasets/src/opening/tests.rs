//! Files that are opened, and files that are refused.

use super::*;
use proptest::prelude::*;
use std::{fs, io::Write as _};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 3).unwrap()
}

fn unpack(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    let mut opened = begin(Box::new(bytes), "a", None, Encoding::Utf8, limits, Identity::Unknown)?;
    let mut out = Vec::new();
    opened.reader.read_to_end(&mut out).map_err(|error| unread(error, "a"))?;
    Ok(out)
}

#[test]
fn the_content_decides_the_packing_whatever_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let table = b"text,intent\nhello,a\n".as_slice();
    for (name, bytes, packing) in [
        ("a.csv", table.to_vec(), Packing::Plain),
        ("b.csv.gz", table.to_vec(), Packing::Plain),
        ("c.csv.gz", gzip(table), Packing::Gzip),
        ("d.csv", gzip(table), Packing::Gzip),
        ("e.csv", zstd(table), Packing::Zstd),
        (
            "f.csv.gz",
            [gzip(b"text,int"), gzip(b""), gzip(b"ent\nhello,a\n")].concat(),
            Packing::Gzip,
        ),
        ("g.csv.zst", [zstd(b"text,int"), zstd(b"ent\nhello,a\n")].concat(), Packing::Zstd),
        ("h.csv.gz", gzip(&[b"\xef\xbb\xbf", table].concat()), Packing::Gzip),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let mut opened =
            open(&path, None, Encoding::Utf8, &Limits::default(), Identity::Digested).unwrap();
        assert_eq!((opened.format, opened.packing), (Format::Csv, packing), "{name}");
        let mut read = Vec::new();
        opened.reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, table, "{name}");
        let progress = opened.progress();
        assert_eq!(progress.bytes(), (bytes.len() as u64, bytes.len() as u64), "{name}");
        assert_eq!(progress.digest(), Some(Digest::of(&bytes)), "{name}");
    }
}

#[test]
fn the_name_decides_the_format_or_else_the_content() {
    for (name, content, format) in [
        ("a.csv", "{", Format::Csv),
        ("a.TSV.gz", "", Format::Tsv),
        ("a.ndjson.zst", "", Format::Jsonl),
        ("a.json", "  [", Format::Json),
        ("a.json", "{\"text\":1}", Format::Jsonl),
        ("a.pq", "", Format::Parquet),
        ("nlu.yml", "", Format::Rasa),
        ("-", "PAR1", Format::Parquet),
        ("-", "\n {", Format::Jsonl),
        ("-", "[{", Format::Json),
        ("-", "version: \"3.1\"\r\nnlu:\r\n- intent: a", Format::Rasa),
        ("-", "text,intent\n", Format::Csv),
        ("a.gz", "text,intent\n", Format::Csv),
    ] {
        assert_eq!(Format::of(name, content.as_bytes()), format, "{name} {content}");
    }
}

#[test]
fn a_bomb_is_refused_by_its_ratio_and_by_its_size() {
    // One repeated line packs to 1/1000 of its size.
    let line = b"text,intent\n".repeat(200 << 10);
    let limits = Limits { ratio_from_bytes: 1 << 20, ..Limits::default() };
    let fault = unpack(&zstd(&line), &limits).unwrap_err();
    assert_eq!(fault.code(), "BOT-2160", "{fault}");
    // A file that is packed twice is unpacked once, and the result is not text.
    let fault = unpack(&gzip(&gzip(&line)), &limits).unwrap_err();
    assert_eq!(fault.code(), "BOT-2103", "{fault}");
    let packed = gzip(&line);
    let fault = unpack(&packed, &limits).unwrap_err();
    assert_eq!(fault.code(), "BOT-2160", "{fault}");
    assert!(fault.hints()[1].contains("--max-unpacked 16GiB"), "{:?}", fault.hints());
    assert_eq!(unpack(&packed, &Limits::up_to(1 << 30)).unwrap().len(), line.len());
    let fault = unpack(&packed, &Limits::up_to(1 << 20)).unwrap_err();
    assert!(fault.message().contains("more than 1MiB"), "{fault}");
    assert!(fault.hints()[1].contains("--max-unpacked 2MiB"), "{:?}", fault.hints());
}

#[test]
fn a_damaged_packed_file_is_reported() {
    let table: Vec<u8> = (0..20_000).flat_map(|i| format!("text {i},a\n").into_bytes()).collect();
    for packed in [gzip(&table), zstd(&table)] {
        let cut = &packed[..packed.len() / 2];
        let fault = unpack(cut, &Limits::default()).unwrap_err();
        assert_eq!(fault.code(), "BOT-2161", "{fault}");
        assert!(fault.message().contains("cut off"), "{fault}");
        let mut altered = packed.clone();
        let middle = altered.len() / 2;
        altered[middle..middle + 64].fill(0xff);
        let fault = unpack(&altered, &Limits::default()).unwrap_err();
        assert_eq!(fault.code(), "BOT-2161", "{fault}");
    }
}

#[test]
fn a_pattern_names_files_in_the_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d.csv")).unwrap();
    for name in ["b.csv", "a.csv", ".c.csv", "a.tsv", "d.csv/e.csv", "[x].csv"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let names = |pattern: &str| -> Vec<String> {
        let found = expand(&folder.path().join(pattern)).unwrap();
        let name = |path: &PathBuf| path.strip_prefix(folder.path()).unwrap().display().to_string();
        found.iter().map(name).collect()
    };
    assert_eq!(names("*.csv"), ["[x].csv", "a.csv", "b.csv"]);
    assert_eq!(names("**/*.csv"), ["[x].csv", "a.csv", "b.csv", "d.csv/e.csv"]);
    assert_eq!(names("[x].csv"), ["[x].csv"]);
    assert_eq!(names("nowhere.csv"), ["nowhere.csv"]);
    for pattern in ["*.jsonl", "[.csv"] {
        let fault = expand(&folder.path().join(pattern)).unwrap_err();
        assert_eq!(fault.code(), "BOT-1001", "{fault}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_an_unpacker_panic_or_run_on(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        head in prop::sample::select(vec![&b""[..], b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"]),
    ) {
        let bytes = [head, &bytes].concat();
        if let Err(fault) = unpack(&bytes, &Limits::up_to(1 << 24)) {
            prop_assert!(fault.code().starts_with("BOT-2") && fault.place().file.is_some());
        }
    }
}
