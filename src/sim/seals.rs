//! A model of what encrypts private links: each side proves a key for one introduction and one connection.
//!
//! As in TLS the caller begins, the called side proves its key first, and a proof is good on its connection only. A
//! stranger can say again what they heard, but not prove a key with it. Clients of earlier versions, which cannot move a
//! conversation, begin with another mark.

use alloc::vec::Vec;

use blake2::{Blake2s256, Digest as _};

use super::client_host::Process;
use super::relayed::is_relayed;
use super::trace::{PeerSeen, ProcessId};
use super::world::World;
use crate::client::{Event, Introduction};
use crate::wire::CALL_BYTES;
use crate::words::{DeviceKey, LinkId};

/// Begins all that is said to set up encryption, and the same of those that can move conversations: by the caller if it
/// can, by the called side if both can.
const MARK: u8 = 0x16;
const MOVES_MARK: u8 = 0x17;
/// A proof: the mark, the connection, the key, and a digest of the introduction.
const PROOF_BYTES: usize = 1 + 8 + 32 + 16;

/// How far a private link of a client is encrypted.
#[derive(Debug)]
pub(super) struct Seal {
    stage: Stage,
    /// Arrived and not looked at.
    held: Vec<u8>,
    dialled: bool,
    /// What the caller has said first on a link that is relayed: nobody says it again on another.
    call: Vec<u8>,
    /// Whether both sides can move a conversation, as far as this one knows.
    can_move: bool,
    /// Records that were written and read on a link that is relayed.
    written: u64,
    read: u64,
}

#[derive(Debug)]
enum Stage {
    /// So many bytes of the caller's first line may still be read.
    Clear(usize),
    /// The other side has to begin.
    Awaits(Introduction),
    /// The other side has to prove its key.
    Proves {
        introduction: Introduction,
        dialled: bool,
    },
    Open,
}

/// What a client is told of bytes that have arrived.
enum Opened {
    Bytes(Vec<u8>),
    /// And whether both sides can move a conversation.
    Key(DeviceKey, bool),
    Nothing,
    Broken,
}

impl Seal {
    /// Nothing is read in the clear of somebody whom the client has called.
    pub(super) fn new(dialled: bool) -> Seal {
        let stage = Stage::Clear(if dialled { 0 } else { CALL_BYTES });
        Seal { stage, held: Vec::new(), dialled, call: Vec::new(), can_move: false, written: 0, read: 0 }
    }

    /// What is written on a link that is relayed: the call as it is, then records.
    pub(super) fn wrap(&mut self, bytes: &[u8]) -> Vec<u8> {
        if matches!(self.stage, Stage::Clear(_)) {
            self.call.extend_from_slice(bytes);
            return bytes.to_vec();
        }
        self.written += 1;
        record(&self.call, self.dialled, self.written, bytes)
    }

    /// The next record that is whole; an error if it is not the one that the other side has written.
    fn open_record(&mut self) -> Result<Option<Vec<u8>>, ()> {
        let Some(head) = self.held.first_chunk::<RECORD_HEAD>() else { return Ok(None) };
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if self.held.len() < RECORD_HEAD + length {
            return Ok(None);
        }
        let said = self.take(RECORD_HEAD + length);
        self.read += 1;
        let bytes: Vec<u8> = said[RECORD_HEAD..].iter().map(|byte| byte ^ MASK).collect();
        let is_next = said == record(&self.call, !self.dialled, self.read, &bytes);
        if is_next { Ok(Some(bytes)) } else { Err(()) }
    }

    /// What tells a connection from others: TLS takes it from both sides' keys.
    fn tag(&self, link: LinkId) -> u64 {
        if self.call.is_empty() { link.0 } else { first_eight(Blake2s256::digest(&self.call).into()) }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        self.held.drain(..count).collect()
    }
}

/// What a record begins with: its length, and what nobody else can make.
const RECORD_HEAD: usize = 4 + 8;
/// Nobody reads what is encrypted.
const MASK: u8 = 0xa5;

