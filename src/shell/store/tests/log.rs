//! Logs that were damaged, and logs that a crash has left.

use std::fs;
use std::thread;

use super::super::{backup, check};
use super::damage::{as_after_a_crash, overwrite};
use super::*;

const LOG: &str = "hobnob.db-wal";
const HEADER: u64 = 32;
const FRAME: u64 = 24 + 2_048;

fn log(folder: &Path) -> Vec<u8> {
    fs::read(folder.join(LOG)).unwrap()
}

fn length(folder: &Path) -> u64 {
    fs::metadata(folder.join(LOG)).unwrap().len()
}

/// A bit of one byte of the log is another.
fn flip(folder: &Path, at: u64) {
    let byte = log(folder)[usize::try_from(at).unwrap()];
    overwrite(&folder.join(LOG), at, &[byte ^ 0x40]);
}

/// Server, `check` and `backup` refuse the folder in one line.
fn is_refused(folder: &Path) -> bool {
    let target = folder.join("copy");
    let refusals = [
        check(folder).err().map(|error| error.to_string()),
        backup(folder, &target).err().map(|error| error.to_string()),
        // Last: a server that opens the folder moves the log into the database at its end.
        Rig::try_open(folder).err().map(|error| error.to_string()),
    ];
    let _ = fs::remove_file(target);
    for refusal in refusals.iter().flatten() {
        assert!(refusal.contains("hobnob.db is damaged: ") && refusal.contains("its log"), "{refusal}");
        assert!(!refusal.contains('\n'), "{refusal}");
    }
    let count = refusals.iter().flatten().count();
    assert!(count == 0 || count == 3, "they disagree: {refusals:?}");
    count == 3
}

/// A server's folder with so many messages to hans, each in a transaction of its own, and where the log
/// ended after each of them.
fn with_mail(count: u64) -> (tempfile::TempDir, Rig, Vec<u64>) {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    let mut ends = Vec::new();
    for number in 1..=count {
        rig.store([mail_to("hans", number, "yoda", &"text ".repeat(300))]);
        ends.push(length(folder.path()));
    }
    (folder, rig, ends)
}

fn mails_of_hans(folder: &Path) -> u32 {
    let rig = Rig::open(folder);
    rig.recovery.mail.iter().map(|summary| summary.count).sum()
}

#[test]
fn a_flipped_bit_in_what_was_confirmed_is_damage() {
    let (folder, _rig, ends) = with_mail(5);
    // The last transaction may be the one that was not confirmed.
    let confirmed = ends[3];
    let headers = (HEADER..confirmed).step_by(FRAME as usize).flat_map(|frame| frame..frame + 24);
    for at in (0..HEADER).chain(headers).chain((HEADER..confirmed).step_by(97)) {
        let copy = as_after_a_crash(folder.path());
        flip(copy.path(), at);
        assert!(is_refused(copy.path()), "byte {at} of {confirmed}");
    }
}

#[test]
fn a_broken_last_transaction_was_not_confirmed() {
    let (folder, _rig, ends) = with_mail(5);
    for at in (ends[3]..ends[4]).step_by(61) {
        let copy = as_after_a_crash(folder.path());
        flip(copy.path(), at);
        assert!(!is_refused(copy.path()), "byte {at}");
        assert_eq!(mails_of_hans(copy.path()), 4, "byte {at}");
    }
}

#[test]
fn garbage_and_lost_blocks_are_damage() {
    let (folder, _rig, ends) = with_mail(8);
    for (at, length) in [(0, ends[7]), (0, 4_096), (8_192, 4_096), (ends[2] - 100, 512), (ends[1], 10_000)] {
        for byte in [0_u8, 0x5a] {
            let copy = as_after_a_crash(folder.path());
            overwrite(&copy.path().join(LOG), at, &vec![byte; usize::try_from(length).unwrap()]);
            // A log of nothing but zeros has never been written.
            let blank = byte == 0 && length == ends[7];
            assert_eq!(is_refused(copy.path()), !blank, "{length} times {byte} at {at}");
        }
    }
}

