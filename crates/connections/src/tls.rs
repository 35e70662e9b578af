//! TLS of the listeners: certificates, which are read again when their files change.

use crate::keeper::Keeper;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_http::certificate_validity;
use chrono::{DateTime, TimeDelta, Utc};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version,
};
use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The time between two looks at the files.
const LOOK: Duration = Duration::from_secs(5);

/// The time before its end from which on a certificate is reported.
const SOON: TimeDelta = TimeDelta::days(14);

/// The most bytes of a file.
const MOST_BYTES: u64 = 1 << 20;

/// The first byte of a handshake of TLS.
const HANDSHAKE: u8 = 0x16;

/// The TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The PEM file with the certificate of the server, and those of the authorities between it and the root.
    pub certificate: PathBuf,
    /// The PEM file with its private key.
    pub key: PathBuf,
    /// The oldest version that is accepted.
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// A request that came over TLS carries this.
#[derive(Debug, Clone, Copy)]
pub struct OverTls;

/// The certificate of a listener, and the TLS that it is used with.
pub struct Certificates {
    settings: TlsSettings,
    listener: &'static str,
    chosen: Arc<Chosen>,
    acceptor: TlsAcceptor,
}

/// The certificate in force.
#[derive(Debug)]
struct Chosen(RwLock<Loaded>);

#[derive(Debug, Clone)]
struct Loaded {
    key: Arc<CertifiedKey>,
    /// Digest of both files.
    digest: Digest,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
}

impl ResolvesServerCert for Chosen {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

impl Certificates {
    /// Reads the files of `settings`, for the listener with this name in metrics.
    ///
    /// # Errors
    /// `BOT-1089` (exit 2) a file cannot be read, has no certificate or key, or the two do not belong together.
    pub fn open(settings: TlsSettings, listener: &'static str) -> Result<Arc<Self>> {
        let provider = Arc::new(ring::default_provider());
        let (certificate, key) = read_files(&settings)?;
        let digest = digest(&certificate, &key);
        let loaded = load(&settings, (&certificate, &key), digest, &provider)?;
        let chosen = Arc::new(Chosen(RwLock::new(loaded)));
        let versions: &[_] = match settings.min_version {
            TlsVersion::Tls12 => &[&version::TLS13, &version::TLS12],
            TlsVersion::Tls13 => &[&version::TLS13],
        };
        let internal = |error: rustls::Error| {
            Fault::internal("BOT-6018", format!("TLS could not be started: {error}"))
                .caused_by(error)
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(internal)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&chosen) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // A client comes back without a full handshake, and the server remembers nothing for it.
        config.ticketer = ring::Ticketer::new().map_err(internal)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Arc::new(Self { settings, listener, chosen, acceptor }))
    }

