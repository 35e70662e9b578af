//! The loop: batches, gradients, steps, and what comes between them.

use super::{
    EpochRecord, FineTuningSpec, Progress,
    batches::{self, Split},
    checkpoint::{Checkpoints, Place, State},
    classifier::Classifier,
    loss::Loss,
    optimiser::{self, AdamW, Trained},
    schedule::Schedule,
};
use botops_features::encoder::network::{Dropout, Gradient, Packed};
use botops_findings::{Fault, Result};
use botops_stats::{calibration::negative_log_likelihood, random::Random};
use candle_core::Tensor;

/// Keeps the draws of dropout apart from other draws of the same seed.
const DROPOUT: u64 = 0xD209_0A7E;

/// What is trained, on what, and how.
pub(super) struct Training<'a> {
    pub(super) classifier: Classifier,
    pub(super) tokens: Vec<Vec<u32>>,
    pub(super) y: &'a [u32],
    pub(super) n_classes: usize,
    pub(super) split: Split,
    pub(super) spec: &'a FineTuningSpec,
    pub(super) seed: u64,
}

/// What training came to, besides the weights.
pub(super) struct Outcome {
    pub(super) history: Vec<EpochRecord>,
    pub(super) epoch: usize,
    /// Of the held-out rows, [n_rows, n_classes].
    pub(super) scores: Vec<f64>,
    pub(super) resumed_from: Option<u64>,
    pub(super) notes: Vec<String>,
}

/// A run in progress.
struct Running {
    optimiser: AdamW,
    /// Of all that is trained, in its order: room that every step uses again.
    gradients: Vec<Gradient>,
    place: Place,
    /// The best weights so far, where training may stop early.
    best: Option<Vec<Vec<f32>>>,
    notes: Vec<String>,
}

