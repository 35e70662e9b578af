//! The flags of `botops serve`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// The default address of the public listener.
pub(crate) const LISTEN: &str = "127.0.0.1:8080";
/// The default address of the admin listener.
const ADMIN_LISTEN: &str = "127.0.0.1:8081";

/// Parses an address; an empty variable counts as unset. `localhost` is the loopback address: what other names stand for may
/// change, and with it who reaches the server.
pub(crate) fn address(text: &str, default: &str) -> Result<SocketAddr, String> {
    let text = if text.trim().is_empty() { default } else { text.trim() };
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    match (host, port.parse::<u16>()) {
        ("localhost", Ok(port)) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        ("" | "*", Ok(port)) => Err(format!(
            "write `0.0.0.0:{port}` for every network of this machine, or `127.0.0.1:{port}` for this machine alone"
        )),
        (host, Ok(port)) if host.contains(':') && !host.starts_with('[') => {
            Err(format!("write an IPv6 address in brackets: `[{host}]:{port}`"))
        }
        (_, Ok(port)) => Err(format!(
            "a name is not an address: write `127.0.0.1:{port}`, `0.0.0.0:{port}` or an address of this machine"
        )),
        (_, Err(_)) => Err("write an address and a port, such as `127.0.0.1:8080`".to_owned()),
    }
}

/// Parses the lifetime of feedback.
fn feedback_lifetime(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let longest = Duration::from_secs(366 * 24 * 60 * 60);
    match duration {
        duration if duration < Duration::from_secs(1) => Err("it is shorter than 1s".to_owned()),
        duration if duration > longest => Err("it is longer than 366d".to_owned()),
        duration => Ok(duration),
    }
}

/// Serve a model over HTTP
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Model: a `.botops` file, or a model or version in the registry; default: the workspace's champion
    pub(super) model: Option<String>,
    /// Address of the public listener
    #[arg(long, default_value = LISTEN, env = "BOTOPS_LISTEN", value_parser = |text: &str| address(text, LISTEN))]
    pub(super) listen: SocketAddr,
    /// Address of the admin listener, which runs only if BOTOPS_ADMIN_TOKEN is set
    #[arg(long, default_value = ADMIN_LISTEN, env = "BOTOPS_ADMIN_LISTEN", value_parser = |text: &str| address(text, ADMIN_LISTEN))]
    pub(super) admin_listen: SocketAddr,
    /// Unix socket of the admin API, for the user of the server and root
    #[arg(long, value_name = "PATH")]
    pub(super) admin_socket: Option<PathBuf>,
    /// Name by which clients may call the server, such as that of a proxy; repeatable. A listener on a loopback address
    /// accepts addresses, names without a dot, and these names
    #[arg(long, value_name = "NAME")]
    pub(super) allow_host: Vec<String>,
    /// How long a server that cannot read the store sends requests to a challenger
    #[arg(long, value_name = "DURATION", default_value = "15s", env = "BOTOPS_STALE_AFTER", value_parser = humantime::parse_duration)]
    pub(super) stale_after: Duration,
    /// How long feedback on an answer counts for a rollout, at most 366 days
    #[arg(long, value_name = "DURATION", default_value = "30d", env = "BOTOPS_FEEDBACK_LIFETIME", value_parser = feedback_lifetime)]
    pub(super) feedback_lifetime: Duration,
    /// Divide every wait for other servers by this number; for tests in which hours pass in minutes
    #[arg(long, hide = true, default_value_t = 1, env = "BOTOPS_TIMES")]
    pub(super) times: u32,
    /// Write no request log; warnings, such as failed logins, are still written
    #[arg(long)]
    pub(super) no_request_log: bool,
    /// Answer from this knowledge, too, beside a model file; repeatable. A version of the registry has its own
    #[arg(long, value_name = "FILE")]
    pub(super) knowledge: Vec<PathBuf>,
    /// Serve a chat page for browsers at `/`
    #[arg(long)]
    pub(super) chat_page: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_every_other_word_says_what_to_write() {
        let read = |text: &str| address(text, LISTEN);
        assert_eq!(read("localhost:9000"), Ok("127.0.0.1:9000".parse().unwrap()));
        assert_eq!(read(" [::]:0 "), Ok("[::]:0".parse().unwrap()));
        assert_eq!(read(""), Ok(LISTEN.parse().unwrap()), "an empty variable");
        for (text, part) in [
            (":8080", "`0.0.0.0:8080` for every network"),
            ("*:8080", "`127.0.0.1:8080` for this machine"),
            ("bots.example:80", "a name is not an address"),
            ("::1:80", "`[::1]:80`"),
            ("localhost", "such as `127.0.0.1:8080`"),
            ("127.0.0.1:99999", "such as `127.0.0.1:8080`"),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }
}
