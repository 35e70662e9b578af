//! The entities in utterances, as the bot would find them.

use super::classification::Classified;
use crate::cli::session::provenance;
use botops_dialogue::{Dialogue, Moment};
use botops_findings::Result;
use botops_models::IntentModel;
use botops_text::LanguageGuesser;

/// Finds the entities of a model: those of its tagger, and those that its dialogue describes.
pub(super) struct EntityFinder<'a> {
    model: &'a IntentModel,
    dialogue: Dialogue,
    guesser: Option<LanguageGuesser>,
}

impl<'a> EntityFinder<'a> {
    /// Makes the finder of `model`; `None` if it finds no entities.
    ///
    /// # Errors
    /// Those of its dialogue.
    pub(super) fn of(model: &'a IntentModel) -> Result<Option<Self>> {
        if model.tagger().is_none() && model.dialogue().entities.is_empty() {
            return Ok(None);
        }
        let dialogue = Dialogue::compile(model.dialogue())?;
        let languages = dialogue.languages();
        let guesser = (languages.len() > 1).then(|| LanguageGuesser::among(languages));
        Ok(Some(Self { model, dialogue, guesser }))
    }

    /// Adds the entities of each utterance. Relative times, such as `tomorrow`, are those of now.
    ///
    /// # Errors
    /// `BOT-1004` (exit 2) the time cannot be read.
    pub(super) fn add(&self, predictions: &mut [Classified]) -> Result<()> {
        let now = provenance::now()?;
        for one in predictions {
            let language = self
                .guesser
                .as_ref()
                .and_then(|guesser| guesser.guess(&one.text))
                .map(|it| it.code());
            let (moment, tagged) = (Moment::new(now, language), self.model.tag(&one.text));
            one.entities = Some(self.dialogue.entities(&one.text, &moment, tagged));
        }
        Ok(())
    }
}
