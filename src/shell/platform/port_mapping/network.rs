//! The network that this machine is in, and its router, as the system's routing table has them.

use std::fs::File;
use std::io::Read as _;
use std::net::Ipv4Addr;

/// Where Linux has its routes. Numbers of a line are in hexadecimal, addresses in the byte order of the machine.
const ROUTES: &str = "/proc/net/route";
/// So much of them is read.
const ROUTES_BYTES: u64 = 1 << 18;
/// The mask of a network where the system does not tell: that of nearly all homes.
const USUAL_MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);

/// A network of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    own: Ipv4Addr,
    mask: Ipv4Addr,
    /// Where it leads further, if that is known. An address of the network.
    pub(super) router: Option<Ipv4Addr>,
}

/// A line of the table.
struct Route<'a> {
    interface: &'a str,
    to: Ipv4Addr,
    by: Ipv4Addr,
    mask: Ipv4Addr,
    metric: u32,
}

impl Network {
    /// That in which the machine has the address `own`; `None`: it has no routers that one may ask.
    pub(super) fn of(own: Ipv4Addr) -> Option<Network> {
        let mut table = String::new();
        match File::open(ROUTES).and_then(|file| file.take(ROUTES_BYTES).read_to_string(&mut table)) {
            Ok(_) => Network::in_table(&table, own),
            Err(_) => Some(Network { own, mask: USUAL_MASK, router: None }),
        }
    }

    fn in_table(table: &str, own: Ipv4Addr) -> Option<Network> {
        let routes: Vec<Route<'_>> = table.lines().skip(1).filter_map(Route::read).collect();
        let near = routes.iter().filter(|route| route.by.is_unspecified() && !route.mask.is_unspecified());
        let near = near.filter(|route| own & route.mask == route.to).max_by_key(|route| route.mask)?;
        let network = Network { own, mask: near.mask, router: None };
        let far = routes.iter().filter(|route| route.interface == near.interface && route.leads_out());
        let router = far.filter(|route| network.has(route.by)).min_by_key(|route| route.metric);
        Some(Network { router: router.map(|route| route.by), ..network })
    }

    /// Whether an address is that of another machine of this network.
    pub(super) fn has(&self, ip: Ipv4Addr) -> bool {
        ip & self.mask == self.own & self.mask && ip != self.own && ip.is_private()
    }

    /// Whether what this machine of the network says of mappings is heeded.
    pub(super) fn may_route(&self, ip: Ipv4Addr) -> bool {
        self.router.map_or_else(|| self.has(ip), |router| ip == router)
    }
}

impl<'a> Route<'a> {
    fn read(line: &'a str) -> Option<Route<'a>> {
        let words: Vec<&str> = line.split_whitespace().take(8).collect();
        let [interface, to, by, _, _, _, metric, mask] = words.as_slice() else { return None };
        let address = |word: &str| u32::from_str_radix(word, 16).ok().map(|word| word.to_ne_bytes().into());
        let metric = metric.parse().ok()?;
        Some(Route { interface, to: address(to)?, by: address(by)?, mask: address(mask)?, metric })
    }

    fn leads_out(&self) -> bool {
        self.to.is_unspecified() && self.mask.is_unspecified() && !self.by.is_unspecified()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of these routes: interface, destination, gateway, mask, metric.
    fn table(routes: &[(&str, &str, &str, &str, u32)]) -> String {
        let hex = |ip: &str| format!("{:08X}", u32::from_ne_bytes(ip.parse::<Ipv4Addr>().unwrap().octets()));
        let mut table = String::from("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n");
        for (interface, to, by, mask, metric) in routes {
            let (to, by, mask) = (hex(to), hex(by), hex(mask));
            table += &format!("{interface}\t{to}\t{by}\t0003\t0\t0\t{metric}\t{mask}\t0\t0\t0 \n");
        }
        table
    }

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    #[test]
    fn the_router_is_that_of_the_interface_that_the_server_is_reached_by() {
        let table = table(&[
            ("tun0", "0.0.0.0", "10.8.0.1", "0.0.0.0", 50),
            ("wlan0", "0.0.0.0", "192.168.1.1", "0.0.0.0", 600),
            ("wlan0", "0.0.0.0", "192.168.1.9", "0.0.0.0", 700),
            ("tun0", "10.8.0.0", "0.0.0.0", "255.255.255.0", 0),
            ("wlan0", "192.168.1.0", "0.0.0.0", "255.255.255.0", 600),
        ]);
        let network = Network::in_table(&table, ip("192.168.1.2")).unwrap();
        assert_eq!(network.router, Some(ip("192.168.1.1")));
        assert!(network.may_route(ip("192.168.1.1")) && !network.may_route(ip("192.168.1.9")));
        assert_eq!(Network::in_table(&table, ip("10.8.0.7")).unwrap().router, Some(ip("10.8.0.1")));
        assert_eq!(Network::in_table(&table, ip("172.16.0.7")), None);
    }

    #[test]
    fn a_router_outside_of_the_network_or_with_a_public_address_is_none() {
        let routes =
            |by, to, mask| table(&[("e", "0.0.0.0", by, "0.0.0.0", 0), ("e", to, "0.0.0.0", mask, 0)]);
        for (by, to, mask, own) in [
            ("192.168.2.1", "192.168.1.0", "255.255.255.0", "192.168.1.2"),
            ("192.168.1.2", "192.168.1.0", "255.255.255.0", "192.168.1.2"),
            ("203.0.113.1", "203.0.113.0", "255.255.255.0", "203.0.113.7"),
        ] {
            let network = Network::in_table(&routes(by, to, mask), ip(own)).unwrap();
            assert_eq!(network.router, None, "{by}");
            assert!(!network.may_route(ip(by)), "{by}");
        }
    }

    #[test]
    fn lines_that_are_no_routes_are_passed_over() {
        let mut table = table(&[("e", "192.168.1.0", "0.0.0.0", "255.255.255.0", 0)]);
        table = table.replace("Iface", "e x y\nIface") + "e\ne zz zz 0 0 0 0 zz\n";
        assert_eq!(Network::in_table(&table, ip("192.168.1.2")).unwrap().router, None);
        assert_eq!(Network::in_table("", ip("192.168.1.2")), None);
    }
}
