//! What a client's device is known by on private links.

use alloc::string::ToString;
use core::fmt;
use core::str::FromStr;

use base64ct::{Base64Unpadded, Encoding as _};

/// The public Ed25519 key of a device: `ed25519:` and 43 characters of base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceKey(pub [u8; 32]);

/// A string that is no [`DeviceKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadDeviceKey;

const PREFIX: &str = "ed25519:";

impl fmt::Display for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", Base64Unpadded::encode_string(&self.0))
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for DeviceKey {
    type Err = BadDeviceKey;

    fn from_str(word: &str) -> Result<DeviceKey, BadDeviceKey> {
        let mut key = [0; 32];
        let base64 = word.strip_prefix(PREFIX).ok_or(BadDeviceKey)?;
        let length = Base64Unpadded::decode(base64, &mut key).map_err(|_| BadDeviceKey)?.len();
        let read = DeviceKey(key);
        // Each has one spelling.
        if length == key.len() && read.to_string() == word { Ok(read) } else { Err(BadDeviceKey) }
    }
}

impl fmt::Display for BadDeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key of a device is ed25519: and 43 characters of base64")
    }
}

impl core::error::Error for BadDeviceKey {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn it_reads_what_it_writes_and_nothing_else() {
        let key = DeviceKey(core::array::from_fn(|at| (at * 37) as u8));
        let word = key.to_string();
        assert_eq!(word, "ed25519:ACVKb5S53gMoTXKXvOEGK1B1mr/kCS5TeJ3C5wwxVns");
        assert_eq!(word.parse(), Ok(key));
        let other_end = format!("{}t", &word[..word.len() - 1]);
        let (short, long) = (&word[..word.len() - 1], format!("{word}A"));
        for bad in ["", "ed25519:", "ed25519:x", &word[8..], &word.to_uppercase(), short, &long, &other_end] {
            assert_eq!(bad.parse::<DeviceKey>(), Err(BadDeviceKey), "{bad}");
        }
        assert!(format!("{word}=").parse::<DeviceKey>().is_err());
    }
}
