//! Settings by which the core decides. Their names are those of the settings file.

use alloc::boxed::Box;

use crate::words::Name;

/// Settings of the core. A limit of 0 is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `block_duration`: seconds a name stays locked; 0: never locked.
    pub block_duration_secs: u64,
    /// `timeout`: seconds without a valid command until logout; 0: never.
    pub timeout_secs: u64,
    /// `lock_attempts`: failures in a row that lock a name.
    pub lock_attempts: u32,
    /// `lock_extend`: an attempt during a lock begins it again.
    pub lock_extend: bool,
    /// `registration`
    pub registration: Registration,
    /// `duplicate_login`
    pub duplicate_login: DuplicateLogin,
    /// `invalid_counts_as_activity`
    pub invalid_counts_as_activity: bool,
    /// `block_notice`
    pub block_notice: BlockNotice,
    /// `offline_delivery`
    pub offline_delivery: OfflineDelivery,
    /// `held_on_block`
    pub held_on_block: HeldOnBlock,
    /// `broadcast_report`
    pub broadcast_report: BroadcastReport,
    /// `hide_blockers_in_whoelse`
    pub hide_blockers_in_whoelse: bool,
    /// `whoelse_include_self`
    pub whoelse_include_self: bool,
    /// `hide_blockers_in_history`
    pub hide_blockers_in_history: bool,
    /// `history_mode`
    pub history_mode: HistoryMode,
    /// `strict_block`: blocking twice, or unblocking what is not blocked, is an error.
    pub strict_block: bool,
    /// `block_mutual`: blockers cannot reach those they block either.
    pub block_mutual: bool,
    /// `block_ends_private`
    pub block_ends_private: bool,
    /// `ping_reveals_block`
    pub ping_reveals_block: bool,
    /// `resume_grace_secs`: how long a session outlives its link.
    pub resume_grace_secs: u64,
    /// `restart_grace_secs`: how long sessions wait for their clients after a restart; 0: they end with it.
    pub restart_grace_secs: u64,
    /// `mailbox_messages`: stored messages a user.
    pub mailbox_messages: u32,
    /// `mailbox_bytes`: stored bytes of text a user.
    pub mailbox_bytes: u64,
    /// `mailbox_per_sender`: stored messages of one sender a user.
    pub mailbox_per_sender: u32,
    /// `mailbox_total_bytes`: stored bytes of text in all.
    pub mailbox_total_bytes: u64,
    /// `mailbox_days`: days after which a stored message that was not shown is removed; 0: never.
    pub mailbox_days: u32,
    /// `history_days`: days for which it is remembered when a session began and ended; 0: for ever.
    pub history_days: u32,
    /// `unauthenticated_max`: connections not logged in.
    pub unauthenticated_max: u32,
    /// `hash_queue`: passwords that may wait to be hashed, beside one an address or device.
    pub hash_queue: u32,
    /// Passwords that are hashed at a time: the threads of the shell. Not in the settings file.
    pub hashing_threads: u32,
    /// Names that failures are counted for. Not in the settings file.
    pub name_places: u32,
    /// `courier_max`: couriers of a user at a time.
    pub courier_max: u32,
    /// `relay_bytes_per_s`: bytes of private links that a user may have relayed a second.
    pub relay_bytes_per_s: u32,
    /// `relay_links_per_user`: private links of a user that are relayed.
    pub relay_links_per_user: u32,
    /// `registrations_per_address`: accounts made from one address (/32, /64) in an hour.
    pub registrations_per_address: u32,
    /// `takeover`
    pub takeover: Takeover,
    /// `unauthenticated_per_address`: the same of one address (/32, /64), loopback exempt.
    pub unauthenticated_per_address: u32,
    /// `login_secs`: time to log in.
    pub login_secs: u64,
    /// `line_bytes`: longest line, its end not counted.
    pub line_bytes: usize,
    /// `mailbox_share`: a sender may fill this part of `mailbox_bytes`, and 512 KiB in any case.
    pub mailbox_share: u32,
    /// `total_share`: a sender may fill this part of `mailbox_total_bytes`, and 1 MiB in any case.
    pub total_share: u32,
    /// `rate_burst`: units of work a user may cause at once.
    pub rate_burst: u32,
    /// `rate_per_s`: units of work a second a user may cause.
    pub rate_per_s: u32,
    /// `presence_burst`: comings and goings of a user that are told at once; 0: all of them.
    pub presence_burst: u32,
    /// `presence_settle_secs`: how long one stands before it is told beyond that.
    pub presence_settle_secs: u64,
    /// `unsettled_max`: records of a user's commands that may be on their way to the disk.
    pub unsettled_max: u32,
    /// `store_queue_bytes`: bytes of records on their way to the disk; beyond it one record a user.
    pub store_queue_bytes: u64,
    /// `groups_per_user`: groups made.
    pub groups_per_user: u32,
    /// `members_per_group`
    pub members_per_group: u32,
    /// `failures_per_address`: wrong passwords of one address within `block_duration`, loopback exempt.
    pub failures_per_address: u32,
    /// `private_request_secs`: how long a request for a private link waits for its answer.
    pub private_request_secs: u64,
    /// `motd`: what everybody reads who has logged in. It is a [`Text`](crate::words::Text).
    pub motd: Option<Box<str>>,
    /// `operators`: users who may have the server do what operators can. Names without an account cannot be registered.
    pub operators: Box<[Name]>,
}

