//! Records of earlier starts hold digests of secrets that a recording must not hold, and that nobody can tell from the
//! digests. When a client shows one of these secrets, the recording says which digest it was: a replay makes that digest
//! anew, of what stands for the secret, before it begins.

use std::collections::{HashMap, HashSet};

use super::coded::{Coded, Decoder, Encoder};
use super::stand_ins::StandIns;
use crate::record::{Change, Digest, Fact, Record, Recovery, Suspect, WordsDigest};
use crate::server::digests::Digests;
use crate::wire::{ClientLine, Command};
use crate::words::{Credential, Name, Token};

/// What an account is let in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    Resume,
    Device,
    Courier,
}

/// The digest of a record, and the secret that it stands for, both as stand-ins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    /// The one at this place of the two that there are.
    Pass {
        digest: Digest,
        place: usize,
        pass: Pass,
        token: Token,
        credential: Credential,
    },
    Invite {
        digest: Digest,
        code: Token,
    },
    Name {
        digest: Digest,
        name: String,
    },
    Words {
        digest: WordsDigest,
        line: String,
    },
    /// What stood for this name, when it had no account.
    Named {
        stand_in: String,
        name: String,
    },
}

impl Pass {
    const ALL: [Pass; 3] = [Pass::Resume, Pass::Device, Pass::Courier];

    fn digests(self, digests: &Digests, token: &Token, credential: &Credential) -> [Digest; 2] {
        match self {
            Pass::Resume => digests.resume(token, credential),
            Pass::Device => digests.device(token, credential),
            Pass::Courier => digests.courier(token, credential),
        }
    }
}

impl Coded for Pass {
    fn put(&self, out: &mut Encoder) {
        out.bytes.push(*self as u8);
    }

    fn get(from: &mut Decoder<'_>) -> Option<Pass> {
        let number = from.byte()?;
        Pass::ALL.into_iter().find(|pass| *pass as u8 == number)
    }
}

impl Coded for Shown {
    fn put(&self, out: &mut Encoder) {
        match self {
            Shown::Pass { digest, place, pass, token, credential } => {
                out.bytes.push(0);
                digest.put(out);
                place.put(out);
                pass.put(out);
                token.put(out);
                credential.put(out);
            }
            Shown::Invite { digest, code } => {
                out.bytes.push(1);
                digest.put(out);
                code.put(out);
            }
            Shown::Name { digest, name } => {
                out.bytes.push(2);
                digest.put(out);
                name.put(out);
            }
            Shown::Words { digest, line } => {
                out.bytes.push(3);
                digest.put(out);
                line.put(out);
            }
            Shown::Named { stand_in, name } => {
                out.bytes.push(4);
                stand_in.put(out);
                name.put(out);
            }
        }
    }

    fn get(from: &mut Decoder<'_>) -> Option<Shown> {
        Some(match from.byte()? {
            0 => Shown::Pass {
                digest: Coded::get(from)?,
                place: Coded::get(from)?,
                pass: Coded::get(from)?,
                token: Coded::get(from)?,
                credential: Coded::get(from)?,
            },
            1 => Shown::Invite { digest: Coded::get(from)?, code: Coded::get(from)? },
            2 => Shown::Name { digest: Coded::get(from)?, name: Coded::get(from)? },
            3 => Shown::Words { digest: Coded::get(from)?, line: Coded::get(from)? },
            4 => Shown::Named { stand_in: Coded::get(from)?, name: Coded::get(from)? },
            _ => return None,
        })
    }
}

/// Puts other digests in the place of those of a record.
pub(super) fn replace_digests(
    record: &mut Record,
    digest: &mut dyn FnMut(&mut Digest),
    words: &mut dyn FnMut(&mut WordsDigest),
) {
    match record {
        Record::Fact(Fact::Failures { suspect: Suspect::Unknown(own), .. }) => digest(own),
        Record::Fact(
            Fact::Device { device: own, .. }
            | Fact::Courier { token: own, .. }
            | Fact::SessionBegan { token: Some(own), .. }
            | Fact::InviteUsed { code: own, .. },
        )
        | Record::Change(Change::InviteMade { code: own, .. } | Change::InviteRevoked { code: own }) => {
            digest(own);
        }
        Record::Settled { words: Some(own), .. } | Record::Sent { words: own, .. } => words(own),
        Record::Fact(
            Fact::Failures { suspect: Suspect::Account(_), .. }
            | Fact::SessionBegan { token: None, .. }
            | Fact::SessionEnded { .. }
            | Fact::Heard { .. }
            | Fact::MailExpired { .. }
            | Fact::SessionForgotten { .. }
            | Fact::MailRemoved { .. },
        )
        | Record::Change(
            Change::AccountAdded { .. }
            | Change::AccountRemoved { .. }
            | Change::Blocked { .. }
            | Change::Unblocked { .. }
            | Change::GroupSet { .. }
            | Change::GroupRemoved { .. }
            | Change::Restrained { .. }
            | Change::Announced { .. }
            | Change::AnnouncementWithdrawn { .. }
            | Change::RangeBanned { .. },
        )
        | Record::MailStored { .. }
        | Record::Settled { words: None, .. } => {}
    }
}

/// The digests of records that nobody has shown the secret of.
pub(super) struct Unshown {
    digests: Digests,
    of_secrets: HashSet<Digest>,
    of_words: HashSet<WordsDigest>,
}

