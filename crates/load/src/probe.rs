//! One request of each kind before the load, so that a mistake is reported before 200 users make it.

use crate::{
    checked_profile::Profile,
    kind::Kind,
    reply::{NoAnswer, Reply},
    target::Target,
    user::User,
};
use botops_findings::{Fault, Result};

/// The number of the user who asks before the test.
const PROBE: u64 = u64::MAX;

/// Sends one request of each kind of `profile`. A server that is busy (429, 503), or fails (5xx), passes: the test counts that.
/// One that stores no conversations gets messages without ids from then on.
///
/// # Errors
/// `BOT-6282` (exit 7) no connection could be made, or no answer came in time; `BOT-6283` (exit 2) the server answered 401 or
/// 403; `BOT-6284` (exit 2) it refused a request otherwise.
pub async fn probe(profile: &Profile, target: &mut Target) -> Result<()> {
    let mut user = User::new(PROBE);
    for kind in Kind::ALL.into_iter().filter(|kind| profile.mix.share(*kind) > 0) {
        loop {
            user.begin();
            let reply = user.attempt(target, kind, &profile.texts[0], profile.timeout).await;
            match &reply {
                Reply::Status { code: Some(code), .. }
                    if code == "BOT-6124" && target.has_message_ids =>
                {
                    target.has_message_ids = false;
                    continue;
                }
                reply => judge(kind, reply, target)?,
            }
            break;
        }
    }
    Ok(())
}

fn judge(kind: Kind, reply: &Reply, target: &Target) -> Result<()> {
    let (url, name) = (target.url(), kind.name());
    let (status, code) = match reply {
        Reply::Good | Reply::Status { status: 429 | 502..=504, .. } => return Ok(()),
        Reply::Status { status, code, .. } => (*status, code.as_deref()),
        Reply::Nothing(reason) => {
            let why = match reason {
                NoAnswer::NotConnected => "no connection could be made",
                NoAnswer::InTime => "it does not answer in time",
                NoAnswer::Broken => "it ended the connection without an answer",
            };
            return Err(Fault::unreachable(
                "BOT-6282",
                format!("the server at {url} cannot be tested: {why}"),
            )
            .hint("check the address, and whether the server is up: `botops doctor --ready URL`"));
        }
    };
    let code = code.map_or(String::new(), |code| format!(" ({code})"));
    if matches!(status, 401 | 403) {
        let message = format!(
            "the server at {url} answers a {name} request with {status}{code}: it does not accept the key, or there is none"
        );
        return Err(Fault::usage("BOT-6283", message).hint(
            "set `BOTOPS_CLIENT_KEY` to a key with the scopes `chat` and `predict`: `botops keys create --name NAME --scopes chat,predict`",
        ));
    }
    let message = format!("the server at {url} answers a {name} request with {status}{code}");
    Err(Fault::usage("BOT-6284", message)
        .hint("give the public address of a botops server, not that of the admin API")
        .hint(format!("or leave `{name}` out of `mix` in the profile")))
}
