//! The interface of a fitted classifier, and its tensors in a model file.

use botops_findings::{Fault, Result};
use safetensors::{
    Dtype, SafeTensors,
    tensor::{Metadata, TensorInfo},
};
use std::sync::Arc;

/// A fitted classifier.
pub(crate) trait Head: std::fmt::Debug + Send + Sync {
    /// Returns the number of intents.
    fn n_classes(&self) -> usize;
    /// Writes the raw score of each intent for `row` of (column, value) to `scores`: terms come first, in any order, then
    /// the embedding, whose columns follow those of the terms.
    fn scores(&self, row: &[(u32, f32)], scratch: &mut HeadScratch, scores: &mut [f64]);
    /// Returns the amount that `value` in `column` adds to the score of `class`; `None` if scores are not sums over
    /// features.
    fn contribution(&self, column: u32, value: f32, class: usize) -> Option<f64>;
    /// Returns the score of `class` for an empty row; `None` if scores are not sums over features.
    fn intercept(&self, class: usize) -> Option<f64>;
    /// Returns whether the scores of rows of length 1 are far from overflow; `true` if the head cannot tell.
    fn is_bounded(&self) -> bool {
        true
    }
    /// Returns the parameters, by name.
    fn tensors(&self) -> Vec<Tensor>;
}

/// Working memory for scoring, reused between rows.
#[derive(Debug, Default)]
pub(crate) struct HeadScratch {
    pub(crate) sums: Vec<f32>,
    /// The reduced features of a forest; all 0 between two rows.
    pub(crate) dense: Vec<f32>,
    /// The embedding of a row, with columns from 0.
    pub(crate) shifted: Vec<(u32, f32)>,
    /// The scores of the head on the embedding.
    pub(crate) dense_scores: Vec<f64>,
}

/// A named array of numbers in a model file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    name: String,
    shape: Vec<usize>,
    values: Values,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    Floats(Arc<Vec<f32>>),
    Integers(Vec<u32>),
}

/// Alignment of the header and of the numbers, in bytes.
const ALIGNMENT: usize = 8;

/// Returns the fault of a model file with inconsistent parts; `problem` completes the sentence "the model ...".
pub(crate) fn malformed(problem: &str) -> Fault {
    Fault::data("BOT-7003", format!("the model {problem}"))
        .hint("train the model again, or pull it again from the registry")
}

impl Tensor {
    /// Makes a tensor of floats; `values` holds the product of `shape`.
    pub(crate) fn of_floats(name: &str, shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self::of_shared(name, shape, Arc::new(values))
    }

    /// Makes a tensor of floats that share memory with another owner.
    pub(crate) fn of_shared(name: &str, shape: Vec<usize>, values: Arc<Vec<f32>>) -> Self {
        debug_assert_eq!(
            shape.iter().product::<usize>(),
            values.len(),
            "the shape matches the number of values"
        );
        Self { name: name.to_owned(), shape, values: Values::Floats(values) }
    }

    /// Makes a one-dimensional tensor of integers.
    pub(crate) fn of_integers(name: &str, values: Vec<u32>) -> Self {
        Self { name: name.to_owned(), shape: vec![values.len()], values: Values::Integers(values) }
    }

    /// Returns the tensor with `prefix` put before its name.
    pub(crate) fn prefixed(self, prefix: &str) -> Self {
        Self { name: format!("{prefix}{}", self.name), ..self }
    }

    /// Returns the tensors whose names begin with `prefix`, with the prefix removed.
    pub(crate) fn with_prefix(tensors: &[Self], prefix: &str) -> Vec<Self> {
        tensors
            .iter()
            .filter_map(|tensor| {
                let name = tensor.name.strip_prefix(prefix)?.to_owned();
                Some(Self { name, ..tensor.clone() })
            })
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn find<'a>(tensors: &'a [Self], name: &str) -> Result<&'a Self> {
        tensors
            .iter()
            .find(|tensor| tensor.name == name)
            .ok_or_else(|| malformed(&format!("has no `{name}`")))
    }

    /// Returns the floats of the tensor `name`, which must have shape `shape`.
    pub(crate) fn floats<'a>(
        tensors: &'a [Self],
        name: &str,
        shape: &[usize],
    ) -> Result<&'a [f32]> {
        Self::all_floats(tensors, name, shape).map(|values| values.as_slice())
    }

    /// Returns the same as [`Self::floats`], for keeping without a copy.
    pub(crate) fn shared_floats(
        tensors: &[Self],
        name: &str,
        shape: &[usize],
    ) -> Result<Arc<Vec<f32>>> {
        Self::all_floats(tensors, name, shape).map(Arc::clone)
    }

    fn all_floats<'a>(
        tensors: &'a [Self],
        name: &str,
        shape: &[usize],
    ) -> Result<&'a Arc<Vec<f32>>> {
        let tensor = Self::find(tensors, name)?;
        match &tensor.values {
            Values::Floats(values) if tensor.shape == shape => Ok(values),
            _ => Err(malformed(&format!(
                "has `{name}` with a shape that does not match its other parts"
            ))),
        }
    }

    /// Returns the integers of the tensor `name`, of any length.
    pub(crate) fn integers<'a>(tensors: &'a [Self], name: &str) -> Result<&'a [u32]> {
        match &Self::find(tensors, name)?.values {
            Values::Integers(values) => Ok(values),
            Values::Floats(_) => Err(malformed(&format!("has `{name}` with another number type"))),
        }
    }

    /// Writes `tensors` as safetensors.
    #[cfg(test)]
    pub(crate) fn to_bytes(tensors: &[Self]) -> Vec<u8> {
        let mut out = Vec::new();
        Safetensors::new(tensors.to_vec()).append_to(&mut out);
        out
    }

    /// Reads safetensors; the tensors are sorted by name.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Vec<Self>> {
        let read = SafeTensors::deserialize(bytes)
            .map_err(|error| malformed("has weights that are not safetensors").caused_by(error))?;
        let mut tensors = Vec::new();
        for (name, view) in read.iter() {
            let words = || view.data().chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
            let values = match view.dtype() {
                Dtype::F32 => Values::Floats(Arc::new(words().map(f32::from_le_bytes).collect())),
                Dtype::U32 => Values::Integers(words().map(u32::from_le_bytes).collect()),
                _ => {
                    return Err(malformed(&format!(
                        "has `{name}` with an unsupported number type"
                    )));
                }
            };
            tensors.push(Self { name: name.to_owned(), shape: view.shape().to_vec(), values });
        }
        tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(tensors)
    }
}

