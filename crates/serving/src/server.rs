//! The life of a server: it listens, gets ready, answers and drains.

use super::{
    Configuration, ListenerSettings, Reloaded, ServerSettings, Source, TlsSettings,
    admin_listeners::{AdminListeners, Credentials},
    admin_socket::SocketFile,
    app::App,
    canary::{Canary, Journal, Opened, Pace, Parts, RegistryVersions, Versions, load_version},
    channel_turns::{ChannelClock, ChannelTurns},
    clock::WallClock,
    control_threads::ControlThreads,
    deployment_rules::first_broken_rule,
    job_service::JobService,
    kept_turns::erase_old_turns,
    key_ring::KeyRing,
    machine_metrics::measure,
    monitoring, prediction_shipping,
    public_api::routes,
    public_gate::{PublicGate, client_gate, warm},
    request_guard::{RequestGuard, guard_request},
    request_traces, shadow,
};
use crate::{
    reload::Reloading,
    routing::Served,
    webhooks::{self, EventSource, Webhooks},
};
use axum::middleware::from_fn_with_state;
use botops_access::Identity;
use botops_channels::{ChannelContext, ChannelPace, ChannelSet, ChannelSettings};
use botops_connections::{Certificates, Places, address, bind, bound, serve};
use botops_conversations::Names;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_knowledge::store::KnowledgeStore;
use botops_models::IntentModel;
use botops_registry::{Deployed, Registry};
use botops_rollout::Phase;
use botops_store::Store;
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{net::TcpListener, runtime::Handle, sync::watch, task::JoinHandle};

pub(super) use super::new_app::new_app;

/// The longest time a shutdown waits for requests in flight, well within the 30 s that Kubernetes grants.
const DRAIN: Duration = Duration::from_secs(20);
/// The part of it in which messages of channels are answered.
const CHANNEL_DRAIN: Duration = Duration::from_secs(15);

/// The note of a server of a model file with settings of channels.
const NO_CHANNELS: &str = "channels are not served: their messages need the store of a registry, and this server serves a model file; \
     register it with `botops push MODEL`";

/// A running server. Dropping it stops it at once; [`Running::shutdown`] finishes the requests in flight first.
pub struct Running {
    address: SocketAddr,
    is_tls: bool,
    is_admin_tls: bool,
    /// The facts that whoever started it should know.
    notes: Vec<String>,
    /// Those of the listeners with TLS.
    certificates: Vec<Arc<Certificates>>,
    admin_address: Option<SocketAddr>,
    /// The file of the admin socket, removed with this.
    admin_socket: Option<SocketFile>,
    /// Who may call the public API, in words.
    clients: &'static str,
    second: bool,
    stop: tokio::sync::watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    app: Arc<App>,
    /// The threads of the admin API and of rollouts; `None` in a rehearsal.
    control: Option<ControlThreads>,
    /// The settings that can change while it runs; `None` in a rehearsal.
    reloading: Option<Arc<Reloading>>,
}

/// Checks who may call a server with `settings` that serves `source`, as [`start`] does.
///
/// # Errors
/// Those of [`start`] about access.
pub fn check_access(settings: &ServerSettings, source: &Source) -> Result<()> {
    Credentials::check(settings)?;
    client_gate(settings, source, None).map(|_| ())
}