/// Bytes as one side of a connection writes them, after so many others.
fn record(call: &[u8], by_caller: bool, number: u64, bytes: &[u8]) -> Vec<u8> {
    let digest: [u8; 32] = Blake2s256::new()
        .chain_update(call)
        .chain_update([u8::from(by_caller)])
        .chain_update(number.to_be_bytes())
        .chain_update(bytes)
        .finalize()
        .into();
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    let body = bytes.iter().map(|byte| byte ^ MASK);
    length.into_iter().chain(digest.into_iter().take(8)).chain(body).collect()
}

fn first_eight(digest: [u8; 32]) -> u64 {
    digest.into_iter().take(8).fold(0, |number, byte| number << 8 | u64::from(byte))
}

/// What begins a handshake by one who cannot move a conversation.
pub(super) fn beginning() -> [u8; 1] {
    [MARK]
}

/// What proves a key for an introduction on a connection, by one who cannot move a conversation.
pub(super) fn proof(link: LinkId, key: DeviceKey, introduction: &Introduction) -> Vec<u8> {
    tagged_proof(link.0, key, introduction, false)
}

const fn mark(can_move: bool) -> u8 {
    if can_move { MOVES_MARK } else { MARK }
}

fn tagged_proof(tag: u64, key: DeviceKey, introduction: &Introduction, can_move: bool) -> Vec<u8> {
    let mut proof = Vec::with_capacity(PROOF_BYTES);
    proof.push(mark(can_move));
    proof.extend(tag.to_be_bytes());
    proof.extend(key.0);
    proof.extend(digest(introduction));
    proof
}

fn digest(introduction: &Introduction) -> impl Iterator<Item = u8> {
    let Introduction { id, requester, accepter } = introduction;
    let names = alloc::format!("{requester} {accepter}");
    let digest: [u8; 32] = Blake2s256::new().chain_update(id.0).chain_update(names).finalize().into();
    digest.into_iter().take(16)
}

/// The key that was proved, if it was, and whether the mark is that of one who can move a conversation.
fn proved(said: &[u8], tag: u64, introduction: &Introduction) -> Option<(DeviceKey, bool)> {
    let key: [u8; 32] = said.get(9..41)?.try_into().ok()?;
    let can_move = said.first() == Some(&MOVES_MARK);
    (said == tagged_proof(tag, DeviceKey(key), introduction, can_move)).then_some((DeviceKey(key), can_move))
}

impl World {
    /// A client begins to encrypt a link.
    pub(super) fn secure_peer(
        &mut self,
        process: &mut Process,
        link: LinkId,
        dialled: bool,
        with: &Introduction,
    ) {
        self.see_peer(PeerSeen::Secured { link, process: process.id });
        let Some(seal) = process.seals.get_mut(&link) else { return };
        seal.stage = if dialled {
            Stage::Proves { introduction: with.clone(), dialled }
        } else {
            Stage::Awaits(with.clone())
        };
        if dialled {
            let beginning = [mark(process.can_move())];
            self.seal_writes(process.id, link, &beginning);
        }
        self.after(
            0,
            super::world::Happening::Client {
                process: process.id,
                news: super::world::News::Unseal { link },
            },
        );
    }

    /// Bytes have arrived on a private link: handed to the client as far as it may read them.
    pub(super) fn peer_receives(&mut self, id: ProcessId, link: LinkId, bytes: &[u8]) {
        let Some(seal) = self.process(id).and_then(|process| process.seals.get_mut(&link)) else { return };
        seal.held.extend_from_slice(bytes);
        self.unseal(id, link);
    }

