//! Calls to a platform: one HTTP call, its outcome, and the pauses between tries.

use crate::adapter::PlatformCall;
use botops_findings::{Fault, Result};
use botops_http::{
    CallRules, Client, ClientSpec, GuardedClient, Method, Network, OutgoingCall, Proxy, Redirects,
    Url, header, why_unreachable,
};
use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

/// The most bytes of an answer that are read.
const MOST_ANSWER_BYTES: usize = 64 << 10;
/// The longest pause that a platform can ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The times of a channel. A test shortens them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelPace {
    /// The pause after the first failed try; it doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause between two tries, unless the platform asks for more.
    pub longest_pause: Duration,
    /// The longest time of a call.
    pub timeout: Duration,
    /// How long a claim of a conversation lasts without a renewal; at least four times `timeout`.
    pub lease: Duration,
    /// The time between two looks for conversations that another server left.
    pub sweep: Duration,
}

impl Default for ChannelPace {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            lease: Duration::from_secs(40),
            sweep: Duration::from_secs(15),
        }
    }
}

impl ChannelPace {
    /// Returns the pace `times` as fast.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        let times = times.max(1);
        Self {
            first_pause: self.first_pause / times,
            longest_pause: self.longest_pause / times,
            timeout: self.timeout / times,
            lease: self.lease / times,
            sweep: self.sweep / times,
        }
    }

    /// Returns the pause after `failed` tries in a row: between half and all of a time that doubles, or that of the platform.
    pub(crate) fn pause(&self, failed: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.first_pause.saturating_mul(1 << failed.saturating_sub(1).min(16));
        let whole = doubled.min(self.longest_pause);
        // Servers that failed together do not try together.
        let share = RandomState::new().hash_one(failed) % 1_000;
        let jittered = whole / 2 + (whole / 2) * u32::try_from(share).unwrap_or(0) / 1_000;
        match asked {
            Some(asked) => asked.min(LONGEST_RETRY_AFTER).max(jittered),
            None => jittered,
        }
    }
}

/// The client of a channel.
pub(crate) enum Http {
    /// To an address of the settings that only an operator writes, such as that of the Graph API.
    Plain(Client),
    /// To a webhook: its own origin, and only public addresses unless a network is allowed.
    Guarded(GuardedClient),
}

/// The answer to a call.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The status.
    pub(crate) status: u16,
    /// The pause that the platform asks for.
    pub(crate) retry_after: Option<Duration>,
    /// The body; empty if it cannot be read.
    pub(crate) body: Vec<u8>,
}

/// A call without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unanswered {
    /// Whether the platform certainly got nothing.
    pub(crate) is_unsent: bool,
    /// The reason.
    pub(crate) reason: &'static str,
}

impl Http {
    /// Makes the client for an API of a platform.
    ///
    /// # Errors
    /// `BOT-1018` (exit 1) the root certificates of the system cannot be read.
    pub(crate) fn plain(timeout: Duration) -> Result<Self> {
        botops_http::client(&ClientSpec {
            answer: Some(timeout),
            silence: Some(timeout),
            redirects: Redirects::Refused,
            proxy: Proxy::Environment,
        })
        .map(Self::Plain)
    }