/// Starts a server. Returns when it listens and its model has passed the golden self-test.
///
/// Until then `/health` answers and everything else returns 503. The server resumes a rollout that was
/// under way when the last server of this environment stopped.
///
/// # Errors
/// `BOT-1031` the admin token is too short (exit 2), `BOT-1082` it would listen beyond this machine, and nobody decided who may
/// call it (exit 2), `BOT-1083` nobody could call it (exit 2), `BOT-1049` an issuer cannot be used (exit 2), `BOT-1070` a
/// webhook cannot be used (exit 2), `BOT-1059` the admin socket cannot be made (exit 1), `BOT-6010` the port is in use (exit 1), `BOT-6011` the golden
/// self-test failed (exit 3), those of the registry.
pub async fn start(mut settings: ServerSettings, source: Source) -> Result<Running> {
    let name = match &source {
        Source::File { name, .. } => name.clone(),
        Source::Registry { model, .. } => model.clone(),
    };
    let credentials = Credentials::check(&settings)?;
    let receivers = webhooks::check(&settings.webhooks)?;
    let (tls, admin_tls) = certificates(&settings)?;
    let asked = bound(&mut settings.listeners.limits)?;
    let client_gate = client_gate(&settings, &source, credentials.token_digest())?;
    let store = match &source {
        Source::File { .. } => None,
        Source::Registry { registry, .. } => Some(registry.store().complete().await?.clone()),
    };
    let has_unserved_channels = store.is_none() && !settings.channels.channels.is_empty();
    if has_unserved_channels {
        settings.channels = ChannelSettings::default();
    }
    let app = new_app(&name, &settings, Arc::new(WallClock::start()), shadow::CAPACITY)?;
    let public = bind(settings.listen).await?;
    let control = ControlThreads::start()?;
    let control_handle = control.handle();
    let keys = match &store {
        Some(store) => Some(KeyRing::open(Arc::clone(&app), store, &settings.environment).await?),
        None => None,
    };
    let gate = PublicGate::new(&app, client_gate, keys.clone());
    let mut running =
        listen(Arc::clone(&app), (public, tls.clone()), &settings, Arc::clone(&gate))?;
    running.note_connections(asked, &settings);
    if has_unserved_channels {
        running.notes.push(NO_CHANNELS.to_owned());
    }
    for certificates in [&tls, &admin_tls].into_iter().flatten() {
        running.notes.extend(certificates.show(&*app));
        let follow =
            Arc::clone(certificates).follow(Arc::<App>::clone(&app), running.stop.subscribe());
        running.tasks.push(control_handle.spawn(follow));
        running.certificates.push(Arc::clone(certificates));
    }
    // From here on, a fault drops `running`, which stops the listener.
    let listeners =
        AdminListeners::bind(credentials, (&app, keys.clone()), &settings, &control).await?;
    let admin = listeners.address();
    running.notes.extend(listeners.note().map(str::to_owned));
    running.control = Some(control);
    let canary = match source {
        Source::File { model, digest, name } => {
            let model: Arc<IntentModel> = Arc::from(model);
            app.outgoing.check(model.dialogue())?;
            let files = settings.knowledge.files.clone();
            let served = in_background(move || {
                Served::prepare(model, digest, name, None, None)?.with_knowledge(&files)
            })
            .await?;
            app.slot.set(Arc::new(served), None);
            None
        }
        Source::Registry { registry, model, pinned: Some(pinned) } => {
            let version = registry.resolve(&pinned.parse()?).await?;
            if version.model != model {
                return Err(Fault::usage(
                    "BOT-6036",
                    format!("`{pinned}` is a version of `{}`, not of `{model}`", version.model),
                ));
            }
            app.slot.set(Arc::new(load_version(&registry, version, &app.outgoing).await?), None);
            None
        }
        Source::Registry { registry, model, pinned: None } => {
            Some(follow_champion(&app, registry, (&model, &settings), admin).await?)
        }
    };
    if canary.is_none()
        && let Some(routing) = app.slot.load()
    {
        let digest = routing.primary.digest_text.as_str();
        app.metrics.loaded(&[(botops_rollout::Arm::Primary, digest)]);
    }
    let (old_turns, stop) = (Arc::clone(&app), running.stop.subscribe());
    let times = settings.replication.times;
    running.tasks.push(tokio::spawn(erase_old_turns(old_turns, times, stop)));
    let (logging, stop) = (Arc::clone(&app), running.stop.subscribe());
    running.tasks.push(control_handle.spawn(prediction_shipping::run(logging, stop)));
    let threads = (&control_handle, &running.stop);
    let gauges = (&app.metrics.machine, &app.metrics.backups);
    running.tasks.extend(measure(gauges, &settings.disks, &store, threads).await);
    if let (Some(_), Some(monitoring)) = (&canary, settings.monitoring.clone()) {
        let (app, environment) = (Arc::clone(&app), settings.environment.clone());
        let stop = running.stop.subscribe();
        let watching = monitoring::run(app, monitoring, environment, stop);
        running.tasks.push(control_handle.spawn(watching));
    }
    if let Some(canary) = &canary {
        running.second = canary.is_second();
        let (follower, stop) = (Arc::clone(canary), running.stop.subscribe());
        running.tasks.push(control_handle.spawn(async move { follower.run(stop).await }));
        let (canary, stop) = (Arc::clone(canary), running.stop.subscribe());
        running.tasks.push(control_handle.spawn(async move { canary.keep_fresh(stop).await }));
    }
    if let Some(store) = &store
        && let Some(channels) = start_channels(&app, store, &settings)?
    {
        let (stopped, stop) = (Arc::clone(&channels), running.stop.subscribe());
        running.tasks.push(tokio::spawn(end_channels(stopped, stop)));
        drop(app.channels.set(channels));
    }
    if let (Some(store), Some(indexer)) = (&store, &settings.uploads.indexer) {
        let knowledge = KnowledgeStore::indexed_by(store.clone(), Arc::clone(indexer));
        let service = JobService::new(knowledge, settings.uploads.clone(), times);
        let worker = Arc::clone(&service).run(Arc::clone(&app), running.stop.subscribe());
        // Nobody else sets it.
        drop(app.jobs.set(service));
        running.tasks.push(control_handle.spawn(worker));
    }
    let reloading = Arc::new(Reloading::new(Arc::clone(&app), settings.clone()));
    if let (Some(canary), Some(store)) = (&canary, store) {
        let events = Arc::clone(canary) as Arc<dyn EventSource>;
        let pace = webhooks::Pace::default().times(settings.replication.times);
        let threads = (control_handle.clone(), pace);
        let stop = running.stop.subscribe();
        let webhooks = Arc::new(Webhooks::new(Arc::clone(&app), (events, store), threads, stop));
        webhooks.replace(receivers)?;
        reloading.send_by(Arc::clone(&webhooks));
        running.tasks.push(control_handle.spawn(webhooks.until_stopped()));
    }
    if let Some(keys) = keys {
        running.tasks.push(control_handle.spawn(keys.follow(running.stop.subscribe())));
    }
    request_traces::export(&app, &control_handle);
    control_handle.spawn(warm(gate));
    let stop = running.stop.subscribe();
    let (tasks, socket) =
        listeners.serve((&app, canary, &reloading), (&settings, admin_tls), &control_handle, &stop);
    running.tasks.extend(tasks);
    (running.admin_address, running.admin_socket) = (admin, socket);
    running.reloading = Some(reloading);
    Ok(running)
}

