//! The search: rung by rung, first the trials of this shard, then those that no other shard judged.

use super::{
    events::{By, TuneEvent},
    plan::TunePlan,
    runs,
    services::{FinishedTrial, SearchResult, Shard, TuneData, TuneServices},
    winner::{Tuned, winner_yaml},
};
use crate::{
    trial_store::{Entry, Key, TrialStore},
    workers::{Counts, Done, Job, Workers},
};
use botops_digest::Digest;
use botops_evaluation::{FoldOutcome, SearchSetting, SearchTrial, ranked, score, summarise};
use botops_findings::{Fault, FaultKind, Result};
use botops_models::CrossValidator;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// Runs the search `plan` on `data`, and records every trial as a run.
///
/// The report does not depend on the number of processes or interruptions.
///
/// # Errors
/// `BOT-3031` and others for records that cannot be divided into folds; `BOT-8046` for results of another search;
/// `BOT-8047` (exit 3) if no trial could be trained; those of the store.
pub async fn search(
    plan: &TunePlan,
    data: &TuneData,
    services: &TuneServices<'_>,
) -> Result<SearchResult> {
    let identity = plan.identity(&data.records);
    let (workers, counts) = Workers::start(
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
    let trial_store = TrialStore::new(services.experiments.store(), identity);
    let mut state = State {
        plan,
        services,
        trial_store,
        workers,
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
        let finished: Vec<u32> =
            entered.iter().filter(|trial| !kept.contains(trial)).copied().collect();
        runs::record_trials(&state.finished(&finished), plan, data, services).await?;
        entered = kept;
    }
    let setting = setting(plan, data, counts, identity);
    let trials = (0..plan.trials.len() as u32).map(|trial| state.trial(trial)).collect();
    let spec_of = |trial: u32| plan.trials[trial as usize].spec.clone();
    let report = summarise(setting, &plan.kinds(), trials, spec_of).ok_or_else(|| {
        let why = state.found.values().find_map(|entry| entry.failed.clone()).unwrap_or_default();
        Fault::data("BOT-8047", format!("no trial could be trained: {why}"))
            .file(&data.name)
            .hint("try the configuration of the train stage by itself, with `botops run PIPELINE`")
    })?;
    let tuned = Tuned {
        file: &plan.upstream.file.display().to_string(),
        pipeline: &plan.upstream.spec.name,
        stage: &plan.stage,
        source: &plan.source,
    };
    let winner = winner_yaml(&report, &tuned)?;
    let entries: Vec<&Entry> = state.found.values().collect();
    let run = runs::record_search(&report, &winner, &entries, services).await?;
    Ok(SearchResult { report, winner, run })
}

fn setting(plan: &TunePlan, data: &TuneData, counts: Counts, search: Digest) -> SearchSetting {
    SearchSetting {
        search,
        data: data.name.clone(),
        data_digest: data.digest,
        n_samples: counts.n_samples,
        n_groups: counts.n_groups,
        n_intents: counts.n_intents,
        metric: plan.spec.metric,
        n_folds: plan.spec.folds,
        seed: plan.spec.seed,
        rungs: plan.rungs.clone(),
    }
}

struct State<'a> {
    plan: &'a TunePlan,
    services: &'a TuneServices<'a>,
    trial_store: TrialStore<'a>,
    workers: Workers,
    /// The results known so far.
    found: BTreeMap<Key, Entry>,
    /// The duration of the longest trial.
    longest: Duration,
    best: Option<(u32, f64)>,
}

