//! The deployment log and the observations of an environment, with answers in bounded time.
//!
//! The state of a server is locked while it writes. Without a bound, a store that hangs would hold it for as long as the
//! time-outs and retries of the network allow.

use botops_findings::{Fault, FaultKind, Result};
use botops_registry::{Deployment, Environment, log_path};
use botops_store::{Appended, Entry, Folded, Store};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use std::{net::SocketAddr, time::Duration};

/// The longest time of a small request with its retries.
const REQUEST: Duration = Duration::from_secs(8);

/// The deployment log and the observations of an environment.
pub(crate) struct Journal {
    store: Store,
    log: Folded<Deployment, Environment>,
    /// The environment.
    environment: String,
    /// The folder of the observations.
    observations: String,
    /// The id of this server, new at each start.
    writer: String,
    /// The address of the admin listener, which the entries of this server name.
    admin: Option<String>,
    /// The problem of a damaged log. Nothing can be appended to it.
    damage: Option<(&'static str, String)>,
}

/// A log as it was opened.
pub(crate) struct Opened {
    /// The log.
    pub(crate) journal: Journal,
    /// The newest entry.
    pub(crate) tip: Option<Entry<Deployment>>,
    /// The fold of all entries.
    pub(crate) environment: Environment,
    /// All entries of a log without a checkpoint; none of a longer one.
    pub(crate) entries: Vec<Entry<Deployment>>,
}

/// The number of entries from which on a log is opened at a checkpoint, and not read again.
const LONG: u64 = 1_000;

/// The number of entries that are read at the same time.
const AT_ONCE: usize = 16;

/// Waits for `call`, but no longer than [`REQUEST`]. A write that it gave up may still have its effect.
async fn within<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(REQUEST, call).await.unwrap_or_else(|_| {
        let message = format!("the store did not answer within {} s", REQUEST.as_secs());
        Err(Fault::unreachable("BOT-5003", message).hint("check the disk or the network"))
    })
}

impl Journal {
    /// Opens the log of `environment`, from its newest checkpoint if it is long.
    ///
    /// Of a damaged log nothing is returned, and [`Self::damage`] names the problem.
    ///
    /// # Errors
    /// Those of the store: a server does not append to a log that it cannot read. `BOT-5007` a newer botops wrote it.
    pub(crate) async fn open(store: Store, environment: &str) -> Result<Opened> {
        let log = Folded::<Deployment, Environment>::new(store.clone(), &log_path(environment));
        let mut opened = Opened {
            tip: None,
            environment: Environment::default(),
            entries: Vec::new(),
            journal: Self {
                store,
                log,
                environment: environment.to_owned(),
                observations: format!("deployments/{environment}/observations"),
                writer: ulid::Ulid::generate().to_string(),
                admin: None,
                damage: None,
            },
        };
        match opened.journal.log.read().await {
            Ok(read) => {
                opened.environment = Environment::clone(&read.state);
                opened.tip = read.last.as_deref().cloned();
            }
            Err(fault) if fault.kind() == FaultKind::Gate => {
                opened.journal.damage = Some((fault.code(), fault.message().to_owned()));
            }
            Err(fault) => return Err(fault),
        }
        if opened.tip.as_ref().is_some_and(|tip| tip.seq <= LONG) {
            opened.entries = opened.journal.log.log().entries().await?;
        }
        Ok(opened)
    }

    /// Sets the address of the admin listener, which the entries of this server name.
    pub(crate) fn with_admin(self, admin: Option<SocketAddr>) -> Self {
        Self { admin: admin.map(|at| at.to_string()), ..self }
    }

    /// Returns the name of the environment.
    pub(super) fn environment(&self) -> &str {
        &self.environment
    }

    /// Returns the entries `since + 1` to `last`, which are known to be in the log.
    ///
    /// # Errors
    /// As [`Self::newer`].
    pub(super) async fn page(&self, since: u64, last: u64) -> Result<Vec<Entry<Deployment>>> {
        self.check()?;
        let log = self.log.log();
        let entries = futures::stream::iter(since + 1..=last).map(|seq| log.entry(seq));
        within(entries.buffered(AT_ONCE).try_collect()).await
    }

    /// Returns the id of this server.
    pub(super) fn writer(&self) -> &str {
        &self.writer
    }

    /// Treats the log as damaged: its entries do not follow from each other.
    pub(crate) fn distrust(&mut self, problem: String) {
        self.damage = Some(("BOT-5006", problem));
    }

    /// Returns the code and the problem of a damaged log.
    pub(crate) fn damage(&self) -> Option<(&'static str, &str)> {
        self.damage.as_ref().map(|(code, problem)| (*code, problem.as_str()))
    }

