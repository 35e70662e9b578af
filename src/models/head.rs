//! What every classifier does once it is fitted: a sparse row to one score for each intent.

use crate::findings::{Fault, Result};
use safetensors::{
    Dtype, SafeTensors,
    tensor::{TensorView, serialize},
};

/// A fitted classifier.
pub(super) trait Head: std::fmt::Debug + Send + Sync {
    /// Returns the number of intents.
    fn n_classes(&self) -> usize;
    /// Writes the raw score of each intent for `row` of (column, value), columns in any order.
    fn scores(&self, row: &[(u32, f32)], scratch: &mut HeadScratch, scores: &mut [f64]);
    /// Returns what `value` in `column` adds to the score of `class`, and nothing else does; `None` when scores are
    /// no such sums.
    fn contribution(&self, column: u32, value: f32, class: usize) -> Option<f64>;
    /// Returns the score of `class` for an empty row; `None` when scores are no sums.
    fn intercept(&self, class: usize) -> Option<f64>;
    /// Returns the numbers that make it, by name.
    fn tensors(&self) -> Vec<Tensor>;
}

/// Working memory of a head.
#[derive(Debug, Default)]
pub(super) struct HeadScratch {
    pub(super) sums: Vec<f32>,
    /// The reduced features a forest sees; all 0 between two rows.
    pub(super) dense: Vec<f32>,
}

/// A named array of numbers in a model file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor {
    name: String,
    shape: Vec<usize>,
    values: Values,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    Floats(Vec<f32>),
    Integers(Vec<u32>),
}

/// The fault of a model file whose parts contradict each other.
pub(super) fn malformed(what: &str) -> Fault {
    Fault::data("BOT-7003", format!("the model {what}"))
        .hint("train the model again, or pull it again from the registry")
}

impl Tensor {
    pub(super) fn of_floats(name: &str, shape: Vec<usize>, values: Vec<f32>) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len(), "the shape fits");
        Self { name: name.to_owned(), shape, values: Values::Floats(values) }
    }

    pub(super) fn of_integers(name: &str, values: Vec<u32>) -> Self {
        Self { name: name.to_owned(), shape: vec![values.len()], values: Values::Integers(values) }
    }

    #[cfg(test)]
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn find<'a>(tensors: &'a [Self], name: &str) -> Result<&'a Self> {
        tensors
            .iter()
            .find(|tensor| tensor.name == name)
            .ok_or_else(|| malformed(&format!("has no `{name}`")))
    }

    /// Returns the floats of `name`, which must have `shape`.
    pub(super) fn floats<'a>(
        tensors: &'a [Self],
        name: &str,
        shape: &[usize],
    ) -> Result<&'a [f32]> {
        let tensor = Self::find(tensors, name)?;
        match &tensor.values {
            Values::Floats(values) if tensor.shape == shape => Ok(values),
            _ => {
                Err(malformed(&format!("has `{name}` of another shape than its other parts want")))
            }
        }
    }

    /// Returns the integers of `name`, whatever their number.
    pub(super) fn integers<'a>(tensors: &'a [Self], name: &str) -> Result<&'a [u32]> {
        match &Self::find(tensors, name)?.values {
            Values::Integers(values) => Ok(values),
            Values::Floats(_) => Err(malformed(&format!("has `{name}` of another type"))),
        }
    }

    /// Writes safetensors.
    pub(super) fn to_bytes(tensors: &[Self]) -> Vec<u8> {
        let data: Vec<(Vec<u8>, Dtype)> = tensors
            .iter()
            .map(|tensor| match &tensor.values {
                Values::Floats(values) => {
                    (values.iter().flat_map(|v| v.to_le_bytes()).collect(), Dtype::F32)
                }
                Values::Integers(values) => {
                    (values.iter().flat_map(|v| v.to_le_bytes()).collect(), Dtype::U32)
                }
            })
            .collect();
        let views = tensors.iter().zip(&data).map(|(tensor, (bytes, dtype))| {
            let view = TensorView::new(*dtype, tensor.shape.clone(), bytes)
                .expect("a tensor's shape fits its values");
            (tensor.name.clone(), view)
        });
        serialize(views, None).expect("a few names make a short header")
    }

    /// Reads safetensors, by name.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Vec<Self>> {
        let read = SafeTensors::deserialize(bytes)
            .map_err(|error| malformed("has weights that are not safetensors").caused_by(error))?;
        let mut tensors = Vec::new();
        for (name, view) in read.iter() {
            let words = || view.data().chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
            let values = match view.dtype() {
                Dtype::F32 => Values::Floats(words().map(f32::from_le_bytes).collect()),
                Dtype::U32 => Values::Integers(words().map(u32::from_le_bytes).collect()),
                _ => return Err(malformed(&format!("has `{name}` of a type it never writes"))),
            };
            tensors.push(Self { name: name.to_owned(), shape: view.shape().to_vec(), values });
        }
        tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(tensors)
    }
}
