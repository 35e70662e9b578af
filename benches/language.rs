//! Guesses of languages on short texts: wrong and undecided shares by language and length, and the time of a guess.
//!
//! `cargo bench --bench language` measures the utterances of `datasets/support`. With `BOTOPS_TEXTS=FILE`, it measures the
//! lines `set<TAB>language<TAB>text` of a file, for example of public test sets, which are not in the repository. With
//! `BOTOPS_LANGUAGES=en,fr`, guesses are restricted to these languages, as in a bot that answers in them, and the texts of
//! other languages are reported as foreign: right is no guess. The aim is at most 2 % wrong, at most 15 % undecided, and a
//! median of at most 3 microseconds.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

use botops_text::{GuessedLanguage, LanguageGuesser};
use std::{collections::BTreeMap, time::Instant};

/// Upper edges of the lengths that are reported, in characters.
const LENGTHS: [usize; 4] = [10, 20, 40, 80];
/// The times that a text is guessed; the fastest counts.
const REPEATS: usize = 3;

/// A text with the name of its set and its language.
struct Text {
    set: String,
    language: String,
    text: String,
}

fn texts() -> Vec<Text> {
    let Ok(path) = std::env::var("BOTOPS_TEXTS") else {
        let mut reader =
            csv::Reader::from_path("datasets/support/utterances.csv").expect("the data is there");
        let rows = reader.records().map(|row| row.expect("the data set is well-formed"));
        return rows
            .map(|row| Text {
                set: "support".to_owned(),
                language: row[2].to_owned(),
                text: row[0].to_owned(),
            })
            .collect();
    };
    let content = std::fs::read_to_string(path).expect("BOTOPS_TEXTS names a file");
    let parts = content.lines().filter_map(|line| {
        let (set, rest) = line.split_once('\t')?;
        let (language, text) = rest.split_once('\t')?;
        Some(Text { set: set.to_owned(), language: language.to_owned(), text: text.to_owned() })
    });
    parts.collect()
}

/// The outcomes of the texts of one row of a table.
#[derive(Default)]
struct Outcomes {
    wrong: usize,
    undecided: usize,
    micros: Vec<f64>,
}

impl Outcomes {
    fn add(&mut self, answer: Option<GuessedLanguage>, truth: Option<&str>, micros: f64) {
        self.micros.push(micros);
        match answer {
            None => self.undecided += 1,
            Some(answer) => self.wrong += usize::from(truth != Some(answer.code())),
        }
    }

    fn print(&mut self, name: &str) {
        self.micros.sort_by(f64::total_cmp);
        let n = self.micros.len();
        let share = |count: usize| 100.0 * count as f64 / n as f64;
        let quantile = |q: f64| self.micros[((n - 1) as f64 * q) as usize];
        println!(
            "{name:34} {n:6} {:8.1} {:10.1} {:8.1} {:8.1} {:8.1}",
            share(self.wrong),
            share(self.undecided),
            quantile(0.5),
            quantile(0.9),
            quantile(0.99)
        );
    }
}

fn main() {
    let languages = std::env::var("BOTOPS_LANGUAGES").unwrap_or_default();
    let declared: Vec<&str> = languages.split(',').filter(|name| !name.is_empty()).collect();
    let begun = Instant::now();
    let guesser = LanguageGuesser::for_declared(declared.iter().copied());
    println!("ready after {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    println!(
        "{:34} {:>6} {:>8} {:>10} {:>8} {:>8} {:>8}",
        "texts", "n", "wrong %", "no guess %", "p50 us", "p90 us", "p99 us"
    );
    let mut rows: BTreeMap<String, Outcomes> = BTreeMap::new();
    for Text { set, language, text } in texts() {
        let is_known = declared.is_empty() || declared.contains(&language.as_str());
        let mut micros = f64::INFINITY;
        let mut answer = None;
        for _ in 0..REPEATS {
            let begun = Instant::now();
            answer = guesser.guess(&text);
            micros = micros.min(begun.elapsed().as_secs_f64() * 1e6);
        }
        let length = text.chars().count();
        let length = LENGTHS.iter().find(|most| length <= **most).map_or_else(
            || format!("over {} characters", LENGTHS[LENGTHS.len() - 1]),
            |most| format!("up to {most:2} characters"),
        );
        let (truth, names) = match is_known {
            true => (
                Some(language.as_str()),
                vec![format!("{set}"), format!("{set}, {language}"), format!("{set}, {length}")],
            ),
            false => (None, vec![format!("{set}, foreign")]),
        };
        for name in names {
            rows.entry(name).or_default().add(answer, truth, micros);
        }
    }
    for (name, outcomes) in &mut rows {
        outcomes.print(name);
    }
}
