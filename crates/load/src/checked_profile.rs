//! Load profiles whose settings are in range.

use crate::{
    levels::{Levels, Segment},
    profile::{
        Arrivals, MixSpec, Pacing, ProfileSpec, RetrySpec, StageSpec, default_backoff,
        default_longest,
    },
    retries::Retries,
    thresholds::Threshold,
};
use botops_findings::{Fault, Place, Result};
use std::time::Duration;

/// The longest stage.
const LONGEST_STAGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The most users, and requests per second.
const MOST: u32 = 100_000;
/// The most characters of a name.
const MOST_NAME_CHARS: usize = 40;

/// A load profile whose settings are in range.
///
/// - a closed loop has users, an open loop has rates
/// - at least one stage takes time, and has load
/// - at least one kind of request has a share
#[derive(Debug, Clone)]
pub struct Profile {
    /// The name.
    pub name: String,
    /// The kind of load.
    pub pacing: Pacing,
    /// The stages.
    pub stages: Vec<Stage>,
    /// The bounds of the time between two messages of a user.
    pub think: (Duration, Duration),
    /// The times between requests of an open loop.
    pub arrivals: Arrivals,
    /// The most requests under way in an open loop.
    pub max_in_flight: usize,
    /// The kinds of requests.
    pub mix: MixSpec,
    /// The utterances to send; at least one.
    pub texts: Vec<String>,
    /// The longest time of one attempt.
    pub timeout: Duration,
    /// Repetition of requests.
    pub retries: Retries,
    /// The seed.
    pub seed: u64,
    /// Rules on the whole test.
    pub thresholds: Vec<Threshold>,
}

/// A part of a load test.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The name.
    pub name: String,
    /// The duration.
    pub duration: Duration,
    /// The users, or the requests per second, at its end.
    pub to: f64,
    /// Rules on this stage alone.
    pub thresholds: Vec<Threshold>,
}

impl Profile {
    /// Checks a profile that sends `texts`.
    ///
    /// # Errors
    /// `BOT-6280` (exit 2), with the key.
    pub fn check(spec: &ProfileSpec, texts: Vec<String>) -> Result<Self> {
        check_name("name", &spec.name)?;
        let mut stages = Vec::with_capacity(spec.stages.len());
        for (i, stage) in spec.stages.iter().enumerate() {
            let stage = check_stage(stage, i, spec.pacing)?;
            if stages.iter().any(|earlier: &Stage| earlier.name == stage.name) {
                let message = format!("two stages are called `{}`", stage.name);
                return wrong(&format!("stages[{i}].name"), message);
            }
            stages.push(stage);
        }
        let think = check_think(spec)?;
        if spec.mix == (MixSpec { chat: 0, predict: 0, websocket: 0 }) {
            return wrong("mix", "`mix` has no share: no request would be sent".to_owned());
        }
        if spec.max_in_flight == 0 || spec.max_in_flight > MOST {
            let message =
                format!("`max_in_flight` is {}: expected 1 to {MOST}", spec.max_in_flight);
            return wrong("max_in_flight", message);
        }
        let timeout = duration("timeout", &spec.timeout, Duration::from_secs(3_600))?;
        if timeout.is_zero() {
            return wrong("timeout", "`timeout` is 0: no answer would come in time".to_owned());
        }
        if texts.is_empty() {
            return wrong("texts", "there is no text to send".to_owned());
        }
        let profile = Self {
            name: spec.name.clone(),
            pacing: spec.pacing,
            stages,
            think,
            arrivals: spec.arrivals,
            max_in_flight: spec.max_in_flight as usize,
            mix: spec.mix,
            texts,
            timeout,
            retries: spec.retry.as_ref().map_or(Ok(Retries::none()), check_retries)?,
            seed: spec.seed,
            thresholds: thresholds("thresholds", &spec.thresholds)?,
        };
        let levels = profile.levels();
        if levels.end().is_zero() || levels.highest() == 0.0 {
            return wrong(
                "stages",
                "no stage has load: expected a duration and `users` or `rate`".to_owned(),
            );
        }
        Ok(profile)
    }

    /// Returns the profile with every duration of a stage multiplied by `time`, and users and rates by `load`.
    ///
    /// Numbers of users are rounded up, so that a stage with users keeps one. Times of users are not scaled.
    ///
    /// # Errors
    /// `BOT-6280` (exit 2) if a factor or its product is out of range.
    pub fn scaled(mut self, time: f64, load: f64) -> Result<Self> {
        for (name, factor) in [("scale", time), ("load", load)] {
            if !(factor.is_finite() && factor > 0.0 && factor <= 1_000.0) {
                let message =
                    format!("`--{name}` is {factor}: expected more than 0, and at most 1000");
                return Err(Fault::usage("BOT-6280", message));
            }
        }
        for stage in &mut self.stages {
            stage.duration = stage.duration.mul_f64(time);
            stage.to *= load;
            if self.pacing == Pacing::Closed {
                stage.to = stage.to.ceil();
            }
            if stage.duration > LONGEST_STAGE || stage.to > f64::from(MOST) {
                let message = format!("the stage `{}` is too large when it is scaled", stage.name);
                return Err(Fault::usage("BOT-6280", message)
                    .hint("a stage takes at most 7 days, and has at most 100,000 users or requests per second"));
            }
        }
        Ok(self)
    }

