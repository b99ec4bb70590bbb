//! `ctl.sock` in the data folder: whoever may open it steers the server.
//!
//! A connection is one line with a command, and one with the answer, a JSON object whose `ok` says whether it was
//! carried out. `stop` and `restart` end it with the process.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::or;
use jiff::Timestamp;
use serde_json::{Value, json};
use smol::LocalExecutor;

use super::hands::Hands;
use super::inbox::{Item, Sender};
use super::invitations::Invitation;
use super::orders::{BadOrder, Order};
use super::setup::settings::{SETTINGS, Settings};
use crate::record::{Announcement, Restraint};
use crate::server::operators::{Census, Seat};
use crate::server::{NotDone, Reached, ServerState};
use crate::shell::platform::{OperatorLink, OperatorPort, Platform, System};
use crate::shell::visible::visible;
use crate::time::Time;
use crate::words::{AddressRange, Name, Ticket};

/// The name of the socket in the data folder.
pub(super) const SOCKET: &str = "ctl.sock";
/// Time for an operator's program to say what it wants.
const SAY_WITHIN: Duration = Duration::from_secs(10);
/// Operators who are heard at a time, and wait for their answers; the next one hears that there are too many.
const OPERATORS: usize = 16;
/// After an error, which is one of the system, for so long no connection is taken.
const REST: Duration = Duration::from_secs(1);

/// An operator who waits for an answer. It may have gone.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    /// For the log.
    pub(super) who: Who,
    /// What they are answered, if they have asked for an invite.
    invitation: Option<Arc<Invitation>>,
    answer: AnswerTo,
}

/// An operator.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// Through the socket.
    Uid(u32),
    /// In a session of theirs.
    User(Name),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Uid(uid) => write!(f, "an operator (uid {uid})"),
            Who::User(name) => write!(f, "an operator ({})", visible(name.as_str())),
        }
    }
}

#[derive(Debug, Clone)]
enum AnswerTo {
    Socket(async_channel::Sender<Value>),
    Order(Ticket, async_channel::Sender<(Ticket, Value)>),
}

impl Asker {
    pub(super) fn user(name: Name, ticket: Ticket, answers: async_channel::Sender<(Ticket, Value)>) -> Asker {
        Asker { who: Who::User(name), invitation: None, answer: AnswerTo::Order(ticket, answers) }
    }

    /// They are answered with this once the invite is made.
    pub(super) fn about(self, invitation: Invitation) -> Asker {
        Asker { invitation: Some(Arc::new(invitation)), ..self }
    }

    pub(super) fn tell(&self, answer: Value) {
        // Fails only if nobody waits for it any more.
        match &self.answer {
            AnswerTo::Socket(socket) => drop(socket.try_send(answer)),
            AnswerTo::Order(ticket, answers) => drop(answers.try_send((*ticket, answer))),
        }
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
        let places = Rc::new(Place);
        loop {
            match port.accept().await {
                Ok(mut link) if Rc::strong_count(&places) > OPERATORS => {
                    // The answer fits into what the system keeps for them.
                    drop(link.write_line(&refusal(&BadOrder::TooMany).to_string()).await);
                }
                Ok(link) => tasks.spawn(serve(link, Rc::clone(&places), platform, inbox.clone())).detach(),
                Err(error) => {
                    tracing::warn!("an operator is not heard: {error}");
                    platform.after(REST).await;
                }
            }
        }
    };
    executor.spawn(accepting).detach();
}

/// Of one operator, while their order is carried out.
struct Place;

async fn serve(mut link: OperatorLink, _place: Rc<Place>, platform: System, inbox: Sender<System>) {
    let read = async { Some(link.read_line().await) };
    let late = async {
        platform.after(SAY_WITHIN).await;
        None
    };
    let read = match or(read, late).await {
        Some(Ok(line)) => Order::read(&line),
        Some(Err(error)) if error.kind() == ErrorKind::InvalidData => Err(BadOrder::NoLine),
        Some(Err(_)) | None => return,
    };
    let order = match read {
        Ok(order) => order,
        Err(error) => return drop(link.write_line(&refusal(&error).to_string()).await),
    };
    let follow_up = order.follow_up();
    let (answer, answered) = async_channel::bounded(1);
    let asker = Asker { who: Who::Uid(link.uid), invitation: None, answer: AnswerTo::Socket(answer) };
    if inbox.send(Item::Operator(order, asker)).await.is_err() {
        return;
    }
    let Ok(answer) = answered.recv().await else { return };
    // The operator may be gone; what was ordered is done all the same.
    let _ = link.write_line(&answer.to_string()).await;
    if answer["ok"] == true
        && let Some(item) = follow_up
        && inbox.send(item).await.is_ok()
    {
        platform.never().await;
    }
}

