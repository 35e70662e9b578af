//! Who a command on bare storage says it is. Nothing proves it: whoever can write to the bucket can claim any name.

use botops_access::{Identity, IdentityKind};
use std::collections::BTreeMap;

/// Returns the job of GitHub Actions or GitLab CI that `variables` describe, or else `user@host`.
///
/// An `actor` that the user named becomes the person on whose behalf it acts; in CI, without one, the person who started the
/// job does.
pub(crate) fn claimed(
    variables: &BTreeMap<String, String>,
    host: Option<&str>,
    actor: Option<&str>,
) -> Identity {
    let of = |name: &str| variables.get(name).map(|v| v.trim()).filter(|value| !value.is_empty());
    let (name, person) = if let Some(workflow) = of("GITHUB_WORKFLOW_REF") {
        // The claim `workflow_ref` of the job's OIDC token has this value.
        (format!("github:{workflow}"), of("GITHUB_ACTOR"))
    } else if let (Some(project), true) = (of("CI_PROJECT_PATH"), of("GITLAB_CI").is_some()) {
        // The claim `sub` of the job's OIDC token begins like this.
        let reference = of("CI_COMMIT_REF_NAME").unwrap_or("?");
        (format!("gitlab:project_path:{project}:ref:{reference}"), of("GITLAB_USER_LOGIN"))
    } else {
        let user = of("USER").or_else(|| of("LOGNAME")).or_else(|| of("USERNAME"));
        let host = host.map(str::trim).filter(|host| !host.is_empty());
        (format!("{}@{}", user.unwrap_or("unknown"), host.unwrap_or("unknown")), None)
    };
    let person = actor.or(person).map(str::to_owned);
    Identity::new(IdentityKind::Claimed, name).on_behalf_of(person)
}

/// Returns the name of this machine, if it is known.
pub(crate) fn host(variables: &BTreeMap<String, String>) -> Option<String> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    kernel.or_else(|| variables.get("HOSTNAME").or_else(|| variables.get("COMPUTERNAME")).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)], actor: Option<&str>) -> String {
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let identity = claimed(&variables.collect(), Some("laptop\n"), actor);
        assert_eq!(identity.kind, IdentityKind::Claimed);
        identity.label()
    }

    #[test]
    fn a_person_is_user_and_host_and_a_job_is_its_workflow() {
        assert_eq!(of(&[("USER", "ada")], None), "ada@laptop");
        assert_eq!(of(&[("USER", "ada")], Some("release")), "ada@laptop on behalf of release");
        assert_eq!(of(&[("USER", " ")], None), "unknown@laptop");
        let github = [
            ("USER", "runner"),
            ("GITHUB_WORKFLOW_REF", "acme/bot/.github/workflows/weekly.yaml@refs/heads/main"),
            ("GITHUB_ACTOR", "ada"),
        ];
        assert_eq!(
            of(&github, None),
            "github:acme/bot/.github/workflows/weekly.yaml@refs/heads/main on behalf of ada"
        );
        let gitlab = [
            ("GITLAB_CI", "true"),
            ("CI_PROJECT_PATH", "acme/bot"),
            ("CI_COMMIT_REF_NAME", "main"),
            ("GITLAB_USER_LOGIN", "ada"),
        ];
        assert_eq!(of(&gitlab, None), "gitlab:project_path:acme/bot:ref:main on behalf of ada");
        assert_eq!(
            of(&gitlab, Some("bob")),
            "gitlab:project_path:acme/bot:ref:main on behalf of bob"
        );
    }
}