    /// Shakes hands with a client, within `limit`; one that speaks no TLS gets the answer `needs_tls`.
    ///
    /// # Errors
    /// The client speaks no TLS, only old TLS, or is too slow: `TimedOut`.
    pub(crate) async fn shake_hands(
        &self,
        mut stream: TcpStream,
        (limit, needs_tls): (Duration, &[u8]),
    ) -> io::Result<TlsStream<TcpStream>> {
        let handshake = async {
            let mut first = [0];
            if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
                // The request is read, so that the answer is not lost with it.
                let _ = stream.try_read(&mut [0; 4 << 10]);
                stream.write_all(needs_tls).await?;
                stream.shutdown().await?;
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a request without TLS"));
            }
            self.acceptor.accept(stream).await
        };
        timeout(limit, handshake).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads the files again, and uses the certificate from the next handshake on. Returns whether they changed.
    ///
    /// Connections that are open keep theirs. The certificate stays in force if the new one cannot be used.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn reload(&self) -> Result<bool> {
        let (certificate, key) = read_files(&self.settings)?;
        let digest = digest(&certificate, &key);
        if digest == self.loaded().digest {
            return Ok(false);
        }
        let provider = ring::default_provider();
        let loaded = load(&self.settings, (&certificate, &key), digest, &provider)?;
        *self.chosen.0.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(true)
    }

    /// Like [`Self::reload`], and reports the change or the problem in the log and the metrics: for a command to reload.
    ///
    /// # Errors
    /// Those of [`Self::reload`].
    pub fn reload_now(&self, keeper: &dyn Keeper) -> Result<bool> {
        let reloaded = self.reload();
        self.report(keeper, &reloaded);
        reloaded
    }

    fn report(&self, keeper: &dyn Keeper, reloaded: &Result<bool>) {
        let event = |level, message| keeper.event(level, "tls", message);
        match reloaded {
            Ok(false) => {}
            Ok(true) => {
                keeper.metrics().reloaded(self.listener, true);
                let (listener, end) = (self.listener, self.loaded().not_after.format("%Y-%m-%d"));
                event(
                    "info",
                    format!("the {listener} listener has a new certificate, until {end}"),
                );
                self.show(keeper);
            }
            Err(fault) => {
                keeper.metrics().reloaded(self.listener, false);
                let code = fault.code();
                event("error", format!("{code}: the certificate before stays in force: {fault}"));
            }
        }
    }

    /// Shows the end of the certificate in the metrics. Returns the problem of one that is not valid, or soon will not be.
    pub fn show(&self, keeper: &dyn Keeper) -> Option<String> {
        let loaded = self.loaded();
        keeper.metrics().expires(self.listener, loaded.not_after.timestamp());
        let problem = problem_of(&loaded, keeper.now())?;
        let problem =
            format!("the certificate `{}` {problem}", self.settings.certificate.display());
        keeper.event("warn", "tls", problem.clone());
        Some(problem)
    }

    /// Reads the files again and again until `stop`.
    ///
    /// A problem is reported when it is there twice in a row: two files that are replaced one after the other do not belong
    /// together for a moment.
    pub async fn follow(self: Arc<Self>, keeper: Arc<dyn Keeper>, mut stop: watch::Receiver<bool>) {
        let mut failures: u32 = 0;
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = sleep(LOOK) => {}
            }
            let certificates = Arc::clone(&self);
            let look = tokio::task::spawn_blocking(move || certificates.reload());
            let Ok(reloaded) = look.await else { return };
            failures = if reloaded.is_err() { failures.saturating_add(1) } else { 0 };
            if failures == 0 || failures == 2 {
                self.report(&*keeper, &reloaded);
            }
        }
    }

    fn loaded(&self) -> Loaded {
        self.chosen.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Checks the files of `settings`, as [`Certificates::open`] does.
///
/// # Errors
/// `BOT-1089` (exit 2).
pub fn check_certificate(settings: &TlsSettings) -> Result<()> {
    let (certificate, key) = read_files(settings)?;
    let digest = digest(&certificate, &key);
    load(settings, (&certificate, &key), digest, &ring::default_provider()).map(|_| ())
}

/// Reads both files.
fn read_files(settings: &TlsSettings) -> Result<(Vec<u8>, Vec<u8>)> {
    let read = |what: &str, path: &PathBuf| {
        let fault = |problem: String| {
            Fault::usage("BOT-1089", format!("the {what} `{}` {problem}", path.display()))
                .hint("`server.tls` names two PEM files: `certificate` and `key`")
        };
        let unreadable =
            |error: io::Error| fault(format!("cannot be read: {error}")).caused_by(error);
        // It is read again and again: a pipe would block, and a device may never end.
        let found = fs::metadata(path).map_err(unreadable)?;
        if !found.is_file() {
            return Err(fault("is not a regular file".to_owned()));
        }
        if found.len() > MOST_BYTES {
            return Err(fault(format!("has more than {} KiB", MOST_BYTES >> 10)));
        }
        fs::read(path).map_err(unreadable)
    };
    Ok((read("certificate", &settings.certificate)?, read("key", &settings.key)?))
}

fn digest(certificate: &[u8], key: &[u8]) -> Digest {
    Digest::of_json(&(Digest::of(certificate), Digest::of(key)))
}

/// Checks the contents of both files.
fn load(
    settings: &TlsSettings,
    (certificate, key): (&[u8], &[u8]),
    digest: Digest,
    provider: &CryptoProvider,
) -> Result<Loaded> {
    let (shown, shown_key) = (settings.certificate.display(), settings.key.display());
    let fault = |problem: String| Fault::usage("BOT-1089", problem);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| {
            fault(format!("the certificate `{shown}` is not PEM: {error}"))
                .hint("copy the file again: it has a block that begins and does not end, or is not base64")
        })?;
    let dates = chain.first().and_then(|first| certificate_validity(first)).ok_or_else(|| {
        fault(format!("`{shown}` has no certificate in PEM")).hint(
            "it begins with `-----BEGIN CERTIFICATE-----`, and that of the server comes first",
        )
    })?;
    // The message of an error may not hold a part of the key.
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
        fault(format!("`{shown_key}` has no private key in PEM"))
            .hint("it begins with `-----BEGIN PRIVATE KEY-----`; an encrypted key cannot be read")
    })?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            fault(format!("the key `{shown_key}` does not belong to the certificate `{shown}`"))
                .hint("the certificate of the server comes first in its file")
        }
        error => fault(format!("`{shown}` and `{shown_key}` cannot be used: {error}"))
            .hint("keys for ECDSA (P-256, P-384), Ed25519 and RSA can be used"),
    })?;
    let (not_before, not_after) = (dates.not_before, dates.not_after);
    Ok(Loaded { key: Arc::new(key), digest, not_before, not_after })
}

/// Returns the problem of a certificate that is not valid at `now`, or soon will not be.
fn problem_of(loaded: &Loaded, now: DateTime<Utc>) -> Option<String> {
    let day = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M UTC");
    if now < loaded.not_before {
        return Some(format!("is not valid before {}", day(loaded.not_before)));
    }
    if now > loaded.not_after {
        return Some(format!("expired on {}", day(loaded.not_after)));
    }
    (loaded.not_after - now < SOON).then(|| format!("expires on {}", day(loaded.not_after)))
}
