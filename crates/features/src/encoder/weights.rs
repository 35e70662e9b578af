//! The weights of an encoder: the same names for every family, with checked shapes and finite values.
//!
//! | name | shape |
//! |---|---|
//! | `embeddings.word` | [vocab_size, hidden_size] |
//! | `embeddings.position` | [max_positions, hidden_size] |
//! | `embeddings.token_type` (not DistilBERT) | [type_vocab_size, hidden_size] |
//! | `embeddings.norm.{weight,bias}` | [hidden_size] |
//! | `layers.{i}.{query,key,value,output}.weight` | [hidden_size, hidden_size] |
//! | `layers.{i}.{query,key,value,output}.bias` | [hidden_size] |
//! | `layers.{i}.attention_norm.{weight,bias}` | [hidden_size] |
//! | `layers.{i}.up.{weight,bias}` | [intermediate_size, hidden_size], [intermediate_size] |
//! | `layers.{i}.down.{weight,bias}` | [hidden_size, intermediate_size], [hidden_size] |
//! | `layers.{i}.output_norm.{weight,bias}` | [hidden_size] |
//!
//! A linear layer maps x to x W^T + b; its weight W is [out, in].

use super::{Architecture, EncoderConfig};
use botops_findings::{Fault, Result};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::BTreeMap;

/// One tensor of an encoder's weights, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderTensor {
    /// The name, one of those listed at [`super::Encoder::tensors`].
    pub name: String,
    /// The sizes, outermost first; their product is the length of `values`.
    pub shape: Vec<usize>,
    /// The values, all finite.
    pub values: Vec<f32>,
}

/// Returns the name and shape of every tensor of an encoder with `config`, in storage order.
pub(super) fn expected(config: &EncoderConfig) -> impl Iterator<Item = (String, Vec<usize>)> {
    let (hidden, wide) = (config.hidden_size, config.intermediate_size);
    let mut embeddings = vec![
        ("embeddings.word".to_owned(), vec![config.vocab_size, hidden]),
        ("embeddings.position".to_owned(), vec![config.max_positions, hidden]),
    ];
    if config.type_vocab_size > 0 {
        embeddings.push(("embeddings.token_type".to_owned(), vec![config.type_vocab_size, hidden]));
    }
    for part in ["weight", "bias"] {
        embeddings.push((format!("embeddings.norm.{part}"), vec![hidden]));
    }
    let of_a_layer: [(&str, &[usize]); 16] = [
        ("query.weight", &[hidden, hidden]),
        ("query.bias", &[hidden]),
        ("key.weight", &[hidden, hidden]),
        ("key.bias", &[hidden]),
        ("value.weight", &[hidden, hidden]),
        ("value.bias", &[hidden]),
        ("output.weight", &[hidden, hidden]),
        ("output.bias", &[hidden]),
        ("attention_norm.weight", &[hidden]),
        ("attention_norm.bias", &[hidden]),
        ("up.weight", &[wide, hidden]),
        ("up.bias", &[wide]),
        ("down.weight", &[hidden, wide]),
        ("down.bias", &[hidden]),
        ("output_norm.weight", &[hidden]),
        ("output_norm.bias", &[hidden]),
    ];
    let of_a_layer = of_a_layer.map(|(name, shape)| (name, shape.to_vec()));
    embeddings.into_iter().chain((0..config.n_layers).flat_map(move |layer| {
        of_a_layer
            .clone()
            .into_iter()
            .map(move |(name, shape)| (format!("layers.{layer}.{name}"), shape))
    }))
}

/// Reads a `model.safetensors`: the tensors of [`expected`], in that order and with those names.
///
/// Heads of other tasks (`pooler`, `cls`, ...) and saved position ids are left out.
///
/// # Errors
/// `BOT-7022` (exit 3) if the file is truncated or malformed, or a tensor is missing, repeated, of another
/// shape or not of a supported floating-point type; `BOT-7023` if a value is NaN or infinite.
pub(super) fn read(bytes: &[u8], config: &EncoderConfig) -> Result<Vec<EncoderTensor>> {
    let file = opened(bytes)?;
    let mut found: BTreeMap<String, (&str, TensorView<'_>)> = BTreeMap::new();
    for (name, view) in file.iter() {
        let Some(ours) = name_from_files(name, config.architecture) else { continue };
        if let Some((other, _)) = found.insert(ours, (name, view)) {
            return Err(refused(&format!(
                "hold a tensor twice, as `{}` and `{}`",
                shown(other),
                shown(name)
            )));
        }
    }
    expected(config)
        .map(|(ours, shape)| {
            let (name, view) = found
                .get(&ours)
                .ok_or_else(|| missing(&name_in_files(&ours, config.architecture)))?;
            check_shape(name, &shape, view.shape())?;
            let values = values(name, view)?;
            check_finite(name, &values)?;
            Ok(EncoderTensor { name: ours, shape, values })
        })
        .collect()
}

/// Reads every tensor of a file that botops wrote; [`checked`] checks names and shapes.
///
/// # Errors
/// `BOT-7022` (exit 3) if the file is truncated or malformed, or holds a type that is not supported.
pub(super) fn read_ours(bytes: &[u8]) -> Result<Vec<EncoderTensor>> {
    opened(bytes)?
        .iter()
        .map(|(name, view)| {
            let values = values(name, &view)?;
            Ok(EncoderTensor { name: name.to_owned(), shape: view.shape().to_vec(), values })
        })
        .collect()
}

/// Opens a safetensors file, whose header is checked against the length of the file.
fn opened(bytes: &[u8]) -> Result<SafeTensors<'_>> {
    SafeTensors::deserialize(bytes).map_err(|error| {
        refused(&format!("cannot be read: {error}"))
            .hint("the file was truncated or altered: copy or download it again")
            .caused_by(error)
    })
}

