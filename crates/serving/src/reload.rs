//! A running server reads its settings again: every check comes before the first change.

use crate::{
    AccessSettings, Configuration, Reloaded, Reread, ServerSettings, admin_socket,
    app::App,
    login::{AdminToken, Logins, SharedLogins},
    webhooks::{self, Webhooks},
};
use botops_access::{Identity, Issuers};
use botops_findings::{Fault, Result};
use botops_workspace::Secret;
use std::sync::{Arc, OnceLock};
use tokio::sync::Mutex;

/// The way into the admin API that is open.
pub(super) struct Admission {
    /// The credentials that it accepts.
    pub(super) logins: Arc<SharedLogins>,
    /// Whether it has an address; if not, it has a socket only.
    pub(super) has_address: bool,
}

/// The parts of a server that can change while it runs.
pub(super) struct Reloading {
    app: Arc<App>,
    /// The settings in force. Held while they change.
    in_force: Mutex<ServerSettings>,
    configuration: OnceLock<Arc<dyn Configuration>>,
    admission: OnceLock<Admission>,
    webhooks: OnceLock<Arc<Webhooks>>,
}

/// The checked parts of settings, ready to take effect.
struct Checked {
    logins: Option<Logins>,
    receivers: Vec<webhooks::Receiver>,
}

impl Reloading {
    /// Makes the parts of a server that was started with `settings`.
    pub(super) fn new(app: Arc<App>, settings: ServerSettings) -> Self {
        Self {
            app,
            in_force: Mutex::new(settings),
            configuration: OnceLock::new(),
            admission: OnceLock::new(),
            webhooks: OnceLock::new(),
        }
    }

    /// Sets the source of the settings, once.
    pub(super) fn read_from(&self, configuration: Arc<dyn Configuration>) {
        let _ = self.configuration.set(configuration);
    }

    /// Sets the way into the admin API, once.
    pub(super) fn admit_by(&self, admission: Admission) {
        let _ = self.admission.set(admission);
    }

    /// Sets the webhooks, once.
    pub(super) fn send_by(&self, webhooks: Arc<Webhooks>) {
        let _ = self.webhooks.set(webhooks);
    }

    /// Reads the settings again, and applies those that can change while the server runs; `by` is the author. A dry run
    /// checks only.
    ///
    /// # Errors
    /// `BOT-6088` (exit 5) the server was started without a source of settings; those of the checks of a start; those of the
    /// store if the policy cannot be recorded. After an error nothing has changed.
    pub(super) async fn reload(
        &self,
        (by, reason): (&Identity, &str),
        dry_run: bool,
    ) -> Result<Reloaded> {
        let configuration = self.configuration.get().ok_or_else(|| {
            Fault::conflict("BOT-6088", "this server was started without a file of settings")
                .hint("restart it with other settings")
        })?;
        let mut in_force = self.in_force.lock().await;
        let reader = Arc::clone(configuration);
        let read = tokio::task::spawn_blocking(move || reader.read()).await;
        let Reread { settings: wanted, restart } = read.map_err(|_| {
            Fault::internal("BOT-6018", "the settings could not be read: reading panicked")
        })??;
        let checked = self.check(&in_force, &wanted)?;
        let mut told = self.differences(&in_force, &wanted);
        told.restart.extend(restart);
        told.dry_run = dry_run;
        // The store may refuse it, so it comes before everything that cannot fail.
        if configuration.apply_policy(by, reason, dry_run).await? {
            told.changed.push("policy".to_owned());
        }
        if !dry_run {
            self.apply(&in_force.access, &wanted, checked)?;
            // What needs a restart is reported again at the next reload.
            in_force.access.issuers.clone_from(&wanted.access.issuers);
            in_force.access.socket_users.clone_from(&wanted.access.socket_users);
            in_force.webhooks = wanted.webhooks;
        }
        drop(in_force);
        if !dry_run {
            self.log(by, &told);
        }
        Ok(told)
    }

