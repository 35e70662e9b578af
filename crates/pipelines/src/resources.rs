//! What a training needs besides its records: found, read, and lent out as [`Resources`].

use botops_digest::Digest;
use botops_features::{EmbeddingCache, Encoder, EncoderFiles, EncoderSpec, Hub, HubSource};
use botops_findings::{Fault, Finding, Result};
use botops_models::{HeadKind, ModelSpec, Progress, Resources};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where encoders come from, and where their embeddings are kept.
#[derive(Debug)]
pub struct Encoders {
    root: PathBuf,
    hub: Hub,
    embeddings: PathBuf,
}

impl Encoders {
    /// Reads folders from `root` on, names (`hf://owner/name`) from `hub`; embeddings are kept below `embeddings`.
    #[must_use]
    pub fn new(root: PathBuf, hub: Hub, embeddings: PathBuf) -> Self {
        Self { root, hub, embeddings }
    }

    /// Finds and reads what `spec` asks for; a relative path starts at the root. `progress` hears of a download.
    ///
    /// # Errors
    /// Those of [`ModelSpec::check`], [`EncoderFiles::read`], [`Hub::fetch`] and [`Encoder::new`].
    pub async fn prepare(&self, spec: &ModelSpec, progress: &dyn Progress) -> Result<Equipment> {
        spec.check()?;
        let Some(wanted) = &spec.features.encoder else { return Ok(Equipment::default()) };
        let (files, folder) = match HubSource::is_hub_source(&wanted.source) {
            true => {
                let source = wanted.source.parse()?;
                (self.fetch(&source, progress).await?, self.hub.folder(&source))
            }
            false => {
                let folder = self.root.join(&wanted.source);
                (EncoderFiles::read(&folder)?, folder)
            }
        };
        // An encoder is made of bytes, and names what is wrong with them by the file in its folder.
        let encoder = Encoder::new(&files, wanted).map_err(|fault| {
            match fault.place().file.as_ref().map(|file| folder.join(file)) {
                Some(path) => fault.file(path),
                None => fault,
            }
        })?;
        Ok(Equipment {
            encoder: Some(Arc::new(encoder)),
            embeddings: Some(EmbeddingCache::new(&self.embeddings)),
            checkpoints: None,
        })
    }

    async fn fetch(&self, source: &HubSource, progress: &dyn Progress) -> Result<EncoderFiles> {
        if let Some(files) = self.hub.cached(source)? {
            return Ok(files);
        }
        if !self.hub.is_offline() {
            let folder = self.hub.folder(source);
            progress.note(&format!("{source} is downloaded into {}", folder.display()));
        }
        progress.begin("download", 0);
        let files = self.hub.fetch(source, &|bytes| progress.advance(bytes)).await?;
        progress.finish();
        Ok(files)
    }

    /// Returns the digest of the files of the encoder that `spec` asks for; `None` when it asks for none, or for one
    /// that is not downloaded yet.
    ///
    /// # Errors
    /// Those of [`EncoderFiles::read`] and [`Hub::cached`].
    pub(super) fn digest(&self, spec: &ModelSpec) -> Result<Option<Digest>> {
        let files = match &spec.features.encoder {
            None => None,
            Some(EncoderSpec { source, .. }) if HubSource::is_hub_source(source) => {
                self.hub.cached(&source.parse()?)?
            }
            Some(wanted) => Some(EncoderFiles::read(&self.root.join(&wanted.source))?),
        };
        Ok(files.map(|EncoderFiles { config, tokenizer, weights, pooling }| {
            let of = |bytes: &Vec<u8>| Digest::of(bytes);
            let all = (of(&config), of(&tokenizer), of(&weights), pooling.as_ref().map(of));
            Digest::of_json(&all)
        }))
    }
}

/// What a training needs besides its records.
#[derive(Debug, Default)]
pub struct Equipment {
    encoder: Option<Arc<Encoder>>,
    embeddings: Option<EmbeddingCache>,
    checkpoints: Option<PathBuf>,
}

impl Equipment {
    /// Takes an encoder that was read before, such as that of a model; its embeddings are not kept.
    #[must_use]
    pub fn with(encoder: Option<&Arc<Encoder>>) -> Self {
        Self { encoder: encoder.cloned(), ..Self::default() }
    }

    /// Returns what of the kept embeddings could not be trusted or kept so far.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.embeddings.as_ref().map(EmbeddingCache::findings).unwrap_or_default()
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
        Resources {
            encoder: self.encoder.as_ref(),
            embeddings: self.embeddings.as_ref(),
            checkpoints: self.checkpoints.as_deref(),
        }
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
