//! Which column is which.

use super::{Presence, ReadOptions};
use botops_findings::{Fault, Place, Result};
use botops_spec::nearest;
use std::collections::BTreeMap;

const TEXT: &[&str] = &["text", "utterance", "message", "query"];
const INTENT: &[&str] = &["intent", "label", "category"];
const LANG: &[&str] = &["lang", "language", "locale"];
const ENTITIES: &[&str] = &["entities"];

/// The columns by role, as indices.
#[derive(Debug, Clone, PartialEq)]
pub struct Roles {
    pub text: usize,
    pub intent: Option<usize>,
    pub lang: Option<usize>,
    pub entities: Option<usize>,
}

impl Roles {
    /// Recognises the roles of `names`; each column has one at most.
    ///
    /// # Errors
    /// `BOT-2101` (exit 2) when a column that is asked for by name, the text, or a required intent is not there.
    pub(super) fn recognise(
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
        let mut role = |asked: &Option<String>, flag, known| -> Result<Option<usize>> {
            let found = match asked {
                Some(name) => Some(finder.named(name, flag)?),
                None => finder.first(known, &taken),
            };
            if let (Some(_), Some(column)) = (asked, found)
                && taken.contains(&column)
            {
                let name = shown(&names[column]);
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

    /// Returns the names of the columns that have a role, by role.
    pub(super) fn columns(&self, names: &[String]) -> BTreeMap<String, String> {
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
}

impl Roles {
    /// Returns the names of the columns that have no role; those without a name are not among them.
    pub(super) fn others(&self, names: &[String]) -> Vec<String> {
        let taken = [Some(self.text), self.intent, self.lang, self.entities];
        let free =
            |&(column, name): &(usize, &String)| !name.is_empty() && !taken.contains(&Some(column));
        names.iter().enumerate().filter(free).map(|(_, name)| name.clone()).collect()
    }
}

struct Finder<'a> {
    names: &'a [String],
    place: &'a Place,
}

impl Finder<'_> {
    fn first(&self, known: &[&str], taken: &[usize]) -> Option<usize> {
        known.iter().find_map(|known| {
            self.names
                .iter()
                .enumerate()
                .find(|(i, name)| name.to_lowercase() == *known && !taken.contains(i))
                .map(|(i, _)| i)
        })
    }

    fn named(&self, name: &str, flag: &str) -> Result<usize> {
        let exact = self.names.iter().position(|there| there == name);
        let folded =
            || self.names.iter().position(|there| there.to_lowercase() == name.to_lowercase());
        exact.or_else(folded).ok_or_else(|| {
            let fault = self.fault(format!(
                "there is no column `{}`; the columns are {}",
                shown(name),
                self.listed()
            ));
            match nearest(name, self.names.iter().map(String::as_str)) {
                Some(near) => fault.hint(format!("did you mean `{}`?", valued(flag, near))),
                None => fault.hint(format!("name one of them with `{flag}`")),
            }
        })
    }

    fn missing(&self, role: &str, known: &[&str]) -> Fault {
        let wanted: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        let fault =
            self.fault(format!("there is no {role} column; the columns are {}", self.listed()));
        let near =
            known.iter().find_map(|known| nearest(known, self.names.iter().map(String::as_str)));
        let fault = match near.or_else(|| self.names.first().map(String::as_str)) {
            Some(name) if !name.is_empty() => fault.hint(format!(
                "name the column that holds it: `{}`",
                valued(&format!("--{role}-column"), name)
            )),
            _ => fault.hint(format!("name the column that holds it with `--{role}-column`")),
        };
        fault.hint(format!(
            "or call it one of {}; the first line has to name the columns",
            wanted.join(", ")
        ))
    }

    fn listed(&self) -> String {
        const MOST: usize = 20;
        let mut names: Vec<String> =
            self.names.iter().take(MOST).map(|name| format!("`{}`", shown(name))).collect();
        if self.names.len() > MOST {
            names.push(format!("and {} more", self.names.len() - MOST));
        }
        names.join(", ")
    }

    fn fault(&self, message: String) -> Fault {
        Fault::usage("BOT-2101", message).at(self.place.clone())
    }
}

/// Returns `flag` with `name`, quoted for a shell; the flag alone if `name` cannot be shown as it is.
fn valued(flag: &str, name: &str) -> String {
    if shown(name) != name || name.contains(['\'', '`']) || name.starts_with('-') {
        return flag.to_owned();
    }
    format!("{flag} {}", botops_text::shell_word(name))
}

fn shown(name: &str) -> String {
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
            assert_eq!(valued("--text-column", name), hint);
        }
    }
}
