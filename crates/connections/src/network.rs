//! The network of a peer: the unit by which clients are counted.

use std::net::{IpAddr, Ipv6Addr};

/// Returns the address by which a peer is counted: for IPv6 its /64 network, of which one host may have every address.
#[must_use]
pub fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        other => other,
    }
}