    /// Checks what a start would check.
    fn check(&self, now: &ServerSettings, wanted: &ServerSettings) -> Result<Checked> {
        wanted.admin_token.as_ref().map(AdminToken::new).transpose()?;
        let receivers = webhooks::check(&wanted.webhooks)?;
        let access = &wanted.access;
        let issuers = Issuers::new("server.admin_oidc", access.issuers.clone(), &access.root)?;
        let Some(Admission { logins, .. }) = self.admission.get() else {
            return Ok(Checked { logins: None, receivers });
        };
        let before = logins.get();
        let issuers = match now.access.issuers == access.issuers {
            // They know the keys that they have read.
            true => before.issuers.clone(),
            false => (!issuers.is_empty()).then(|| Arc::new(issuers)),
        };
        let users = before.users.as_ref().map(|users| users.with(access.socket_users.clone()));
        let (keys, clock) = (before.keys.clone(), Arc::clone(&before.clock));
        // Another token needs a restart, because more than one listener knows it.
        let token = before.token.clone();
        let logins = Some(Logins { token, keys, issuers, users, clock });
        Ok(Checked { logins, receivers })
    }

    /// Returns the names of the settings that differ.
    fn differences(&self, now: &ServerSettings, wanted: &ServerSettings) -> Reloaded {
        let mut told = Reloaded::default();
        let admission = self.admission.get();
        let has_address = admission.is_some_and(|admission| admission.has_address);
        let has_socket = admission.is_some_and(|admission| admission.logins.get().users.is_some());
        let secret = |secret: &Option<Secret>| secret.as_ref().map(|it| it.expose().to_owned());
        let (old, new) = (&now.access, &wanted.access);
        let webhooks = |settings: &ServerSettings| webhooks::check(&settings.webhooks).ok();
        let compared = [
            ("server.admin_token", secret(&now.admin_token) != secret(&wanted.admin_token), false),
            ("server.admin_oidc", old.issuers != new.issuers, has_address),
            ("server.admin_socket_users", old.socket_users != new.socket_users, has_socket),
            ("server.webhooks", webhooks(now) != webhooks(wanted), true),
            ("access", old.clients != new.clients, false),
            ("environment", now.environment != wanted.environment, false),
            (
                "secrets.token_key",
                secret(&now.replication.token_key) != secret(&wanted.replication.token_key),
                false,
            ),
            (
                "secrets.identity_key",
                secret(&now.replication.identity_key) != secret(&wanted.replication.identity_key),
                false,
            ),
        ];
        for (name, differs, can_change) in compared {
            if differs {
                let list = if can_change { &mut told.changed } else { &mut told.restart };
                list.push(name.to_owned());
            }
        }
        told
    }

    /// Applies what was checked.
    ///
    /// # Errors
    /// `BOT-1059` (exit 1) the mode of the socket cannot be changed, `BOT-1018` (exit 1) there can be no HTTP client: nothing
    /// of this has changed then.
    fn apply(
        &self,
        before: &AccessSettings,
        wanted: &ServerSettings,
        Checked { logins, receivers }: Checked,
    ) -> Result<()> {
        if let Some(logins) = &logins
            && logins.users.is_some()
            && let Some(path) = &before.socket
        {
            admin_socket::set_mode(path, !wanted.access.socket_users.is_empty())?;
        }
        if let Some(webhooks) = self.webhooks.get() {
            webhooks.replace(receivers)?;
        }
        if let (Some(admission), Some(logins)) = (self.admission.get(), logins) {
            if let Some(issuers) = logins.issuers.clone() {
                tokio::spawn(read_issuers(Arc::clone(&self.app), issuers));
            }
            admission.logins.set(logins);
        }
        Ok(())
    }

    fn log(&self, by: &Identity, told: &Reloaded) {
        let changed = match told.changed.as_slice() {
            [] => "nothing changed".to_owned(),
            changed => format!("changed: {}", changed.join(", ")),
        };
        let restart = match told.restart.as_slice() {
            [] => String::new(),
            restart => format!("; after a restart: {}", restart.join(", ")),
        };
        let message =
            format!("the settings were read again for {}: {changed}{restart}", by.label());
        self.app.log.event(self.app.clock.now(), "info", "reload", message);
    }
}

/// Reads the keys of the issuers, so that the first login need not wait, and reports wrong settings early.
pub(super) async fn read_issuers(app: Arc<App>, issuers: Arc<Issuers>) {
    for problem in issuers.warm(std::time::Instant::now()).await {
        app.log.event(app.clock.now(), "warn", "oidc", problem);
    }
}
