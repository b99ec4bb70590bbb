//! Networks with routers and firewalls, made of network namespaces and nftables.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::router::PASSED_ON;

/// Where the server listens; its port is the same in both families.
pub(crate) const SERVER_4: &str = "192.0.2.2";
pub(crate) const SERVER_6: &str = "2001:db8:ffff::2";

/// The ports that clients in networks with NAT choose from, and how far away routers map them that keep no port.
const PORTS: std::ops::Range<u16> = 40_000..40_064;
const OUTSIDE: u16 = 10_000;

/// The port that the router of [`Kind::Forwarded`] passes on.
const FORWARDED: u16 = 7_000;

/// What is between a client and the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing: its address is public.
    Open4,
    /// NAT with one mapping for a port; whoever knows it comes in.
    Cone,
    /// NAT with one mapping for a port; only who was called from it comes in, from that port.
    Restricted,
    /// NAT with a mapping for each connection.
    Symmetric,
    /// The same, and one port is passed on, which the client declares.
    Forwarded,
    /// The same as [`Kind::Symmetric`], and the router passes on what clients ask it for, by UPnP.
    Upnp,
    /// The same by PCP.
    Pcp,
    /// A public address, and nothing comes in that nobody asked for.
    Firewall4,
    /// As [`Kind::Open4`], in IPv6.
    Open6,
    /// As [`Kind::Firewall4`], in IPv6.
    Firewall6,
}

/// All of them, in the order of the table.
const KINDS: [Kind; 10] = [
    Kind::Open4,
    Kind::Cone,
    Kind::Restricted,
    Kind::Symmetric,
    Kind::Forwarded,
    Kind::Upnp,
    Kind::Pcp,
    Kind::Firewall4,
    Kind::Open6,
    Kind::Firewall6,
];

/// Those that can be made here: the routers that take requests need miniupnpd.
pub(crate) fn kinds() -> Vec<Kind> {
    let tried =
        Command::new("miniupnpd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let can = |kind: &Kind| tried.is_ok() || !kind.takes_requests();
    KINDS.into_iter().filter(can).collect()
}

impl Kind {
    /// Its name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Open4 => "nothing",
            Kind::Cone => "full cone",
            Kind::Restricted => "port restricted",
            Kind::Symmetric => "symmetric",
            Kind::Forwarded => "symmetric, a port passed on",
            Kind::Upnp => "symmetric, UPnP",
            Kind::Pcp => "symmetric, PCP",
            Kind::Firewall4 => "firewall",
            Kind::Open6 => "nothing, IPv6",
            Kind::Firewall6 => "firewall, IPv6",
        }
    }

    /// Whether it has IPv6, and no IPv4.
    pub(crate) fn is_six(self) -> bool {
        matches!(self, Kind::Open6 | Kind::Firewall6)
    }

    /// Whether its router passes on what clients ask it for.
    pub(crate) fn takes_requests(self) -> bool {
        matches!(self, Kind::Upnp | Kind::Pcp)
    }

    fn translates(self) -> bool {
        let has_nat = matches!(self, Kind::Cone | Kind::Restricted | Kind::Symmetric | Kind::Forwarded);
        has_nat || self.takes_requests()
    }

    /// Where clients there reach the server.
    pub(crate) fn server(self) -> &'static str {
        if self.is_six() { SERVER_6 } else { SERVER_4 }
    }

    /// What its router is told by nft.
    fn rules(self) -> String {
        let stateful = "ct state established,related accept\n iifname \"lan\" accept";
        let forward = match self {
            Kind::Open4 | Kind::Open6 => "accept".to_owned(),
            Kind::Cone => format!(
                "iifname \"lan\" tcp flags syn add @called {{ tcp sport }}\n {stateful}\n tcp dport @called accept"
            ),
            Kind::Forwarded => format!("{stateful}\n tcp dport {FORWARDED} accept"),
            Kind::Upnp | Kind::Pcp => format!("{stateful}\n ct status dnat accept"),
            Kind::Restricted | Kind::Symmetric | Kind::Firewall4 | Kind::Firewall6 => stateful.to_owned(),
        };
        let mapping = |inside: bool| {
            let pair = |port: u16| match inside {
                true => format!("{} : {port}", port + OUTSIDE),
                false => format!("{port} : {}", port + OUTSIDE),
            };
            PORTS.map(pair).collect::<Vec<_>>().join(", ")
        };
        let out = match self {
            Kind::Cone | Kind::Restricted => "meta l4proto tcp snat ip to @outside : tcp sport map @mapping",
            Kind::Symmetric | Kind::Forwarded | Kind::Upnp | Kind::Pcp => "masquerade random,fully-random",
            Kind::Open4 | Kind::Open6 | Kind::Firewall4 | Kind::Firewall6 => "accept",
        };
        let into = match self {
            Kind::Cone => "iifname \"wan\" meta l4proto tcp dnat ip to 192.168.1.2 : tcp dport map @back",
            Kind::Forwarded => "iifname \"wan\" tcp dport @forwarded dnat ip to 192.168.1.2",
            Kind::Open4
            | Kind::Open6
            | Kind::Restricted
            | Kind::Symmetric
            | Kind::Upnp
            | Kind::Pcp
            | Kind::Firewall4
            | Kind::Firewall6 => "accept",
        };
        let out = out.replace("@mapping", &format!("{{ {} }}", mapping(false)));
        let into = into.replace("@forwarded", &FORWARDED.to_string());
        let into = into.replace("@back", &format!("{{ {} }}", mapping(true)));
        format!(
            "table inet filter {{\n \
             set called {{\n type inet_service\n flags dynamic\n size 1024\n }}\n \
             chain forward {{\n type filter hook forward priority 0; policy drop;\n {forward}\n }}\n \
             chain input {{\n type filter hook input priority 0; policy drop;\n \
             meta l4proto {{ icmp, ipv6-icmp }} accept\n udp dport 1900 accept\n iifname \"lan\" accept\n }}\n}}\n\
             table ip nat {{\n \
             chain out {{\n type nat hook postrouting priority 100;\n oifname \"wan\" {out}\n }}\n \
             chain into {{\n type nat hook prerouting priority -100;\n {into}\n }}\n}}\n"
        )
    }
}

