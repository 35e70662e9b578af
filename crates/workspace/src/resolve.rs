//! The value of each setting, by the precedence flag > environment > profile > file > default.

use crate::{
    access::{AccessSpec, JwtSpec, PublicAccess, RestrictedSpec},
    actions::{Actions, ActionsSpec},
    origin::Origin,
    places::Places,
    secret::{Secret, SecretSource},
    settings::{
        DEFAULT_ENVIRONMENT, DEFAULT_RETENTION, FILE_NAME, Overrides, Setting, Webhook, Workspace,
    },
    spec::{NEWEST, ProfileSpec, ServerSpec, WebhookSpec, WorkspaceSpec},
};
use botops_findings::{Fault, Place, Result};
use botops_spec::{self as spec, Outline};
use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

mod channels;
mod conversations;
mod knowledge;
mod limits;
mod monitoring;
mod predictions;
mod telemetry;

impl Workspace {
    /// Finds `botops.yaml` in `start` or a folder above it, and resolves every setting.
    ///
    /// A relative `registry` or `experiments` starts at the folder of `botops.yaml` if it is from the file or a default,
    /// and at `start` if it is from a flag or the environment, as in a shell. URLs are unchanged. Empty environment
    /// variables count as not set.
    ///
    /// # Errors
    /// As [`botops_spec::read`]; `BOT-1015` (exit 6) for a newer version of the file; `BOT-1020` for an undeclared
    /// profile, with the nearest one; `BOT-1021` for a secret in the file instead of a reference; `BOT-1022` for a server
    /// address that is not an `http://` or `https://` URL.
    pub fn discover(start: &Path, overrides: &Overrides) -> Result<Self> {
        discover(start, start, overrides)
    }

    /// As [`Self::discover`], but of the workspace that the file at `path` belongs to: `botops.yaml` is searched in its
    /// folder and above, and only without one there, in `start` and above.
    ///
    /// # Errors
    /// As [`Self::discover`].
    pub fn discover_of_file(path: &Path, start: &Path, overrides: &Overrides) -> Result<Self> {
        let folder = absolute(&start.join(path));
        let folder = folder.parent().unwrap_or(&folder);
        match file_at_or_above(folder) {
            Some(_) => discover(folder, start, overrides),
            None => discover(start, start, overrides),
        }
    }
}

/// Returns the `botops.yaml` in `folder` or the nearest folder above it.
fn file_at_or_above(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file())
}

/// Searches `botops.yaml` from `folder`; paths of flags and of the environment start at `start`.
fn discover(folder: &Path, start: &Path, overrides: &Overrides) -> Result<Workspace> {
    let start = absolute(start);
    let file = file_at_or_above(&absolute(folder));
    let root = file.as_deref().and_then(Path::parent).unwrap_or(&start).to_path_buf();
    let (written, outline) = match &file {
        Some(path) => {
            let yaml = spec::text(path)?;
            // The path relative to the start folder, or the full path if the file is above it.
            let shown = shown(path, &start);
            spec::check_version(&yaml, &shown, NEWEST)?;
            (spec::parse::<WorkspaceSpec>(&yaml, &shown)?, Outline::of(&yaml))
        }
        None => (WorkspaceSpec::default(), Outline::of("")),
    };
    let sources = Sources {
        places: Places::new(
            file.as_deref().map_or_else(|| FILE_NAME.to_owned(), |path| shown(path, &start)),
            outline,
        ),
        profile: profile(&written, file.is_some(), overrides)?,
        start,
        root,
        file: written,
        overrides,
    };
    sources.workspace()
}

/// The sources of settings.
pub(super) struct Sources<'a> {
    start: PathBuf,
    pub(super) root: PathBuf,
    places: Places,
    pub(super) file: WorkspaceSpec,
    pub(super) profile: Option<(String, ProfileSpec)>,
    overrides: &'a Overrides,
}

