//! The learning rate of each step and each parameter.

/// A learning rate that rises linearly from 0 over the first steps, then falls linearly to 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    n_steps: u64,
    n_warmup: u64,
}

impl Schedule {
    /// Makes the schedule of `n_steps` steps, with the share `warmup_share` of them as warm-up.
    pub(super) fn new(n_steps: u64, warmup_share: f64) -> Self {
        Self { n_steps, n_warmup: (n_steps as f64 * warmup_share).round() as u64 }
    }

    /// Returns the share of the highest learning rate in step `step`, from 0; in (0, 1].
    ///
    /// It is (step + 1) / n_warmup during the warm-up, then (n_steps - step) / (n_steps - n_warmup). It is above 0 in the
    /// first and in the last step.
    pub(super) fn share(&self, step: u64) -> f64 {
        if step < self.n_warmup {
            (step + 1) as f64 / self.n_warmup as f64
        } else {
            self.n_steps.saturating_sub(step) as f64 / (self.n_steps - self.n_warmup).max(1) as f64
        }
    }
}

/// Returns the factor of the learning rate of a parameter at `height`: decay^(top - height), where `top` is the height
/// of the top layer.
pub(super) fn layer_factor(decay: f64, height: usize, top: usize) -> f64 {
    decay.powi((top - height) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_then_falls() {
        let schedule = Schedule::new(10, 0.2);
        let shares: Vec<f64> = (0..10).map(|step| schedule.share(step)).collect();
        assert_eq!(shares, [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]);
        assert_eq!(Schedule::new(2, 0.0).share(0), 1.0);
        assert_eq!(Schedule::new(1, 0.9).share(0), 1.0);
    }

    #[test]
    fn lower_layers_have_lower_learning_rates() {
        assert_eq!(layer_factor(0.5, 6, 6), 1.0);
        assert_eq!(layer_factor(0.5, 4, 6), 0.25);
        assert_eq!(layer_factor(1.0, 0, 6), 1.0);
    }
}
