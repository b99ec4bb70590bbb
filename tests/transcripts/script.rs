//! The language of transcripts, line by line.

use std::time::Duration;

use hobnob::record::{Invite, Restraint};
use hobnob::server::settings::{
    BlockNotice, BroadcastReport, DuplicateLogin, HeldOnBlock, HistoryMode, OfflineDelivery, Registration,
    Takeover,
};
use hobnob::server::{Act, Event, NotDone, Settings};
use hobnob::time::Time;
use hobnob::words::{Credential, Name, Ticket};

use crate::stage::{PASSWORD, Stage};
use crate::store::Mood;

/// Where links come from unless a transcript says otherwise.
const HERE: &str = "192.0.2.1";

/// Performs a line.
pub(crate) fn perform(stage: &mut Stage, line: &str) {
    if let Some((name, text)) = line.split_once("< ").filter(|(name, _)| !name.contains(' ')) {
        return stage.expect(name, text);
    }
    if let Some(name) = line.strip_suffix('~') {
        return stage.clients.get_mut(name).expect("a known link").said.clear();
    }
    if let Some(name) = line.strip_suffix(" closed") {
        return assert!(stage.clients[name].closed, "{name} is still open");
    }
    stage.nothing_unsaid();
    if let Some((name, text)) = line.split_once(">> ").filter(|(name, _)| !name.contains(' ')) {
        return stage.say_later(name, text);
    }
    if let Some((name, text)) = line.split_once("> ").filter(|(name, _)| !name.contains(' ')) {
        return stage.say(name, text);
    }
    match line.split_once(' ').unwrap_or((line, "")) {
        ("open", place) => {
            let (name, from) = place.split_once(' ').unwrap_or((place, HERE));
            stage.open(name, from.parse().expect("an address"));
            stage.clients.get_mut(name).expect("just opened").said.clear();
        }
        ("login", name) => {
            stage.open(name, HERE.parse().expect("an address"));
            stage.say(name, "hello 1 ack resume");
            stage.say(name, &format!("login {name} {PASSWORD}"));
            stage.clients.values_mut().for_each(|client| client.said.clear());
        }
        ("turned-away", place) => {
            let (name, from) = place.split_once(' ').unwrap_or((place, HERE));
            stage.try_to_open(name, from.parse().expect("an address"));
            assert!(stage.clients[name].closed, "{name} is open");
        }
        ("flushed", name) => {
            let link = stage.clients[name].id;
            stage.handle(Event::Flushed { link, upto: u64::MAX });
            stage.settle();
        }
        ("close", name) => {
            let id = stage.clients.remove(name).expect("a known link").id;
            stage.handle(Event::LinkClosed { link: id });
            stage.settle();
        }
        ("end", name) => {
            let link = stage.clients[name].id;
            stage.handle(Event::StreamEnded { link });
            stage.settle();
        }
        ("wait", seconds) => stage.wait(seconds.parse().expect("seconds")),
        ("acks", _) => {
            stage.acks = true;
            stage.acknowledge();
        }
        _ => direct_the_machine(stage, line),
    }
}

/// Performs a line about the machine around the server: store, hashing, files, operator.
fn direct_the_machine(stage: &mut Stage, line: &str) {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("store", mood) => {
            stage.store.mood = match mood {
                "syncs" => return stage.sync(),
                "holds" => Mood::Holds,
                "commits" => Mood::Commits,
                "refuses" => Mood::Refuses,
                other => panic!("store {other}"),
            };
            stage.let_the_store_work();
            stage.settle();
        }
        ("mail", mood) => {
            stage.loading = mood == "answers";
            stage.settle();
        }
        ("hashing", "one") => {
            stage.hash_one();
            stage.settle();
        }
        ("hashing", mood) => {
            stage.hashing = mood == "answers";
            stage.settle();
        }
        ("operator", act) => operate(stage, act),
        ("shell", words) => obey(stage, words),
        ("stop", _) => {
            stage.handle(Event::Stop);
            stage.settle();
        }
        ("restart", "is announced") => {
            stage.handle(Event::Restart);
            stage.settle();
        }
        ("restart", _) => stage.restart(),
        ("file", lines) => {
            let account = |line: &str| {
                let (name, password) = line.split_once('=').unwrap_or((line, PASSWORD));
                (Name::new(name).expect("a name"), Credential::new(password))
            };
            stage.accounts = lines.split(' ').map(account).collect();
        }
        ("reload", changed) => {
            for (key, value) in changed.split(' ').filter_map(|setting| setting.split_once('=')) {
                set(&mut stage.settings, key, value);
            }
            let (accounts, settings) = (stage.accounts.clone(), Box::new(stage.settings.clone()));
            stage.handle(Event::Reloaded { accounts, settings });
            stage.settle();
        }
        other => panic!("no such stage direction: {other:?}"),
    }
}

