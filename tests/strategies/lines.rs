//! Any line of each of the three kinds.

use hobnob::time::Time;
use hobnob::wire::code::PeerFarewell;
use hobnob::wire::relay_line::{RelayLine, Relayed, Sealed, seal};
use hobnob::wire::{
    Admission, Answer, ClientLine, Code, Command, Contact, Delivery, FRAME_BYTES, Farewell, Freshness,
    IdKind, MAX_ENDPOINTS, MessageMark, Notice, PeerLine, PingStatus, Presence, Prompt, Refusal, Remark,
    Role, ServerLine, Status,
};
use hobnob::words::{DeviceKey, LoginNumber};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::words::{
    address, capabilities, endpoint, message_id, name, names, number, origin, secret, small_number, text,
    time, token, word,
};

pub fn client_line() -> BoxedStrategy<ClientLine<'static>> {
    prop_oneof![
        1 => (small_number(), capabilities())
            .prop_map(|(version, capabilities)| ClientLine::Hello { version, capabilities }),
        1 => (word(), option::of(secret())).prop_map(|(name, password)| ClientLine::Login { name, password }),
        1 => (word(), secret()).prop_map(|(name, password)| ClientLine::Register { name, password }),
        1 => (word(), token()).prop_map(|(name, token)| ClientLine::Resume { name, token }),
        1 => token().prop_map(|cookie| ClientLine::Device { cookie }),
        1 => token().prop_map(|code| ClientLine::Invite { code }),
        1 => select(vec![ClientLine::Takeover, ClientLine::Alive]),
        1 => (option::of(message_id()), option::of(number()))
            .prop_map(|(shown, answered)| ClientLine::Acknowledge { shown, answered }),
        1 => any::<bool>().prop_map(|valid| ClientLine::Active { valid }),
        2 => relay_line().prop_map(ClientLine::Relay),
        2 => (number(), select(IdKind::ALL.to_vec()), token(), text_command()).prop_map(|(number, kind, id, command)| {
            ClientLine::Marked { number, mark: MessageMark { kind, id }, command }
        }),
        12 => (option::of(number()), command())
            .prop_map(|(number, command)| ClientLine::Request { number, command }),
    ]
    .boxed()
}

fn sealed() -> impl Strategy<Value = Sealed<'static>> {
    vec(any::<u8>(), 1..=FRAME_BYTES).prop_filter_map("no frame", |bytes| Sealed::new(seal(&bytes).leak()))
}

fn relay_line() -> BoxedStrategy<RelayLine<'static>> {
    prop_oneof![
        word().prop_map(|user| RelayLine::Open { user }),
        (number(), sealed()).prop_map(|(number, sealed)| RelayLine::Data { number, sealed }),
        (number(), number()).prop_map(|(number, count)| RelayLine::Took { number, count }),
        number().prop_map(|number| RelayLine::Close { number }),
    ]
    .boxed()
}

fn relayed() -> BoxedStrategy<Relayed<'static>> {
    prop_oneof![
        (number(), word()).prop_map(|(number, user)| Relayed::Opened { number, user }),
        word().prop_map(|user| Relayed::Refused { user }),
        word().prop_map(|user| Relayed::Unknown { user }),
        (number(), sealed()).prop_map(|(number, sealed)| Relayed::Data { number, sealed }),
        (number(), number()).prop_map(|(number, count)| Relayed::Took { number, count }),
        number().prop_map(|number| Relayed::Closed { number }),
    ]
    .boxed()
}

fn text_command() -> impl Strategy<Value = Command<'static>> {
    prop_oneof![
        (name(), text()).prop_map(|(to, text)| Command::Message { to, text }),
        (word(), text()).prop_map(|(group, text)| Command::MessageGroup { group, text }),
        text().prop_map(|text| Command::Broadcast { text }),
    ]
}

fn device_key() -> impl Strategy<Value = DeviceKey> {
    any::<[u8; 32]>().prop_map(DeviceKey)
}

fn contact() -> impl Strategy<Value = Contact> {
    (option::of(device_key()), vec(endpoint(), 0..=MAX_ENDPOINTS))
        .prop_map(|(key, endpoints)| Contact { key, endpoints })
}

