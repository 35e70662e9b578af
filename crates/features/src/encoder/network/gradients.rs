//! Gradients, added up over the parts of a batch.

use super::slices::numbers;
use candle_core::{Device, Result, Tensor, backprop::GradStore};

/// A sum whose room is used again, step by step.
#[derive(Debug, Clone)]
pub(crate) struct Sum {
    values: Vec<f32>,
    is_empty: bool,
}

impl Sum {
    fn new(len: usize) -> Self {
        Self { values: vec![0.0; len], is_empty: true }
    }

    /// Returns the factor of what the room holds (0 where nothing was added yet, whatever it holds), and the room.
    pub(super) fn begin(&mut self) -> (f32, &mut [f32]) {
        let keep = if std::mem::take(&mut self.is_empty) { 0.0 } else { 1.0 };
        (keep, &mut self.values)
    }

    /// As [`Sum::begin`], with zeros in the room where nothing was added yet.
    pub(super) fn begin_at_zero(&mut self) -> (f32, &mut [f32]) {
        if std::mem::take(&mut self.is_empty) {
            self.values.fill(0.0);
        }
        (1.0, &mut self.values)
    }

    pub(super) fn add(&mut self, values: &[f32]) {
        let (_, sum) = self.begin_at_zero();
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum += value;
        }
    }
}

/// The gradient of one variable, where the variable is.
#[derive(Debug, Clone)]
pub enum Gradient {
    /// In the processor's memory.
    Here(Sum),
    /// On a device; none where nothing was added yet.
    There(Option<Tensor>),
}

impl Gradient {
    /// Makes room for the gradient of `variable`.
    pub fn of(variable: &Tensor) -> Self {
        match variable.device() {
            Device::Cpu => Self::Here(Sum::new(variable.elem_count())),
            _ => Self::There(None),
        }
    }

    /// Takes back all that was added.
    pub fn clear(&mut self) {
        match self {
            Self::Here(sum) => sum.is_empty = true,
            Self::There(sum) => *sum = None,
        }
    }

    /// Returns the numbers, where they are in the processor's memory and something was added.
    pub fn here(&self) -> Option<&[f32]> {
        match self {
            Self::Here(sum) if !sum.is_empty => Some(&sum.values),
            _ => None,
        }
    }

    /// Returns the tensor, where it is on a device and something was added.
    pub fn there(&self) -> Option<&Tensor> {
        match self {
            Self::There(sum) => sum.as_ref(),
            Self::Here(_) => None,
        }
    }

    /// Adds what candle found for `variable`, if it found anything.
    pub fn add(&mut self, variable: &Tensor, found: &mut GradStore) -> Result<()> {
        let Some(gradient) = found.remove(variable) else { return Ok(()) };
        match self {
            Self::Here(sum) => {
                let gradient = gradient.contiguous()?;
                let (storage, layout) = gradient.storage_and_layout();
                sum.add(numbers(&storage, layout)?);
            }
            Self::There(sum) => {
                *sum = Some(match sum.take() {
                    Some(sum) => (sum + gradient)?,
                    None => gradient,
                });
            }
        }
        Ok(())
    }

    pub(super) fn sum(&mut self) -> Option<&mut Sum> {
        match self {
            Self::Here(sum) => Some(sum),
            Self::There(_) => None,
        }
    }
}
