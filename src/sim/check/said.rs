//! What the server says, line by line: each goes to the concern that judges it.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Check, Verdict, rule};
use crate::sim::model::User;
use crate::wire::{Answer, Prompt, ServerLine, Words};
use crate::words::LinkId;

impl Check {
    /// A line goes out.
    pub(super) fn line_sent(&mut self, link: LinkId, line: &ServerLine<'_>) -> Verdict {
        match line {
            ServerLine::Welcome(admission) | ServerLine::Resumed(admission) => {
                let resumed = matches!(line, ServerLine::Resumed(_));
                self.welcomed(link, admission, resumed)
            }
            ServerLine::Refused(refusal) => self.login_refused(link, *refusal),
            ServerLine::Ask(Prompt::Password | Prompt::NewPassword) => {
                self.name_answered(link);
                Ok(())
            }
            ServerLine::Ask(Prompt::Username) => {
                // A line of somebody who is not let in has no effect.
                if let Some(seen) = self.links.seen.get_mut(&link) {
                    seen.ahead.pop_front();
                }
                Ok(())
            }
            ServerLine::Done { number, answer } => {
                if let Answer::Logout = answer {
                    self.logout_answered(link)?;
                }
                self.answered(link, *number, Ok(answer))
            }
            ServerLine::Failed { number, code, command } => {
                self.answered(link, *number, Err((*code, command)))
            }
            ServerLine::Message(delivery) => self.text_sent(link, delivery, None, false),
            ServerLine::GroupMessage { group, delivery } => {
                self.text_sent(link, delivery, Some(group), false)
            }
            ServerLine::Broadcast(delivery) => self.text_sent(link, delivery, None, true),
            ServerLine::Online { user } => self.presence_sent(link, user, true),
            ServerLine::Offline { user } => self.presence_sent(link, user, false),
            ServerLine::Users { users, .. } => self.listed(link, *users),
            ServerLine::Members { members, .. } => {
                self.members_sent(link, *members);
                Ok(())
            }
            ServerLine::Changed { group, by } => self.change_told(link, group, by),
            ServerLine::Request { from } => self.request_sent(link, from),
            ServerLine::Introduce { user, .. } => self.introduced(link, user),
            ServerLine::Bye(farewell) => {
                self.farewell_waits(link, *farewell)?;
                self.farewell(link, *farewell);
                Ok(())
            }
            ServerLine::Greeting { .. }
            | ServerLine::Withdrawn { .. }
            | ServerLine::EndPrivate { .. }
            | ServerLine::Help(_)
            | ServerLine::Notice(_) => Ok(()),
        }
    }

    fn listed(&mut self, link: LinkId, users: Words<'_>) -> Verdict {
        let mut places: Vec<User> = Vec::new();
        for name in users.iter() {
            places.push(self.model.user(name));
        }
        let Some(seen) = self.links.seen.get_mut(&link) else { return Ok(()) };
        let last = seen.list.last().copied();
        seen.list.extend(&places);
        let names = |user: &User| self.model.users[*user].name.clone();
        let all: Vec<String> = last.iter().chain(&places).map(names).collect();
        let sorted = all.windows(2).all(|pair| pair[0] < pair[1]);
        rule!(self, sorted, "lists are sorted", "{all:?}");
        Ok(())
    }
}
