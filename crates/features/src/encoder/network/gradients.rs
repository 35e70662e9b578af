//! Gradients, summed over the parts of a batch.

use super::slices;
use candle_core::{Device, Result, Tensor, backprop::GradStore};

/// A sum whose memory is reused at every step.
#[derive(Debug, Clone)]
pub(super) struct Sum {
    values: Vec<f32>,
    is_empty: bool,
}

impl Sum {
    fn new(len: usize) -> Self {
        Self { values: vec![0.0; len], is_empty: true }
    }

    /// Returns the factor of the old values (0 if nothing was added yet, else 1), and the values.
    pub(super) fn begin(&mut self) -> (f32, &mut [f32]) {
        let keep = if std::mem::take(&mut self.is_empty) { 0.0 } else { 1.0 };
        (keep, &mut self.values)
    }

    /// As [`Sum::begin`], but with zeros as values if nothing was added yet, so that the factor is 1.
    pub(super) fn begin_at_zero(&mut self) -> (f32, &mut [f32]) {
        if std::mem::take(&mut self.is_empty) {
            self.values.fill(0.0);
        }
        (1.0, &mut self.values)
    }

    /// Adds `values`.
    pub(super) fn add(&mut self, values: &[f32]) {
        let (_, sum) = self.begin_at_zero();
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum += value;
        }
    }
}

/// The gradient of one variable, on the device of the variable.
#[derive(Debug, Clone)]
pub struct Gradient(Place);

/// The memory that holds a gradient.
#[derive(Debug, Clone)]
enum Place {
    /// In CPU memory.
    Here(Sum),
    /// On another device; `None` if nothing was added yet.
    There(Option<Tensor>),
}

impl Gradient {
    /// Makes an empty gradient of `variable`.
    pub fn of(variable: &Tensor) -> Self {
        match variable.device() {
            Device::Cpu => Self(Place::Here(Sum::new(variable.elem_count()))),
            _ => Self(Place::There(None)),
        }
    }

    /// Resets the gradient to empty.
    pub fn clear(&mut self) {
        match &mut self.0 {
            Place::Here(sum) => sum.is_empty = true,
            Place::There(sum) => *sum = None,
        }
    }

    /// Returns the values, if they are in CPU memory and something was added.
    pub fn here(&self) -> Option<&[f32]> {
        match &self.0 {
            Place::Here(sum) if !sum.is_empty => Some(&sum.values),
            _ => None,
        }
    }

    /// Returns the tensor, if it is on another device and something was added.
    pub fn there(&self) -> Option<&Tensor> {
        match &self.0 {
            Place::There(sum) => sum.as_ref(),
            Place::Here(_) => None,
        }
    }

    /// Adds candle's gradient of `variable`, if it found one.
    ///
    /// # Errors
    /// If the gradient cannot be read from the device.
    pub fn add(&mut self, variable: &Tensor, found: &mut GradStore) -> Result<()> {
        let Some(gradient) = found.remove(variable) else { return Ok(()) };
        match &mut self.0 {
            Place::Here(sum) => {
                let gradient = gradient.contiguous()?;
                let (storage, layout) = gradient.storage_and_layout();
                sum.add(slices::values(&storage, layout)?);
            }
            Place::There(sum) => {
                *sum = Some(match sum.take() {
                    Some(sum) => (sum + gradient)?,
                    None => gradient,
                });
            }
        }
        Ok(())
    }

    /// Returns the sum, if it is in CPU memory.
    pub(super) fn sum(&mut self) -> Option<&mut Sum> {
        match &mut self.0 {
            Place::Here(sum) => Some(sum),
            Place::There(_) => None,
        }
    }
}
