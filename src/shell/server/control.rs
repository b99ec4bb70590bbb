//! `ctl.sock` in the data folder: whoever may open it steers the server.
//!
//! A connection is one line with a command, and one with the answer, a JSON object whose `ok` says whether it was
//! carried out. `stop` and `restart` end it with the process.

use std::fmt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::or;
use jiff::Timestamp;
use serde_json::{Value, json};
use smol::LocalExecutor;

use super::inbox::{Item, Sender};
use super::setup::settings::{SETTINGS, Settings};
use crate::server::ServerState;
use crate::server::operators::{Census, Seat};
use crate::shell::platform::{OperatorLink, OperatorPort, Platform, System};
use crate::time::Time;

/// The name of the socket in the data folder.
pub(super) const SOCKET: &str = "ctl.sock";
/// Time for an operator's program to say what it wants.
const SAY_WITHIN: Duration = Duration::from_secs(10);
/// After an error, which is one of the system, for so long no connection is taken.
const REST: Duration = Duration::from_secs(1);

/// What an operator can have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Status,
    Sessions,
    Reload,
    Stop,
    Restart,
}

impl Order {
    const ALL: [(&str, Order); 5] = [
        ("status", Order::Status),
        ("sessions", Order::Sessions),
        ("reload", Order::Reload),
        ("stop", Order::Stop),
        ("restart", Order::Restart),
    ];

    fn read(line: &str) -> Option<Order> {
        Order::ALL.into_iter().find(|(word, _)| *word == line).map(|(_, order)| order)
    }

    /// Whether it only asks.
    pub(super) const fn is_question(self) -> bool {
        match self {
            Order::Status | Order::Sessions => true,
            Order::Reload | Order::Stop | Order::Restart => false,
        }
    }

    /// What follows when the answer has left. The connection then ends with the process.
    const fn follow_up(self) -> Option<Item<System>> {
        match self {
            Order::Stop => Some(Item::Stop),
            Order::Restart => Some(Item::Restart),
            Order::Status | Order::Sessions | Order::Reload => None,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Order::ALL.into_iter().find(|(_, order)| order == self);
        f.write_str(word.map_or("", |(word, _)| word))
    }
}

/// An operator who waits for an answer. It may have gone.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) uid: u32,
    answer: async_channel::Sender<Value>,
}

impl Asker {
    pub(super) fn tell(&self, answer: Value) {
        // Fails only if nobody waits for it any more.
        let _ = self.answer.try_send(answer);
    }

    pub(super) fn refuse(&self, why: &impl fmt::Display) {
        self.tell(refusal(why));
    }
}

fn refusal(why: &impl fmt::Display) -> Value {
    json!({ "ok": false, "error": why.to_string() })
}

/// Serves the socket in this folder. A server without one serves its users all the same.
pub(super) fn listen(
    data: &Path,
    platform: System,
    executor: &Rc<LocalExecutor<'static>>,
    inbox: Sender<System>,
) {
    let path = data.join(SOCKET);
    let port = match OperatorPort::make(&path) {
        Ok(port) => port,
        Err(error) => return tracing::warn!("no ctl: {}: {error}", path.display()),
    };
    let tasks = Rc::clone(executor);
    let accepting = async move {
        loop {
            match port.accept().await {
                Ok(link) => tasks.spawn(serve(link, platform, inbox.clone())).detach(),
                Err(error) => {
                    tracing::warn!("an operator is not heard: {error}");
                    platform.after(REST).await;
                }
            }
        }
    };
    executor.spawn(accepting).detach();
}

async fn serve(mut link: OperatorLink, platform: System, inbox: Sender<System>) {
    let read = async { link.read_line().await.ok() };
    let late = async {
        platform.after(SAY_WITHIN).await;
        None
    };
    let Some(line) = or(read, late).await else { return };
    let Some(order) = Order::read(&line) else {
        let _ = link.write_line(&refusal(&"the server does not know this command").to_string()).await;
        return;
    };
    let (answer, answered) = async_channel::bounded(1);
    let asker = Asker { uid: link.uid, answer };
    if inbox.send(Item::Operator(order, asker)).await.is_err() {
        return;
    }
    let Ok(answer) = answered.recv().await else { return };
    // The operator may be gone; what was ordered is done all the same.
    let _ = link.write_line(&answer.to_string()).await;
    if answer["ok"] == true
        && let Some(item) = order.follow_up()
        && inbox.send(item).await.is_ok()
    {
        platform.never().await;
    }
}

/// `status`
pub(super) fn status(core: &ServerState, started: Time, now: Time) -> Value {
    let Census { sessions, links, accounts, locked, store_queue, mailbox_bytes } = core.census(now);
    json!({
        "ok": true,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_secs": now.since(started).as_secs(),
        "sessions": sessions,
        "links": links,
        "accounts": accounts,
        "locked": locked,
        "store_queue": store_queue,
        "mailbox_bytes": mailbox_bytes,
    })
}

/// `sessions`
pub(super) fn sessions(core: &ServerState, now: Time) -> Value {
    let show = |Seat { user, from, since, idle_secs }: Seat| {
        json!({
            "user": user.as_str(),
            "from": from.to_string(),
            "since": since.and_then(moment),
            "idle_secs": idle_secs,
        })
    };
    json!({ "ok": true, "sessions": core.seats(now).map(show).collect::<Vec<_>>() })
}

/// RFC 3339, in whole seconds.
fn moment(time: Time) -> Option<String> {
    let seconds = i64::try_from(time.0 / 1_000_000).ok()?;
    Timestamp::from_second(seconds).ok().map(|at| at.to_string())
}

/// What a reload has changed, for people.
pub(super) fn differences(before: &Settings, after: &Settings) -> Vec<String> {
    let shown = SETTINGS.iter().map(|setting| (setting.name, setting.show(before), setting.show(after)));
    let changed = shown.filter(|(_, before, after)| before != after);
    changed.map(|(name, before, after)| format!("{name}: {before} -> {after}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_are_written() {
        for (word, order) in Order::ALL {
            assert_eq!(Order::read(word), Some(order));
            assert_eq!(order.to_string(), word);
        }
        assert_eq!(Order::read("stop now"), None);
    }

    #[test]
    fn changed_settings_are_named_with_their_values() {
        let before = Settings::default();
        let mut after = before.clone();
        after.core.timeout_secs = 60;
        assert_eq!(differences(&before, &after), ["timeout: 1800 -> 60"]);
        assert!(differences(&before, &before).is_empty());
    }

    #[test]
    fn moments_are_rfc_3339() {
        assert_eq!(moment(Time(1_793_520_000_900_000)).as_deref(), Some("2026-11-01T08:00:00Z"));
    }
}
