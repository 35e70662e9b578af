//! The login of the admin API: the shared token, keys and OIDC tokens, and the delay of answers to failed logins.

use crate::{
    admin_socket::{SocketUser, SocketUsers},
    authorization::Caller,
    clock::Clock,
    key_ring::KeyRing,
};
use axum::http::{HeaderMap, header};
use botops_access::{
    Authenticated, Identity, IdentityKind, Issuers, KEY_PREFIX, Refused, Role, bearer_token,
    is_equal,
};
use botops_connections::network;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_workspace::Secret;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

/// The fewest characters of a token.
const LEAST_CHARS: usize = 32;
/// The delay of the answer to the first failed login of a peer; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest delay.
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// The time after which the failed logins of a peer are forgotten.
const MEMORY: Duration = Duration::from_secs(300);
/// The most peers whose failed logins are remembered.
const MOST_PEERS: usize = 1_024;

/// The bearer token of the admin API.
#[derive(Clone)]
pub(super) struct AdminToken {
    /// Digest of the token. Digests have one length, so a comparison takes the same time for every sent token.
    digest: Digest,
}

/// The credentials that are in force, until the settings are read again.
pub(super) struct SharedLogins(RwLock<Arc<Logins>>);

impl SharedLogins {
    /// Makes those of a server that starts.
    pub(super) fn new(logins: Logins) -> Self {
        Self(RwLock::new(Arc::new(logins)))
    }

    /// Returns those in force.
    pub(super) fn get(&self) -> Arc<Logins> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts others in force, from the next request on.
    pub(super) fn set(&self, logins: Logins) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(logins);
    }
}

/// The credentials that the admin API accepts.
pub(super) struct Logins {
    /// The shared token.
    pub(super) token: Option<AdminToken>,
    /// The keys of the environment; `None` without a registry.
    pub(super) keys: Option<Arc<KeyRing>>,
    /// The issuers of OIDC tokens.
    pub(super) issuers: Option<Arc<Issuers>>,
    /// The users that the admin socket lets in.
    pub(super) users: Option<SocketUsers>,
    /// The clock of the server.
    pub(super) clock: Arc<dyn Clock>,
}

impl Logins {
    /// Returns whether nobody can log in at an address.
    pub(super) fn is_empty(&self) -> bool {
        self.token.is_none()
            && self.issuers.is_none()
            && self.keys.as_ref().is_none_or(|keys| !keys.has_administrator())
    }

    /// Finds out who a request with `headers` is from; `user` is that of a connection to the admin socket.
    ///
    /// A bearer token decides where there is one: it names a person or a job, and has no more scopes than it needs.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub(super) async fn authenticate(
        &self,
        headers: &HeaderMap,
        user: Option<SocketUser>,
    ) -> Result<Caller, Refused> {
        let sent =
            headers.get(header::AUTHORIZATION).and_then(|value| bearer_token(value.as_bytes()));
        if let (None, Some(user), Some(users)) = (sent, user, &self.users) {
            return users.caller(user).ok_or_else(|| Refused::User { name: user.name() });
        }
        let sent = sent.ok_or(Refused::NoToken)?;
        if self.token.as_ref().is_some_and(|token| token.is(sent)) {
            let identity = Identity::new(IdentityKind::SharedToken, "admin");
            let who = Authenticated { identity, scopes: Role::Admin.scopes() };
            return Ok(Caller { who, by_old_key: false });
        }
        let sent = std::str::from_utf8(sent).map_err(|_| Refused::WrongToken)?;
        match &self.keys {
            Some(keys) if sent.starts_with(KEY_PREFIX) => return keys.verify(sent).await,
            _ => {}
        }
        let issuers = self.issuers.as_ref().ok_or(Refused::WrongToken)?;
        let token = issuers.verify(sent, self.clock.now(), Instant::now()).await?;
        Ok(Caller { who: token.administrator(), by_old_key: false })
    }
}

impl AdminToken {
    /// Checks a token.
    ///
    /// # Errors
    /// `BOT-1031` (exit 2) if it is shorter than 32 characters, or if an HTTP header cannot hold it unchanged.
    pub(super) fn new(token: &Secret) -> Result<Self> {
        let text = token.expose();
        let unusable = |problem: String| {
            Fault::usage("BOT-1031", format!("the admin token {problem}"))
                .hint("make one with `openssl rand -hex 32`, and set `BOTOPS_ADMIN_TOKEN` to it")
        };
        if !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(unusable("contains a character that is not visible ASCII".to_owned()));
        }
        if text.trim() != text {
            return Err(unusable("begins or ends with a space".to_owned()));
        }
        if text.len() < LEAST_CHARS {
            let message =
                format!("has {} characters: at least {LEAST_CHARS} are needed", text.len());
            return Err(unusable(message));
        }
        Ok(Self { digest: Digest::of(text.as_bytes()) })
    }

    /// Returns the digest of the token.
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns whether `sent` is the token.
    fn is(&self, sent: &[u8]) -> bool {
        is_equal(&Digest::of(sent), &self.digest)
    }
}

