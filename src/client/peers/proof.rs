//! How a caller proves that it knows the id of an introduction, without saying it (R36).

use alloc::format;

use blake2::{Blake2s256, Digest as _};

use crate::wire::Role;
use crate::words::Token;

/// What a call is about.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    /// Of the introduction.
    pub(super) id: Token,
    /// The caller's part in it.
    pub(super) role: Role,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
}

impl Call<'_> {
    /// The proof that goes with a nonce. Nobody can make it for another nonce, part or name who does not know the id.
    pub(super) fn proof(&self, nonce: Token) -> Token {
        let Call { id, role, from, to } = self;
        let said = format!("{nonce} {} {from} {to}", role.as_str());
        let digest: [u8; 32] = Blake2s256::new().chain_update(id.0).chain_update(said).finalize().into();
        let mut proof = Token([0; 16]);
        proof.0.iter_mut().zip(digest).for_each(|(byte, digit)| *byte = digit);
        proof
    }

    /// Whether a caller has proved it. Takes as long for each wrong proof.
    pub(super) fn is_proved(&self, nonce: Token, proof: Token) -> bool {
        let pairs = self.proof(nonce).0.into_iter().zip(proof.0);
        pairs.fold(0, |differences, (one, other)| differences | (one ^ other)) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R36
    #[test]
    fn a_proof_is_good_for_one_id_nonce_part_and_pair() {
        let call = Call { id: Token([1; 16]), role: Role::Requester, from: "hans", to: "luke" };
        let nonce = Token([2; 16]);
        let proof = call.proof(nonce);
        assert!(call.is_proved(nonce, proof));
        assert!(!call.is_proved(Token([3; 16]), proof));
        assert!(!Call { id: Token([4; 16]), ..call }.is_proved(nonce, proof));
        assert!(!Call { role: Role::Accepter, ..call }.is_proved(nonce, proof));
        assert!(!Call { from: "luke", to: "hans", ..call }.is_proved(nonce, proof));
        assert!(!call.is_proved(nonce, Token([0; 16])));
    }
}
