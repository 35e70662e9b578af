//! The address of a client, behind the proxies that the operator trusts.
//!
//! Anybody can send `X-Forwarded-For`. It counts only if the connection comes from a trusted proxy, and then only from its
//! right end: the address that the last trusted proxy saw. What a client wrote itself stands to the left of that.

use botops_findings::{Fault, Result};
use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// A network, such as `10.0.0.0/8`; an address alone is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Returns whether `address` is in the network. An IPv4 address in IPv6 notation counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                ours.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                ours.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl Network {
    /// Returns whether every address of its kind is in it: `0.0.0.0/0` or `::/0`.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.bits == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl FromStr for Network {
    type Err = Fault;

    /// # Errors
    /// `BOT-1094` (exit 2) if it is not a network, or has bits beyond its prefix.
    fn from_str(text: &str) -> Result<Self> {
        let fault = |why: &str| {
            let shown = botops_text::display(text, 60);
            Fault::usage("BOT-1094", format!("`{shown}` {why}"))
                .hint("write an address or a network, such as `10.0.0.0/8`, `192.0.2.7` or `2001:db8::/32`")
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| fault("is not a network"))?;
        if address != address.to_canonical() {
            return Err(fault("is an IPv4 address in IPv6 notation"));
        }
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text
                .parse()
                .ok()
                .filter(|bits| *bits <= most)
                .ok_or_else(|| fault("has no such prefix"))?,
            Some(_) => return Err(fault("has no such prefix")),
        };
        let network = Self { address, bits };
        let base = match address {
            IpAddr::V4(it) => it.to_bits().checked_shl(bits).unwrap_or(0) == 0,
            IpAddr::V6(it) => it.to_bits().checked_shl(bits).unwrap_or(0) == 0,
        };
        if !base {
            return Err(fault("has bits beyond its prefix"));
        }
        Ok(network)
    }
}

/// The proxies whose word about the address of a client counts.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// Trusts these networks.
    #[must_use]
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Returns whether no proxy is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether `address` is a trusted proxy.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Returns the address of the client whose request came over a connection from `peer`.
    ///
    /// `x_forwarded_for` and `forwarded` are the values of these headers, in order. From a peer that is not trusted, they
    /// are not read. The client is the right-most address that is not trusted; an entry that is no address, such as
    /// `unknown`, ends the search at the proxy that wrote it. If both headers are sent and name two clients, neither
    /// counts, because one of them passed a proxy that does not know it.
    #[must_use]
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        x_forwarded_for: impl Iterator<Item = &'a [u8]>,
        forwarded: impl Iterator<Item = &'a [u8]>,
    ) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.contains(peer) {
            return peer;
        }
        let of_list = self.rightmost(peer, &entries_of_list(x_forwarded_for));
        let of_pairs = self.rightmost(peer, &entries_of_pairs(forwarded));
        match (of_list, of_pairs) {
            (Some(client), None) | (None, Some(client)) => client,
            (Some(client), Some(other)) if client == other => client,
            _ => peer,
        }
    }

    /// Returns the right-most address of `entries` that is not trusted; `None` without entries.
    fn rightmost(&self, peer: IpAddr, entries: &[Option<IpAddr>]) -> Option<IpAddr> {
        let mut client = (!entries.is_empty()).then_some(peer)?;
        for entry in entries.iter().rev() {
            let Some(address) = entry else { break };
            client = *address;
            if !self.contains(client) {
                break;
            }
        }
        Some(client)
    }
}

/// Returns the entries of `X-Forwarded-For`; `None` for one that is no address.
fn entries_of_list<'a>(values: impl Iterator<Item = &'a [u8]>) -> Vec<Option<IpAddr>> {
    let values = values.map(|value| std::str::from_utf8(value).unwrap_or("?"));
    values.flat_map(|value| value.split(',')).map(address).collect()
}

/// Returns the `for` of each element of `Forwarded` (RFC 7239); `None` for one that is no address.
fn entries_of_pairs<'a>(values: impl Iterator<Item = &'a [u8]>) -> Vec<Option<IpAddr>> {
    let values = values.map(|value| std::str::from_utf8(value).unwrap_or("?"));
    let of_element = |element: &str| {
        element.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case("for").then(|| address(value))
        })
    };
    // A quoted string of an address has neither a comma nor a semicolon; one that has either is no address.
    values.flat_map(|value| value.split(',')).map(|element| of_element(element).flatten()).collect()
}

