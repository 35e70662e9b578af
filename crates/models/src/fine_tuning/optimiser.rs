//! AdamW (Adam with decoupled weight decay), and the norm of gradients.
//!
//! candle's AdamW keeps its moments private, so a checkpoint could not store them.

use botops_features::encoder::network::Gradient;
use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Result, Tensor, Var};
use rayon::prelude::*;
use std::cell::RefCell;

/// Decay rates of the mean and of the mean square of the gradients.
const BETAS: (f64, f64) = (0.9, 0.999);
/// Avoids a division by 0 for a weight whose gradients vanish.
const EPS: f64 = 1e-8;
/// Numbers in one piece of work of a thread.
const NUMBERS: usize = 1 << 15;

/// A variable that is trained.
#[derive(Debug, Clone)]
pub(super) struct Trained {
    /// Its name, which is unique.
    pub(super) name: String,
    pub(super) var: Var,
    /// Its highest learning rate.
    pub(super) learning_rate: f64,
    /// Its weight decay; 0 for biases and norms.
    pub(super) weight_decay: f64,
}

/// The moments of one variable, in the processor's memory or on its device.
enum Moments {
    Cpu { mean: Vec<f32>, square: Vec<f32> },
    Device { mean: Tensor, square: Tensor },
}

/// The AdamW optimiser.
///
/// With gradient g in step t = 1, 2, ..: m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2,
/// p = p - rate (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + decay p).
/// Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
pub(super) struct AdamW {
    trained: Vec<Trained>,
    moments: Vec<Moments>,
    n_steps: u64,
}

impl AdamW {
    /// Makes the optimiser of `trained`, before its first step.
    pub(super) fn new(trained: Vec<Trained>) -> Result<Self> {
        let moments = trained
            .iter()
            .map(|trained| {
                Ok(match trained.var.device() {
                    Device::Cpu => {
                        let zeros = vec![0.0; trained.var.elem_count()];
                        Moments::Cpu { mean: zeros.clone(), square: zeros }
                    }
                    _ => {
                        let zeros = trained.var.zeros_like()?.detach();
                        Moments::Device { mean: zeros.clone(), square: zeros }
                    }
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { trained, moments, n_steps: 0 })
    }

    /// Returns the trained variables.
    pub(super) fn trained(&self) -> &[Trained] {
        &self.trained
    }

    /// Returns the running mean and mean square of the gradients of each variable.
    pub(super) fn moments(&self) -> Result<Vec<[Vec<f32>; 2]>> {
        self.moments
            .iter()
            .map(|moments| {
                Ok(match moments {
                    Moments::Cpu { mean, square } => [mean.clone(), square.clone()],
                    Moments::Device { mean, square } => {
                        [mean.flatten_all()?.to_vec1()?, square.flatten_all()?.to_vec1()?]
                    }
                })
            })
            .collect()
    }

    /// Sets the moments after `n_steps` steps; they have the number and lengths of the variables.
    pub(super) fn set_moments(&mut self, moments: Vec<[Vec<f32>; 2]>, n_steps: u64) -> Result<()> {
        for ((slot, [mean, square]), trained) in
            self.moments.iter_mut().zip(moments).zip(&self.trained)
        {
            *slot = match trained.var.device() {
                Device::Cpu => Moments::Cpu { mean, square },
                device => Moments::Device {
                    mean: Tensor::from_vec(mean, trained.var.shape(), device)?,
                    square: Tensor::from_vec(square, trained.var.shape(), device)?,
                },
            };
        }
        self.n_steps = n_steps;
        Ok(())
    }

    /// Makes a step with `share` of the highest learning rates; gradients are multiplied by `scale`.
    pub(super) fn step(&mut self, gradients: &[Gradient], share: f64, scale: f64) -> Result<()> {
        self.n_steps += 1;
        let t = i32::try_from(self.n_steps).unwrap_or(i32::MAX);
        let corrections = (1.0 - BETAS.0.powi(t), 1.0 - BETAS.1.powi(t));
        for ((trained, gradient), moments) in
            self.trained.iter().zip(gradients).zip(&mut self.moments)
        {
            let rate = trained.learning_rate * share;
            let keep = 1.0 - rate * trained.weight_decay;
            // The bias corrections of m and v and the learning rate, combined into two factors.
            let step = rate / corrections.0;
            let root = 1.0 / corrections.1.sqrt();
            let missing = || candle_core::Error::Msg(format!("`{}` has no gradient", trained.name));
            match moments {
                Moments::Cpu { mean, square } => {
                    let update = Update {
                        gradient: gradient.here().ok_or_else(missing)?,
                        moments: RefCell::new((mean, square)),
                        scale: scale as f32,
                        keep: keep as f32,
                        step: step as f32,
                        root: root as f32,
                    };
                    trained.var.inplace_op1(&update)?;
                }
                Moments::Device { mean, square } => {
                    let g = (gradient.there().ok_or_else(missing)? * scale)?;
                    *mean = ((&*mean * BETAS.0)? + (&g * (1.0 - BETAS.0))?)?;
                    *square = ((&*square * BETAS.1)? + (g.sqr()? * (1.0 - BETAS.1))?)?;
                    let size = ((square.sqrt()? * root)? + EPS)?;
                    let moved = (mean.div(&size)? * step)?;
                    let kept = (trained.var.as_detached_tensor() * keep)?;
                    trained.var.set(&(kept - moved)?)?;
                }
            }
        }
        Ok(())
    }
}

/// One step of one variable, in place and in one pass.
struct Update<'a> {
    gradient: &'a [f32],
    moments: RefCell<(&'a mut Vec<f32>, &'a mut Vec<f32>)>,
    scale: f32,
    keep: f32,
    step: f32,
    root: f32,
}

impl InplaceOp1 for Update<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, p: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(p), Some((from, to))) = (p, layout.contiguous_offsets()) else {
            return Err(candle_core::Error::Msg(
                "a variable is not contiguous, or not of type `f32`".into(),
            ));
        };
        let (p, g) = (&mut p[from..to], self.gradient);
        let mut moments = self.moments.borrow_mut();
        let (mean, square) = &mut *moments;
        let (b1, b2) = (BETAS.0 as f32, BETAS.1 as f32);
        let (c1, c2) = ((1.0 - BETAS.0) as f32, (1.0 - BETAS.1) as f32);
        let (scale, keep, step, root, eps) =
            (self.scale, self.keep, self.step, self.root, EPS as f32);
        p.par_chunks_mut(NUMBERS)
            .zip(g.par_chunks(NUMBERS))
            .zip(mean.par_chunks_mut(NUMBERS).zip(square.par_chunks_mut(NUMBERS)))
            .for_each(|((p, g), (mean, square))| {
                for (((p, g), m), v) in p.iter_mut().zip(g).zip(mean).zip(square) {
                    let g = g * scale;
                    *m = b1 * *m + c1 * g;
                    *v = b2 * *v + c2 * g * g;
                    *p = keep * *p - step * *m / (v.sqrt() * root + eps);
                }
            });
        Ok(())
    }
}

