//! What operators are answered who ask how the server is.

use hobnob::server::operators::{Census, Seat};
use hobnob::time::Time;

use crate::stage::Stage;

impl Stage {
    /// The lines of an answer with ` | ` between them; `nothing` if there are none.
    pub(crate) fn reads(&self, question: &str) -> String {
        let (core, now) = (&self.server, self.now);
        let lasts = |until: Time| match until {
            Time::MAX => "for ever".to_owned(),
            until => format!("for {} s", until.since(now).as_secs()),
        };
        let lines: Vec<String> = match question {
            "status" => {
                let Census { sessions, links, accounts, locked, store_queue, mailbox_bytes } =
                    core.census(now);
                vec![format!(
                    "sessions {sessions} links {links} accounts {accounts} locked {locked} queue {store_queue} mail {mailbox_bytes}"
                )]
            }
            "sessions" => {
                let show = |Seat { user, from, since, idle_secs }: Seat| {
                    let began = since.map_or(0, |since| now.since(since).as_secs());
                    format!("{user} from {} for {began} s idle {idle_secs} s", from.ip())
                };
                core.seats(now).map(show).collect()
            }
            "restraints" => {
                let users = core.restraints(now).into_iter();
                let users =
                    users.map(|(user, how, until)| format!("{user} {} {}", how.as_str(), lasts(until)));
                let ranges = core.banned_ranges().filter(|(_, until)| *until > now);
                users.chain(ranges.map(|(range, until)| format!("{range} {}", lasts(until)))).collect()
            }
            "announcements" => {
                core.announcements(now).map(|said| format!("{} {}", said.number, said.text)).collect()
            }
            "invites" => {
                let show = |invite: &hobnob::record::Invite| {
                    let name = invite.name.as_ref().map_or("anybody", |name| name.as_str());
                    format!("{} left {} {} {name}", invite.number, invite.left, lasts(invite.until))
                };
                core.invites().into_iter().map(show).collect()
            }
            other => panic!("no such question: {other}"),
        };
        if lines.is_empty() { "nothing".to_owned() } else { lines.join(" | ") }
    }
}
