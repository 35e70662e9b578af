//! Bare connections to one server, with TLS for `https`.

use super::install_tls;
use botops_findings::{Fault, Result};
use reqwest::Url;
use rustls::{ClientConfig, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Makes connections to one server, to each of its addresses in turn. No proxy is used.
#[derive(Clone)]
pub struct Connector {
    addresses: Arc<[SocketAddr]>,
    next: Arc<AtomicUsize>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_tls = self.tls.is_some();
        f.debug_struct("Connector")
            .field("addresses", &self.addresses)
            .field("tls", &is_tls)
            .finish()
    }
}

impl Connector {
    /// Looks up the addresses of the server at `url`, which is `http` or `https`, once.
    ///
    /// # Errors
    /// `BOT-6282` (exit 7) its name is not known; `BOT-1018` (exit 1) the root certificates of the system cannot be read.
    pub async fn to(url: &Url) -> Result<Self> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        let unknown = || {
            Fault::unreachable("BOT-6282", format!("the name `{host}` has no address"))
                .hint("check the name, and the name servers of this machine")
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let found = lookup_host((bare.as_str(), port)).await;
        let addresses: Arc<[SocketAddr]> =
            found.map_err(|error| unknown().caused_by(error))?.collect();
        if addresses.is_empty() {
            return Err(unknown());
        }
        let tls = match url.scheme() {
            "https" => Some(tls(bare)?),
            _ => None,
        };
        Ok(Self { addresses, next: Arc::default(), tls })
    }

    /// Makes a connection.
    ///
    /// # Errors
    /// The error of the network, or of the TLS handshake.
    pub async fn connect(&self) -> io::Result<Connection> {
        let i = self.next.fetch_add(1, Ordering::Relaxed) % self.addresses.len();
        let stream = TcpStream::connect(self.addresses[i]).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Connection(Kind::Plain(stream))),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await?;
                Ok(Connection(Kind::Tls(Box::new(stream))))
            }
        }
    }
}

fn tls(host: String) -> Result<(TlsConnector, ServerName<'static>)> {
    install_tls();
    let unusable = |error: rustls::Error| {
        Fault::internal("BOT-1018", "the root certificates of the system cannot be read")
            .hint("install them, such as Debian's package `ca-certificates`")
            .caused_by(error)
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(unusable)?
        .with_no_client_auth();
    let name = ServerName::try_from(host).map_err(|error| {
        Fault::usage("BOT-6030", "the host of the address cannot be in a certificate")
            .caused_by(error)
    })?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

/// A connection to a server.
#[derive(Debug)]
pub struct Connection(Kind);

#[derive(Debug)]
enum Kind {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Kind::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Kind::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(stream) => Pin::new(stream).poll_flush(context),
            Kind::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Kind::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}
