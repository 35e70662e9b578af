//! Who may call the two APIs of a server, by the settings of its workspace.

use super::placed::placed;
use botops_access::{Grants, IssuerKeys, IssuerSpec, Role, TokenSecret};
use botops_findings::{Fault, Result};
use botops_serving::{AccessSettings, ClientAccess};
use botops_workspace::{JwtSpec, OidcSpec, PublicAccess, SecretSource, Workspace};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Returns who may call the two APIs by the settings of the workspace; `socket` is the flag.
///
/// # Errors
/// `BOT-1049` (exit 2) an issuer or a user has an unknown role, algorithm or leeway; `BOT-1041` (exit 2) an unknown scope;
/// `BOT-1021` (exit 2) a secret cannot be read.
pub(super) fn resolve(workspace: &Workspace, socket: Option<&Path>) -> Result<AccessSettings> {
    let issuers = administrators(workspace)?;
    let of_settings = workspace.admin_socket.value.as_ref().map(PathBuf::from);
    Ok(AccessSettings {
        issuers,
        root: workspace.root.clone(),
        socket: socket.map(Path::to_owned).or(of_settings),
        socket_users: roles_of_socket(workspace)?,
        clients: clients(workspace)?,
    })
}

/// Returns the issuers of the tokens of administrators.
///
/// # Errors
/// `BOT-1049` (exit 2) an unknown role.
pub(super) fn administrators(workspace: &Workspace) -> Result<Vec<IssuerSpec>> {
    let setting = &workspace.admin_oidc;
    let issuer = |(i, spec): (usize, &OidcSpec)| {
        let key = format!("server.admin_oidc[{i}].roles");
        Ok(IssuerSpec {
            issuer: spec.issuer.clone(),
            audience: spec.audience.clone(),
            keys: IssuerKeys::Jwks(spec.jwks.clone()),
            algorithms: Vec::new(),
            leeway: IssuerSpec::LEEWAY,
            grants: Grants::Roles {
                claim: spec.claim.clone(),
                roles: roles(&key, &spec.roles)
                    .map_err(|fault| placed(workspace, &key, setting, fault))?,
            },
        })
    };
    setting.value.iter().enumerate().map(issuer).collect()
}

/// Returns the roles of the users of the admin socket.
///
/// # Errors
/// `BOT-1049` (exit 2) an unknown role; `BOT-1165` (exit 2) an unknown user.
pub(super) fn roles_of_socket(workspace: &Workspace) -> Result<BTreeMap<String, Role>> {
    let (key, setting) = ("server.admin_socket_users", &workspace.admin_socket_users);
    let of_users =
        roles(key, &setting.value).map_err(|fault| placed(workspace, key, setting, fault))?;
    // Without a user, nothing has to be known about this machine.
    let known = match of_users.is_empty() {
        true => String::new(),
        false => std::fs::read_to_string("/etc/passwd").unwrap_or_default(),
    };
    match of_users.keys().find(|user| !is_user(user, &known)) {
        None => Ok(of_users),
        Some(user) => {
            let shown = botops_text::display(user, 60);
            let fault = Fault::usage("BOT-1165", format!("`{key}`: there is no user `{shown}`"))
                .hint("name a user of `/etc/passwd`, or one of a directory service by number, such as `uid:1000`");
            Err(placed(workspace, &format!("{key}.{user}"), setting, fault))
        }
    }
}

/// Returns whether `user` is in `known`, a file in the format of `/etc/passwd`, or has the form `uid:1000`.
fn is_user(user: &str, known: &str) -> bool {
    match user.strip_prefix("uid:") {
        Some(number) => number.parse::<u32>().is_ok(),
        None => !user.is_empty() && known.lines().any(|line| line.split(':').next() == Some(user)),
    }
}

/// Returns who may call the public API.
fn clients(workspace: &Workspace) -> Result<ClientAccess> {
    match &workspace.access.value {
        PublicAccess::Undecided => Ok(ClientAccess::Undecided),
        PublicAccess::Open => Ok(ClientAccess::Open),
        PublicAccess::Restricted { keys, jwt } => {
            let issuers = jwt.iter().enumerate();
            let issuers = issuers.map(|(i, (spec, secret))| issuer(workspace, i, (spec, secret)));
            Ok(ClientAccess::Restricted { keys: *keys, issuers: issuers.collect::<Result<_>>()? })
        }
    }
}

/// Reads the issuer `access.jwt[i]` of tokens of clients.
///
/// # Errors
/// `BOT-1049` (exit 2) an unknown algorithm, or a leeway that is no time; `BOT-1041` (exit 2) an unknown scope; `BOT-1021`
/// (exit 2) the secret cannot be read.
pub(super) fn issuer(
    workspace: &Workspace,
    i: usize,
    (spec, secret): (&JwtSpec, &SecretSource),
) -> Result<IssuerSpec> {
    let key = format!("access.jwt[{i}]");
    read_issuer(spec, secret).map_err(|fault| match fault.place().key {
        Some(_) => fault,
        None => placed(workspace, &key, &workspace.access, within(&key, &fault)),
    })
}

fn read_issuer(spec: &JwtSpec, secret: &SecretSource) -> Result<IssuerSpec> {
    let keys = match (&spec.jwks, secret.resolve()?) {
        (None, Some(secret)) => IssuerKeys::Secret(TokenSecret::new(secret.expose())),
        (jwks, _) => IssuerKeys::Jwks(jwks.clone().unwrap_or_default()),
    };
    let leeway = humantime::parse_duration(&spec.leeway).map_err(|_| {
        let shown = botops_text::display(&spec.leeway, 40);
        Fault::usage("BOT-1049", format!("the leeway `{shown}` is not a time"))
            .hint("write it as `60s`")
    })?;
    let grants = match spec.scopes.as_slice() {
        [] => Grants::Claim(spec.claim.clone()),
        scopes => Grants::Fixed(scopes.iter().map(|it| it.parse()).collect::<Result<_>>()?),
    };
    Ok(IssuerSpec {
        issuer: spec.issuer.clone(),
        audience: spec.audience.clone(),
        keys,
        algorithms: spec.algorithms.iter().map(|it| it.parse()).collect::<Result<_>>()?,
        leeway,
        grants,
    })
}

/// Returns `fault` with the key of the settings at which it is.
fn within(key: &str, fault: &Fault) -> Fault {
    let outer = Fault::usage(fault.code(), format!("`{key}`: {}", fault.message()));
    fault.hints().iter().fold(outer, |outer, hint| outer.hint(hint))
}

/// Reads the names of roles.
fn roles(key: &str, written: &BTreeMap<String, String>) -> Result<BTreeMap<String, Role>> {
    let role = |(value, role): (&String, &String)| {
        let role = role.parse::<Role>().map_err(|fault| {
            let outer = Fault::usage("BOT-1049", format!("`{key}`: {}", fault.message()));
            fault.hints().iter().fold(outer, |outer, hint| outer.hint(hint))
        })?;
        Ok((value.clone(), role))
    };
    written.iter().map(role).collect()
}

#[cfg(test)]
mod tests {
    use super::is_user;

    #[test]
    fn a_user_is_known_by_name_or_number() {
        let known = "root:x:0:0:root:/root:/bin/sh\ndeploy:x:1000:1000::/:/bin/sh\n";
        for user in ["root", "deploy", "uid:0", "uid:70000"] {
            assert!(is_user(user, known), "{user}");
        }
        for user in ["", "dep", "x", "uid:", "uid:-1", "uid:x", "1000"] {
            assert!(!is_user(user, known), "{user}");
        }
    }
}
