//! Folders and files that are not as they should be.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;

use super::*;

fn database(folder: &Path) -> PathBuf {
    folder.join("hobnob.db")
}

/// A closed store with enough mail to fill many pages.
fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.store((1..=500).map(|number| mail_to("hans", number, "yoda", &"text ".repeat(20))));
    rig.handle.close().unwrap();
    folder
}

pub(super) fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

fn error(folder: &Path) -> OpenError {
    match Rig::try_open(folder) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

#[test]
fn a_second_server_on_one_folder_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::open(folder.path());
    let second = error(folder.path());
    assert!(matches!(second, OpenError::InUse(_)), "{second}");
    assert!(second.to_string().contains("in use by another server"));
    rig.handle.close().unwrap();
    assert_eq!(Rig::open(folder.path()).recovery.boot, 2, "a refused start does not count");
}

#[test]
fn a_damaged_header_page_or_length_is_damage() {
    let header = filled();
    overwrite(&database(header.path()), 0, b"not a database!!");
    let page = filled();
    overwrite(&database(page.path()), 4096 * 20, &[0x5a; 4096]);
    let cut = filled();
    let file = File::options().write(true).open(database(cut.path())).unwrap();
    file.set_len(4096 * 12).unwrap();
    let empty = filled();
    File::create(database(empty.path())).unwrap();
    for folder in [header, page, cut, empty] {
        let error = error(folder.path());
        assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
        let line = error.to_string();
        assert!(line.contains("hobnob.db is damaged") && !line.contains('\n'), "{line}");
    }
}

#[test]
fn rows_that_nobody_writes_are_damage() {
    for sql in [
        "UPDATE names SET name = name || ' '",
        "UPDATE server SET boot = -5",
        "UPDATE mail SET sender = 99",
        "UPDATE mail SET number = 7 WHERE number = 8",
        "INSERT INTO announcements VALUES (1, 1, '')",
        "DELETE FROM server",
    ] {
        let folder = filled();
        let db = rusqlite::Connection::open(database(folder.path())).unwrap();
        db.pragma_update(None, "foreign_keys", false).unwrap();
        db.execute(sql, []).unwrap();
        let error = error(folder.path());
        assert!(matches!(error, OpenError::Damaged { .. }), "{sql}: {error:?}");
    }
}

#[test]
fn a_message_without_a_text_ends_the_store() {
    let folder = filled();
    let mut rig = Rig::open(folder.path());
    let db = rusqlite::Connection::open(database(folder.path())).unwrap();
    assert!(db.execute("UPDATE mail SET text = ''", []).unwrap() > 0);
    rig.handle.load(Ticket(77), name("hans"), None, id(0, 0), 10);
    rig.handle.wake(START);
    let Answer::Failed(line) = rig.next() else { panic!("it failed") };
    assert!(line.contains("text of mail"), "{line}");
}

#[test]
fn a_log_without_its_database_is_damage() {
    let folder = filled();
    fs::rename(database(folder.path()), folder.path().join("hobnob.db-wal")).unwrap();
    let error = error(folder.path());
    assert!(error.to_string().contains("its log is there"), "{error}");
}

#[test]
fn foreign_and_newer_databases_are_left_alone() {
    let folder = filled();
    let db = rusqlite::Connection::open(database(folder.path())).unwrap();
    db.pragma_update(None, "user_version", 999).unwrap();
    let newer = error(folder.path());
    assert!(matches!(newer, OpenError::Newer { found: 999, .. }), "{newer}");
    assert!(newer.to_string().contains("schema version 999"), "{newer}");
    db.pragma_update(None, "user_version", 1).unwrap();
    db.pragma_update(None, "application_id", 1).unwrap();
    let foreign = error(folder.path());
    assert!(matches!(foreign, OpenError::Foreign(_)), "{foreign}");
}

#[test]
fn a_first_start_that_was_cut_off_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hobnob.db.new"), "half").unwrap();
    assert_eq!(Rig::open(folder.path()).recovery.boot, 1);
}

/// The files of a store that is still open, as a crash at this moment would leave them.
pub(super) fn as_after_a_crash(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in ["hobnob.db", "hobnob.db-wal"] {
        fs::copy(folder.join(file), copy.path().join(file)).unwrap();
    }
    copy
}

#[test]
fn a_torn_tail_of_the_log_loses_only_what_it_held() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(folder.path());
    rig.store([mail_to("hans", 1, "yoda", "whole")]);
    let whole = fs::metadata(folder.path().join("hobnob.db-wal")).unwrap().len();
    rig.store([mail_to("hans", 2, "yoda", "torn")]);
    let full = fs::metadata(folder.path().join("hobnob.db-wal")).unwrap().len();
    assert!(full > whole);
    for length in [full, full - 1, full - 4_000, whole + 100, whole] {
        let copy = as_after_a_crash(folder.path());
        let log = File::options().write(true).open(copy.path().join("hobnob.db-wal")).unwrap();
        log.set_len(length).unwrap();
        let mut rig = Rig::open(copy.path());
        let expected = if length == full { 2 } else { 1 };
        assert_eq!(rig.recovery.mail[0].count, expected, "{length} of {full} bytes");
        assert_eq!(rig.page("hans", None, id(0, 0), 9).0.len(), expected as usize);
        assert_eq!(rig.recovery.boot, 2);
    }
}

#[test]
fn everything_in_the_folder_is_private() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("deep/hobnob-data");
    let mut rig = Rig::open(&folder);
    rig.store([mail_to("hans", 1, "yoda", "secret")]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "database, log, index of the log, lock: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_restored_file_is_made_private_and_a_full_folder_keeps_its_mode() {
    let folder = filled();
    fs::set_permissions(database(folder.path()), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let _rig = Rig::open(folder.path());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&database(folder.path())), 0o600);
    assert_eq!(mode(folder.path()), 0o755);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = error(&file.join("data"));
    assert!(matches!(error, OpenError::Unusable { .. }), "{error:?}");
    assert!(error.to_string().contains("file"), "{error}");
}
