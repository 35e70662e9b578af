use super::*;
use botops_findings::{Fault, FaultKind};
use botops_tiny_encoder::Tiny;
use safetensors::Dtype;
use std::collections::BTreeMap;

mod cache;
mod forward;
mod reading;

/// Returns the files of a tiny encoder.
pub(super) fn files(files: &BTreeMap<&'static str, Vec<u8>>) -> EncoderFiles {
    EncoderFiles {
        config: files["config.json"].clone(),
        tokenizer: files["tokenizer.json"].clone(),
        weights: files["model.safetensors"].clone(),
        pooling: files.get("1_Pooling/config.json").cloned(),
    }
}

/// Returns a tiny encoder.
pub(super) fn encoder(tiny: &Tiny) -> Encoder {
    Encoder::new(&files(&tiny.files()), &EncoderSpec::new("tiny")).unwrap()
}

/// Returns the fault of the files of `tiny` after `change`.
fn refused(tiny: &Tiny, change: impl Fn(&mut EncoderFiles)) -> Fault {
    let mut files = files(&tiny.files());
    change(&mut files);
    Encoder::new(&files, &EncoderSpec::new("tiny")).unwrap_err()
}
