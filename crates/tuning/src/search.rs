//! The search: rung after rung, the trials of this shard, then whatever the others did not do.

use super::{
    events::{By, TuneEvent, TuneListener},
    plan::TunePlan,
    runs,
    winner::winner_yaml,
};
use crate::{
    trial_store::{Entry, Key, Ledger},
    workers::{Crew, Done, Facts, Job},
};
use botops_digest::Digest;
use botops_evaluation::{
    FoldOutcome, SearchReport, SearchSetting, SearchTrial, ranked, score, summarise,
};
use botops_experiments::{CodeState, Environment, Experiments};
use botops_findings::{Fault, FaultKind, Result};
use botops_models::CrossValidator;
use botops_pipelines::Equipment;
use chrono::{DateTime, Utc};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// Which part of the trials a process takes first.
///
/// - `index` is below `count`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 0.
    pub index: u32,
    /// Of how many.
    pub count: u32,
}

impl Shard {
    /// Everything.
    pub const ALL: Self = Self { index: 0, count: 1 };
}

/// What trials are judged on.
#[derive(Debug, Clone)]
pub struct TuneData {
    /// The data, as named.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
    /// Text and intent of each record, in order.
    pub records: Arc<Vec<(String, String)>>,
}

/// What a search works with.
pub struct TuneServices<'a> {
    /// Where results are kept and runs recorded.
    pub experiments: &'a Experiments,
    /// Tells the time for records.
    pub clock: &'a (dyn Fn() -> Result<DateTime<Utc>> + Sync),
    /// The code this runs from.
    pub code: CodeState,
    /// The machine this runs on.
    pub environment: Environment,
    /// Hears what happens.
    pub listener: &'a dyn TuneListener,
    /// The part that this process takes first.
    pub shard: Shard,
    /// How long to wait for a result of another process before judging it here.
    pub lease: Duration,
    /// How often to look for results of others.
    pub poll: Duration,
    /// Trials judged side by side.
    pub workers: usize,
    /// What the trials need besides records: that of the base.
    pub equipment: Arc<Equipment>,
}

/// Searches as `plan` says on `data`, and records every trial as a run.
///
/// The report is the same however many processes worked on it, and however often they were interrupted.
///
/// # Errors
/// `BOT-3031` and others of records that cannot be dealt into folds; `BOT-8046` results of another search;
/// `BOT-8047` no trial could be trained (exit 3); those of the store.
pub async fn search(
    plan: &TunePlan,
    data: &TuneData,
    services: &TuneServices<'_>,
) -> Result<Found> {
    let identity = plan.identity(&data.records);
    let (crew, facts) = Crew::start(
        Arc::clone(&data.records),
        plan.spec.folds,
        plan.spec.seed,
        services.workers,
        Arc::clone(&services.equipment),
    )
    .await
    .map_err(|fault| match fault.place().file {
        Some(_) => fault,
        None => fault.file(&data.name),
    })?;
    let ledger = Ledger::new(services.experiments.store(), identity);
    let mut state = State {
        plan,
        services,
        ledger,
        crew,
        found: BTreeMap::new(),
        longest: Duration::ZERO,
        best: None,
    };
    state.begin().await?;
    let mut entered: Vec<u32> = (0..plan.trials.len() as u32).collect();
    for rung in 0..plan.rungs.len() {
        services.listener.hear(&TuneEvent::RungStarted {
            rung: rung as u32 + 1,
            rungs: plan.rungs.len() as u32,
            trials: entered.len() as u32,
            folds: plan.rungs[rung].folds,
            share: plan.rungs[rung].share,
        });
        state.best = None;
        state.rung(rung, &entered).await?;
        let next = plan.rungs.get(rung + 1).map_or(0, |next| next.trials);
        let kept = state.kept(rung, &entered, next as usize);
        let ended: Vec<u32> =
            entered.iter().filter(|trial| !kept.contains(trial)).copied().collect();
        runs::record_trials(&state.ended(&ended), plan, data, services).await?;
        entered = kept;
    }
    let setting = setting(plan, data, facts, identity);
    let trials = (0..plan.trials.len() as u32).map(|trial| state.told(trial)).collect();
    let spec_of = |trial: u32| plan.trials[trial as usize].spec.clone();
    let report = summarise(setting, &plan.kinds(), trials, spec_of).ok_or_else(|| {
        let why = state.found.values().find_map(|entry| entry.failed.clone()).unwrap_or_default();
        Fault::data("BOT-8047", format!("no trial could be trained: {why}"))
            .file(&data.name)
            .hint("try the configuration of the train stage by itself, with `botops run`")
    })?;
    let winner = winner_yaml(&report, &plan.upstream.file.display().to_string(), &plan.stage)?;
    let entries: Vec<&Entry> = state.found.values().collect();
    let run = runs::record_search(&report, &winner, &entries, services).await?;
    Ok(Found { report, winner, run })
}