fn operate(stage: &mut Stage, words: &str) {
    let (words, refused) =
        words.split_once(" ! ").map_or((words, None), |(words, code)| (words, NotDone::from_word(code)));
    let (verb, rest) = words.split_once(' ').expect("an act and what about");
    if verb == "reads" {
        let (question, answer) = rest.split_once(": ").expect("a question and its answer");
        return assert_eq!(stage.reads(question), answer, "{question}");
    }
    let (name, text) = rest.split_once(' ').map_or((rest, None), |(name, text)| (name, Some(text)));
    let user = || Name::new(name).expect("a name");
    let done = match verb {
        "announces" => Act::Announce(rest.parse().expect("a text")),
        "keeps" => Act::AnnounceKept(rest.parse().expect("a text")),
        "withdraws" => Act::Withdraw(rest.parse().expect("a number")),
        "kicks" => Act::Kick { user: user(), reason: text.map(|text| text.parse().expect("a text")) },
        "unlocks" => Act::Unlock(user()),
        "invites" => {
            let mut words = rest.split(' ');
            let mut word = || words.next();
            let code = word().and_then(|code| code.parse().ok()).expect("a code");
            let left = word().map_or(1, |uses| uses.parse().expect("how many"));
            let secs = word().map_or(600, |secs| secs.parse().expect("seconds"));
            let name = word().map(|name| Name::new(name).expect("a name"));
            let until = stage.now + Duration::from_secs(secs);
            Act::Invite { code, invite: Invite { number: 0, name, left, until } }
        }
        "revokes" => Act::Revoke(rest.parse().expect("a number")),
        verb => {
            let verbs = [("mutes", "unmutes"), ("bans", "unbans"), ("disables", "enables")];
            let at = verbs.iter().position(|verbs| verbs.0 == verb || verbs.1 == verb);
            let at = at.unwrap_or_else(|| panic!("no such act: {verb}"));
            let end = text
                .map_or(Time::MAX, |secs| stage.now + Duration::from_secs(secs.parse().expect("seconds")));
            let until = (verb == verbs[at].0).then_some(end);
            if let (1, Ok(range)) = (at, name.parse()) {
                return act(stage, Act::BanRange { range, until }, words, refused);
            }
            Act::Restrain { user: user(), how: Restraint::ALL[at], until }
        }
    };
    act(stage, done, words, refused);
}

fn obey(stage: &mut Stage, words: &str) {
    let (verb, rest) = words.split_once(' ').expect("what the shell does");
    if verb == "hears" {
        let heard = stage.orders.front().map(|(_, words)| words.as_str());
        return assert_eq!(heard, Some(rest), "the order");
    }
    let (ticket, _) = stage.orders.pop_front().expect("an order");
    let lines = rest.split(" | ").map(Into::into).collect();
    stage.handle(Event::Obeyed { ticket, done: verb == "answers", lines });
    stage.settle();
}

fn act(stage: &mut Stage, act: Act, words: &str, refused: Option<NotDone>) {
    stage.acted = None;
    stage.handle(Event::Operator { ticket: Ticket(1), act: Box::new(act) });
    stage.settle();
    match (stage.acted, refused) {
        (None, None) if matches!(stage.store.mood, Mood::Holds) => {}
        (acted, refused) => assert_eq!(acted.expect("an answer").err(), refused, "{words}"),
    }
}