impl State<'_> {
    /// Reports how many results exist already.
    async fn begin(&self) -> Result<()> {
        let known = self.trial_store.known().await?;
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
                format!("the space has only {n} configurations that can be trained; all are tried");
            self.services.listener.hear(&TuneEvent::Note { message });
        }
        Ok(())
    }

    /// Gets the results of `trials` in `rung`: reads the store, judges the trials of this shard, waits for the rest, and
    /// judges them too if no result arrives within the lease.
    async fn rung(&mut self, rung: usize, trials: &[u32]) -> Result<()> {
        let Shard { index, count } = self.services.shard;
        // By position, so that every rung divides the work evenly.
        let own: BTreeSet<u32> =
            (0..).zip(trials).filter(|(i, _)| i % count == index).map(|(_, t)| *t).collect();
        self.look(rung, trials).await?;
        let open = self.open(rung, trials);
        self.judge(rung, open.into_iter().filter(|trial| own.contains(trial)).collect()).await?;
        let mut since = Instant::now();
        let mut reported = usize::MAX;
        loop {
            if self.look(rung, trials).await? > 0 {
                since = Instant::now();
            }
            let open = self.open(rung, trials);
            if open.is_empty() {
                return Ok(());
            }
            // A long trial does not mean that its process died.
            let lease = self.services.lease.max(4 * self.longest);
            let left = lease.saturating_sub(since.elapsed());
            if left.is_zero() {
                let message = format!(
                    "no result arrived for {}: this process judges the missing trials",
                    humantime::format_duration(Duration::from_secs(lease.as_secs().max(1)))
                );
                self.services.listener.hear(&TuneEvent::Note { message });
                return self.take_over(rung, trials).await;
            }
            if open.len() < reported {
                reported = open.len();
                let missing = open.len() as u32;
                self.services.listener.hear(&TuneEvent::Waiting { missing, takeover: left });
            }
            tokio::time::sleep(self.services.poll.min(left)).await;
        }
    }

    /// Judges the missing trials in small batches, and reads new results of other processes before each batch.
    async fn take_over(&mut self, rung: usize, trials: &[u32]) -> Result<()> {
        loop {
            self.look(rung, trials).await?;
            let open = self.open(rung, trials);
            if open.is_empty() {
                return Ok(());
            }
            // Each shard starts at another position, so that few trials are judged twice.
            let Shard { index, count } = self.services.shard;
            let start = open.len() * index as usize / count as usize;
            let few = open.iter().cycle().skip(start).take(self.services.workers.min(open.len()));
            self.judge(rung, few.copied().collect()).await?;
        }
    }

    /// Reads new results of `trials` in `rung` from the store; returns their number.
    async fn look(&mut self, rung: usize, trials: &[u32]) -> Result<usize> {
        let open = self.open(rung, trials);
        if open.is_empty() {
            return Ok(0);
        }
        let stored = self.trial_store.known().await?;
        let mut n = 0;
        for trial in open {
            let key = (trial, rung as u32);
            if !stored.contains(&key) {
                continue;
            }
            let params = &self.plan.trials[trial as usize].params;
            let folds = self.plan.new_folds(rung);
            if let Some(entry) = self.trial_store.read(key, params, folds).await? {
                n += 1;
                self.add_result(entry, By::Store);
            }
        }
        Ok(n)
    }

    fn open(&self, rung: usize, trials: &[u32]) -> Vec<u32> {
        let missing = |trial: &u32| !self.found.contains_key(&(*trial, rung as u32));
        trials.iter().filter(|trial| missing(trial)).copied().collect()
    }

    /// Judges `trials` in `rung`, and writes each result as soon as it is known.
    async fn judge(&mut self, rung: usize, mut trials: Vec<u32>) -> Result<()> {
        // Trials with equal features run one after another and share them.
        trials.sort_by_cached_key(|&trial| {
            (CrossValidator::features_key(&self.plan.trials[trial as usize].spec), trial)
        });
        let n = trials.len();
        for trial in trials {
            self.workers.add(Job {
                trial,
                rung: rung as u32,
                spec: self.plan.trials[trial as usize].spec.clone(),
                folds: self.plan.new_folds(rung),
                share: self.plan.rungs[rung].share,
            })?;
        }
        for _ in 0..n {
            let done = self.workers.next().await?;
            self.store_result(done).await?;
        }
        Ok(())
    }

    async fn store_result(&mut self, done: Done) -> Result<()> {
        let Done { trial, rung, folds, took } = done;
        let key = (trial, rung);
        let params = &self.plan.trials[trial as usize].params;
        let mut entry = self.trial_store.entry(key, params);
        match folds {
            Ok(folds) => entry.folds = folds,
            // A configuration that cannot be trained is a result; a failed write is not.
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
        if self.trial_store.write(&entry).await? {
            self.add_result(entry, By::Here);
            return Ok(());
        }
        // Another process was faster: its result counts.
        if let Some(entry) =
            self.trial_store.read(key, params, self.plan.new_folds(rung as usize)).await?
        {
            self.add_result(entry, By::Store);
        }
        Ok(())
    }

    /// Adds a result and reports it.
    fn add_result(&mut self, entry: Entry, by: By) {
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

    /// Returns the folds that judge `trial` in `rung`; `None` if it could not be trained or is not judged yet.
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

    /// Returns the trials that enter the next rung: the base, if it can be trained, and the best, `n` in all.
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

    fn finished(&self, trials: &[u32]) -> Vec<FinishedTrial<'_>> {
        trials
            .iter()
            .map(|&trial| {
                let entries: Vec<&Entry> = self.entries(trial);
                let folds = self.last_folds(trial);
                FinishedTrial { trial, entries, folds }
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

    fn trial(&self, trial: u32) -> SearchTrial {
        let rungs = (0..self.plan.rungs.len()).map_while(|rung| self.folds(trial, rung)).collect();
        SearchTrial {
            trial,
            params: self.plan.trials[trial as usize].params.clone(),
            rungs,
            failed: self.entries(trial).iter().find_map(|entry| entry.failed.clone()),
        }
    }
}
