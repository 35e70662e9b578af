//! dump
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]
use botops::{
    models::{CrossValidator, HeadKind, HeadSpec, ModelSpec, Resources, Sample, Silent, temperatures},
    stats::random::Random,
};
use std::{fs, io::Write as _, path::Path};

fn read(path: &Path) -> Vec<(String, String)> {
    let mut reader = csv::Reader::from_path(path).expect("the data set is readable");
    let records = reader.records();
    records
        .map(|record| {
            let record = record.expect("well-formed");
            (record[0].to_owned(), record[1].to_owned())
        })
        .collect()
}
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat.rsplit(')').next().unwrap_or_default().split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0)).collect();
    fields.get(11..13).map_or(0.0, |times| times.iter().sum::<f64>() / 100.0)
}
fn main() {
    let banking = std::env::var("BOTOPS_BANKING77_DIR").unwrap();
    let sets = [
        ("banking", read(&Path::new(&banking).join("train.csv"))),
        ("support", read(Path::new("datasets/support/utterances.csv"))),
    ];
    let head = |kind, c, alpha| ModelSpec { head: HeadSpec { kind, c, alpha, ..HeadSpec::default() }, ..ModelSpec::default() };
    let specs = [
        ("svm1.5", head(HeadKind::LinearSvm, None, None), 5),
        ("svm0.3", head(HeadKind::LinearSvm, Some(0.3), None), 5),
        ("svm0.1", head(HeadKind::LinearSvm, Some(0.1), None), 5),
        ("lr30", head(HeadKind::LogisticRegression, None, None), 5),
        ("lr5", head(HeadKind::LogisticRegression, Some(5.0), None), 5),
        ("lr1", head(HeadKind::LogisticRegression, Some(1.0), None), 5),
        ("cnb1", head(HeadKind::ComplementNaiveBayes, None, Some(1.0)), 5),
        ("cnb1x10", head(HeadKind::ComplementNaiveBayes, None, Some(1.0)), 10),
        ("svm0.3x10", head(HeadKind::LinearSvm, Some(0.3), None), 10),
    ];
    for (set, records) in &sets {
        let mut names: Vec<&str> = records.iter().map(|r| r.1.as_str()).filter(|n| *n != "oos").collect();
        names.sort_unstable();
        names.dedup();
        for seed in 1..=3_u64 {
            let mut random = Random::stream(seed, 0x4015E);
            let mut inside: Vec<usize> = (0..records.len()).filter(|&i| records[i].1 != "oos").collect();
            let n = inside.len();
            random.shuffle(&mut inside);
            let mut given: Vec<&str> = records.iter().map(|r| r.1.as_str()).collect();
            for &i in &inside[..n / 20] {
                loop {
                    let other = names[random.below(names.len())];
                    if other != given[i] { given[i] = other; break; }
                }
            }
            let samples: Vec<Sample<'_>> = records.iter().zip(&given).map(|(r, intent)| Sample { text: &r.0, intent }).collect();
            for (name, spec, folds) in &specs {
                let start = cpu_seconds();
                let cv = CrossValidator::new(&samples, *folds, 17, Resources::default()).unwrap();
                let mid = cpu_seconds();
                let held = cv.held_out(spec, 0..*folds as u32, 1.0, 2, &Silent).unwrap();
                let t = temperatures(&held);
                println!("{set} {seed} {name}: folds {:.2} cv {:.2} T {t:.3?}", mid - start, cpu_seconds() - mid);
                let k = cv.labels().len();
                let mut out = Vec::new();
                for (fold, t) in held.iter().zip(&t) {
                    for i in 0..fold.n_inside() {
                        let s = fold.samples[i] as usize;
                        let truth = cv.labels().index_of(&records[s].1).unwrap();
                        for v in [s as f32, fold.truth[i] as f32, truth as f32, *t as f32, f32::from(u8::from(fold.understood[i]))] { out.extend(v.to_le_bytes()); }
                        for v in &fold.inside_scores()[i * k..][..k] { out.extend((*v as f32).to_le_bytes()); }
                    }
                }
                fs::File::create(format!("/work/tmp-chat/{set}-{seed}-{name}.bin")).unwrap().write_all(&out).unwrap();
            }
        }
    }
}
