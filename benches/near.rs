//! Near duplicates: CPU seconds, pairs, groups, recall against brute force, and growth.
//!
//! `cargo bench --bench near` recombines the utterances of `datasets/support` (and of BANKING77, if
//! `BOTOPS_BANKING77_DIR` names its folder) into 100,000 texts, for the join and for `botops data duplicates` as a
//! process. `-- growth` adds 3 and 10 times as many, `-- hard` texts made to be hard, and `-- minhash` the usual
//! approximate method on the same texts.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

#[path = "process/cpu.rs"]
mod cpu;
#[path = "process/memory.rs"]
mod memory;

use botops_stats::random::Random;
use botops_text::{NearPairs, NearSpec, fold, near_between, near_groups, near_pairs};
use cpu::cpu_seconds;
use memory::peak_mb;
use rayon::prelude::*;
use serde_json::Value;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    env, fs,
    path::Path,
    process::Command,
    time::Instant,
};

/// The number of texts of the main measurement.
const TEXTS: usize = 100_000;
/// The number of texts that are compared with all others by brute force.
const SAMPLE: usize = 400;

fn read(path: &Path) -> Vec<String> {
    let mut reader = csv::Reader::from_path(path).expect("the data set is readable");
    let records = reader.records();
    records.map(|record| record.expect("the data set is well-formed")[0].to_owned()).collect()
}

/// Recombines utterances: half of them get head and tail from two utterances, and then up to four edits of a word or
/// a letter.
fn recombined(base: &[String], n: usize, seed: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    let words: Vec<Vec<&str>> = base.iter().map(|text| text.split_whitespace().collect()).collect();
    (0..n)
        .map(|_| {
            let one = &words[random.below(words.len())];
            let mut text: Vec<String> = if random.below(2) == 0 {
                one.iter().map(|&word| word.to_owned()).collect()
            } else {
                let other = &words[random.below(words.len())];
                let tail = &other[random.below(other.len() + 1)..];
                let head = &one[..random.below(one.len() + 1)];
                head.iter().chain(tail).map(|&word| word.to_owned()).collect()
            };
            for _ in 0..random.below(5) {
                if text.is_empty() {
                    break;
                }
                let at = random.below(text.len());
                let other = &words[random.below(words.len())];
                let word = other.get(random.below(other.len().max(1))).copied().unwrap_or("please");
                match random.below(5) {
                    0 => drop(text.remove(at)),
                    1 => text.insert(at, word.to_owned()),
                    2 => text[at] = word.to_owned(),
                    3 => text[at] = random.below(10_000).to_string(),
                    _ => {
                        let mut letters: Vec<char> = text[at].chars().collect();
                        let place = random.below(letters.len());
                        letters[place] = char::from(b'a' + random.below(26) as u8);
                        text[at] = letters.into_iter().collect();
                    }
                }
            }
            text.join(" ")
        })
        .collect()
}

fn as_strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// Runs `work` and returns its result, with the CPU seconds and the wall-clock seconds.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64, f64) {
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let made = work();
    (made, cpu_seconds() - cpu, started.elapsed().as_secs_f64())
}

fn measure(name: &str, texts: &[String], spec: &NearSpec) -> NearPairs {
    let texts = as_strs(texts);
    let (pairs, cpu, seconds) = timed(|| near_pairs(&texts, spec));
    println!(
        "{name}, {} texts: pairs {cpu:.2} s of CPU, {seconds:.2} s: {} found, {} texts cut",
        texts.len(),
        pairs.pairs.len(),
        pairs.truncated,
    );
    let (groups, cpu, seconds) = timed(|| near_groups(&texts, spec));
    let mut sizes: HashMap<u32, usize> = HashMap::new();
    for &group in &groups.group_of {
        *sizes.entry(group).or_default() += 1;
    }
    println!(
        "  groups {cpu:.2} s of CPU, {seconds:.2} s: {} groups, the largest of {}, {} texts cut",
        sizes.len(),
        sizes.values().max().unwrap_or(&0),
        groups.truncated,
    );
    let (reference, current) = texts.split_at(texts.len() * 4 / 5);
    let (between, cpu, seconds) = timed(|| near_between(reference, current, spec));
    println!(
        "  4/5 against 1/5 {cpu:.2} s of CPU, {seconds:.2} s: {} pairs, {} texts cut; peak so far {:.0} MB",
        between.pairs.len(),
        between.truncated,
        peak_mb(),
    );
    pairs
}

fn shingles(text: &str, n: usize) -> Vec<String> {
    let chars: Vec<char> = fold(text).chars().collect();
    let set: BTreeSet<String> = match chars.len() {
        0 => BTreeSet::new(),
        len if len < n => BTreeSet::from([chars.iter().collect()]),
        _ => chars.windows(n).map(|window| window.iter().collect()).collect(),
    };
    set.into_iter().collect()
}