impl Sources<'_> {
    fn workspace(self) -> Result<Workspace> {
        Ok(Workspace {
            places: self.places.clone(),
            model: self.optional(
                "model",
                &["BOTOPS_MODEL"],
                |profile| profile.model.as_ref(),
                |file| file.model.as_ref(),
            ),
            registry: self.location(
                "registry",
                "BOTOPS_REGISTRY",
                |profile| profile.registry.as_ref(),
                |file| file.registry.as_ref(),
            ),
            experiments: self.location(
                "experiments",
                "BOTOPS_EXPERIMENTS",
                |profile| profile.experiments.as_ref(),
                |file| file.experiments.as_ref(),
            ),
            environment: self.environment_in_force(),
            policy: self.policy(),
            admin_url: self
                .url("server.admin_url", "BOTOPS_ADMIN_URL", |s| s.admin_url.as_ref())?,
            server_url: self.url("server.url", "BOTOPS_SERVER_URL", |s| s.url.as_ref())?,
            admin_token: self.secret(
                "server.admin_token",
                "BOTOPS_ADMIN_TOKEN",
                |profile| profile.server.admin_token.as_ref(),
                |file| file.server.admin_token.as_ref(),
            )?,
            client_key: self.secret(
                "server.client_key",
                "BOTOPS_CLIENT_KEY",
                |profile| profile.server.client_key.as_ref(),
                |file| file.server.client_key.as_ref(),
            )?,
            identity_key: self.secret(
                "secrets.identity_key",
                "BOTOPS_IDENTITY_KEY",
                |profile| profile.secrets.identity_key.as_ref(),
                |file| file.secrets.identity_key.as_ref(),
            )?,
            token_key: self.secret(
                "secrets.token_key",
                "BOTOPS_TOKEN_KEY",
                |profile| profile.secrets.token_key.as_ref(),
                |file| file.secrets.token_key.as_ref(),
            )?,
            admin_oidc: self.of_server(
                "server.admin_oidc",
                |server| &server.admin_oidc,
                Vec::is_empty,
            ),
            admin_socket: self.socket(),
            admin_socket_users: self.of_server(
                "server.admin_socket_users",
                |server| &server.admin_socket_users,
                BTreeMap::is_empty,
            ),
            webhooks: self.webhooks()?,
            limits: self.limits()?,
            tls: self.tls("server.tls", |server| server.tls.as_ref())?,
            admin_tls: self.tls("server.admin_tls", |server| server.admin_tls.as_ref())?,
            open_metrics: self.open_metrics()?,
            old_identity_key: self.secret(
                "secrets.old_identity_key",
                "BOTOPS_OLD_IDENTITY_KEY",
                |profile| profile.secrets.old_identity_key.as_ref(),
                |file| file.secrets.old_identity_key.as_ref(),
            )?,
            data_key: self.secret(
                "secrets.data_key",
                "BOTOPS_DATA_KEY",
                |profile| profile.secrets.data_key.as_ref(),
                |file| file.secrets.data_key.as_ref(),
            )?,
            conversations_store: self.conversations_store()?,
            conversations_retention: self
                .of_conversations("retention", DEFAULT_RETENTION, |it| it.retention.as_ref()),
            on_store_failure: self
                .of_conversations("on_store_failure", "refuse", |it| it.on_store_failure.as_ref()),
            actor: self.actor(),
            access: self.access()?,
            request_limits: self.request_limits()?,
            trusted_proxies: self.of_server(
                "server.trusted_proxies",
                |server| &server.trusted_proxies,
                Vec::is_empty,
            ),
            allowed_hosts: self.of_server(
                "server.allowed_hosts",
                |server| &server.allowed_hosts,
                Vec::is_empty,
            ),
            cors_origins: self.of_server(
                "server.cors.origins",
                |server| &server.cors.origins,
                Vec::is_empty,
            ),
            chat_page: self.chat_page(),
            actions: self.actions()?,
            predictions_log: self.of_predictions("log", "on", |it| it.log.as_ref()),
            predictions_text: self.of_predictions("text", "redacted", |it| it.text.as_ref()),
            predictions_retention: self
                .of_predictions("retention", "90d", |it| it.retention.as_ref()),
            predictions_folder: self.predictions_folder(),
            monitoring: self.monitoring()?,
            knowledge: self.knowledge()?,
            channels: self.channels()?,
            traces: self.traces()?,
            log: self.log(),
            root: self.root,
        })
    }

    fn flag(&self, key: &str) -> Option<Setting<String>> {
        let (name, value) = self.overrides.flags.iter().rfind(|(name, _)| *name == key)?;
        let name = format!("--{}", name.rsplit('.').next().unwrap_or(name).replace('_', "-"));
        Some(Setting { value: value.clone(), origin: Origin::Flag(name) })
    }

    fn environment(&self, names: &[&str]) -> Option<Setting<String>> {
        names.iter().find_map(|name| {
            let value = self.overrides.environment.get(*name).filter(|v| !v.trim().is_empty())?;
            Some(Setting { value: value.clone(), origin: Origin::Environment((*name).to_owned()) })
        })
    }

    fn written(
        &self,
        key: &str,
        of_profile: impl Fn(&ProfileSpec) -> Option<&String>,
        of_file: impl Fn(&WorkspaceSpec) -> Option<&String>,
    ) -> Option<Setting<String>> {
        if let Some((name, profile)) = &self.profile
            && let Some(value) = of_profile(profile)
        {
            return Some(Setting { value: value.clone(), origin: Origin::Profile(name.clone()) });
        }
        let value = of_file(&self.file)?.clone();
        Some(Setting { value, origin: Origin::File(self.at_line(key)) })
    }

    /// Returns the file with the line of `key`, such as `botops.yaml:3`.
    pub(super) fn at_line(&self, key: &str) -> String {
        self.places.at_line(key)
    }

    pub(super) fn place(&self, key: &str, origin: &Origin) -> Place {
        self.places.place(key, origin)
    }

    fn optional(
        &self,
        key: &str,
        variables: &[&str],
        of_profile: impl Fn(&ProfileSpec) -> Option<&String>,
        of_file: impl Fn(&WorkspaceSpec) -> Option<&String>,
    ) -> Setting<Option<String>> {
        self.flag(key)
            .or_else(|| self.environment(variables))
            .or_else(|| self.written(key, of_profile, of_file))
            .map_or(Setting { value: None, origin: Origin::Default }, |setting| Setting {
                value: Some(setting.value),
                origin: setting.origin,
            })
    }

    fn location(
        &self,
        key: &str,
        variable: &str,
        of_profile: impl Fn(&ProfileSpec) -> Option<&String>,
        of_file: impl Fn(&WorkspaceSpec) -> Option<&String>,
    ) -> Setting<String> {
        let setting = self.optional(key, &[variable], of_profile, of_file);
        let base = match setting.origin {
            Origin::Flag(_) | Origin::Environment(_) => &self.start,
            Origin::Default | Origin::File(_) | Origin::Profile(_) => &self.root,
        };
        let value = setting.value.unwrap_or_else(|| key.to_owned());
        // What begins like a URL is left to the store, which refuses a mistyped one such as `s3:/bucket`.
        let value = if botops_text::url_scheme(&value).is_some() {
            value
        } else {
            tidy(&base.join(value)).display().to_string()
        };
        Setting { value, origin: setting.origin }
    }

    fn url(
        &self,
        key: &str,
        variable: &str,
        of_server: impl Fn(&ServerSpec) -> Option<&String>,
    ) -> Result<Setting<Option<String>>> {
        let setting = self.optional(
            key,
            &[variable],
            |profile| of_server(&profile.server),
            |file| of_server(&file.server),
        );
        if let Some(value) = &setting.value {
            let fault = |why: &str| {
                Fault::usage("BOT-1022", format!("`{key}` {why}"))
                    .at(self.place(key, &setting.origin))
                    .hint("write it as `http://127.0.0.1:8081` or `https://bots.example.com`")
            };
            // A value with an `@` may contain a password.
            let shown = match value.contains('@') {
                true => "[redacted]".to_owned(),
                false => botops_text::display(value, 80),
            };
            if let ("server.admin_url", Some(path)) = (key, value.strip_prefix("unix://")) {
                // The admin socket of a server on this machine.
                return match path.starts_with('/') {
                    true => Ok(setting),
                    false => Err(fault(
                        "is not the absolute path of a socket, such as `unix:///run/botops/admin.sock`",
                    )),
                };
            }
            let url = url::Url::parse(value)
                .map_err(|error| fault(&format!("is not a URL: `{shown}` ({error})")))?;
            if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
                return Err(fault(&format!("is not an `http://` or `https://` URL: `{shown}`")));
            }
            // The message does not contain the value, which contains a user or password.
            if !url.username().is_empty() || url.password().is_some() {
                return Err(fault("must not contain a user or a password")
                    .hint("give the token as `server.admin_token: ${env:BOTOPS_ADMIN_TOKEN}`"));
            }
        }
        Ok(setting)
    }

    fn secret(
        &self,
        key: &str,
        name: &str,
        of_profile: impl Fn(&ProfileSpec) -> Option<&String>,
        of_file: impl Fn(&WorkspaceSpec) -> Option<&String>,
    ) -> Result<Setting<SecretSource>> {
        // A secret of blanks is a mistake, and not an unset variable: the server refuses it instead of doing without.
        if let Some(value) = self.overrides.environment.get(name).filter(|v| !v.is_empty()) {
            let value = SecretSource::given(Secret::new(value.clone()));
            return Ok(Setting { value, origin: Origin::Environment(name.to_owned()) });
        }
        let written = self.written(key, of_profile, of_file);
        let Some(Setting { value, origin }) = written else {
            return Ok(Setting { value: SecretSource::default(), origin: Origin::Default });
        };
        let place = self.place(key, &origin);
        let (root, environment) = (&self.root, &self.overrides.environment);
        let value = SecretSource::parse(&value, root, environment, place)?;
        Ok(Setting { value, origin })
    }

    /// Returns the list or map of the profile, or else that of the file.
    fn of_server<T: Clone>(
        &self,
        key: &str,
        of: impl Fn(&ServerSpec) -> &T,
        is_empty: impl Fn(&T) -> bool,
    ) -> Setting<T> {
        if let Some((name, profile)) = &self.profile
            && !is_empty(of(&profile.server))
        {
            let value = of(&profile.server).clone();
            return Setting { value, origin: Origin::Profile(name.clone()) };
        }
        let value = of(&self.file.server).clone();
        let origin = match is_empty(&value) {
            true => Origin::Default,
            false => Origin::File(self.at_line(key)),
        };
        Setting { value, origin }
    }

    /// Returns the calls that dialogues may ask for, with the references of their secrets read and not resolved.
    ///
    /// # Errors
    /// `BOT-1021` (exit 2) a secret is written out and not a reference.
    fn actions(&self) -> Result<Setting<Actions>> {
        let key = "server.actions";
        let is_empty = |spec: &ActionsSpec| *spec == ActionsSpec::default();
        let Setting { value, origin } = self.of_server(key, |server| &server.actions, is_empty);
        let written = [("secret", &value.secret), ("second_secret", &value.second_secret)];
        let secrets = written.into_iter().filter_map(|(name, reference)| {
            let place = self.place(&format!("{key}.{name}"), &origin);
            let reference = reference.as_deref()?;
            let environment = &self.overrides.environment;
            Some(SecretSource::parse(reference, &self.root, environment, place))
        });
        let secrets = secrets.collect::<Result<_>>()?;
        let ActionsSpec { allow, allow_private, .. } = value;
        Ok(Setting { value: Actions { allow, allow_private, secrets }, origin })
    }

    /// Returns the receivers of webhooks, with the references of their secrets read and not resolved.
    ///
    /// # Errors
    /// `BOT-1021` (exit 2) a secret is written out instead of a reference.
    fn webhooks(&self) -> Result<Setting<Vec<Webhook>>> {
        let key = "server.webhooks";
        let Setting { value, origin } =
            self.of_server(key, |server| &server.webhooks, Vec::is_empty);
        let secret = |i: usize, name: &str, reference: &str| {
            let place = self.place(&format!("{key}[{i}].{name}"), &origin);
            SecretSource::parse(reference, &self.root, &self.overrides.environment, place)
        };
        let receiver = |(i, spec): (usize, &WebhookSpec)| {
            let mut secrets = vec![secret(i, "secret", &spec.secret)?];
            if let Some(second) = &spec.second_secret {
                secrets.push(secret(i, "second_secret", second)?);
            }
            Ok(Webhook { url: spec.url.clone(), secrets, events: spec.events.clone() })
        };
        let value = value.iter().enumerate().map(receiver).collect::<Result<_>>()?;
        Ok(Setting { value, origin })
    }

    /// Returns who may call the public API.
    ///
    /// # Errors
    /// `BOT-1012` (exit 2) the variable has another value, or an issuer has not exactly one of `jwks` and `secret`;
    /// `BOT-1021` (exit 2) a secret is written out instead of a reference.
    fn access(&self) -> Result<Setting<PublicAccess>> {
        let (spec, origin) = match (self.environment(&["BOTOPS_ACCESS"]), &self.profile) {
            (Some(Setting { value, origin }), _) => {
                let spec = AccessSpec::of_word(value.trim()).ok_or_else(|| {
                    let shown = botops_text::display(&value, 40);
                    Fault::usage("BOT-1012", format!("`BOTOPS_ACCESS` is `{shown}`"))
                        .hint("expected `open` or `keys`; write more to `access` in botops.yaml")
                })?;
                (spec, origin)
            }
            (None, Some((name, ProfileSpec { access: Some(spec), .. }))) => {
                (spec.clone(), Origin::Profile(name.clone()))
            }
            (None, _) => match &self.file.access {
                Some(spec) => (spec.clone(), Origin::File(self.at_line("access"))),
                None => {
                    let value = PublicAccess::Undecided;
                    return Ok(Setting { value, origin: Origin::Default });
                }
            },
        };
        let value = match spec {
            AccessSpec::Open => PublicAccess::Open,
            AccessSpec::Restricted(RestrictedSpec { keys, jwt }) => {
                let jwt = jwt.into_iter().enumerate();
                let jwt = jwt.map(|(i, spec)| self.issuer(i, spec, &origin)).collect::<Result<_>>();
                PublicAccess::Restricted { keys, jwt: jwt? }
            }
        };
        Ok(Setting { value, origin })
    }

    /// Returns the issuer `access.jwt[i]` with the source of its secret.
    fn issuer(&self, i: usize, spec: JwtSpec, origin: &Origin) -> Result<(JwtSpec, SecretSource)> {
        let key = format!("access.jwt[{i}]");
        let secret = match (&spec.jwks, &spec.secret) {
            (Some(_), None) => SecretSource::default(),
            (None, Some(reference)) => {
                let place = self.place(&format!("{key}.secret"), origin);
                SecretSource::parse(reference, &self.root, &self.overrides.environment, place)?
            }
            (both, _) => {
                let message = match both {
                    Some(_) => format!("`{key}` has both `jwks` and `secret`"),
                    None => format!("`{key}` has neither `jwks` nor `secret`"),
                };
                return Err(Fault::usage("BOT-1012", message).at(self.place(&key, origin)).hint(
                    "write `jwks: https://…` for public keys, or `secret: ${env:NAME}` for HS256",
                ));
            }
        };
        Ok((spec, secret))
    }

    /// Returns the policy file. A relative path starts where that of a location does.
    fn policy(&self) -> Setting<Option<PathBuf>> {
        let setting = self.optional(
            "policy",
            &["BOTOPS_POLICY"],
            |profile| profile.policy.as_ref(),
            |file| file.policy.as_ref(),
        );
        let base = match setting.origin {
            Origin::Flag(_) | Origin::Environment(_) => &self.start,
            Origin::Default | Origin::File(_) | Origin::Profile(_) => &self.root,
        };
        let value = setting.value.map(|path| tidy(&base.join(path)));
        Setting { value, origin: setting.origin }
    }

    /// Returns the path of the admin socket, by the rules of [`Self::location`].
    fn socket(&self) -> Setting<Option<String>> {
        let setting = self.optional(
            "server.admin_socket",
            &["BOTOPS_ADMIN_SOCKET"],
            |profile| profile.server.admin_socket.as_ref(),
            |file| file.server.admin_socket.as_ref(),
        );
        let base = match setting.origin {
            Origin::Flag(_) | Origin::Environment(_) => &self.start,
            Origin::Default | Origin::File(_) | Origin::Profile(_) => &self.root,
        };
        let value = setting.value.map(|path| tidy(&base.join(path)).display().to_string());
        Setting { value, origin: setting.origin }
    }

    fn environment_in_force(&self) -> Setting<String> {
        let setting = self.optional(
            "environment",
            &["BOTOPS_ENVIRONMENT"],
            |profile| profile.environment.as_ref(),
            |file| file.environment.as_ref(),
        );
        let value = setting.value.as_deref().unwrap_or(DEFAULT_ENVIRONMENT).trim().to_owned();
        Setting { value, origin: setting.origin }
    }

    fn actor(&self) -> Setting<String> {
        self.flag("actor")
            .or_else(|| self.environment(&["BOTOPS_ACTOR"]))
            .or_else(|| {
                self.written("actor", |profile| profile.actor.as_ref(), |file| file.actor.as_ref())
            })
            .or_else(|| self.environment(&["GITHUB_ACTOR", "USER"]))
            .unwrap_or(Setting { value: "unknown".to_owned(), origin: Origin::Default })
    }
}

