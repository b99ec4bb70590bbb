//! What operators have the state loop do.

use serde_json::{Value, json};

use super::control::{self, Asker};
use super::ctl;
use super::hands::{Hands, Stopping};
use super::invitations::{self, Invitation, Wanted};
use super::orders::Order;
use super::service_manager;
use super::setup::reload::{Reload, ReloadError, needing_restart};
use super::start::lower_to_files;
use super::state_loop::Server;
use crate::server::{Act, Event};
use crate::shell::platform::Platform;
use crate::time::Time;
use crate::words::{Name, Ticket, Token};

/// The longest line that a user is answered.
const LINE_BYTES: usize = 2_000;

impl<P: Platform> Server<P> {
    /// Does what an operator wants, and answers, at once or when it is done.
    pub(super) fn obey(&mut self, order: Order, asker: Asker, now: Time) {
        if matches!(order, Order::Top(_)) {
            tracing::debug!("{} asks for {order}", asker.who);
        } else if order.is_question() {
            tracing::info!("{} asks for {order}", asker.who);
        } else {
            tracing::warn!("{} says {order}", asker.who);
        }
        match order {
            Order::Status => asker.tell(self.status(now)),
            Order::Sessions => asker.tell(control::sessions(&self.core, now)),
            Order::BanRange(range, lasts) => {
                self.act(Act::BanRange { range, until: lasts.until(now) }, asker, now);
            }
            Order::Announcements => asker.tell(control::announcements(&self.core, now)),
            Order::Restraints => asker.tell(control::restraints(&self.core, now)),
            Order::Invites => asker.tell(invitations::list(&self.core, now)),
            Order::Invite(wanted) => self.invite(&wanted, asker, now),
            Order::Top(most) => {
                let sessions = match most {
                    Some(most) => control::busiest(&self.core, now, most),
                    None => control::sessions(&self.core, now)["sessions"].take(),
                };
                asker.tell(json!({ "ok": true, "status": self.status(now), "sessions": sessions }));
            }
            Order::Reload => (self.hands.reload)(Some(asker)),
            // These follow when the answer has left.
            Order::Stop => asker.tell(json!({ "ok": true })),
            Order::Restart if self.hands.stopping == Stopping::No => asker.tell(json!({ "ok": true })),
            Order::Restart => asker.refuse(&"the server stops already"),
            Order::Act(act) => self.act(act, asker, now),
            Order::Restrain(user, how, lasts) => {
                self.act(Act::Restrain { user, how, until: lasts.until(now) }, asker, now);
            }
        }
    }

    /// A user who is an operator wants something done.
    pub(super) fn obey_user(&mut self, ticket: Ticket, user: Name, words: &str, now: Time) {
        let asker = self.hands.answers.asker(ticket, user);
        match Order::read(words) {
            Ok(Order::Stop | Order::Restart) => asker.refuse(&"this is for hobnob-server ctl only"),
            Ok(order) => self.obey(order, asker, now),
            Err(error) => asker.refuse(&error),
        }
    }

    /// A user who is an operator is told what their order came to.
    pub(super) fn answer_user(&mut self, ticket: Ticket, answer: &Value, now: Time) {
        let done = answer["ok"] == true;
        let lines = if done { ctl::for_people(answer) } else { vec![ctl::word(&answer["error"])] };
        let lines = lines.into_iter().map(|line| cut(line).into()).collect();
        self.tell(Event::Obeyed { ticket, done, lines }, now);
    }

    fn status(&self, now: Time) -> Value {
        control::status(&self.core, &self.hands, now)
    }

    fn invite(&mut self, wanted: &Wanted, asker: Asker, now: Time) {
        let nonce = match self.hands.nonces.next(&self.hands.platform) {
            Ok(nonce) => nonce,
            Err(error) => return asker.refuse(&error),
        };
        let code = Token(front(&nonce));
        let invite = wanted.begin(now);
        let key = self.hands.acceptor.fingerprint();
        let Hands { settings, address, .. } = &self.hands;
        let invitation = Invitation::new(settings, *address, key, &code, &invite);
        self.act(Act::Invite { code, invite }, asker.about(invitation), now);
    }

    fn act(&mut self, act: Act, asker: Asker, now: Time) {
        let ticket = self.hands.acts.begin(asker);
        self.tell(Event::Operator { ticket, act: Box::new(act) }, now);
    }

    /// Takes up what was read again, if it is valid and the newest there is.
    pub(super) fn reloaded(
        &mut self,
        read: Result<Box<Reload>, ReloadError>,
        asker: Option<Asker>,
        now: Time,
    ) {
        if read.as_ref().is_ok_and(|reload| reload.is_stale()) {
            // The file was changed since, perhaps by this server: read it again.
            return (self.hands.reload)(asker);
        }
        self.take_files(read, asker, now);
        service_manager::ready();
    }

    fn take_files(&mut self, read: Result<Box<Reload>, ReloadError>, asker: Option<Asker>, now: Time) {
        let reload = match read {
            Ok(reload) => *reload,
            Err(error) => return nothing_changed(&error, asker.as_ref()),
        };
        for warning in &reload.accounts.warnings {
            tracing::warn!("{warning}");
        }
        let (acceptor, log) = (reload.acceptor.clone(), reload.log.clone());
        let (mut settings, accounts) = match reload.accept(self.core.has_accounts()) {
            Ok(accepted) => accepted,
            Err(error) => return nothing_changed(&error, asker.as_ref()),
        };
        lower_to_files(self.hands.shared.files.bounds(), &mut settings);
        let later = needing_restart(&settings, &self.hands.settings);
        for setting in &later {
            tracing::warn!("{setting} has changed; that takes a restart");
        }
        let mut changed = control::differences(&self.hands.settings, &settings);
        changed.retain(|line| !later.iter().any(|name| line.starts_with(&format!("{name}:"))));
        if settings.plaintext == self.hands.settings.plaintext {
            self.take_up(acceptor);
        }
        self.hands.log.take_up(log);
        self.hands.settings.advertise = settings.advertise;
        self.hands.settings.allow_plaintext = settings.allow_plaintext;
        self.hands.settings.log = settings.log;
        self.hands.settings.tls = settings.tls;
        self.hands.settings.limits = settings.limits;
        self.hands.settings.core = settings.core.clone();
        self.hands.shared.limits.set(settings.limits);
        if let Some(accepting) = &self.hands.accepting
            && let Err(error) = accepting.set_dead_link_secs(settings.limits.dead_link_secs)
        {
            tracing::warn!("dead_link_secs stays as it was: {error}");
        }
        self.hands.hashing.learn_costs(&accounts);
        let settings = Box::new(settings.core);
        let count = accounts.len();
        self.tell(Event::Reloaded { accounts, settings }, now);
        tracing::info!("accounts and settings are read again");
        if let Some(asker) = asker {
            let answer = json!({ "ok": true, "accounts": count, "changed": changed, "needs_restart": later });
            asker.tell(answer);
        }
    }
}

fn nothing_changed(error: &ReloadError, asker: Option<&Asker>) {
    tracing::error!("nothing was changed: {error}");
    if let Some(asker) = asker {
        asker.refuse(&format!("nothing was changed: {error}"));
    }
}

/// As much of a line as fits into one of the protocol.
fn cut(mut line: String) -> String {
    line.truncate(line.floor_char_boundary(LINE_BYTES));
    line
}

/// 16 of these random bytes.
fn front(nonce: &[u8; 32]) -> [u8; 16] {
    let mut front = [0; 16];
    front.copy_from_slice(&nonce[..16]);
    front
}
