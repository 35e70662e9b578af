//! The settings of a workspace by which its server protects itself.

use super::placed::named;
use botops_access::{Network, OnSharedFailure, Rate, RateSpec, RouteRates, TrustedProxies};
use botops_findings::{Fault, Finding, Result, Severity};
use botops_serving::{
    BatchSettings, MAX_QUEUE_DELAY, Origin, PublicSettings, SharedSettings, Sizes,
    WebSocketSettings,
};
use botops_workspace::{RequestLimits, RouteLimitsSpec, Setting, Workspace};
use std::{net::SocketAddr, ops::RangeInclusive, str::FromStr, time::Duration};

/// The routes that can have limits of their own.
const ROUTES: [&str; 5] = ["predict", "chat", "feedback", "search", "channels"];
/// The largest body, number of texts and length of a text that a setting may allow: what one request may cost.
const LARGEST_BODY: usize = 16 << 20;
const MOST_TEXTS: usize = 65_536;
const MOST_CHARS: usize = 1 << 20;
/// The depths of a body that a setting may allow: the bodies of the API have at most four levels, and the reader takes 128.
const DEPTHS: RangeInclusive<usize> = 8..=120;
/// The longest wait for a processor that a setting may allow.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Returns how the server of a workspace that listens at `listen` protects its public listener.
///
/// # Errors
/// `BOT-1093`, `BOT-1094`, `BOT-6241` (exit 2) a setting cannot be used; `BOT-1021` (exit 2) a reference cannot be resolved.
pub(super) fn of(workspace: &Workspace, listen: SocketAddr) -> Result<PublicSettings> {
    let trusted_proxies: Vec<_> =
        list(workspace, "server.trusted_proxies", &workspace.trusted_proxies)?;
    let is_local = listen.ip().to_canonical().is_loopback() && trusted_proxies.is_empty();
    let default = if is_local { RateSpec::default() } else { RateSpec::of_the_internet() };
    Ok(PublicSettings {
        rates: rates(workspace, default)?,
        shared: shared(workspace)?,
        trusted_proxies: TrustedProxies::new(trusted_proxies),
        sizes: sizes(workspace)?,
        max_queue_delay: max_queue_delay(workspace)?,
        cors_origins: list::<Origin>(workspace, "server.cors.origins", &workspace.cors_origins)?,
        websockets: websockets(workspace)?,
        batches: batches(workspace),
    })
}

/// Returns the times of WebSockets.
///
/// # Errors
/// `BOT-6241` (exit 2) a silent socket would be closed for its silence before it gets a ping.
fn websockets(workspace: &Workspace) -> Result<WebSocketSettings> {
    let (limits, default) = (&workspace.limits, WebSocketSettings::default());
    let ping = limits.websocket_ping.value.unwrap_or(default.ping);
    let idle = limits.websocket_idle.value.unwrap_or(default.idle);
    if ping < idle {
        return Ok(WebSocketSettings { ping, idle, ..default });
    }
    let message = format!(
        "`server.limits.websocket_ping` ({}) is not shorter than `websocket_idle` ({}): no socket would get a ping",
        humantime::format_duration(ping),
        humantime::format_duration(idle)
    );
    let key = "server.limits.websocket_ping";
    let setting = match limits.websocket_ping.value {
        Some(_) => &limits.websocket_ping,
        None => &limits.websocket_idle,
    };
    let fault = Fault::usage("BOT-6241", message)
        .hint("set `websocket_ping` to a fraction of `websocket_idle`, such as `30s` and `1h`");
    Err(named(workspace, key, setting, &fault))
}

/// Returns the limits of batches of lines.
fn batches(workspace: &Workspace) -> BatchSettings {
    let (limits, default) = (&workspace.limits, BatchSettings::default());
    BatchSettings {
        bytes: limits.batch_bytes.value.map_or(default.bytes, u64::from),
        lines: limits.batch_lines.value.map_or(default.lines, u64::from),
        wait: limits.batch_wait.value.unwrap_or(default.wait),
    }
}

/// Returns the settings that weaken the protection of a server without being wrong.
pub(super) fn warnings(workspace: &Workspace) -> Vec<Finding> {
    let (key, setting) = ("server.trusted_proxies", &workspace.trusted_proxies);
    let everything =
        setting.value.iter().enumerate().filter(|(_, text)| {
            text.parse::<Network>().is_ok_and(|network| network.is_everything())
        });
    let warning = |(i, text): (usize, &String)| {
        let message = format!(
            "`{key}` trusts `{text}`: every client can send the address that its limits count"
        );
        let help = "name the addresses of your proxies alone, such as `10.0.0.0/8`";
        let place = workspace.place(&format!("{key}[{i}]"), setting);
        Finding::new("BOT-1166", Severity::Warning, message, help).at(place)
    };
    everything.map(warning).collect()
}

