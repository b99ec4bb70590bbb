//! What encrypts a link between two clients here, closer to TLS than the one of the honest world.
//!
//! Both sides say something that was never said before. All that follows is bound to both, in its order, so that nothing
//! that was recorded, changed, left out or put in is taken. A proof holds for one session, one introduction and one part
//! in it. Nobody in this world reads a session or signs with a key that is not theirs.

use alloc::vec::Vec;

use blake2::{Blake2s256, Digest as _};

use crate::client::Introduction;
use crate::wire::CALL_BYTES;
use crate::words::DeviceKey;

/// Begins a handshake: a mark, whether the speaker can move a conversation, and what was never said before.
const HELLO_BYTES: usize = 1 + 1 + 8;
const MARK: u8 = 0x16;
/// The length of a record, and what nobody else can make.
const HEAD_BYTES: usize = 2 + 8;
/// A key and its signature.
const PROOF_BYTES: usize = 32 + 16;
const RECORD_BYTES: usize = 16_384;
/// Nobody reads what is encrypted.
const MASK: u8 = 0xa5;

/// What one side brings.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) key: DeviceKey,
    /// False: it has the key from others, and cannot sign with it.
    pub(super) signs: bool,
    pub(super) can_move: bool,
    /// Never said before.
    pub(super) fresh: u64,
}

/// One end of a link.
#[derive(Debug)]
pub(super) struct Seal {
    stage: Stage,
    /// Arrived and not looked at.
    held: Vec<u8>,
    /// To be written by the handshake.
    says: Vec<u8>,
    /// Written before the handshake is done.
    early: Vec<u8>,
    calls: bool,
    secret: [u8; 32],
    written: u64,
    read: u64,
    can_move: bool,
}

#[derive(Debug)]
enum Stage {
    /// So many bytes of the caller's first line may still be read.
    Clear(usize),
    /// The other side is to say its part of the handshake.
    Greets(Own, Introduction),
    /// The other side is to prove its key.
    Proves(Own, Introduction),
    Open,
    Broken,
}

/// What has come of bytes that have arrived.
#[derive(Debug)]
pub(super) enum Opened {
    Nothing,
    Bytes(Vec<u8>),
    Key { key: DeviceKey, can_move: bool },
    Broken,
}

impl Seal {
    pub(super) fn new(calls: bool) -> Seal {
        Seal {
            stage: Stage::Clear(if calls { 0 } else { CALL_BYTES }),
            held: Vec::new(),
            says: Vec::new(),
            early: Vec::new(),
            calls,
            secret: [0; 32],
            written: 0,
            read: 0,
            can_move: false,
        }
    }

    /// The handshake begins. On a connection that both have opened it is known only now who calls.
    pub(super) fn secure(&mut self, calls: bool, own: Own, introduction: Introduction) {
        self.calls = calls;
        if calls {
            self.says.extend(hello(&own, own.can_move));
        }
        self.stage = Stage::Greets(own, introduction);
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// What the handshake writes.
    pub(super) fn take_says(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.says)
    }

    /// What is written for bytes of the client: the call as it is, then records.
    pub(super) fn wrap(&mut self, bytes: &[u8]) -> Vec<u8> {
        match self.stage {
            Stage::Clear(_) => bytes.to_vec(),
            Stage::Greets(..) | Stage::Proves(..) => {
                self.early.extend_from_slice(bytes);
                Vec::new()
            }
            Stage::Open => self.records(bytes),
            Stage::Broken => Vec::new(),
        }
    }

    fn records(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        for part in bytes.chunks(RECORD_BYTES) {
            self.written += 1;
            all.extend(record(&self.secret, self.calls, self.written, part));
        }
        all
    }