/// Starts the messaging channels of the settings; `None` without any.
///
/// # Errors
/// `BOT-7418` (exit 2) there is no identity key, under which messages are named in the store; those of [`ChannelSet::new`].
fn start_channels(
    app: &Arc<App>,
    store: &Store,
    settings: &ServerSettings,
) -> Result<Option<Arc<ChannelSet>>> {
    if settings.channels.channels.is_empty() {
        return Ok(None);
    }
    let Some(key) = &settings.replication.identity_key else {
        let message =
            "`channels` needs an identity key, under which messages are named in the store";
        return Err(Fault::usage("BOT-7418", message)
            .hint("set `secrets.identity_key` in botops.yaml, or BOTOPS_IDENTITY_KEY, the same for all servers"));
    };
    let kept = settings.conversations.as_ref().map(|it| &it.conversations);
    let context = ChannelContext {
        names: kept
            .map_or_else(|| Names::new(key.expose().as_bytes(), None), |of| of.names().clone()),
        data_keys: kept.and_then(|of| of.data_keys().cloned()),
        store: store.clone(),
        turns: Arc::new(ChannelTurns(Arc::downgrade(app))),
        clock: Arc::new(ChannelClock(Arc::clone(&app.clock))),
        identity_key: key.expose().as_bytes().to_vec(),
        pace: ChannelPace::default().times(settings.replication.times),
    };
    let channels = Arc::new(ChannelSet::new(settings.channels.clone(), &context)?);
    channels.start();
    Ok(Some(channels))
}

/// Ends the channels when the server stops, after the messages that it stored are answered, as long as it drains.
async fn end_channels(channels: Arc<ChannelSet>, mut stop: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
    channels.stop(CHANNEL_DRAIN).await;
}

