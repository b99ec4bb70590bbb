//! Bugs to plant for the simulator's exam: an invariant must find each.
//!
//! Without the feature `planted`, [`is`] is constantly false and planted code is not compiled in. With it, `plant`
//! chooses one bug at run time. The choice is the only global of the core, and in no program that is installed.

macro_rules! planted {
    ($($name:ident: $doc:literal,)+) => {
        /// A bug that can be planted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Planted { $(#[doc = $doc] $name,)+ }

        impl Planted {
            /// All of them.
            pub const ALL: &'static [Planted] = &[$(Planted::$name,)+];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Planted::$name => stringify!($name),)+ }
            }

            /// What it does, in words.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Planted::$name => $doc,)+ }
            }
        }
    };
}

mod bugs;

pub use self::bugs::Planted;

#[cfg(feature = "planted")]
mod choice {
    use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};

    use super::Planted;

    const NONE: u16 = u16::MAX;
    static CHOSEN: AtomicU16 = AtomicU16::new(NONE);
    static MET: AtomicBool = AtomicBool::new(false);

    /// Plants one bug, or none.
    pub fn plant(bug: Option<Planted>) {
        CHOSEN.store(bug.map_or(NONE, |bug| bug as u16), Ordering::Relaxed);
    }

    /// Whether this bug is planted.
    #[must_use]
    pub fn is(bug: Planted) -> bool {
        let is_planted = CHOSEN.load(Ordering::Relaxed) == bug as u16;
        if is_planted {
            MET.store(true, Ordering::Relaxed);
        }
        is_planted
    }

    /// Whether the code of the planted bug was come to since this was last asked.
    #[must_use]
    pub fn was_met() -> bool {
        MET.swap(false, Ordering::Relaxed)
    }
}

#[cfg(feature = "planted")]
pub use choice::{is, plant, was_met};

/// Whether this bug is planted: never, without the feature `planted`.
#[cfg(not(feature = "planted"))]
#[must_use]
pub const fn is(_: Planted) -> bool {
    false
}
