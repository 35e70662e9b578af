//! The plan of a sweep.

use super::{
    bounds::{LONGEST_GRACE, grace_of, is_id},
    event::UnfinishedSweep,
    marking::Marks,
};
use crate::Registry;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

pub(super) const SCHEMA: &str = "botops.gc_plan/1";
/// The rule of a sweep.
#[derive(Debug, Clone, Copy)]
pub struct GarbageRule {
    /// Blobs younger than this stay: something may name them soon. Longer than any upload takes.
    pub grace: TimeDelta,
    /// The time that ages of objects are relative to: that of the clock of the store.
    pub clock: DateTime<Utc>,
}

/// A blob that nothing names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GarbageBlob {
    /// The digest.
    pub digest: Digest,
    /// The size in bytes.
    pub size_bytes: u64,
    /// When it was written, by the clock of the store.
    pub written_at: DateTime<Utc>,
    /// Whether it was erased, and its removal was interrupted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

/// The blobs that a sweep removes, and the numbers of those that stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GarbagePlan {
    /// `botops.gc_plan/1`.
    pub schema: String,
    /// The id of the plan and of its sweep.
    pub id: String,
    /// The store.
    pub store: String,
    /// When it was made.
    pub planned_at: DateTime<Utc>,
    /// The grace period in seconds.
    pub grace_seconds: i64,
    /// The blobs to remove, by digest.
    pub blobs: Vec<GarbageBlob>,
    /// Their size in bytes.
    pub bytes: u64,
    /// The number of blobs that something names.
    pub blobs_named: u64,
    /// The number of blobs that nothing names and that stay because they are young.
    pub blobs_young: u64,
}

impl GarbagePlan {
    /// Reads a plan that was written to a file.
    ///
    /// # Errors
    /// `BOT-5137` (exit 2) it is not a plan; `BOT-5007` (exit 6) it is of a newer format.
    pub fn from_bytes(bytes: &[u8], file: &std::path::Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let unfit = |problem: String| {
            Fault::usage(
                "BOT-5137",
                format!("`{}` is not a plan of a sweep: {problem}", file.display()),
            )
            .file(file)
            .hint("write one: `botops registry gc --plan FILE`")
        };
        let head: Head = serde_json::from_slice(bytes).map_err(|error| unfit(error.to_string()))?;
        if head.schema != SCHEMA {
            let version = head.schema.strip_prefix("botops.gc_plan/").map(str::parse::<u32>);
            return Err(match version {
                Some(Ok(version)) if version > 1 => Fault::policy(
                    "BOT-5007",
                    format!(
                        "`{}` has the format `{}`, newer than this botops",
                        file.display(),
                        head.schema
                    ),
                )
                .file(file)
                .hint("install a newer botops"),
                _ => unfit(format!("its schema is `{}`", botops_text::display(&head.schema, 60))),
            });
        }
        let plan: Self = serde_json::from_slice(bytes).map_err(|error| unfit(error.to_string()))?;
        if !is_id(&plan.id) {
            return Err(unfit(format!("its id is `{}`", botops_text::display(&plan.id, 60))));
        }
        if !(0..=LONGEST_GRACE).contains(&plan.grace_seconds) {
            return Err(unfit(format!("its grace period is {} seconds", plan.grace_seconds)));
        }
        Ok(plan)
    }

    /// Returns the grace period.
    #[must_use]
    pub fn grace(&self) -> TimeDelta {
        grace_of(self.grace_seconds)
    }
}

impl Registry {
    /// Returns the blobs that a sweep by `rule` would remove, under the new `id`. Removes nothing.
    ///
    /// A blob that an entry of any log, a run, a result of a stage or a named blob names is never in it, whatever its age.
    ///
    /// # Errors
    /// `BOT-5135` (exit 6) the store holds an unknown folder; `BOT-5136` (exit 3) references are unknown because an object is
    /// damaged or a manifest is missing; `BOT-5006`, `BOT-5007` a log is damaged or newer; those of the store.
    pub async fn plan_garbage(&self, rule: GarbageRule, id: &str) -> Result<GarbagePlan> {
        let erased = self.store.erased_blobs().await?;
        let blobs = self.store.blobs().await?;
        let existing: BTreeSet<Digest> = blobs.iter().map(|(digest, _)| *digest).collect();
        let mut marks = Marks::default();
        marks.extend(&self.store, &existing, &erased).await?;
        let mut plan = GarbagePlan {
            schema: SCHEMA.to_owned(),
            id: id.to_owned(),
            store: self.store.url().to_owned(),
            planned_at: rule.clock,
            grace_seconds: rule.grace.num_seconds(),
            blobs: Vec::new(),
            bytes: 0,
            blobs_named: 0,
            blobs_young: 0,
        };
        for (digest, stored) in blobs {
            let is_erased = erased.contains(&digest);
            if !is_erased && marks.names(&digest) {
                plan.blobs_named += 1;
                continue;
            }
            if !is_erased && rule.clock - stored.written_at < rule.grace {
                plan.blobs_young += 1;
                continue;
            }
            plan.bytes += stored.size_bytes;
            plan.blobs.push(GarbageBlob {
                digest,
                size_bytes: stored.size_bytes,
                written_at: stored.written_at,
                erased: is_erased,
            });
        }
        Ok(plan)
    }

    /// Returns the plan with which an interrupted sweep is continued: the blobs that it was about to remove and that still
    /// exist.
    pub(super) async fn plan_rest(
        &self,
        of: &UnfinishedSweep,
        clock: DateTime<Utc>,
    ) -> Result<GarbagePlan> {
        let tombstoned: BTreeSet<Digest> = of.tombstoned.iter().copied().collect();
        let rule = GarbageRule { grace: grace_of(of.grace_seconds), clock };
        let mut plan = self.plan_garbage(rule, &of.sweep).await?;
        plan.blobs.retain(|blob| tombstoned.contains(&blob.digest));
        plan.bytes = plan.blobs.iter().map(|blob| blob.size_bytes).sum();
        Ok(plan)
    }
}
