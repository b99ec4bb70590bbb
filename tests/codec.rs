//! Every line reads back as it was written, in all three directions.

use hobnob::wire::{ClientLine, Command, PeerLine, ServerLine};
use proptest::prelude::*;

mod strategies;
#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests and the fuzzer")]
mod targets;

use strategies::{lines, near_grammar};
use targets::written;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    /// R5: nothing that a client can say is changed, split or joined on its way.
    #[test]
    fn a_client_line_reads_back(line in lines::client_line()) {
        let bytes = written(|out| line.encode(out));
        prop_assert_eq!(ClientLine::parse(&bytes), Ok(line));
    }

    /// A command without a number is the same command.
    #[test]
    fn a_command_reads_back(command in lines::command()) {
        let line = ClientLine::Request { number: None, command: command.clone() };
        let bytes = written(|out| line.encode(out));
        let typed = core::str::from_utf8(&bytes).unwrap();
        prop_assert!(typed.starts_with(command.name()));
        prop_assert_eq!(Command::parse(typed), Ok(command));
    }

    /// R5: nothing that a server can say is changed, split or joined on its way.
    #[test]
    fn a_server_line_reads_back(line in lines::server_line()) {
        let bytes = written(|out| line.encode(out));
        prop_assert_eq!(ServerLine::parse(&bytes), Ok(line));
    }

    /// R5: nothing that a peer can say is changed, split or joined on its way.
    #[test]
    fn a_peer_line_reads_back(line in lines::peer_line()) {
        let bytes = written(|out| line.encode(out));
        prop_assert_eq!(PeerLine::parse(&bytes), Ok(line));
    }

    /// Lines are appended: what is in the buffer already stays.
    #[test]
    fn lines_are_appended(first in lines::server_line(), second in lines::server_line()) {
        let mut apart = Vec::new();
        first.encode(&mut apart);
        let mut behind = Vec::new();
        second.encode(&mut behind);
        apart.extend(behind);
        let mut together = Vec::new();
        first.encode(&mut together);
        second.encode(&mut together);
        prop_assert_eq!(together, apart);
    }

    #[test]
    fn nearly_a_line_is_read_or_refused(line in near_grammar::words()) {
        all_grammars(&line);
    }

    #[test]
    fn a_damaged_line_is_read_or_refused(
        client in near_grammar::damaged(lines::client_line().prop_map(|line| written(|out| line.encode(out)))),
        server in near_grammar::damaged(lines::server_line().prop_map(|line| written(|out| line.encode(out)))),
        peer in near_grammar::damaged(lines::peer_line().prop_map(|line| written(|out| line.encode(out)))),
    ) {
        targets::client_line(&client);
        targets::server_line(&server);
        targets::peer_line(&peer);
    }

    #[test]
    fn any_bytes_are_read_or_refused(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        all_grammars(&line);
    }
}

fn all_grammars(line: &[u8]) {
    targets::client_line(line);
    targets::server_line(line);
    targets::peer_line(line);
}
