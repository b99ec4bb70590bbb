//! The screens in `docs/using.md` are those of a run. Times in them are set to one.

use std::path::Path;

use support::{Place, Server, Terminal};

/// Rows and columns.
const SIZE: (u16, u16) = (24, 80);

struct Screens(Vec<(&'static str, String)>);

impl Screens {
    /// The screen once this prompt is at its end.
    fn keep(&mut self, name: &'static str, terminal: &Terminal, prompt: &str) {
        terminal.sees_last(prompt);
        // On a busy machine a message may take longer than a second, and is then told of.
        let is_late = |row: &&String| row.starts_with("Your message to ") && row.contains(" been delivered");
        let rows = terminal.rows();
        let rows: Vec<String> =
            rows.iter().filter(|row| !is_late(row)).map(|row| without_date(row)).collect();
        self.0.push((name, rows.join("\n")));
    }
}

/// The same time in each row.
fn without_date(row: &str) -> String {
    let is_time = |time: &str| {
        time.len() == 6
            && time.bytes().enumerate().all(|(at, byte)| match at {
                2 => byte == b':',
                5 => byte == b' ',
                _ => byte.is_ascii_digit(),
            })
    };
    match row.split_at_checked(6) {
        Some((time, rest)) if is_time(time) => format!("14:02 {rest}"),
        _ if row.starts_with("── stored, ") => "── stored, Friday 20 November ──".into(),
        _ => row.to_owned(),
    }
}

fn enter(server: &Server, name: &str, options: &[&str]) -> Terminal {
    let mut terminal = Terminal::sized(&server.place, server.port, SIZE, options, &[]);
    terminal.log_in(name, "falcon");
    terminal
}

fn run() -> Screens {
    let mut screens = Screens(Vec::new());
    let mut server = Server::start_in(Place::of(&["hans", "leia", "luke", "yoda"]), &[]);
    let mut hans = enter(&server, "hans", &[]);
    let mut luke = enter(&server, "luke", &[]);
    hans.sees("luke logged in");
    hans.types("message luke lunch?\r");
    luke.sees_message("hans: lunch?");
    luke.types("reply at noon, behind the hangar\r");
    hans.sees_message("luke: at noon, behind the hangar");
    hans.types("message yoda the ship is ready\r");
    hans.sees("Your message to yoda has been stored: the ship is ready");
    screens.keep("talk", &hans, ">");

    let mut yoda = enter(&server, "yoda", &[]);
    yoda.sees_message("hans: the ship is ready");
    yoda.sees("── now ──");
    hans.sees("yoda logged in");
    luke.sees("yoda logged in");
    screens.keep("stored", &yoda, ">");

    yoda.types("create group jedi luke hans\r");
    hans.wait("the group", |rows| rows.iter().any(|row| row.contains("group jedi")));
    luke.wait("the group", |rows| rows.iter().any(|row| row.contains("group jedi")));
    yoda.sees("Group jedi created: hans, luke, yoda");
    yoda.types("to group jedi\r");
    yoda.sees_last("group jedi>");
    yoda.types("patience\r");
    luke.sees_message("yoda(group jedi): patience");
    hans.sees_message("yoda(group jedi): patience");
    yoda.types("/to luke\r");
    yoda.sees_last("luke>");
    yoda.types("and you: practise\r");
    luke.sees_message("yoda: and you: practise");
    yoda.types("//etc is a folder, this is a text\r");
    luke.sees_message("yoda: /etc is a folder, this is a text");
    yoda.sees("luke> //etc is a folder, this is a text");
    screens.keep("to", &yoda, "luke>");

    let mut leia = enter(&server, "leia", &["--highlight", "deploy*", "--new-after", "1"]);
    // What is shown is that time passes.
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    luke.types("broadcast the new version is deployed\r");
    leia.sees_message("* luke(all): the new version is deployed");
    luke.types("broadcast Leia, please have a look: https://chat.example.org/log\r");
    leia.sees_message("* luke(all): Leia, please have a look: https://chat.example.org/log");
    leia.types("message luke o");
    leia.sees("── 2 new ──");
    leia.sees_last("> message luke o");
    screens.keep("notice", &leia, "> message luke o");

    for (name, mut terminal) in [("leia", leia), ("luke", luke), ("yoda", yoda)] {
        terminal.types("\x15/logout\r");
        assert_eq!(terminal.end().0, 0);
        hans.sees(&format!("{name} logged out"));
    }
    hans.types("message luke o");
    hans.sees_last("> message luke o");
    server.stop();
    hans.sees_last("offline> message luke o");
    hans.types("n my way\r");
    hans.sees_last("offline, 1 queued>");
    hans.types("message yoda half a th");
    hans.sees_last("offline, 1 queued> message yoda half a th");
    server.start_again();
    hans.sees("Connected again");
    hans.sees_last("> message yoda half a th");
    hans.sees("Your message to luke has been stored: on my way");
    screens.keep("offline", &hans, "> message yoda half a th");
    screens
}

#[test]
fn the_screens_of_the_page_are_those_of_a_run() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/using.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let mut made = page.clone();
    for (name, rows) in run().0 {
        let begin = format!("<!-- screen {name} -->\n");
        let (before, rest) = made.split_once(&begin).expect("the screen's place");
        let (_, after) = rest.split_once("<!-- end -->").expect("its end");
        made = format!("{before}{begin}```text\n{rows}\n```\n<!-- end -->{after}");
    }
    if std::env::var_os("HOBNOB_WRITE").is_some() {
        std::fs::write(&path, made).expect("written");
    } else {
        assert_eq!(page, made, "the screens are old: `just using` makes them");
    }
}
