//! What the real server draws at random: learnt where it is first seen, and the same from then on.

use alloc::string::{String, ToString};

use super::papers::DRAWN;
use super::{Reference, Server, User};
use crate::record::{Change, Digest, Fact, Record, Suspect};
use crate::words::{Credential, LinkId, Name};

/// Whether a record is the one expected; what was drawn for it is learnt, or must be as it was learnt.
pub(super) fn learn(
    server: &mut Server,
    expected: &Record,
    drawn_for: Option<&str>,
    record: &Record,
) -> bool {
    let mut expected = expected.clone();
    let learnt = &mut server.learnt;
    match (&mut expected, record) {
        (
            Record::Fact(Fact::Failures { suspect: suspect @ Suspect::Unknown(_), .. }),
            Record::Fact(Fact::Failures { suspect: Suspect::Unknown(digest), .. }),
        ) => {
            let name = drawn_for.unwrap_or_default();
            *suspect = Suspect::Unknown(*learnt.names.entry(name.to_string()).or_insert(*digest));
            let known = learnt.digests.entry(*digest).or_insert_with(|| name.to_string());
            if known != name {
                return false;
            }
        }
        (
            Record::Fact(Fact::SessionBegan { user, token: token @ Some(DRAWN), .. }),
            Record::Fact(Fact::SessionBegan { token: Some(digest), .. }),
        ) => {
            if !server.token_drawn(user, *digest) {
                return false;
            }
            *token = Some(*digest);
        }
        (
            Record::Fact(Fact::Device { user, device: device @ DRAWN, .. }),
            Record::Fact(Fact::Device { device: digest, .. }),
        ) => {
            if !server.cookie_drawn(user, *digest) {
                return false;
            }
            *device = *digest;
        }
        (
            Record::Fact(Fact::Courier { user, token: token @ DRAWN, .. }),
            Record::Fact(Fact::Courier { token: digest, .. }),
        ) => {
            if !server.pass_drawn(user, *digest) {
                return false;
            }
            *token = *digest;
        }
        (
            Record::Change(Change::InviteMade { code: code @ DRAWN, .. }),
            Record::Change(Change::InviteMade { code: digest, .. }),
        ) => {
            if *digest == DRAWN || !server.invite_drawn(*digest) {
                return false;
            }
            *code = *digest;
        }
        (Record::Settled { words: words @ Some(_), .. }, Record::Settled { words: Some(digest), .. }) => {
            let known =
                learnt.words.entry(*digest).or_insert_with(|| drawn_for.unwrap_or_default().to_string());
            *words = (Some(known.as_str()) == drawn_for).then_some(*digest);
        }
        (Record::Sent { words, .. }, Record::Sent { words: digest, .. }) => {
            let known =
                learnt.words.entry(*digest).or_insert_with(|| drawn_for.unwrap_or_default().to_string());
            if Some(known.as_str()) != drawn_for {
                return false;
            }
            *words = *digest;
        }
        _ => {}
    }
    expected == *record
}

impl Server {
    /// The account of a name for which something fresh was drawn, with its line.
    fn drawn_for(&self, name: &Name, digest: Digest) -> Option<(User, Credential)> {
        let user = self.find(name.as_str()).filter(|_| digest != DRAWN)?;
        Some((user, self.at(user).credential.clone()?))
    }

    fn token_drawn(&mut self, name: &Name, digest: Digest) -> bool {
        let Some((user, credential)) = self.drawn_for(name, digest) else { return false };
        let known = self.learnt.tokens.insert(digest, (String::new(), credential));
        self.learnt.last_tokens.insert(name.clone(), digest);
        self.at_mut(user).token = Some(digest);
        known.is_none()
    }

    fn cookie_drawn(&mut self, name: &Name, digest: Digest) -> bool {
        let Some((user, credential)) = self.drawn_for(name, digest) else { return false };
        let known = self.learnt.cookies.insert(digest, (String::new(), credential));
        self.learnt.last_cookies.insert(name.clone(), digest);
        if let Some(device) = self.at_mut(user).devices.remove(&DRAWN) {
            self.at_mut(user).devices.insert(digest, device);
        }
        known.is_none()
    }

    /// Of the courier that was hailed last.
    fn pass_drawn(&mut self, name: &Name, digest: Digest) -> bool {
        let Some((user, credential)) = self.drawn_for(name, digest) else { return false };
        let known = self.learnt.passes.insert(digest, (String::new(), credential));
        let account = self.at_mut(user);
        if let Some(until) = account.passes.remove(&DRAWN) {
            account.passes.insert(digest, until);
        }
        for id in self.at(user).couriers.clone() {
            if let Some(link) = self.links.get_mut(&id).filter(|link| link.pass == Some(DRAWN)) {
                link.pass = Some(digest);
            }
        }
        known.is_none()
    }
}

impl Reference {
    /// A token is told to its user: it is the one of the last login. The session may be over by then.
    pub(super) fn token_said(&mut self, user: &str, said: String) {
        let Some(server) = &mut self.server else { return };
        if let Some(digest) = server.learnt.last_tokens.get(user)
            && let Some((token, _)) = server.learnt.tokens.get_mut(digest)
            && token.is_empty()
        {
            *token = said;
        }
    }

    /// A cookie is told to its user: it is the one of the last login that gave one.
    pub(super) fn cookie_said(&mut self, link: LinkId, said: String) {
        let Some(server) = &mut self.server else { return };
        if let Some(name) = server.learnt.cookies_told.remove(&link)
            && let Some(digest) = server.learnt.last_cookies.get(&name)
            && let Some((cookie, _)) = server.learnt.cookies.get_mut(digest)
            && cookie.is_empty()
        {
            *cookie = said;
        }
    }

    /// A courier is told the token that it was let in with.
    pub(super) fn pass_said(&mut self, link: LinkId, said: String) {
        let Some(server) = &mut self.server else { return };
        if let Some(digest) = server.learnt.passes_told.remove(&link)
            && let Some((token, _)) = server.learnt.passes.get_mut(&digest)
        {
            *token = said;
        }
    }
}
