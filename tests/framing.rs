//! Lines do not depend on how a stream is cut into pieces (R1 to R3).

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests and the fuzzer")]
mod targets;

use targets::{cut_in_pieces, cut_whole};

/// Streams with many line ends, and lines of a length near the limit.
fn stream(limit: usize) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => vec(any::<u8>(), 0..6),
        3 => select(vec![b"\n".to_vec(), b"\r\n".to_vec(), b"\r".to_vec(), b"\r\r\n".to_vec()]),
        2 => (limit.saturating_sub(2)..limit + 3).prop_map(|length| vec![b'x'; length]),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_gives_the_same_lines(
        (limit, stream) in (0_usize..20).prop_flat_map(|limit| (Just(limit), stream(limit))),
        sizes in vec(1_usize..9, 1..20),
    ) {
        let in_pieces = cut_in_pieces(&stream, limit, |piece| sizes[piece % sizes.len()]);
        prop_assert_eq!(in_pieces, cut_whole(&stream, limit));
    }

    #[test]
    fn so_does_the_limit_of_the_protocol(stream in stream(4096), size in 1_usize..5000) {
        prop_assert_eq!(cut_in_pieces(&stream, 4096, |_| size), cut_whole(&stream, 4096));
    }
}
