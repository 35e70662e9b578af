//! Threads that judge trials. They share records and features.

use botops_evaluation::{FoldOutcome, judge_folds};
use botops_findings::{Fault, Result};
use botops_models::{CrossValidator, ModelSpec, Sample, Silent};
use botops_pipelines::Equipment;
use botops_spec::Spec as _;
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

/// The result of a job.
pub(crate) struct Done {
    pub(crate) trial: u32,
    pub(crate) rung: u32,
    pub(crate) folds: Result<Vec<FoldOutcome>>,
    pub(crate) took: Duration,
}

/// Counts of the records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) n_samples: u64,
    pub(crate) n_groups: u64,
    pub(crate) n_intents: u64,
}

enum Message {
    Ready(Result<Counts>),
    Done(Done),
}

/// Running threads. After a drop they finish their present jobs and end. A job whose result was not received is repeated by
/// the process that continues the search.
pub(crate) struct Workers {
    jobs: mpsc::Sender<Job>,
    messages: UnboundedReceiver<Message>,
    stop: Arc<AtomicBool>,
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts `workers` threads on `records` (text and intent), divided into `n_folds` folds.
    ///
    /// # Errors
    /// Those of [`CrossValidator::new`].
    pub(crate) async fn start(
        records: Arc<Vec<(String, String)>>,
        n_folds: u32,
        seed: u64,
        workers: usize,
        equipment: Arc<Equipment>,
    ) -> Result<(Self, Counts)> {
        let (jobs, queue) = mpsc::channel();
        let (send, messages) = unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let mut team = Self { jobs, messages, stop: Arc::clone(&stop) };
        std::thread::Builder::new()
            .name("tune".to_owned())
            .spawn(move || {
                work(&records, (n_folds, seed), workers, &equipment, queue, &send, &stop)
            })
            .map_err(|error| {
                Fault::internal("BOT-9001", "a thread could not be started").caused_by(error)
            })?;
        match team.messages.recv().await {
            Some(Message::Ready(counts)) => Ok((team, counts?)),
            _ => Err(lost()),
        }
    }

    /// Adds a job.
    pub(crate) fn add(&self, job: Job) -> Result<()> {
        self.jobs.send(job).map_err(|_| lost())
    }

    /// Waits for the next result.
    pub(crate) async fn next(&mut self) -> Result<Done> {
        match self.messages.recv().await {
            Some(Message::Done(done)) => Ok(done),
            _ => Err(lost()),
        }
    }
}

/// The fault of threads that ended by a bug, which they report themselves.
fn lost() -> Fault {
    Fault::internal("BOT-9001", "the threads that judge trials were lost")
}

fn work(
    records: &[(String, String)],
    (n_folds, seed): (u32, u64),
    workers: usize,
    equipment: &Equipment,
    queue: mpsc::Receiver<Job>,
    send: &UnboundedSender<Message>,
    stop: &AtomicBool,
) {
    let samples: Vec<Sample<'_>> =
        records.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let made = CrossValidator::new(&samples, n_folds as usize, seed, equipment.resources());
    let counts = |validator: &CrossValidator<'_>| Counts {
        n_samples: validator.n_samples() as u64,
        n_groups: validator.n_groups() as u64,
        n_intents: validator.labels().len() as u64,
    };
    let validator = match made {
        Ok(validator) => validator,
        Err(fault) => {
            let _ = send.send(Message::Ready(Err(fault)));
            return;
        }
    };
    let _ = send.send(Message::Ready(Ok(counts(&validator))));
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
                    let judge = || validator.held_out(&spec.check()?, folds, share, 1, &Silent);
                    // After a panic in one thread the others would wait forever, so it becomes a result.
                    let folds = catch_unwind(AssertUnwindSafe(judge))
                        .unwrap_or_else(|_| Err(lost()))
                        .map(|held_out| judge_folds(&held_out));
                    let done = Done { trial, rung, folds, took: began.elapsed() };
                    if send.send(Message::Done(done)).is_err() {
                        return;
                    }
                }
            });
        }
    });
}
