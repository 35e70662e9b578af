//! What a training needs besides its records: found, read, and lent out as [`Resources`].

use crate::{
    digest::Digest,
    features::{Encoder, EncoderFiles, EncoderSpec},
    findings::{Fault, Result},
    models::{HeadKind, ModelSpec, Resources},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a training needs besides its records.
#[derive(Debug, Default)]
pub struct Equipment {
    encoder: Option<Arc<Encoder>>,
    checkpoints: Option<PathBuf>,
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
        Ok(Self { encoder: Some(Arc::new(encoder)), checkpoints: None })
    }

    /// Takes an encoder that was read before, such as that of a model.
    #[must_use]
    pub fn with(encoder: Option<&Arc<Encoder>>) -> Self {
        Self { encoder: encoder.cloned(), checkpoints: None }
    }

    /// Keeps the checkpoints of a fine-tuning under `folder`, in one of its own for this data and this spec: the same
    /// training, begun again after it was interrupted, goes on from there, and another never meets them.
    #[must_use]
    pub fn with_checkpoints(self, folder: &Path, data: Digest, spec: &ModelSpec) -> Self {
        let own = (spec.head.kind == HeadKind::FineTuned)
            .then(|| folder.join(Digest::of_json(&(data, spec)).short()));
        Self { checkpoints: own, ..self }
    }

    /// Lends it out.
    #[must_use]
    pub fn resources(&self) -> Resources<'_> {
        Resources { encoder: self.encoder.as_ref(), checkpoints: self.checkpoints.as_deref() }
    }

    /// Removes the checkpoints of a training whose model was written: nothing is left to go on from.
    ///
    /// # Errors
    /// `BOT-1002` when they cannot be removed.
    pub fn finish(&self) -> Result<()> {
        let Some(folder) = self.checkpoints.as_ref().filter(|folder| folder.exists()) else {
            return Ok(());
        };
        fs::remove_dir_all(folder).map_err(|error| {
            Fault::internal("BOT-1002", format!("checkpoints cannot be removed: {error}"))
                .file(folder)
                .hint("remove the folder by hand: the model that they were for is written")
        })
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
