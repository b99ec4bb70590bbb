//! What a server is known by.

use alloc::string::ToString;
use core::fmt;
use core::str::FromStr;

use base64ct::{Base64Unpadded, Encoding as _};

/// The SHA-256 digest of a server's public key, in the form of OpenSSH: `SHA256:` and 43 characters of base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// A string that is no [`Fingerprint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadFingerprint;

const PREFIX: &str = "SHA256:";

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", Base64Unpadded::encode_string(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(word: &str) -> Result<Fingerprint, BadFingerprint> {
        let mut digest = [0; 32];
        let base64 = word.strip_prefix(PREFIX).ok_or(BadFingerprint)?;
        let length = Base64Unpadded::decode(base64, &mut digest).map_err(|_| BadFingerprint)?.len();
        let fingerprint = Fingerprint(digest);
        // Each has one spelling.
        if length == digest.len() && fingerprint.to_string() == word {
            Ok(fingerprint)
        } else {
            Err(BadFingerprint)
        }
    }
}

impl fmt::Display for BadFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fingerprint is SHA256: and 43 characters of base64")
    }
}

impl core::error::Error for BadFingerprint {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn it_reads_what_it_writes_and_nothing_else() {
        let digest = core::array::from_fn(|at| (at * 37) as u8);
        let word = Fingerprint(digest).to_string();
        assert_eq!(word, "SHA256:ACVKb5S53gMoTXKXvOEGK1B1mr/kCS5TeJ3C5wwxVns");
        assert_eq!(word.parse(), Ok(Fingerprint(digest)));
        let other_end = format!("{}t", &word[..word.len() - 1]);
        let (short, long) = (&word[..word.len() - 1], format!("{word}A"));
        for bad in ["", "SHA256:", "SHA256:x", &word[7..], &word.to_lowercase(), short, &long, &other_end] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(BadFingerprint), "{bad}");
        }
        assert!(format!("{word}=").parse::<Fingerprint>().is_err());
    }
}
