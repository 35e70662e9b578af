//! Freezes of an environment: while one is in force nothing advances, and a rollback is still possible.

use super::{Act, Change, Environment, Freeze, Registry};
use botops_findings::{Fault, Result};
use chrono::{DateTime, TimeDelta, Utc};

/// The longest freeze with an end: 366 days.
const LONGEST: TimeDelta = TimeDelta::days(366);

impl Freeze {
    /// Returns the freeze in words, such as ``frozen by `ada` until 2026-12-27 08:00 UTC: Christmas``.
    #[must_use]
    pub fn words(&self) -> String {
        let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M UTC");
        let end = match self.until {
            Some(until) => format!("until {}", time(until)),
            None => format!("since {}, until somebody ends it", time(self.at)),
        };
        let by = botops_text::display(&self.actor, 80);
        let reason = match self.reason.trim() {
            "" => String::new(),
            reason => format!(": {}", botops_text::display(reason, 200)),
        };
        format!("frozen by `{by}` {end}{reason}")
    }
}

/// Returns the change that freezes an environment until `until`, or without one until it is ended. It replaces a freeze
/// that is in force.
///
/// # Errors
/// `BOT-6053` (exit 2) `until` is not after `now`, or more than 366 days ahead.
pub fn freeze_change(until: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<Change> {
    if let Some(until) = until {
        let shown = until.format("%Y-%m-%d %H:%M:%S UTC");
        let problem = match until {
            _ if until <= now => "has passed",
            _ if until - now > LONGEST => "is more than 366 days ahead",
            _ => return Ok(Change::Frozen { until: Some(until) }),
        };
        return Err(Fault::usage("BOT-6053", format!("the end of the freeze, {shown}, {problem}"))
            .hint("name a later time, such as `--until 2026-12-27T08:00:00Z` or `--for 12h`")
            .hint("or leave it out: `botops unfreeze --reason TEXT` ends the freeze"));
    }
    Ok(Change::Frozen { until: None })
}

/// Returns the change that ends the freeze of `environment`, with that freeze.
///
/// # Errors
/// `BOT-6054` (exit 5) it is not frozen at `now`.
pub fn unfreeze_change(
    (name, environment): (&str, &Environment),
    now: DateTime<Utc>,
) -> Result<(Freeze, Change)> {
    match environment.freeze(now) {
        Some(freeze) => Ok((freeze.clone(), Change::Unfrozen)),
        None => Err(Fault::conflict("BOT-6054", format!("`{name}` is not frozen"))
            .hint("there is nothing to end: rollouts start and advance")),
    }
}

impl Registry {
    /// Freezes this environment until `until`, or without one until it is ended. Replaces a freeze that is in force.
    ///
    /// # Errors
    /// Those of [`freeze_change`]; `BOT-1034` (exit 2); `BOT-5014` (exit 5) others keep writing; those of the store.
    pub async fn freeze(&self, until: Option<DateTime<Utc>>, act: &Act) -> Result<()> {
        crate::check_reasoned("a freeze", &act.actor, &act.reason)?;
        let change = freeze_change(until, act.at)?;
        self.change_environment(act, |_| Ok(Some(change.clone()))).await.map(drop)
    }

    /// Ends the freeze of this environment.
    ///
    /// # Errors
    /// Those of [`unfreeze_change`]; `BOT-1034` (exit 2); `BOT-5014` (exit 5) others keep writing; those of the store.
    pub async fn unfreeze(&self, act: &Act) -> Result<()> {
        crate::check_reasoned("the end of a freeze", &act.actor, &act.reason)?;
        let name = self.environment_name();
        let decide = |environment: &Environment| {
            unfreeze_change((name, environment), act.at).map(|(_, change)| Some(change))
        };
        self.change_environment(act, decide).await.map(drop)
    }
}
