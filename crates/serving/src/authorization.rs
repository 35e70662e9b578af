//! The endpoints of the admin API, and the scopes that each needs.
//!
//! The router is built from [`ENDPOINTS`], so a route without a row cannot exist.

use crate::job_command::JobCommand;
use axum::http::Method;
use botops_access::{Authenticated, Scope};
use botops_findings::Fault;

/// A request of the admin API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Shows all models.
    Models,
    /// Shows one model.
    Model,
    /// Starts a rollout.
    Start,
    /// Rolls back the model.
    RollBackModel,
    /// Shows a rollout.
    Rollout,
    /// Shows the decision on a rollout, with its numbers.
    Decision,
    /// Streams the events of a rollout.
    Events,
    /// Shows entries of the deployment log.
    Audit,
    /// Gives a rollout the command with this word.
    Command(&'static str),
    /// Gives the challenger another share.
    Weight,
    /// Approves or rejects the promotion of a rollout.
    Approvals,
    /// Freezes the environment.
    Freeze,
    /// Ends the freeze of the environment.
    Unfreeze,
    /// Gives a rollout a command that does not exist.
    OtherCommand,
    /// Runs the golden self-test.
    SelfTest,
    /// Shows the OpenAPI document.
    OpenApi,
    /// Forecasts a plan.
    Plan,
    /// Reads the settings again.
    Reload,
    /// Puts a version on mirror only.
    Shadow,
    /// Shows the messages on which the challenger disagreed.
    Disagreements,
    /// Shows the metrics.
    Metrics,
    /// Lists the knowledge bases.
    KnowledgeBases,
    /// Shows a knowledge base with its files.
    KnowledgeBase,
    /// Puts files into a knowledge base.
    Upload,
    /// Removes a file of a knowledge base.
    RemoveDocument,
    /// Lists background jobs.
    Jobs,
    /// Shows a background job.
    Job,
    /// Cancels or retries a background job.
    JobCommand(JobCommand),
}

/// An endpoint: a method, a path, and who may call it.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// The method.
    pub(super) method: Method,
    /// The path as the router matches it.
    pub(super) path: &'static str,
    /// The request.
    pub(super) call: Call,
    /// The scopes of which one is needed; [`Scope::Admin`] stands for each.
    pub(super) any_of: &'static [Scope],
    /// Whether a key may call it while the server cannot read whether keys were revoked: it reads, or goes back.
    pub(super) with_old_keys: bool,
}

const fn read(path: &'static str, call: Call) -> Endpoint {
    Endpoint { method: Method::GET, path, call, any_of: &[Scope::Read], with_old_keys: true }
}

/// An endpoint that shows documents and jobs: whoever uploads follows the job.
const fn follow(path: &'static str, call: Call) -> Endpoint {
    Endpoint {
        method: Method::GET,
        path,
        call,
        any_of: &[Scope::Read, Scope::Knowledge],
        with_old_keys: true,
    }
}

const fn operate(path: &'static str, call: Call) -> Endpoint {
    let any_of = &[Scope::Operate];
    Endpoint { method: Method::POST, path, call, any_of, with_old_keys: false }
}

const fn go_back(path: &'static str, call: Call, any_of: &'static [Scope]) -> Endpoint {
    Endpoint { method: Method::POST, path, call, any_of, with_old_keys: true }
}

const fn approve(path: &'static str, call: Call) -> Endpoint {
    let any_of = &[Scope::Approve];
    Endpoint { method: Method::POST, path, call, any_of, with_old_keys: false }
}

const fn inform(method: Method, path: &'static str, call: Call) -> Endpoint {
    Endpoint { method, path, call, any_of: &[Scope::Knowledge], with_old_keys: false }
}

const fn administer(method: Method, path: &'static str, call: Call) -> Endpoint {
    Endpoint { method, path, call, any_of: &[Scope::Admin], with_old_keys: false }
}

