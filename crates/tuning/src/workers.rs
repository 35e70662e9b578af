//! The threads that judge trials: they share records and features, and know nothing of stores and rungs.

use botops_evaluation::{FoldOutcome, judge_folds};
use botops_findings::{Fault, Result};
use botops_models::{CrossValidator, ModelSpec, Sample, Silent};
use botops_pipelines::Equipment;
use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// One trial to be judged in one rung.
pub(crate) struct Job {
    pub(crate) trial: u32,
    pub(crate) rung: u32,
    pub(crate) spec: ModelSpec,
    pub(crate) folds: Range<u32>,
    pub(crate) share: f64,
}

/// What a job came to.
pub(crate) struct Done {
    pub(crate) trial: u32,
    pub(crate) rung: u32,
    pub(crate) folds: Result<Vec<FoldOutcome>>,
    pub(crate) took: Duration,
}

/// What the records turned out to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) n_samples: u64,
    pub(crate) n_groups: u64,
    pub(crate) n_intents: u64,
}

enum Said {
    Ready(Result<Facts>),
    Done(Done),
}

/// Threads at work. They end with the job at hand once this is dropped, and with the process at any time: what they
/// did not hand over is done again by whoever goes on.
pub(crate) struct Crew {
    jobs: mpsc::Sender<Job>,
    said: UnboundedReceiver<Said>,
    stop: Arc<AtomicBool>,
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Crew {
    /// Sets `workers` threads to work on `records` (text and intent), dealt into `n_folds`.
    ///
    /// # Errors
    /// Those of [`CrossValidator::new`].
    pub(crate) async fn start(
        records: Arc<Vec<(String, String)>>,
        n_folds: u32,
        seed: u64,
        workers: usize,
        equipment: Arc<Equipment>,
    ) -> Result<(Self, Facts)> {
        let (jobs, queue) = mpsc::channel();
        let (say, said) = unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let mut crew = Self { jobs, said, stop: Arc::clone(&stop) };
        std::thread::Builder::new()
            .name("tune".to_owned())
            .spawn(move || work(&records, (n_folds, seed), workers, &equipment, queue, &say, &stop))
            .map_err(|error| {
                Fault::internal("BOT-9001", "a thread could not be started").caused_by(error)
            })?;
        match crew.said.recv().await {
            Some(Said::Ready(facts)) => Ok((crew, facts?)),
            _ => Err(lost()),
        }
    }

    /// Adds a job.
    pub(crate) fn add(&self, job: Job) -> Result<()> {
        self.jobs.send(job).map_err(|_| lost())
    }

    /// Waits for the next job that is done.
    pub(crate) async fn next(&mut self) -> Result<Done> {
        match self.said.recv().await {
            Some(Said::Done(done)) => Ok(done),
            _ => Err(lost()),
        }
    }
}

/// The fault of threads that ended by a bug; what it was is said where it happened.
fn lost() -> Fault {
    Fault::internal("BOT-9001", "the threads that judge trials were lost")
}

fn work(
    records: &[(String, String)],
    (n_folds, seed): (u32, u64),
    workers: usize,
    equipment: &Equipment,
    queue: mpsc::Receiver<Job>,
    say: &UnboundedSender<Said>,
    stop: &AtomicBool,
) {
    let samples: Vec<Sample<'_>> =
        records.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let made = CrossValidator::new(&samples, n_folds as usize, seed, equipment.resources());
    let facts = |validator: &CrossValidator<'_>| Facts {
        n_samples: validator.n_samples() as u64,
        n_groups: validator.n_groups() as u64,
        n_intents: validator.labels().len() as u64,
    };
    let validator = match made {
        Ok(validator) => validator,
        Err(fault) => {
            let _ = say.send(Said::Ready(Err(fault)));
            return;
        }
    };
    let _ = say.send(Said::Ready(Ok(facts(&validator))));
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(Job { trial, rung, spec, folds, share }) = next else { return };
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let began = Instant::now();
                    let judge = || validator.held_out(&spec, folds, share, 1, &Silent);
                    // A bug in one of several threads is told by it: the others would wait for ever.
                    let folds = catch_unwind(AssertUnwindSafe(judge))
                        .unwrap_or_else(|_| Err(lost()))
                        .map(|held_out| judge_folds(&held_out));
                    let done = Done { trial, rung, folds, took: began.elapsed() };
                    if say.send(Said::Done(done)).is_err() {
                        return;
                    }
                }
            });
        }
    });
}
