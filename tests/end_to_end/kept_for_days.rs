//! `mailbox_days` and `history_days`: what waits or is remembered for too long goes, from the data folder too.

use serde_json::Value;
use support::{Server, password};

const DAY_MICROS: i64 = 86_400_000_000;

/// Makes all that is in the data folder of a server that does not run older by so many days.
fn let_days_pass(server: &Server, days: i64) {
    let db = rusqlite::Connection::open(server.place.data().join("hobnob.db")).expect("a database");
    let micros = days * DAY_MICROS;
    let sql = format!(
        "UPDATE mail SET sent_at = sent_at - {micros};
         UPDATE sessions SET began = began - {micros}, ended = ended - {micros};"
    );
    db.execute_batch(&sql).expect("older rows");
}

fn count(server: &Server, sql: &str) -> i64 {
    let db = rusqlite::Connection::open(server.place.data().join("hobnob.db")).expect("a database");
    db.query_row(sql, [], |row| row.get(0)).expect("a count")
}

fn is_removal(object: &Value) -> bool {
    object["type"] == "notice" && object.get("removed").is_some()
}

#[test]
fn what_waits_for_too_long_is_removed_and_told_and_who_was_here_is_forgotten() {
    let mut server = Server::start(&["mailbox_days=30", "history_days=30"]);
    server.user("yoda").log_out();
    let mut luke = server.user("luke");
    for text in ["one", "two"] {
        let result = luke.ok(&format!("message hans {text}"));
        let until = result["until"].as_str().expect("an end").to_owned();
        assert!(result["status"] == "stored" && until.ends_with('Z'), "{result}");
    }
    assert!(luke.ok("seen yoda")["at"].is_string());
    luke.log_out();
    let output = server.place.run_server(&["--set", "mailbox_days=30", "export", "hans"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches("\"until\":").count(), 2, "{output:?}");
    assert_eq!(server.stop().code, Some(0));
    let_days_pass(&server, 31);
    server.start_again();

    let mut luke = server.user("luke");
    assert!(luke.ok("seen yoda")["at"].is_null());
    let mut hans = server.client(&[]);
    hans.log_in("hans", password("hans"));
    let notice = hans.wait("the notice", is_removal);
    assert_eq!(notice["removed"], 2);
    assert_eq!(notice["text"], "2 stored messages were removed: they had waited for too long");
    luke.ok("message hans three");
    hans.message("three");
    hans.log_out();
    luke.log_out();
    server.user("hans").has_not("the notice again", is_removal);
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(count(&server, "SELECT count(*) FROM mail"), 0);
    assert_eq!(count(&server, "SELECT count(*) FROM expired"), 0);
    let forgotten = "SELECT count(*) FROM sessions WHERE began < 0 AND ended = 0";
    assert_eq!(count(&server, forgotten), 1, "yoda");
    let report = server.place.run_server(&["check"]);
    assert!(report.status.success(), "{report:?}");
}
