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
use thiserror::Error;

use super::inbox::{Item, Sender};
use super::invitations::{Invitation, MOST_USES, Wanted};
use super::setup::settings::{SETTINGS, Settings};
use crate::record::Restraint;
use crate::server::operators::{Census, Seat};
use crate::server::{Act, NotDone, Reached, ServerState};
use crate::shell::platform::{OperatorLink, OperatorPort, Platform, System};
use crate::shell::visible::visible;
use crate::time::Time;
use crate::words::{Name, Text};

/// The name of the socket in the data folder.
pub(super) const SOCKET: &str = "ctl.sock";
/// Time for an operator's program to say what it wants.
const SAY_WITHIN: Duration = Duration::from_secs(10);
/// Operators who are heard at a time, and wait for their answers; the next one hears that there are too many.
const OPERATORS: usize = 16;
/// After an error, which is one of the system, for so long no connection is taken.
const REST: Duration = Duration::from_secs(1);

/// What an operator can have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    Status,
    Sessions,
    Reload,
    Stop,
    Restart,
    /// The core does it.
    Act(Act),
    /// The same, from now on.
    Restrain(Name, Restraint, Lasts),
    Invite(Wanted),
    Invites,
}

/// For how long an operator keeps a user from something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasts {
    NoMore,
    For(Duration),
    Ever,
}

impl Lasts {
    /// Without a word for ever.
    fn read(word: Option<&str>) -> Result<Lasts, BadOrder> {
        word.map_or(Ok(Lasts::Ever), |word| time(word).map(Lasts::For))
    }

    /// Until when, if it begins now; `None`: no more.
    pub(super) fn until(self, now: Time) -> Option<Time> {
        match self {
            Lasts::NoMore => None,
            Lasts::For(time) => Some(now + time),
            Lasts::Ever => Some(Time::MAX),
        }
    }
}

/// The words that begin a restraint and end it.
const fn words_of(how: Restraint) -> [&'static str; 2] {
    match how {
        Restraint::Muted => ["mute", "unmute"],
        Restraint::Banned => ["ban", "unban"],
        Restraint::Disabled => ["disable", "enable"],
    }
}

impl Order {
    /// Reads a line: a word, and what belongs to it.
    fn read(line: &str) -> Result<Order, BadOrder> {
        let (word, rest) = line.split_once(' ').map_or((line, None), |(word, rest)| (word, Some(rest)));
        let (name, words) =
            rest.map_or(("", None), |rest| rest.split_once(' ').map_or((rest, None), |(a, b)| (a, Some(b))));
        Ok(match (word, rest) {
            ("status", None) => Order::Status,
            ("sessions", None) => Order::Sessions,
            ("invites", None) => Order::Invites,
            ("invite", Some(_)) => Order::Invite(invite(name, words)?),
            ("revoke", Some(_)) if words.is_none() => {
                Order::Act(Act::Revoke(name.parse().map_err(|_| BadOrder::Number)?))
            }
            ("reload", None) => Order::Reload,
            ("stop", None) => Order::Stop,
            ("restart", None) => Order::Restart,
            ("announce", Some(said)) => Order::Act(Act::Announce(text(said)?)),
            ("kick", Some(_)) => {
                Order::Act(Act::Kick { user: user(name)?, reason: words.map(text).transpose()? })
            }
            ("unlock", Some(_)) if words.is_none() => Order::Act(Act::Unlock(user(name)?)),
            (word, Some(_)) => return Order::read_restraint(word, name, words),
            _ => return Err(BadOrder::Unknown),
        })
    }

    fn read_restraint(word: &str, name: &str, rest: Option<&str>) -> Result<Order, BadOrder> {
        let how = Restraint::ALL.iter().copied().find(|how| words_of(*how).contains(&word));
        let how = how.ok_or(BadOrder::Unknown)?;
        let begins = words_of(how)[0] == word;
        if rest.is_some() && !(begins && how != Restraint::Disabled) {
            return Err(BadOrder::Unknown);
        }
        let lasts = if begins { Lasts::read(rest)? } else { Lasts::NoMore };
        Ok(Order::Restrain(user(name)?, how, lasts))
    }

