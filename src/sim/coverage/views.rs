//! Rare states that show on the screens of clients.

use super::{Rare, Watcher};
use crate::client::view::{Failure, PrivateEnd, View};
use crate::wire::Code;

impl Watcher {
    pub(super) fn view(&mut self, view: &View) {
        match view {
            View::Message(message) if message.again => self.coverage.saw(Rare::ShownAgain),
            View::Result { outcome: Err(Failure { code: Code::OutcomeUnknown, .. }), .. } => {
                self.coverage.saw(Rare::OutcomeUnknown);
            }
            View::PrivateOpened { .. } => self.coverage.saw(Rare::PrivateStood),
            View::PrivateClosed { reason: PrivateEnd::Lost, .. } => {
                self.coverage.saw(Rare::PrivateLost);
            }
            View::Message(_)
            | View::Result { .. }
            | View::PrivateClosed { .. }
            | View::Connection(_)
            | View::Prompt { .. }
            | View::Offline { .. }
            | View::Wire { .. }
            | View::Addressee { .. }
            | View::LoggedIn { .. }
            | View::Before { .. }
            | View::LoginRefused(_)
            | View::Presence { .. }
            | View::PrivateRequest { .. }
            | View::RequestOver { .. }
            | View::Group { .. }
            | View::Announcement { .. }
            | View::Notice(_)
            | View::Bye(_) => {}
        }
    }
}