impl Unshown {
    pub(super) fn of(recovery: &Recovery) -> Unshown {
        let (mut of_secrets, mut of_words) = (HashSet::new(), HashSet::new());
        for mut record in recovery.records.iter().cloned() {
            let (mut digest, mut words) = (None, None);
            replace_digests(&mut record, &mut |own| digest = Some(*own), &mut |own| words = Some(*own));
            of_secrets.extend(digest);
            of_words.extend(words);
        }
        Unshown { digests: Digests::of_folder(recovery.secret), of_secrets, of_words }
    }

    pub(super) fn pass(
        &mut self,
        token: &Token,
        credential: &Credential,
        stand_ins: &mut StandIns,
    ) -> Vec<Shown> {
        let mut found = Vec::new();
        if self.of_secrets.is_empty() {
            return found;
        }
        for pass in Pass::ALL {
            for (place, digest) in pass.digests(&self.digests, token, credential).into_iter().enumerate() {
                if self.of_secrets.remove(&digest) {
                    let (token, digest) = (stand_ins.token(token), stand_ins.digest(&digest));
                    let credential = stand_ins.credential(credential);
                    found.push(Shown::Pass { digest, place, pass, token, credential });
                }
            }
        }
        found
    }

    pub(super) fn invite(&mut self, code: &Token, stand_ins: &StandIns) -> Option<Shown> {
        let digest = self.digests.invite(code);
        let found = self.of_secrets.remove(&digest);
        found.then(|| Shown::Invite { digest: stand_ins.digest(&digest), code: stand_ins.token(code) })
    }

    /// What stands for the digest of this name.
    pub(super) fn name(&mut self, name: &str, stand_ins: &StandIns) -> Option<Digest> {
        if self.of_secrets.is_empty() {
            return None;
        }
        let digest = self.digests.name(name);
        let found = self.of_secrets.remove(&digest);
        found.then(|| stand_ins.digest(&digest))
    }

    pub(super) fn has_no_words(&self) -> bool {
        self.of_words.is_empty()
    }

    /// The line of a command whose words a record may hold; nothing in it is secret.
    pub(super) fn command(&mut self, line: &[u8], stand_ins: &StandIns) -> Option<Shown> {
        if self.of_words.is_empty() {
            return None;
        }
        let digest = self.digests.words(&command_of(line)?);
        let line = String::from_utf8(line.to_vec()).ok()?;
        let found = self.of_words.remove(&digest);
        found.then(|| Shown::Words { digest: stand_ins.words(digest), line })
    }
}

fn command_of(line: &[u8]) -> Option<Command<'_>> {
    match ClientLine::parse(line) {
        Ok(ClientLine::Request { number: Some(_), command } | ClientLine::Marked { command, .. }) => {
            Some(command)
        }
        Ok(_) | Err(_) => None,
    }
}

/// Names by what stood for them before they had an account.
pub(super) type Named = HashMap<String, String>;

pub(super) fn named(shown: &[Shown]) -> Named {
    let pairs = shown.iter().filter_map(|shown| match shown {
        Shown::Named { stand_in, name } => Some((stand_in.clone(), name.clone())),
        Shown::Pass { .. } | Shown::Invite { .. } | Shown::Name { .. } | Shown::Words { .. } => None,
    });
    pairs.collect()
}

/// Makes the digests anew whose secrets were shown.
pub(super) fn restore(recovery: &mut Recovery, shown: &[Shown], named: &Named) {
    let digests = Digests::of_folder(recovery.secret);
    let (mut of_secrets, mut of_words) = (HashMap::new(), HashMap::new());
    for shown in shown {
        match shown {
            Shown::Pass { digest, place, pass, token, credential } => {
                let made = pass.digests(&digests, token, credential);
                of_secrets.extend(made.get(*place).map(|made| (*digest, *made)));
            }
            Shown::Invite { digest, code } => {
                of_secrets.insert(*digest, digests.invite(code));
            }
            Shown::Name { digest, name } => {
                of_secrets.insert(*digest, digests.name(named.get(name).unwrap_or(name)));
            }
            Shown::Words { digest, line } => {
                of_words.extend(command_of(line.as_bytes()).map(|made| (*digest, digests.words(&made))));
            }
            Shown::Named { .. } => {}
        }
    }
    for record in &mut recovery.records {
        replace_digests(record, &mut |own| *own = of_secrets.get(own).copied().unwrap_or(*own), &mut |own| {
            *own = of_words.get(own).copied().unwrap_or(*own)
        });
    }
}

/// The users that records and mail name, whether they have an account or not.
pub(super) fn users(recovery: &Recovery) -> impl Iterator<Item = &Name> {
    let of_records = recovery.records.iter().filter_map(|record| match record {
        Record::Fact(
            Fact::Failures { suspect: Suspect::Account(user), .. }
            | Fact::Device { user, .. }
            | Fact::Courier { user, .. }
            | Fact::SessionBegan { user, .. }
            | Fact::SessionEnded { user, .. }
            | Fact::Heard { user, .. }
            | Fact::MailExpired { user, .. }
            | Fact::SessionForgotten { user, .. }
            | Fact::MailRemoved { user, .. },
        )
        | Record::Change(Change::Restrained { user, .. } | Change::Blocked { by: user, .. })
        | Record::MailStored { to: user, .. }
        | Record::Settled { user, .. }
        | Record::Sent { user, .. } => Some(user),
        Record::Change(Change::InviteMade { invite, .. }) => invite.name.as_ref(),
        Record::Fact(_) | Record::Change(_) => None,
    });
    of_records.chain(recovery.mail.iter().map(|mail| &mail.to))
}