/// Serves the champion of a model in an environment, and follows its deployment log.
///
/// A damaged log, or a champion that its evidence does not prove, does not keep the server from starting: it serves the
/// last champion that is proven before it, starts and resumes no rollout, and reports the problem.
///
/// # Errors
/// `BOT-1067` (exit 2) the servers of an open rollout name conversations under another key.
async fn follow_champion(
    app: &Arc<App>,
    registry: Registry,
    (model, settings): (&str, &ServerSettings),
    admin: Option<SocketAddr>,
) -> Result<Arc<Canary>> {
    let registry = registry.in_environment(&settings.environment)?;
    let (version, damage) = registry.verified_champion(model).await?;
    if let Some(fault) = &damage {
        let problem = format!("`{}` is the last verified champion: {fault}", version.reference());
        app.degrade(fault.code(), problem);
    }
    let champion = Arc::new(load_version(&registry, version, &app.outgoing).await?);
    // From here on, a store that vanishes is noticed, and not created again.
    if let Err(fault) = registry.store().identify().await {
        app.degrade(fault.code(), fault.message().to_owned());
    }
    let store = registry.store().clone();
    let Opened { mut journal, tip, environment, entries } =
        Journal::open(store, &settings.environment).await?;
    if let Some(problem) = first_broken_rule(&entries, model) {
        journal.distrust(problem);
    }
    if let Some(fault) = damage.as_ref().filter(|_| journal.damage().is_none()) {
        journal.distrust(fault.message().to_owned());
    }
    if let Some((code, problem)) = journal.damage() {
        app.degrade(code, format!("no rollout starts or continues: {problem}"));
    }
    let replication = &settings.replication;
    let champions = registry.champions(model).await.unwrap_or_default();
    let versions: Arc<dyn Versions> =
        Arc::new(RegistryVersions::new(registry, model, Arc::clone(&app.outgoing)));
    let others = match journal.damage() {
        None => others_in_use(app, &versions, environment.model(model)).await,
        Some(_) => Vec::new(),
    };
    // Ready: every model that the log asks for is loaded and tested, as far as it can be.
    app.slot.set(champion, None);
    let parts = Parts {
        app: Arc::clone(app),
        champions,
        versions,
        journal: journal.with_admin(admin),
        pace: Pace::default().stale_after(replication.stale_after).times(replication.times),
        unit_key: app.unit_key.clone(),
    };
    let canary = Arc::new(Canary::new(parts, false));
    canary.open((environment, tip), entries, others).await?;
    canary.show_loaded();
    Ok(canary)
}

/// Loads the models of an open rollout besides the champion: the challenger if it has a share, and the version before if a
/// rollback needs it without a download.
///
/// One that cannot be loaded does not keep the server from starting: it answers with the champion, and tries again.
async fn others_in_use(
    app: &App,
    versions: &Arc<dyn Versions>,
    deployed: Option<&Deployed>,
) -> Vec<(Digest, Arc<Served>)> {
    let Some(step) = deployed.and_then(Deployed::open) else { return Vec::new() };
    let rollout = &step.rollout;
    let wanted = match rollout.phase {
        Phase::Pending | Phase::Loading | Phase::RollingBack { .. } => return Vec::new(),
        Phase::Settling { .. } => rollout.champion,
        _ => rollout.challenger,
    };
    match versions.load(&wanted).await {
        Ok(served) => vec![(wanted, Arc::new(served))],
        Err(fault) => {
            let message = format!("a model of the open rollout: {}: {fault}", fault.code());
            app.log.event(app.clock.now(), "error", "load", message);
            Vec::new()
        }
    }
}

/// The certificates of a listener; `None` for one without TLS.
type Certified = Option<Arc<Certificates>>;

/// Reads the certificates of the public and of the admin listener.
///
/// # Errors
/// Those of [`Certificates::open`].
fn certificates(settings: &ServerSettings) -> Result<(Certified, Certified)> {
    let ListenerSettings { tls, admin_tls, .. } = &settings.listeners;
    let open = |tls: &Option<TlsSettings>, listener| {
        tls.clone().map(|tls| Certificates::open(tls, listener)).transpose()
    };
    Ok((open(tls, "public")?, open(admin_tls, "admin")?))
}

/// Serves the public routes on `listener`, behind `gate`, and over TLS if there is a certificate.
///
/// # Errors
/// `BOT-6010` if the listener has no address, because it was closed.
pub(super) fn listen(
    app: Arc<App>,
    (listener, tls): (TcpListener, Certified),
    settings: &ServerSettings,
    gate: Arc<PublicGate>,
) -> Result<Running> {
    let (stop, stopped) = watch::channel(false);
    let address = address(&listener)?;
    let guard = RequestGuard::public(Arc::clone(&app), address, &settings.allowed_hosts);
    let routes = routes(Arc::clone(&app), &gate).layer(from_fn_with_state(guard, guard_request));
    let places = Places::new(Arc::<App>::clone(&app), "public", settings.listeners.limits.clone());
    let is_tls = tls.is_some();
    let measured = measure_thread_delay(Arc::clone(&app), stopped.clone());
    let tasks = vec![serve(&Handle::current(), listener, routes, places, tls, stopped), measured];
    let (clients, second) = (gate.words(), false);
    Ok(Running {
        address,
        is_tls,
        is_admin_tls: settings.listeners.admin_tls.is_some(),
        notes: Vec::new(),
        certificates: Vec::new(),
        admin_address: None,
        admin_socket: None,
        clients,
        second,
        stop,
        tasks,
        app,
        control: None,
        reloading: None,
    })
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        Fault::internal("BOT-6018", "the model could not be loaded: loading panicked")
    })?
}

