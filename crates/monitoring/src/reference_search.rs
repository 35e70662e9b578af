//! The languages and entities of texts, as the server finds them.

use botops_dialogue::{Dialogue, Moment};
use botops_findings::Result;
use botops_models::IntentModel;
use botops_text::LanguageGuesser;
use chrono::DateTime;

/// The search for languages and entities in the records that were chosen for it.
pub(crate) struct Search<'m> {
    model: &'m IntentModel,
    dialogue: Dialogue,
    guesser: Option<LanguageGuesser>,
    /// Whether the model or its dialogue know any entity.
    has_entities: bool,
    /// The largest hash of a text that is searched.
    largest: u64,
}

impl<'m> Search<'m> {
    /// Prepares the search in texts whose hash is at most `largest`.
    ///
    /// # Errors
    /// Those of compiling the dialogue.
    pub(crate) fn new(model: &'m IntentModel, largest: u64) -> Result<Self> {
        let dialogue = Dialogue::compile(model.dialogue())?;
        let languages = dialogue.languages();
        let guesser = (languages.len() > 1).then(|| LanguageGuesser::among(languages));
        let has_entities = model.tagger().is_some() || !model.dialogue().entities.is_empty();
        Ok(Self { model, dialogue, guesser, has_entities, largest })
    }

    /// Returns the guessed language of a record that declares none, and the kinds of its entities.
    pub(crate) fn find(
        &self,
        (text, hash): (&str, u64),
        lang: Option<&str>,
    ) -> (Option<&'static str>, Option<Vec<String>>) {
        if hash > self.largest {
            return (None, None);
        }
        let guess = || Some(self.guesser.as_ref()?.guess(text)?.code());
        let guessed = if lang.is_none() { guess() } else { None };
        let mut kinds: Vec<String> = Vec::new();
        if self.has_entities {
            // The kinds of entities do not depend on the time.
            let moment = Moment::new(DateTime::UNIX_EPOCH, lang.or(guessed));
            let found = self.dialogue.entities(text, &moment, self.model.tag(text));
            kinds.extend(found.into_iter().map(|entity| entity.entity));
            kinds.sort_unstable();
            kinds.dedup();
        }
        (guessed, Some(kinds))
    }
}
