//! Guesses of the language of a text, by two libraries: `whichlang` for every text, `lingua` where it does not suffice.

use super::{
    GuessedLanguage, base_language,
    known::{self, KNOWN, Known},
    script::{Letters, Script},
};
use crate::normal::{composed, decomposed};
use lingua::{LanguageDetector, LanguageDetectorBuilder};
use std::{borrow::Cow, collections::BTreeSet, fmt, panic::resume_unwind, sync::LazyLock, thread};

/// The characters of a text that are read: more evidence changes nothing.
const LONGEST: usize = 2_000;
/// The characters that `lingua` reads. Its time grows with the square of the longest word.
const LONGEST_THOROUGH: usize = 160;
/// The fewest letters that tell a language in Latin script: `ok` and `no` are words of many.
const FEWEST_LETTERS: usize = 3;
/// The letters from which a language of `whichlang` that is no candidate leaves no doubt.
const CERTAIN: usize = 40;
/// The lead of a language from which `lingua` alone changes the declared language of a record.
const SURE: f64 = 0.8;

/// When an answer is given. Set on the test words and sentences of `lingua` and on chatterbot-corpus, with 2 and 7
/// languages; `benches/language.rs` measures it on other texts.
#[derive(Debug, Clone, Copy)]
struct Rule {
    /// The letters from which the answer of `whichlang` stands alone, if it is a candidate.
    long: usize,
    /// The least lead of the best language of `lingua`, if `whichlang` agrees.
    agreed: f64,
    /// The least lead if `whichlang` does not agree.
    disagreed: f64,
}

/// Between two languages, the runner-up takes all the rest of the probability.
const OF_TWO: Rule = Rule { long: 16, agreed: 0.001, disagreed: 0.25 };
const OF_SOME: Rule = Rule { long: 20, agreed: 0.1, disagreed: 0.5 };
const OF_ALL: Rule = Rule { long: 24, ..OF_SOME };
/// The least lead, among all languages, if `whichlang` names a language that is no candidate.
const ELSEWHERE: f64 = 0.2;

/// Guesses the language of texts: one of its candidates, or none if the text does not tell.
///
/// - a language that no library knows is never guessed
/// - the answer depends on the text and the candidates alone
/// - the models are in the binary: a guesser is ready when it is made, and its first answer reads no file
///
/// The quick library answers for texts of 16 letters and more (24 among all languages), and takes about 1 µs. The thorough
/// one decides about shorter texts, and about texts that look like another language, in 20 to 300 µs.
pub struct LanguageGuesser {
    candidates: BTreeSet<&'static str>,
    rule: Rule,
    /// The models of the candidates; `None` if they are all models, or fewer than two.
    restricted: Option<LanguageDetector>,
}

impl fmt::Debug for LanguageGuesser {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LanguageGuesser").field("candidates", &self.candidates).finish()
    }
}

static ANY: LazyLock<LanguageGuesser> = LazyLock::new(LanguageGuesser::of_all);

/// The models of all languages that have one.
static ALL: LazyLock<LanguageDetector> = LazyLock::new(|| detector(KNOWN.iter()));

/// Makes the detector of at least two languages that have a model, and loads the models, which the library does with the threads of
/// `rayon`.
fn detector<'a>(known: impl Iterator<Item = &'a Known>) -> LanguageDetector {
    let languages: Vec<_> = known.filter_map(|known| known.thorough).collect();
    on_own_pool(|| {
        let detector = LanguageDetectorBuilder::from_languages(&languages)
            .with_preloaded_language_models()
            .build();
        // The first answer compiles the patterns of the library.
        detector.compute_language_confidence_values("ready");
        detector
    })
}

