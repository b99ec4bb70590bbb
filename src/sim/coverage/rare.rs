//! The rare states by name.

use crate::wire::code::spelled;

spelled! {
    /// A state that only few runs come to.
    Rare {
        /// The server died with a batch written and not synced.
        CrashBeforeSync = "crash between append and sync",
        /// The server died with a batch synced and not confirmed.
        CrashBeforeConfirm = "crash between sync and confirm",
        /// The server died with a live message out and not acknowledged.
        CrashBeforeAcknowledgement = "crash between delivery and acknowledgement",
        /// The server died with stored mail out and not acknowledged.
        CrashMidDrain = "crash in the middle of stored mail",
        /// The server died in its start, or right after it, before anybody had come.
        CrashAtStart = "crash at the start, and recovered twice",
        /// Somebody came back with a token that was not, or no longer, good.
        StaleToken = "token that is not good any more",
        /// A password came at the very microsecond at which a lock ended.
        LockEndsOnAttempt = "lock ending on the tick of an attempt",
        /// A right password was being compared while the name was locked by another.
        FailureRacesSuccess = "locking failure racing a success",
        /// Three comparisons or more for one name under way, or waiting.
        ParallelGuesses = "three comparisons under way at once",
        /// A block was made while mail of the blocked waited.
        BlockBetweenAcceptAndDelivery = "block between accept and delivery",
        /// A mailbox was full.
        MailboxAtQuota = "mailbox at its quota",
        /// A client resumed while its old link still stood.
        ResumeAgainstOldLink = "resume against a half-open old session",
        /// A client resumed its session after a restart of the server.
        ResumeAfterRestart = "resume after a restart",
        /// A client took up its session that a restart had held.
        HeldSession = "session that went on over a restart",
        /// A restart had held a session, and its client did not come back in time.
        HeldInVain = "session held over a restart, in vain",
        /// A client resumed within the grace.
        ResumeInGrace = "resume within the grace",
        /// The store refused records.
        StoreRefused = "records refused by a full disk",
        /// A record that was refused was written later.
        WrittenLater = "refused record written later",
        /// A message was stored because nobody acknowledged it in time.
        StoredWhenOverdue = "message stored for want of an acknowledgement",
        /// A message was stored because its link was lost.
        StoredWithLink = "message stored because its link was lost",
        /// A client was killed between showing and noting.
        KilledBeforeNote = "client killed between showing and noting",
        /// A message came again and was marked so.
        ShownAgain = "message shown again, and marked",
        /// Stored messages were removed because their time was over.
        MailExpired = "stored mail removed after its time",
        /// The same while their receiver had a session.
        MailExpiredOnline = "stored mail removed after its time beside a session",
        /// Somebody was told of that.
        ExpiredTold = "removed mail told to its receiver",
        /// It was forgotten when somebody was here last.
        SessionForgotten = "session forgotten",
        /// A result could not be known.
        OutcomeUnknown = "outcome unknown",
        /// A session ended by timeout.
        TimedOut = "session timed out",
        /// A session was told that it would be idle for too long, and went on.
        IdleNotice = "notice before a timeout",
        /// An operator ended a session.
        Kicked = "session ended by an operator",
        /// An operator muted a user.
        Muted = "user muted",
        /// An operator banned a user, or disabled the account.
        Banned = "user not let in by an operator",
        /// An operator lets nobody in from some addresses.
        RangeBanned = "addresses banned by an operator",
        /// The store noted what a user had heard of operators.
        HeardNoted = "announcement kept and heard",
        /// What an operator had said to all was kept no longer.
        Withdrawn = "announcement withdrawn",
        /// An account was being made by an invite.
        Invited = "account by invite",
        /// A code was not good, or not any more.
        InviteRefused = "invite refused",
        /// An operator said something.
        OperatorHeard = "notice of an operator",
        /// A session made way for a new login.
        Replaced = "session replaced by a new login",
        /// The hashing threads were too busy.
        HashingBusy = "login refused as busy",
        /// The server was stopped with sessions open.
        StoppedWithSessions = "server stopped with sessions open",
        /// An account was removed while it had a session.
        RemovedWhileOnline = "account removed while online",
        /// A private link stood.
        PrivateStood = "private link between two clients",
        /// A private link broke.
        PrivateLost = "private link lost",
        /// A stranger spoke to a private port.
        StrangerSpoke = "stranger on a private port",
        /// A line was too long.
        LineTooLong = "line longer than the limit",
        /// A chunk ended within a line.
        LineSplit = "line split over chunks",
        /// A link had to wait unread.
        LinkPaused = "link left unread for a while",
        /// A group message was withheld from a member.
        GroupWithheld = "group message withheld by a block",
        /// A command came again on a new link.
        CommandRepeated = "command repeated on a new link",
        /// A change was refused by the store.
        ChangeRefused = "change refused by a full disk",
        /// A change was decided when the fate of another was known.
        ChangeTookTurns = "change that had to wait for another",
        /// The purge of an account was refused, and tried again.
        PurgeTriedAgain = "purge tried again after a refusal",
        /// Somebody was let in although the store had refused the record of it.
        LetInUnwritten = "login told though its record was refused",
        /// Something was answered on a link whose client said no more.
        AnsweredBehindEnd = "answer behind the end of a stream",
        /// A number was used for two commands.
        NumberUsedTwice = "number used for other words",
        /// A line waited for the next turn of its connection.
        WaitedForTurn = "line that waited for its turn",
        /// A session ended in a turn that its connection had waited for.
        LeftInTurn = "logout that waited for its turn",
        /// A line waited until its user owed less.
        WaitedToPay = "line that waited to be paid for",
        /// A line waited because its user had too many records under way.
        WaitedForDisk = "line that waited for the disk",
        /// A live message waited because too much had not left.
        WaitedForOutput = "message that waited for the output of a connection",
        /// Notices were dropped, and that was told.
        NoticeMissed = "notices missed",
        /// A request for a private link was refused because there were too many.
        TooManyRequests = "request for a private link beyond the limits",
        /// A message was refused because its sender had filled their share of a mailbox.
        ShareOfMailbox = "share of a mailbox filled by one sender",
        /// A message was refused because its sender had filled their share of all mailboxes.
        ShareOfAll = "share of all mailboxes filled by one sender",
        /// As many messages were under way to a user as may be.
        WindowFull = "2,048 messages under way to one user",
        /// As many bytes of messages were under way to a user as may be.
        WindowOfBytesFull = "64 KiB of messages under way to one user",
        /// Somebody was shown three pages of stored mail in a row.
        ThreePages = "three pages of mail in a row",
        /// A login had more commands than the server remembers.
        NumbersForgotten = "more than 512 numbered commands in one login",
        /// A list was too long for a line.
        ListOfLines = "list of several lines",
        /// More made-up names were tried than are remembered.
        MadeUpForgotten = "made-up name forgotten for another",
        /// A client listened at more than one address.
        SeveralListeners = "client with several listeners",
        /// A client called a port that the other's router passes on because it was asked to.
        PassedOnDialled = "dial of a port that a router was asked to pass on",
        /// A router has said that it passes a port on, and does not, or nobody outside reaches it.
        RouterLied = "router that says what is not so",
        /// A dial met a machine where nobody listened.
        DialRefused = "dial of another client refused",
        /// A dial met nothing.
        DialUnanswered = "dial of another client unanswered",
        /// Two who agreed did not reach each other.
        Unreachable = "two who agreed, and no way between them",
        /// A client that lets nothing in reached another.
        FromFirewall = "private connection out of a firewall",
        /// A router let a connection in, because its port was mapped.
        ThroughRouter = "private connection into a router",
        /// Two clients of one router reached each other.
        BehindOneRouter = "private connection of two behind one router",
        /// Two clients called each other at the same time, and got one connection.
        OpenedByBoth = "private connection that both sides have opened",
        /// A client called another from its listening port, and reached a port that is open.
        PunchedToPort = "dial from a listening port to another one",
        /// A stranger called with an id that nobody has.
        CalledWithWrongId = "private call with a wrong id",
        /// A stranger called with the id of two others.
        CalledWithOthersId = "private call with the id of others",
        /// A stranger called with a right id in a wrong name, or for somebody else.
        CalledWithWrongName = "private call in a wrong name",
        /// A call came that was said before, for a link that was open by then.
        CalledAgain = "private call said again",
        /// Two connections were nominated for one introduction.
        NominatedTwice = "two nominations for one introduction",
        /// A person by hand had a private link.
        OpenedByHand = "private link with a person by hand",
        /// A link was stopped by a key that was not known.
        KeyChanged = "private link stopped by another key",
        /// Two clients had a link through the server.
        RelayStood = "private link that the server relays",
        /// A conversation began on a relay and became direct.
        Moved = "conversation that left its relay",
        /// A text was said on two links of one conversation.
        SaidAgainAfterMove = "text said again after a move",
        /// The relay of a conversation ended before the other side had agreed to the move.
        OldLinkEndedFirst = "conversation that moved when its relay had ended",
        /// The server relayed something falsely.
        RelayTampered = "relay that is not what came",
        /// What was relayed waited because its sender had had much relayed.
        RelayWaited = "relay that waited for its rate",
        /// A relay was refused.
        RelayRefused = "relay refused",
        /// A conversation that had lost its link went on over a relay.
        Rejoined = "a lost conversation went on over a relay",
        /// A conversation was opened again, because its link was lost before the requester had read that it was open.
        OpenedAgain = "conversation opened again on another link",
        /// Two who had lost a link have found a direct one.
        FoundAgain = "a lost conversation found a direct link again",
        /// A relay was asked for by one whom the server has not introduced.
        RelayUnknown = "relay of two who were not introduced",
        /// A relay ended while its other side went on.
        RelayClosed = "relay closed by its other side",
        /// Such a key was accepted.
        KeyTrusted = "another key accepted",
        /// A device came in while everybody else was locked out of its name.
        DeviceWhileLocked = "login of a device while its name was locked",
        /// A session was taken over by one who had been refused because of it.
        TakenOver = "session taken over when that was asked for",
        /// The client of a session was asked whether it is there, and said something.
        ProbeAnswered = "session found alive by a second login",
        /// The client of a session was asked whether it is there, and was silent.
        ProbeUnanswered = "session found dead by a second login",
        /// A connection that was not logged in was closed before there were as many as may be.
        StrangerDroppedEarly = "stranger closed before the bound",
        /// One that had begun to log in stayed where one that came after it was closed.
        SafeStrangerKept = "stranger kept because it had begun to log in",
        /// One that had begun to log in made room for one from a known address.
        StrangerMadeRoomForKnown = "stranger that had begun to log in and made room for a known address",
        /// A name was not tried because its network had locked too many.
        NetworkBusy = "network that has locked its share of the names",
        /// An address registered more accounts than it may in an hour.
        RegistrationBeyond = "registration beyond the limit of an address",
        /// A courier came while its user had a session.
        CourierBesideSession = "courier beside a session",
        /// A courier came by a token.
        CourierByToken = "courier by token",
        /// One more courier than a user may have was refused.
        CourierTooMany = "courier beyond the limit",
        /// A courier was closed because nothing more came of it.
        CourierIdle = "courier closed after its last answer",
        /// A courier ended because its password was changed, or its account went.
        CourierReplaced = "courier ended with its password",
        /// A courier said goodbye before all was answered.
        CourierLeftBehindAnswers = "goodbye of a courier behind its answers",
        /// A message of a courier was said again with its id.
        IdSaidAgain = "id of a courier's message said again",
        /// The same, after a restart of the server.
        IdSaidAfterRestart = "id of a courier's message said again after a restart",
        /// An id was said with other words.
        IdOfOtherWords = "id of a courier's message said with other words",
        // Under an evil server.
        /// Two were told other keys than the other has.
        KeySwapped = "introduction with another key",
        /// Two were told addresses that are not the other's.
        AddressesSwapped = "introduction with other addresses",
        /// Two were told parts that do not fit.
        RolesSwapped = "introduction with other parts",
        /// An id was told again.
        IdAgain = "introduction with an id that was used",
        /// One of two was told another name.
        AnotherName = "introduction under another name",
        /// One of two was told twice.
        ToldTwice = "introduction told twice",
        /// Somebody was introduced, or relayed, who had not asked.
        Unasked = "introduction or relay that nobody asked for",
        /// Who asked for a link got one with the server, or a false answer.
        AnsweredAlone = "request answered without the other",
        /// The server said something that is not so.
        Lied = "lie of the server",
        /// A greeting had not all that the server can do.
        GreetingStripped = "greeting without capabilities",
        /// Who came back heard something false.
        ResumeLied = "false answer to a resume",
        /// The server showed a key that it cannot sign with.
        KeyForged = "key shown without its signature",
        /// The server showed a key of its own where another was told.
        OwnKeyShown = "another key shown than was told",
        /// The server proved a key of its own.
        EvilKeyProved = "key of the server proved to a client",
        /// A client took it for another's, as the first of that name, or because it was accepted.
        EvilKeyTaken = "conversation with the server",
        /// A client stopped a link because of another key.
        EvilKeyRefused = "link stopped by another key",
        /// A person accepted another key.
        EvilKeyTrusted = "another key accepted from an evil server",
        /// A text of the server was shown as one of the user whose key it had.
        EvilTextShown = "text of the server shown",
        /// A person read another code than before.
        CodesDiffer = "code that differs",
        /// A client dialled the server as somebody else.
        ServerDialled = "dial of the server's own address",
        /// The server called a client as somebody else.
        ServerCalled = "call of the server",
        /// A client called itself.
        CalledItself = "client that called itself",
        /// A recording was said again at a port.
        RecordingCalled = "recording said again to a port",
        /// A recording was said again on a relay.
        RecordingRelayed = "recording said again on a relay",
        /// A relay ended at the server.
        RelayToServer = "relay that ends at the server",
        /// A relay led to a third client.
        RelaysCrossed = "relay to a third client",
        /// A frame was changed.
        FrameChanged = "relayed frame changed",
        /// A frame came twice.
        FrameRepeated = "relayed frame repeated",
        /// A frame lacked its end.
        FrameTruncated = "relayed frame truncated",
        /// A frame did not come.
        FrameDropped = "relayed frame dropped",
        /// A frame came after later ones.
        FrameDelayed = "relayed frame delayed",
        /// A frame came in two.
        FrameSplit = "relayed frame split",
        /// An earlier frame came again before another.
        FrameInjected = "relayed frame injected",
        /// A frame went back.
        FrameReturned = "relayed frame returned",
        /// A frame went to another relay.
        FrameMisrouted = "relayed frame misrouted",
        /// More was said to be taken than was sent.
        TookTooMuch = "more taken than sent",
        /// The server closed a relay that both were using.
        RelayClosedFalsely = "relay closed by an evil server",
        /// The offer to move conversations was taken out of a handshake.
        DowngradeTried = "downgrade of a handshake",
        /// A conversation ended because its relay was not true.
        RelayLostToEvil = "relayed conversation lost to an evil relay",
        /// Two had a relayed conversation all the same.
        RelayedUnderEvil = "relayed conversation under an evil server",
        /// Two had a conversation all the same.
        OpenedUnderEvil = "true conversation under an evil server",
        /// A conversation left its relay all the same.
        MovedUnderEvil = "conversation that left an evil relay",
        /// One of its links ended when a conversation moved.
        MoveMeddled = "conversation whose links were ended while it moved",
        /// A client heard what cannot be.
        ImpossibleHeard = "impossible line on an encrypted link",
        /// A client was made to dial as many addresses as it may.
        DialBudgetSpent = "dials of a minute spent",
        /// Two had a link again when the server was honest.
        LinkAgain = "link of two after the evil",
    }
}

impl Rare {
    /// Whether only an evil server brings it about.
    #[must_use]
    pub const fn is_evil(self) -> bool {
        self as usize >= Rare::KeySwapped as usize
    }
}
