//! Results: each line has one, and what it says is so.

use alloc::string::String;

use super::{Check, Verdict, hold};
use crate::client::view::{Failure, Success};
use crate::sim::trace::ProcessId;
use crate::wire::{Code, Status};

const ONE_RESULT: &str = "every line has one result";

impl Check {
    pub(super) fn result(
        &mut self,
        process: ProcessId,
        line: u64,
        command: &str,
        outcome: Result<&Success, &Failure>,
    ) -> Verdict {
        let Some(client) = self.clients.get_mut(&process) else { return Ok(()) };
        let Some(text) = client.open.remove(&line) else {
            hold!(self, false, ONE_RESULT, "{process:?}: line {line} ({command})");
            return Ok(());
        };
        if let Some(number) = text {
            return self.text_result(process, number, outcome);
        }
        match outcome {
            // Of several keys that it was told it is not certain which one is meant.
            Ok(Success::User { user }) if command == "trust" => {
                let told = client.told.get(user).cloned().unwrap_or_default();
                self.known.entry((client.user, user.clone())).or_default().extend(told);
            }
            Ok(Success::Verification { user, code, .. }) => return self.code_shown(process, user, code),
            _ => {}
        }
        Ok(())
    }

    fn text_result(
        &mut self,
        process: ProcessId,
        number: u32,
        outcome: Result<&Success, &Failure>,
    ) -> Verdict {
        match outcome {
            Ok(Success::Message { status: Status::Delivered, .. }) => {}
            Ok(other) => hold!(self, false, "a private text is delivered or not", "t{number}: {other:?}"),
            Err(failure) => {
                if failure.code != Code::OutcomeUnknown {
                    self.words.is_refused(number);
                    let shown = self.words.was_shown(number);
                    hold!(self, !shown, "what was refused is not shown", "t{number}");
                }
                return Ok(());
            }
        }
        let key = self.speaker(process);
        let to = self.words.receiver(number).map(String::from).unwrap_or_default();
        let talk = self.clients.get(&process).and_then(|client| client.talks.get(&to)).copied();
        let of_talk = talk.is_some_and(|talk| key == Some(talk.key));
        hold!(self, of_talk, "only the other confirms", "{process:?}: t{number} to {to}: {key:?}");
        let is_device = self.devices.get(to.as_str()).copied() == key;
        let shown = self.words.was_shown(number);
        hold!(self, !is_device || shown, "delivered means shown", "{process:?}: t{number} to {to}");
        Ok(())
    }

    /// Two who compare codes find out whether somebody is between them.
    fn code_shown(&mut self, process: ProcessId, user: &str, code: &str) -> Verdict {
        let Some(client) = self.clients.get(&process) else { return Ok(()) };
        let own = self.devices.get(client.user).copied();
        let Some((own, talk)) = own.zip(client.talks.get(user)) else {
            hold!(self, false, "a code is of a conversation", "{process:?}: {user}");
            return Ok(());
        };
        let keys = [own.min(talk.key), own.max(talk.key)];
        let known = self.codes.entry(keys).or_insert_with(|| String::from(code));
        let is_same = known.as_str() == code;
        hold!(self, is_same, "two who have each other's keys read the same code", "{process:?}: {user}");
        let others = self.codes.iter().filter(|(other, _)| **other != keys);
        let differs = others.clone().all(|(_, other)| other != code);
        hold!(self, differs, "who is between two makes their codes differ", "{process:?}: {user}");
        Ok(())
    }

    /// A client that ends by itself has told of every line.
    pub(super) fn is_gone(&mut self, process: ProcessId, by_itself: bool) -> Verdict {
        let Some(client) = self.clients.remove(&process) else { return Ok(()) };
        let told = client.open.is_empty() || !by_itself;
        hold!(self, told, ONE_RESULT, "{process:?}: {:?}", client.open);
        Ok(())
    }
}
