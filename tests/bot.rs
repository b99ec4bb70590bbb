//! `examples/bot.rs` against the real server.

#[path = "../examples/bot.rs"]
#[expect(dead_code, reason = "its command line")]
mod bot;

use std::thread;

use hobnob::client::Exit;
use support::{Cable, Server, password};

#[test]
fn it_answers_each_direct_message_over_lost_connections_until_the_server_stops() {
    let mut server = Server::start(&["resume_grace_secs=60"]);
    let cable = Cable::to(server.port);
    let address = format!("127.0.0.1:{}", cable.port);
    let mut hans = server.user("hans");
    hans.ok("message yoda it waited");
    let bot = thread::spawn(move || bot::run(&address, "yoda", password("yoda")));
    assert_eq!(hans.message("it waited")["from"], "yoda");
    for text in ["it came", " spaces  and ü ", "before the cut"] {
        hans.ok(&format!("message yoda {text}"));
        assert_eq!(hans.message(text)["kind"], "direct");
    }
    cable.cut();
    hans.ok("message yoda after the cut");
    hans.message("after the cut");
    hans.ok("broadcast to all");
    hans.has_not("an echo of a broadcast", |object| object["text"] == "to all");
    server.stop();
    assert_eq!(bot.join().expect("a bot"), Exit::ServerLost);
}