    /// Makes the client for the webhook at `url`.
    ///
    /// # Errors
    /// `BOT-7502` (exit 2) it is no `https://` URL, or private and its network is not allowed; `BOT-1018`.
    pub(crate) fn guarded(key: &str, url: &str, allow_private: &[String]) -> Result<Self> {
        let unusable = |problem: &str| {
            Fault::usage("BOT-7502", format!("`{key}` {problem}")).hint(
                "write an `https://` URL, by reference if its path is secret: `url: ${env:NAME}`",
            )
        };
        for network in allow_private {
            if let Err(problem) = network.parse::<Network>() {
                let shown = botops_text::display(network, 60);
                return Err(Fault::usage(
                    "BOT-7502",
                    format!("`allow_private` of a channel: `{shown}` {problem}"),
                )
                .hint("write networks or addresses, such as `10.20.0.0/16` or `127.0.0.1`"));
            }
        }
        let parsed = Url::parse(url).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
        });
        let parsed = parsed.ok_or_else(|| unusable("is no `https://` URL"))?;
        let rules = CallRules {
            allow: vec![parsed.origin().ascii_serialization()],
            allow_private: allow_private.to_vec(),
            most_bytes: MOST_ANSWER_BYTES,
        };
        let client = GuardedClient::new(&rules)?;
        if client.check(url).is_err() {
            return Err(unusable("names an address that is not on the internet")
                .hint("if calls may go there, add its network to `allow_private` of the channel"));
        }
        Ok(Self::Guarded(client))
    }

    /// Makes a call.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn call(
        &self,
        call: PlatformCall,
        timeout: Duration,
    ) -> std::result::Result<Answered, Unanswered> {
        match self {
            Self::Plain(client) => plain_call(client, call, timeout).await,
            Self::Guarded(client) => {
                let unsent = Unanswered { is_unsent: true, reason: "its address is not allowed" };
                let url = client.check(&call.url).map_err(|_| unsent)?;
                let (headers, body) = (call.headers, Some(call.body));
                let call = OutgoingCall { method: Method::POST, url, headers, body, timeout };
                let answer = client.call(call).await.map_err(|failure| Unanswered {
                    is_unsent: failure.is_unsent,
                    reason: failure.reason,
                })?;
                let body = answer.body.unwrap_or_default();
                Ok(Answered { status: answer.status, retry_after: None, body })
            }
        }
    }
}

async fn plain_call(
    client: &Client,
    call: PlatformCall,
    timeout: Duration,
) -> std::result::Result<Answered, Unanswered> {
    let unanswered = |error: &botops_http::Error| Unanswered {
        is_unsent: error.is_connect() || error.is_builder(),
        reason: why_unreachable(error),
    };
    let mut request = client
        .post(&call.url)
        .timeout(timeout)
        .header(header::CONTENT_TYPE, "application/json")
        .body(call.body);
    for (name, value) in call.headers {
        request = request.header(name, value);
    }
    let mut answer = request.send().await.map_err(|error| unanswered(&error))?;
    let status = answer.status().as_u16();
    let seconds = answer.headers().get(header::RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    let mut body = Vec::new();
    // The status says whether the platform took it; of a body that breaks off or is too large, nothing is used.
    while let Ok(Some(chunk)) = answer.chunk().await {
        if body.len() + chunk.len() > MOST_ANSWER_BYTES {
            body.clear();
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answered { status, retry_after: seconds.map(Duration::from_secs), body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_follow_the_platform() {
        let pace = ChannelPace::default();
        for (failed, whole) in [(1, 1.0), (2, 2.0), (4, 8.0), (7, 60.0), (40, 60.0)] {
            let pause = pace.pause(failed, None).as_secs_f64();
            assert!((whole / 2.0..=whole).contains(&pause), "{failed}: {pause}");
        }
        assert_eq!(pace.pause(1, Some(Duration::from_secs(90))), Duration::from_secs(90));
        assert_eq!(pace.pause(1, Some(Duration::from_secs(86_400))), LONGEST_RETRY_AFTER);
        assert!(pace.pause(7, Some(Duration::from_secs(1))) >= Duration::from_secs(30));
    }

    #[test]
    fn a_webhook_that_cannot_be_called_is_refused_without_its_address() {
        botops_http::install_tls();
        for url in [
            "ftp://hooks.example.com/s3cret",
            "https://u:s3cret@hooks.example.com",
            "http://127.0.0.1/s3cret",
        ] {
            let fault = Http::guarded("channels.shop.webhook.url", url, &[]).err().unwrap();
            assert_eq!(fault.code(), "BOT-7502");
            assert!(!fault.to_string().contains("s3cret"), "{fault}");
        }
        let private = ["127.0.0.0/8".to_owned()];
        assert!(Http::guarded("k", "http://127.0.0.1/hook", &private).is_ok());
        assert!(Http::guarded("k", "http://127.0.0.1/hook", &["x".to_owned()]).is_err());
    }
}