    /// Goes on with what has arrived.
    pub(super) fn next(&mut self) -> Opened {
        let stage = core::mem::replace(&mut self.stage, Stage::Broken);
        match stage {
            Stage::Clear(room) => {
                let count = self.held.len().min(room);
                self.stage = Stage::Clear(room - count);
                if count == 0 { Opened::Nothing } else { Opened::Bytes(self.held.drain(..count).collect()) }
            }
            Stage::Greets(own, introduction) => self.greet(own, introduction),
            Stage::Proves(own, introduction) => self.prove(own, introduction),
            Stage::Open => match self.open_record() {
                Ok(opened) => {
                    self.stage = Stage::Open;
                    opened.map_or(Opened::Nothing, Opened::Bytes)
                }
                Err(()) => Opened::Broken,
            },
            Stage::Broken => Opened::Broken,
        }
    }

    fn greet(&mut self, own: Own, introduction: Introduction) -> Opened {
        if self.held.first().is_some_and(|mark| *mark != MARK) {
            return Opened::Broken;
        }
        if self.held.len() < HELLO_BYTES {
            self.stage = Stage::Greets(own, introduction);
            return Opened::Nothing;
        }
        let theirs: Vec<u8> = self.held.drain(..HELLO_BYTES).collect();
        let asks = theirs[1] == 1;
        self.can_move = own.can_move && asks;
        let said = hello(&own, if self.calls { own.can_move } else { self.can_move });
        let (caller, called) = if self.calls { (&said, &theirs) } else { (&theirs, &said) };
        self.secret = Blake2s256::new().chain_update(caller).chain_update(called).finalize().into();
        if self.calls && asks && !own.can_move {
            return Opened::Broken;
        }
        if !self.calls {
            self.says.extend(said);
            self.say_proof(&own, &introduction);
        }
        self.stage = Stage::Proves(own, introduction);
        self.next()
    }

    fn say_proof(&mut self, own: &Own, introduction: &Introduction) {
        let mut signature = signature(&self.secret, self.calls, introduction, own.key);
        if !own.signs {
            signature[0] ^= 1;
        }
        let proof = [&own.key.0[..], &signature].concat();
        let record = self.records(&proof);
        self.says.extend(record);
    }

    fn prove(&mut self, own: Own, introduction: Introduction) -> Opened {
        let Ok(proof) = self.open_record() else { return Opened::Broken };
        let Some(proof) = proof else {
            self.stage = Stage::Proves(own, introduction);
            return Opened::Nothing;
        };
        let Some(key) = proof.first_chunk::<32>().filter(|_| proof.len() == PROOF_BYTES) else {
            return Opened::Broken;
        };
        let key = DeviceKey(*key);
        if proof[32..] != signature(&self.secret, !self.calls, &introduction, key) {
            return Opened::Broken;
        }
        if self.calls {
            self.say_proof(&own, &introduction);
        }
        self.stage = Stage::Open;
        let early = core::mem::take(&mut self.early);
        let early = self.records(&early);
        self.says.extend(early);
        Opened::Key { key, can_move: self.can_move }
    }

    /// The next record that is whole; an error if it is not the one that the other side has written.
    fn open_record(&mut self) -> Result<Option<Vec<u8>>, ()> {
        let Some(head) = self.held.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([head[0], head[1]]));
        if length > RECORD_BYTES {
            return Err(());
        }
        if self.held.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        let said: Vec<u8> = self.held.drain(..HEAD_BYTES + length).collect();
        let bytes: Vec<u8> = said[HEAD_BYTES..].iter().map(|byte| byte ^ MASK).collect();
        self.read += 1;
        let is_next = said == record(&self.secret, !self.calls, self.read, &bytes);
        if is_next { Ok(Some(bytes)) } else { Err(()) }
    }
}

fn hello(own: &Own, can_move: bool) -> Vec<u8> {
    let mut hello = Vec::from([MARK, u8::from(can_move)]);
    hello.extend(own.fresh.to_be_bytes());
    hello
}

/// Bytes as one side of a session writes them, after so many others.
fn record(secret: &[u8; 32], by_caller: bool, number: u64, bytes: &[u8]) -> Vec<u8> {
    let digest: [u8; 32] = Blake2s256::new()
        .chain_update(secret)
        .chain_update([u8::from(by_caller)])
        .chain_update(number.to_be_bytes())
        .chain_update(bytes)
        .finalize()
        .into();
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    let body = bytes.iter().map(|byte| byte ^ MASK);
    length.into_iter().chain(digest.into_iter().take(8)).chain(body).collect()
}

