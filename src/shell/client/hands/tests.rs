use super::super::reach::Security;
use super::super::samples;
use super::super::screen::{Face, Sheet};
use super::super::server_address::ServerAddress;
use super::*;
use crate::client::Mark;
use crate::client::view::MessageKind;
use crate::shell::platform::WallClock;
use crate::time::Time;
use crate::words::{MessageId, Name};

const USER: &str = "hans";

/// Hands with an open state folder, whose screen shows nothing until the test says so.
fn hands(states: &tempfile::TempDir) -> (Hands, std::sync::mpsc::Receiver<Sheet>) {
    let (urgent, _) = async_channel::unbounded();
    let (inbox, _) = async_channel::unbounded();
    let (peer_inbox, _) = async_channel::unbounded();
    let (door, _) = async_channel::unbounded();
    let (linked, _) = async_channel::bounded(1);
    let (sheets, waiting) = std::sync::mpsc::channel();
    let platform = System::new(WallClock::starting_after(Time::ZERO));
    let server = ServerAddress { host: "localhost".into(), port: 4000 };
    let mut hands = Hands {
        places: Places {
            server,
            state: Ok(states.path().into()),
            private_bind: None,
            private_port: None,
            security: Security::PLAINTEXT,
        },
        platform,
        executor: Rc::default(),
        heap: Heap::keep_small(&platform, &LocalExecutor::new()),
        keyboard: Keyboard::pipe(urgent.clone(), 4_096).expect("a thread"),
        urgent,
        inbox,
        peer_inbox,
        door,
        linked,
        screen: Screen::new(Face::Json, sheets),
        alarm: Alarm::new(&platform),
        server: Server::default(),
        peers: Peers::of(None),
        router: None,
        folder: Folder::default(),
        log: None,
        exit: None,
        notes_failed: false,
    };
    hands.keep_folder(open(states).expect("nobody else has it"));
    (hands, waiting)
}

fn open(states: &tempfile::TempDir) -> Result<StateFolder, Refusal> {
    StateFolder::open(states.path(), "localhost:4000", USER).map(|(folder, _)| folder)
}

fn is_in_use(states: &tempfile::TempDir) -> bool {
    matches!(open(states), Err(Refusal::InUse(_)))
}

fn notes(states: &tempfile::TempDir) -> String {
    let journal = states.path().join("localhost_4000").join(USER).join("journal");
    std::fs::read_to_string(journal).expect("a journal")
}

fn deliver(hands: &mut Hands, sequence: u64) {
    let id = MessageId { boot: 1, number: sequence };
    let mark = Mark { from: Name::new("luke").expect("a name"), id, origin: None };
    let view = View::Message(samples::message(MessageKind::Direct, "luke", "hello"));
    hands.carry_out(Effect::Deliver { sequence, mark: Some(&mark), view: &view });
    hands.finish_turn();
}

/// A sheet with the message of this number is on the screen.
fn printed(upto: u64) -> Printed {
    Printed { bytes: 1, noted: 1, upto: Some(upto) }
}

#[test]
fn a_state_folder_stays_open_until_all_that_is_being_shown_is_noted() {
    let states = tempfile::tempdir().expect("a folder");
    let (mut hands, sheets) = hands(&states);
    deliver(&mut hands, 1);
    deliver(&mut hands, 2);
    hands.carry_out(Effect::CloseState);
    hands.finish_turn();
    assert_eq!(sheets.try_iter().count(), 2, "the screen has both, and shows none yet");
    let showing = "run\nshowing luke 1.1 -\nshowing luke 1.2 -\n";
    assert!(is_in_use(&states) && notes(&states) == showing, "{}", notes(&states));
    assert_eq!(hands.printed(printed(1)), Some(1));
    assert!(is_in_use(&states) && notes(&states) == format!("{showing}shown 1\n"), "{}", notes(&states));
    assert_eq!(hands.printed(printed(2)), Some(2));
    assert_eq!(notes(&states), format!("{showing}shown 1\nshown 1\nclosed\n"));
    assert!(open(&states).is_ok(), "the next session may have it");
}

#[test]
fn the_next_session_has_its_folder_after_what_is_being_shown() {
    let states = tempfile::tempdir().expect("a folder");
    let (mut hands, _sheets) = hands(&states);
    deliver(&mut hands, 1);
    hands.carry_out(Effect::CloseState);
    hands.carry_out(Effect::OpenState { user: "yoda" });
    while hands.executor.try_tick() {}
    assert!(!states.path().join("localhost_4000/yoda").exists());
    hands.printed(printed(1));
    assert!(notes(&states).ends_with("shown 1\nclosed\n"), "{}", notes(&states));
    while hands.executor.try_tick() {}
    assert!(states.path().join("localhost_4000/yoda/journal").exists());
}
