//! Persons who want no messages, and the words by which they say so.

use botops_findings::Result;
use botops_store::Store;
use bytes::Bytes;

/// The words that opt out, by default: those that carriers require in English, and the usual ones in French.
const OUT: [&str; 7] = ["stop", "unsubscribe", "cancel", "end", "quit", "arret", "desabonner"];
/// The words that opt in again, by default.
const IN: [&str; 2] = ["start", "unstop"];

/// The words that end and begin messages to a person. A message is one of them as a whole, without regard to case, accents
/// and punctuation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    out: Vec<String>,
    back: Vec<String>,
}

/// The wish that a message expresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// No messages any more.
    Out,
    /// Messages again.
    In,
}

impl Default for Words {
    fn default() -> Self {
        Self::new(&OUT, &IN)
    }
}

impl Words {
    /// Makes the words of the settings.
    #[must_use]
    pub fn new<S: AsRef<str>>(out: &[S], back: &[S]) -> Self {
        let plain = |words: &[S]| {
            words.iter().map(|word| plain(word.as_ref())).filter(|word| !word.is_empty()).collect()
        };
        Self { out: plain(out), back: plain(back) }
    }

    /// Replaces the words that are given.
    #[must_use]
    pub fn with(self, out: Option<&[String]>, back: Option<&[String]>) -> Self {
        let given = Self::new(out.unwrap_or_default(), back.unwrap_or_default());
        Self {
            out: if out.is_some() { given.out } else { self.out },
            back: if back.is_some() { given.back } else { self.back },
        }
    }

    /// Returns the wish that `text` expresses.
    pub(crate) fn wish(&self, text: &str) -> Option<Wish> {
        // Such a message is short: a long one is not normalized at all.
        if text.len() > 200 {
            return None;
        }
        let text = plain(text);
        match () {
            () if self.out.contains(&text) => Some(Wish::Out),
            () if self.back.contains(&text) => Some(Wish::In),
            () => None,
        }
    }
}

/// Returns the words of `text` in lower case, without accents and punctuation.
fn plain(text: &str) -> String {
    let text = botops_text::strip_accents(&text.to_lowercase());
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// The persons of a channel who opted out: one object each, under an HMAC of the person.
pub(crate) struct OptOuts {
    store: Store,
    folder: String,
}

impl OptOuts {
    pub(crate) fn new(store: Store, channel: &str) -> Self {
        Self { store, folder: format!("channels/{channel}/optouts") }
    }

    fn path(&self, person: &str) -> String {
        format!("{}/{person}.json", self.folder)
    }

    /// Returns the name of the message by which the person with one of these names opted out; `None` if the person did not. An
    /// object that cannot be read counts as an opt-out by an unknown message.
    ///
    /// # Errors
    /// `BOT-5003` (exit 7).
    pub(crate) async fn out_by(&self, persons: &[String]) -> Result<Option<String>> {
        for person in persons {
            if let Some(bytes) = self.store.read(&self.path(person)).await? {
                let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
                return Ok(Some(body["by"].as_str().unwrap_or_default().to_owned()));
            }
        }
        Ok(None)
    }

    /// Records an opt-out by the message `by`.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn opt_out(&self, persons: &[String], (by, at): (&str, i64)) -> Result<()> {
        // Written under the key in force only.
        let Some(person) = persons.first() else { return Ok(()) };
        let body = serde_json::json!({ "schema": "botops.channel-opt-out/1", "by": by, "at": at });
        self.store.create(&self.path(person), Bytes::from(body.to_string())).await.map(drop)
    }

    /// Records that a person wants no templates. It is apart from the opt-out: a person who writes gets answers.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn refuse_templates(&self, persons: &[String], at: i64) -> Result<()> {
        let names: Vec<String> = persons.iter().map(|it| format!("{it}-templates")).collect();
        self.opt_out(&names, ("", at)).await
    }

    /// Returns whether a person wants no templates.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub(crate) async fn refuses_templates(&self, persons: &[String]) -> Result<bool> {
        let names: Vec<String> = persons.iter().map(|it| format!("{it}-templates")).collect();
        Ok(self.out_by(&names).await?.is_some())
    }

    /// Removes an opt-out, and a wish for no templates.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub(crate) async fn opt_in(&self, persons: &[String]) -> Result<()> {
        for person in persons {
            self.store.remove(&self.path(&format!("{person}-templates"))).await?;
            self.store.remove(&self.path(person)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_a_whole_message_in_any_case_and_with_any_accents() {
        let words = Words::default();
        for out in ["STOP", " stop. ", "Arrêt", "ARRET !", "Unsubscribe"] {
            assert_eq!(words.wish(out), Some(Wish::Out), "{out}");
        }
        assert_eq!(words.wish("Start"), Some(Wish::In));
        for none in ["please stop the order", "", "stopp", &"stop ".repeat(100)] {
            assert_eq!(words.wish(none), None, "{none}");
        }
        let own = Words::default().with(Some(&["Basta".to_owned()]), None);
        assert_eq!((own.wish("basta!"), own.wish("stop")), (Some(Wish::Out), None));
        assert_eq!(own.wish("START"), Some(Wish::In));
    }
}