/// What a search came to.
#[derive(Debug, Clone)]
pub struct Found {
    /// Everything about it.
    pub report: SearchReport,
    /// The winner's configuration, in YAML.
    pub winner: String,
    /// The run it is recorded as.
    pub run: String,
}

fn setting(plan: &TunePlan, data: &TuneData, facts: Facts, search: Digest) -> SearchSetting {
    SearchSetting {
        search,
        data: data.name.clone(),
        data_digest: data.digest,
        n_samples: facts.n_samples,
        n_groups: facts.n_groups,
        n_intents: facts.n_intents,
        metric: plan.spec.metric,
        n_folds: plan.spec.folds,
        seed: plan.spec.seed,
        rungs: plan.rungs.clone(),
    }
}

/// A trial that goes no further, with what it came to in each rung.
pub(crate) struct Ended<'a> {
    pub(crate) trial: u32,
    pub(crate) entries: Vec<&'a Entry>,
    /// What it was judged by in its last rung.
    pub(crate) folds: Vec<FoldOutcome>,
}

struct State<'a> {
    plan: &'a TunePlan,
    services: &'a TuneServices<'a>,
    ledger: Ledger<'a>,
    crew: Crew,
    /// Everything known of the trials that matter so far.
    found: BTreeMap<Key, Entry>,
    /// The longest time that a trial took.
    longest: Duration,
    best: Option<(u32, f64)>,
}