#[test]
fn a_first_write_that_was_cut_off_is_no_damage() {
    let (folder, rig, _) = with_mail(2);
    rig.handle.close().unwrap();
    let torn = [0x5a; 31];
    for content in [&[][..], &torn, &[0; 32], &[0; 5_000], &[&torn[..], &[0; 2_000]].concat()] {
        let copy = tempfile::tempdir().unwrap();
        fs::copy(folder.path().join("hobnob.db"), copy.path().join("hobnob.db")).unwrap();
        fs::write(copy.path().join(LOG), content).unwrap();
        assert!(!is_refused(copy.path()), "{} bytes", content.len());
        assert_eq!(mails_of_hans(copy.path()), 2);
    }
}

#[test]
fn what_an_earlier_round_of_the_log_left_behind_its_end_is_not_looked_at() {
    let (folder, mut rig, _) = with_mail(1);
    let first_round = log(folder.path());
    let mut number = 1;
    while log(folder.path())[..HEADER as usize] == first_round[..HEADER as usize] {
        number += 1;
        assert!(number < 1_000, "the log is never begun anew");
        rig.store([mail_to("hans", number, "yoda", &"text ".repeat(300))]);
    }
    for _ in 0..4 {
        number += 1;
        rig.store([mail_to("hans", number, "yoda", "in the new round")]);
    }
    let old = HEADER + 60 * FRAME;
    assert!(length(folder.path()) > old, "there is an old round behind the new one");
    for at in (old..length(folder.path())).step_by(10_009) {
        let copy = as_after_a_crash(folder.path());
        flip(copy.path(), at);
        assert!(!is_refused(copy.path()), "byte {at}");
        assert_eq!(u64::from(mails_of_hans(copy.path())), number);
    }
    for at in [HEADER + 8, HEADER + 200, HEADER + FRAME + 30] {
        let copy = as_after_a_crash(folder.path());
        flip(copy.path(), at);
        assert!(is_refused(copy.path()), "byte {at}");
    }
}

#[test]
fn remains_of_several_crashes_are_no_damage() {
    let (mut folder, mut rig, _) = with_mail(3);
    let mut number = 3;
    // Each crash tears a shorter transaction than the one before, so that the ends of all remain.
    for texts in (1..=6_u64).rev() {
        let before = log(folder.path());
        rig.store((1..=texts * 3).map(|more| mail_to("hans", number + more, "yoda", &"x".repeat(1_800))));
        let after = log(folder.path());
        let begin = before.iter().zip(&after).position(|(old, new)| old != new).unwrap_or(before.len());
        let copy = as_after_a_crash(folder.path());
        flip(copy.path(), begin as u64 + 30);
        assert!(!is_refused(as_after_a_crash(copy.path()).path()), "{texts}");
        rig = Rig::open(copy.path());
        folder = copy;
        number += 1;
        rig.store([mail_to("hans", number, "yoda", "confirmed")]);
    }
    let last = as_after_a_crash(folder.path());
    assert!(!is_refused(last.path()));
    assert_eq!(u64::from(mails_of_hans(last.path())), number);
}

#[test]
fn check_and_backup_raise_no_alarm_beside_a_busy_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    let writing = thread::spawn(move || {
        // Many small transactions, and the log restarted many times.
        for number in 1..=3_000 {
            rig.store([mail_to("hans", number, "yoda", "text")]);
        }
    });
    let mut looks = 0;
    while !writing.is_finished() || looks == 0 {
        let report = check(folder.path()).unwrap();
        assert!(report.is_sound(), "{report}");
        backup(folder.path(), &folder.path().join(format!("copy{looks}"))).unwrap();
        looks += 1;
    }
    writing.join().unwrap();
}