impl Training<'_> {
    /// Trains from the start or from the newest checkpoint to the end; the classifier then has the weights to keep.
    pub(super) fn run(
        &self,
        trained: Vec<Trained>,
        checkpoints: Option<&Checkpoints<'_>>,
        progress: &dyn Progress,
    ) -> Result<Outcome> {
        let steps_per_epoch = self.split.train.len().div_ceil(self.spec.batch_size) as u64;
        let n_steps = steps_per_epoch * self.spec.epochs as u64;
        let schedule = Schedule::new(n_steps, self.spec.warmup_share);
        let mut running = self.start(trained)?;
        let resumed_from = match checkpoints.map(Checkpoints::newest).transpose()?.flatten() {
            Some((state, passed_over)) => {
                running.notes.extend(passed_over);
                Some(resume(&mut running, state)?)
            }
            None => None,
        };
        let intents = self.split.train.iter().map(|&row| self.y[row as usize]);
        let loss =
            Loss::new(intents, self.n_classes, self.spec.class_weight, self.spec.label_smoothing);
        progress.begin("fine-tune", n_steps);
        match resumed_from {
            Some(step) => progress.advance(step),
            None => self.probe(&loss)?,
        }
        let mut order = (u64::MAX, Vec::new());
        while running.place.step < n_steps && !self.is_patience_over(&running.place) {
            let epoch = running.place.step / steps_per_epoch;
            if order.0 != epoch {
                order = (epoch, batches::order(&self.split.train, self.seed, epoch));
            }
            let in_epoch = (running.place.step % steps_per_epoch) as usize;
            let from = in_epoch * self.spec.batch_size;
            let rows = &order.1[from..(from + self.spec.batch_size).min(order.1.len())];
            let share = schedule.share(running.place.step);
            running.place.loss_sum += self.step(&mut running, rows, &loss, share)?;
            running.place.step += 1;
            if running.place.step.is_multiple_of(steps_per_epoch) {
                self.end_epoch(&mut running, steps_per_epoch)?;
            }
            let every = self.spec.checkpoint_steps as u64;
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
        let scores = self.held_out_scores(running.place.max_tokens)?;
        progress.finish();
        Ok(Outcome {
            history: running.place.history,
            epoch,
            scores,
            resumed_from,
            notes: running.notes,
        })
    }

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

    fn is_patience_over(&self, place: &Place) -> bool {
        let waited = place.history.len() - place.best.unwrap_or(place.history.len());
        self.spec.patience.is_some_and(|patience| waited >= patience)
    }

    /// Makes one step; returns the loss of its batch before it.
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

    /// Returns the loss of a batch, and makes `gradients` those of all that is trained, in its order.
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

    /// After a device ran out of memory: halves what is computed at once, where that can still help.
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
            "the device ran out of memory in step {}: from there on at most {fewer} tokens were computed at once",
            running.place.step + 1
        ));
        Ok(())
    }

    fn diverged(&self, step: u64, share: f64) -> Fault {
        let rate = self.spec.learning_rate;
        let message = format!(
            "the loss is no number any more in step {} at a learning rate of {:.2e}",
            step + 1,
            rate * share
        );
        let fault = Fault::usage("BOT-7032", message).hint(format!(
            "set a lower `fine_tuning.learning_rate`, such as {:.0e}, or a `clip_norm`",
            rate / 4.0
        ));
        match self.spec.checkpoint_steps {
            0 => fault,
            _ => fault.hint("the last checkpoint was written before, and is whole"),
        }
    }

    fn end_epoch(&self, running: &mut Running, steps_per_epoch: u64) -> Result<()> {
        let scores = self.held_out_scores(running.place.max_tokens)?;
        let truth: Vec<usize> =
            self.split.held_out.iter().map(|&row| self.y[row as usize] as usize).collect();
        let judged = (!truth.is_empty()).then(|| {
            let right = scores
                .chunks(self.n_classes)
                .zip(&truth)
                .filter(|(s, t)| largest(s) == **t)
                .count();
            let loss = negative_log_likelihood(&scores, self.n_classes, &truth, 1.0);
            (right as f64 / truth.len() as f64, loss)
        });
        let place = &mut running.place;
        place.history.push(EpochRecord {
            epoch: place.history.len() + 1,
            train_loss: place.loss_sum / steps_per_epoch as f64,
            validation_loss: judged.map(|(_, loss)| loss),
            validation_accuracy: judged.map(|(accuracy, _)| accuracy),
        });
        place.loss_sum = 0.0;
        if self.spec.patience.is_some() {
            let of = |epoch: usize| {
                let record = &place.history[epoch - 1];
                (record.validation_accuracy, record.validation_loss.map(|loss| -loss))
            };
            let now = place.history.len();
            if place.best.is_none_or(|best| of(now) > of(best)) {
                place.best = Some(now);
                running.best = Some(values(running.optimiser.trained()).map_err(device_fault)?);
            }
        }
        Ok(())
    }

    /// Returns the scores of the held-out rows, [n_rows, n_classes].
    fn held_out_scores(&self, max_tokens: usize) -> Result<Vec<f64>> {
        if self.split.held_out.is_empty() {
            return Ok(Vec::new());
        }
        let pooled = self.pooled(&self.split.held_out, max_tokens)?;
        let scores =
            self.classifier.head(&pooled).and_then(|scores| scores.flatten_all()?.to_vec1::<f32>());
        Ok(scores.map_err(device_fault)?.into_iter().map(f64::from).collect())
    }

    /// Returns the pooled vectors of `rows`, at least one, nothing dropped: [n_rows, hidden_size].
    pub(super) fn pooled(&self, rows: &[u32], max_tokens: usize) -> Result<Tensor> {
        let tokens = |row: u32| self.tokens[row as usize].as_slice();
        let lengths: Vec<usize> = rows.iter().map(|&row| tokens(row).len()).collect();
        // Nothing is kept for a way back: what fits for training fits here.
        let parts = batches::parts(&lengths, max_tokens).into_iter().map(|part| {
            let batch = Packed::new(rows[part].iter().map(|&row| (0, tokens(row))));
            self.classifier.pooled(&batch)
        });
        let parts = parts.collect::<candle_core::Result<Vec<_>>>();
        parts.and_then(|parts| Tensor::cat(&parts, 0)).map_err(device_fault)
    }
}

impl Running {
    fn state(&self) -> Result<State> {
        Ok(State {
            place: self.place.clone(),
            values: values(self.optimiser.trained()).map_err(device_fault)?,
            moments: self.optimiser.moments().map_err(device_fault)?,
            best: self.best.clone(),
        })
    }
}

/// Goes on from `state`; returns its step.
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

/// The index of the largest score; the lowest of equals.
fn largest(scores: &[f64]) -> usize {
    (1..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best })
}

/// What a failure of candle is to the user.
pub(super) fn device_fault(error: candle_core::Error) -> Fault {
    Fault::internal("BOT-7035", format!("the device failed: {error}"))
        .hint("lower `fine_tuning.max_batch_tokens` where memory is short")
        .caused_by(error)
}
