//! Roles of columns: text, intent, language and entities, recognized by name.
//!
//! In: the names of the columns of a file. Out: [`Roles`], or a fault that lists the columns.

use crate::read_options::{Presence, ReadOptions};
use botops_findings::{Fault, Place, Result};
use botops_spec::nearest;
use std::collections::{BTreeMap, HashSet};

const TEXT: &[&str] = &["text", "utterance", "message", "query"];
const INTENT: &[&str] = &["intent", "label", "category"];
const LANG: &[&str] = &["lang", "language", "locale"];
const ENTITIES: &[&str] = &["entities"];

/// The columns that have a role, as indices from 0. A column has at most one role.
#[derive(Debug, Clone, PartialEq)]
pub struct Roles {
    /// The column of the utterance.
    pub text: usize,
    /// The column of the intent.
    pub intent: Option<usize>,
    /// The column of the language.
    pub lang: Option<usize>,
    /// The column of the entities.
    pub entities: Option<usize>,
}

impl Roles {
    /// Recognizes the roles of the columns called `names`.
    ///
    /// # Errors
    /// `BOT-2101` (exit 2) when a column named in `options`, the text, or a required intent is missing.
    pub(crate) fn recognize(
        names: &[String],
        options: &ReadOptions,
        place: &Place,
    ) -> Result<Self> {
        let finder = Finder { names, place };
        let mut taken = Vec::new();
        let text = match &options.text_column {
            Some(name) => finder.named(name, "--text-column")?,
            None => finder.first(TEXT, &taken).ok_or_else(|| finder.missing("text", TEXT))?,
        };
        taken.push(text);
        let mut role = |requested: &Option<String>, flag, known| -> Result<Option<usize>> {
            let found = match requested {
                Some(name) => Some(finder.named(name, flag)?),
                None => finder.first(known, &taken),
            };
            if let (Some(_), Some(column)) = (requested, found)
                && taken.contains(&column)
            {
                let name = display_name(&names[column]);
                return Err(finder
                    .fault(format!("the column `{name}` cannot have two roles"))
                    .hint(format!("name another column with `{flag}`")));
            }
            taken.extend(found);
            Ok(found)
        };
        let intent = role(&options.intent_column, "--intent-column", INTENT)?;
        let lang = role(&options.lang_column, "--lang-column", LANG)?;
        let entities = role(&None, "", ENTITIES)?;
        if intent.is_none() && options.intent == Presence::Required {
            return Err(finder.missing("intent", INTENT));
        }
        Ok(Self { text, intent, lang, entities })
    }

    /// Returns the columns that have a role, in the order text, intent, language, entities.
    pub(crate) fn columns(&self) -> impl Iterator<Item = usize> {
        [Some(self.text), self.intent, self.lang, self.entities].into_iter().flatten()
    }

    /// Returns the names of the columns that have a role, by role.
    pub(crate) fn by_role(&self, names: &[String]) -> BTreeMap<String, String> {
        [
            ("text", Some(self.text)),
            ("intent", self.intent),
            ("lang", self.lang),
            ("entities", self.entities),
        ]
        .into_iter()
        .filter_map(|(role, column)| Some((role.to_owned(), names[column?].clone())))
        .collect()
    }

    /// Returns the names of the columns that have no role, without unnamed columns.
    pub(crate) fn others(&self, names: &[String]) -> Vec<String> {
        let is_other = |&(column, name): &(usize, &String)| {
            !name.is_empty() && !self.columns().any(|taken| taken == column)
        };
        names.iter().enumerate().filter(is_other).map(|(_, name)| name.clone()).collect()
    }
}

/// Returns whether the columns called `names` include one for the text and one for the intent.
pub(crate) fn has_text_and_intent(names: &[&str]) -> bool {
    let has = |known: &[&str]| names.iter().any(|name| known.contains(&&*name.to_lowercase()));
    has(TEXT) && has(INTENT)
}

/// Refuses two columns of one name. Unnamed columns may repeat.
///
/// # Errors
/// `BOT-2109` (exit 3).
pub(crate) fn check_names(names: &[String], place: &Place) -> Result<()> {
    let mut seen = HashSet::with_capacity(names.len());
    for name in names {
        if !name.is_empty() && !seen.insert(name) {
            let name = botops_text::display(name, 40);
            return Err(Fault::data("BOT-2109", format!("two columns are called `{name}`"))
                .at(place.clone())
                .hint("rename or remove one of them"));
        }
    }
    Ok(())
}

