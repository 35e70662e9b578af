//! A generator: the budget, the circuit breaker and the tries around single requests.

use crate::{
    attempt::Attempt,
    breaker::Breaker,
    budget::{Budget, Reservation, Spent, cost},
    failure::{FailureKind, GenerationFailure},
    generated::{Generated, Usage, citations},
    prompt::{self, Message},
    protocol,
    request::{FollowUp, Request},
    settings::GenerationSettings,
};
use botops_findings::Result;
use botops_http::{Client, ClientSpec, Proxy, Redirects};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The wait before the second try; it doubles with each further one.
const BACK_OFF: Duration = Duration::from_millis(250);
/// The bytes of a token where the endpoint does not report tokens. English has about 4 and Chinese about 2; an estimate should
/// not be below the truth.
const BYTES_OF_A_TOKEN: u64 = 3;
/// The most tokens of a question in full.
const QUESTION_TOKENS: u32 = 128;

/// A client of one endpoint. All requests of a server go through one generator, which counts what they spend.
#[derive(Debug)]
pub struct Generator {
    settings: GenerationSettings,
    client: Client,
    budget: Budget,
    breaker: Breaker,
}

impl Generator {
    /// Makes a generator. Nothing is sent.
    ///
    /// # Errors
    /// `BOT-1018` (exit 1) if the root certificates of the system cannot be read.
    pub fn new(settings: GenerationSettings) -> Result<Self> {
        let client = botops_http::client(&ClientSpec {
            // The tries have one time-out together, and the first piece has one of its own.
            answer: None,
            silence: None,
            // A redirect could lead the key and the passages elsewhere.
            redirects: Redirects::Refused,
            proxy: Proxy::Environment,
        })?;
        Ok(Self {
            client,
            budget: Budget::new(settings.budget, settings.price),
            breaker: Breaker::new(settings.breaker),
            settings,
        })
    }

    /// Asks the endpoint, and hands each piece of the answer to `on_piece` as it arrives.
    ///
    /// A try that failed before its first piece is repeated after a connection that failed, or an answer of 429 or 5xx, as long
    /// as the time allows. If the future is dropped, the connection is closed, and the tokens that are known count as spent.
    ///
    /// # Errors
    /// A [`GenerationFailure`] with its class. Pieces that were handed out before it are no answer.
    pub async fn generate(
        &self,
        request: &Request<'_>,
        on_piece: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Generated, GenerationFailure> {
        let begun = Instant::now();
        let asked = Asked {
            messages: prompt::messages(request),
            max_tokens: self.settings.max_tokens,
            started: begun.checked_sub(request.used).unwrap_or(begun),
            limit: self.settings.timeout,
            now: request.now,
        };
        self.ask(asked, on_piece).await
    }

    /// Asks the endpoint to write a question in full, within the time of a first piece. The text is that question.
    ///
    /// # Errors
    /// A [`GenerationFailure`] with its class.
    pub async fn complete(&self, follow_up: &FollowUp<'_>) -> Result<Generated, GenerationFailure> {
        let asked = Asked {
            messages: prompt::follow_up(follow_up),
            max_tokens: self.settings.max_tokens.min(QUESTION_TOKENS),
            started: Instant::now(),
            limit: self.settings.timeout.min(self.settings.first_token_timeout),
            now: follow_up.now,
        };
        self.ask(asked, &mut |_| {}).await
    }

    async fn ask(
        &self,
        asked: Asked,
        on_piece: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Generated, GenerationFailure> {
        let Asked { messages, max_tokens, started, limit, now } = asked;
        let body = protocol::body(&self.settings, &messages, max_tokens);
        let estimate = Usage {
            tokens_in: (body.len() as u64).div_ceil(BYTES_OF_A_TOKEN),
            tokens_out: u64::from(max_tokens),
            is_reported: false,
        };
        let mut reservation = self.budget.reserve(now, estimate).map_err(|limit| {
            let message = format!("the request would exceed `budget.{limit}`");
            GenerationFailure::new(FailureKind::OverBudget, message)
        })?;
        let permit = self.breaker.admit(now).ok_or_else(|| {
            let message = "the endpoint failed repeatedly and is not asked for a while";
            GenerationFailure::new(FailureKind::Paused, message)
        })?;
        let mut retries = 0;
        let outcome = loop {
            let attempt = Attempt::new(&self.settings, (started, limit), estimate.tokens_in);
            // Dropped in the middle, the tokens that are known count as spent.
            let mut spending = Spending { attempt, reservation: &mut reservation };
            let run = spending.attempt.run(&self.client, &body, now, on_piece);
            let outcome = run.await;
            let had_text = spending.attempt.has_text();
            drop(spending);
            let mut failure = match outcome {
                Ok((text, finish)) => break Ok((text, finish)),
                Err(failure) => failure,
            };
            failure.had_text = had_text;
            let wait = failure.retry_after.unwrap_or(BACK_OFF * 2_u32.pow(retries));
            let is_in_time = started.elapsed() + wait < limit;
            let may_repeat = failure.kind.may_be_repeated()
                && !failure.had_text
                && retries < self.settings.retries
                && is_in_time;
            if !may_repeat {
                break Err(failure);
            }
            tokio::time::sleep(wait).await;
            retries += 1;
        };
        let usage = reservation.usage();
        let cost = cost(usage, self.settings.price);
        match outcome {
            Ok((text, finish)) => {
                permit.succeeded();
                let citations = citations(&text);
                Ok(Generated { citations, text, usage, cost, finish, retries })
            }
            Err(failure) => {
                if failure.kind.counts_against_the_endpoint() {
                    let now = now.checked_add(started.elapsed()).unwrap_or(now);
                    permit.failed(now);
                }
                Err(GenerationFailure { usage, cost, retries, ..failure })
            }
        }
    }

    /// Returns whether the endpoint is not asked at present, after repeated failures.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.breaker.is_open()
    }

    /// Returns the amount spent on the day of `now`.
    #[must_use]
    pub fn spent(&self, now: SystemTime) -> Spent {
        self.budget.spent(now)
    }

    /// Returns the name of the model.
    #[must_use]
    pub fn model(&self) -> &str {
        self.settings.model()
    }
}

/// A request in the form in which it is sent.
struct Asked {
    messages: Vec<Message>,
    max_tokens: u32,
    /// The time from which `limit` counts.
    started: Instant,
    limit: Duration,
    now: SystemTime,
}

/// A try whose tokens are added to the reservation when it ends, in whatever way.
struct Spending<'a, 'b> {
    attempt: Attempt<'a>,
    reservation: &'a mut Reservation<'b>,
}

impl Drop for Spending<'_, '_> {
    fn drop(&mut self) {
        self.reservation.add(self.attempt.spent(BYTES_OF_A_TOKEN));
    }
}
