//! Business counts of a window: conversations, turns, hand-offs, resolved conversations, satisfaction.

use crate::{
    accuracy_counts::{DAY_MS, day_name},
    judgements::Judgements,
    label_sample::hash_of,
    names::Names,
    weights::proportion,
};
use botops_evaluation::Metric;
use botops_predictions::Record;
use botops_stats::{intervals::LEVEL, special::student_quantile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most conversations that are followed one by one.
const MOST_CONVERSATIONS: usize = 1 << 18;

/// The service that users got from the bot in a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Business {
    /// All records.
    pub all: BusinessGroup,
    /// By day, in UTC. A conversation is in the day of its first message in the window.
    pub by_day: Vec<BusinessGroup>,
    /// By arm. A conversation is in the arm of its first message in the window.
    pub by_arm: Vec<BusinessGroup>,
    /// The share of the conversations that were followed one by one. Below 1, which takes more than 262,144 of them, the
    /// numbers of conversations are extrapolated from a sample by hash.
    pub followed: f64,
}

/// Counts of a group of records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BusinessGroup {
    /// The value of the group: a day, an arm; empty for all.
    pub group: String,
    /// The number of messages in conversations.
    pub turns: u64,
    /// The number of messages without a conversation, which are in no other number but `satisfaction`.
    pub without_conversation: u64,
    /// The number of conversations.
    pub conversations: u64,
    /// The share of conversations that a person took over.
    pub handed_off: Metric,
    /// The share of conversations that are not unresolved: whose last message in the window does not leave them so. Records of
    /// versions of botops that did not log it count as resolved.
    pub resolved: Metric,
    /// The mean satisfaction, from 1 to 5, with a t interval; `None` if no channel sent any.
    pub satisfaction: Option<Metric>,
}

/// A conversation, from the messages that were seen so far.
#[derive(Debug, Clone, Copy)]
struct Conversation {
    first: i64,
    arm: u32,
    last: i64,
    is_unresolved: bool,
    is_handed_off: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    turns: u64,
    without_conversation: u64,
    conversations: u64,
    handed_off: u64,
    unresolved: u64,
    /// The number of verdicts of each satisfaction, from 1 to 5.
    satisfaction: [u64; 5],
}

/// Counts of records; the order in which they are added does not matter.
///
/// Memory: counts for each day and arm, and about 80 bytes for each of at most 262,144 conversations.
#[derive(Debug)]
pub struct BusinessCounts {
    names: Names,
    days: BTreeMap<i32, Tally>,
    arms: BTreeMap<u32, Tally>,
    all: Tally,
    /// The conversations with the smallest hashes.
    conversations: BTreeMap<u64, Conversation>,
    /// Conversations from this hash on are not followed.
    end: Option<u64>,
    most: usize,
}

impl Default for BusinessCounts {
    fn default() -> Self {
        Self::following(MOST_CONVERSATIONS)
    }
}

impl BusinessCounts {
    fn following(most: usize) -> Self {
        Self {
            names: Names::default(),
            days: BTreeMap::new(),
            arms: BTreeMap::new(),
            all: Tally::default(),
            conversations: BTreeMap::new(),
            end: None,
            most,
        }
    }

    /// Counts a record, and the satisfaction with it if a verdict has one, whatever its source.
    pub fn add(&mut self, record: &Record, judgements: &Judgements) {
        let satisfaction = judgements.satisfaction.get(&record.key());
        let arm = self.names.number(&record.arm);
        let tallies = [
            &mut self.all,
            self.days.entry(day_of(record.at)).or_default(),
            self.arms.entry(arm).or_default(),
        ];
        for tally in tallies {
            match record.conversation {
                Some(_) => tally.turns += 1,
                None => tally.without_conversation += 1,
            }
            if let Some(level) = satisfaction {
                tally.satisfaction[usize::from(level.saturating_sub(1)).min(4)] += 1;
            }
        }
        let Some(conversation) = &record.conversation else { return };
        let hash = hash_of(conversation);
        if self.end.is_some_and(|end| hash >= end) {
            return;
        }
        let names = &self.names;
        self.conversations
            .entry(hash)
            .and_modify(|it| {
                if (record.at, record.arm.as_str()) < (it.first, names.of(it.arm)) {
                    (it.first, it.arm) = (record.at, arm);
                }
                if record.at > it.last {
                    (it.last, it.is_unresolved) = (record.at, record.unresolved);
                } else if record.at == it.last {
                    it.is_unresolved |= record.unresolved;
                }
                it.is_handed_off |= record.handed_off;
            })
            .or_insert(Conversation {
                first: record.at,
                arm,
                last: record.at,
                is_unresolved: record.unresolved,
                is_handed_off: record.handed_off,
            });
        if self.conversations.len() > self.most {
            self.end = self.conversations.pop_last().map(|(hash, _)| hash);
        }
    }

