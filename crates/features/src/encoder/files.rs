//! The files of an encoder, from a folder or a download; their contents are not checked here.

use botops_findings::{Fault, Result};
use std::{fs, io, path::Path};

/// The raw bytes of an encoder's files.
#[derive(Clone)]
pub struct EncoderFiles {
    /// `config.json`.
    pub config: Vec<u8>,
    /// `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// `model.safetensors`.
    pub weights: Vec<u8>,
    /// `1_Pooling/config.json`, if there is one.
    pub pooling: Option<Vec<u8>>,
}

/// Prints sizes, not contents: the weights are tens of megabytes.
impl std::fmt::Debug for EncoderFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncoderFiles")
            .field("config_bytes", &self.config.len())
            .field("tokenizer_bytes", &self.tokenizer.len())
            .field("weights_bytes", &self.weights.len())
            .field("pooling_bytes", &self.pooling.as_ref().map(Vec::len))
            .finish()
    }
}

/// The required files, each with the hint for when it is missing.
const REQUIRED: [(&str, &str); 3] = [
    (
        "config.json",
        "name the folder of a model, which has config.json, tokenizer.json and model.safetensors",
    ),
    (
        "tokenizer.json",
        "convert a slow tokenizer (vocab.txt) in Python with `AutoTokenizer.from_pretrained(folder).save_pretrained(folder)`",
    ),
    (
        "model.safetensors",
        "convert other weights (pytorch_model.bin, shards) in Python with `AutoModel.from_pretrained(folder).save_pretrained(folder, max_shard_size=\"50GB\")`",
    ),
];

impl EncoderFiles {
    /// Reads the files of `folder`.
    ///
    /// # Errors
    /// `BOT-7020` (exit 2) if the folder or one of its three required files is missing, `BOT-1017` (exit 1) if
    /// a file cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Fault::usage("BOT-7020", "the encoder's folder does not exist")
                .file(folder)
                .hint("name a folder with config.json, tokenizer.json and model.safetensors, or `hf://owner/name`"));
        }
        let [config, tokenizer, weights] =
            REQUIRED.map(|(name, hint)| required(folder, name, hint));
        let pooling = folder.join("1_Pooling").join("config.json");
        Ok(Self {
            config: config?,
            tokenizer: tokenizer?,
            weights: weights?,
            pooling: match fs::read(&pooling) {
                Ok(bytes) => Some(bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(unreadable(&pooling, error)),
            },
        })
    }
}

fn required(folder: &Path, name: &str, hint: &str) -> Result<Vec<u8>> {
    let path = folder.join(name);
    fs::read(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Fault::usage("BOT-7020", format!("the encoder's folder has no `{name}`"))
                .file(&path)
                .hint(hint)
        }
        _ => unreadable(&path, error),
    })
}

fn unreadable(path: &Path, error: io::Error) -> Fault {
    Fault::internal("BOT-1017", format!("a file of the encoder cannot be read: {error}"))
        .file(path)
        .hint("check that it is a regular file, and its permissions")
        .caused_by(error)
}