/// Checks `tensors`, in any order, against `config`, and returns them in the order of [`expected`].
///
/// # Errors
/// As [`read`].
pub(super) fn checked(
    config: &EncoderConfig,
    tensors: Vec<EncoderTensor>,
) -> Result<Vec<EncoderTensor>> {
    let mut found = BTreeMap::new();
    for tensor in tensors {
        if let Some(other) = found.insert(tensor.name.clone(), tensor) {
            return Err(refused(&format!("hold `{}` twice", shown(&other.name))));
        }
    }
    let in_order = expected(config)
        .map(|(name, shape)| {
            let tensor = found.remove(&name).ok_or_else(|| missing(&name))?;
            check_shape(&name, &shape, &tensor.shape)?;
            let n_values: usize = shape.iter().product();
            if tensor.values.len() != n_values {
                return Err(refused(&format!(
                    "have {} values for `{name}`, but its shape requires {n_values}",
                    tensor.values.len()
                )));
            }
            check_finite(&name, &tensor.values)?;
            Ok(tensor)
        })
        .collect::<Result<Vec<_>>>()?;
    match found.into_keys().next() {
        Some(name) => Err(refused(&format!("hold `{}`, which is not in the config", shown(&name)))),
        None => Ok(in_order),
    }
}

/// The names of the embeddings: in files, and in botops.
const EMBEDDINGS: [(&str, &str); 5] = [
    ("embeddings.word_embeddings.weight", "word"),
    ("embeddings.position_embeddings.weight", "position"),
    ("embeddings.token_type_embeddings.weight", "token_type"),
    ("embeddings.LayerNorm.weight", "norm.weight"),
    ("embeddings.LayerNorm.bias", "norm.bias"),
];

/// Returns the prefix of layers in files, and the names of the blocks of a layer: in files, and in botops.
fn layers(architecture: Architecture) -> (&'static str, &'static [(&'static str, &'static str)]) {
    match architecture {
        Architecture::Bert => (
            "encoder.layer.",
            &[
                ("attention.self.query", "query"),
                ("attention.self.key", "key"),
                ("attention.self.value", "value"),
                ("attention.output.dense", "output"),
                ("attention.output.LayerNorm", "attention_norm"),
                ("intermediate.dense", "up"),
                ("output.dense", "down"),
                ("output.LayerNorm", "output_norm"),
            ],
        ),
        Architecture::DistilBert => (
            "transformer.layer.",
            &[
                ("attention.q_lin", "query"),
                ("attention.k_lin", "key"),
                ("attention.v_lin", "value"),
                ("attention.out_lin", "output"),
                ("sa_layer_norm", "attention_norm"),
                ("ffn.lin1", "up"),
                ("ffn.lin2", "down"),
                ("output_layer_norm", "output_norm"),
            ],
        ),
    }
}

/// Returns the name in files of the tensor `ours`.
fn name_in_files(ours: &str, architecture: Architecture) -> String {
    let of_a_layer = || {
        let (layer, rest) = ours.strip_prefix("layers.")?.split_once('.')?;
        let (block, part) = rest.rsplit_once('.')?;
        let (stack, blocks) = layers(architecture);
        let (theirs, _) = blocks.iter().find(|(_, ours)| *ours == block)?;
        Some(format!("{stack}{layer}.{theirs}.{part}"))
    };
    let embedding = || {
        let name = ours.strip_prefix("embeddings.")?;
        EMBEDDINGS.iter().find(|(_, ours)| *ours == name).map(|(theirs, _)| (*theirs).to_owned())
    };
    of_a_layer().or_else(embedding).unwrap_or_else(|| ours.to_owned())
}

