//! An address, or a network of addresses.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use super::BadId;

/// All addresses that begin with the same bits: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`. An IPv4 address in IPv6
/// is one of IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    /// The first one: its further bits are 0.
    first: IpAddr,
    bits: u8,
}

impl AddressRange {
    /// The addresses that have their first bits in common with this one; `None`: it has not as many.
    #[must_use]
    pub fn new(address: IpAddr, bits: u8) -> Option<AddressRange> {
        let address = address.to_canonical();
        (bits <= width(address)).then(|| AddressRange { first: masked(address, bits), bits })
    }

    /// Whether an address is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width(address) == width(self.first) && masked(address, self.bits) == self.first
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(v4) => {
            IpAddr::V4((u32::from(v4) & !u32::MAX.checked_shr(bits).unwrap_or_default()).into())
        }
        IpAddr::V6(v6) => {
            IpAddr::V6((u128::from(v6) & !u128::MAX.checked_shr(bits).unwrap_or_default()).into())
        }
    }
}

/// As it is read; a single address without its length.
impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == width(self.first) {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}/{}", self.first, self.bits)
        }
    }
}

impl FromStr for AddressRange {
    type Err = BadId;

    fn from_str(text: &str) -> Result<AddressRange, BadId> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, bits)| (a, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| BadId)?;
        let bits = match bits {
            None => width(address.to_canonical()),
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| BadId)?
            }
            Some(_) => return Err(BadId),
        };
        AddressRange::new(address, bits).ok_or(BadId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    fn range(text: &str) -> AddressRange {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_are_written_as_they_are_read_with_the_bits_that_count() {
        for (text, shown) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8:1:2::1/48", "2001:db8:1::/48"),
            ("::1", "::1"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
        ] {
            assert_eq!(range(text).to_string(), shown);
            assert_eq!(range(shown), range(text));
        }
        for text in ["", "hans", "192.0.2", "192.0.2.7/33", "192.0.2.7/", "192.0.2.7/+8", "::1/129", "[::1]"]
        {
            assert_eq!(text.parse::<AddressRange>(), Err(BadId), "{text:?}");
        }
    }

    #[test]
    fn a_range_contains_what_begins_with_its_bits() {
        let has = |of: &str, address: &str| range(of).contains(address.parse().unwrap());
        assert!(has("192.0.2.0/24", "192.0.2.255") && !has("192.0.2.0/24", "192.0.3.0"));
        assert!(has("192.0.2.0/24", "::ffff:192.0.2.9") && has("0.0.0.0/0", "203.0.113.1"));
        assert!(!has("0.0.0.0/0", "::1") && !has("::/0", "192.0.2.1") && has("::/0", "2001:db8::1"));
        assert!(has("2001:db8::/32", "2001:db8:ffff::1") && !has("2001:db8::/32", "2001:db9::1"));
        assert!(has("192.0.2.7", "192.0.2.7") && !has("192.0.2.7", "192.0.2.6"));
    }
}
