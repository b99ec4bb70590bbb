use super::*;
use crate::client::{AcceptPrivate, Bell, MapPort, Way};
use crate::words::Fingerprint;
use std::path::Path;

fn parse(words: &str) -> Result<Options, UsageError> {
    let words = ["hobnob"].into_iter().chain(words.split_whitespace()).map(OsString::from);
    Options::parse_with(words, &Sources::default())
}

#[test]
fn words_and_the_option_name_the_server() {
    for (words, server) in [
        ("", "127.0.0.1:4000"),
        ("5000", "127.0.0.1:5000"),
        ("example.org", "example.org:4000"),
        ("example.org 5000", "example.org:5000"),
        ("--server example.org", "example.org:4000"),
        ("--server send", "send:4000"),
        ("sending", "sending:4000"),
    ] {
        let options = parse(&format!("--plaintext {words}")).expect("is good");
        assert_eq!(options.places.server.to_string(), server);
    }
    assert!(matches!(parse("--plaintext a b"), Err(UsageError::NoServer(_))));
    assert!(matches!(parse("--plaintext a 1 2"), Err(UsageError::NoServer(_))));
    assert!(matches!(parse("--plaintext a --server b"), Err(UsageError::Contradiction(..))));
    assert!(matches!(parse("--plaintext --server a:b"), Err(UsageError::Config(_))));
    for words in ["--json send yoda hi", "--user hans config"] {
        assert!(matches!(parse(words), Err(UsageError::NotFirst(_))), "{words}");
    }
}

#[test]
fn options_become_settings() {
    let options = parse(
        "--plaintext --json --user hans --state /tmp/s --accept-private never --private-bind 10.0.0.1 \
         --private-advertise 1.2.3.4:5000 --path direct --reconnect 0 --retry-login",
    )
    .expect("is good");
    assert!(options.json);
    assert_eq!(options.places.state.as_deref(), Ok(Path::new("/tmp/s")));
    assert_eq!(options.places.private_bind, Some([10, 0, 0, 1].into()));
    let wanted = Settings {
        user: Some("hans".into()),
        accept_private: AcceptPrivate::Never,
        reconnect_secs: Some(0),
        retry_login: true,
        bell: Bell::Mention,
        new_after_secs: 300,
        private_advertise: Some(([1, 2, 3, 4], 5000).into()),
        map_port: MapPort::Auto,
        path: Way::Direct,
        ..Settings::default()
    };
    assert_eq!(options.settings, wanted);
}

#[test]
fn whom_to_trust_is_said_in_one_way() {
    let word = Fingerprint([7; 32]).to_string();
    let key = Fingerprint([7; 32]);
    for (words, demand) in [
        ("".to_owned(), Demand::Pin),
        ("--plaintext".into(), Demand::Plaintext),
        (format!("--fingerprint {word}"), Demand::Key(key)),
        ("trust h:1".into(), Demand::Accept(None)),
        (format!("trust h:1 --fingerprint {word}"), Demand::Accept(Some(key))),
    ] {
        assert_eq!(parse(&words).expect("is good").places.security.demand, demand, "{words}");
    }
    for words in [
        &format!("--plaintext --fingerprint {word}"),
        "--ca f --plaintext",
        "trust h:1 --plaintext",
        "trust h:1 --ca f",
    ] {
        assert!(matches!(parse(words), Err(UsageError::Contradiction(..))), "{words}");
    }
    assert!(matches!(parse("--fingerprint SHA256:x"), Err(UsageError::Fingerprint(..))));
    assert!(matches!(parse("--ca /nonexistent"), Err(UsageError::Authorities { .. })));
    assert_eq!(parse("--path relay").expect("is good").settings.path, Way::Relay);
    assert_eq!(parse("").expect("is good").settings.path, Way::Auto);
    assert!(matches!(parse("trust"), Err(UsageError::NoServer(_))));
}