/// Returns the selected profile with its name; `None` if no profile is selected.
fn profile(
    file: &WorkspaceSpec,
    found: bool,
    overrides: &Overrides,
) -> Result<Option<(String, ProfileSpec)>> {
    let variable = || overrides.environment.get("BOTOPS_PROFILE");
    let Some(name) = overrides.profile.as_ref().or_else(variable).filter(|name| !name.is_empty())
    else {
        return Ok(None);
    };
    if let Some(profile) = file.profiles.get(name) {
        return Ok(Some((name.clone(), profile.clone())));
    }
    let shown = botops_text::display(name, 60);
    let fault = Fault::usage("BOT-1020", format!("unknown profile `{shown}`"));
    let names = || file.profiles.keys().map(String::as_str);
    Err(if !found {
        fault.hint(format!(
            "profiles are declared in `{FILE_NAME}`, which does not exist in this folder or above it"
        ))
    } else if let Some(near) = spec::nearest(name, names()) {
        fault.hint(format!("did you mean `{near}`?"))
    } else if file.profiles.is_empty() {
        fault.hint(format!("declare it under `profiles:` in `{FILE_NAME}`"))
    } else {
        let names: Vec<String> = names().map(|name| format!("`{name}`")).collect();
        fault.hint(format!("known profiles: {}", names.join(", ")))
    })
}

fn shown(path: &Path, start: &Path) -> String {
    path.strip_prefix(start).unwrap_or(path).display().to_string()
}

fn absolute(path: &Path) -> PathBuf {
    // This fails only for an empty path or if the current folder was deleted.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    tidy(&std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()))
}

/// Removes `.` and resolves `..` by name, without reading the file system.
pub(super) fn tidy(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    out.push("..");
                }
            }
            other => out.push(other),
        }
    }
    out
}
