//! Who may do what: identities, scopes, roles, keys, tokens, and the policy of an environment.
//!
//! In: what a request presents (a key, a token, the credentials of a socket). Out: an [`Identity`] and its [`Scopes`].
//!
//! - an [`Identity`] is who acted, as a log records it; a name that a client only claims is never one
//! - a [`Scope`] is a right on the server, and a [`Role`] is a usual set of them
//! - a [`PublicCaller`] is who a request of the public API is from, with its scopes as bits ([`ScopeSet`])
//! - [`Issuers`] checks the tokens (JWT) of issuers
//! - [`Keys`] is the fold of the access log of an environment ([`KeyLog`]), which holds digests of secrets only
//! - [`FeedbackTokens`] makes the tokens of answers, without which no verdict on an answer counts
//! - [`LiveKeys`] are those keys as of the last read, without a lock; a [`ClientGate`] checks every request of the public API
//! - a [`Policy`] judges the evidence of a version and the plan of its rollout; a [`Window`] says when
//! - [`RequestLimits`] says how often

mod client_gate;
mod feedback_token;
mod identity;
mod key_log;
mod key_table;
mod key_text;
mod key_use;
mod keys;
mod limits;
mod live_keys;
mod policy;
mod public_caller;
mod refused;
mod scope;
mod scope_set;
mod sealed_number;
mod token_problem;
mod tokens;
mod verified_tokens;
mod window;

pub use client_gate::{ClientGate, Looked, TokenCache, bearer_token};
pub use feedback_token::{
    FeedbackTokens, InvalidToken, JudgedAnswer, LONGEST_FEEDBACK_TOKEN, TokenKeys, rollout_mark,
};
pub use identity::{Identity, IdentityKind};
pub use key_log::{KeyAct, KeyLog, KeySpec, Lifetime, Writing};
pub use key_text::{NewKey, PREFIX as KEY_PREFIX, is_equal, random_key};
pub use key_use::{KeyUses, hour_of};
pub use keys::{Key, KeyAction, KeyEvent, KeySecret, KeyState, Keys, Revocation};
pub use limits::{
    Applied, Asked, Limit, MAX_KEYS, Network, OnSharedFailure, Rate, RateSpec, RequestLimits,
    RouteRates, Sender, SharedLimits, Subject, Taken, TrustedProxies, Verdict, limited_as,
    take_all,
};
pub use live_keys::LiveKeys;
pub use policy::{
    ApprovalRules, BehaviourRules, Case, Check, DataRule, Demand, Evidence, EvidenceBasis,
    FlipRules, GateRules, Judgement, KnowledgeRules, MeasuredBound, Policy, PolicyMode, PolicySpec,
    RelativeRules, RequiredBound, RolloutRules,
};
pub use public_caller::{CallerKind, PublicCaller};
pub use refused::Refused;
pub use scope::{Role, Scope, Scopes};
pub use scope_set::ScopeSet;
pub use sealed_number::{IdKey, NotSealed, SealedNumber};
pub use token_problem::TokenProblem;
pub use tokens::{
    Grants, IssuerKeys, IssuerSpec, Issuers, TokenAlgorithm, TokenSecret, VerifiedToken,
};
pub use window::{Window, is_open, next_opening};

/// Who a request is from, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// Who it is from.
    pub identity: Identity,
    /// The scopes of its credentials.
    pub scopes: Scopes,
}
