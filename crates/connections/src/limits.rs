//! The limits of the connections to a listener, and the places for them.

use crate::{
    keeper::{Keeper, last_answer},
    network::network,
};
use axum::http::StatusCode;
use botops_findings::Fault;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// The limits of the connections to a listener, and of the requests on them.
///
/// The defaults suit a server on the internet and a laptop alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// The most connections at a time.
    pub connections: usize,
    /// The most connections at a time from one address; for IPv6, from one /64 network. Those from this machine, such as of a
    /// proxy, count only in total.
    pub per_address: usize,
    /// The longest handshake of TLS.
    pub handshake_timeout: Duration,
    /// The longest time from the first byte of a request, or from the begin of a connection, to the end of the head.
    pub headers_timeout: Duration,
    /// The longest time from the head of a request to its answer; `None` for no limit.
    pub request_timeout: Option<Duration>,
    /// The longest time without a request on an open connection.
    pub idle_timeout: Duration,
    /// The longest time for which a client may take nothing of its answers, or less than 512 bytes per second.
    pub write_timeout: Duration,
    /// The most header lines of a request.
    pub headers: usize,
    /// The largest head of a request, in bytes: at least 8,192.
    pub header_bytes: usize,
    /// The longest URI of a request, in bytes.
    pub uri_bytes: usize,
    /// The most requests at a time on a connection with HTTP/2.
    pub streams: u32,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            per_address: 256,
            handshake_timeout: Duration::from_secs(10),
            headers_timeout: Duration::from_secs(10),
            request_timeout: Some(Duration::from_secs(30)),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(20),
            headers: 64,
            header_bytes: 16 << 10,
            uri_bytes: 4 << 10,
            streams: 100,
        }
    }
}

impl ConnectionLimits {
    /// Returns the limits of an admin listener, which has a few clients: a rollout takes its time to start, and the
    /// connections of strangers may not take all places.
    #[must_use]
    pub fn of_admin(&self) -> Self {
        Self {
            connections: ADMIN_CONNECTIONS,
            per_address: ADMIN_CONNECTIONS / 4,
            request_timeout: None,
            ..self.clone()
        }
    }
}

/// The most connections to an admin listener.
pub(crate) const ADMIN_CONNECTIONS: usize = 128;

/// The places for the connections to one listener.
pub struct Places {
    /// The limits.
    pub(crate) limits: ConnectionLimits,
    /// The server.
    pub(crate) keeper: Arc<dyn Keeper>,
    /// The name of the listener in metrics.
    pub(crate) listener: &'static str,
    /// The answer to a connection beyond the limit.
    pub(crate) busy: Vec<u8>,
    /// The answer to a request without TLS.
    pub(crate) needs_tls: Vec<u8>,
    taken: AtomicUsize,
    by_network: Mutex<HashMap<IpAddr, usize>>,
}

/// The reason for which a connection gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// All places are taken.
    Full,
    /// The peer has too many.
    Address,
}

impl NoPlace {
    /// Returns the name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Address => "address",
        }
    }
}

/// The place of a connection. It is free again when this is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    network: Option<IpAddr>,
    /// Whether it is among the open connections of the metrics.
    is_open: bool,
}

impl Places {
    /// Makes the places of `listener`: `public`, `admin` or `socket`.
    #[must_use]
    pub fn new(
        keeper: Arc<dyn Keeper>,
        listener: &'static str,
        limits: ConnectionLimits,
    ) -> Arc<Self> {
        let full = Fault::unreachable("BOT-6097", "the server has no place for another connection")
            .hint("try again later");
        let plain = Fault::usage("BOT-6099", "the request came without TLS").hint("use `https://`");
        Arc::new(Self {
            limits,
            busy: last_answer(&*keeper, StatusCode::SERVICE_UNAVAILABLE, &full),
            needs_tls: last_answer(&*keeper, StatusCode::BAD_REQUEST, &plain),
            keeper,
            listener,
            taken: AtomicUsize::new(0),
            by_network: Mutex::default(),
        })
    }