/// The failed logins of each peer.
///
/// Only the answer to a failed login is delayed. A request with the right token is never delayed, so nobody can lock
/// out an operator who has to end a rollout.
#[derive(Debug, Default)]
pub(super) struct FailedLogins {
    peers: Mutex<HashMap<IpAddr, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    in_a_row: u32,
    last: Instant,
}

impl FailedLogins {
    /// Counts a failed login of `peer` at `now`. Returns the number of its failures in a row, and the delay of the
    /// answer.
    pub(super) fn count(&self, peer: IpAddr, now: Instant) -> (u32, Duration) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = network(peer);
        if peers.len() >= MOST_PEERS && !peers.contains_key(&peer) {
            forget(&mut peers, now);
        }
        let failures = peers.entry(peer).or_insert(Failures { in_a_row: 0, last: now });
        if now.saturating_duration_since(failures.last) >= MEMORY {
            failures.in_a_row = 0;
        }
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        failures.last = now;
        let doublings = (failures.in_a_row - 1).min(16);
        (failures.in_a_row, (FIRST_DELAY * (1 << doublings)).min(LONGEST_DELAY))
    }
}

/// Removes the peers whose failures are old; if there are none, the peer whose last failure is the oldest.
fn forget(peers: &mut HashMap<IpAddr, Failures>, now: Instant) {
    let before = peers.len();
    peers.retain(|_, failures| now.saturating_duration_since(failures.last) < MEMORY);
    if peers.len() == before
        && let Some(oldest) =
            peers.iter().min_by_key(|(_, failures)| failures.last).map(|(peer, _)| *peer)
    {
        peers.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_token_has_at_least_32_visible_characters() {
        AdminToken::new(&Secret::new(TOKEN)).unwrap();
        AdminToken::new(&Secret::new("correct horse battery staple, 32")).unwrap();
        AdminToken::new(&Secret::new(format!("{TOKEN}\r\n"))).unwrap();
        let short = &TOKEN[1..];
        let (inside, space) = (format!("{TOKEN}\n{TOKEN}"), format!("{TOKEN} "));
        let other = format!("{TOKEN}ä");
        for unusable in ["", "x", short, &inside, &space, &other] {
            let fault = AdminToken::new(&Secret::new(unusable)).err().unwrap();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1031", 2), "{unusable:?}");
            assert!(unusable.len() < 2 || !fault.to_string().contains(unusable), "{fault}");
        }
    }

    #[tokio::test]
    async fn the_scheme_bearer_is_accepted_in_any_case() {
        let token = Some(AdminToken::new(&Secret::new(TOKEN)).unwrap());
        let clock = Arc::new(crate::clock::WallClock::start());
        let logins = Logins { token, keys: None, issuers: None, users: None, clock };
        let check = async |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
            logins.authenticate(&headers, None).await.map(|caller| caller.who.identity.name)
        };
        for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR  "] {
            assert_eq!(check(&format!("{scheme}{TOKEN}")).await.unwrap(), "admin", "{scheme}");
            let wrong = check(&format!("{scheme}{}", &TOKEN[1..])).await;
            assert_eq!(wrong, Err(Refused::WrongToken));
        }
        for other in ["Basic ", "Bearer", "Bearer:", "Bearers ", ""] {
            assert_eq!(check(&format!("{other}{TOKEN}")).await, Err(Refused::NoToken), "{other}");
        }
        assert_eq!(logins.authenticate(&HeaderMap::new(), None).await, Err(Refused::NoToken));
        assert_eq!(check("Bearer \u{e9}").await, Err(Refused::WrongToken));
    }

    #[test]
    fn answers_to_failed_logins_are_delayed_longer_and_longer_for_each_peer_alone() {
        let (logins, now) = (FailedLogins::default(), Instant::now());
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        let delays: Vec<u128> = (0..8).map(|_| logins.count(peer, now).1.as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(logins.count("192.0.2.2".parse().unwrap(), now).0, 1);
        // One host may have every address of a /64 network.
        assert_eq!(logins.count("2001:db8::1".parse().unwrap(), now).0, 1);
        assert_eq!(logins.count("2001:db8::ffff:1".parse().unwrap(), now).0, 2);
        assert_eq!(logins.count("2001:db8:0:1::1".parse().unwrap(), now).0, 1);
        assert_eq!(logins.count(peer, now + MEMORY).0, 1, "old failures are forgotten");
    }

    #[test]
    fn a_bounded_number_of_peers_is_remembered() {
        let (logins, now) = (FailedLogins::default(), Instant::now());
        for n in 0..3 * MOST_PEERS as u32 {
            let peer = IpAddr::V4((0x0a00_0000 + n).into());
            logins.count(peer, now + Duration::from_millis(n.into()));
        }
        assert_eq!(logins.peers.lock().unwrap().len(), MOST_PEERS);
    }
}