/// Returns the name in botops of a tensor in a file; `None` if it is not part of the encoder.
fn name_from_files(name: &str, architecture: Architecture) -> Option<String> {
    // An encoder saved as part of a larger model has the name of its field as a prefix.
    let name = ["bert.", "distilbert.", "model.", "auto_model."]
        .into_iter()
        .fold(name, |name, prefix| name.strip_prefix(prefix).unwrap_or(name));
    let (block, part) = name.rsplit_once('.')?;
    // Old checkpoints name the weight and bias of a norm gamma and beta.
    let part = match part {
        "weight" | "gamma" => "weight",
        "bias" | "beta" => "bias",
        _ => return None,
    };
    let embedding =
        EMBEDDINGS.iter().find(|(theirs, _)| theirs.rsplit_once('.') == Some((block, part)));
    if let Some((_, ours)) = embedding {
        let is_ours = *ours != "token_type" || architecture == Architecture::Bert;
        return is_ours.then(|| format!("embeddings.{ours}"));
    }
    let (stack, blocks) = layers(architecture);
    let (layer, block) = block.strip_prefix(stack)?.split_once('.')?;
    let layer: usize = layer.parse().ok()?;
    let (_, block) = blocks.iter().find(|(theirs, _)| *theirs == block)?;
    Some(format!("layers.{layer}.{block}.{part}"))
}

/// Returns the values of `view` as `f32`.
fn values(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>> {
    let bytes = view.data();
    match view.dtype() {
        Dtype::F32 => {
            Ok(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        }
        Dtype::BF16 => Ok(bytes
            .as_chunks()
            .0
            .iter()
            .map(|bytes| f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16))
            .collect()),
        Dtype::F16 => Ok(bytes
            .as_chunks()
            .0
            .iter()
            .map(|bytes| half_to_single(u16::from_le_bytes(*bytes)))
            .collect()),
        other => Err(refused(&format!(
            "hold `{}` as {other:?}; botops reads F32, F16 and BF16",
            shown(name)
        ))),
    }
}

/// Converts an IEEE 754 binary16 to `f32`; the result is exact.
pub(super) fn half_to_single(half: u16) -> f32 {
    let sign = if half >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(half >> 10 & 0x1f), f32::from(half & 0x3ff) / 1024.0);
    sign * match exponent {
        0 => fraction * 2_f32.powi(-14),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction) * 2_f32.powi(exponent - 15),
    }
}

fn check_shape(name: &str, expected: &[usize], found: &[usize]) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(refused(&format!(
        "have `{}` with shape {found:?}, but the config requires {expected:?}",
        shown(name)
    ))
    .hint("copy config.json and model.safetensors again, both from the same model"))
}

fn check_finite(name: &str, values: &[f32]) -> Result<()> {
    let Some(at) = values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
    Err(Fault::data(
        "BOT-7023",
        format!("the encoder's weights hold {} in `{}`, at value {at}", values[at], shown(name)),
    )
    .file("model.safetensors")
    .hint("the training of this encoder diverged, or the file was altered: use another encoder"))
}

fn missing(name: &str) -> Fault {
    refused(&format!("have no `{name}`"))
        .hint("copy config.json and model.safetensors again, both from the same model")
}

fn refused(problem: &str) -> Fault {
    Fault::data("BOT-7022", format!("the encoder's weights {problem}")).file("model.safetensors")
}

fn shown(name: &str) -> String {
    botops_text::display(name, 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_survives_the_way_to_files_and_back() {
        for architecture in [Architecture::Bert, Architecture::DistilBert] {
            let (_, blocks) = layers(architecture);
            let of_a_layer = blocks.iter().map(|(_, ours)| format!("layers.3.{ours}.bias"));
            let ours = EMBEDDINGS.iter().map(|(_, ours)| format!("embeddings.{ours}"));
            let is_there =
                |name: &String| architecture == Architecture::Bert || !name.ends_with("token_type");
            for name in ours.filter(is_there).chain(of_a_layer) {
                let theirs = name_in_files(&name, architecture);
                assert_ne!(theirs, name);
                assert_eq!(name_from_files(&theirs, architecture), Some(name.clone()), "{theirs}");
                assert_eq!(name_from_files(&format!("bert.{theirs}"), architecture), Some(name));
            }
        }
        let old = name_from_files("embeddings.LayerNorm.gamma", Architecture::Bert);
        assert_eq!(old.as_deref(), Some("embeddings.norm.weight"));
        for other in ["embeddings.position_ids", "pooler.dense.weight", "encoder.layer.0.new.bias"]
        {
            assert_eq!(name_from_files(other, Architecture::Bert), None, "{other}");
        }
    }
}
