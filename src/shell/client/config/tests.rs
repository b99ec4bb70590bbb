use super::*;
use crate::client::AcceptPrivate;

fn chosen(
    file: &str,
    environment: &[(&str, &str)],
    given: &[(&'static str, &str)],
) -> Result<Chosen, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("client.toml");
    fs::write(&path, file).expect("writes");
    let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let given = given.iter().map(|(key, value)| Given {
        option: format!("--{key}"),
        key,
        value: (*value).to_owned(),
    });
    let sources = Sources { given: given.collect(), environment, file: Some(path) };
    let folder = folder.path().to_string_lossy().into_owned();
    sources.load().map_err(|error| error.to_string().replace(&format!("{folder}/"), ""))
}

#[test]
fn options_win_over_environment_over_file_over_default() {
    let file =
        "# mine\nserver = \"example.org\"\nuser = \"hans\"\nreconnect = 30\n\naccept_private = \"auto\"\n";
    let environment =
        [("HOBNOB_USER", "luke"), ("HOBNOB_RECONNECT", "20"), ("HOBNOB_PORT", "x"), ("HOBNOB_PATH", "")];
    let chosen = chosen(file, &environment, &[("reconnect", "10")]).expect("is good");
    let config = &chosen.config;
    assert_eq!(config.server.to_string(), "example.org:4000");
    assert_eq!(config.user.as_deref(), Some("luke"));
    assert_eq!(config.reconnect, Some(10));
    assert_eq!(config.accept_private, AcceptPrivate::Auto);
    let origin = |name| chosen.origin(Key::named(name).expect("a key"));
    assert!(matches!(origin("accept_private"), Origin::File(_, 6)));
    assert_eq!(origin("user"), Origin::Environment("HOBNOB_USER".into()));
    assert_eq!(origin("reconnect"), Origin::Option("--reconnect".into()));
    assert_eq!(origin("path"), Origin::Default);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (file, message) in [
        ("user = \"a\"\nbel = \"never\"\n", "client.toml:2: unknown key \"bel\"; hobnob config lists them"),
        (
            "\ntimestamps = \"never\"",
            "client.toml:2: \"never\" is no value for timestamps (it takes off, time, full)",
        ),
        (
            "user = \"a\"\n[path]\nx = 1",
            "client.toml:2: \"{…}\" is no value for path (it takes direct, auto, relay)",
        ),
        ("[chat]\nuser = \"a\"", "client.toml:1: unknown key \"chat\"; hobnob config lists them"),
        (
            "reconnect = 1.5",
            "client.toml:1: \"1.5\" is no value for reconnect (it takes a number of seconds)",
        ),
    ] {
        assert_eq!(chosen(file, &[], &[]).expect_err("is bad"), message);
    }
    let torn = chosen("user = \"a\"\nserver = ", &[], &[]).expect_err("is bad");
    assert!(torn.starts_with("client.toml:2: "), "{torn}");
    let variable = chosen("", &[("HOBNOB_TIMESTAMPS", "on")], &[]).expect_err("is bad");
    assert!(variable.starts_with("environment variable HOBNOB_TIMESTAMPS: \"on\" is no value"), "{variable}");
    let option = chosen("", &[], &[("private_bind", "x")]).expect_err("is bad");
    assert!(
        option.starts_with("--private_bind: \"x\" is no value for private_bind (it takes an IP"),
        "{option}"
    );
}

#[test]
fn a_file_that_is_not_there_says_nothing() {
    let sources = Sources { file: Some("/nonexistent/client.toml".into()), ..Sources::default() };
    assert_eq!(sources.load().expect("is good").config, Config::default());
}