    /// Computes the shares and their 95 % intervals.
    #[must_use]
    pub fn finish(&self) -> Business {
        let (mut all, mut days, mut arms) = (self.all, self.days.clone(), self.arms.clone());
        for conversation in self.conversations.values() {
            let day = days.entry(day_of(conversation.first)).or_default();
            for tally in [&mut all, day, arms.entry(conversation.arm).or_default()] {
                tally.conversations += 1;
                tally.handed_off += u64::from(conversation.is_handed_off);
                tally.unresolved += u64::from(conversation.is_unresolved);
            }
        }
        let followed = self.end.map_or(1.0, |end| end as f64 / 2.0_f64.powi(64));
        let mut by_arm: Vec<BusinessGroup> = arms
            .iter()
            .map(|(&arm, tally)| tally.group(self.names.of(arm).to_owned(), followed))
            .collect();
        by_arm.sort_by(|a, b| a.group.cmp(&b.group));
        Business {
            all: all.group(String::new(), followed),
            by_day: days.iter().map(|(&day, it)| it.group(day_name(day), followed)).collect(),
            by_arm,
            followed,
        }
    }
}

impl Tally {
    fn group(&self, group: String, followed: f64) -> BusinessGroup {
        let n = self.conversations;
        BusinessGroup {
            group,
            turns: self.turns,
            without_conversation: self.without_conversation,
            conversations: (n as f64 / followed).round() as u64,
            handed_off: proportion(self.handed_off, n),
            resolved: proportion(n - self.unresolved, n),
            satisfaction: mean_satisfaction(&self.satisfaction),
        }
    }
}

fn day_of(at: i64) -> i32 {
    i32::try_from(at.div_euclid(DAY_MS)).unwrap_or(0)
}

