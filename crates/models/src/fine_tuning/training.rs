//! The training loop: batches, gradients, steps, epochs and checkpoints.

use super::{
    batches,
    checkpoint::{Checkpoints, Place, State},
    loss::Loss,
    optimiser::{self, AdamW, Trained},
    outcome::EpochRecord,
    probe::probe,
    schedule::Schedule,
    task::{Task, device_fault},
};
use crate::Progress;
use botops_features::encoder::network::{Dropout, Gradient, Packed};
use botops_findings::{Fault, Result};
use botops_stats::{argmax::argmax, calibration::negative_log_likelihood, random::Random};
use candle_core::Tensor;

/// Separates the draws of dropout from other draws of the same seed.
const DROPOUT: u64 = 0xD209_0A7E;

/// The result of training, apart from the weights.
pub(super) struct Outcome {
    pub(super) history: Vec<EpochRecord>,
    pub(super) epoch: usize,
    /// Scores of the held-out rows, [n_rows, n_classes].
    pub(super) scores: Vec<f64>,
    pub(super) resumed_from: Option<u64>,
    pub(super) notes: Vec<String>,
}

/// The state of a run.
struct Running {
    optimiser: AdamW,
    /// The gradients of the trained variables, in their order; every step reuses their memory.
    gradients: Vec<Gradient>,
    place: Place,
    /// The best weights so far, if training can stop early.
    best: Option<Vec<Vec<f32>>>,
    notes: Vec<String>,
}

/// Trains from the start or from the newest checkpoint to the end, and leaves the final weights in the classifier.
pub(super) fn run(
    task: &Task<'_>,
    trained: Vec<Trained>,
    checkpoints: Option<&Checkpoints<'_>>,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let Task { split, spec, .. } = task;
    let steps_per_epoch = split.train.len().div_ceil(spec.batch_size) as u64;
    let n_steps = steps_per_epoch * spec.epochs as u64;
    let schedule = Schedule::new(n_steps, spec.warmup_share);
    let mut running = task.start(trained)?;
    let resumed_from = match checkpoints.map(Checkpoints::newest).transpose()?.flatten() {
        Some((state, skipped)) => {
            running.notes.extend(skipped);
            Some(resume(&mut running, state)?)
        }
        None => None,
    };
    let intents = split.train.iter().map(|&row| task.y[row as usize]);
    let loss = Loss::new(intents, task.n_classes, spec.class_weight, spec.label_smoothing);
    progress.begin("fine-tune", n_steps);
    match resumed_from {
        Some(step) => progress.advance(step),
        None => probe(task, &loss)?,
    }
    let mut order = (u64::MAX, Vec::new());
    while running.place.step < n_steps && !task.is_patience_over(&running.place) {
        let epoch = running.place.step / steps_per_epoch;
        if order.0 != epoch {
            order = (epoch, batches::order(&split.train, task.seed, epoch));
        }
        let in_epoch = (running.place.step % steps_per_epoch) as usize;
        let from = in_epoch * spec.batch_size;
        let rows = &order.1[from..(from + spec.batch_size).min(order.1.len())];
        let share = schedule.share(running.place.step);
        running.place.loss_sum += task.step(&mut running, rows, &loss, share)?;
        running.place.step += 1;
        if running.place.step.is_multiple_of(steps_per_epoch) {
            task.end_epoch(&mut running, steps_per_epoch)?;
        }
        let every = spec.checkpoint_steps as u64;
        if let Some(checkpoints) = checkpoints
            && every > 0
            && running.place.step.is_multiple_of(every)
        {
            checkpoints.write(&running.state()?)?;
        }
        progress.advance(1);
    }
    let epoch = running.place.best.unwrap_or(running.place.history.len());
    if let Some(best) = &running.best {
        set(running.optimiser.trained(), best).map_err(device_fault)?;
    }
    let scores = task.held_out_scores(running.place.max_tokens)?;
    progress.finish();
    Ok(Outcome {
        history: running.place.history,
        epoch,
        scores,
        resumed_from,
        notes: running.notes,
    })
}