impl State<'_> {
    /// Says how much is there already.
    async fn begin(&self) -> Result<()> {
        let known = self.ledger.known().await?;
        let fits = |(_, rung): &Key| match self.plan.rungs.get(*rung as usize) {
            Some(_) => self.plan.new_folds(*rung as usize).len() as u64,
            None => 0,
        };
        let n = self.plan.trials.len() as u32;
        let known = known.iter().filter(|(trial, _)| *trial < n).map(fits).sum();
        let trials = n;
        self.services.listener.hear(&TuneEvent::Started { trials, fits: self.plan.fits(), known });
        if self.plan.is_exhausted {
            let message =
                format!("the space holds {n} configurations that can be trained: all are tried");
            self.services.listener.hear(&TuneEvent::Note { message });
        }
        Ok(())
    }

    /// Gets the results of `trials` in `rung`: from the store, by judging those of this shard, by waiting for the
    /// rest, and, when nothing of it comes, by judging that as well.
    async fn rung(&mut self, rung: usize, trials: &[u32]) -> Result<()> {
        let Shard { index, count } = self.services.shard;
        // By place, so that the shards have as much to do in every rung; in the first, place and number are one.
        let own: BTreeSet<u32> =
            (0..).zip(trials).filter(|(i, _)| i % count == index).map(|(_, t)| *t).collect();
        self.look(rung, trials).await?;
        let open = self.open(rung, trials);
        self.judge(rung, open.into_iter().filter(|trial| own.contains(trial)).collect()).await?;
        let mut since = Instant::now();
        let mut told = usize::MAX;
        loop {
            if self.look(rung, trials).await? > 0 {
                since = Instant::now();
            }
            let open = self.open(rung, trials);
            if open.is_empty() {
                return Ok(());
            }
            // A trial that takes long is no sign of a process that died.
            let lease = self.services.lease.max(4 * self.longest);
            let left = lease.saturating_sub(since.elapsed());
            if left.is_zero() {
                let message = format!(
                    "nothing came for {}: judging what is missing here",
                    humantime::format_duration(Duration::from_secs(lease.as_secs().max(1)))
                );
                self.services.listener.hear(&TuneEvent::Note { message });
                return self.take_over(rung, trials).await;
            }
            if open.len() < told {
                told = open.len();
                let missing = open.len() as u32;
                self.services.listener.hear(&TuneEvent::Waiting { missing, takeover: left });
            }
            tokio::time::sleep(self.services.poll.min(left)).await;
        }
    }

    /// Judges what is missing, a few at a time, looking before each few what others have done meanwhile.
    async fn take_over(&mut self, rung: usize, trials: &[u32]) -> Result<()> {
        loop {
            self.look(rung, trials).await?;
            let open = self.open(rung, trials);
            if open.is_empty() {
                return Ok(());
            }
            // Whoever else takes over begins elsewhere, so that little is done twice.
            let Shard { index, count } = self.services.shard;
            let start = open.len() * index as usize / count as usize;
            let few = open.iter().cycle().skip(start).take(self.services.workers.min(open.len()));
            self.judge(rung, few.copied().collect()).await?;
        }
    }

    /// Reads what the store has of `trials` in `rung` and is not known yet; returns how many those are.
    async fn look(&mut self, rung: usize, trials: &[u32]) -> Result<usize> {
        let open = self.open(rung, trials);
        if open.is_empty() {
            return Ok(0);
        }
        let stored = self.ledger.known().await?;
        let mut n = 0;
        for trial in open {
            let key = (trial, rung as u32);
            if !stored.contains(&key) {
                continue;
            }
            let params = &self.plan.trials[trial as usize].params;
            let folds = self.plan.new_folds(rung);
            if let Some(entry) = self.ledger.read(key, params, folds).await? {
                n += 1;
                self.take_in(entry, By::Store);
            }
        }
        Ok(n)
    }

    fn open(&self, rung: usize, trials: &[u32]) -> Vec<u32> {
        let missing = |trial: &u32| !self.found.contains_key(&(*trial, rung as u32));
        trials.iter().filter(|trial| missing(trial)).copied().collect()
    }

    /// Judges `trials` in `rung`, writing down each as soon as it is done.
    async fn judge(&mut self, rung: usize, mut trials: Vec<u32>) -> Result<()> {
        // Those with the same features one after another: they share them.
        trials.sort_by_cached_key(|&trial| {
            (CrossValidator::features_key(&self.plan.trials[trial as usize].spec), trial)
        });
        let n = trials.len();
        for trial in trials {
            self.crew.add(Job {
                trial,
                rung: rung as u32,
                spec: self.plan.trials[trial as usize].spec.clone(),
                folds: self.plan.new_folds(rung),
                share: self.plan.rungs[rung].share,
            })?;
        }
        for _ in 0..n {
            let done = self.crew.next().await?;
            self.write_down(done).await?;
        }
        Ok(())
    }

    async fn write_down(&mut self, done: Done) -> Result<()> {
        let Done { trial, rung, folds, took } = done;
        let key = (trial, rung);
        let params = &self.plan.trials[trial as usize].params;
        let mut entry = self.ledger.entry(key, params);
        match folds {
            Ok(folds) => entry.folds = folds,
            // What cannot be trained is a result; what cannot be done is none.
            Err(fault) => match fault.kind() {
                FaultKind::Usage | FaultKind::Gate | FaultKind::Insufficient => {
                    entry.failed = Some(fault.message().to_owned());
                }
                _ => return Err(fault),
            },
        }
        entry.finished_at = (self.services.clock)()?;
        entry.started_at = entry.finished_at - took;
        entry.code = self.services.code.clone();
        entry.environment = self.services.environment.clone();
        if self.ledger.write(&entry).await? {
            self.take_in(entry, By::Here);
            return Ok(());
        }
        // Somebody was faster: what is in the store is what counts.
        if let Some(entry) =
            self.ledger.read(key, params, self.plan.new_folds(rung as usize)).await?
        {
            self.take_in(entry, By::Store);
        }
        Ok(())
    }

    /// Takes a result in, and tells of it.
    fn take_in(&mut self, entry: Entry, by: By) {
        let took = (entry.finished_at - entry.started_at).to_std().unwrap_or_default();
        self.longest = self.longest.max(took);
        let (trial, rung) = (entry.trial, entry.rung);
        self.found.insert((trial, rung), entry);
        let metric = self.plan.spec.metric;
        let folds = self.folds(trial, rung as usize);
        let judged = folds.map(|folds| score(&folds, metric));
        if let Some(found) = judged {
            let better = |(other, best): (u32, f64)| {
                let (a, b) = (metric.gain(found), metric.gain(best));
                a > b || (a == b && trial < other)
            };
            if self.best.is_none_or(better) {
                self.best = Some((trial, found));
            }
        }
        self.services.listener.hear(&TuneEvent::Judged {
            trial,
            rung: rung + 1,
            score: judged,
            best: self.best,
            fits: self.plan.new_folds(rung as usize).len() as u64,
            by,
        });
    }

    /// Returns what `trial` is judged by in `rung`; none when it could not be trained, or is not judged yet.
    fn folds(&self, trial: u32, rung: usize) -> Option<Vec<FoldOutcome>> {
        let rungs = match self.plan.spec.halving.of {
            super::RungKind::Folds => 0..=rung,
            super::RungKind::Records => rung..=rung,
        };
        let mut folds = Vec::new();
        for rung in rungs {
            let entry = self.found.get(&(trial, rung as u32))?;
            if entry.failed.is_some() {
                return None;
            }
            folds.extend(entry.folds.iter().cloned());
        }
        Some(folds)
    }

    /// Returns the trials that go on: the base, if it can be trained, and the best, `n` in all.
    fn kept(&self, rung: usize, trials: &[u32], n: usize) -> Vec<u32> {
        if n == 0 {
            return Vec::new();
        }
        let judged: Vec<(u32, Vec<FoldOutcome>)> =
            trials.iter().filter_map(|&trial| Some((trial, self.folds(trial, rung)?))).collect();
        let judged: Vec<(u32, &[FoldOutcome])> =
            judged.iter().map(|(trial, folds)| (*trial, folds.as_slice())).collect();
        let order = ranked(&judged, self.plan.spec.metric);
        let has_base = order.contains(&0);
        let others = order.into_iter().filter(|trial| *trial != 0);
        let mut kept: Vec<u32> = others.take(n - usize::from(has_base)).collect();
        kept.extend(has_base.then_some(0));
        kept.sort_unstable();
        kept
    }

    fn ended(&self, trials: &[u32]) -> Vec<Ended<'_>> {
        trials
            .iter()
            .map(|&trial| {
                let entries: Vec<&Entry> = self.entries(trial);
                let folds = self.last_folds(trial);
                Ended { trial, entries, folds }
            })
            .collect()
    }

    fn entries(&self, trial: u32) -> Vec<&Entry> {
        self.found.range((trial, 0)..=(trial, u32::MAX)).map(|(_, entry)| entry).collect()
    }

    fn last_folds(&self, trial: u32) -> Vec<FoldOutcome> {
        let reached = self.entries(trial).len();
        (0..reached).rev().find_map(|rung| self.folds(trial, rung)).unwrap_or_default()
    }

    fn told(&self, trial: u32) -> SearchTrial {
        let rungs = (0..self.plan.rungs.len()).map_while(|rung| self.folds(trial, rung)).collect();
        SearchTrial {
            trial,
            params: self.plan.trials[trial as usize].params.clone(),
            rungs,
            failed: self.entries(trial).iter().find_map(|entry| entry.failed.clone()),
        }
    }
}
