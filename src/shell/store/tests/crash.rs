//! A process that is killed while it stores.

use crate::record::Fact;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

const FOLDER: &str = "HOBNOB_TEST_VICTIM_FOLDER";

/// Not a test of its own: the process that is killed. Stores mail without end and says what is committed.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn victim() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut rig = Rig::open(Path::new(&folder));
    let boot = rig.recovery.boot;
    for number in 1.. {
        let mut mail = mail(number, "yoda", "a text that is to survive");
        mail.id.boot = boot;
        rig.persist(Record::MailStored { to: name("hans"), mail });
        if number % 7 == 0 {
            rig.persist(Record::Fact(Fact::MailRemoved {
                user: name("hans"),
                ids: vec![id(boot, number - 6)],
            }));
        }
        rig.handle.wake(START);
        if number % 5 == 0 {
            let upto = RecordNumber(rig.number);
            while rig.next() != (Answer::Committed { upto }) {}
            println!("\ncommitted {boot} {number}");
        }
    }
}

/// Runs the victim, kills it once it has confirmed `enough` messages; the last one it confirmed.
fn kill_after(folder: &Path, enough: u64) -> (u32, u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "shell::store::tests::crash::victim"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut last = (0, 0);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut confirmed = |lines: &mut dyn Iterator<Item = std::io::Result<String>>, enough: u64| {
        for line in lines {
            let line = line.unwrap();
            if let Some((boot, number)) =
                line.strip_prefix("committed ").and_then(|rest| rest.split_once(' '))
            {
                last = (boot.parse().unwrap(), number.parse().unwrap());
            }
            if last.1 >= enough {
                return;
            }
        }
    };
    confirmed(&mut lines, enough);
    child.kill().unwrap();
    // What it said before it died counts as well.
    confirmed(&mut lines, u64::MAX);
    assert!(!child.wait().unwrap().success());
    last
}

#[test]
fn what_was_committed_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    for (round, enough) in [(1, 60), (2, 5), (3, 200)] {
        let (boot, last) = kill_after(folder.path(), enough);
        assert_eq!(boot, round * 2 - 1);
        assert!(last >= enough);
        let report = super::super::check(folder.path()).unwrap();
        assert!(report.is_sound(), "{report}");
        let mut rig = Rig::open(folder.path());
        let (mail, more) = rig.page("hans", None, id(boot, 0), u32::MAX);
        assert!(!more);
        let found: Vec<u64> = mail.iter().map(|mail| mail.id.number).collect();
        let newest = *found.last().unwrap();
        assert!(newest >= last, "confirmed {last}, found {newest}");
        let expected: Vec<u64> = (1..=newest).filter(|n| n % 7 != 1 || n + 6 > newest).collect();
        // The removal of the newest may or may not have been stored with it.
        let without: Vec<u64> = (1..=newest).filter(|n| n % 7 != 1 || n + 6 >= newest).collect();
        assert!(found == expected || found == without, "{found:?}");
        rig.handle.close().unwrap();
    }
}
