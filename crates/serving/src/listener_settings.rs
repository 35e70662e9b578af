//! The settings of the listeners.

use botops_connections::{ConnectionLimits, TlsSettings};

/// The settings of the listeners.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerSettings {
    /// The limits of connections and requests. The admin listeners have as many places as they need, and the other limits.
    pub limits: ConnectionLimits,
    /// The TLS of the public listener; `None` for plain HTTP.
    pub tls: Option<TlsSettings>,
    /// The TLS of the admin listener; `None` for plain HTTP.
    pub admin_tls: Option<TlsSettings>,
    /// Who may read the metrics.
    pub metrics: MetricsAccess,
    /// Whether the public listener serves the chat page at `/`.
    pub chat_page: bool,
}

/// Who may read the metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Whoever has the scope `read`, on the admin listener.
    #[default]
    Admin,
    /// Everyone, on both listeners.
    Open,
}