pub fn command() -> BoxedStrategy<Command<'static>> {
    prop_oneof![
        4 => (name(), text()).prop_map(|(to, text)| Command::Message { to, text }),
        2 => text().prop_map(|text| Command::Broadcast { text }),
        1 => text().prop_map(|text| Command::Away { text }),
        1 => text().prop_map(|order| Command::Op { order }),
        8 => group_command(),
        8 => prop_oneof![
            number().prop_map(|seconds| Command::WhoelseSince { seconds }),
            word().prop_map(|user| Command::Block { user }),
            word().prop_map(|user| Command::Unblock { user }),
            word().prop_map(|user| Command::Ping { user }),
            word().prop_map(|user| Command::Seen { user }),
            (word(), contact()).prop_map(|(user, contact)| Command::StartPrivate { user, contact }),
            (word(), contact()).prop_map(|(user, contact)| Command::Accept { user, contact }),
            word().prop_map(|user| Command::Decline { user }),
            option::of(prop_oneof![word(), select(vec!["create group", "message group", "delete group"])])
                .prop_map(|about| Command::Help { about }),
        ],
        2 => select(vec![
            Command::Whoelse,
            Command::Wholasthr,
            Command::Offline,
            Command::Back,
            Command::GroupList,
            Command::Logout,
        ]),
    ]
    .boxed()
}

fn group_command() -> BoxedStrategy<Command<'static>> {
    prop_oneof![
        (word(), names(1..5)).prop_map(|(group, members)| Command::CreateGroup { group, members }),
        (word(), text()).prop_map(|(group, text)| Command::MessageGroup { group, text }),
        (word(), word()).prop_map(|(group, user)| Command::AddToGroup { group, user }),
        (word(), word()).prop_map(|(group, user)| Command::RemoveFromGroup { group, user }),
        word().prop_map(|group| Command::LeaveGroup { group }),
        word().prop_map(|group| Command::DeleteGroup { group }),
    ]
    .boxed()
}

pub fn server_line() -> BoxedStrategy<ServerLine<'static>> {
    prop_oneof![
        4 => session_line(),
        6 => (option::of(number()), answer())
            .prop_map(|(number, answer)| ServerLine::Done { number, answer }),
        2 => (option::of(number()), select(Code::ALL), failed_command())
            .prop_map(|(number, code, command)| ServerLine::Failed { number, code, command }),
        2 => delivery().prop_map(ServerLine::Message),
        2 => (name(), delivery()).prop_map(|(group, delivery)| ServerLine::GroupMessage { group, delivery }),
        1 => delivery().prop_map(|delivery| {
            ServerLine::Broadcast(Delivery { freshness: Freshness::Live, ..delivery })
        }),
        4 => notification(),
        2 => relayed().prop_map(ServerLine::Relay),
    ]
    .boxed()
}

/// A command's name, the first word of something else, or nothing.
fn failed_command() -> BoxedStrategy<&'static str> {
    prop_oneof![Just(""), Just("create group"), Just("message"), word()].boxed()
}

fn session_line() -> BoxedStrategy<ServerLine<'static>> {
    prop_oneof![
        (small_number(), capabilities())
            .prop_map(|(version, capabilities)| ServerLine::Greeting { version, capabilities }),
        select(Prompt::ALL).prop_map(ServerLine::Ask),
        admission().prop_map(ServerLine::Welcome),
        admission().prop_map(ServerLine::Resumed),
        token().prop_map(|cookie| ServerLine::Device { cookie }),
        option::of(name()).prop_map(|name| ServerLine::Invited { name }),
        Just(ServerLine::Alive),
        refusal().prop_map(ServerLine::Refused),
        small_number().prop_map(|count| ServerLine::Notice(Notice::FailedLogins { count })),
        small_number().prop_map(|count| ServerLine::Notice(Notice::Expired { count })),
        small_number().prop_map(|count| ServerLine::Notice(Notice::Missed { count })),
        small_number().prop_map(|seconds| ServerLine::Notice(Notice::Idle { seconds })),
        text().prop_map(|text| ServerLine::Notice(Notice::Operator { text })),
        select(Farewell::ALL).prop_map(ServerLine::Bye),
    ]
    .boxed()
}

fn remark() -> impl Strategy<Value = Remark<'static>> {
    text().prop_filter_map("no remark", Remark::new)
}

fn notification() -> BoxedStrategy<ServerLine<'static>> {
    prop_oneof![
        name().prop_map(|user| ServerLine::Online { user }),
        name().prop_map(|user| ServerLine::Offline { user }),
        (option::of(number()), names(0..6)).prop_map(|(number, users)| ServerLine::Users { number, users }),
        (option::of(number()), remark()).prop_map(|(number, remark)| ServerLine::Order { number, remark }),
        (option::of(number()), name(), text()).prop_map(|(number, user, text)| ServerLine::Away {
            number,
            user,
            text
        }),
        (option::of(number()), name(), names(0..6))
            .prop_map(|(number, group, members)| ServerLine::Members { number, group, members }),
        (name(), name()).prop_map(|(group, by)| ServerLine::Changed { group, by }),
        name().prop_map(|from| ServerLine::Request { from }),
        name().prop_map(|from| ServerLine::Withdrawn { from }),
        name().prop_map(|user| ServerLine::EndPrivate { user }),
        (name(), select(Role::ALL), token(), option::of(device_key()), vec(address(), 0..6)).prop_map(
            |(user, role, id, key, addresses)| ServerLine::Introduce { user, role, id, key, addresses },
        ),
        text().prop_map(ServerLine::Help),
    ]
    .boxed()
}

