//! Who may call the two APIs of a server, by the settings of its workspace.

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
    let issuer = |spec: &OidcSpec| {
        Ok(IssuerSpec {
            issuer: spec.issuer.clone(),
            audience: spec.audience.clone(),
            keys: IssuerKeys::Jwks(spec.jwks.clone()),
            algorithms: Vec::new(),
            leeway: IssuerSpec::LEEWAY,
            grants: Grants::Roles {
                claim: spec.claim.clone(),
                roles: roles("server.admin_oidc", &spec.roles)?,
            },
        })
    };
    let issuers = workspace.admin_oidc.value.iter().map(issuer).collect::<Result<_>>()?;
    let of_settings = workspace.admin_socket.value.as_ref().map(PathBuf::from);
    Ok(AccessSettings {
        issuers,
        root: workspace.root.clone(),
        socket: socket.map(Path::to_owned).or(of_settings),
        socket_users: roles("server.admin_socket_users", &workspace.admin_socket_users.value)?,
        clients: clients(workspace)?,
    })
}

/// Returns who may call the public API.
fn clients(workspace: &Workspace) -> Result<ClientAccess> {
    match &workspace.access.value {
        PublicAccess::Undecided => Ok(ClientAccess::Undecided),
        PublicAccess::Open => Ok(ClientAccess::Open),
        PublicAccess::Restricted { keys, jwt } => {
            let issuers = jwt.iter().enumerate();
            let issuers = issuers.map(|(i, (spec, secret))| {
                issuer(spec, secret).map_err(|fault| within(&format!("access.jwt[{i}]"), &fault))
            });
            Ok(ClientAccess::Restricted { keys: *keys, issuers: issuers.collect::<Result<_>>()? })
        }
    }
}

/// Reads an issuer of tokens of clients.
fn issuer(spec: &JwtSpec, secret: &SecretSource) -> Result<IssuerSpec> {
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

/// Returns `fault` with the key of the settings at which it is. One with a place has it already.
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
