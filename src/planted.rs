//! Bugs to plant for the simulator's exam: an invariant must find each.
//!
//! Without the feature `planted`, [`is`] is constantly false and planted code is not compiled in. With it, `plant`
//! chooses one bug at run time. The choice is the only global of the core, and in no program that is installed.

macro_rules! planted {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// A bug that can be planted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Planted { $($(#[doc = $doc])+ $name,)+ }

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
                match self { $(Planted::$name => concat!($($doc,)+),)+ }
            }
        }
    };
}

planted! {
    /// A name locks after one failure too many.
    LockOneLate,
    /// Failures are counted per link: reconnecting evades the lock.
    CounterPerLink,
    /// A right password does not reset the count.
    SuccessKeepsCount,
    /// The count and the lock are not written.
    LockNotStored,
    /// A lock never runs out.
    LockForEver,
    /// A right password gets in during a lock.
    LockedButRight,
    /// An attempt is not reserved before its comparison: parallel guesses outrun the count.
    GuessesOutrunCount,
    /// An unknown name is never locked.
    UnknownNeverLocked,
    /// A link that hears `busy` is never read again.
    OverloadHangs,
    /// A second login ends the first session although it is to be denied.
    SecondLoginWins,
    /// The timeout comes two seconds late.
    TimeoutLate,
    /// Receiving counts as activity.
    ReceivingIsActivity,
    /// A timer of an ended session ends the user's next one.
    StaleTimer,
    /// A session whose link is lost does not end.
    GhostSession,
    /// Nobody is told of a logout by timeout.
    TimeoutNotTold,
    /// Presence is told twice.
    PresenceTwice,
    /// Presence is told to those whom the subject has blocked.
    PresenceToBlocked,
    /// The end of a session is not in the history.
    EndNotInHistory,
    /// `whoelsesince` looks one second too far back.
    HistoryTooLong,
    /// Lists are not sorted.
    ListUnsorted,
    /// `whoelse` shows those who have blocked the asker.
    BlockSkippedInWhoelse,
    /// `whoelsesince` shows those who have blocked the asker.
    BlockSkippedInHistory,
    /// `message` does not look at blocks.
    BlockSkippedInMessage,
    /// `broadcast` does not look at blocks.
    BlockSkippedInBroadcast,
    /// `message group` does not look at blocks.
    BlockSkippedInGroup,
    /// `startprivate` does not look at blocks.
    BlockSkippedInPrivate,
    /// `ping` does not look at blocks.
    BlockSkippedInPing,
    /// Stored mail of a blocked sender is shown.
    BlockSkippedInMailbox,
    /// A block works in both directions.
    BlockMutual,
    /// Lifting a block does not show what it held back.
    UnblockShowsNothing,
    /// A message is confirmed as stored before its record is durable.
    ConfirmBeforeCommit,
    /// A record that the store refused is confirmed.
    ConfirmRefused,
    /// A change holds when it is decided, before it is durable.
    ChangeHoldsEarly,
    /// A change is answered when it is handed to the store.
    AnswerBeforeCommit,
    /// A record that the store refused is applied all the same.
    RefusedChangeApplied,
    /// Changes that conflict are under way together.
    WishesOvertake,
    /// The line after a change does not wait for it.
    NextLineDoesNotWait,
    /// `welcome` is said before its record is durable.
    WelcomeEarly,
    /// The members of a group hear of its change after what is decided next.
    NoticeLate,
    /// A fact that the store refused is not written again.
    FactForgotten,
    /// A purge that the store refused is not tried again.
    PurgeOnce,
    /// Mail on its way to the disk takes no room in its mailbox.
    RoomNotPromised,
    /// A repeat is known by its number alone, whatever its words.
    WordsIgnored,
    /// Lines that wait when a stream ends are dropped.
    LogoutAtEndOfStreamDropsLines,
    /// A message counts as delivered when it is sent.
    DeliveredWhenSent,
    /// Stored mail is removed when it is sent, not when it is acknowledged.
    RemovedWhenSent,
    /// An acknowledgement covers one message too many.
    AcknowledgesOneMore,
    /// Messages under way to a lost link are not stored.
    LostWithLink,
    /// A message that is not acknowledged in time is forgotten.
    OverdueForgotten,
    /// A live message is sent before the stored ones that came before it.
    LiveBeforeStored,
    /// The last message of a page of stored mail is left out.
    PageDropsLast,
    /// A full mailbox confirms a message and drops it.
    FullMailboxDrops,
    /// Boot numbers are not used: ids come again after a restart.
    IdReused,
    /// A repeated command is done again.
    RepeatDoneAgain,
    /// A command is answered twice.
    AnsweredTwice,
    /// A request for a private link that expires is not answered.
    ExpiryNotAnswered,
    /// A declined request introduces all the same.
    DeclineIntroduces,
    /// Anybody may write to a group.
    GroupOpenToAll,
    /// A member who is removed from a group stays in it.
    RemovedStays,
    /// A broadcast comes back to its sender.
    BroadcastToSelf,
    /// A token resumes after logout.
    TokenSurvivesLogout,
    /// Any token resumes a session.
    AnyTokenResumes,
    /// The end of a session that was open at a crash is not written.
    CrashEndNotWritten,
    /// The last member of a group is counted and gets nothing.
    LastMemberLeftOut,
    /// A page of mail shows what was taken out of the mailbox since it was asked for.
    PageShowsWhatIsGone,
    /// A byte is lost where a chunk ends within a character.
    SplitCharacter,
    /// A link that waits for a try at a name waits for ever if its account is removed.
    RemovalForgetsWaiting,
    /// A link whose lists just fill what may be under way is never read again.
    ListsFillUp,
    /// The client shows a message again that it has shown.
    ClientShowsAgain,
    /// The client acknowledges before a message is shown.
    ClientAcknowledgesEarly,
    /// The client does not repeat open commands after a resume.
    ClientRepeatsNothing,
    /// The client believes an answer to a repeated group message that says it missed members.
    GroupRepeatBelieved,
    /// A logout does not wait for stored mail that is being shown.
    LogoutCutsMail,
    /// A fact that the store refuses while it refuses is not written again.
    FactForgottenLater,
    /// Of two refused facts of a kind the older one is written.
    OlderFactWins,
}

#[cfg(feature = "planted")]
mod choice {
    use core::sync::atomic::{AtomicU8, Ordering};

    use super::Planted;

    const NONE: u8 = u8::MAX;
    static CHOSEN: AtomicU8 = AtomicU8::new(NONE);

    /// Plants one bug, or none.
    pub fn plant(bug: Option<Planted>) {
        CHOSEN.store(bug.map_or(NONE, |bug| bug as u8), Ordering::Relaxed);
    }

    /// Whether this bug is planted.
    #[must_use]
    pub fn is(bug: Planted) -> bool {
        CHOSEN.load(Ordering::Relaxed) == bug as u8
    }
}

#[cfg(feature = "planted")]
pub use choice::{is, plant};

/// Whether this bug is planted: never, without the feature `planted`.
#[cfg(not(feature = "planted"))]
#[must_use]
pub const fn is(_: Planted) -> bool {
    false
}
