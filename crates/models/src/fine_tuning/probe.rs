//! Trains the classifier alone, on the unchanged encoder, before both are trained together.
//!
//! A classifier with random weights sends random gradients into the encoder, and distorts the pretrained features until
//! the classifier itself has learned something.
//! Source: Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution",
//! ICLR 2022.

use super::{
    batches,
    loss::Loss,
    optimiser::AdamW,
    schedule::Schedule,
    task::{Task, device_fault},
};
use botops_features::encoder::network::Gradient;
use botops_findings::Result;
use botops_stats::random::Random;
use candle_core::Tensor;

/// Separates the shuffles from those of fine-tuning.
const PROBE: u64 = 0x9208_E000;
/// Rows in a step.
const BATCH: usize = 128;

/// Trains the classifier for `spec.head_epochs` passes over the pooled vectors, which are computed once.
pub(super) fn probe(task: &Task<'_>, loss: &Loss) -> Result<()> {
    let rows = &task.split.train;
    if task.spec.head_epochs == 0 || rows.is_empty() {
        return Ok(());
    }
    let pooled = task.pooled(rows, task.spec.max_batch_tokens)?;
    train_head(task, &pooled, loss).map_err(device_fault)
}

fn train_head(task: &Task<'_>, pooled: &Tensor, loss: &Loss) -> candle_core::Result<()> {
    let trained = task.classifier.trained_head(task.spec);
    let mut gradients: Vec<Gradient> =
        trained.iter().map(|trained| Gradient::of(&trained.var)).collect();
    let mut optimiser = AdamW::new(trained)?;
    let places: Vec<u32> = (0..task.split.train.len() as u32).collect();
    let n_epochs = task.spec.head_epochs as u64;
    let schedule = Schedule::new(n_epochs * places.len().div_ceil(BATCH) as u64, 0.0);
    let seed = Random::stream(task.seed, PROBE).bits();
    let mut step = 0;
    for epoch in 0..n_epochs {
        for places in batches::order(&places, seed, epoch).chunks(BATCH) {
            let y: Vec<u32> = places
                .iter()
                .map(|&place| task.y[task.split.train[place as usize] as usize])
                .collect();
            let x = pooled
                .index_select(&Tensor::from_slice(places, places.len(), pooled.device())?, 0)?;
            let value = loss.of(&task.classifier.head(&x)?, &y, loss.total(&y))?;
            let mut found = value.backward()?;
            for (gradient, trained) in gradients.iter_mut().zip(optimiser.trained()) {
                gradient.clear();
                gradient.add(&trained.var, &mut found)?;
            }
            optimiser.step(&gradients, schedule.share(step), 1.0)?;
            step += 1;
        }
    }
    Ok(())
}
