//! From a socket to a request: listeners, TLS, and the limits that hold before a request is read.
//!
//! In: a bound listener, routes, and a [`Keeper`], the server behind them. Out: requests on these routes, each with the
//! facts of its connection.
//!
//! - [`serve`] accepts connections as long as there are [`Places`], in total and for each address
//! - a connection is cut off when its client is too slow to send or to take, and its HTTP/1.1 is read strictly
//! - [`Certificates`] are read again when their files change, without a connection lost
//! - [`upgrade`] turns a connection into a WebSocket, which keeps its place
//! - [`bound`] keeps descriptors for the administrators and for the store

mod activity;
mod connection;
mod descriptors;
mod keeper;
mod limits;
mod listening;
mod metrics;
mod network;
mod tls;
mod watched_stream;
mod websocket;

pub use connection::{Mark, Stay};
pub use descriptors::bound;
pub use keeper::Keeper;
pub use limits::{ConnectionLimits, Places};
pub use listening::{address, bind, serve, serve_socket};
pub use metrics::ConnectionMetrics;
pub use network::network;
pub use tls::{Certificates, OverTls, TlsSettings, TlsVersion, check_certificate};
pub use websocket::{End, NoHandshake, Received, Socket, SocketLimits, upgrade};
