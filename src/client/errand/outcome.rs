//! What has come of an errand, as an exit code.

use super::Recipient;
use crate::client::Verb;
use crate::client::effect::Exit;
use crate::client::view::Success;
use crate::wire::{Code, CommandKind, Status};

/// What has to come of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wanted {
    /// That it was delivered or stored.
    #[default]
    Stored,
    /// That it was delivered.
    Delivered,
}

/// What has come of all texts so far.
#[derive(Debug, Default)]
pub(super) struct Ending {
    refused: bool,
    not_known: bool,
    not_sent: bool,
    /// The time was over before all was known.
    pub(super) is_late: bool,
}

impl Ending {
    pub(super) fn note(&mut self, wanted: Wanted, outcome: &Result<Success, Code>) {
        match outcome {
            Ok(Success::Message { status: Status::Stored, .. }) => {
                self.not_known |= wanted == Wanted::Delivered;
            }
            Ok(Success::GroupMessage { stored, refused, .. }) => {
                self.refused |= *refused > 0;
                self.not_known |= *stored > 0 && wanted == Wanted::Delivered;
            }
            Ok(_) => {}
            Err(Code::OutcomeUnknown) => self.not_known = true,
            Err(Code::NotConnected) => self.not_sent = true,
            Err(_) => self.refused = true,
        }
    }

    /// Whoever sends again what is not known, or was refused, does so once for all.
    pub(super) const fn exit(&self) -> Exit {
        if self.not_known || self.is_late {
            Exit::NotKnown
        } else if self.refused {
            Exit::Refused
        } else if self.not_sent {
            Exit::ServerLost
        } else {
            Exit::Done
        }
    }
}

impl Recipient {
    /// The command that reaches them.
    pub(super) const fn verb(&self) -> Verb {
        Verb::Server(match self {
            Recipient::User(_) => CommandKind::Message,
            Recipient::Group(_) => CommandKind::MessageGroup,
            Recipient::All => CommandKind::Broadcast,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn a_group_message_is_done_unless_somebody_refused_it_or_will_read_it_later() {
        let come = |wanted, stored, refused| {
            let mut ending = Ending::default();
            let group = String::from("jedi");
            let (withheld, words) = (false, None);
            let success = Success::GroupMessage { group, delivered: 1, stored, refused, withheld, words };
            ending.note(wanted, &Ok(success));
            ending.exit()
        };
        assert_eq!(come(Wanted::Stored, 1, 0), Exit::Done);
        assert_eq!(come(Wanted::Delivered, 0, 0), Exit::Done);
        assert_eq!(come(Wanted::Delivered, 1, 0), Exit::NotKnown);
        assert_eq!(come(Wanted::Stored, 1, 1), Exit::Refused);
    }
}
