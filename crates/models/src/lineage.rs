//! The origin of a model.

use crate::{KnownTexts, ModelSpec, SeenTexts};
use botops_digest::Digest;
use serde::{Deserialize, Serialize};

/// The origin of a model. It is part of the model file, so it records neither time nor host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lineage {
    /// Digest of the training data.
    pub data: Option<Digest>,
    /// A sample of the training texts; `None` in a model of an earlier version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texts: Option<KnownTexts>,
    /// Number of training utterances with an intent.
    pub n_samples: u64,
    /// The spec of the training.
    pub spec: ModelSpec,
    /// Version of botops.
    pub botops: String,
}

impl Lineage {
    /// Compares `texts` with those of the training data; `None` if the model does not know them.
    #[must_use]
    pub fn seen<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Option<SeenTexts> {
        self.texts.as_ref().map(|known| known.seen(texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lineage_of_an_earlier_version_is_read_and_written_as_it_was() {
        let lineage = Lineage { texts: Some(KnownTexts::of(["hello"])), ..Lineage::default() };
        let mut value = serde_json::to_value(&lineage).unwrap();
        assert_eq!(serde_json::from_value::<Lineage>(value.clone()).unwrap(), lineage);
        value.as_object_mut().unwrap().remove("texts").unwrap();
        let earlier: Lineage = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(earlier.seen(["hello"]), None);
        assert_eq!(serde_json::to_value(&earlier).unwrap(), value);
    }
}