    /// Whether it only asks.
    pub(super) const fn is_question(&self) -> bool {
        match self {
            Order::Status | Order::Sessions | Order::Invites => true,
            Order::Reload
            | Order::Stop
            | Order::Restart
            | Order::Act(_)
            | Order::Restrain(..)
            | Order::Invite(_) => false,
        }
    }

    /// What follows when the answer has left. The connection then ends with the process.
    const fn follow_up(&self) -> Option<Item<System>> {
        match self {
            Order::Stop => Some(Item::Stop),
            Order::Restart => Some(Item::Restart),
            Order::Status
            | Order::Sessions
            | Order::Invites
            | Order::Reload
            | Order::Act(_)
            | Order::Restrain(..)
            | Order::Invite(_) => None,
        }
    }
}

/// Why a line is no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
enum BadOrder {
    #[error("too many operators have orders under way")]
    TooMany,
    #[error("this is too long, or no UTF-8")]
    NoLine,
    #[error("the server does not know this command")]
    Unknown,
    #[error("this is no name")]
    Name,
    #[error("there is nothing to say")]
    Text,
    #[error("this is no number of an invite; invite --list says which there are")]
    Number,
    #[error("an invite is for 1 to {MOST_USES} accounts")]
    Uses,
    #[error("this is no time: 30s, 10m, 2h or 7d")]
    Time,
}

/// `30s`, `10m`, `2h`, `7d`.
fn time(word: &str) -> Result<Duration, BadOrder> {
    let (count, unit) = word.split_at_checked(word.len().saturating_sub(1)).ok_or(BadOrder::Time)?;
    let secs = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(BadOrder::Time),
    };
    let count: u32 = count.parse().map_err(|_| BadOrder::Time)?;
    let secs = u64::from(count).checked_mul(secs).filter(|secs| *secs > 0).ok_or(BadOrder::Time)?;
    Ok(Duration::from_secs(secs))
}

fn user(word: &str) -> Result<Name, BadOrder> {
    Name::new(word).map_err(|_| BadOrder::Name)
}

/// `USES FOR [NAME]`
fn invite(uses: &str, rest: Option<&str>) -> Result<Wanted, BadOrder> {
    let uses = uses.parse().ok().filter(|uses| (1..=MOST_USES).contains(uses)).ok_or(BadOrder::Uses)?;
    let mut words = rest.unwrap_or_default().splitn(2, ' ');
    let lasts = time(words.next().unwrap_or_default())?;
    let name = words.next().map(user).transpose()?;
    Ok(Wanted { name, uses, lasts })
}

fn text(words: &str) -> Result<Box<str>, BadOrder> {
    let blank = words.trim().is_empty();
    Text::new(words).filter(|_| !blank).map(|text| text.as_str().into()).ok_or(BadOrder::Text)
}

/// For the log: without what is said to users.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Status => f.write_str("status"),
            Order::Sessions => f.write_str("sessions"),
            Order::Reload => f.write_str("reload"),
            Order::Stop => f.write_str("stop"),
            Order::Restart => f.write_str("restart"),
            Order::Act(Act::Announce(_)) => f.write_str("announce"),
            Order::Act(Act::Kick { user, .. }) => write!(f, "kick {}", visible(user.as_str())),
            Order::Act(Act::Unlock(name)) => write!(f, "unlock {}", visible(name.as_str())),
            Order::Act(Act::Restrain { user, how, .. }) => {
                write!(f, "{how} {}", visible(user.as_str()))
            }
            Order::Act(Act::Invite { .. }) => f.write_str("invite"),
            Order::Act(Act::Revoke(number)) => write!(f, "revoke {number}"),
            Order::Invites => f.write_str("invites"),
            Order::Invite(Wanted { name, uses, lasts }) => {
                write!(f, "invite {uses} {}s", lasts.as_secs())?;
                name.iter().try_for_each(|name| write!(f, " {}", visible(name.as_str())))
            }
            Order::Restrain(user, how, lasts) => {
                let [begins, ends] = words_of(*how);
                let name = visible(user.as_str());
                match lasts {
                    Lasts::NoMore => write!(f, "{ends} {name}"),
                    Lasts::Ever => write!(f, "{begins} {name}"),
                    Lasts::For(time) => write!(f, "{begins} {name} {}s", time.as_secs()),
                }
            }
        }
    }
}

