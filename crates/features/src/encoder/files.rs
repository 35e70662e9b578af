//! The files of an encoder, as a folder or a download holds them: bytes, not yet trusted.

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
    /// `1_Pooling/config.json`, where there is one.
    pub pooling: Option<Vec<u8>>,
}

/// Sizes, not contents: the weights alone are tens of megabytes.
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

/// The files every encoder has, and where each comes from when it is missing.
const WANTED: [(&str, &str); 3] = [
    (
        "config.json",
        "the folder is that of a model: it holds config.json, tokenizer.json and model.safetensors",
    ),
    (
        "tokenizer.json",
        "a slow tokenizer (vocab.txt) is turned into one by `AutoTokenizer.from_pretrained(folder).save_pretrained(folder)` in Python",
    ),
    (
        "model.safetensors",
        "weights of another form (pytorch_model.bin, shards) are turned into one file by `AutoModel.from_pretrained(folder).save_pretrained(folder, max_shard_size=\"50GB\")` in Python",
    ),
];

impl EncoderFiles {
    /// Reads the files of `folder`.
    ///
    /// # Errors
    /// `BOT-7020` (exit 2) when the folder or one of its three files is not there, `BOT-1017` (exit 1) when one cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Fault::usage("BOT-7020", "the encoder's folder is not there")
                .file(folder)
                .hint("name a folder with config.json, tokenizer.json and model.safetensors, or `hf://owner/name`"));
        }
        let [config, tokenizer, weights] = WANTED.map(|(name, hint)| wanted(folder, name, hint));
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

fn wanted(folder: &Path, name: &str, hint: &str) -> Result<Vec<u8>> {
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
        .hint("check that it is a file, and that you may read it")
        .caused_by(error)
}
