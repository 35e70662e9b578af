//! Simulated rollouts on several replicas: the real union, the real judge, and a look after every batch.
//!
//! `benches/judge.rs` includes this file, so that its figures and the tests come from the same traffic.

use super::{
    Arm, FailureKind, GatePolicy, JudgeSpec, Marked, Merged, Observation, Phase,
    ReplicaObservation, Rollout, RolloutSpec, Seen, Slot, StepSpec, advance, assign,
    running_rollout,
};
use botops_stats::random::Random;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// Conversations between two looks: 2 s at 20 a second.
const BATCH: u64 = 40;
/// The kinds that can gate today; a simulation of more kinds spreads them over several rollouts.
const KINDS: [FailureKind; 4] =
    [FailureKind::Error, FailureKind::Fallback, FailureKind::Wrong, FailureKind::Slow];

/// The traffic of one simulated rollout on the ramp of 5, 25 and 50 %.
#[derive(Clone)]
pub(crate) struct Traffic {
    /// Failure rates of each gating kind on `[primary, canary]`.
    pub(crate) rates: Vec<[f64; 2]>,
    /// Replicas; each conversation meets one of them, and every fifth a second one.
    pub(crate) replicas: usize,
    /// Conversations at each step.
    pub(crate) per_step: u64,
    /// The error level over all kinds.
    pub(crate) alpha: f64,
}

impl Traffic {
    /// Returns the rollouts that judge the kinds, each in its first step.
    ///
    /// A kind is held to ln(K / alpha) for all K kinds. A rollout of k of them has a k/K share of alpha, which gives each
    /// of its kinds this very threshold: several rollouts judge as one of K kinds would.
    fn rollouts(&self) -> Vec<(Rollout, usize)> {
        let span = format!("{}s", self.per_step / BATCH * 2);
        let step = |weight| StepSpec {
            weight,
            min_time: Some(span.clone()),
            min_units: Some(1),
            deadline: "30d".to_owned(),
            require: None,
        };
        let chunks = self.rates.chunks(KINDS.len());
        let offsets = (0..self.rates.len()).step_by(KINDS.len());
        let one = |(offset, rates): (usize, &[[f64; 2]])| {
            let mut metrics: BTreeMap<FailureKind, GatePolicy> =
                KINDS.map(|kind| (kind, GatePolicy::Observe)).into();
            metrics.extend(KINDS[..rates.len()].iter().map(|&kind| (kind, GatePolicy::Gate)));
            let spec = RolloutSpec {
                steps: vec![step(5.0), step(25.0), step(50.0)],
                judge: JudgeSpec {
                    alpha: self.alpha * rates.len() as f64 / self.rates.len() as f64,
                    metrics,
                    ..JudgeSpec::default()
                },
                stale_after: "30d".to_owned(),
                ..RolloutSpec::default()
            };
            (running_rollout(&spec), offset)
        };
        offsets.zip(chunks).map(one).collect()
    }

