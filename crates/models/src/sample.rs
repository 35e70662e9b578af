//! One labeled utterance.

/// One utterance to learn from; rows with the intent [`botops_labels::OOS`] do not belong to any class.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// The utterance.
    pub text: &'a str,
    /// Its intent.
    pub intent: &'a str,
}