/// `status`
pub(super) fn status<P: Platform>(core: &ServerState, hands: &Hands<P>, now: Time) -> Value {
    let Hands { rates, started, settings, shortages, .. } = hands;
    let Census { sessions, links, accounts, locked, store_queue, mailbox_bytes } = core.census(now);
    json!({
        "ok": true,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_secs": now.since(*started).as_secs(),
        "sessions": sessions,
        "links": links,
        "accounts": accounts,
        "locked": locked,
        "store_queue": store_queue,
        "mailbox_bytes": mailbox_bytes,
        "rates": rates.show(*started, now),
        "warnings": shortages.found(settings, mailbox_bytes).map(|found| found.to_string()).collect::<Vec<_>>(),
    })
}

/// `sessions`
pub(super) fn sessions(core: &ServerState, now: Time) -> Value {
    json!({ "ok": true, "sessions": core.seats(now).map(seat).collect::<Vec<_>>() })
}

fn seat(Seat { user, from, since, idle_secs }: Seat) -> Value {
    json!({
        "user": user.as_str(),
        "from": from.to_string(),
        "since": since.and_then(moment),
        "idle_secs": idle_secs,
    })
}

/// The sessions of `top` at a terminal: at most so many, those whose users did something last. To write all of 10,000
/// keeps the state loop for 45 ms.
pub(super) fn busiest(core: &ServerState, now: Time, most: usize) -> Value {
    let mut seats: Vec<Seat> = core.seats(now).collect();
    // Those who did something at the same time stay in the order of their names.
    seats.sort_by_key(|seat| seat.idle_secs);
    seats.truncate(most);
    seats.into_iter().map(seat).collect()
}

/// `restraints`; a user or addresses each, and no `until` where there is no end.
pub(super) fn restraints(core: &ServerState, now: Time) -> Value {
    let end = |until: Time| if until == Time::MAX { None } else { moment(until) };
    let of_user = |(user, how, until): (Name, Restraint, Time)| json!({ "user": user.as_str(), "how": how.as_str(), "until": end(until) });
    let of_range = |(range, until): (AddressRange, Time)| json!({ "addresses": range.to_string(), "how": Restraint::Banned.as_str(), "until": end(until) });
    let users = core.restraints(now).into_iter().map(of_user);
    let ranges = core.banned_ranges().filter(|(_, until)| *until > now).map(of_range);
    json!({ "ok": true, "restraints": users.chain(ranges).collect::<Vec<_>>() })
}

/// `announcements`; texts with the line break of a text.
pub(super) fn announcements(core: &ServerState, now: Time) -> Value {
    let show = |said: &Announcement| json!({ "announcement": said.number, "at": moment(said.at), "text": said.text.as_str() });
    json!({ "ok": true, "announcements": core.announcements(now).map(show).collect::<Vec<_>>() })
}

/// RFC 3339, in whole seconds.
pub(super) fn moment(time: Time) -> Option<String> {
    let seconds = i64::try_from(time.0 / 1_000_000).ok()?;
    Timestamp::from_second(seconds).ok().map(|at| at.to_string())
}

/// Notes what an act of an operator came to.
pub(super) fn log(asker: &Asker, outcome: &Reached) {
    match outcome {
        Ok(number) if asker.invitation.is_some() => {
            tracing::info!("invite {number} is made for {}", asker.who);
        }
        Ok(reached) => tracing::info!("done for {}, {reached} reached", asker.who),
        Err(reason) => tracing::warn!("not done for {}: {}", asker.who, why(*reason)),
    }
}

/// What an act of an operator came to.
pub(super) fn acted(asker: &Asker, outcome: Reached) -> Value {
    match outcome {
        Ok(number) if let Some(invitation) = &asker.invitation => invitation.answer(number),
        Ok(reached) => json!({ "ok": true, "reached": reached }),
        Err(reason) => json!({ "ok": false, "error": why(reason), "code": reason.as_str() }),
    }
}

const fn why(reason: NotDone) -> &'static str {
    match reason {
        NotDone::UnknownUser => "there is no account of this name",
        NotDone::Offline => "this user is not online",
        NotDone::NameTaken => "there is an account of this name",
        NotDone::BadName => "nobody can register this name: it is not fit, or looks like another",
        NotDone::UnknownAnnouncement => "no announcement of this number is kept",
        NotDone::UnknownInvite => "there is no invite of this number",
        NotDone::Limit => "there are too many that still hold: end some",
        NotDone::StorageUnavailable => "the disk has refused it: nothing was changed",
    }
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