    /// Returns the conversations that began before the rollout was rolled back; `None` if it reached the end of the ramp.
    pub(crate) fn rolled_back_after(&self, seed: u64) -> Option<u64> {
        let mut random = Random::new(seed);
        let salt = format!("simulated {seed}");
        let mut rollouts: Vec<(Rollout, usize, Publishing)> = self
            .rollouts()
            .into_iter()
            .map(|(rollout, offset)| (rollout, offset, Publishing::new(self.replicas)))
            .collect();
        let mut now = rollouts[0].0.updated_at;
        let mut begun = 0;
        loop {
            let Phase::Ramping { step, .. } = rollouts[0].0.phase else { return None };
            let weight = rollouts[0].0.weight();
            for _ in 0..BATCH {
                let unit = seed << 32 | begun;
                begun += 1;
                let arm = assign(&salt, &unit.to_string(), weight);
                let slot = Slot::new(step as u16, weight, arm);
                let side = usize::from(arm == Arm::Canary);
                let first = random.below(self.replicas);
                // The same conversation, and the same failures, at another replica.
                let second = random.below(5 * self.replicas);
                let met = [Some(first), (second < self.replicas).then_some(second)];
                let failed: Vec<bool> =
                    self.rates.iter().map(|rates| random.unit() < rates[side]).collect();
                for (_, offset, publishing) in &mut rollouts {
                    let failed = failed[*offset..].iter().zip(KINDS);
                    let kinds: Vec<FailureKind> =
                        failed.filter(|(failed, _)| **failed).map(|(_, kind)| kind).collect();
                    for replica in met.into_iter().flatten() {
                        publishing.see(replica, slot, unit, &kinds);
                    }
                }
            }
            now += TimeDelta::seconds(2);
            let mut over = false;
            for (rollout, _, publishing) in &mut rollouts {
                let seen = publishing.publish(now, &mut random);
                *rollout = advance(rollout, &seen, now).next;
                match rollout.phase {
                    Phase::RollingBack { .. } => return Some(begun),
                    Phase::Ramping { .. } => {}
                    _ => over = true,
                }
            }
            if over {
                return None;
            }
        }
    }
}

/// The units that a replica saw under one share, and those that failed.
type News = (Vec<u64>, BTreeMap<FailureKind, Vec<u64>>);

/// Replicas that publish every two seconds, and the union at the one that decides.
struct Publishing {
    union: Merged,
    /// News of each replica.
    news: Vec<BTreeMap<Slot, News>>,
    numbers: Vec<u64>,
    /// Objects that arrive one look later.
    late: Vec<ReplicaObservation>,
}

impl Publishing {
    fn new(replicas: usize) -> Self {
        Self {
            union: Merged::new("r1"),
            news: vec![BTreeMap::new(); replicas],
            numbers: vec![0; replicas],
            late: Vec::new(),
        }
    }

    fn see(&mut self, replica: usize, slot: Slot, unit: u64, failed: &[FailureKind]) {
        let (units, failures) = self.news[replica].entry(slot).or_default();
        units.push(unit);
        for &kind in failed {
            failures.entry(kind).or_default().push(unit);
        }
    }

    /// Publishes the news, of which every tenth object is read one look later, and every tenth twice.
    fn publish(&mut self, now: DateTime<Utc>, random: &mut Random) -> Observation {
        let mut objects = std::mem::take(&mut self.late);
        for (replica, news) in self.news.iter_mut().enumerate() {
            self.numbers[replica] += 1;
            let name = format!("replica-{replica}");
            let mut seen = ReplicaObservation::new("r1", &name, self.numbers[replica], now);
            for (slot, (units, failures)) in std::mem::take(news) {
                for (kind, units) in failures {
                    let units = units.into_iter().collect();
                    seen.failures.push(Marked { kind, slot, units });
                }
                let units = units.into_iter().collect();
                let measures = vec![FailureKind::Slow, FailureKind::Wrong];
                seen.arms.push(Seen { slot, measures, units });
            }
            match random.below(10) {
                0 => self.late.push(seen),
                1 => objects.extend([seen.clone(), seen]),
                _ => objects.push(seen),
            }
        }
        random.shuffle(&mut objects);
        for seen in &objects {
            self.union.merge(seen).unwrap_or_else(|fault| panic!("{}", fault.message()));
        }
        self.union.observation()
    }
}

/// Returns the share of `repeats` rollouts that were rolled back, and the median of conversations before it among all,
/// infinite for a rollout that was not.
pub(crate) fn simulate(traffic: &Traffic, repeats: u64) -> (f64, f64) {
    let mut after: Vec<f64> = (0..repeats)
        .map(|seed| traffic.rolled_back_after(seed + 1).map_or(f64::INFINITY, |n| n as f64))
        .collect();
    after.sort_unstable_by(f64::total_cmp);
    let rolled_back = after.iter().filter(|n| n.is_finite()).count() as f64;
    (rolled_back / repeats as f64, after[after.len() / 2])
}