/// Returns the shingles of each text as numbers, in their order.
fn numbered(texts: &[String], n: usize) -> Vec<Vec<u32>> {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    texts
        .iter()
        .map(|text| {
            let mut set: Vec<u32> = shingles(text, n)
                .into_iter()
                .map(|shingle| {
                    let next = numbers.len() as u32;
                    *numbers.entry(shingle).or_insert(next)
                })
                .collect();
            set.sort_unstable();
            set
        })
        .collect()
}

fn jaccard(a: &[u32], b: &[u32]) -> f64 {
    let (mut i, mut j, mut common) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        let order = a[i].cmp(&b[j]);
        common += usize::from(order.is_eq());
        i += usize::from(order.is_le());
        j += usize::from(order.is_ge());
    }
    match a.len() + b.len() - common {
        0 => 1.0,
        all => common as f64 / all as f64,
    }
}

/// Returns how many near pairs of a sample of texts were found, and how many there are. Of texts that differ only in
/// folding, the first counts.
fn recall(
    texts: &[String],
    spec: &NearSpec,
    is_found: impl Fn((u32, u32)) -> bool,
) -> (usize, usize) {
    let sets = numbered(texts, spec.shingle());
    let mut seen = HashSet::new();
    let firsts: Vec<usize> = (0..texts.len()).filter(|&i| seen.insert(fold(&texts[i]))).collect();
    let sample: Vec<usize> = firsts.iter().copied().step_by(firsts.len() / SAMPLE).collect();
    let near: Vec<(u32, u32)> = sample
        .par_iter()
        .flat_map_iter(|&a| {
            let sets = &sets;
            firsts
                .iter()
                .filter(move |&&b| a != b && jaccard(&sets[a], &sets[b]) >= spec.threshold())
                .map(move |&b| (a.min(b) as u32, a.max(b) as u32))
        })
        .collect();
    (near.iter().filter(|&&pair| is_found(pair)).count(), near.len())
}

