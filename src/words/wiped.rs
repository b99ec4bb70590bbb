//! Bytes that are overwritten before their memory is freed.

use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, Range};

use zeroize::optimization_barrier;

/// Bytes that may be a password. They are overwritten when they are dropped, removed, or moved to make room.
/// `Debug` prints their number.
#[derive(Default, PartialEq, Eq)]
pub struct WipedBytes(Vec<u8>);

impl WipedBytes {
    /// No bytes, without memory.
    #[must_use]
    pub const fn new() -> WipedBytes {
        WipedBytes(Vec::new())
    }

    /// Appends bytes.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Appends at most `most` bytes that `write` appends to a vector with room for them.
    pub fn write_with(&mut self, most: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.reserve(most);
        write(&mut self.0);
    }

    /// Makes room for so many more bytes.
    fn reserve(&mut self, more: usize) {
        let length = self.0.len().saturating_add(more);
        if length > self.0.capacity() {
            let mut grown = Vec::with_capacity(length.max(self.0.len().saturating_mul(2)));
            grown.extend_from_slice(&self.0);
            wipe(&mut self.0);
            self.0 = grown;
        }
    }

    /// Removes the first bytes.
    pub fn remove_front(&mut self, count: usize) {
        let left = self.0.len().saturating_sub(count);
        let rest = self.0.len() - left;
        self.0.copy_within(rest.., 0);
        self.truncate(left);
    }

    /// Overwrites some of the bytes, which stay.
    pub fn wipe(&mut self, range: Range<usize>) {
        let end = range.end.min(self.0.len());
        wipe(self.0.get_mut(range.start..end).unwrap_or_default());
    }

    /// Removes all bytes but the first.
    pub fn truncate(&mut self, length: usize) {
        wipe(self.0.get_mut(length..).unwrap_or_default());
        self.0.truncate(length);
    }

    /// Removes all bytes. Keeps the memory.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Frees memory beyond so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        if self.0.capacity() > bytes.max(self.0.len()) {
            let mut shrunk = Vec::with_capacity(bytes.max(self.0.len()));
            shrunk.extend_from_slice(&self.0);
            wipe(&mut self.0);
            self.0 = shrunk;
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of memory.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl Clone for WipedBytes {
    fn clone(&self) -> WipedBytes {
        WipedBytes::from(&**self)
    }
}

impl Drop for WipedBytes {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl Deref for WipedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for WipedBytes {
    fn from(bytes: &[u8]) -> WipedBytes {
        WipedBytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for WipedBytes {
    fn from(bytes: Vec<u8>) -> WipedBytes {
        WipedBytes(bytes)
    }
}

impl fmt::Debug for WipedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WipedBytes({} bytes)", self.0.len())
    }
}

/// Overwrites bytes, at the speed of a fill; the compiler may not leave it out.
pub fn wipe(bytes: &mut [u8]) {
    // Most are of buffers that hold nothing at the moment.
    if !bytes.is_empty() {
        bytes.fill(0);
        optimization_barrier(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wiped_is_zero() {
        let mut bytes = *b"falcon";
        wipe(&mut bytes[..4]);
        assert_eq!(&bytes, b"\0\0\0\0on");
        assert_eq!(alloc::format!("{:?}", WipedBytes::from(&b"falcon"[..])), "WipedBytes(6 bytes)");
    }

    #[test]
    fn it_holds_what_a_vector_would() {
        let mut bytes = WipedBytes::new();
        assert_eq!((bytes.capacity(), bytes.len()), (0, 0));
        let mut vector = Vec::new();
        for piece in [&b"a"[..], b"", b"bcd", &[b'x'; 100], b"z"] {
            bytes.extend_from_slice(piece);
            vector.extend_from_slice(piece);
            assert_eq!(&*bytes, &vector[..]);
        }
        bytes.remove_front(3);
        vector.drain(..3);
        bytes.shrink_to(0);
        assert_eq!((&*bytes, bytes.capacity()), (&vector[..], vector.len()));
        bytes.wipe(1..1_000);
        vector[1..].fill(0);
        assert_eq!(&*bytes, &vector[..]);
        bytes.remove_front(1_000);
        assert!(bytes.is_empty());
        bytes.truncate(5);
        assert!(bytes.is_empty());
    }
}