    /// Takes a place for a connection of `peer`; `None` for a user of this machine.
    ///
    /// # Errors
    /// The reason for which there is none.
    pub(crate) fn take(self: &Arc<Self>, peer: Option<IpAddr>) -> Result<Place, NoPlace> {
        let network = peer.map(network).filter(|address| !address.is_loopback());
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        // From here on, the place is given back when it is dropped.
        let mut place = Place { places: Arc::clone(self), network: None, is_open: false };
        if taken >= self.limits.connections {
            return Err(NoPlace::Full);
        }
        if let Some(network) = network {
            let mut by_network = self.by_network.lock().unwrap_or_else(PoisonError::into_inner);
            let of_network = by_network.entry(network).or_default();
            if *of_network >= self.limits.per_address {
                return Err(NoPlace::Address);
            }
            *of_network += 1;
            place.network = Some(network);
        }
        self.keeper.metrics().opened(self.listener);
        place.is_open = true;
        Ok(place)
    }
}

impl Place {
    /// Returns the places to which it belongs.
    pub(crate) fn places(&self) -> &Arc<Places> {
        &self.places
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let places = &self.places;
        places.taken.fetch_sub(1, Ordering::Relaxed);
        if let Some(network) = self.network {
            let mut by_network = places.by_network.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(of_network) = by_network.get_mut(&network) {
                *of_network -= 1;
                if *of_network == 0 {
                    by_network.remove(&network);
                }
            }
        }
        if self.is_open {
            places.keeper.metrics().closed(places.listener);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConnectionMetrics;
    use axum::{http::StatusCode, response::Response};
    use chrono::{DateTime, Utc};
    use prometheus_client::{encoding::text::encode, registry::Registry};

    struct Metered(ConnectionMetrics);

    impl Keeper for Metered {
        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH
        }

        fn event(&self, _: &'static str, _: &'static str, _: String) {}

        fn metrics(&self) -> &ConnectionMetrics {
            &self.0
        }

        fn refuse(&self, _: StatusCode, _: Fault) -> Response {
            Response::default()
        }

        fn problem(&self, status: StatusCode, fault: &Fault) -> String {
            format!("{} {}", status.as_u16(), fault.code())
        }
    }

    #[test]
    fn places_are_counted_in_total_and_by_network_and_given_back() {
        let mut registry = Registry::default();
        let keeper = Arc::new(Metered(ConnectionMetrics::new(&mut registry)));
        let limits = ConnectionLimits { connections: 5, per_address: 2, ..Default::default() };
        let places = Places::new(keeper, "public", limits);
        let take = |address: &str| places.take(Some(address.parse().unwrap()));
        let of_one = [take("192.0.2.1").unwrap(), take("192.0.2.1").unwrap()];
        assert_eq!(take("192.0.2.1").err(), Some(NoPlace::Address));
        assert_eq!(take("::ffff:192.0.2.1").err(), Some(NoPlace::Address), "the same address");
        let of_network = [take("2001:db8::1").unwrap(), take("2001:db8::2").unwrap()];
        assert_eq!(take("2001:db8::3").err(), Some(NoPlace::Address), "the same network");
        let last = take("127.0.0.1").unwrap();
        assert_eq!(take("192.0.2.9").err(), Some(NoPlace::Full));
        assert_eq!(places.take(None).err(), Some(NoPlace::Full));
        drop(last);
        let local = take("127.0.0.1").unwrap();
        drop(of_network);
        let users = [places.take(None).unwrap(), places.take(None).unwrap()];
        drop((local, users, of_one));
        assert!(places.by_network.lock().unwrap().is_empty(), "no address is remembered");
        let all: Vec<Place> = (0..5).map(|_| take("::1").unwrap()).collect();
        assert_eq!(take("::1").err(), Some(NoPlace::Full), "those of this machine count in total");
        let open = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            let lines = text.lines().filter(|line| line.starts_with("connections{"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(open(), ["connections{listener=\"public\"} 5"]);
        drop(all);
        assert_eq!(open(), ["connections{listener=\"public\"} 0"]);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let busy = text(&places.busy);
        assert!(busy.starts_with("HTTP/1.1 503 ") && busy.contains("retry-after: 1\r\n"), "{busy}");
        assert!(busy.ends_with(
            "content-length: 12\r\nretry-after: 1\r\nconnection: close\r\n\r\n503 BOT-6097"
        ));
        assert!(text(&places.needs_tls).ends_with("\r\n\r\n400 BOT-6099"));
    }
}