    /// Goes through what has arrived.
    pub(super) fn unseal(&mut self, id: ProcessId, link: LinkId) {
        loop {
            match self.open_next(id, link) {
                Opened::Nothing => return,
                Opened::Bytes(bytes) => {
                    let heard = self.trace.keep(&bytes);
                    self.see_peer(PeerSeen::Heard { link, process: id, bytes: heard });
                    self.tell_client(id, Event::PeerReceived { link, bytes: &bytes });
                }
                Opened::Key(key, can_move) => {
                    self.see_peer(PeerSeen::Proved { link, process: id, key, can_move });
                    self.tell_client(id, Event::PeerProved { link, key, can_move });
                }
                Opened::Broken if is_relayed(link) => return self.relay_over(id, link),
                Opened::Broken => {
                    if let Some(end) = self.own_end(link, id) {
                        self.kill_end(link, end, true);
                    }
                    return self.client_loses(id, link);
                }
            }
        }
    }

    fn open_next(&mut self, id: ProcessId, link: LinkId) -> Opened {
        let Some(process) = self.process(id) else { return Opened::Nothing };
        let (own, can_move) = (process.device_key, process.can_move());
        let Some(seal) = process.seals.get_mut(&link) else { return Opened::Nothing };
        let mut says = Vec::new();
        let opened = match &mut seal.stage {
            Stage::Clear(room) => {
                let count = seal.held.len().min(*room);
                *room -= count;
                let bytes = seal.take(count);
                if is_relayed(link) {
                    seal.call.extend_from_slice(&bytes);
                }
                if count == 0 { Opened::Nothing } else { Opened::Bytes(bytes) }
            }
            Stage::Open if seal.held.is_empty() => Opened::Nothing,
            Stage::Open if is_relayed(link) => match seal.open_record() {
                Ok(Some(bytes)) => Opened::Bytes(bytes),
                Ok(None) => Opened::Nothing,
                Err(()) => Opened::Broken,
            },
            Stage::Open => Opened::Bytes(core::mem::take(&mut seal.held)),
            Stage::Awaits(_) if seal.held.is_empty() => Opened::Nothing,
            Stage::Awaits(introduction) => {
                let introduction = introduction.clone();
                seal.stage = Stage::Proves { introduction: introduction.clone(), dialled: false };
                let begun = seal.take(1).first().copied();
                seal.can_move = can_move && begun == Some(MOVES_MARK);
                says = tagged_proof(seal.tag(link), own, &introduction, seal.can_move);
                let good = begun == Some(MARK) || begun == Some(MOVES_MARK);
                if good { Opened::Bytes(Vec::new()) } else { Opened::Broken }
            }
            Stage::Proves { .. } if seal.held.len() < PROOF_BYTES => Opened::Nothing,
            Stage::Proves { introduction, dialled } => {
                let (introduction, dialled) = (introduction.clone(), *dialled);
                seal.stage = Stage::Open;
                let said = seal.take(PROOF_BYTES);
                let proved = proved(&said, seal.tag(link), &introduction);
                if dialled {
                    seal.can_move = can_move && proved.is_some_and(|(_, can_move)| can_move);
                    says = tagged_proof(seal.tag(link), own, &introduction, seal.can_move);
                }
                let agreed = seal.can_move;
                proved.map_or(Opened::Broken, |(key, _)| Opened::Key(key, agreed))
            }
        };
        if !says.is_empty() && !matches!(opened, Opened::Broken) {
            self.seal_writes(id, link, &says);
            if let Some(end) = self.own_end(link, id) {
                self.pump(link, end);
            }
        }
        match opened {
            // The handshake goes on: no line has come.
            Opened::Bytes(bytes) if bytes.is_empty() => self.open_next(id, link),
            opened => opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Token;

    #[test]
    fn a_proof_is_good_for_one_connection_and_introduction() {
        let introduction =
            Introduction { id: Token([1; 16]), requester: "hans".into(), accepter: "luke".into() };
        let key = DeviceKey([7; 32]);
        let said = proof(LinkId(3), key, &introduction);
        assert_eq!(said.len(), PROOF_BYTES);
        assert_eq!(proved(&said, 3, &introduction), Some((key, false)));
        assert_eq!(proved(&said, 4, &introduction), None);
        let other = Introduction { id: Token([2; 16]), ..introduction };
        assert_eq!(proved(&said, 3, &other), None);
    }
}