/// Every endpoint of the admin API.
///
/// Whoever may start a rollout may end it. To roll back the model is more: it replaces a champion that others promoted.
pub(super) const ENDPOINTS: [Endpoint; 35] = [
    read("/admin/v1/models", Call::Models),
    read("/admin/v1/models/{model}", Call::Model),
    operate("/admin/v1/models/{model}/rollouts", Call::Start),
    go_back("/admin/v1/models/{model}/rollback", Call::RollBackModel, &[Scope::Emergency]),
    read("/admin/v1/rollouts/{id}", Call::Rollout),
    read("/admin/v1/rollouts/{id}/decision", Call::Decision),
    read("/admin/v1/rollouts/{id}/events", Call::Events),
    operate("/admin/v1/rollouts/{id}/pause", Call::Command("pause")),
    operate("/admin/v1/rollouts/{id}/resume", Call::Command("resume")),
    operate("/admin/v1/rollouts/{id}/advance", Call::Command("advance")),
    Endpoint {
        method: Method::PUT,
        path: "/admin/v1/rollouts/{id}/weight",
        call: Call::Weight,
        any_of: &[Scope::Operate],
        with_old_keys: false,
    },
    operate("/admin/v1/rollouts/{id}/promote", Call::Command("promote")),
    go_back(
        "/admin/v1/rollouts/{id}/rollback",
        Call::Command("rollback"),
        &[Scope::Operate, Scope::Emergency],
    ),
    approve("/admin/v1/rollouts/{id}/approve", Call::Command("approve")),
    approve("/admin/v1/rollouts/{id}/reject", Call::Command("reject")),
    approve("/admin/v1/rollouts/{id}/approvals", Call::Approvals),
    operate("/admin/v1/rollouts/{id}/{command}", Call::OtherCommand),
    administer(Method::PUT, "/admin/v1/freeze", Call::Freeze),
    administer(Method::DELETE, "/admin/v1/freeze", Call::Unfreeze),
    Endpoint {
        method: Method::GET,
        path: "/admin/v1/audit",
        call: Call::Audit,
        any_of: &[Scope::Audit],
        with_old_keys: false,
    },
    read("/admin/v1/selftest", Call::SelfTest),
    read("/admin/v1/openapi.json", Call::OpenApi),
    administer(Method::POST, "/admin/v1/reload", Call::Reload),
    Endpoint {
        method: Method::PUT,
        path: "/admin/v1/models/{model}/shadow",
        call: Call::Shadow,
        any_of: &[Scope::Operate],
        with_old_keys: false,
    },
    Endpoint {
        method: Method::POST,
        path: "/admin/v1/plan",
        call: Call::Plan,
        any_of: &[Scope::Read],
        with_old_keys: true,
    },
    // The texts of users, although redacted: for the audit, and for whoever runs the rollout.
    Endpoint {
        method: Method::GET,
        path: "/admin/v1/rollouts/{id}/disagreements",
        call: Call::Disagreements,
        any_of: &[Scope::Audit, Scope::Operate],
        with_old_keys: true,
    },
    read("/metrics", Call::Metrics),
    follow("/admin/v1/knowledge", Call::KnowledgeBases),
    follow("/admin/v1/knowledge/{name}", Call::KnowledgeBase),
    inform(Method::POST, "/admin/v1/knowledge/{name}/documents", Call::Upload),
    inform(Method::DELETE, "/admin/v1/knowledge/{name}/documents/{id}", Call::RemoveDocument),
    follow("/admin/v1/jobs", Call::Jobs),
    follow("/admin/v1/jobs/{id}", Call::Job),
    inform(Method::POST, "/admin/v1/jobs/{id}/cancel", Call::JobCommand(JobCommand::Cancel)),
    inform(Method::POST, "/admin/v1/jobs/{id}/retry", Call::JobCommand(JobCommand::Retry)),
];

/// Who a request is from, as the login found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// The identity and its scopes.
    pub(super) who: Authenticated,
    /// Whether it is known by a key, and the server has not been able to read for long whether that was revoked.
    pub(super) by_old_key: bool,
}

