//! The sentences of the bot that are no response to an intent, with their built-in English and French texts.

use crate::{
    reference::Known,
    response_spec::TextsSpec,
    rules_spec::SentencesSpec,
    texts::{Texts, compile},
};
use botops_findings::Result;
use std::collections::BTreeSet;

/// The compiled sentences; see [`SentencesSpec`].
#[derive(Debug)]
pub(crate) struct Sentences {
    pub(crate) cancelled: Texts,
    pub(crate) clarify: Texts,
    pub(crate) declined: Texts,
    pub(crate) invalid: Texts,
    pub(crate) given_up: Texts,
    pub(crate) refused: Texts,
    pub(crate) failed: Texts,
    pub(crate) unknown: Texts,
    pub(crate) under_way: Texts,
    pub(crate) handed_off: Texts,
    pub(crate) waiting: Texts,
    pub(crate) yes: Texts,
    pub(crate) no: Texts,
}

impl Sentences {
    /// Compiles `spec`; a sentence that it does not have is built in.
    ///
    /// # Errors
    /// `BOT-1030`, `BOT-1112` and `BOT-1113`, as [`compile`].
    pub(crate) fn compile(
        spec: &SentencesSpec,
        known: &Known<'_>,
        intents: &BTreeSet<&str>,
    ) -> Result<Self> {
        let texts = |name: &str, own: &TextsSpec, en: &str, fr: &str| {
            let built_in =
                || TextsSpec::from([("en".to_owned(), en.into()), ("fr".to_owned(), fr.into())]);
            let texts = if own.is_empty() { &built_in() } else { own };
            compile(&format!("sentences.{name}"), texts, known, intents)
        };
        Ok(Self {
            cancelled: texts(
                "cancelled",
                &spec.cancelled,
                "All right, I leave it at that. What else can I do for you?",
                "D'accord, j'en reste là. Que puis-je faire d'autre pour vous ?",
            )?,
            clarify: texts(
                "clarify",
                &spec.clarify,
                "I am not sure that I understood. Which of these do you mean?",
                "Je ne suis pas sûr d'avoir compris. Que souhaitez-vous ?",
            )?,
            declined: texts(
                "declined",
                &spec.declined,
                "All right, I did not do it. What else can I do for you?",
                "D'accord, je n'ai rien fait. Que puis-je faire d'autre pour vous ?",
            )?,
            invalid: texts(
                "invalid",
                &spec.invalid,
                "That does not look right.",
                "Cela ne semble pas correct.",
            )?,
            given_up: texts(
                "given_up",
                &spec.given_up,
                "Without it I cannot go on. What else can I do for you?",
                "Sans cela, je ne peux pas continuer. Que puis-je faire d'autre pour vous ?",
            )?,
            refused: texts(
                "refused",
                &spec.refused,
                "Sorry, that was not possible.",
                "Désolé, cela n'a pas été possible.",
            )?,
            failed: texts(
                "failed",
                &spec.failed,
                "Sorry, I cannot do that at the moment, and nothing was changed. Please try again later.",
                "Désolé, c'est impossible pour le moment, et rien n'a été modifié. Veuillez réessayer plus tard.",
            )?,
            unknown: texts(
                "unknown",
                &spec.unknown,
                "Sorry, I do not know whether that worked. A person will check it and answer you.",
                "Désolé, je ne sais pas si cela a abouti. Une personne va vérifier et vous répondre.",
            )?,
            under_way: texts(
                "under_way",
                &spec.under_way,
                "One moment, please: I am still working on it.",
                "Un instant, s'il vous plaît : c'est en cours.",
            )?,
            handed_off: texts(
                "handed_off",
                &spec.handed_off,
                "I pass you on to a person, who will answer you here.",
                "Je vous mets en relation avec une personne, qui vous répondra ici.",
            )?,
            waiting: texts(
                "waiting",
                &spec.waiting,
                "A person will answer you here.",
                "Une personne va vous répondre ici.",
            )?,
            yes: texts("yes", &spec.yes, "Yes", "Oui")?,
            no: texts("no", &spec.no, "No", "Non")?,
        })
    }
}