/// Returns the result of `work`, which uses a pool of `rayon` that nothing else uses.
///
/// A thread of a pool that waits for work in that pool takes up other tasks meanwhile. Such a task may need the detector that this
/// thread is making, and would wait for ever. A machine that gives no thread does the work on this one.
fn on_own_pool<R: Send>(work: impl Fn() -> R + Sync) -> R {
    let work = &work;
    let apart = || match rayon::ThreadPoolBuilder::new().build() {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    };
    let done = thread::scope(|scope| {
        let started = thread::Builder::new().spawn_scoped(scope, apart);
        started.ok().map(|started| started.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    done.unwrap_or_else(work)
}

impl LanguageGuesser {
    /// Returns the guesser among all known languages: Arabic, Chinese, Dutch, English, French, German, Hindi, Italian,
    /// Japanese, Korean, Portuguese, Russian, Spanish, Swedish, Turkish and Vietnamese.
    #[must_use]
    pub fn any() -> &'static Self {
        &ANY
    }

    /// Makes a guesser among the `declared` languages; regions do not count, so `en-GB` is `en`.
    #[must_use]
    pub fn among<'a>(declared: impl IntoIterator<Item = &'a str>) -> Self {
        LazyLock::force(&ALL);
        let candidates: BTreeSet<&'static str> = declared
            .into_iter()
            .filter_map(|tag| known::of_code(base_language(tag)))
            .map(|known| known.code)
            .collect();
        let with_model: Vec<&Known> = KNOWN
            .iter()
            .filter(|known| known.thorough.is_some() && candidates.contains(known.code))
            .collect();
        let n_models = KNOWN.iter().filter(|known| known.thorough.is_some()).count();
        let restricted =
            (2..n_models).contains(&with_model.len()).then(|| detector(with_model.iter().copied()));
        let rule = if with_model.len() == 2 { OF_TWO } else { OF_SOME };
        Self { candidates, rule, restricted }
    }

    /// Makes a guesser among the `declared` languages if any is declared, else among all known ones.
    #[must_use]
    pub fn for_declared<'a>(declared: impl IntoIterator<Item = &'a str>) -> Self {
        let mut declared = declared.into_iter().filter(|tag| !tag.trim().is_empty()).peekable();
        match declared.peek() {
            Some(_) => Self::among(declared),
            None => Self::of_all(),
        }
    }

    fn of_all() -> Self {
        LazyLock::force(&ALL);
        let candidates = KNOWN.iter().map(|known| known.code).collect();
        Self { candidates, rule: OF_ALL, restricted: None }
    }

    /// Returns the number of languages that can be guessed.
    #[must_use]
    pub fn n_candidates(&self) -> usize {
        self.candidates.len()
    }

    /// Returns the language of `text`; `None` if the text does not tell, or is in none of the candidates.
    ///
    /// Of a long text, the first 2,000 characters are read.
    #[must_use]
    pub fn guess(&self, text: &str) -> Option<GuessedLanguage> {
        if self.candidates.is_empty() {
            return None;
        }
        let text = normal_beginning(text);
        let letters = Letters::of(&text);
        let script = letters.script()?;
        let known = match script {
            Script::Latin if letters.n < FEWEST_LETTERS => None,
            Script::Latin => self.guess_latin(&text, letters.n),
            other => known::of_script(other),
        }?;
        self.candidates.contains(known.code).then_some(GuessedLanguage(known.code))
    }

    /// Returns the language of `text`, which was `declared` to be in a language.
    ///
    /// Costs less than [`Self::guess`] if the text looks like the declared language, and is less strict then. Returns
    /// `None` for a declared language that no library knows: every guess would be wrong.
    #[must_use]
    pub fn reads_as(&self, text: &str, declared: &str) -> Option<GuessedLanguage> {
        let declared = known::of_code(base_language(declared))?;
        if declared.script == Script::Latin {
            let text = normal_beginning(text);
            let letters = Letters::of(&text);
            if letters.n >= FEWEST_LETTERS
                && letters.script() == Some(Script::Latin)
                && known::of_quick(whichlang::detect_language(&text)).code == declared.code
            {
                return Some(GuessedLanguage(declared.code));
            }
        }
        self.guess(text)
    }

    /// Returns the language of `text`, if it is a candidate other than the `declared` one; see [`Self::reads_as`].
    #[must_use]
    pub fn contradiction(&self, text: &str, declared: &str) -> Option<GuessedLanguage> {
        self.reads_as(text, declared).filter(|guess| !guess.is(declared))
    }

    /// Returns whether both libraries read `text` as `guess`, and the second is sure.
    #[must_use]
    pub fn is_sure(&self, text: &str, guess: GuessedLanguage) -> bool {
        let text = normal_beginning(text);
        if known::of_code(guess.code()).is_none_or(|known| known.script != Script::Latin) {
            return self.guess(&text) == Some(guess);
        }
        let (best, lead) = thorough(&ALL, &text);
        known::of_quick(whichlang::detect_language(&text)).code == guess.code()
            && best.is_some_and(|best| best.code == guess.code())
            && lead >= SURE
    }

    /// Returns the language of a text in Latin script with `n_letters`.
    fn guess_latin(&self, text: &str, n_letters: usize) -> Option<&'static Known> {
        let quick = known::of_quick(whichlang::detect_language(text));
        let is_candidate = self.candidates.contains(quick.code);
        if is_candidate && n_letters >= self.rule.long {
            return Some(quick);
        }
        let is_foreign = !is_candidate && n_letters >= CERTAIN;
        if is_foreign || (is_candidate && quick.thorough.is_none() && self.restricts()) {
            return None;
        }
        let models = self.restricted.as_ref().filter(|_| is_candidate).unwrap_or(&ALL);
        let (best, lead) = thorough(models, text);
        let best = best?;
        let least = match () {
            () if !is_candidate && self.restricts() => ELSEWHERE,
            () if best.code == quick.code => self.rule.agreed,
            () => self.rule.disagreed,
        };
        (lead >= least).then_some(best)
    }

    /// Returns whether some known language is no candidate.
    fn restricts(&self) -> bool {
        self.candidates.len() < KNOWN.len()
    }
}

