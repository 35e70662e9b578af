//! The learning rate of each step and each parameter.

/// Rises from 0 over the first steps, then falls to 0 over the rest, in straight lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    n_steps: u64,
    n_warmup: u64,
}

impl Schedule {
    /// Makes the schedule of `n_steps` steps, of which the share `warmup_share` warm up.
    pub(super) fn new(n_steps: u64, warmup_share: f64) -> Self {
        Self { n_steps, n_warmup: (n_steps as f64 * warmup_share).round() as u64 }
    }

    /// Returns the share of the highest learning rate in step `step`, counted from 0; in (0, 1].
    ///
    /// (step + 1) / n_warmup while warming up, then (n_steps - step) / (n_steps - n_warmup): the first step and
    /// the last one learn, too.
    pub(super) fn share(&self, step: u64) -> f64 {
        if step < self.n_warmup {
            (step + 1) as f64 / self.n_warmup as f64
        } else {
            self.n_steps.saturating_sub(step) as f64 / (self.n_steps - self.n_warmup).max(1) as f64
        }
    }
}

/// Returns what the learning rate of a parameter at `height` is to that of the encoder, of which `top` is highest:
/// decay^(top - height).
pub(super) fn of_height(decay: f64, height: usize, top: usize) -> f64 {
    decay.powi((top - height) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_then_falls_to_nothing() {
        let schedule = Schedule::new(10, 0.2);
        let shares: Vec<f64> = (0..10).map(|step| schedule.share(step)).collect();
        assert_eq!(shares, [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]);
        assert_eq!(Schedule::new(2, 0.0).share(0), 1.0);
        assert_eq!(Schedule::new(1, 0.9).share(0), 1.0);
    }

    #[test]
    fn lower_layers_learn_more_slowly() {
        assert_eq!(of_height(0.5, 6, 6), 1.0);
        assert_eq!(of_height(0.5, 4, 6), 0.25);
        assert_eq!(of_height(1.0, 0, 6), 1.0);
    }
}
