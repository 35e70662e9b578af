//! The settings of a generator, checked.

use crate::breaker::BreakerSpec;
use botops_findings::{Fault, Result};
use botops_http::{Url, is_loopback};
use botops_workspace::{Generation, GenerationBudget, GenerationPrice, Secret};
use std::time::Duration;

/// The settings of a generator.
///
/// - the address is `https://`, of this machine, or the user allowed `http://`
/// - the key is never shown: `Debug` writes `[redacted]`
#[derive(Debug, Clone)]
pub struct GenerationSettings {
    /// The address of `/chat/completions`.
    pub(crate) url: Url,
    pub(crate) model: String,
    pub(crate) served_as: Option<String>,
    pub(crate) key: Option<Secret>,
    pub(crate) timeout: Duration,
    pub(crate) first_token_timeout: Duration,
    pub(crate) max_tokens: u32,
    pub(crate) retries: u32,
    pub(crate) delivery: Delivery,
    pub(crate) budget: GenerationBudget,
    pub(crate) price: Option<GenerationPrice>,
    pub(crate) breaker: BreakerSpec,
}

/// How the endpoint sends an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// In pieces, as they are written.
    Streamed,
    /// Whole, at its end.
    Whole,
}

impl GenerationSettings {
    /// Checks the settings of a workspace, and reads the key.
    ///
    /// # Errors
    /// `BOT-7301` (exit 2) the address is `http://` of another machine and that is not allowed, or cannot be used;
    /// `BOT-1021` (exit 2) the key is missing, empty or unusable.
    pub fn check(written: &Generation) -> Result<Self> {
        let unusable = |why: &str| {
            Fault::usage("BOT-7301", format!("`knowledge.generation.url` {why}"))
                .hint("use the `https://` address of the endpoint, or a tunnel to this machine")
        };
        let url = Url::parse(&format!("{}/chat/completions", written.url.trim_end_matches('/')))
            .map_err(|error| unusable("is not a URL").caused_by(error))?;
        if url.scheme() != "https" && !is_loopback(&url) && !written.allow_http {
            return Err(unusable(
                "is `http://` of another machine: questions, passages and the key would not be encrypted",
            )
            .hint("or write `allow_http: true` beside it if you trust every network on the way"));
        }
        Ok(Self {
            url,
            model: written.model.clone(),
            served_as: written.served_as.clone(),
            key: written.key.0.resolve()?,
            timeout: written.timeout,
            first_token_timeout: written.first_token_timeout,
            max_tokens: written.max_tokens,
            retries: written.retries,
            delivery: if written.stream { Delivery::Streamed } else { Delivery::Whole },
            budget: written.budget,
            price: written.price,
            breaker: BreakerSpec::default(),
        })
    }

    /// Replaces the rules of the circuit breaker.
    #[must_use]
    pub fn with_breaker(mut self, breaker: BreakerSpec) -> Self {
        self.breaker = breaker;
        self
    }

    /// Returns the name of the model.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }
}
