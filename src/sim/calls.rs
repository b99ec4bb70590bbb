//! The first line of a caller on a private link, as the protocol has it (R36): written apart from the client's.

use alloc::format;
use alloc::string::String;

use blake2::{Blake2s256, Digest as _};

use crate::words::Token;

/// The first 16 bytes of the BLAKE2s digest of the id and of what the caller claims, in hexadecimal digits.
pub(super) fn proof(id: Token, nonce: &str, caller_is_requester: bool, from: &str, to: &str) -> String {
    let part = if caller_is_requester { "requester" } else { "accepter" };
    let digest = Blake2s256::new().chain_update(id.0).chain_update(format!("{nonce} {part} {from} {to}"));
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The whole line, without its line feed.
pub(super) fn call(id: Token, nonce: Token, caller_is_requester: bool, from: &str, to: &str) -> String {
    let nonce = format!("{nonce}");
    let proof = proof(id, &nonce, caller_is_requester, from, to);
    format!("hobnob-private 2 {nonce} {proof}")
}
