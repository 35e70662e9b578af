//! The cache: segments are reused, damaged ones are ignored and reported, and no text is embedded twice.

use super::*;
use crate::encoder::cache::{EmbeddingCache, embed_cached};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

const TEXTS: [&str; 5] = ["my card is lost", "top up", "my card is lost", "", "top up"];

/// Returns the embeddings of `texts`, and the number of texts that the encoder embedded.
fn embedded(encoder: &Encoder, texts: &[&str], cache: Option<&EmbeddingCache>) -> (Vec<f32>, u64) {
    // The first call counts the texts that are cached or repeated; the encoder embeds the rest.
    let (all, first) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let advance = |n| {
        let _ = first.compare_exchange(u64::MAX, n, Ordering::Relaxed, Ordering::Relaxed);
        all.fetch_add(n, Ordering::Relaxed);
    };
    let embeddings = embed_cached(encoder, texts, cache, &advance).unwrap();
    assert_eq!(all.load(Ordering::Relaxed), texts.len() as u64);
    (embeddings, texts.len() as u64 - first.load(Ordering::Relaxed))
}

fn segments(folder: &Path, encoder: &Encoder) -> Vec<PathBuf> {
    let folder = folder.join(encoder.digest().hex());
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_text_is_embedded_once_and_then_read_from_the_cache() {
    let (encoder, folder) = (encoder(&Tiny::bert()), tempfile::tempdir().unwrap());
    let plain = encoder.embed(&TEXTS, &|_| ());
    assert_eq!(embedded(&encoder, &TEXTS, None), (plain.clone(), 3));
    let cache = EmbeddingCache::new(folder.path());
    assert_eq!(embedded(&encoder, &TEXTS, Some(&cache)), (plain.clone(), 3));
    assert_eq!(segments(folder.path(), &encoder).len(), 1);
    let again = EmbeddingCache::new(folder.path());
    assert_eq!(embedded(&encoder, &TEXTS, Some(&again)), (plain, 0));
    let more = ["top up", "refund", "pin"];
    assert_eq!(embedded(&encoder, &more, Some(&again)), (encoder.embed(&more, &|_| ()), 2));
    assert_eq!(segments(folder.path(), &encoder).len(), 2);
    let mixed = ["pin", "my card is lost"];
    assert_eq!(embedded(&encoder, &mixed, Some(&again)), (encoder.embed(&mixed, &|_| ()), 0));
    assert!(again.findings().is_empty() && cache.findings().is_empty());
    assert_eq!(embedded(&encoder, &[], Some(&again)).0, Vec::<f32>::new());
}

#[test]
fn encoders_do_not_share_embeddings() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (encoder(&Tiny::bert()), encoder(&Tiny { seed: 9, ..Tiny::bert() }));
    let cache = EmbeddingCache::new(folder.path());
    embedded(&one, &TEXTS, Some(&cache));
    assert_eq!(embedded(&other, &TEXTS, Some(&cache)), (other.embed(&TEXTS, &|_| ()), 3));
    // Also when a segment is copied to the folder of another encoder.
    let moved = segments(folder.path(), &one).remove(0);
    let third = encoder(&Tiny { seed: 10, ..Tiny::bert() });
    let own_folder = folder.path().join(third.digest().hex());
    fs::create_dir_all(&own_folder).unwrap();
    fs::copy(&moved, own_folder.join(moved.file_name().unwrap())).unwrap();
    assert_eq!(embedded(&third, &TEXTS, Some(&cache)).1, 3);
    assert!(
        cache.findings()[0].message.ends_with("it belongs to another encoder"),
        "{:?}",
        cache.findings()
    );
}

#[test]
fn a_damaged_segment_is_ignored_and_reported_and_its_texts_are_embedded_again() {
    let encoder = encoder(&Tiny::bert());
    let plain = encoder.embed(&TEXTS, &|_| ());
    type Damage = (&'static str, fn(&mut Vec<u8>));
    let damages: [Damage; 8] = [
        ("was altered", |bytes| *bytes.iter_mut().rev().nth(100).unwrap() ^= 1),
        ("was altered", |bytes| bytes[60] ^= 1),
        ("was altered", |bytes| *bytes.last_mut().unwrap() ^= 1),
        ("does not have the length in its header", |bytes| bytes.truncate(bytes.len() - 1)),
        ("does not have the length in its header", |bytes| bytes[16..24].fill(0xff)),
        ("is truncated", |bytes| bytes.truncate(11)),
        ("is not a segment", |bytes| bytes[0] = b'x'),
        ("has format 2; this botops reads 1", |bytes| bytes[8] = 2),
    ];
    for (problem, damage) in damages {
        let folder = tempfile::tempdir().unwrap();
        embedded(&encoder, &TEXTS, Some(&EmbeddingCache::new(folder.path())));
        let path = segments(folder.path(), &encoder).remove(0);
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let cache = EmbeddingCache::new(folder.path());
        assert_eq!(embedded(&encoder, &TEXTS, Some(&cache)), (plain.clone(), 3), "{problem}");
        let findings = cache.findings();
        assert_eq!(findings.len(), 1);
        assert!(findings[0].message.contains(problem), "{}", findings[0].message);
        assert_eq!(findings[0].place.file.as_deref(), path.to_str());
        // The texts were written again, so nothing is embedded a third time.
        assert_eq!(embedded(&encoder, &TEXTS, Some(&cache)), (plain.clone(), 0));
    }
}

#[test]
fn a_temporary_file_of_a_killed_process_is_skipped() {
    let (encoder, folder) = (encoder(&Tiny::bert()), tempfile::tempdir().unwrap());
    let own_folder = folder.path().join(encoder.digest().hex());
    fs::create_dir_all(&own_folder).unwrap();
    fs::write(own_folder.join("0.part"), b"half").unwrap();
    let cache = EmbeddingCache::new(folder.path());
    embedded(&encoder, &TEXTS, Some(&cache));
    assert_eq!(embedded(&encoder, &TEXTS, Some(&cache)).1, 0);
    assert!(cache.findings().is_empty());
    assert_eq!(fs::read(own_folder.join("0.part")).unwrap(), b"half");
}

#[test]
fn many_texts_become_several_segments() {
    let (encoder, folder) =
        (encoder(&Tiny { n_layers: 1, ..Tiny::bert() }), tempfile::tempdir().unwrap());
    let texts: Vec<String> = (0..4_100).map(|n| n.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let cache = EmbeddingCache::new(folder.path());
    let (first, embedded_first) = embedded(&encoder, &texts, Some(&cache));
    assert_eq!((embedded_first, segments(folder.path(), &encoder).len()), (4_100, 2));
    assert_eq!(embedded(&encoder, &texts, Some(&cache)), (first, 0));
}

#[test]
fn a_cache_that_cannot_be_created_is_a_fault_before_anything_is_embedded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let finished = AtomicU64::new(0);
    let advance = |n| {
        finished.fetch_add(n, Ordering::Relaxed);
    };
    let cache = EmbeddingCache::new(&file);
    let fault = embed_cached(&encoder(&Tiny::bert()), &TEXTS, Some(&cache), &advance).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7028", FaultKind::Internal));
    assert_eq!(finished.into_inner(), 0);
}
