//! What an operator can have done, and how it is read from a line.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::inbox::{Item, Wish};
use super::invitations::{MOST_USES, Wanted};
use crate::record::Restraint;
use crate::server::Act;
use crate::shell::platform::System;
use crate::shell::visible::visible;
use crate::time::Time;
use crate::words::{AddressRange, Name, SharedText, Text};

/// What an operator can have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    Status,
    Sessions,
    /// Both of them; of the sessions at most so many.
    Top(Option<usize>),
    Restraints,
    Announcements,
    Reload,
    Stop,
    Restart,
    /// The core does it.
    Act(Act),
    /// The same, from now on.
    Restrain(Name, Restraint, Lasts),
    BanRange(AddressRange, Lasts),
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
    pub(super) fn read(line: &str) -> Result<Order, BadOrder> {
        let (word, rest) = line.split_once(' ').map_or((line, None), |(word, rest)| (word, Some(rest)));
        let (name, words) =
            rest.map_or(("", None), |rest| rest.split_once(' ').map_or((rest, None), |(a, b)| (a, Some(b))));
        Ok(match (word, rest) {
            ("status", None) => Order::Status,
            ("sessions", None) => Order::Sessions,
            ("top", None) => Order::Top(None),
            ("top", Some(_)) if words.is_none() => {
                Order::Top(Some(name.parse().map_err(|_| BadOrder::Unknown)?))
            }
            ("restraints", None) => Order::Restraints,
            ("invites", None) => Order::Invites,
            ("invite", Some(_)) => Order::Invite(invite(name, words)?),
            ("revoke", Some(_)) if words.is_none() => {
                Order::Act(Act::Revoke(name.parse().map_err(|_| BadOrder::Number)?))
            }
            ("reload", None) => Order::Reload,
            ("stop", None) => Order::Stop,
            ("restart", None) => Order::Restart,
            ("announcements", None) => Order::Announcements,
            ("withdraw", Some(_)) if words.is_none() => {
                Order::Act(Act::Withdraw(name.parse().map_err(|_| BadOrder::Announcement)?))
            }
            ("announce", Some(said)) if name == "--keep" => {
                Order::Act(Act::AnnounceKept(text(said.split_once(' ').map_or("", |(_, said)| said))?))
            }
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
        if let (Restraint::Banned, Ok(range)) = (how, name.parse()) {
            return Ok(Order::BanRange(range, lasts));
        }
        Ok(Order::Restrain(user(name)?, how, lasts))
    }

    /// Whether it only asks.
    pub(super) const fn is_question(&self) -> bool {
        match self {
            Order::Status
            | Order::Sessions
            | Order::Top(_)
            | Order::Restraints
            | Order::Announcements
            | Order::Invites => true,
            Order::Reload
            | Order::Stop
            | Order::Restart
            | Order::Act(_)
            | Order::Restrain(..)
            | Order::BanRange(..)
            | Order::Invite(_) => false,
        }
    }

    /// What follows when the answer has left. The connection then ends with the process.
    pub(super) const fn follow_up(&self) -> Option<Item<System>> {
        match self {
            Order::Stop => Some(Item::Stop),
            Order::Restart => Some(Item::Restart(Wish::Order)),
            Order::Status
            | Order::Sessions
            | Order::Top(_)
            | Order::Restraints
            | Order::Announcements
            | Order::Invites
            | Order::Reload
            | Order::Act(_)
            | Order::Restrain(..)
            | Order::BanRange(..)
            | Order::Invite(_) => None,
        }
    }
}

/// Why a line is no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum BadOrder {
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
    #[error("this is no number of an announcement; `announcements` says which there are")]
    Announcement,
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

fn text(words: &str) -> Result<SharedText, BadOrder> {
    let blank = words.trim().is_empty();
    Text::new(words).filter(|_| !blank).map(SharedText::from).ok_or(BadOrder::Text)
}

/// For the log: without what is said to users.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Status => f.write_str("status"),
            Order::Sessions => f.write_str("sessions"),
            Order::Top(None) => f.write_str("top"),
            Order::Top(Some(most)) => write!(f, "top {most}"),
            Order::Reload => f.write_str("reload"),
            Order::Stop => f.write_str("stop"),
            Order::Restart => f.write_str("restart"),
            Order::Act(Act::Announce(_)) => f.write_str("announce"),
            Order::Act(Act::AnnounceKept(_)) => f.write_str("announce --keep"),
            Order::Act(Act::Withdraw(number)) => write!(f, "withdraw {number}"),
            Order::Announcements => f.write_str("announcements"),
            Order::Act(Act::Kick { user, .. }) => write!(f, "kick {}", visible(user.as_str())),
            Order::Act(Act::Unlock(name)) => write!(f, "unlock {}", visible(name.as_str())),
            Order::Act(Act::Restrain { user, how, .. }) => {
                write!(f, "{how} {}", visible(user.as_str()))
            }
            Order::Act(Act::BanRange { range, .. }) => write!(f, "ban {range}"),
            Order::BanRange(range, lasts) => match lasts {
                Lasts::NoMore => write!(f, "unban {range}"),
                Lasts::Ever => write!(f, "ban {range}"),
                Lasts::For(time) => write!(f, "ban {range} {}s", time.as_secs()),
            },
            Order::Act(Act::Invite { .. }) => f.write_str("invite"),
            Order::Act(Act::Revoke(number)) => write!(f, "revoke {number}"),
            Order::Restraints => f.write_str("restraints"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_are_written() {
        for word in [
            "status",
            "sessions",
            "top",
            "top 24",
            "restraints",
            "announcements",
            "withdraw 3",
            "reload",
            "stop",
            "restart",
            "kick hans",
            "unlock luke",
            "ban hans",
            "unban hans",
            "mute luke 90s",
            "enable yoda",
            "ban 192.0.2.0/24 90s",
            "unban ::1",
            "invites",
            "invite 3 604800s",
            "invite 1 60s hans",
            "revoke 7",
        ] {
            assert_eq!(Order::read(word).expect(word).to_string(), word);
        }
        let kick = Act::Kick { user: Name::new("hans").unwrap(), reason: Some("be  nice ".parse().unwrap()) };
        assert_eq!(Order::read("kick hans be  nice "), Ok(Order::Act(kick)));
        assert_eq!(
            Order::read("announce  back at 5"),
            Ok(Order::Act(Act::Announce(" back at 5".parse().unwrap())))
        );
        let kept = Order::Act(Act::AnnounceKept(" back at 5".parse().unwrap()));
        assert_eq!(Order::read("announce --keep  back at 5"), Ok(kept));
        for (line, error) in [
            ("announce --keep", BadOrder::Text),
            ("announce --keep ", BadOrder::Text),
            ("withdraw all", BadOrder::Announcement),
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
            ("top all", BadOrder::Unknown),
            ("top 1 2", BadOrder::Unknown),
            ("announce  ", BadOrder::Text),
            ("kick hans ", BadOrder::Text),
        ] {
            assert_eq!(Order::read(line), Err(error), "{line:?}");
        }
    }

    #[test]
    fn the_log_has_no_text() {
        for line in ["announce the cake", "announce --keep the cake", "kick hans the cake"] {
            let order = Order::read(line).expect(line);
            assert!(!format!("{order} {order:?}").contains("cake"), "{order:?}");
        }
    }
}