/// Tensors in the safetensors format, with a length that is known before writing, so writing does not copy them.
///
/// The bytes are the same as those of `safetensors::serialize`.
#[derive(Debug)]
pub(crate) struct Safetensors {
    header: Vec<u8>,
    tensors: Vec<Tensor>,
    n_bytes: usize,
}

impl Safetensors {
    /// Lays out `tensors`: by type, then by name.
    pub(crate) fn new(mut tensors: Vec<Tensor>) -> Self {
        let dtype = |tensor: &Tensor| match tensor.values {
            Values::Floats(_) => Dtype::F32,
            Values::Integers(_) => Dtype::U32,
        };
        tensors.sort_by(|a, b| dtype(b).cmp(&dtype(a)).then_with(|| a.name.cmp(&b.name)));
        let mut offset = 0;
        let infos = tensors
            .iter()
            .map(|tensor| {
                let start = offset;
                offset += 4 * tensor.shape.iter().product::<usize>();
                let info = TensorInfo {
                    dtype: dtype(tensor),
                    shape: tensor.shape.clone(),
                    data_offsets: (start, offset),
                };
                (tensor.name.clone(), info)
            })
            .collect();
        let metadata = Metadata::new(None, infos).expect("tensors are laid out without gaps");
        let mut header = serde_json::to_vec(&metadata).expect("names and numbers are valid JSON");
        header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
        let n_bytes = ALIGNMENT + header.len() + offset;
        Self { header, tensors, n_bytes }
    }

    /// Returns the number of bytes.
    pub(crate) fn n_bytes(&self) -> usize {
        self.n_bytes
    }

    /// Appends the bytes to `out`.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.n_bytes);
        out.extend((self.header.len() as u64).to_le_bytes());
        out.extend_from_slice(&self.header);
        for tensor in &self.tensors {
            match &tensor.values {
                Values::Floats(values) => {
                    values.iter().for_each(|value| out.extend(value.to_le_bytes()));
                }
                Values::Integers(values) => {
                    values.iter().for_each(|value| out.extend(value.to_le_bytes()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::{TensorView, serialize};

    #[test]
    fn tensors_are_written_as_by_the_safetensors_library() {
        let tensors = [
            Tensor::of_floats("weights", vec![2, 3], vec![1.0, -2.5, 0.0, 1e-30, 4.0, 5.0]),
            Tensor::of_integers("columns", vec![7, u32::MAX]),
            Tensor::of_floats("idf", vec![0], Vec::new()),
        ];
        let floats: Vec<u8> =
            [1.0_f32, -2.5, 0.0, 1e-30, 4.0, 5.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let integers: Vec<u8> = [7, u32::MAX].iter().flat_map(|v| v.to_le_bytes()).collect();
        let expected = serialize(
            [
                ("weights", TensorView::new(Dtype::F32, vec![2, 3], &floats).unwrap()),
                ("columns", TensorView::new(Dtype::U32, vec![2], &integers).unwrap()),
                ("idf", TensorView::new(Dtype::F32, vec![0], &[]).unwrap()),
            ],
            None,
        )
        .unwrap();
        let bytes = Tensor::to_bytes(&tensors);
        assert_eq!(bytes, expected);
        assert_eq!(Safetensors::new(tensors.to_vec()).n_bytes(), expected.len());
        let mut back = Tensor::from_bytes(&bytes).unwrap();
        back.sort_by_key(|tensor| std::cmp::Reverse(tensor.name.clone()));
        assert_eq!(back[0], tensors[0]);
    }
}