    /// Checks that an act can be recorded. Called before an act takes effect.
    ///
    /// # Errors
    /// The problem of a damaged log.
    pub(super) fn check(&self) -> Result<()> {
        match &self.damage {
            None => Ok(()),
            Some((code, problem)) => {
                Err(Fault::of_code(code, format!("the deployment log is damaged: {problem}"))
                    .hint("see all problems: `botops registry verify`")
                    .hint("restore the entry from a backup, then restart the server"))
            }
        }
    }

    /// Returns the entries after `tip`.
    ///
    /// # Errors
    /// Those of the store, also if it does not answer in time.
    pub(super) async fn newer(
        &self,
        tip: Option<&Entry<Deployment>>,
    ) -> Result<Vec<Entry<Deployment>>> {
        if self.damage.is_some() {
            return Ok(Vec::new());
        }
        within(async {
            let newer = self.log.log().poll(tip).await?;
            if !newer.is_empty() {
                // The fold that checkpoints are made of follows, too.
                self.log.read().await?;
            }
            Ok(newer)
        })
        .await
    }

    /// Appends an entry of this server after `tip`.
    ///
    /// # Errors
    /// As [`Self::newer`]; after an error the entry may be in the log, or appear there later.
    pub(super) async fn append(
        &self,
        tip: Option<&Entry<Deployment>>,
        mut deployment: Deployment,
    ) -> Result<Appended<Deployment>> {
        self.check()?;
        deployment.writer = Some(self.writer.clone());
        deployment.admin.clone_from(&self.admin);
        within(self.log.append(tip, deployment)).await
    }

    /// Writes the observation `number` of this server about the rollout `id`.
    ///
    /// # Errors
    /// As [`Self::newer`].
    pub(super) async fn publish(&self, id: &str, number: u64, bytes: Bytes) -> Result<()> {
        let path = self.path(id, &format!("{}.{number:010}", self.writer));
        within(self.store.create(&path, bytes)).await.map(drop)
    }

    /// Reads the observation `number` of `server` about the rollout `id`; `None` if it is not there.
    ///
    /// # Errors
    /// As [`Self::newer`].
    pub(super) async fn observation(
        &self,
        id: &str,
        server: &str,
        number: u64,
    ) -> Result<Option<Bytes>> {
        let path = self.path(id, &format!("{server}.{number:010}"));
        within(self.store.read(&path)).await
    }

    /// Returns the servers and numbers of all observations about the rollout `id`, sorted.
    ///
    /// # Errors
    /// As [`Self::newer`].
    pub(super) async fn observations(&self, id: &str) -> Result<Vec<(String, u64)>> {
        let folder = self.path(id, "");
        let folder = folder.trim_end_matches('/');
        let paths = within(self.store.objects(folder, None)).await?;
        let parse = |path: &String| {
            let name = path.strip_prefix(folder)?.strip_prefix('/')?;
            let (server, number) = name.rsplit_once('.')?;
            let is_plain = !server.contains('/') && number.len() == 10;
            Some((server.to_owned(), number.parse().ok()?)).filter(|_| is_plain)
        };
        Ok(paths.iter().filter_map(parse).collect())
    }

    /// Writes the union of observations that the entry `seq` has counted.
    ///
    /// # Errors
    /// As [`Self::newer`].
    pub(super) async fn keep_union(&self, id: &str, seq: u64, bytes: Bytes) -> Result<()> {
        let path = self.path(id, &format!("union/{seq:020}"));
        within(self.store.create(&path, bytes)).await.map(drop)
    }

    /// Returns the numbers of the entries whose union was kept, sorted.
    ///
    /// # Errors
    /// As [`Self::newer`].
    pub(super) async fn unions(&self, id: &str) -> Result<Vec<u64>> {
        let folder = self.path(id, "union");
        let paths = within(self.store.objects(&folder, None)).await?;
        let number = |path: &String| path.rsplit_once('/')?.1.parse().ok();
        Ok(paths.iter().filter_map(number).collect())
    }

    /// Reads the union that was kept for the entry `seq`.
    ///
    /// # Errors
    /// As [`Self::newer`].
    pub(super) async fn union(&self, id: &str, seq: u64) -> Result<Option<Bytes>> {
        within(self.store.read(&self.path(id, &format!("union/{seq:020}")))).await
    }

    /// Removes observations, which a union that was kept replaces, and older unions.
    ///
    /// # Errors
    /// As [`Self::newer`].
    pub(super) async fn forget(
        &self,
        id: &str,
        observations: &[(String, u64)],
        unions: &[u64],
    ) -> Result<()> {
        for (server, number) in observations {
            let path = self.path(id, &format!("{server}.{number:010}"));
            within(self.store.remove(&path)).await?;
        }
        for seq in unions {
            within(self.store.remove(&self.path(id, &format!("union/{seq:020}")))).await?;
        }
        Ok(())
    }

    fn path(&self, id: &str, name: &str) -> String {
        format!("{}/{id}/{name}", self.observations)
    }
}
