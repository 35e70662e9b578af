//! The polite texts of a channel, by language.

use std::collections::BTreeMap;

/// A text that the bot sends without a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TextKind {
    /// The answer to a message of a type that the bot cannot read.
    Unsupported,
    /// The confirmation of an opt-out.
    OptedOut,
    /// The confirmation of an opt-in.
    OptedIn,
    /// The answer outside the hours.
    Closed,
}

impl TextKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Unsupported, Self::OptedOut, Self::OptedIn, Self::Closed];

    /// Returns the key in the settings.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::OptedOut => "opted_out",
            Self::OptedIn => "opted_in",
            Self::Closed => "closed",
        }
    }

    fn english(self) -> &'static str {
        match self {
            Self::Unsupported => {
                "Sorry, I can only read text messages. Please write your question."
            }
            Self::OptedOut => {
                "You will receive no more messages from us. Write START to receive them again."
            }
            Self::OptedIn => "You will receive our messages again. How can we help?",
            Self::Closed => {
                "Our team is not available now. We have received your message and will reply when we are back."
            }
        }
    }

    fn french(self) -> &'static str {
        match self {
            Self::Unsupported => {
                "Désolé, je ne peux lire que des messages texte. Merci d'écrire votre question."
            }
            Self::OptedOut => {
                "Vous ne recevrez plus de messages de notre part. Écrivez START pour en recevoir à nouveau."
            }
            Self::OptedIn => {
                "Vous recevrez à nouveau nos messages. Comment pouvons-nous vous aider ?"
            }
            Self::Closed => {
                "Notre équipe n'est pas disponible pour le moment. Nous avons bien reçu votre message et vous répondrons à notre retour."
            }
        }
    }
}

/// The texts of a channel: those of the settings, or else those in English and French.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts(BTreeMap<String, BTreeMap<&'static str, String>>);

impl Texts {
    /// Sets a text of a language such as `de`.
    pub fn set(&mut self, language: &str, kind: TextKind, text: String) {
        self.0.entry(base(language)).or_default().insert(kind.key(), text);
    }

    /// Returns a text in `language`, or else in `default`, or else in English.
    #[must_use]
    pub fn text(&self, kind: TextKind, language: Option<&str>, default: &str) -> &str {
        let languages = language.into_iter().chain([default, "en"]).map(base);
        languages
            .into_iter()
            .find_map(|language| {
                let own = self.0.get(&language).and_then(|texts| texts.get(kind.key()));
                own.map(String::as_str).or(match language.as_str() {
                    "fr" => Some(kind.french()),
                    "en" => Some(kind.english()),
                    _ => None,
                })
            })
            .unwrap_or_else(|| kind.english())
    }
}

/// Returns `fr` of `fr_CA` or `FR-ca`.
fn base(language: &str) -> String {
    language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_in_the_language_of_the_conversation_or_of_the_channel() {
        let mut texts = Texts::default();
        texts.set("de", TextKind::Closed, "Geschlossen".to_owned());
        let text = |language, default| texts.text(TextKind::Closed, language, default);
        assert_eq!(text(Some("de_AT"), "en"), "Geschlossen");
        assert!(text(Some("fr-CA"), "en").starts_with("Notre équipe"));
        assert!(text(Some("pt"), "fr").starts_with("Notre équipe"));
        assert!(text(None, "it").starts_with("Our team"));
    }
}