impl Endpoint {
    /// Checks that `caller` may call this endpoint.
    ///
    /// # Errors
    /// `BOT-1046` (exit 6) a scope is missing; `BOT-1047` (exit 7) the key may have been revoked meanwhile.
    pub(super) fn check(&self, caller: &Caller) -> Result<(), Fault> {
        let Authenticated { identity, scopes } = &caller.who;
        if !self.any_of.iter().any(|scope| scope.is_in(scopes)) {
            let names = |scopes: &mut dyn Iterator<Item = &Scope>| {
                scopes.map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(" or ")
            };
            let needed = names(&mut self.any_of.iter());
            let name = botops_text::display(&identity.name, 80);
            let held = match scopes.len() {
                0 => "it has none".to_owned(),
                _ => format!("it has {}", names(&mut scopes.iter()).replace(" or ", ", ")),
            };
            let message = format!("`{name}` needs the scope {needed} for this request");
            return Err(Fault::policy("BOT-1046", message)
                .hint(format!("{held}; an administrator can make a key with other scopes")));
        }
        if caller.by_old_key && !self.with_old_keys {
            let message = "the server has not been able to read for minutes whether keys were revoked, so a key may only read and roll back";
            return Err(Fault::unreachable("BOT-1047", message).hint(
                "repair the store of the registry, or use the shared token or the admin socket",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_access::{Identity, IdentityKind, Role};
    use std::collections::BTreeSet;

    fn caller(scopes: &[Scope]) -> Caller {
        let identity = Identity::new(IdentityKind::Key, "ada");
        let scopes = scopes.iter().copied().collect();
        Caller { who: Authenticated { identity, scopes }, by_old_key: false }
    }

    #[test]
    fn every_endpoint_needs_a_scope_and_is_listed_once() {
        let mut seen = BTreeSet::new();
        for endpoint in &ENDPOINTS {
            assert!(!endpoint.any_of.is_empty(), "{}", endpoint.path);
            assert!(seen.insert((endpoint.method.to_string(), endpoint.path)), "{}", endpoint.path);
            endpoint.check(&caller(&[])).unwrap_err();
            endpoint.check(&caller(&[Scope::Admin])).unwrap();
            let of_readers: [&[Scope]; 4] = [
                &[Scope::Read],
                &[Scope::Read, Scope::Knowledge],
                &[Scope::Audit],
                &[Scope::Audit, Scope::Operate],
            ];
            let reads = of_readers.contains(&endpoint.any_of);
            assert_eq!(
                endpoint.method == Method::GET || endpoint.call == Call::Plan,
                reads,
                "{}",
                endpoint.path
            );
        }
    }

    #[test]
    fn a_refusal_names_the_identity_and_the_scope() {
        let of = |call: Call| ENDPOINTS.into_iter().find(|endpoint| endpoint.call == call).unwrap();
        let fault = of(Call::Start).check(&caller(&[Scope::Read, Scope::Approve])).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1046", 6));
        assert_eq!(fault.message(), "`ada` needs the scope `operate` for this request");
        assert!(fault.hints()[0].starts_with("it has `read`, `approve`;"), "{fault}");
        let abort = of(Call::Command("rollback"));
        let fault = abort.check(&caller(&[Scope::Read])).unwrap_err();
        assert!(fault.message().contains("`operate` or `emergency`"), "{fault}");
        abort.check(&caller(&[Scope::Emergency])).unwrap();
        of(Call::RollBackModel).check(&caller(&[Scope::Operate])).unwrap_err();
    }

    #[test]
    fn an_operator_can_do_all_that_belongs_to_a_rollout_and_rollback_needs_no_fresh_keys() {
        let scopes: Vec<Scope> = Role::Operator.scopes().into_iter().collect();
        for endpoint in &ENDPOINTS {
            // To read the audit trail, to approve, to freeze and to change documents are not the rights of whoever runs a rollout.
            if endpoint.any_of == [Scope::Audit]
                || endpoint.any_of == [Scope::Approve]
                || endpoint.any_of == [Scope::Knowledge]
                || endpoint.any_of == [Scope::Admin]
            {
                assert_eq!(endpoint.check(&caller(&scopes)).unwrap_err().code(), "BOT-1046");
                continue;
            }
            endpoint.check(&caller(&scopes)).unwrap();
            let old = Caller { by_old_key: true, ..caller(&scopes) };
            let is_safe = endpoint.method == Method::GET
                || endpoint.call == Call::Plan
                || endpoint.path.ends_with("/rollback");
            assert_eq!(endpoint.check(&old).is_ok(), is_safe, "{}", endpoint.path);
        }
    }
}