/// Returns the names by which clients may call the server: those of the flag and of the settings.
///
/// # Errors
/// `BOT-1094` (exit 2) one is not a host name.
pub(super) fn allowed_hosts(workspace: &Workspace, flags: &[String]) -> Result<Vec<String>> {
    let setting = &workspace.allowed_hosts;
    for name in &setting.value {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) {
            let shown = botops_text::display(name, 60);
            let fault = Fault::usage("BOT-1094", format!("`{shown}` is not a host name"))
                .hint("write a name without scheme, port and wildcards, such as `bots.example`");
            return Err(named(workspace, "server.allowed_hosts", setting, &fault));
        }
    }
    Ok(flags.iter().chain(&setting.value).cloned().collect())
}

fn list<T: FromStr<Err = Fault>>(
    workspace: &Workspace,
    key: &str,
    setting: &Setting<Vec<String>>,
) -> Result<Vec<T>> {
    setting
        .value
        .iter()
        .map(|text| text.parse().map_err(|fault| named(workspace, key, setting, &fault)))
        .collect()
}

fn rates(workspace: &Workspace, default: RateSpec) -> Result<RateSpec> {
    let limits = &workspace.request_limits;
    let of = |key: &str, setting: &Setting<Option<String>>, default: Option<Rate>| match &setting
        .value
    {
        None => Ok(default),
        Some(text) => rate(text).map_err(|fault| named(workspace, key, setting, &fault)),
    };
    let mut routes = default.routes;
    for (name, route) in &limits.routes.value {
        let in_words = |fault: &Fault| named(workspace, "limits.routes", &limits.routes, fault);
        if !ROUTES.contains(&name.as_str()) {
            let shown = botops_text::display(name, 40);
            let fault = Fault::usage("BOT-1093", format!("there is no route `{shown}`"))
                .hint("the routes are `predict`, `chat`, `feedback`, `search` and `channels`");
            return Err(in_words(&fault));
        }
        let of = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => rate(text).map_err(|fault| in_words(&fault)),
        };
        let rates = RouteRates { per_caller: of(&route.per_caller)?, total: of(&route.total)? };
        if rates != RouteRates::default() {
            routes.insert(name.clone(), rates);
        }
    }
    Ok(RateSpec {
        per_key: of("limits.per_key", &limits.per_key, default.per_key)?,
        per_address: of("limits.per_address", &limits.per_address, default.per_address)?,
        per_conversation: of(
            "limits.per_conversation",
            &limits.per_conversation,
            default.per_conversation,
        )?,
        routes,
    })
}

/// Reads a rate; `None` for `off`.
fn rate(text: &str) -> Result<Option<Rate>> {
    match text {
        "off" => Ok(None),
        text => text.parse().map(Some),
    }
}

fn shared(workspace: &Workspace) -> Result<Option<SharedSettings>> {
    let limits = &workspace.request_limits;
    let on_failure = match limits.on_shared_failure.value.as_deref() {
        None | Some("local") => OnSharedFailure::Local,
        Some("refuse") => OnSharedFailure::Refuse,
        Some(other) => {
            let shown = botops_text::display(other, 40);
            let fault = Fault::usage(
                "BOT-1093",
                format!("`{shown}` is neither `local` nor `refuse`"),
            )
            .hint("`local` goes on with the limits of each server alone, `refuse` answers 503");
            return Err(named(
                workspace,
                "limits.on_shared_failure",
                &limits.on_shared_failure,
                &fault,
            ));
        }
    };
    let location = limits.shared.value.resolve()?;
    Ok(location.map(|location| SharedSettings { location, on_failure }))
}