/// `registration`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Accounts come from the credentials file only.
    Closed,
    /// A new name makes an account.
    Open,
}

/// `duplicate_login`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateLogin {
    /// The second login is refused.
    Deny,
    /// The first session ends.
    Replace,
}

/// `takeover`: what a user whose session stands may do about it at their next login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takeover {
    /// They may end it, having given the password.
    Allow,
    /// Nothing.
    Deny,
}

/// `block_notice`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockNotice {
    /// The sender hears `blocked`.
    Tell,
    /// The sender hears `stored`; the message is discarded. Where a message to somebody offline is answered
    /// otherwise (`offline_delivery=off`, a full mailbox), `stored` gives the block away.
    Silent,
}

/// `offline_delivery`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfflineDelivery {
    /// Stored messages are shown after the login.
    Auto,
    /// They wait for the command `offline`.
    Manual,
    /// Nothing is stored; the sender hears `offline`.
    Off,
}

/// `held_on_block`: mail that was accepted before its sender was blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldOnBlock {
    /// Held back until the block is lifted.
    Hold,
    /// Delivered all the same.
    Deliver,
    /// Dropped when the block begins.
    Drop,
}

/// `broadcast_report`: what the sender learns of online users who have blocked them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BroadcastReport {
    /// That there are some.
    Generic,
    /// Who they are.
    Names,
    /// Nothing.
    None,
}

/// `history_mode`: whom `whoelsesince` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryMode {
    /// Those with a session in the period, also one that began before it.
    Overlap,
    /// Those who logged in in the period.
    Login,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            block_duration_secs: 60,
            timeout_secs: 1800,
            lock_attempts: 3,
            lock_extend: false,
            registration: Registration::Closed,
            duplicate_login: DuplicateLogin::Deny,
            invalid_counts_as_activity: false,
            block_notice: BlockNotice::Tell,
            offline_delivery: OfflineDelivery::Auto,
            held_on_block: HeldOnBlock::Hold,
            broadcast_report: BroadcastReport::Generic,
            hide_blockers_in_whoelse: true,
            whoelse_include_self: false,
            hide_blockers_in_history: true,
            history_mode: HistoryMode::Overlap,
            strict_block: true,
            block_mutual: false,
            block_ends_private: false,
            ping_reveals_block: true,
            resume_grace_secs: 0,
            restart_grace_secs: 15,
            mailbox_messages: 10_000,
            mailbox_bytes: 8_388_608,
            mailbox_per_sender: 1_000,
            mailbox_total_bytes: 268_435_456,
            mailbox_days: 0,
            history_days: 0,
            unauthenticated_max: 128,
            unauthenticated_per_address: 16,
            hash_queue: 32,
            hashing_threads: 1,
            name_places: 10_000,
            courier_max: 4,
            relay_bytes_per_s: 65_536,
            relay_links_per_user: 4,
            registrations_per_address: 5,
            takeover: Takeover::Allow,
            login_secs: 30,
            line_bytes: 4_096,
            mailbox_share: 8,
            total_share: 16,
            rate_burst: 4_096,
            rate_per_s: 20_000,
            presence_burst: 4,
            presence_settle_secs: 15,
            unsettled_max: 64,
            store_queue_bytes: 67_108_864,
            groups_per_user: 50,
            members_per_group: 200,
            failures_per_address: 9,
            private_request_secs: 60,
            motd: None,
            operators: Box::default(),
        }
    }
}
