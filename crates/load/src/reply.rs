//! The outcome of one attempt.

use std::time::Duration;

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A good answer.
    Good,
    /// Another answer.
    Status {
        status: u16,
        /// The pause that the server asks for.
        retry_after: Option<Duration>,
        /// The code of botops in its body.
        code: Option<String>,
    },
    /// No answer.
    Nothing(NoAnswer),
}

/// The reason why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// No connection could be made.
    NotConnected,
    /// It did not come in time.
    InTime,
    /// The connection ended, or did not speak the protocol.
    Broken,
}

impl Reply {
    /// Makes the outcome of an answer with `status` and `body`.
    pub(crate) fn of(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let is_object = body.first() == Some(&b'{') && body.last() == Some(&b'}');
        match status {
            200 if is_object => Self::Good,
            // Something else than botops answered.
            200 => Self::Status { status: 502, retry_after: None, code: None },
            _ => Self::Status { status, retry_after, code: code_in(body) },
        }
    }

    /// Returns whether another attempt may get a good answer.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Nothing(_) | Self::Status { status: 429 | 502 | 503 | 504, .. })
    }

    /// Returns the pause that the server asks for.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Returns the code of botops in the document of a problem. Other texts of a server are not repeated.
pub(crate) fn code_in(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let code = body["code"].as_str()?;
    let digits = code.strip_prefix("BOT-")?;
    (digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_good_if_it_is_200_with_an_object() {
        assert_eq!(Reply::of(200, None, b"{\"response\":\"hi\"}"), Reply::Good);
        let Reply::Status { status: 502, .. } = Reply::of(200, None, b"<html>") else { panic!() };
        let second = Some(Duration::from_secs(1));
        let refused = Reply::of(429, second, b"{\"code\":\"BOT-1095\"}");
        let code = Some("BOT-1095".to_owned());
        assert_eq!(refused, Reply::Status { status: 429, retry_after: second, code });
        assert!(refused.may_pass() && Reply::Nothing(NoAnswer::Broken).may_pass());
        assert!(!Reply::of(400, None, b"").may_pass() && !Reply::of(500, None, b"").may_pass());
        assert_eq!(code_in(b"{\"code\":\"secret text\"}"), None);
    }
}
