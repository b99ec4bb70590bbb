//! A login by an invite: an account is made, and no other is logged in to.

use super::{Next, Request, Step};
use crate::client::ClientState;
use crate::client::view::{LoginRefused, Notice, View};
use crate::wire::{ClientLine, Code, Refusal};
use crate::words::Name;

/// How far an invite has come on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Invite {
    #[default]
    NotShown,
    /// The server's answer is awaited.
    Shown,
    Good,
    /// The same, for one name only.
    GoodForOne,
}

impl ClientState {
    /// Shows the server the invite, if there is one. The login goes on when it is good.
    pub(super) fn show_invite(&mut self) -> bool {
        let Some(code) = self.settings.invite else { return false };
        self.invite_is(Invite::Shown);
        self.outbox.send(&ClientLine::Invite { code });
        true
    }

    fn invite_is(&mut self, invite: Invite) {
        if let Some(entry) = self.entry() {
            entry.invite = invite;
        }
    }

    fn invite(&mut self) -> Invite {
        self.entry().map(|entry| entry.invite).unwrap_or_default()
    }

    pub(super) fn awaits_invite(&mut self) -> bool {
        self.invite() == Invite::Shown
    }

    pub(super) fn on_invited(&mut self, name: Option<&str>) {
        if !self.awaits_invite() {
            return;
        }
        match name.filter(|name| Name::new(name).is_ok()) {
            None => self.invite_is(Invite::Good),
            Some(name) => {
                self.invite_is(Invite::GoodForOne);
                if self.settings.user.as_deref() != Some(name) {
                    self.outbox.show(View::Notice(Notice::InvitedAs { user: name.into() }));
                    self.settings.user = Some(name.into());
                }
            }
        }
        self.go_on_with_login();
    }

    /// A login to the account that was asked for on an earlier connection, which may have made it.
    fn perhaps_made(&mut self) -> Option<Request> {
        match self.entry().filter(|entry| entry.repeats).map(|entry| &entry.step) {
            Some(Step::Waiting { request: Request::Register(name, password), .. }) => {
                Some(Request::Login(name.clone(), password.clone()))
            }
            _ => None,
        }
    }

    /// Whoever was invited logs in as anybody else, on another connection.
    fn log_in_without_invite(&mut self, request: Request) {
        self.settings.invite = None;
        self.hang_up();
        self.ask_server(request);
    }

    /// The server has not taken the invite. One that it took on an earlier connection may be used up by this very
    /// account.
    pub(super) fn on_invite_refused(&mut self, refusal: Refusal) {
        match (refusal, self.perhaps_made()) {
            (Refusal::LockedOut { retry_after_secs }, _) => {
                self.refuse(LoginRefused::LockedOut { retry_after_secs, just_now: false }, Next::Leave);
            }
            (_, Some(request)) => self.log_in_without_invite(request),
            (_, None) => self.on_invite_over(),
        }
    }

    /// It is good for nothing any more: whoever stays, with `--retry-login`, logs in as anybody else.
    pub(super) fn on_invite_over(&mut self) {
        self.settings.invite = None;
        self.refuse(LoginRefused::InvalidInvite, Next::Leave);
    }

    /// The server cannot read that there is an invite.
    pub(super) fn on_invite_failed(&mut self, code: Code) {
        if code == Code::UnknownCommand {
            self.refuse(LoginRefused::NoInvites, Next::Leave);
        }
    }

    /// Whoever was invited makes an account: one that is there is somebody else's, or was made on an earlier connection
    /// that broke before the answer. Their password tells.
    pub(super) fn on_name_taken(&mut self) {
        if self.settings.invite.is_some()
            && let Some(request) = self.perhaps_made()
        {
            return self.log_in_without_invite(request);
        }
        let only = self.invite() == Invite::GoodForOne;
        self.refuse(LoginRefused::NameTaken, if only { Next::Leave } else { Next::Username });
    }
}