impl Task<'_> {
    /// Returns the state before the first step.
    fn start(&self, trained: Vec<Trained>) -> Result<Running> {
        let max_tokens = self.spec.max_batch_tokens;
        Ok(Running {
            optimiser: AdamW::new(trained).map_err(device_fault)?,
            gradients: self.classifier.gradients(),
            place: Place { step: 0, loss_sum: 0.0, history: Vec::new(), best: None, max_tokens },
            best: None,
            notes: Vec::new(),
        })
    }

    /// Returns whether the last `patience` epochs did not improve on the best.
    fn is_patience_over(&self, place: &Place) -> bool {
        let waited = place.history.len() - place.best.unwrap_or(place.history.len());
        self.spec.patience.is_some_and(|patience| waited >= patience)
    }

    /// Makes one step; returns the loss of its batch before the step.
    fn step(&self, running: &mut Running, rows: &[u32], loss: &Loss, share: f64) -> Result<f64> {
        let step = running.place.step;
        let value = loop {
            let max_tokens = running.place.max_tokens;
            match self.differentiate(rows, loss, step, max_tokens, &mut running.gradients) {
                Ok(value) => break value,
                Err(error) => self.halve(running, rows, error)?,
            }
        };
        let norm = optimiser::norm(&running.gradients).map_err(device_fault)?;
        if !value.is_finite() || !norm.is_finite() {
            return Err(self.diverged(step, share));
        }
        let scale = match self.spec.clip_norm {
            Some(most) if norm > most => most / norm,
            _ => 1.0,
        };
        running.optimiser.step(&running.gradients, share, scale).map_err(device_fault)?;
        Ok(value)
    }

    /// Returns the loss of a batch, and writes the gradients of the trained variables, in their order, to `gradients`.
    fn differentiate(
        &self,
        rows: &[u32],
        loss: &Loss,
        step: u64,
        max_tokens: usize,
        gradients: &mut [Gradient],
    ) -> candle_core::Result<f64> {
        gradients.iter_mut().for_each(Gradient::clear);
        let seed = Random::stream(self.seed, DROPOUT).bits();
        let dropout = Dropout::of_step(self.spec.dropout, seed, step);
        let tokens: Vec<&[u32]> =
            rows.iter().map(|&row| self.tokens[row as usize].as_slice()).collect();
        let lengths: Vec<usize> = tokens.iter().map(|tokens| tokens.len()).collect();
        let y: Vec<u32> = rows.iter().map(|&row| self.y[row as usize]).collect();
        let total = loss.total(&y);
        let mut value = 0.0;
        for part in batches::parts(&lengths, max_tokens) {
            let batch = Packed::new(part.clone().map(|place| (place as u64, tokens[place])));
            let (scores, pass) = self.classifier.train(batch, dropout)?;
            let of_part = loss.of(&scores, &y[part], total)?;
            value += f64::from(of_part.to_scalar::<f32>()?);
            self.classifier.add_gradients(&of_part, pass, gradients)?;
        }
        Ok(value)
    }

    /// Halves the tokens computed at once after a device ran out of memory; returns the fault if halving cannot help.
    fn halve(&self, running: &mut Running, rows: &[u32], error: candle_core::Error) -> Result<()> {
        let n_tokens: usize = rows.iter().map(|&row| self.tokens[row as usize].len()).sum();
        let longest = rows.iter().map(|&row| self.tokens[row as usize].len()).max().unwrap_or(0);
        let fewer = running.place.max_tokens.min(n_tokens) / 2;
        let out_of_memory = error.to_string().to_lowercase().contains("out of memory")
            || error.to_string().contains("OUT_OF_MEMORY");
        if !out_of_memory || fewer < longest {
            return Err(device_fault(error));
        }
        running.place.max_tokens = fewer;
        running.notes.push(format!(
            "the device ran out of memory in step {}: from then on at most {fewer} tokens were computed at once",
            running.place.step + 1
        ));
        Ok(())
    }

    /// Returns the fault of a loss or gradient that is not finite.
    fn diverged(&self, step: u64, share: f64) -> Fault {
        let rate = self.spec.learning_rate;
        let message = format!(
            "the loss or its gradient is not finite in step {} at a learning rate of {:.2e}",
            step + 1,
            rate * share
        );
        let fault = Fault::usage("BOT-7032", message).hint(format!(
            "set a lower `fine_tuning.learning_rate`, such as {:.0e}, or a `clip_norm`",
            rate / 4.0
        ));
        match self.spec.checkpoint_steps {
            0 => fault,
            _ => fault.hint("the last checkpoint is from before this step, and is intact"),
        }
    }

    /// Records the losses of the epoch that ended, and keeps its weights if they are the best so far.
    fn end_epoch(&self, running: &mut Running, steps_per_epoch: u64) -> Result<()> {
        let scores = self.held_out_scores(running.place.max_tokens)?;
        let truth: Vec<usize> =
            self.split.held_out.iter().map(|&row| self.y[row as usize] as usize).collect();
        let validation = (!truth.is_empty()).then(|| {
            let right =
                scores.chunks(self.n_classes).zip(&truth).filter(|(s, t)| argmax(s) == **t).count();
            let loss = negative_log_likelihood(&scores, self.n_classes, &truth, 1.0);
            (right as f64 / truth.len() as f64, loss)
        });
        let place = &mut running.place;
        place.history.push(EpochRecord {
            epoch: place.history.len() + 1,
            train_loss: place.loss_sum / steps_per_epoch as f64,
            validation_loss: validation.map(|(_, loss)| loss),
            validation_accuracy: validation.map(|(accuracy, _)| accuracy),
        });
        place.loss_sum = 0.0;
        if self.spec.patience.is_some() {
            let quality = |epoch: usize| {
                let record = &place.history[epoch - 1];
                (record.validation_accuracy, record.validation_loss.map(|loss| -loss))
            };
            let now = place.history.len();
            if place.best.is_none_or(|best| quality(now) > quality(best)) {
                place.best = Some(now);
                running.best = Some(values(running.optimiser.trained()).map_err(device_fault)?);
            }
        }
        Ok(())
    }
}

impl Running {
    /// Returns the state to write to a checkpoint.
    fn state(&self) -> Result<State> {
        Ok(State {
            place: self.place.clone(),
            values: values(self.optimiser.trained()).map_err(device_fault)?,
            moments: self.optimiser.moments().map_err(device_fault)?,
            best: self.best.clone(),
        })
    }
}

/// Restores `state`; returns its step.
fn resume(running: &mut Running, state: State) -> Result<u64> {
    let step = state.place.step;
    set(running.optimiser.trained(), &state.values).map_err(device_fault)?;
    running.optimiser.set_moments(state.moments, step).map_err(device_fault)?;
    running.place = state.place;
    running.best = state.best;
    Ok(step)
}

fn values(trained: &[Trained]) -> candle_core::Result<Vec<Vec<f32>>> {
    trained.iter().map(|trained| trained.var.flatten_all()?.to_vec1()).collect()
}

fn set(trained: &[Trained], values: &[Vec<f32>]) -> candle_core::Result<()> {
    for (trained, values) in trained.iter().zip(values) {
        let var = &trained.var;
        var.set(&Tensor::from_slice(values, var.shape(), var.device())?)?;
    }
    Ok(())
}