/// Measures how long tasks wait for a thread, until the server stops.
fn measure_thread_delay(app: Arc<App>, mut stop: watch::Receiver<bool>) -> JoinHandle<()> {
    Handle::current().spawn(async move {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = app.thread_delay.measure() => {}
        }
    })
}

impl Running {
    /// Returns the public address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the public URL.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.address, self.is_tls)
    }

    /// Returns the URL of the admin API; `None` if no admin listener runs.
    #[must_use]
    pub fn admin_url(&self) -> Option<String> {
        self.admin_address.map(|address| url(address, self.is_admin_tls))
    }

    /// Returns a line about the metrics: where they are, and who may read them.
    #[must_use]
    pub fn metrics_note(&self) -> String {
        match (self.app.open_metrics, self.admin_url()) {
            (true, _) => format!("metrics on {}/metrics, for everyone", self.url()),
            (false, Some(url)) => format!("metrics on {url}/metrics, with the scope `read`"),
            (false, None) if self.admin_socket.is_some() => {
                "metrics on the admin socket".to_owned()
            }
            (false, None) => {
                "no metrics: they need the admin API, or `server.metrics: open`".to_owned()
            }
        }
    }

    /// Returns the facts that whoever started it should know, such as a certificate that ends soon.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Reads the certificates again now, and not at the next look. Returns the number of those that changed. Open connections
    /// keep theirs.
    ///
    /// # Errors
    /// `BOT-1089` (exit 2) one cannot be used; the one before stays in force.
    pub fn reload_certificates(&self) -> Result<usize> {
        let reloaded: Vec<Result<bool>> =
            self.certificates.iter().map(|one| one.reload_now(&*self.app)).collect();
        reloaded.into_iter().try_fold(0, |sum, is_new| Ok(sum + usize::from(is_new?)))
    }

    fn note_connections(&mut self, asked: Option<usize>, settings: &ServerSettings) {
        let Some(asked) = asked else { return };
        let bounded = settings.listeners.limits.connections;
        self.notes.push(format!(
            "at most {bounded} connections at a time, and not {asked}: this process may not open more files; \
             allow more with `ulimit -n` or `LimitNOFILE`"
        ));
    }

    /// Returns the admin address; `None` if no admin listener runs.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Returns the path of the admin socket; `None` without one.
    #[must_use]
    pub fn admin_socket(&self) -> Option<&Path> {
        self.admin_socket.as_ref().map(SocketFile::path)
    }

    /// Returns who may call the public API, in words.
    #[must_use]
    pub fn clients(&self) -> &'static str {
        self.clients
    }

    /// Returns whether another server ticked the open rollout when this one started. It takes over when that one is gone.
    #[must_use]
    pub fn was_second(&self) -> bool {
        self.second
    }

    /// Returns the problems with which it runs, such as a damaged log; empty for a sound server.
    #[must_use]
    pub fn degraded(&self) -> Vec<String> {
        let problems = self.app.degradations().into_iter();
        problems.map(|found| format!("{}: {}", found.code, found.problem)).collect()
    }

    /// Reads settings from `configuration` when it is asked to: by [`Self::reload`] and by the admin API.
    pub fn reload_from(&self, configuration: Arc<dyn Configuration>) {
        if let Some(reloading) = &self.reloading {
            reloading.read_from(configuration);
        }
    }

    /// Reads the settings again, as the admin API does. After an error nothing has changed.
    ///
    /// # Errors
    /// `BOT-6088` (exit 5) there is no [`Self::reload_from`]; those of [`start`]; those of the store.
    pub async fn reload(&self, by: &Identity, reason: &str) -> Result<Reloaded> {
        match &self.reloading {
            Some(reloading) => reloading.reload((by, reason), false).await,
            None => Err(Fault::conflict("BOT-6088", "a rehearsal has no file of settings")),
        }
    }

    /// Stops accepting, finishes the requests in flight (at most 20 s), and flushes the request log.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut self.tasks);
        let drained = futures::future::join_all(tasks);
        // A request that takes longer is dropped with its connection.
        let _ = tokio::time::timeout(DRAIN, drained).await;
        request_traces::flush(&self.app).await;
        let app = Arc::clone(&self.app);
        let _ = tokio::task::spawn_blocking(move || app.log.flush()).await;
    }
}

fn url(address: SocketAddr, is_tls: bool) -> String {
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{address}")
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