/// Returns the best language of `lingua`, and its lead over the second: a difference of probabilities.
///
/// The library sums in the order of a hash table, so the last bits of a probability vary. The lead is rounded to 6 decimals.
fn thorough(models: &LanguageDetector, text: &str) -> (Option<&'static Known>, f64) {
    let values = models.compute_language_confidence_values(beginning(text, LONGEST_THOROUGH));
    let probability = |at: usize| values.get(at).map_or(0.0, |(_, probability)| *probability);
    let lead = ((probability(0) - probability(1)) * 1e6).round() / 1e6;
    let best = values.first().filter(|_| probability(0) > 0.0 && lead > 0.0);
    (best.and_then(|(language, _)| known::of_thorough(*language)), lead)
}

/// Returns the first `most` characters of `text`.
fn beginning(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}

/// Returns the beginning of `text` that is read, with accents as parts of their letters.
fn normal_beginning(text: &str) -> Cow<'_, str> {
    let text = beginning(text, LONGEST);
    match text.is_ascii() || decomposed(text).next().is_none() {
        true => Cow::Borrowed(text),
        false => Cow::Owned(composed(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(guesser: &LanguageGuesser, text: &str) -> Option<&'static str> {
        guesser.guess(text).map(GuessedLanguage::code)
    }

    #[test]
    fn models_are_not_loaded_by_the_pool_that_waits_for_them() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let (waiting, loading) = pool.install(|| {
            let here = || (thread::current().id(), rayon::current_thread_index().is_some());
            (here(), on_own_pool(here))
        });
        assert_ne!(waiting.0, loading.0);
        assert!(loading.1, "a thread of a pool");
    }

    #[test]
    fn english_requests_with_an_article_are_not_french() {
        let two = LanguageGuesser::among(["en", "fr"]);
        for text in [
            "set a timer",
            "report a bug",
            "start a claim",
            "book a flight",
            "talk to a human",
            "open an account",
            "a",
        ] {
            assert_ne!(code(LanguageGuesser::any(), text), Some("fr"), "{text}");
            assert_ne!(code(&two, text), Some("fr"), "{text}");
        }
        for text in ["set a timer", "report a bug", "start a claim", "where is my parcel?"] {
            assert_eq!(code(&two, text), Some("en"), "{text}");
        }
    }

    #[test]
    fn short_requests_are_recognized_in_the_languages_of_a_bot() {
        let two = LanguageGuesser::among(["en", "fr-CA"]);
        for (text, language) in [
            ("WHERE IS MY ORDER", "en"),
            ("can't log in", "en"),
            ("it's broken", "en"),
            ("thanks", "en"),
            ("où est mon colis ?", "fr"),
            ("OU EST MA COMMANDE", "fr"),
            ("remboursement svp", "fr"),
            ("merci", "fr"),
            ("bonjour", "fr"),
            ("je veux annuler", "fr"),
            ("l’e\u{301}cran est casse\u{301}", "fr"),
        ] {
            assert_eq!(code(&two, text), Some(language), "{text}");
        }
    }

    #[test]
    fn many_languages_are_recognized_without_a_declaration() {
        for (text, language) in [
            ("wo ist mein paket", "de"),
            ("ich möchte meinen Vertrag kündigen", "de"),
            ("¿dónde está mi pedido?", "es"),
            ("quiero cancelar mi cuenta por favor", "es"),
            ("vorrei un rimborso", "it"),
            ("onde está o meu pedido de ontem", "pt"),
            ("waar is mijn pakket", "nl"),
            ("var är mitt paket och när kommer det fram", "sv"),
            ("siparişim nerede, ne zaman gelecek", "tr"),
            ("где моя посылка", "ru"),
            ("أين طلبي", "ar"),
            ("注文はどこですか", "ja"),
            ("내 주문은 어디에 있나요", "ko"),
            ("我的订单在哪里", "zh"),
        ] {
            assert_eq!(code(LanguageGuesser::any(), text), Some(language), "{text}");
        }
    }

    #[test]
    fn texts_without_evidence_have_no_language() {
        for text in
            ["", " ", "12345", "🙂👍", "?!", "ok", "a", "FR-20451998", "d' 12 'c'", "/d/l", "Łódź"]
        {
            assert_eq!(code(LanguageGuesser::any(), text), None, "{text}");
        }
    }

    #[test]
    fn only_candidates_are_guessed_and_a_foreign_text_is_none_of_them() {
        let two = LanguageGuesser::among(["en", "fr"]);
        for text in [
            "ich möchte meinen Vertrag kündigen",
            "wo ist mein paket",
            "quiero cancelar mi cuenta por favor",
            "dónde está mi pedido",
            "waar is mijn pakket",
            "где моя посылка",
        ] {
            assert_eq!(code(&two, text), None, "{text}");
        }
        let one = LanguageGuesser::among(["de"]);
        assert_eq!(code(&one, "ich möchte meinen Vertrag kündigen"), Some("de"));
        assert_eq!(code(&one, "where is my parcel?"), None);
        let unknown = LanguageGuesser::among(["eu", "tlh"]);
        assert_eq!(code(&unknown, "where is my parcel?"), None);
        assert_eq!(unknown.n_candidates(), 0);
    }

    #[test]
    fn a_declared_language_is_contradicted_only_by_another_one() {
        let any = LanguageGuesser::any();
        let contradiction = |text, declared| any.contradiction(text, declared).map(|g| g.code());
        assert_eq!(contradiction("set a timer", "en"), None);
        assert_eq!(contradiction("where is my parcel?", "en-GB"), None);
        assert_eq!(contradiction("where is my parcel?", "fr"), Some("en"));
        assert_eq!(contradiction("où est mon colis ?", "EN"), Some("fr"));
        assert_eq!(contradiction("ich möchte meinen Vertrag kündigen", "fr"), Some("de"));
        assert_eq!(contradiction("non dago nire paketea?", "eu"), None, "no library knows Basque");
        assert_eq!(contradiction("merci", "en"), None, "short texts with borrowed words");
    }

    #[test]
    fn guesses_do_not_depend_on_threads() {
        let texts =
            ["merci", "refund", "danke", "hola", "cancel my order", "set a timer", "annuler"];
        let guesser = LanguageGuesser::among(["fr", "en"]);
        let all = || texts.map(|text| (guesser.guess(text), LanguageGuesser::any().guess(text)));
        let first = all();
        std::thread::scope(|scope| {
            let others: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..20).map(|_| all()).collect::<Vec<_>>()))
                .collect();
            for other in others {
                assert!(other.join().unwrap().iter().all(|answers| *answers == first));
            }
        });
    }
}