fn sizes(workspace: &Workspace) -> Result<Sizes> {
    let limits = &workspace.request_limits;
    let number =
        |key: &str, setting: &Setting<Option<usize>>, default: usize, most: usize| match setting
            .value
        {
            None => Ok(default),
            Some(number) if (1..=most).contains(&number) => Ok(number),
            Some(number) => {
                let fault =
                    Fault::usage("BOT-1093", format!("{number} is not between 1 and {most}"))
                        .hint(format!("leave it out for the default, {default}"));
                Err(named(workspace, key, setting, &fault))
            }
        };
    let default = Sizes::default();
    let body = |(name, route): (&String, &RouteLimitsSpec)| {
        let text = route.max_body.as_ref()?;
        let size =
            bytes(text).map_err(|fault| named(workspace, "limits.routes", &limits.routes, &fault));
        Some(size.map(|size| (name.clone(), size)))
    };
    Ok(Sizes {
        depth: depth(limits, workspace)?,
        body_bytes: limits.routes.value.iter().filter_map(body).collect::<Result<_>>()?,
        texts: number("limits.max_texts", &limits.max_texts, default.texts, MOST_TEXTS)?,
        text_chars: number(
            "limits.max_text_chars",
            &limits.max_text_chars,
            default.text_chars,
            MOST_CHARS,
        )?,
    })
}

/// Returns the most objects and lists in each other that a body may have.
fn depth(limits: &RequestLimits, workspace: &Workspace) -> Result<usize> {
    let setting = &limits.max_json_depth;
    let default = Sizes::default().depth;
    match setting.value {
        None => Ok(default),
        Some(depth) if DEPTHS.contains(&depth) => Ok(depth),
        Some(depth) => {
            let (least, most) = (DEPTHS.start(), DEPTHS.end());
            let message = format!("{depth} is not between {least} and {most}");
            let fault = Fault::usage("BOT-1093", message)
                .hint(format!("leave it out for the default, {default}"));
            Err(named(workspace, "limits.max_json_depth", setting, &fault))
        }
    }
}

/// Reads a number of bytes, such as `65536`, `64KiB` or `1MiB`.
fn bytes(text: &str) -> Result<usize> {
    let (digits, unit) = match (text.strip_suffix("KiB"), text.strip_suffix("MiB")) {
        (Some(digits), _) => (digits, 1 << 10),
        (_, Some(digits)) => (digits, 1 << 20),
        _ => (text, 1),
    };
    let number: Option<usize> = digits.trim().parse().ok();
    let size = number.and_then(|number| number.checked_mul(unit));
    size.filter(|size| (1..=LARGEST_BODY).contains(size)).ok_or_else(|| {
        let shown = botops_text::display(text, 40);
        Fault::usage("BOT-1093", format!("`{shown}` is not a size of a body")).hint(
            "write a number of bytes, such as `65536`, `64KiB` or `1MiB`; the largest is `16MiB`",
        )
    })
}