/// The namespace of a client's network: those of the first half ask, those of the second are asked.
pub(crate) fn client(number: usize) -> String {
    format!("c{number}")
}

/// The network between a router and the others. miniupnpd gives no port of an address that is kept for documentation;
/// nothing leaves these namespaces.
fn between(kind: Kind) -> &'static str {
    if kind.takes_requests() { "5.5.5" } else { "198.51.100" }
}

/// The address of a network's router.
fn outside(number: usize, kind: Kind) -> String {
    format!("{}.{}", between(kind), 4 * number + 2)
}

/// What a client in a network is told of it.
pub(crate) fn options(number: usize, kind: Kind) -> Vec<String> {
    let options = [
        format!("--private-port={FORWARDED}"),
        format!("--private-advertise={}:{FORWARDED}", outside(number, kind)),
    ];
    options.into_iter().filter(|_| kind == Kind::Forwarded).collect()
}

/// Runs a script, which must succeed.
fn run(program: &str, words: &[&str], script: &str) {
    let mut command = Command::new(program);
    let mut child = command.args(words).stdin(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("its input").write_all(script.as_bytes()).expect("written");
    assert!(child.wait().expect("its end").success(), "{program} {words:?} fails:\n{script}");
}

/// Makes the networks and the server's; the routers between them are this namespace.
pub(crate) fn make(kinds: &[Kind]) {
    let mut script = String::from(
        "ip link set lo up\n\
         sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1\n\
         ip netns add s\n\
         ip link add s type veth peer name wan netns s\n\
         ip addr add 192.0.2.1/24 dev s\nip addr add 2001:db8:ffff::1/64 dev s nodad\nip link set s up\n\
         ip -n s link set lo up\n\
         ip -n s addr add 192.0.2.2/24 dev wan\nip -n s addr add 2001:db8:ffff::2/64 dev wan nodad\n\
         ip -n s link set wan up\n\
         ip -n s route add default via 192.0.2.1\nip -n s route add default via 2001:db8:ffff::1\n",
    );
    for (number, kind) in kinds.iter().enumerate() {
        script += &network(number, *kind);
    }
    run("sh", &["-e"], &script);
    for (number, kind) in kinds.iter().enumerate() {
        let rules = kind.rules().replace("@outside", &outside(number, *kind))
            + if kind.takes_requests() { PASSED_ON } else { "" };
        run("ip", &["netns", "exec", &format!("r{number}"), "nft", "-f", "-"], &rules);
    }
}

/// The first client leaves its network, and is in another one with a public address.
pub(crate) fn change_network() {
    let script = "ip -n c0 addr flush dev wan\n\
        ip -n r0 addr add 203.0.113.129/30 dev lan\n\
        ip route add 203.0.113.128/30 via 198.51.100.2\n\
        ip -n c0 addr add 203.0.113.130/30 dev wan\n\
        ip -n c0 route add default via 203.0.113.129\n";
    run("sh", &["-e"], script);
}

/// The first client's address is removed and put back, with the routes that go with it, as by a renewed lease.
pub(crate) fn renew_address() {
    let script = "ip -n c0 addr del 203.0.113.2/30 dev wan\n\
        ip -n c0 addr add 203.0.113.2/30 dev wan\n\
        ip -n c0 route add default via 203.0.113.1\n";
    run("sh", &["-e"], script);
}

/// The first client's address is removed.
pub(crate) fn remove_address() {
    run("sh", &["-e"], "ip -n c0 addr flush dev wan\n");
}

/// A client's network and its router.
fn network(number: usize, kind: Kind) -> String {
    let (r, c) = (format!("r{number}"), client(number));
    let mut script = String::new();
    let mut line = |words: String| writeln!(script, "{words}").expect("a string");
    line(format!("ip netns add {r}; ip netns add {c}"));
    line(format!("ip link add n{number} type veth peer name wan netns {r}"));
    line(format!("ip -n {r} link add lan type veth peer name wan netns {c}"));
    for (space, name) in [(&r, "lo"), (&c, "lo"), (&r, "wan"), (&r, "lan"), (&c, "wan")] {
        line(format!("ip -n {space} link set {name} up"));
    }
    line(format!("ip link set n{number} up"));
    let own_ports = format!("net.ipv4.ip_local_port_range='{} {}'", PORTS.start, PORTS.end - 1);
    line(format!("ip netns exec {c} sysctl -qw {own_ports}"));
    if kind.is_six() {
        line(format!("ip netns exec {r} sysctl -qw net.ipv6.conf.all.forwarding=1"));
        line(format!("ip addr add 2001:db8:{number}::1/64 dev n{number} nodad"));
        line(format!("ip -n {r} addr add 2001:db8:{number}::2/64 dev wan nodad"));
        line(format!("ip -n {r} addr add 2001:db8:1{number:03}::1/64 dev lan nodad"));
        line(format!("ip -n {c} addr add 2001:db8:1{number:03}::2/64 dev wan nodad"));
        line(format!("ip -n {r} route add default via 2001:db8:{number}::1"));
        line(format!("ip -n {c} route add default via 2001:db8:1{number:03}::1"));
        line(format!("ip route add 2001:db8:1{number:03}::/64 via 2001:db8:{number}::2"));
    } else {
        line(format!("ip netns exec {r} sysctl -qw net.ipv4.ip_forward=1"));
        let first = 4 * number;
        let public = format!("203.0.113.{first}/30");
        let (gateway, own) = if kind.translates() {
            ("192.168.1.1".to_owned(), "192.168.1.2/24".to_owned())
        } else {
            (format!("203.0.113.{}", first + 1), format!("203.0.113.{}/30", first + 2))
        };
        let length = own.rsplit('/').next().unwrap_or_default();
        let between = between(kind);
        line(format!("ip addr add {between}.{}/30 dev n{number}", first + 1));
        line(format!("ip -n {r} addr add {between}.{}/30 dev wan", first + 2));
        line(format!("ip -n {r} addr add {gateway}/{length} dev lan"));
        line(format!("ip -n {c} addr add {own} dev wan"));
        line(format!("ip -n {r} route add default via {between}.{}", first + 1));
        line(format!("ip -n {c} route add default via {gateway}"));
        if !kind.translates() {
            line(format!("ip route add {public} via {between}.{}", first + 2));
        }
    }
    script
}