/// An operator who waits for an answer. It may have gone.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) uid: u32,
    /// What they are answered, if they have asked for an invite.
    invitation: Option<Arc<Invitation>>,
    answer: async_channel::Sender<Value>,
}

impl Asker {
    /// They are answered with this once the invite is made.
    pub(super) fn about(self, invitation: Invitation) -> Asker {
        Asker { invitation: Some(Arc::new(invitation)), ..self }
    }

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
    let asker = Asker { uid: link.uid, invitation: None, answer };
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
pub(super) fn moment(time: Time) -> Option<String> {
    let seconds = i64::try_from(time.0 / 1_000_000).ok()?;
    Timestamp::from_second(seconds).ok().map(|at| at.to_string())
}

/// Notes what an act of an operator came to.
pub(super) fn log(asker: &Asker, outcome: &Reached) {
    match outcome {
        Ok(number) if asker.invitation.is_some() => {
            tracing::info!("invite {number} is made for the operator (uid {})", asker.uid);
        }
        Ok(reached) => tracing::info!("done for the operator (uid {}), {reached} reached", asker.uid),
        Err(reason) => tracing::warn!("not done for the operator (uid {}): {}", asker.uid, why(*reason)),
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
        NotDone::UnknownInvite => "there is no invite of this number",
        NotDone::Limit => "there are too many invites that are still good: revoke some",
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
    fn orders_are_read_as_they_are_written() {
        for word in [
            "status",
            "sessions",
            "reload",
            "stop",
            "restart",
            "kick hans",
            "unlock luke",
            "ban hans",
            "unban hans",
            "mute luke 90s",
            "enable yoda",
            "invites",
            "invite 3 604800s",
            "invite 1 60s hans",
            "revoke 7",
        ] {
            assert_eq!(Order::read(word).expect(word).to_string(), word);
        }
        let kick = Act::Kick { user: Name::new("hans").unwrap(), reason: Some("be  nice ".into()) };
        assert_eq!(Order::read("kick hans be  nice "), Ok(Order::Act(kick)));
        assert_eq!(Order::read("announce  back at 5"), Ok(Order::Act(Act::Announce(" back at 5".into()))));
        for (line, error) in [
            ("stop now", BadOrder::Unknown),
            ("unlock hans luke", BadOrder::Unknown),
            ("kick", BadOrder::Unknown),
            ("ban hans 5", BadOrder::Time),
            ("ban hans 0d", BadOrder::Time),
            ("mute hans 5 m", BadOrder::Time),
            ("ban hans ä", BadOrder::Time),
            ("unban hans 5m", BadOrder::Unknown),
            ("disable hans 5m", BadOrder::Unknown),
            ("ban", BadOrder::Unknown),
            ("kick  hans", BadOrder::Name),
            ("unlock #1", BadOrder::Name),
            ("invite 0 7d", BadOrder::Uses),
            ("invite 1001 7d", BadOrder::Uses),
            ("invite hans", BadOrder::Uses),
            ("invite 1", BadOrder::Time),
            ("invite 1 7d #1", BadOrder::Name),
            ("revoke hans", BadOrder::Number),
            ("revoke 1 2", BadOrder::Unknown),
            ("announce  ", BadOrder::Text),
            ("kick hans ", BadOrder::Text),
        ] {
            assert_eq!(Order::read(line), Err(error), "{line:?}");
        }
    }

    #[test]
    fn the_log_has_no_text() {
        for line in ["announce the cake", "kick hans the cake"] {
            let order = Order::read(line).expect(line);
            assert!(!format!("{order} {order:?}").contains("cake"), "{order:?}");
        }
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
