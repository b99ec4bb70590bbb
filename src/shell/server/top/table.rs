//! The table: how the server is, and who is there.

use serde_json::Value;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::screen::Size;
use crate::shell::server::ctl::word;
use crate::shell::visible::visible;

/// A pipe: as many rows as there are, and columns for the longest names.
pub(super) const UNBOUNDED: Size = Size { rows: usize::MAX, columns: 100 };

/// Columns from which on there is room for the time of the login.
const WIDE: usize = 78;
/// Columns of addresses, where there is room for two of IPv6 or for one of IPv4.
const FROM: [usize; 2] = [21, 25];
const SINCE: usize = 20;
const IDLE: usize = 8;

/// Lines that fit into this size. `answer` has the status of the server and its sessions.
pub(super) fn lines(answer: &Value, size: Size) -> Vec<String> {
    let Size { rows, columns } = size;
    let status = &answer["status"];
    let mut lines = head(status);
    lines.push(String::new());
    lines.push(row(["USER", "FROM", "SINCE", "IDLE"], columns));
    let mut sessions: Vec<&Value> = answer["sessions"].as_array().into_iter().flatten().collect();
    // Whoever did something last is first; those who did at the same time stay in the order of their names.
    sessions.sort_by_key(|session| session["idle_secs"].as_u64());
    let room = rows.saturating_sub(lines.len());
    // The answer may have only those at the top.
    let all = usize::try_from(status["sessions"].as_u64().unwrap_or_default()).unwrap_or(usize::MAX);
    let all = all.max(sessions.len());
    let shown = if all > room { sessions.len().min(room.saturating_sub(1)) } else { sessions.len() };
    for session in sessions.iter().take(shown) {
        let [user, from, since] = ["user", "from", "since"].map(|field| word(&session[field]));
        let idle = span(session["idle_secs"].as_u64().unwrap_or_default());
        lines.push(row([&user, &from, &since, &idle], columns));
    }
    if all > shown {
        lines.push(format!("and {} more", all - shown));
    }
    for line in &mut lines {
        *line = cut(line, columns).trim_end().to_owned();
    }
    lines.truncate(rows);
    lines
}

fn head(status: &Value) -> Vec<String> {
    let number = |field: &str| status[field].as_u64().unwrap_or_default();
    let rate = |field: &str| status["rates"][field].as_f64().unwrap_or_default();
    let mut lines = vec![
        format!("hobnob-server {}, up {}", word(&status["version"]), span(number("uptime_secs"))),
        format!(
            "{} sessions, {} links, {} accounts, {} locked",
            number("sessions"),
            number("links"),
            number("accounts"),
            number("locked")
        ),
        format!("{} records to be stored, {} bytes of mail", number("store_queue"), number("mailbox_bytes")),
        format!(
            "{:.1} messages/s, {:.1} logins/s, {:.1} commands/s",
            rate("messages"),
            rate("logins"),
            rate("commands")
        ),
    ];
    let warnings = status["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
    lines.extend(warnings.map(|warning| format!("! {}", visible(warning))));
    lines
}

/// A row of the table, at most so wide.
fn row([user, from, since, idle]: [&str; 4], columns: usize) -> String {
    let wide = columns >= WIDE;
    let from_columns = FROM[usize::from(wide)];
    let since_columns = if wide { SINCE + 1 } else { 0 };
    let user_columns = columns.saturating_sub(from_columns + since_columns + IDLE + 2).clamp(8, 40);
    let since = if wide { format!("{} ", padded(since, SINCE)) } else { String::new() };
    format!("{} {} {since}{idle:>IDLE$}", padded(user, user_columns), padded(from, from_columns))
}

/// So many columns, filled with blanks.
fn padded(text: &str, columns: usize) -> String {
    let cut = cut(text, columns);
    let blanks = columns.saturating_sub(cut.width());
    cut + &" ".repeat(blanks)
}

/// The part of a text that fits; `…` says that something is missing.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut left = columns.saturating_sub(1);
    for c in text.chars() {
        let Some(rest) = left.checked_sub(c.width().unwrap_or_default()) else { break };
        left = rest;
        cut.push(c);
    }
    cut + if columns > 0 { "…" } else { "" }
}

/// A time in two units at most: `59s`, `1m 5s`, `3h 4m`, `2d 1h`.
fn span(secs: u64) -> String {
    let (days, hours, minutes) = (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs}s"),
        (0, 0, _) => format!("{minutes}m {}s", secs % 60),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(users: usize) -> Value {
        let sessions = (0..users).map(|user| {
            json!({ "user": format!("名前name{user}\u{1b}"), "from": "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535",
                    "since": "2026-11-01T08:00:00Z", "idle_secs": users - user })
        });
        let rates = json!({ "messages": 1.25, "logins": 0.0, "commands": 3.0 });
        json!({
            "status": { "version": "0.1.0", "uptime_secs": 90_000, "sessions": users, "links": 2, "accounts": 3, "locked": 0,
                        "store_queue": 0, "mailbox_bytes": 5, "rates": rates, "warnings": ["little is free"] },
            "sessions": sessions.collect::<Vec<_>>(),
        })
    }

    #[test]
    fn a_table_fits_into_its_size_and_says_what_is_missing() {
        for (rows, columns) in [(15, 60), (24, 80), (3, 10), (1, 1), (50, 200)] {
            let lines = lines(&answer(30), Size { rows, columns });
            assert!(lines.len() <= rows, "{rows}x{columns}: {lines:?}");
            for line in &lines {
                assert!(line.width() <= columns, "{rows}x{columns}: {line:?}");
                assert!(!line.contains('\u{1b}'), "{line:?}");
            }
        }
        let small = lines(&answer(30), Size { rows: 15, columns: 60 });
        assert_eq!(small[14], "and 23 more", "{small:?}");
        assert!(small[7].starts_with("名前name29^[ ") && small[7].ends_with("…       1s"), "{small:?}");
        assert_eq!(small[4], "! little is free");
        assert_eq!(small[3], "1.2 messages/s, 0.0 logins/s, 3.0 commands/s");
        assert_eq!(small[0], "hobnob-server 0.1.0, up 1d 1h");
        let all = lines(&answer(8), Size { rows: 15, columns: 80 });
        assert_eq!(all.len(), 15, "none is missing: {all:?}");
        assert!(all[14].contains(" 2026-11-01T08:00:00Z "), "{all:?}");
        assert_eq!(lines(&answer(30), UNBOUNDED).len(), 37);
    }

    #[test]
    fn sessions_that_the_answer_leaves_out_are_counted() {
        let mut some = answer(15);
        some["status"]["sessions"] = 10_000.into();
        let few = lines(&some, Size { rows: 15, columns: 80 });
        assert_eq!((few.len(), &*few[14]), (15, "and 9993 more"), "{few:?}");
        let grown = lines(&some, Size { rows: 50, columns: 80 });
        assert_eq!((grown.len(), &*grown[22]), (23, "and 9985 more"), "{grown:?}");
    }

    #[test]
    fn times_have_two_units() {
        for (secs, shown) in [(0, "0s"), (59, "59s"), (65, "1m 5s"), (11_040, "3h 4m"), (176_460, "2d 1h")] {
            assert_eq!(span(secs), shown);
        }
    }
}
