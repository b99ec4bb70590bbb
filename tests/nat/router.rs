//! Routers that pass on what clients ask them for: miniupnpd.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use support::PATIENCE;

use super::network::Kind;

/// What miniupnpd fills in.
pub(crate) const PASSED_ON: &str = "table inet miniupnpd {\n \
     chain forward { }\n chain passed { }\n chain back { }\n \
     chain into {\n type nat hook prerouting priority -100;\n jump passed\n }\n \
     chain out {\n type nat hook postrouting priority 90;\n jump back\n }\n}\n";

/// Runs until it is dropped.
pub(crate) struct Router {
    number: usize,
    running: Child,
}

impl Router {
    /// The router of a network, if it takes requests.
    pub(crate) fn of(number: usize, kind: Kind) -> Option<Router> {
        let (upnp, pcp) = match kind {
            Kind::Upnp => ("yes", "no"),
            Kind::Pcp => ("no", "yes"),
            Kind::Open4
            | Kind::Cone
            | Kind::Restricted
            | Kind::Symmetric
            | Kind::Forwarded
            | Kind::Firewall4
            | Kind::Open6
            | Kind::Firewall6 => return None,
        };
        let config = format!(
            "ext_ifname=wan\nlistening_ip=lan\nenable_upnp={upnp}\nenable_natpmp={pcp}\nsecure_mode=yes\n\
             uuid=00000000-0000-4000-8000-{number:012}\n\
             upnp_table_name=miniupnpd\nupnp_nat_table_name=miniupnpd\nupnp_forward_chain=forward\n\
             upnp_nat_chain=passed\nupnp_nat_postrouting_chain=back\n\
             allow 1024-65535 192.168.1.0/24 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n"
        );
        let (file, noted) = (format!("/run/router{number}.conf"), format!("/run/router{number}.pid"));
        fs::write(&file, config).expect("a file");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("r{number}"), "miniupnpd", "-d", "-f", &file, "-P", &noted]);
        let running = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        Some(Router { number, running })
    }

    /// Waits until it hears requests.
    pub(crate) fn wait(&self) {
        self.until("hears requests", &["ss", "-Huln"], |sockets| {
            sockets.contains(":1900 ") || sockets.contains(":5351 ")
        });
    }

    /// Waits until it passes a port on.
    pub(crate) fn wait_for_mapping(&self) {
        self.until("passes a port on", &["nft", "list", "chain", "inet", "miniupnpd", "passed"], |rules| {
            rules.contains("dnat")
        });
    }

    /// Waits until it passes nothing on.
    pub(crate) fn wait_for_end_of_mapping(&self) {
        self.until("passes nothing on", &["nft", "list", "chain", "inet", "miniupnpd", "passed"], |rules| {
            !rules.contains("dnat")
        });
    }

    fn until(&self, what: &str, words: &[&str], holds: impl Fn(&str) -> bool) {
        let began = Instant::now();
        loop {
            let mut command = Command::new("ip");
            let said = command.args(["netns", "exec", &format!("r{}", self.number)]).args(words).output();
            let said = said.expect("it runs").stdout;
            if holds(&String::from_utf8_lossy(&said)) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "router {} never {what}", self.number);
        }
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}
