//! How a person names a server.

use std::fmt;

/// The port of a server that is named by its host alone.
const PORT: u16 = 4000;

/// The host, a name or an address, and the port of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerAddress {
    pub(super) host: String,
    pub(super) port: u16,
}

impl ServerAddress {
    /// One word (`PORT`, `HOST` or `HOST:PORT`), or two (`HOST PORT`). `None`: they name no server.
    pub(super) fn read(words: &[&str]) -> Option<ServerAddress> {
        match words {
            [word] if is_number(word) => port(word).map(|port| ServerAddress::new("127.0.0.1", port)),
            [host] if is_host(host) => Some(ServerAddress::new(host, PORT)),
            [word] => {
                let (host, after) = word.rsplit_once(':')?;
                port(after).filter(|_| is_host(host)).map(|port| ServerAddress::new(host, port))
            }
            [host, after] => {
                let is_host = is_host(host) || host.parse::<std::net::Ipv6Addr>().is_ok();
                port(after).filter(|_| is_host).map(|port| ServerAddress::new(host, port))
            }
            _ => None,
        }
    }

    fn new(host: &str, port: u16) -> ServerAddress {
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        ServerAddress { host: inner.unwrap_or(host).to_ascii_lowercase(), port }
    }
}

/// On this machine.
impl Default for ServerAddress {
    fn default() -> ServerAddress {
        ServerAddress::new("127.0.0.1", PORT)
    }
}

/// `HOST:PORT`
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServerAddress { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn port(word: &str) -> Option<u16> {
    word.parse().ok().filter(|&port: &u16| port > 0 && is_number(word))
}

/// A name, an address, or one with colons in brackets.
fn is_host(word: &str) -> bool {
    let in_brackets = word.strip_prefix('[').and_then(|word| word.strip_suffix(']'));
    if let Some(inner) = in_brackets {
        return inner.contains(':');
    }
    word.starts_with(char::is_alphanumeric) && word.chars().all(|c| c.is_alphanumeric() || "-._".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_in_each_way() {
        for (words, server) in [
            (&["5000"][..], "127.0.0.1:5000"),
            (&["example.org"], "example.org:4000"),
            (&["chat"], "chat:4000"),
            (&["10.0.0.1"], "10.0.0.1:4000"),
            (&["example.org", "5000"], "example.org:5000"),
            (&["Example.org:5000"], "example.org:5000"),
            (&["[::1]"], "[::1]:4000"),
            (&["[::1]:5000"], "[::1]:5000"),
            (&["::1", "5000"], "[::1]:5000"),
            (&["[::1]", "5000"], "[::1]:5000"),
        ] {
            let read = ServerAddress::read(words).map(|server| server.to_string());
            assert_eq!(read.as_deref(), Some(server), "{words:?}");
        }
        assert_eq!(ServerAddress::default().to_string(), "127.0.0.1:4000");
    }

    #[test]
    fn what_names_no_server_is_refused() {
        let bad = [
            "", "0", "65536", "::1", "::1:4000", ":4000", "+80", "a:b", "-5", "-a", "a b", "a:", "a:0",
            "a/b", "[]", "[a]:1",
        ];
        for word in bad {
            assert_eq!(ServerAddress::read(&[word]), None, "{word}");
        }
        for words in [&["a", "b"][..], &["a", "+1"], &["a:1", "2"], &["", "1"], &["a", "1", "2"], &[]] {
            assert_eq!(ServerAddress::read(words), None, "{words:?}");
        }
    }
}