/// Returns the mean of levels from 1 to 5 with its t interval, within [1, 5]; `None` without any.
///
/// The deviation is that of the levels and of one more at each end, so that a few equal levels do not seem certain.
fn mean_satisfaction(counts: &[u64; 5]) -> Option<Metric> {
    let n: u64 = counts.iter().sum();
    if n == 0 {
        return None;
    }
    let levels =
        || counts.iter().zip(1_u8..).map(|(&count, level)| (count as f64, f64::from(level)));
    let value = levels().map(|(count, level)| count * level).sum::<f64>() / n as f64;
    let ends = (1.0 - value).powi(2) + (5.0 - value).powi(2);
    let squares: f64 = levels().map(|(count, level)| count * (level - value).powi(2)).sum();
    let deviation = ((squares + ends) / (n + 1) as f64).sqrt();
    let radius = student_quantile(LEVEL, n) * deviation / (n as f64).sqrt();
    Some(Metric { value, ci95: [(value - radius).max(1.0), (value + radius).min(5.0)], n })
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_predictions::{SourceClass, Verdict};
    use botops_stats::random::Random;

    fn record(i: u32, conversation: Option<u32>, arm: &str) -> Record {
        Record {
            at: 1_795_996_800_000 + i64::from(i) * 60_000,
            request_id: format!("r-{i}"),
            conversation: conversation.map(|it| format!("{it:016x}")),
            arm: arm.to_owned(),
            ..Record::default()
        }
    }

    fn rated(i: u32, level: u8) -> Verdict {
        Verdict {
            at: 1,
            request_id: format!("r-{i}"),
            index: 0,
            intent: None,
            source: SourceClass::EndUser,
            satisfaction: Some(level),
        }
    }

    #[test]
    fn conversations_are_counted_once_where_they_began() {
        let next_day = 24 * 60;
        let mut records = vec![
            record(0, Some(1), "primary"),
            record(1, Some(1), "primary"),
            record(next_day, Some(1), "canary"),
            record(2, Some(2), "canary"),
            record(next_day + 1, Some(3), "primary"),
            record(3, None, "primary"),
        ];
        // Conversation 1 is unresolved in the middle and resolved in the end; 2 ends with a person.
        records[1].unresolved = true;
        (records[3].unresolved, records[3].handed_off) = (true, true);
        let verdicts = vec![rated(0, 5), rated(2, 1), rated(3, 3), rated(99, 1)];
        let judgements = Judgements::of(verdicts, &Judgements::reviewers());
        let of = |records: &[Record]| {
            let mut counts = BusinessCounts::default();
            records.iter().for_each(|record| counts.add(record, &judgements));
            counts.finish()
        };
        let found = of(&records);
        let all = &found.all;
        assert_eq!((all.turns, all.without_conversation, all.conversations), (5, 1, 3));
        assert!((all.handed_off.value - 1.0 / 3.0).abs() < 1e-12 && all.handed_off.n == 3);
        assert!((all.resolved.value - 2.0 / 3.0).abs() < 1e-12);
        let satisfaction = all.satisfaction.unwrap();
        assert_eq!((satisfaction.value, satisfaction.n, satisfaction.ci95), (3.0, 3, [1.0, 5.0]));
        let shown = |groups: &[BusinessGroup]| -> Vec<(String, u64, u64)> {
            groups.iter().map(|it| (it.group.clone(), it.turns, it.conversations)).collect()
        };
        let expected = [("2026-11-30".to_owned(), 3, 2), ("2026-12-01".to_owned(), 2, 1)];
        assert_eq!(shown(&found.by_day), expected);
        let expected = [("canary".to_owned(), 2, 1), ("primary".to_owned(), 3, 2)];
        assert_eq!(shown(&found.by_arm), expected);
        assert_eq!(found.by_arm[1].satisfaction.unwrap().n, 2);
        records.reverse();
        assert_eq!(of(&records), found);
        let none = BusinessCounts::default().finish();
        assert_eq!((none.all.conversations, none.all.satisfaction), (0, None));
    }

    #[test]
    fn more_conversations_than_are_followed_are_extrapolated_in_any_order() {
        let mut records: Vec<Record> =
            (0..30_000).map(|i| record(i, Some(i / 3), "primary")).collect();
        records.iter_mut().enumerate().for_each(|(i, it)| it.unresolved = i % 12 == 2);
        let of = |records: &[Record]| {
            let mut counts = BusinessCounts::following(2_000);
            records.iter().for_each(|it| counts.add(it, &Judgements::default()));
            counts.finish()
        };
        let found = of(&records);
        assert!((0.17..0.23).contains(&found.followed), "{}", found.followed);
        assert!((9_300..10_700).contains(&found.all.conversations), "{:?}", found.all);
        assert_eq!((found.all.turns, found.all.resolved.n), (30_000, 2_000));
        assert!((found.all.resolved.value - 0.75).abs() < 0.03);
        Random::new(1).shuffle(&mut records);
        assert_eq!(of(&records), found);
    }

    #[test]
    fn satisfaction_has_an_interval_of_its_levels() {
        let few = mean_satisfaction(&[0, 0, 0, 0, 2]).unwrap();
        assert!(few.value == 5.0 && few.ci95[0] < 2.0 && few.ci95[1] == 5.0, "{few:?}");
        let many = mean_satisfaction(&[100, 0, 0, 0, 100]).unwrap();
        // t(0.975, 200) = 1.9719; the deviation is 2 but for the ends.
        assert!((many.value - 3.0).abs() < 1e-12);
        assert!((many.ci95[1] - 3.0 - 1.9719 * 2.0 / 200.0_f64.sqrt()).abs() < 2e-3, "{many:?}");
    }
}
