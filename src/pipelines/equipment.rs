//! What a training needs besides its records: found, read, and lent out as [`Resources`].

use crate::{
    digest::Digest,
    features::{Encoder, EncoderFiles, EncoderSpec},
    findings::Result,
    models::{ModelSpec, Resources},
};
use std::{path::Path, sync::Arc};

/// What a training needs besides its records.
#[derive(Debug, Default)]
pub struct Equipment {
    encoder: Option<Arc<Encoder>>,
}

impl Equipment {
    /// Finds and reads what `spec` asks for; a relative path starts at `root`.
    ///
    /// # Errors
    /// Those of [`ModelSpec::check`], [`EncoderFiles::read`] and [`Encoder::new`].
    pub fn prepare(spec: &ModelSpec, root: &Path) -> Result<Self> {
        spec.check()?;
        let Some(wanted) = &spec.features.encoder else { return Ok(Self::default()) };
        let encoder = Encoder::new(&files(wanted, root)?, wanted)?;
        Ok(Self { encoder: Some(Arc::new(encoder)) })
    }

    /// Takes an encoder that was read before, such as that of a model.
    #[must_use]
    pub fn with(encoder: Option<&Arc<Encoder>>) -> Self {
        Self { encoder: encoder.cloned() }
    }

    /// Lends it out.
    #[must_use]
    pub fn resources(&self) -> Resources<'_> {
        Resources { encoder: self.encoder.as_ref(), ..Resources::default() }
    }
}

/// Returns the digest of the files of the encoder that `spec` asks for; `None` when it asks for none.
///
/// # Errors
/// Those of [`EncoderFiles::read`].
pub(super) fn encoder_digest(spec: &ModelSpec, root: &Path) -> Result<Option<Digest>> {
    let Some(wanted) = &spec.features.encoder else { return Ok(None) };
    let EncoderFiles { config, tokenizer, weights, pooling } = files(wanted, root)?;
    let of = |bytes: &Vec<u8>| Digest::of(bytes);
    let all = (of(&config), of(&tokenizer), of(&weights), pooling.as_ref().map(of));
    Ok(Some(Digest::of_json(&all)))
}

fn files(wanted: &EncoderSpec, root: &Path) -> Result<EncoderFiles> {
    EncoderFiles::read(&root.join(&wanted.source))
}
