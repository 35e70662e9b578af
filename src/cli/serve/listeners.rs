//! The listeners of `botops serve`: limits, TLS and metrics, from the settings of the workspace.

use botops_serving::{ConnectionLimits, ListenerSettings, MetricsAccess, TlsSettings, TlsVersion};
use botops_workspace::{Setting, Tls, Workspace};

/// Returns the settings of the listeners; `chat_page` is the flag.
pub(super) fn settings(workspace: &Workspace, chat_page: bool) -> ListenerSettings {
    ListenerSettings {
        limits: limits(workspace),
        tls: tls(&workspace.tls),
        admin_tls: tls(&workspace.admin_tls),
        metrics: match workspace.open_metrics.value {
            true => MetricsAccess::Open,
            false => MetricsAccess::Admin,
        },
        chat_page: chat_page || workspace.chat_page.value,
    }
}

fn limits(workspace: &Workspace) -> ConnectionLimits {
    let of = &workspace.limits;
    let default = ConnectionLimits::default();
    let count = |setting: &Setting<Option<u32>>, default: usize| {
        setting.value.map_or(default, |value| value as usize)
    };
    ConnectionLimits {
        connections: count(&of.connections, default.connections),
        per_address: count(&of.per_address, default.per_address),
        handshake_timeout: of.handshake_timeout.value.unwrap_or(default.handshake_timeout),
        headers_timeout: of.headers_timeout.value.unwrap_or(default.headers_timeout),
        request_timeout: of.request_timeout.value.or(default.request_timeout),
        idle_timeout: of.idle_timeout.value.unwrap_or(default.idle_timeout),
        write_timeout: of.write_timeout.value.unwrap_or(default.write_timeout),
        headers: count(&of.headers, default.headers),
        header_bytes: count(&of.header_bytes, default.header_bytes),
        uri_bytes: count(&of.uri_bytes, default.uri_bytes),
        streams: of.streams.value.unwrap_or(default.streams),
    }
}

/// Returns the TLS of a listener.
pub(super) fn tls(setting: &Setting<Option<Tls>>) -> Option<TlsSettings> {
    let tls = setting.value.as_ref()?;
    Some(TlsSettings {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        min_version: if tls.needs_1_3 { TlsVersion::Tls13 } else { TlsVersion::Tls12 },
    })
}
