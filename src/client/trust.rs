//! Whether a server is the one that is meant: decided by its key, once for each connection.
//!
//! It is a function of what the user has asked for, of the key that was pinned for the server's name, and of what the
//! server has shown. Whoever asks carries the verdict out.

use core::fmt;

use crate::words::Fingerprint;

/// What the user has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// `--plaintext`
    Plaintext,
    /// TLS with the key that is pinned for the name of the server, or will be.
    Pin,
    /// TLS with this key (`--fingerprint`).
    Key(Fingerprint),
    /// TLS with this key, which is pinned for the name of the server, or will be (`join`).
    First(Fingerprint),
    /// TLS with a certificate of a given authority for the name of the server (`--ca`), and with this key if there is
    /// one.
    Certificate(Option<Fingerprint>),
    /// `trust`: TLS with whatever key the server has, or with this one, which is pinned then.
    Accept(Option<Fingerprint>),
}

/// What a server has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// TLS 1.3 with a key, of which it has proved that it has it, and whether its certificate is as demanded by
    /// [`Demand::Certificate`].
    Key(Fingerprint, Certified),
    /// Something else: no TLS, an older one, or one in which it proves nothing.
    NoKey,
}

/// Whether a certificate was checked, and found good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certified {
    /// Nobody has looked, or it is not good.
    No,
    /// It is signed by the authority that was given, for the name of the server, and in time.
    Yes,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one.
    Trusted,
    /// It is, once the key is pinned for its name.
    Pin,
    /// It cannot be talked to, and nothing says who it is.
    Unusable,
    /// Nothing may be said to it.
    Distrusted(Distrust),
}

/// Why nothing may be said to a server. `Display` says it in one line, to be put after its name and `: `.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distrust {
    /// Its key is not the one that is pinned.
    Changed {
        /// Pinned.
        trusted: Fingerprint,
        /// The server's.
        shown: Fingerprint,
    },
    /// Its key is not the one that was asked for.
    NotDemanded {
        /// Asked for.
        demanded: Fingerprint,
        /// The server's.
        shown: Fingerprint,
    },
    /// It shows no key, and one is pinned or asked for.
    NoKey {
        /// Which.
        trusted: Fingerprint,
    },
    /// Its certificate is not of the authority that was given.
    NotCertified,
    /// A key is pinned, and `--plaintext` would not look at it.
    PlaintextToPinned {
        /// Which.
        trusted: Fingerprint,
    },
}

/// Whether to connect without TLS at all; with TLS there is nothing to decide before the server has shown its key.
///
/// # Errors
/// The server has a pin.
pub const fn may_dial(demand: Demand, pinned: Option<Fingerprint>) -> Result<(), Distrust> {
    match (demand, pinned) {
        (Demand::Plaintext, Some(trusted)) => Err(Distrust::PlaintextToPinned { trusted }),
        (Demand::Plaintext, None)
        | (Demand::Pin | Demand::Key(_) | Demand::First(_) | Demand::Certificate(_) | Demand::Accept(_), _) => {
            Ok(())
        }
    }
}

/// What to do about a server that was reached with TLS. `pinned` is the key for its name.
#[must_use]
pub fn judge(demand: Demand, pinned: Option<Fingerprint>, shown: Shown) -> Verdict {
    let Shown::Key(shown, certified) = shown else { return without_key(demand, pinned) };
    match demand {
        Demand::First(demanded) if demanded != shown => {
            Verdict::Distrusted(Distrust::NotDemanded { demanded, shown })
        }
        Demand::Pin | Demand::First(_) => match pinned {
            None => Verdict::Pin,
            Some(trusted) if trusted == shown => Verdict::Trusted,
            Some(trusted) => Verdict::Distrusted(Distrust::Changed { trusted, shown }),
        },
        Demand::Certificate(_) if certified == Certified::No => Verdict::Distrusted(Distrust::NotCertified),
        Demand::Key(demanded) | Demand::Certificate(Some(demanded)) | Demand::Accept(Some(demanded))
            if demanded != shown =>
        {
            Verdict::Distrusted(Distrust::NotDemanded { demanded, shown })
        }
        Demand::Accept(_) => Verdict::Pin,
        Demand::Key(_) | Demand::Certificate(_) => Verdict::Trusted,
        // It asks for no key, and `may_dial` has seen to the pin.
        Demand::Plaintext => Verdict::Unusable,
    }
}