/// Measures the process `botops data duplicates`: its cost, and the near pairs that it groups.
fn measure_command(texts: &[String], spec: &NearSpec) {
    let folder = env::temp_dir().join(format!("botops-near-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the folder can be made");
    let data = folder.join("utterances.csv");
    let mut writer = csv::Writer::from_path(&data).expect("the folder takes files");
    writer.write_record(["text", "intent"]).expect("the disk takes it");
    for text in texts {
        writer.write_record([text, "any"]).expect("the disk takes it");
    }
    writer.flush().expect("the disk takes it");
    let (output, cpu, seconds) = timed(|| {
        Command::new(env!("CARGO_BIN_EXE_botops"))
            .args(["data", "duplicates", "--format", "json"])
            .arg(&data)
            .output()
            .expect("it starts")
    });
    fs::remove_dir_all(&folder).expect("it is there");
    let printed: Value = serde_json::from_slice(&output.stdout).expect("the answer is JSON");
    let answer = &printed["data"];
    let mut group_of: HashMap<u64, usize> = HashMap::new();
    for (number, group) in answer["groups"].as_array().into_iter().flatten().enumerate() {
        for member in group["members"].as_array().into_iter().flatten() {
            group_of.insert(member["record"].as_u64().expect("a record has a number"), number);
        }
    }
    let group = |text: u32| group_of.get(&(u64::from(text) + 1));
    let is_found = |(a, b)| group(a).is_some() && group(a) == group(b);
    let (hit, near) = recall(texts, spec, is_found);
    println!(
        "`botops data duplicates`, {} records: {cpu:.2} s of CPU, {seconds:.2} s: {} exact and {} near groups; of {near} near pairs, {hit} are in one group",
        answer["records"], answer["exact_groups"], answer["near_groups"],
    );
}

fn pair_set(found: &NearPairs) -> HashSet<(u32, u32)> {
    found.pairs.iter().map(|pair| (pair.a, pair.b)).collect()
}

/// MinHash of 128 values in `bands` bands, with every candidate verified: the usual method, for comparison.
fn minhash(texts: &[String], spec: &NearSpec, bands: usize) -> HashSet<(u32, u32)> {
    const VALUES: usize = 128;
    let mut random = Random::new(17);
    let multipliers: Vec<(u32, u32)> =
        (0..VALUES).map(|_| (random.bits() as u32 | 1, random.bits() as u32)).collect();
    let sets = numbered(texts, spec.shingle());
    let values: Vec<[u32; VALUES]> = sets
        .par_iter()
        .map(|set| {
            let mut least = [u32::MAX; VALUES];
            for shingle in set {
                let mixed = (u64::from(*shingle) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let mixed = (mixed >> 32) as u32 ^ mixed as u32;
                for (least, (multiplier, offset)) in least.iter_mut().zip(&multipliers) {
                    *least = (*least).min(mixed.wrapping_mul(*multiplier).wrapping_add(*offset));
                }
            }
            least
        })
        .collect();
    let rows = VALUES / bands;
    let mut candidates: HashSet<(u32, u32)> = HashSet::new();
    for band in 0..bands {
        let mut buckets: HashMap<&[u32], Vec<u32>> = HashMap::new();
        for (text, values) in (0..).zip(&values) {
            buckets.entry(&values[band * rows..][..rows]).or_default().push(text);
        }
        for bucket in buckets.values() {
            for (i, &b) in bucket.iter().enumerate() {
                candidates.extend(bucket[..i].iter().map(|&a| (a, b)));
            }
        }
    }
    let near =
        |&(a, b): &(u32, u32)| jaccard(&sets[a as usize], &sets[b as usize]) >= spec.threshold();
    candidates.into_par_iter().filter(near).collect()
}

/// Returns hard texts: all of them near duplicates, or almost.
fn hard(n: usize) -> Vec<(&'static str, Vec<String>)> {
    let mut random = Random::new(3);
    let mut number = move |bound: usize| random.below(bound);
    let letters = |n: usize, of: u8, number: &mut dyn FnMut(usize) -> usize| -> String {
        (0..n).map(|_| char::from(b'a' + number(usize::from(of)) as u8)).collect()
    };
    let long = "the parcel that i ordered two weeks ago has still not arrived and nobody answers";
    vec![
        (
            "a template with a number",
            (0..n).map(|_| format!("where is my parcel {:06}, it was due last week", number(1_000_000))).collect(),
        ),
        (
            "a template with a number in front and one behind",
            (0..n).map(|_| format!("{:04} where is my parcel, it should have been with me since last week {:04}", number(10_000), number(10_000))).collect(),
        ),
        (
            "two templates with the same numbers",
            (0..n)
                .map(|i| match i % 2 {
                    0 => format!("order {:05} was sent to the wrong address", number(100_000)),
                    _ => format!("order {:05} has a wrong price on the bill", number(100_000)),
                })
                .collect(),
        ),
        (
            "a template too short to be near",
            (0..n).map(|_| format!("order {:06} is late", number(1_000_000))).collect(),
        ),
        (
            "a text with typing errors",
            (0..n)
                .map(|_| {
                    let mut text: Vec<char> = long.chars().collect();
                    for _ in 0..1 + number(6) {
                        let place = number(text.len());
                        text[place] = char::from(b'a' + number(26) as u8);
                    }
                    text.into_iter().collect()
                })
                .collect(),
        ),
        ("random letters of four", (0..n).map(|_| letters(30, 4, &mut number)).collect()),
        ("random letters of two", (0..n).map(|_| letters(40, 2, &mut number)).collect()),
        (
            "ten words in any order",
            (0..n)
                .map(|_| {
                    let mut words: Vec<&str> = long.split(' ').take(10).collect();
                    for i in (1..words.len()).rev() {
                        words.swap(i, number(i + 1));
                    }
                    words.join(" ")
                })
                .collect(),
        ),
        ("long texts", (0..n / 2_000).map(|_| letters(200_000, 26, &mut number)).collect()),
    ]
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let has_argument = |word: &str| arguments.iter().any(|argument| argument == word);
    let spec = NearSpec::default();
    let mut base = read(Path::new("datasets/support/utterances.csv"));
    if let Some(folder) = env::var_os("BOTOPS_BANKING77_DIR") {
        let banking = read(&Path::new(&folder).join("train.csv"));
        measure("banking77", &banking, &spec);
        base.extend(banking);
    }
    let texts = recombined(&base, TEXTS, 17);
    let found = pair_set(&measure("recombined", &texts, &spec));
    let (hit, near) = recall(&texts, &spec, |pair| found.contains(&pair));
    println!("  of {near} near pairs of {SAMPLE} texts with any other, {hit} were found");
    measure_command(&texts, &spec);
    if has_argument("minhash") {
        for bands in [16, 32] {
            let (found, cpu, seconds) = timed(|| minhash(&texts, &spec, bands));
            let (hit, near) = recall(&texts, &spec, |pair| found.contains(&pair));
            println!(
                "minhash in {bands} bands: {cpu:.2} s of CPU, {seconds:.2} s; {hit} of {near} were found"
            );
        }
    }
    if has_argument("growth") {
        for times in [3, 10] {
            measure("recombined", &recombined(&base, times * TEXTS, 17), &spec);
        }
    }
    if has_argument("hard") {
        for (name, texts) in hard(TEXTS) {
            measure(name, &texts, &spec);
        }
    }
}
