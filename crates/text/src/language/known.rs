//! The languages that the libraries know.

use super::script::Script;
use lingua::Language as Lingua;
use whichlang::Lang;

/// A language that can be guessed.
#[derive(Debug)]
pub(super) struct Known {
    /// Its code, ISO 639-1.
    pub(super) code: &'static str,
    /// Its English name.
    pub(super) name: &'static str,
    /// Its script.
    pub(super) script: Script,
    /// The answer of `whichlang`.
    pub(super) quick: Lang,
    /// The model of `lingua`, if it is built in. Each takes about 4.3 MB of the binary.
    pub(super) thorough: Option<Lingua>,
}

const fn known(
    code: &'static str,
    name: &'static str,
    script: Script,
    quick: Lang,
    thorough: Option<Lingua>,
) -> Known {
    Known { code, name, script, quick, thorough }
}

/// Every language that can be guessed: those of `whichlang`.
pub(super) const KNOWN: [Known; 16] = [
    known("ar", "Arabic", Script::Arabic, Lang::Ara, None),
    known("de", "German", Script::Latin, Lang::Deu, Some(Lingua::German)),
    known("en", "English", Script::Latin, Lang::Eng, Some(Lingua::English)),
    known("es", "Spanish", Script::Latin, Lang::Spa, Some(Lingua::Spanish)),
    known("fr", "French", Script::Latin, Lang::Fra, Some(Lingua::French)),
    known("hi", "Hindi", Script::Devanagari, Lang::Hin, None),
    known("it", "Italian", Script::Latin, Lang::Ita, Some(Lingua::Italian)),
    known("ja", "Japanese", Script::Kana, Lang::Jpn, None),
    known("ko", "Korean", Script::Hangul, Lang::Kor, None),
    known("nl", "Dutch", Script::Latin, Lang::Nld, Some(Lingua::Dutch)),
    known("pt", "Portuguese", Script::Latin, Lang::Por, Some(Lingua::Portuguese)),
    known("ru", "Russian", Script::Cyrillic, Lang::Rus, None),
    known("sv", "Swedish", Script::Latin, Lang::Swe, None),
    known("tr", "Turkish", Script::Latin, Lang::Tur, None),
    known("vi", "Vietnamese", Script::Latin, Lang::Vie, None),
    known("zh", "Chinese", Script::Han, Lang::Cmn, None),
];

/// Returns the language with this code, in either case.
pub(super) fn of_code(code: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.code.eq_ignore_ascii_case(code))
}

/// Returns the only known language of a script, other than Latin.
pub(super) fn of_script(script: Script) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.script == script && script != Script::Latin)
}

/// Returns the language that `whichlang` answers with.
pub(super) fn of_quick(answer: Lang) -> &'static Known {
    let known = KNOWN.iter().find(|known| known.quick == answer);
    known.expect("the table has every language of whichlang")
}

/// Returns the language of a model of `lingua`.
pub(super) fn of_thorough(answer: Lingua) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.thorough == Some(answer))
}