/// A key is known, so that whoever answers without it is somebody else; or none is, and nothing can be said.
fn without_key(demand: Demand, pinned: Option<Fingerprint>) -> Verdict {
    match demand {
        Demand::Key(trusted) | Demand::First(trusted) | Demand::Certificate(Some(trusted)) => {
            Verdict::Distrusted(Distrust::NoKey { trusted })
        }
        Demand::Certificate(None) => Verdict::Distrusted(Distrust::NotCertified),
        Demand::Pin => {
            pinned.map_or(Verdict::Unusable, |trusted| Verdict::Distrusted(Distrust::NoKey { trusted }))
        }
        Demand::Plaintext | Demand::Accept(_) => Verdict::Unusable,
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Distrust::Changed { trusted, shown } => {
                write!(f, "its key has changed: {trusted} is trusted, {shown} is what it shows now")
            }
            Distrust::NotDemanded { demanded, shown } => {
                write!(f, "it has another key: {demanded} is asked for, {shown} is what it shows")
            }
            Distrust::NoKey { trusted } => {
                write!(f, "it does not prove by TLS 1.3 that it has its key, {trusted}")
            }
            Distrust::NotCertified => {
                write!(f, "its certificate is not one of the given authority for this name and time")
            }
            Distrust::PlaintextToPinned { trusted } => {
                write!(f, "it is known by its key, {trusted}, so nothing is said to it in plaintext")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    const A: Fingerprint = Fingerprint([1; 32]);
    const B: Fingerprint = Fingerprint([2; 32]);

    const fn key(shown: Fingerprint) -> Shown {
        Shown::Key(shown, Certified::No)
    }

    #[test]
    fn the_first_key_is_pinned_and_any_other_is_a_hard_stop() {
        assert_eq!(judge(Demand::Pin, None, key(A)), Verdict::Pin);
        assert_eq!(judge(Demand::Pin, Some(A), key(A)), Verdict::Trusted);
        let changed = Distrust::Changed { trusted: A, shown: B };
        assert_eq!(judge(Demand::Pin, Some(A), key(B)), Verdict::Distrusted(changed));
        let words = changed.to_string();
        assert!(words.contains(&A.to_string()) && words.contains(&B.to_string()), "{words}");
        // A certificate of some authority does not count where none was asked for.
        assert_eq!(judge(Demand::Pin, Some(A), Shown::Key(B, Certified::Yes)), Verdict::Distrusted(changed));
    }

    #[test]
    fn a_server_that_is_known_by_a_key_must_show_it() {
        let no_key = Verdict::Distrusted(Distrust::NoKey { trusted: A });
        for (demand, pinned, verdict) in [
            (Demand::Pin, Some(A), no_key),
            (Demand::Pin, None, Verdict::Unusable),
            (Demand::Key(A), None, no_key),
            (Demand::First(A), None, no_key),
            (Demand::Key(A), Some(B), no_key),
            (Demand::Certificate(Some(A)), None, no_key),
            (Demand::Certificate(None), None, Verdict::Distrusted(Distrust::NotCertified)),
            (Demand::Accept(None), Some(A), Verdict::Unusable),
        ] {
            assert_eq!(judge(demand, pinned, Shown::NoKey), verdict, "{demand:?} {pinned:?}");
        }
    }

    #[test]
    fn plaintext_is_for_servers_that_were_never_known_by_a_key() {
        assert_eq!(may_dial(Demand::Plaintext, None), Ok(()));
        assert_eq!(may_dial(Demand::Plaintext, Some(A)), Err(Distrust::PlaintextToPinned { trusted: A }));
        for demand in [Demand::Pin, Demand::Key(A), Demand::Certificate(None), Demand::Accept(None)] {
            assert_eq!(may_dial(demand, Some(B)), Ok(()), "{demand:?}");
        }
    }

    #[test]
    fn what_was_asked_for_counts_and_not_the_pin() {
        let other = Verdict::Distrusted(Distrust::NotDemanded { demanded: A, shown: B });
        for pinned in [None, Some(A), Some(B)] {
            assert_eq!(judge(Demand::Key(A), pinned, key(A)), Verdict::Trusted);
            assert_eq!(judge(Demand::Key(A), pinned, key(B)), other);
            assert_eq!(judge(Demand::Accept(Some(A)), pinned, key(B)), other);
            assert_eq!(judge(Demand::Accept(Some(A)), pinned, key(A)), Verdict::Pin);
            assert_eq!(judge(Demand::Accept(None), pinned, key(B)), Verdict::Pin);
        }
    }

    #[test]
    fn the_key_of_an_invite_is_pinned_unless_another_one_is() {
        let other = Verdict::Distrusted(Distrust::NotDemanded { demanded: A, shown: B });
        let changed = Verdict::Distrusted(Distrust::Changed { trusted: B, shown: A });
        for (pinned, shown, verdict) in [
            (None, A, Verdict::Pin),
            (Some(A), A, Verdict::Trusted),
            (Some(B), A, changed),
            (None, B, other),
            (Some(B), B, other),
        ] {
            assert_eq!(judge(Demand::First(A), pinned, key(shown)), verdict, "{pinned:?} {shown}");
        }
    }

    #[test]
    fn a_certificate_must_be_good_and_of_the_key_that_was_asked_for() {
        let good = |shown| Shown::Key(shown, Certified::Yes);
        let bad = Verdict::Distrusted(Distrust::NotCertified);
        for pinned in [None, Some(B)] {
            assert_eq!(judge(Demand::Certificate(None), pinned, good(A)), Verdict::Trusted);
            assert_eq!(judge(Demand::Certificate(None), pinned, key(A)), bad);
            assert_eq!(judge(Demand::Certificate(Some(A)), pinned, good(A)), Verdict::Trusted);
            assert_eq!(judge(Demand::Certificate(Some(A)), pinned, key(A)), bad);
            assert!(matches!(
                judge(Demand::Certificate(Some(A)), pinned, good(B)),
                Verdict::Distrusted(Distrust::NotDemanded { .. })
            ));
        }
    }
}