fn max_queue_delay(workspace: &Workspace) -> Result<Duration> {
    let setting = &workspace.request_limits.max_queue_delay;
    let Some(text) = &setting.value else { return Ok(MAX_QUEUE_DELAY) };
    let time = humantime::parse_duration(text).ok();
    time.filter(|time| !time.is_zero() && *time <= LONGEST_WAIT).ok_or_else(|| {
        let shown = botops_text::display(text, 40);
        let fault = Fault::usage("BOT-1093", format!("`{shown}` is not a time of at most 30 s"))
            .hint("write a number and a unit, such as `250ms`");
        named(workspace, "limits.max_queue_delay", setting, &fault)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_workspace::Overrides;
    use std::fs;

    fn of_yaml(yaml: &str, listen: &str) -> Result<PublicSettings> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("botops.yaml"), yaml).unwrap();
        let workspace = Workspace::discover(folder.path(), &Overrides::default()).unwrap();
        allowed_hosts(&workspace, &[])?;
        of(&workspace, listen.parse().unwrap())
    }

    #[test]
    fn a_laptop_has_no_rates_and_a_server_on_the_internet_has() {
        let laptop = of_yaml("", "127.0.0.1:8080").unwrap();
        assert_eq!(laptop.rates, RateSpec::default());
        assert_eq!(of_yaml("", "0.0.0.0:8080").unwrap().rates, RateSpec::of_the_internet());
        let proxied = of_yaml("server: {trusted_proxies: [127.0.0.1]}", "127.0.0.1:8080").unwrap();
        assert_eq!(proxied.rates, RateSpec::of_the_internet(), "a proxy is in front of it");
    }

    #[test]
    fn each_rate_replaces_its_default_and_off_removes_it() {
        let yaml = "limits: {per_key: 7/s, per_address: off, routes: {chat: {total: 9/m, max_body: 1KiB}}}";
        let found = of_yaml(yaml, "[::]:8080").unwrap();
        assert_eq!(found.rates.per_key, Some(Rate::per_second(7)));
        assert_eq!(found.rates.per_address, None);
        assert_eq!(found.rates.per_conversation, RateSpec::of_the_internet().per_conversation);
        assert_eq!(found.rates.routes["chat"].total.unwrap().to_string(), "9/m");
        assert_eq!(found.sizes.body_bytes["chat"], 1_024);
        assert_eq!(found.sizes.depth, Sizes::default().depth);
        let deep = of_yaml("limits: {max_json_depth: 64}", "[::]:8080").unwrap();
        assert_eq!(deep.sizes.depth, 64);
        assert!(of_yaml(yaml, "127.0.0.1:1").unwrap().rates.per_key.is_some(), "as it is written");
    }

    #[test]
    fn a_setting_that_cannot_be_used_is_named_with_its_line() {
        for (yaml, code, shown) in [
            (
                "server: {limits: {websocket_ping: 10m, websocket_idle: 5m}}",
                "BOT-6241",
                "`server.limits.websocket_ping` (botops.yaml:1): `server.limits.websocket_ping` (10m) is not shorter than `websocket_idle` (5m)",
            ),
            ("limits:\n  per_key: fast\n", "BOT-1093", "`limits.per_key` (botops.yaml:2): `fast`"),
            ("limits: {routes: {lookup: {total: 1/s}}}", "BOT-1093", "no route `lookup`"),
            ("limits: {routes: {chat: {total: 1}}}", "BOT-1093", "`1` is not a rate"),
            ("limits: {routes: {chat: {max_body: 64kb}}}", "BOT-1093", "`64kb`"),
            ("limits: {routes: {chat: {max_body: 17MiB}}}", "BOT-1093", "`17MiB`"),
            ("limits: {max_texts: 0}", "BOT-1093", "between 1 and 65536"),
            ("limits: {max_text_chars: 1048577}", "BOT-1093", "between 1 and 1048576"),
            ("limits: {max_json_depth: 7}", "BOT-1093", "between 8 and 120"),
            ("limits: {max_queue_delay: 31s}", "BOT-1093", "at most 30 s"),
            ("limits: {on_shared_failure: ignore}", "BOT-1093", "neither `local` nor `refuse`"),
            ("server: {trusted_proxies: [10.0.0.1/8]}", "BOT-1094", "bits beyond"),
            ("server: {cors: {origins: ['*']}}", "BOT-1094", "every web site"),
            ("server: {allowed_hosts: ['https://a.example']}", "BOT-1094", "not a host name"),
        ] {
            let fault = of_yaml(yaml, "127.0.0.1:8080").unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), (code, 2), "{yaml}");
            assert!(fault.message().contains(shown), "{yaml}: {fault}");
            let line = if yaml.contains('\n') { 2 } else { 1 };
            assert_eq!(fault.place().line, Some(line), "{yaml}");
            let file = fault.place().file.as_deref().unwrap();
            assert!(
                file.ends_with("botops.yaml") && !fault.hints().is_empty(),
                "{yaml}: {fault:?}"
            );
        }
    }

    #[test]
    fn a_trusted_proxy_that_is_everyone_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let warnings_of = |networks: &str| {
            let yaml = format!("server:\n  trusted_proxies:\n  - 10.0.0.0/8\n  - {networks}\n");
            fs::write(folder.path().join("botops.yaml"), yaml).unwrap();
            let workspace = Workspace::discover(folder.path(), &Overrides::default()).unwrap();
            of(&workspace, "0.0.0.0:8080".parse().unwrap()).unwrap();
            warnings(&workspace)
        };
        for all in ["0.0.0.0/0", "'::/0'"] {
            let found = warnings_of(all);
            assert_eq!((found.len(), &*found[0].code), (1, "BOT-1166"), "{found:?}");
            assert_eq!(found[0].place.line, Some(4), "{found:?}");
        }
        assert!(warnings_of("192.0.2.0/24").is_empty());
    }

    #[test]
    fn a_location_with_a_password_comes_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("redis");
        fs::write(&secret, "redis://:secret@127.0.0.1\n").unwrap();
        let yaml = format!(
            "limits: {{shared: '${{file:{}}}', on_shared_failure: refuse}}",
            secret.display()
        );
        let shared = of_yaml(&yaml, "127.0.0.1:8080").unwrap().shared.unwrap();
        assert_eq!(shared.location.expose(), "redis://:secret@127.0.0.1");
        assert_eq!(shared.on_failure, OnSharedFailure::Refuse);
    }
}