fn signature(secret: &[u8; 32], by_caller: bool, introduction: &Introduction, key: DeviceKey) -> [u8; 16] {
    let Introduction { id, requester, accepter } = introduction;
    let digest: [u8; 32] = Blake2s256::new()
        .chain_update(secret)
        .chain_update([u8::from(by_caller)])
        .chain_update(id.0)
        .chain_update(alloc::format!("{requester} {accepter}"))
        .chain_update(key.0)
        .finalize()
        .into();
    let mut signature = [0; 16];
    signature.copy_from_slice(&digest[..16]);
    signature
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Token;

    fn introduction(id: u8) -> Introduction {
        Introduction { id: Token([id; 16]), requester: "hans".into(), accepter: "luke".into() }
    }

    fn own(key: u8, fresh: u64) -> Own {
        Own { key: DeviceKey([key; 32]), signs: true, can_move: true, fresh }
    }

    /// Passes what each says to the other until both are silent; what came last at each.
    fn shake(caller: &mut Seal, called: &mut Seal) -> [Opened; 2] {
        let mut last = [Opened::Nothing, Opened::Nothing];
        for _ in 0..4 {
            called.receive(&caller.take_says());
            match called.next() {
                Opened::Nothing => {}
                other => last[1] = other,
            }
            caller.receive(&called.take_says());
            match caller.next() {
                Opened::Nothing => {}
                other => last[0] = other,
            }
        }
        last
    }

    fn pair(one: Own, other: Own, ids: [u8; 2]) -> (Seal, Seal) {
        let (mut caller, mut called) = (Seal::new(true), Seal::new(false));
        called.stage = Stage::Clear(0);
        caller.secure(true, one, introduction(ids[0]));
        called.secure(false, other, introduction(ids[1]));
        (caller, called)
    }

    #[test]
    fn both_prove_their_keys_and_nobody_who_cannot_sign() {
        let (mut caller, mut called) = pair(own(1, 7), own(2, 8), [5, 5]);
        let [one, other] = shake(&mut caller, &mut called);
        assert!(matches!(one, Opened::Key { key: DeviceKey([2, ..]), can_move: true }));
        assert!(matches!(other, Opened::Key { key: DeviceKey([1, ..]), can_move: true }));
        called.receive(&caller.wrap(b"hi"));
        assert!(matches!(called.next(), Opened::Bytes(bytes) if bytes == b"hi"));
        let (mut caller, mut called) = pair(own(1, 7), Own { signs: false, ..own(2, 8) }, [5, 5]);
        assert!(matches!(shake(&mut caller, &mut called)[0], Opened::Broken));
        let (mut caller, mut called) = pair(own(1, 7), own(2, 8), [5, 6]);
        assert!(matches!(shake(&mut caller, &mut called)[0], Opened::Broken));
    }

    #[test]
    fn what_was_recorded_or_changed_is_not_taken() {
        let (mut caller, mut called) = pair(own(1, 7), own(2, 8), [5, 5]);
        shake(&mut caller, &mut called);
        let (one, other) = (caller.wrap(b"one"), caller.wrap(b"other"));
        called.receive(&other);
        assert!(matches!(called.next(), Opened::Broken));
        let (mut caller, mut again) = pair(own(1, 9), own(2, 10), [5, 5]);
        shake(&mut caller, &mut again);
        again.receive(&one);
        assert!(matches!(again.next(), Opened::Broken));
        // Who takes the offer out of the greeting ends the session.
        let (mut caller, mut called) = pair(own(1, 7), own(2, 8), [5, 5]);
        let mut hello = caller.take_says();
        hello[1] = 0;
        called.receive(&hello);
        called.next();
        caller.receive(&called.take_says());
        assert!(matches!(caller.next(), Opened::Broken));
    }
}