    /// Returns the profile with at most `max` repetitions of a request; 0 for none.
    ///
    /// # Errors
    /// `BOT-6280` (exit 2) for more than 10.
    pub fn with_retries(mut self, max: u32) -> Result<Self> {
        self.retries = match max {
            0 => Retries::none(),
            max if self.retries.max == 0 => check_retries(&RetrySpec {
                max,
                backoff: default_backoff(),
                longest: default_longest(),
            })?,
            max => Retries { max: repetitions(max)?, ..self.retries },
        };
        Ok(self)
    }

    /// Adds a rule on the whole test.
    ///
    /// # Errors
    /// `BOT-6280` (exit 2) if it cannot be read.
    pub fn with_threshold(mut self, rule: &str) -> Result<Self> {
        self.thresholds.push(rule.parse()?);
        Ok(self)
    }

    /// Returns the load over time.
    #[must_use]
    pub fn levels(&self) -> Levels {
        let mut from = 0.0;
        let segments = self.stages.iter().map(|stage| {
            let segment = Segment { duration: stage.duration, from, to: stage.to };
            from = stage.to;
            segment
        });
        Levels::new(segments.collect())
    }

    /// Returns whether late messages are seen as late. Users without a pause have no time at which the next message is due.
    #[must_use]
    pub fn is_corrected(&self) -> bool {
        self.pacing == Pacing::Open || !self.think.1.is_zero()
    }
}

fn check_name(key: &str, name: &str) -> Result<()> {
    let is_shown = |c: char| c.is_alphanumeric() || "-_. ".contains(c);
    if name.trim().is_empty()
        || name.chars().count() > MOST_NAME_CHARS
        || !name.chars().all(is_shown)
    {
        let shown = botops_text::display(name, MOST_NAME_CHARS);
        let message = format!(
            "`{shown}` is not a name: expected 1 to {MOST_NAME_CHARS} letters, digits, `-`, `_`, `.` and spaces"
        );
        return wrong(key, message);
    }
    Ok(())
}

fn check_stage(stage: &StageSpec, i: usize, pacing: Pacing) -> Result<Stage> {
    let key = |name: &str| format!("stages[{i}].{name}");
    check_name(&key("name"), &stage.name)?;
    let to = match (pacing, stage.users, stage.rate) {
        (Pacing::Closed, Some(users), None) if users <= MOST => f64::from(users),
        (Pacing::Open, None, Some(rate)) if (0.0..=f64::from(MOST)).contains(&rate) => rate,
        (Pacing::Closed, Some(users), None) => {
            return wrong(&key("users"), format!("`users` is {users}: expected at most {MOST}"));
        }
        (Pacing::Open, None, Some(rate)) => {
            return wrong(
                &key("rate"),
                format!("`rate` is {rate}: expected 0 to {MOST} requests per second"),
            );
        }
        (Pacing::Closed, None, None) => {
            return wrong(&key("duration"), "a stage of a closed loop needs `users`".to_owned());
        }
        (Pacing::Open, None, None) => {
            return wrong(&key("duration"), "a stage of an open loop needs `rate`".to_owned());
        }
        (Pacing::Closed, _, Some(_)) => {
            return wrong(&key("rate"), "a closed loop has `users`, and no `rate`".to_owned());
        }
        (Pacing::Open, Some(_), _) => {
            return wrong(&key("users"), "an open loop has a `rate`, and no `users`".to_owned());
        }
    };
    Ok(Stage {
        name: stage.name.clone(),
        duration: duration(&key("duration"), &stage.duration, LONGEST_STAGE)?,
        to,
        thresholds: thresholds(&key("thresholds"), &stage.thresholds)?,
    })
}

fn check_think(spec: &ProfileSpec) -> Result<(Duration, Duration)> {
    let longest = Duration::from_secs(24 * 60 * 60);
    let min = duration("think.min", &spec.think.min, longest)?;
    let max = duration("think.max", &spec.think.max, longest)?;
    if min > max {
        return wrong("think", "`min` of `think` is more than its `max`".to_owned());
    }
    Ok((min, max))
}

fn repetitions(max: u32) -> Result<u32> {
    if !(1..=10).contains(&max) {
        return wrong("retry.max", format!("{max} repetitions: expected 1 to 10"));
    }
    Ok(max)
}

fn check_retries(spec: &RetrySpec) -> Result<Retries> {
    let longest_wait = Duration::from_secs(60);
    Ok(Retries {
        max: repetitions(spec.max)?,
        backoff: duration("retry.backoff", &spec.backoff, longest_wait)?,
        longest: duration("retry.longest", &spec.longest, longest_wait)?,
    })
}

fn thresholds(key: &str, rules: &[String]) -> Result<Vec<Threshold>> {
    let parse = |(i, rule): (usize, &String)| {
        rule.parse::<Threshold>().map_err(|fault: Fault| {
            fault.at(Place { key: Some(format!("{key}[{i}]")), ..Place::default() })
        })
    };
    rules.iter().enumerate().map(parse).collect()
}

fn duration(key: &str, text: &str, longest: Duration) -> Result<Duration> {
    match humantime::parse_duration(text.trim()) {
        Ok(duration) if duration <= longest => Ok(duration),
        Ok(_) => {
            let longest = humantime::format_duration(longest);
            wrong(key, format!("`{key}` is longer than {longest}"))
        }
        Err(error) => {
            let shown = botops_text::display(text, 40);
            wrong(
                key,
                format!(
                    "`{shown}` is not a duration: {error}; expected one such as `2m` or `500ms`"
                ),
            )
        }
    }
}

fn wrong<T>(key: &str, message: String) -> Result<T> {
    let place = Place { key: Some(key.to_owned()), ..Place::default() };
    Err(Fault::usage("BOT-6280", message).at(place))
}
