//! All of them, each with what it does.

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
    /// Only the first time without activity of a session is announced before its timeout.
    IdleNoticeOnce,
    /// The notice before a timeout comes 10 s late.
    IdleNoticeLate,
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
    /// `seen` tells when somebody was here who has blocked the asker.
    BlockSkippedInSeen,
    /// `seen` knows nobody who is not online.
    SeenForgets,
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
    /// A lock is taken for two thirds of `block_duration`.
    LockTooShort,
    /// An attempt during a lock begins it again although `lock_extend` is off.
    LockExtends,
    /// After a lock has run out one failure locks the name again.
    LockEndLeavesOneTry,
    /// A lock ends the session that stands.
    LockEndsSession,
    /// A session cannot be resumed while its name is locked.
    LockBarsResume,
    /// An unknown name locks after one failure less than a known one.
    UnknownLocksEarly,
    /// The notice of failed logins counts those that it told of before.
    FailuresNeverForgotten,
    /// A right password that is denied as `already_online` does not reset the count.
    DeniedKeepsCount,
    /// An address has one failure more than `failures_per_address`.
    AddressLimitOneMore,
    /// A refused login tells of one try too many.
    AttemptsLeftOneMore,
    /// A login with what is no name is tried and counted.
    BadNameIsTried,
    /// A new name of more than 32 characters is cut, not refused.
    LongNameCut,
    /// A registration does not look at names that look alike.
    LookAlikesIgnored,
    /// Anybody may register with `registration=closed`.
    RegistrationNeverCloses,
    /// Login numbers are counted, not taken from the clock.
    LoginsCounted,
    /// A login is denied while a session without a link waits.
    GraceDeniesLogin,
    /// A session outlives its link for half of `resume_grace_secs` only.
    GraceHalved,
    /// A session without a link does not time out.
    GraceStopsTimeout,
    /// Requests for private links outlive the link of a session that waits.
    GraceKeepsRequests,
    /// A user whose session has no link is asked for a private link.
    GraceIsAsked,
    /// `ping` tells a session without a link as offline.
    GracePingsOffline,
    /// `whoelse` leaves out sessions without a link.
    GraceNotListed,
    /// A resume of a session that goes on is told to the others.
    ResumeTold,
    /// A token ends with a session that lost its link.
    TokenEndsWithLink,
    /// A token is still good when the password has changed.
    TokenOutlivesPassword,
    /// Tokens and cookies end when a hash is renewed.
    RenewalEndsTokens,
    /// A login is refused if its hash was renewed while its password was compared.
    RenewalRefusesLogin,
    /// A login must be done within half of `login_secs`.
    LoginTimeHalved,
    /// The timeout is counted from the login.
    TimeoutFromLogin,
    /// A user whose line waits is idle.
    WaitingIsIdle,
    /// An acknowledgement counts as activity.
    AcknowledgingIsActivity,
    /// `active` is no activity.
    ActiveIgnored,
    /// `active invalid` counts as activity although that is off.
    InvalidActiveCounts,
    /// A logout waits four seconds without progress, not two.
    LogoutWaitsLonger,
    /// `whoelse` leaves out whom the asker has blocked.
    WhoelseHidesBlocked,
    /// `whoelse` hides blockers with `hide_blockers_in_whoelse=false` as well.
    BlockersAlwaysHidden,
    /// `whoelsesince` counts from logins with `history_mode=overlap` as well.
    HistoryFromLogin,
    /// `wholasthr` looks back for a minute.
    LastHourIsMinute,
    /// A session that was open at a crash ends at the start after it.
    CrashEndAtStart,
    /// `ping` of one whom the asker has blocked tells `blocked`.
    PingOfBlockedTells,
    /// `block_mutual=true` does not bind the blocker.
    MutualIgnored,
    /// Blocking twice is no error although `strict_block` is on.
    StrictBlockIgnored,
    /// A block ends the blocker's own request to the blocked.
    BlockEndsOwnRequest,
    /// A block ends a private link although `block_ends_private` is off.
    BlockEndsPrivate,
    /// `held_on_block=deliver` holds back.
    DeliverHolds,
    /// `held_on_block=drop` holds back.
    DropHolds,
    /// `held_on_block=hold` drops.
    HoldDrops,
    /// The unread count includes mail that a block holds back.
    UnreadCountsHeld,
    /// Stored mail is shown at login with `offline_delivery=manual`.
    ManualShows,
    /// Mail is stored with `offline_delivery=off`.
    OffStores,
    /// `block_notice=silent` answers `delivered`.
    SilentSaysDelivered,
    /// A message is accepted one second before it was.
    SentAtSecondEarly,
    /// The spaces that a message begins with are lost.
    TextTrimmed,
    /// A message that is not acknowledged is stored after four seconds, not two.
    StoredLate,
    /// An acknowledgement of an unknown id covers everything under way.
    UnknownIdAcknowledgesAll,
    /// The quota of one sender counts the messages of all.
    QuotaCountsAllSenders,
    /// A mailbox takes one message more than `mailbox_messages`.
    MailboxOneMore,
    /// Mail that a block holds back does not count in the quota.
    HeldIsNoMail,
    /// A broadcast counts its sender.
    BroadcastCountsSender,
    /// A broadcast is `withheld` because of a blocker who is offline.
    WithheldByOffline,
    /// `broadcast_report=none` tells that a broadcast was withheld.
    ReportNoneTells,
    /// A broadcast costs nothing.
    BroadcastIsFree,
    /// A user may cause twice `rate_burst` at once.
    BurstTwice,
    /// A group is no more when its owner leaves.
    GroupDiesWithOwner,
    /// A leaving owner is succeeded by the newest member.
    NewestSucceeds,
    /// The first member named owns a new group, not its creator.
    CreatorNotOwner,
    /// A second group of the same name replaces the first.
    CreateReplaces,
    /// Any member may add to a group.
    MemberMayAdd,
    /// Adding a member again is told to the others.
    AddAgainTold,
    /// One who has blocked the asker can be put into a group.
    BlockerMayBeAdded,
    /// `remove group` takes the newest other member as well.
    RemoveTakesTwo,
    /// Removing one who is no member is no error.
    RemoveOfNobody,
    /// One who is removed from a group is not told.
    RemovedNotTold,
    /// A group counts no more for a maker who has left it.
    LeftGroupIsFree,
    /// A group has one member more than `members_per_group`.
    MembersLimitOneMore,
    /// `grouplist` shows the asker's own groups only.
    GroupListOwnedOnly,
    /// A group message tells of a blocker where there is none.
    GroupAlwaysWithheld,
    /// A group message does not count full mailboxes.
    RefusedNotCounted,
    /// A group message has no origin.
    GroupOriginDropped,
    /// Two requests for one private link are no consent.
    CrossingIsNoConsent,
    /// A request for a private link expires after half of its time.
    RequestExpiresEarly,
    /// An introduction tells the requester its own address.
    OwnAddressTold,
    /// An introduction tells private addresses to clients elsewhere.
    PrivateAddressToAll,
    /// An introduction tells of ports below 1,024.
    LowPortTold,
    /// A reload lifts every lock.
    ReloadUnlocks,
    /// Sessions keep the timeout that they began with.
    ReloadKeepsIdle,
    /// A changed password ends the session.
    NewPasswordEndsSession,
    /// An account that is removed loses its session.
    RemovalEndsSession,
    /// A user whose account is removed gets no live messages.
    RemovedGetsNothing,
    /// A user whose account is removed may make changes.
    RemovedMayChange,
    /// A repeat of a command that failed is done again.
    FailureTriedAgain,
    /// A login that hears `busy` counts as a failure.
    BusyCostsTry,
    /// A link has four tries with `block_duration=0`.
    LinkHasFourTries,
    /// A new name is asked for its password as if it had an account.
    NewNameAskedAsOld,
    /// A token ends with the server.
    StopEndsToken,
    /// A token ends with a crash.
    CrashEndsToken,
    /// A resume into a new session forgets the answers to numbered commands.
    ResumeForgetsAnswers,
    /// A resume keeps requests for private links that have no number.
    ResumeKeepsUnnumbered,
    /// A group message costs one delivery.
    GroupCostsOne,
    /// A change without a number is made although its link was lost before its turn.
    UnnumberedOutlivesLink,
    /// Lifting a block shows nothing with `offline_delivery=manual`.
    ManualUnblockShowsNothing,
    /// With `offline_delivery=manual` messages to users online are stored.
    ManualStoresAll,
    /// At the bound of connections the newest silent one is closed.
    NewestSilentGoes,
    /// A fact that the store refuses while it refuses is not written again.
    FactForgottenLater,
    /// Of two refused facts of a kind the older one is written.
    OlderFactWins,
    /// A connection that has had its turn goes on.
    TurnsUnbounded,
    /// A user may have any number of records on their way to the disk.
    UnsettledUnbounded,
    /// A sender may fill a whole mailbox.
    SharesIgnored,
    /// What others cause is written to a connection however much of it has not left.
    WindowIgnored,
    /// Nobody hears that something was dropped for them.
    MissedNotTold,
    /// Lists cost nothing.
    ListIsFree,
    /// A change costs no more than any line.
    ChangeIsFree,
    /// The notices of a changed group cost nothing.
    NoticesAreFree,
    /// A stored copy costs no more than a live one.
    StoredIsFree,
    /// A resume costs nothing.
    ResumeIsFree,
    /// A long text costs as much as a short one.
    LongTextIsShort,
    /// What a user owes is forgotten with their session.
    DebtEndsWithSession,
    /// A user may begin any number of requests for private links.
    RequestsUnlimited,
    /// Requests at a user take the places of those who ask them.
    RequestPlacesShared,
    /// Every coming and going is told at once.
    PresenceNeverSettles,
    /// A change of presence that was not told at once is never told.
    PresenceForgotten,
    /// A user whose coming was not told is heard of without it.
    UnsettledSpeaks,
    /// A client answers a private call with any id.
    ClientTakesAnyId,
    /// A client answers a private call that is for somebody else.
    ClientTakesAnyName,
    /// A client takes a call that is said again.
    ClientTakesNonceTwice,
    /// A client takes whatever key the other side has.
    ClientTakesAnyKey,
    /// A client takes another key of a user whose key it knows.
    ClientTakesChangedKey,
    /// The server tells each of two clients its own key.
    OwnKeyTold,
    /// A client opens a link for each nomination of an introduction.
    ClientOpensTwice,
    /// A client that asked for a link takes the other's nomination.
    RequesterTakesNomination,
    /// A client that asked for a link nominates each connection.
    RequesterNominatesAll,
    /// A client dials the first address that it is told, and no other.
    ClientDialsFirstOnly,
    /// A client declares the first of its listeners only.
    ClientDeclaresFirstOnly,
    /// A client does not declare the address that it was told to.
    ClientAdvertisesNothing,
    /// A client gives up a private link after a minute.
    ClientGivesUpLate,
    /// Strangers take the places at a private port that are for those who are meant.
    StrangersTakeAllPlaces,
    /// A client's private port stays open when nobody is expected.
    ClientDoorStaysOpen,
    /// A request for a private link is open for twice its time.
    RequestExpiresLate,
    /// The newest made-up name makes room for another, not the oldest.
    NewestMadeUpGoes,
    /// A made-up name that is forgotten is forgotten in memory only.
    MadeUpStaysStored,
    /// The queue of the store has no bound.
    StoreQueueUnbounded,
    /// Registrations of an address are not counted.
    RegistrationsUncounted,
    /// A lower limit of registrations forgets those beyond it.
    RegistrationsForgotten,
    /// A network may lock all places for names.
    NetworksLockAll,
    /// A locked name is forgotten for another.
    LockedNamePushedOut,
    /// The lock of a name bars its devices.
    NameLockReachesDevice,
    /// An account keeps all its devices.
    DevicesAddUp,
    /// Known addresses and devices wait in the row of the others.
    KnownWaitsLikeOthers,
    /// A lane that has had its turn has the next one as well.
    LanesKeepTheirPlace,
    /// More passwords are compared at a time than there are threads.
    HashingUnbounded,
    /// What the client of a session says when it is asked is not heard.
    AnswerUnheard,
    /// A client that does not answer keeps its session.
    SilenceKeepsSession,
    /// A session is taken over although that is denied.
    TakeoverDespiteDeny,
    /// No connection goes before the bound is reached.
    NobodyGoesEarly,
    /// A connection that has begun to log in goes like others.
    NobodyIsSafe,
    /// A connection from a known address goes like others.
    KnownGoesLikeOthers,
    /// A connection whose client has said all that it will is as safe as others.
    EndedIsSafe,
    /// Connections that have begun to log in make others go early.
    BegunDropsOthers,
    /// A client closes its state folder when it says `logout`, before the last messages have come.
    ClientClosesStateEarly,
    /// A client at a terminal ends when its server stops.
    ClientEndsWithServer,
    /// A client that logs in again forgets what it had not sent.
    ClientForgetsQueue,
    /// A client that logs in again sends again what it had sent in the login before.
    ClientRepeatsInNewLogin,
    /// With `--strict` a command that failed does not show in the exit code.
    ClientExitsWell,
    /// A user has as many couriers as they like.
    CouriersUnbounded,
    /// A courier's token is good for ever.
    CourierTokenForEver,
    /// A courier may ask who else is online.
    CourierSaysAll,
    /// A courier is not closed after its last answer.
    CourierStays,
    /// A courier goes on when the password is changed.
    CourierOutlivesPassword,
}