/// Reads an address, with or without a port, brackets and quotes.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(text);
    let unwrapped = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(text);
    let parsed = unwrapped.parse::<IpAddr>().ok();
    let parsed = parsed.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    parsed.map(|address| address.to_canonical())
}

/// Returns the address by which a client is limited: an IPv6 client by its /64, which is the least that a customer gets.
#[must_use]
pub fn limited_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn client(peer: &str, lists: &[&str], pairs: &[&str]) -> String {
        let networks =
            ["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.7"].map(|it| it.parse().unwrap());
        let proxies = TrustedProxies::new(networks.to_vec());
        let bytes = |values: &[&str]| -> Vec<Vec<u8>> {
            values.iter().map(|value| value.as_bytes().to_vec()).collect()
        };
        let (lists, pairs) = (bytes(lists), bytes(pairs));
        let found = proxies.client(
            ip(peer),
            lists.iter().map(Vec::as_slice),
            pairs.iter().map(Vec::as_slice),
        );
        found.to_string()
    }

    #[test]
    fn a_client_that_is_no_proxy_cannot_name_its_address() {
        assert_eq!(client("203.0.113.9", &["198.51.100.1"], &["for=198.51.100.1"]), "203.0.113.9");
        assert_eq!(client("::ffff:203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9");
        assert_eq!(client("192.0.2.8", &["198.51.100.1"], &[]), "192.0.2.8", "next to a proxy");
    }

    #[test]
    fn the_client_is_the_rightmost_address_that_is_not_trusted() {
        for (lists, expected) in [
            (&["198.51.100.1"][..], "198.51.100.1"),
            (&["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            (&["1.1.1.1", "198.51.100.1, 10.2.3.4"], "198.51.100.1"),
            (&["1.1.1.1, 198.51.100.1, 192.0.2.7,10.2.3.4"], "198.51.100.1"),
            (&["10.9.9.9, 10.2.3.4"], "10.9.9.9"),
            (&["198.51.100.1:4711"], "198.51.100.1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:198.51.100.1"], "198.51.100.1"),
            (&["1.1.1.1, unknown"], "10.0.0.1"),
            (&["1.1.1.1, unknown, 10.2.3.4"], "10.2.3.4"),
            (&["1.1.1.1,"], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", lists, &[]), expected, "{lists:?}");
        }
    }

    #[test]
    fn the_standard_header_is_read_as_well() {
        for (pairs, expected) in [
            (&["for=198.51.100.1"][..], "198.51.100.1"),
            (&["for=1.1.1.1, FOR=\"198.51.100.1:99\";proto=https;by=10.0.0.1"], "198.51.100.1"),
            (&["proto=http;for=\"[2001:db8::1]:4711\""], "2001:db8::1"),
            (&["for=1.1.1.1", "for=\"[2001:db8:ffff::1]\""], "1.1.1.1"),
            (&["for=1.1.1.1, for=_hidden"], "10.0.0.1"),
            (&["for=1.1.1.1, proto=http"], "10.0.0.1"),
            (&["for=1.1.1.1;x=\",for=2.2.2.2\""], "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", &[], pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn two_headers_that_disagree_name_nobody() {
        assert_eq!(client("10.0.0.1", &["198.51.100.1"], &["for=198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1"], &["for=1.1.1.1"]), "10.0.0.1");
    }

    #[test]
    fn a_network_is_read_or_refused() {
        for text in ["0.0.0.0/0", "10.0.0.0/8", "::/0", "2001:db8::/32"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains(ip("203.0.113.9")));
        assert!("::/0".parse::<Network>().unwrap().contains(ip("2001:db8::1")));
        assert!(!"::/0".parse::<Network>().unwrap().contains(ip("203.0.113.9")));
        let eight: Network = "10.0.0.0/8".parse().unwrap();
        assert!(eight.contains(ip("10.255.255.255")) && !eight.contains(ip("11.0.0.0")));
        for text in [
            "",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "a.example",
            "2001:db8::1/32",
            "::ffff:10.0.0.0/104",
        ] {
            assert_eq!(text.parse::<Network>().unwrap_err().code(), "BOT-1094", "{text}");
        }
    }

    #[test]
    fn a_client_of_ipv6_is_limited_by_its_network() {
        assert_eq!(limited_as(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
        assert_eq!(limited_as(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
        assert_eq!(limited_as(ip("192.0.2.1")), ip("192.0.2.1"));
    }
}