/// Refuses the columns `found` in `file` unless they equal the `expected` ones, those of the file `previous`.
///
/// # Errors
/// `BOT-2162` (exit 3).
pub(crate) fn check_columns(
    file: &str,
    found: &BTreeMap<String, String>,
    previous: &str,
    expected: &BTreeMap<String, String>,
) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    let listed = |columns: &BTreeMap<String, String>| -> String {
        let names = columns.values().map(|name| format!("`{}`", botops_text::display(name, 40)));
        names.collect::<Vec<_>>().join(", ")
    };
    let message = format!(
        "the columns are {}, and those of `{previous}` are {}",
        listed(found),
        listed(expected)
    );
    Err(Fault::data("BOT-2162", message)
        .at(Place { file: Some(file.to_owned()), ..Place::default() })
        .hint("files that are read as one must have the same columns: rename them, or read this file alone"))
}

/// Looks for columns by name.
struct Finder<'a> {
    names: &'a [String],
    place: &'a Place,
}

impl Finder<'_> {
    /// Returns the first column, in the order of `known`, that has one of these names and is not `taken`.
    fn first(&self, known: &[&str], taken: &[usize]) -> Option<usize> {
        known.iter().find_map(|known| {
            self.names
                .iter()
                .enumerate()
                .find(|(i, name)| name.to_lowercase() == *known && !taken.contains(i))
                .map(|(i, _)| i)
        })
    }

    /// Returns the column called `name`, which the user passed with `flag`.
    fn named(&self, name: &str, flag: &str) -> Result<usize> {
        let exact = self.names.iter().position(|there| there == name);
        let folded =
            || self.names.iter().position(|there| there.to_lowercase() == name.to_lowercase());
        exact.or_else(folded).ok_or_else(|| {
            let fault = self.fault(format!(
                "there is no column `{}`; the columns are {}",
                display_name(name),
                self.listed()
            ));
            match nearest(name, self.names.iter().map(String::as_str)) {
                Some(near) => fault.hint(format!("did you mean `{}`?", flag_with(flag, near))),
                None => fault.hint(format!("name one of them with `{flag}`")),
            }
        })
    }

    fn missing(&self, role: &str, known: &[&str]) -> Fault {
        let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        let fault =
            self.fault(format!("there is no {role} column; the columns are {}", self.listed()));
        let near =
            known.iter().find_map(|known| nearest(known, self.names.iter().map(String::as_str)));
        let fault = match near.or_else(|| self.names.first().map(String::as_str)) {
            Some(name) if !name.is_empty() => fault.hint(format!(
                "name the column that holds it: `{}`",
                flag_with(&format!("--{role}-column"), name)
            )),
            _ => fault.hint(format!("name the column that holds it with `--{role}-column`")),
        };
        fault.hint(format!(
            "or call it one of {}; the first line has to name the columns",
            names.join(", ")
        ))
    }

    fn listed(&self) -> String {
        const MOST: usize = 20;
        let mut names: Vec<String> =
            self.names.iter().take(MOST).map(|name| format!("`{}`", display_name(name))).collect();
        if self.names.len() > MOST {
            names.push(format!("and {} more", self.names.len() - MOST));
        }
        names.join(", ")
    }

    fn fault(&self, message: String) -> Fault {
        Fault::usage("BOT-2101", message).at(self.place.clone())
    }
}

/// Returns `flag` followed by `name`, quoted for a shell; the flag alone if `name` cannot be displayed unchanged.
fn flag_with(flag: &str, name: &str) -> String {
    if display_name(name) != name || name.contains(['\'', '`']) || name.starts_with('-') {
        return flag.to_owned();
    }
    format!("{flag} {}", botops_text::shell_word(name))
}

fn display_name(name: &str) -> String {
    botops_text::utterance(name, 40)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_can_be_pasted_and_holds_no_personal_data() {
        for (name, hint) in [
            ("txt", "--text-column txt"),
            ("<!doctype html>", "--text-column '<!doctype html>'"),
            ("where's it", "--text-column"),
            ("-x", "--text-column"),
            ("a.person@example.org", "--text-column"),
            ("a\u{7}b", "--text-column"),
        ] {
            assert_eq!(flag_with("--text-column", name), hint);
        }
    }
}
