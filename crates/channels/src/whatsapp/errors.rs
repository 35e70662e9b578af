//! The error codes of the Graph API.

use crate::adapter::{Fate, Verdict};
use serde_json::Value;
use std::time::Duration;

/// Reads the answer to a call. An error is `{"error": {"code": 131047, "message": …, "error_data": …}}`; its texts may repeat the
/// number of the person and are not used.
pub(super) fn verdict(status: u16, body: &[u8]) -> Verdict {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &body["error"];
    let Some(code) = error["code"].as_i64() else { return Verdict::of_status(status) };
    match code {
        // The throughput of the number; the rate of the account; requests of the app.
        130_429 | 80_007 | 4 => Verdict::Later(None),
        // Too many messages to one person in a short time.
        131_056 => Verdict::Later(Some(Duration::from_secs(6))),
        // The service is down or overloaded.
        2 | 131_016 | 133_004 => Verdict::Later(None),
        // An unknown error inside the service.
        1 | 131_000 => Verdict::Uncertain,
        // More than 24 hours since the last message of the person.
        131_047 => Verdict::WindowClosed,
        _ if error["is_transient"].as_bool() == Some(true) => Verdict::Later(None),
        _ => Verdict::Permanent(format!("the platform answers {status} with the error {code}")),
    }
}

/// Returns the consequence of the code in a status `failed`.
pub(super) fn fate(code: i64) -> Fate {
    match code {
        // Throughput and rates; the service is down or fails inside.
        130_429 | 80_007 | 131_056 | 131_016 | 131_000 | 133_004 | 1 | 2 | 4 => Fate::Retry,
        // The person stopped the messages that the business begins.
        131_050 => Fate::OptOut,
        _ => Fate::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_retried_replaced_by_a_template_or_final() {
        let of = |status, code: i64| {
            let body =
                serde_json::json!({ "error": { "code": code, "message": "to 15550000001" } });
            verdict(status, body.to_string().as_bytes())
        };
        for code in [130_429, 80_007, 131_016] {
            assert_eq!(of(400, code), Verdict::Later(None), "{code}");
        }
        assert_eq!(of(400, 131_056), Verdict::Later(Some(Duration::from_secs(6))));
        assert_eq!(of(400, 131_047), Verdict::WindowClosed);
        assert_eq!(of(500, 131_000), Verdict::Uncertain);
        for code in [131_026, 190, 100, 131_051, 368] {
            let Verdict::Permanent(reason) = of(400, code) else { panic!("{code}") };
            assert!(reason.contains(&code.to_string()) && !reason.contains("1555"), "{reason}");
        }
        assert_eq!(verdict(502, b"<html>"), Verdict::Uncertain);
        assert_eq!(verdict(503, b""), Verdict::Later(None));
        assert_eq!(verdict(200, b"{\"messages\":[{\"id\":\"wamid.x\"}]}"), Verdict::Accepted);
    }
}