/// Changes a setting.
pub(crate) fn set(settings: &mut Settings, key: &str, value: &str) {
    let number = || value.parse().expect("a number");
    match key {
        "block_duration" => settings.block_duration_secs = number(),
        "timeout" => settings.timeout_secs = number(),
        "lock_extend" => settings.lock_extend = value == "true",
        "resume_grace_secs" => settings.resume_grace_secs = number(),
        "restart_grace_secs" => settings.restart_grace_secs = number(),
        "mailbox_messages" => settings.mailbox_messages = number() as u32,
        "registration" => settings.registration = Registration::Open,
        "duplicate_login" => settings.duplicate_login = DuplicateLogin::Replace,
        "block_notice" => settings.block_notice = BlockNotice::Silent,
        "offline_delivery" if value == "off" => settings.offline_delivery = OfflineDelivery::Off,
        "offline_delivery" => settings.offline_delivery = OfflineDelivery::Manual,
        "held_on_block" if value == "drop" => settings.held_on_block = HeldOnBlock::Drop,
        "held_on_block" => settings.held_on_block = HeldOnBlock::Deliver,
        "broadcast_report" if value == "names" => settings.broadcast_report = BroadcastReport::Names,
        "broadcast_report" => settings.broadcast_report = BroadcastReport::None,
        "history_mode" => settings.history_mode = HistoryMode::Login,
        "hide_blockers_in_history" => settings.hide_blockers_in_history = value == "true",
        "strict_block" => settings.strict_block = value == "true",
        "block_mutual" => settings.block_mutual = value == "true",
        "ping_reveals_block" => settings.ping_reveals_block = value == "true",
        "invalid_counts_as_activity" => settings.invalid_counts_as_activity = value == "true",
        "whoelse_include_self" => settings.whoelse_include_self = value == "true",
        "operators" => {
            settings.operators = value.split(',').map(|name| Name::new(name).expect("a name")).collect();
        }
        "rate_burst" => settings.rate_burst = number() as u32,
        "unsettled_max" => settings.unsettled_max = number() as u32,
        "presence_burst" => settings.presence_burst = number() as u32,
        "presence_settle_secs" => settings.presence_settle_secs = number(),
        "unauthenticated_max" => settings.unauthenticated_max = number() as u32,
        "unauthenticated_per_address" => settings.unauthenticated_per_address = number() as u32,
        "hash_queue" => settings.hash_queue = number() as u32,
        "hashing_threads" => settings.hashing_threads = number() as u32,
        "name_places" => settings.name_places = number() as u32,
        "registrations_per_address" => settings.registrations_per_address = number() as u32,
        "relay_bytes_per_s" => settings.relay_bytes_per_s = number() as u32,
        "relay_links_per_user" => settings.relay_links_per_user = number() as u32,
        "line_bytes" => settings.line_bytes = number() as usize,
        "courier_max" => settings.courier_max = number() as u32,
        "takeover" => settings.takeover = if value == "deny" { Takeover::Deny } else { Takeover::Allow },
        "failures_per_address" => settings.failures_per_address = number() as u32,
        "groups_per_user" => settings.groups_per_user = number() as u32,
        "members_per_group" => settings.members_per_group = number() as u32,
        "mailbox_per_sender" => settings.mailbox_per_sender = number() as u32,
        "mailbox_bytes" => settings.mailbox_bytes = number(),
        "mailbox_total_bytes" => settings.mailbox_total_bytes = number(),
        "block_ends_private" => settings.block_ends_private = value == "true",
        "mailbox_days" => settings.mailbox_days = number() as u32,
        "history_days" => settings.history_days = number() as u32,
        "motd" => settings.motd = Some(value.into()),
        "rate_per_s" => settings.rate_per_s = number() as u32,
        _ => panic!("the transcripts know no setting {key}"),
    }
}
