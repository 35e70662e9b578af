//! The equipment of a training: encoder, embedding cache and checkpoints, lent out as [`Resources`].

use botops_digest::Digest;
use botops_features::{EmbeddingCache, Encoder, EncoderFiles, EncoderSpec, Hub, HubSource};
use botops_findings::{Fault, Finding, Result};
use botops_models::{HeadKind, ModelSpec, Progress, Resources};
use botops_spec::Spec as _;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The source of encoders, and the folder of their cached embeddings.
#[derive(Debug)]
pub struct Encoders {
    root: PathBuf,
    hub: Hub,
    embeddings: PathBuf,
}

impl Encoders {
    /// Creates a source that reads folders relative to `root` and names (`hf://owner/name`) from `hub`.
    ///
    /// Embeddings are cached below `embeddings`.
    #[must_use]
    pub fn new(root: PathBuf, hub: Hub, embeddings: PathBuf) -> Self {
        Self { root, hub, embeddings }
    }

    /// Reads the encoder of `spec`, if it has one. Relative paths start at the root. `progress` reports a download.
    ///
    /// # Errors
    /// Those of [`ModelSpec::check`], [`EncoderFiles::read`], [`Hub::fetch`] and [`Encoder::new`].
    pub async fn prepare(&self, spec: &ModelSpec, progress: &dyn Progress) -> Result<Equipment> {
        spec.check_ranges()?;
        let Some(encoder) = &spec.features.encoder else { return Ok(Equipment::default()) };
        Ok(Equipment {
            encoder: Some(Arc::new(self.encoder(encoder, progress).await?)),
            embeddings: Some(EmbeddingCache::new(&self.embeddings)),
            checkpoints: None,
        })
    }

    /// Reads the encoder of `spec`. Relative paths start at the root. `progress` reports a download.
    ///
    /// # Errors
    /// Those of [`EncoderFiles::read`], [`Hub::fetch`] and [`Encoder::new`].
    pub async fn encoder(&self, spec: &EncoderSpec, progress: &dyn Progress) -> Result<Encoder> {
        spec.check_ranges()?;
        let (files, folder) = match HubSource::is_hub_source(&spec.source) {
            true => {
                let source = spec.source.parse()?;
                (self.fetch(&source, progress).await?, self.hub.folder(&source))
            }
            false => {
                let folder = self.root.join(&spec.source);
                (EncoderFiles::read(&folder)?, folder)
            }
        };
        // A fault of `Encoder::new` names the file relative to the folder of the encoder.
        Encoder::new(&files, spec).map_err(|fault| {
            match fault.place().file.as_ref().map(|file| folder.join(file)) {
                Some(path) => fault.file(path),
                None => fault,
            }
        })
    }

    /// Returns the files of `source` from the cache, or downloads them.
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

    /// Returns the digest of the files of the encoder of `spec`; `None` if it has none, or one that is not downloaded
    /// yet.
    ///
    /// # Errors
    /// Those of [`EncoderFiles::read`] and [`Hub::cached`].
    pub(super) fn digest(&self, spec: &ModelSpec) -> Result<Option<Digest>> {
        let files = match &spec.features.encoder {
            None => None,
            Some(EncoderSpec { source, .. }) if HubSource::is_hub_source(source) => {
                self.hub.cached(&source.parse()?)?
            }
            Some(EncoderSpec { source, .. }) => Some(EncoderFiles::read(&self.root.join(source))?),
        };
        Ok(files.map(|EncoderFiles { config, tokenizer, weights, pooling }| {
            let of = |bytes: &Vec<u8>| Digest::of(bytes);
            let all = (of(&config), of(&tokenizer), of(&weights), pooling.as_ref().map(of));
            Digest::of_json(&all)
        }))
    }
}

/// The equipment of a training: everything that it needs besides its records.
#[derive(Debug, Default)]
pub struct Equipment {
    encoder: Option<Arc<Encoder>>,
    embeddings: Option<EmbeddingCache>,
    checkpoints: Option<PathBuf>,
}

impl Equipment {
    /// Creates equipment from an encoder that is already read, such as that of a model. Embeddings are not cached.
    #[must_use]
    pub fn with(encoder: Option<&Arc<Encoder>>) -> Self {
        Self { encoder: encoder.cloned(), ..Self::default() }
    }

    /// Returns the findings on cached embeddings so far: those that were damaged or could not be stored.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.embeddings.as_ref().map(EmbeddingCache::findings).unwrap_or_default()
    }

    /// Stores the checkpoints of a fine-tuning below `folder`, in a folder for this data and this spec.
    ///
    /// So an interrupted training resumes from its own checkpoints, and never from those of another one.
    #[must_use]
    pub fn with_checkpoints(self, folder: &Path, data: Digest, spec: &ModelSpec) -> Self {
        let own = (spec.head.kind == HeadKind::FineTuned)
            .then(|| folder.join(Digest::of_json(&(data, spec)).short()));
        Self { checkpoints: own, ..self }
    }

    /// Returns the equipment as the resources of a training.
    #[must_use]
    pub fn resources(&self) -> Resources<'_> {
        Resources {
            encoder: self.encoder.as_ref(),
            embeddings: self.embeddings.as_ref(),
            checkpoints: self.checkpoints.as_deref(),
        }
    }

    /// Removes the checkpoints of a training. Call it once the model is written.
    ///
    /// # Errors
    /// `BOT-1002` if they cannot be removed.
    pub fn finish(&self) -> Result<()> {
        let Some(folder) = self.checkpoints.as_ref().filter(|folder| folder.exists()) else {
            return Ok(());
        };
        fs::remove_dir_all(folder).map_err(|error| {
            Fault::internal("BOT-1002", format!("checkpoints cannot be removed: {error}"))
                .file(folder)
                .hint("remove the folder by hand: it is not needed, because the model is written")
        })
    }
}