/// Returns the Euclidean norm of all gradients as one vector; it does not depend on the number of threads.
pub(super) fn norm(gradients: &[Gradient]) -> Result<f64> {
    let mut total = 0.0;
    for gradient in gradients {
        if let Some(values) = gradient.here() {
            let parts: Vec<f64> = values.par_chunks(NUMBERS).map(sum_of_squares).collect();
            total += parts.iter().sum::<f64>();
        }
        if let Some(tensor) = gradient.there() {
            total += f64::from(tensor.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
    }
    Ok(total.sqrt())
}

fn sum_of_squares(values: &[f32]) -> f64 {
    // Four independent sums, which the compiler can vectorise.
    let mut sums = [0.0_f64; 4];
    for values in values.chunks(4) {
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trained(values: &[f32], weight_decay: f64) -> Trained {
        Trained {
            name: "p".to_owned(),
            var: Var::from_slice(values, values.len(), &Device::Cpu).unwrap(),
            learning_rate: 0.1,
            weight_decay,
        }
    }

    /// Returns the gradient `values`: that of the sum of a variable's values, weighted by `values`.
    fn gradient_of(values: &[f32]) -> Gradient {
        let var = Var::zeros(values.len(), candle_core::DType::F32, &Device::Cpu).unwrap();
        let weights = Tensor::new(values, &Device::Cpu).unwrap();
        let mut found = (var.as_tensor() * weights).unwrap().sum_all().unwrap().backward().unwrap();
        let mut gradient = Gradient::of(&var);
        gradient.add(&var, &mut found).unwrap();
        gradient
    }

    #[test]
    fn a_variable_without_a_gradient_is_refused() {
        let mut adam = AdamW::new(vec![trained(&[1.0], 0.0)]).unwrap();
        let var = adam.trained()[0].var.clone();
        let error = adam.step(&[Gradient::of(&var)], 1.0, 1.0).unwrap_err();
        assert!(error.to_string().contains("`p` has no gradient"), "{error}");
    }

    /// By the formula in double precision (numpy 2.4): p = [1, -2], rate 0.1, decay 0.01, and three steps with the
    /// gradients [0.5, -1], [-0.25, 2], [0, 0.125].
    #[test]
    fn steps_match_the_formula() {
        let mut adam = AdamW::new(vec![trained(&[1.0, -2.0], 0.01)]).unwrap();
        for gradient in [[0.5_f32, -1.0], [-0.25, 2.0], [0.0, 0.125]] {
            adam.step(&[gradient_of(&gradient)], 1.0, 1.0).unwrap();
        }
        let p = adam.trained()[0].var.to_vec1::<f32>().unwrap();
        for (p, expected) in p.iter().zip(EXPECTED) {
            assert!((p - expected).abs() < 1e-6, "{p} {expected}");
        }
    }

    const EXPECTED: [f32; 2] = [0.850_007_9, -1.962_603];

    #[test]
    fn with_a_zero_gradient_only_weight_decay_applies() {
        let mut adam = AdamW::new(vec![trained(&[1.0], 0.5), trained(&[1.0], 0.0)]).unwrap();
        adam.step(&[gradient_of(&[0.0]), gradient_of(&[0.0])], 1.0, 1.0).unwrap();
        let values: Vec<f32> =
            adam.trained().iter().map(|t| t.var.to_vec1::<f32>().unwrap()[0]).collect();
        assert_eq!(values, [0.95, 1.0]);
    }

    #[test]
    fn the_norm_is_that_of_the_concatenated_gradients() {
        assert_eq!(norm(&[gradient_of(&[3.0, 0.0]), gradient_of(&[-4.0])]).unwrap(), 5.0);
    }
}
