//! The parameters of the network: the tensors of the encoder, with those that are used together joined.

use super::super::{EncoderConfig, EncoderTensor};
use candle_core::{Device, Error, Result, Var};
use std::collections::BTreeMap;

/// The weights that are not trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frozen {
    /// All weights are trained.
    Nothing,
    /// The tables of words, positions and token types, and their norm, are not trained.
    Embeddings,
}

/// The kind of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A matrix of a linear layer, or a table of embeddings.
    Matrix,
    /// A linear layer's bias.
    Bias,
    /// The weight and bias of a norm.
    Norm,
}

/// One parameter of the network.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// The name, such as `layers.0.qkv.weight`.
    pub name: String,
    /// The values.
    pub var: Var,
    /// The kind.
    pub kind: Kind,
    /// The height in the network: 0 for the embeddings, i + 1 for layer i.
    pub height: usize,
    /// Whether the parameter is trained.
    pub trained: bool,
    /// The names and shapes of the encoder's tensors that it joins, in order.
    parts: Vec<(String, Vec<usize>)>,
}

/// The parameters of a layer, in storage order.
#[derive(Debug, Clone, Copy)]
pub(super) enum LayerPart {
    QkvWeight,
    QkvBias,
    OutputWeight,
    OutputBias,
    AttentionNorm,
    UpWeight,
    UpBias,
    DownWeight,
    DownBias,
    OutputNorm,
}

/// The name, kind and joined tensors of each parameter of a layer, in the order of [`LayerPart`].
const OF_LAYER: [(&str, Kind, &[&str]); 10] = [
    ("qkv.weight", Kind::Matrix, &["query.weight", "key.weight", "value.weight"]),
    ("qkv.bias", Kind::Bias, &["query.bias", "key.bias", "value.bias"]),
    ("output.weight", Kind::Matrix, &["output.weight"]),
    ("output.bias", Kind::Bias, &["output.bias"]),
    ("attention_norm", Kind::Norm, &["attention_norm.weight", "attention_norm.bias"]),
    ("up.weight", Kind::Matrix, &["up.weight"]),
    ("up.bias", Kind::Bias, &["up.bias"]),
    ("down.weight", Kind::Matrix, &["down.weight"]),
    ("down.bias", Kind::Bias, &["down.bias"]),
    ("output_norm", Kind::Norm, &["output_norm.weight", "output_norm.bias"]),
];

/// The index of each parameter in [`Parameters::all`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Indices {
    n_embeddings: usize,
}

impl Indices {
    pub(super) const WORD: usize = 0;
    pub(super) const POSITION: usize = 1;

    /// Returns the index of the table of token types, if the family has one.
    pub(super) fn token_type(self) -> Option<usize> {
        (self.n_embeddings == 4).then_some(2)
    }

    /// Returns the index of the norm of the embeddings.
    pub(super) fn embedding_norm(self) -> usize {
        self.n_embeddings - 1
    }

    /// Returns the index of a parameter of a layer.
    pub(super) fn of_layer(self, layer: usize, part: LayerPart) -> usize {
        self.n_embeddings + layer * OF_LAYER.len() + part as usize
    }
}

/// All parameters: those of the embeddings, then layer by layer.
pub(super) struct Parameters {
    all: Vec<Parameter>,
    indices: Indices,
}

impl Parameters {
    pub(super) fn new(
        config: &EncoderConfig,
        tensors: &[EncoderTensor],
        frozen: Frozen,
        device: &Device,
    ) -> Result<Self> {
        let by_name: BTreeMap<&str, &EncoderTensor> =
            tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        let mut all = Vec::new();
        let mut add = |name: String, kind: Kind, height: usize, parts: Vec<String>| {
            let parts = parts
                .into_iter()
                .map(|part| {
                    let missing = || Error::Msg(format!("no tensor `{part}`"));
                    by_name.get(part.as_str()).copied().ok_or_else(missing)
                })
                .collect::<Result<Vec<_>>>()?;
            let values: Vec<f32> =
                parts.iter().flat_map(|part| part.values.iter().copied()).collect();
            let shape = match kind {
                Kind::Matrix => {
                    let width = parts[0].shape[1];
                    vec![values.len() / width, width]
                }
                Kind::Bias => vec![values.len()],
                Kind::Norm => vec![2, values.len() / 2],
            };
            let var = Var::from_vec(values, shape, device)?;
            let parts =
                parts.into_iter().map(|part| (part.name.clone(), part.shape.clone())).collect();
            let trained = height > 0 || frozen == Frozen::Nothing;
            all.push(Parameter { name, var, kind, height, trained, parts });
            Ok::<_, Error>(())
        };
        let mut tables = vec!["word", "position"];
        if config.type_vocab_size > 0 {
            tables.push("token_type");
        }
        let n_embeddings = tables.len() + 1;
        for table in tables {
            let name = format!("embeddings.{table}");
            add(name.clone(), Kind::Matrix, 0, vec![name])?;
        }
        let norm = ["weight", "bias"].map(|part| format!("embeddings.norm.{part}"));
        add("embeddings.norm".to_owned(), Kind::Norm, 0, norm.to_vec())?;
        for layer in 0..config.n_layers {
            for (name, kind, parts) in OF_LAYER {
                let named = |part: &&str| format!("layers.{layer}.{part}");
                add(named(&name), kind, layer + 1, parts.iter().map(named).collect())?;
            }
        }
        Ok(Self { all, indices: Indices { n_embeddings } })
    }

    pub(super) fn all(&self) -> &[Parameter] {
        &self.all
    }

    pub(super) fn indices(&self) -> Indices {
        self.indices
    }

    pub(super) fn tensors(&self) -> Result<Vec<EncoderTensor>> {
        let mut tensors = Vec::new();
        for parameter in &self.all {
            let values = parameter.var.flatten_all()?.to_vec1::<f32>()?;
            let mut rest = values.as_slice();
            for (name, shape) in &parameter.parts {
                let (values, after) = rest.split_at(shape.iter().product());
                rest = after;
                tensors.push(EncoderTensor {
                    name: name.clone(),
                    shape: shape.clone(),
                    values: values.to_vec(),
                });
            }
        }
        Ok(tensors)
    }
}
