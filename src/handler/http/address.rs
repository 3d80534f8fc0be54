//! Where a request may go: a URL from a configuration must not reach what only this machine can reach, such as a cloud's
//! metadata service, unless the route says so.
//!
//! A name is looked up anew for every connection, and the very addresses that were looked at are connected to: a name that
//! answers differently the second time gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;

use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Where a request may not go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is {address}, which is private: set `allow_private = true` on the route if that is meant")]
pub struct Forbidden {
    host: String,
    address: IpAddr,
}

/// Networks that are not the public internet (IANA's special-purpose registries, multicast included).
static PRIVATE_V4: LazyLock<Vec<Ipv4Net>> = LazyLock::new(|| {
    networks(&[
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    ])
});

/// The only part of IPv6 that is routed, and what inside it is not public.
static PUBLIC_V6: LazyLock<Vec<Ipv6Net>> = LazyLock::new(|| networks(&["2000::/3"]));
static PRIVATE_V6: LazyLock<Vec<Ipv6Net>> =
    LazyLock::new(|| networks(&["2001::/23", "2001:db8::/32", "3fff::/20"]));

fn networks<N: std::str::FromStr>(texts: &[&str]) -> Vec<N> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// Whether an address is inside a network that strangers cannot reach. An address of IPv4 that is written as one of IPv6
/// (mapped, compatible, NAT64, 6to4) is what it stands for.
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => embedded(address).map_or_else(|| is_private_v6(address), is_private_v4),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    PRIVATE_V4.iter().any(|network| network.contains(&address))
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let within = |networks: &[Ipv6Net]| networks.iter().any(|network| network.contains(&address));
    !within(&PUBLIC_V6) || within(&PRIVATE_V6)
}

fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let pair = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(pair(high, low))
        }
        [0x2002, high, low, ..] => Some(pair(high, low)),
        _ => None,
    }
}

/// Whether a URL may be asked, as far as it can be told without looking its name up.
pub fn check(url: &Url) -> Result<(), String> {
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let private = literal.map_or_else(|_| is_local_name(host), is_private);
    if !private {
        return Ok(());
    }
    Err(format!("{host} is a private address: set `allow_private = true` on the route if that is meant"))
}

/// Whether a name is this machine's by convention (RFC 6761).
fn is_local_name(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// The public addresses of a name; it is an error if any of them is private.
pub async fn look_up(host: &str) -> std::io::Result<Result<Vec<SocketAddr>, Forbidden>> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
    let private = addresses.iter().map(SocketAddr::ip).find(|address| is_private(*address));
    Ok(match private {
        Some(address) => Err(Forbidden { host: host.to_owned(), address }),
        None => Ok(addresses),
    })
}

/// Resolves names, and refuses those that lead inside.
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Addrs = Box::new(look_up(name.as_str()).await??.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "64:ff9b:1::1",
        ] {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"]
        {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn every_spelling_of_an_inner_address_is_seen_through() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://localhost:8081/",
            "http://LOCALHOST./",
            "http://a.localhost/",
            "http://169.254.169.254/latest/meta-data",
            "http://10.0.0.7:80/",
        ] {
            assert!(check(&Url::parse(url).unwrap()).is_err(), "{url}");
        }
        for url in ["https://orders.example/", "http://1.1.1.1/", "https://localhost.example/"] {
            assert!(check(&Url::parse(url).unwrap()).is_ok(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused() {
        let forbidden = look_up("localhost").await.unwrap().unwrap_err();
        assert!(forbidden.to_string().contains("allow_private"), "{forbidden}");
    }
}
