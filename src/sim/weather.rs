//! How fast links, store and hashing are, and what cannot be reached.

use crate::time::Time;

/// The faults and speeds of the moment.
#[derive(Debug, Clone)]
pub(super) struct Weather {
    pub(super) latency_micros: u64,
    pub(super) refuse_dials_until: Time,
    /// Clients do not reach each other.
    pub(super) lose_dials_until: Time,
    pub(super) hash_micros: u64,
    pub(super) hash_busy_until: Time,
    pub(super) store_micros: u64,
}

impl Weather {
    pub(super) const fn none() -> Weather {
        Weather {
            latency_micros: 0,
            refuse_dials_until: Time::ZERO,
            lose_dials_until: Time::ZERO,
            hash_micros: 0,
            hash_busy_until: Time::ZERO,
            store_micros: 0,
        }
    }

    pub(super) const fn fair() -> Weather {
        Weather {
            latency_micros: 200,
            refuse_dials_until: Time::ZERO,
            lose_dials_until: Time::ZERO,
            hash_micros: 30_000,
            hash_busy_until: Time::ZERO,
            store_micros: 400,
        }
    }
}
