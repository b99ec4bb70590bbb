//! What is measured, and under which names it is served. No label holds the name of a user.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::counts::{Counts, Ended};
use super::page::{Form, Page};
use crate::server::operators::Census;
use crate::server::tally::{Load, REFUSALS, Tally};
use crate::server::times::Times;
use crate::shell::store;
use crate::time::Time;
use crate::wire::Code;

/// What the state task knows, all of one moment.
#[derive(Debug)]
pub(in crate::shell::server) struct Figures {
    pub(in crate::shell::server) started: Time,
    pub(in crate::shell::server) uptime: Duration,
    pub(in crate::shell::server) census: Census,
    pub(in crate::shell::server) load: Load,
    pub(in crate::shell::server) tally: Tally,
    pub(in crate::shell::server) counts: Counts,
    pub(in crate::shell::server) batches: Times,
}

/// What the system knows of the process and its files. What it does not tell is left out.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    database_bytes: Option<u64>,
    log_bytes: Option<u64>,
    open_files: Option<usize>,
    most_files: usize,
    resident_bytes: Option<u64>,
}

impl Surroundings {
    /// Looks. May take as long as a file system takes.
    pub(super) fn look(data: Option<&Path>, most_files: usize) -> Surroundings {
        let [database_bytes, log_bytes] = data.map(store::sizes).unwrap_or_default();
        // The folder itself is open while it is read.
        let open_files = fs::read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1));
        Surroundings { database_bytes, log_bytes, open_files, most_files, resident_bytes: resident_bytes() }
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = size.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

/// The page of metrics.
pub(super) fn page(figures: &Figures, surroundings: &Surroundings, form: Form) -> String {
    let mut page = Page::new(form);
    page.info("hobnob", "The program.", &[("version", env!("CARGO_PKG_VERSION"))]);
    people(&mut page, figures);
    logins(&mut page, figures);
    messages(&mut page, &figures.tally);
    store(&mut page, figures, surroundings);
    refusals(&mut page, figures);
    process(&mut page, figures, surroundings);
    page.finish()
}

fn people(page: &mut Page, figures: &Figures) {
    let Figures { census, counts, .. } = figures;
    page.gauge("hobnob_sessions", "Users with a session.", census.sessions);
    page.gauge("hobnob_links", "Connections, logged in or not.", census.links);
    page.gauge("hobnob_accounts", "Accounts that may log in.", census.accounts);
    page.gauge("hobnob_locked_names", "Names that are locked, those without an account too.", census.locked);
    page.counter("hobnob_registrations", "Accounts made by their users.", counts.registered);
    page.counter(
        "hobnob_accounts_removed",
        "Accounts purged with all that was stored for them.",
        counts.removed,
    );
    let Ended { logout, timeout, link_lost, replaced, kicked, stopped } = counts.ended;
    let ended = [
        ("logout", logout),
        ("timeout", timeout),
        ("link_lost", link_lost),
        ("replaced", replaced),
        ("kicked", kicked),
        ("stopped", stopped),
    ];
    page.counters("hobnob_sessions_ended", "Sessions that ended, by why.", "reason", ended);
}

fn logins(page: &mut Page, figures: &Figures) {
    let Figures { load, tally, counts, .. } = figures;
    let mut results: BTreeMap<&str, u64> = REFUSALS.into_iter().map(|word| (word, 0)).collect();
    results.extend(&tally.logins_refused);
    results.extend([("ok", counts.logged_in), ("resumed", counts.resumed), ("courier", tally.couriers)]);
    page.counters("hobnob_logins", "Logins that were decided, by what they came to.", "result", results);
    page.counter("hobnob_locks", "Wrong passwords that locked a name.", counts.locks);
    page.gauge("hobnob_hashing", "Passwords that are being hashed.", load.hashing);
    page.gauge("hobnob_hashing_waiting", "Passwords that wait to be hashed.", load.hashing_waiting);
}

fn messages(page: &mut Page, tally: &Tally) {
    let ways = [("delivered", tally.delivered), ("stored", tally.stored), ("refused", tally.refused)];
    let help = "Messages to one receiver, each member of a group counted, by what their sender heard.";
    page.counters("hobnob_messages", help, "way", ways);
    page.counter("hobnob_group_messages", "Group messages, of however many members.", tally.group_messages);
    page.counter("hobnob_broadcasts", "Broadcasts, however many heard them.", tally.broadcasts);
    let times = [
        ("delivered", &tally.until_delivered),
        ("stored", &tally.until_stored),
        ("group", &tally.until_group_settled),
    ];
    let help = "Time from a message's line being obeyed until its sender was told what became of it.";
    page.histograms("hobnob_confirmation_seconds", help, "way", times);
}

fn store(page: &mut Page, figures: &Figures, surroundings: &Surroundings) {
    let Figures { census, load, counts, batches, .. } = figures;
    let committed = load.records_settled.saturating_sub(counts.records_refused);
    let records = [("committed", committed), ("refused", counts.records_refused)];
    page.counters(
        "hobnob_store_records",
        "Records that the store was given, by what it did.",
        "result",
        records,
    );
    let help = "Time of a batch of records, from its begin until it was durable or refused.";
    page.histogram("hobnob_store_batch_seconds", help, batches);
    page.gauge("hobnob_store_queue", "Records on their way to the disk.", census.store_queue);
    page.gauge("hobnob_store_queue_bytes", "What they take.", load.store_queue_bytes);
    let help = "Texts in all mailboxes, and on their way into them.";
    page.gauge("hobnob_mailbox_bytes", help, census.mailbox_bytes);
    let files = [
        ("hobnob_database_bytes", "Size of the database file.", surroundings.database_bytes),
        ("hobnob_database_log_bytes", "Size of the log of the database.", surroundings.log_bytes),
    ];
    for (name, help, size) in files {
        if let Some(size) = size {
            page.gauge(name, help, size);
        }
    }
}

fn refusals(page: &mut Page, figures: &Figures) {
    let failed = |code: &Code| figures.tally.commands_failed.get(code).copied().unwrap_or_default();
    let failed = Code::ALL.iter().map(|code| (code.as_str(), failed(code)));
    page.counters("hobnob_commands_failed", "Commands that failed, by their error.", "error", failed);
    let limits = figures.counts.limits.iter().map(|(limit, count)| (*limit, *count));
    let help = "Connections that were closed or turned away because of a limit.";
    page.counters("hobnob_limits_reached", help, "limit", limits);
    page.counter("hobnob_work_units", "Units of work that users have caused.", figures.tally.units);
    let waits = [("rate", figures.tally.waits_for_rate), ("records", figures.tally.waits_for_records)];
    let help = "How often a connection had to wait because of what its user had caused, by what there was too much of.";
    page.counters("hobnob_waits", help, "reason", waits);
}

fn process(page: &mut Page, figures: &Figures, surroundings: &Surroundings) {
    page.gauge("hobnob_uptime_seconds", "Time since the start.", figures.uptime.as_secs_f64());
    let started = Duration::from_micros(figures.started.0).as_secs_f64();
    page.gauge("process_start_time_seconds", "When it started, since 1970.", started);
    if let Some(files) = surroundings.open_files {
        page.gauge("process_open_fds", "Files that are open; each connection is one.", files);
    }
    page.gauge("process_max_fds", "How many may be.", surroundings.most_files);
    if let Some(bytes) = surroundings.resident_bytes {
        page.gauge("process_resident_memory_bytes", "Memory in use.", bytes);
    }
}