fn delivery() -> BoxedStrategy<Delivery<'static>> {
    (message_id(), name(), time(), origin(), select(Freshness::ALL), text())
        .prop_map(|(id, from, sent_at, origin, freshness, text)| Delivery {
            id,
            from,
            sent_at,
            origin,
            freshness,
            text,
        })
        .boxed()
}

fn admission() -> BoxedStrategy<Admission<'static>> {
    (name(), number(), number(), option::of(token()))
        .prop_map(|(user, unread, login, token)| Admission { user, unread, login: LoginNumber(login), token })
        .boxed()
}

fn refusal() -> BoxedStrategy<Refusal> {
    prop_oneof![
        small_number().prop_map(|attempts_left| Refusal::InvalidCredentials { attempts_left }),
        number().prop_map(|retry_after_secs| Refusal::LockedOut { retry_after_secs }),
        select(vec![
            Refusal::AlreadyOnline,
            Refusal::BadName,
            Refusal::Busy,
            Refusal::NameTaken,
            Refusal::Stale,
            Refusal::InvalidInvite,
        ]),
    ]
    .boxed()
}

fn answer() -> BoxedStrategy<Answer<'static>> {
    prop_oneof![
        2 => (name(), select(Status::ALL)).prop_map(|(to, status)| Answer::Message { to, status }),
        1 => (name(), time()).prop_map(|(to, until)| Answer::StoredUntil { to, until }),
        1 => (number(), any::<bool>())
            .prop_map(|(recipients, withheld)| Answer::Broadcast { recipients, withheld }),
        1 => (name(), number(), number(), number(), any::<bool>()).prop_map(
            |(group, delivered, stored, refused, withheld)| Answer::MessageGroup {
                group,
                delivered,
                stored,
                refused,
                withheld
            }
        ),
        1 => (name(), select(PingStatus::ALL)).prop_map(|(user, status)| Answer::Ping { user, status }),
        1 => (name(), option::of(number()), any::<bool>()).prop_map(|(user, at, online)| {
            let presence = match (online, at) {
                (true, _) => Presence::Now,
                (false, Some(at)) => Presence::Until(Time(at)),
                (false, None) => Presence::Never,
            };
            Answer::Seen { user, presence }
        }),
        4 => number().prop_flat_map(|count| select(vec![
            Answer::Whoelse { count },
            Answer::WhoelseSince { count },
            Answer::Wholasthr { count },
            Answer::Offline { messages: count },
            Answer::GroupList { count },
        ])),
        4 => name().prop_flat_map(|user| select(vec![
            Answer::Block { user },
            Answer::Unblock { user },
            Answer::StartPrivate { user },
            Answer::Accept { user },
            Answer::Decline { user },
        ])),
        4 => name().prop_flat_map(|group| select(vec![
            Answer::CreateGroup { group },
            Answer::AddToGroup { group },
            Answer::RemoveFromGroup { group },
            Answer::LeaveGroup { group },
            Answer::DeleteGroup { group },
        ])),
        1 => select(vec![Answer::Away, Answer::Back, Answer::Op, Answer::Help, Answer::Logout]),
    ]
    .boxed()
}

pub fn peer_line() -> BoxedStrategy<PeerLine<'static>> {
    prop_oneof![
        1 => (token(), token()).prop_map(|(nonce, proof)| PeerLine::Call { nonce, proof }),
        1 => select(vec![PeerLine::Ready, PeerLine::Nominate, PeerLine::Opened, PeerLine::Meet]),
        1 => (token(), number()).prop_map(|(id, arrived)| PeerLine::Continue { id, arrived }),
        1 => number().prop_map(|arrived| PeerLine::Continued { arrived }),
        2 => (number(), time(), text())
            .prop_map(|(number, sent_at, text)| PeerLine::Text { number, sent_at, text }),
        1 => number().prop_map(|number| PeerLine::Acknowledge { number }),
        1 => select(PeerFarewell::ALL).prop_map(PeerLine::Close),
    ]
    .boxed()
}
