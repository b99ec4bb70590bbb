//! A router of the test answers what it is told to.

use std::net::UdpSocket;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::*;

const NONCE: [u8; NONCE_BYTES] = [7; NONCE_BYTES];

fn inside() -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, 40_000)
}

/// An answer of PCP: its result, the port inside and outside.
fn pcp(nonce: [u8; NONCE_BYTES], result: u8, inside: u16, outside: u16) -> Vec<u8> {
    let ip = Ipv4Addr::new(198, 51, 100, 7).to_ipv6_mapped().octets();
    let head = [&[2, 0x81, 0, result][..], &600_u32.to_be_bytes(), &[0; 16]].concat();
    let ports = [inside.to_be_bytes(), outside.to_be_bytes()].concat();
    [&head[..], &nonce, &[6, 0, 0, 0], &ports, &ip].concat()
}

/// The same of NAT-PMP.
fn nat_pmp(result: u16, inside: u16, outside: u16) -> Vec<u8> {
    let ports = [inside.to_be_bytes(), outside.to_be_bytes()].concat();
    [&[0, 130][..], &result.to_be_bytes(), &[0; 4], &ports, &300_u32.to_be_bytes()].concat()
}

/// A router that gives these answers to each question, until there was no question for a while; returns the questions.
fn router(
    answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
) -> (SocketAddrV4, JoinHandle<Vec<Vec<u8>>>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let answering = thread::spawn(move || {
        let mut questions = Vec::new();
        let mut question = [0; 2_000];
        socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        while let Ok((count, from)) = socket.recv_from(&mut question) {
            if &question[..count] == b"end" {
                break;
            }
            questions.push(question[..count].to_vec());
            for answer in answers(&question[..count]) {
                socket.send_to(&answer, from).unwrap();
            }
        }
        questions
    });
    (SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), answering)
}

/// What a router was asked, which is asked no more.
fn asked((address, answering): (SocketAddrV4, JoinHandle<Vec<Vec<u8>>>)) -> Vec<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.send_to(b"end", address).unwrap();
    answering.join().unwrap()
}

fn nonce_of(question: &[u8]) -> [u8; NONCE_BYTES] {
    part(question, 24).unwrap()
}

#[test]
fn a_router_that_speaks_pcp_maps_renews_and_ends() {
    let router = router(|question| vec![pcp(nonce_of(question), 0, 40_000, 7_000)]);
    let (mapped, mapping) = Mapping::ask_at(inside(), router.0).unwrap();
    let outside = "198.51.100.7:7000".parse().unwrap();
    assert_eq!(mapped, Mapped { outside, lease_secs: 600 });
    let (mapped, mapping) = mapping.renew().unwrap();
    assert_eq!(mapped.outside, outside);
    mapping.end();
    let questions = asked(router);
    let said = |question: &Vec<u8>| {
        let lease = u32::from_be_bytes(part(question, 4).unwrap());
        (question.len(), lease, number(question, 40).unwrap(), number(question, 42).unwrap())
    };
    let said: Vec<_> = questions.iter().map(said).collect();
    assert_eq!(said, [(60, 1_200, 40_000, 40_000), (60, 1_200, 40_000, 7_000), (60, 0, 40_000, 0)]);
    assert!(questions.iter().all(|question| nonce_of(question) == nonce_of(&questions[0])));
    let own = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
    assert_eq!(
        (&questions[0][..4], &questions[0][8..24], questions[0][36]),
        (&[2, 1, 0, 0][..], &own[..], 6)
    );
}

#[test]
fn an_older_router_is_asked_by_nat_pmp() {
    let router = router(|question| {
        vec![match question {
            [2, ..] => vec![0, 0x81, 0, 1, 0, 0, 0, 0],
            [0, 0] => vec![0, 128, 0, 0, 0, 0, 0, 9, 198, 51, 100, 7],
            _ => nat_pmp(0, 40_000, 7_001),
        }]
    });
    let (mapped, mapping) = Mapping::ask_at(inside(), router.0).unwrap();
    assert_eq!(mapped, Mapped { outside: "198.51.100.7:7001".parse().unwrap(), lease_secs: 300 });
    mapping.end();
    let questions = asked(router);
    assert_eq!(questions[1], [0, 2, 0, 0, 0x9c, 0x40, 0x9c, 0x40, 0, 0, 4, 0xb0]);
    assert_eq!(questions.last().unwrap(), &[0, 2, 0, 0, 0x9c, 0x40, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn answers_about_something_else_are_passed_over() {
    let router = router(|question| {
        let nonce = nonce_of(question);
        let mut udp = pcp(nonce, 0, 40_000, 7_003);
        udp[36] = 17;
        let mut six = pcp(nonce, 0, 40_000, 7_004);
        six[44..60].copy_from_slice(&[0x20; 16]);
        let cut = pcp(nonce, 0, 40_000, 7_005)[..59].to_vec();
        let mut question = question.to_vec();
        question[1] = 1;
        let good = pcp(nonce, 0, 40_000, 7_000);
        let others = [pcp(NONCE, 0, 40_000, 7_001), pcp(nonce, 0, 40_001, 7_002), udp, six, cut, question];
        others.into_iter().chain([vec![], vec![2], vec![0, 1], vec![9; 1_400], good]).collect()
    });
    let (mapped, _) = Mapping::ask_at(inside(), router.0).unwrap();
    assert_eq!(mapped.outside.port(), 7_000);
    drop(asked(router));
}

#[test]
fn a_router_that_refuses_or_does_not_exist_gives_nothing() {
    let refusing = router(|question| vec![pcp(nonce_of(question), 2, 40_000, 7_000)]);
    assert!(Mapping::ask_at(inside(), refusing.0).is_none());
    drop(asked(refusing));
    for refusal in [vec![0, 130, 0, 3], nat_pmp(2, 40_000, 7_000)] {
        let refusing = router(move |question| match question {
            [2, ..] => vec![vec![0, 0x81, 0, 1]],
            _ => vec![refusal.clone()],
        });
        assert!(Mapping::ask_at(inside(), refusing.0).is_none());
        drop(asked(refusing));
    }
    let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    assert!(Mapping::ask_at(inside(), SocketAddrV4::new(Ipv4Addr::LOCALHOST, nobody.port())).is_none());
}

#[test]
fn a_router_that_says_no_address_outside_gives_nothing() {
    let router = router(|question| {
        vec![match question {
            [2, ..] => vec![0, 0x81, 0, 1],
            [0, 0] => vec![0, 128, 0, 3, 0, 0, 0, 0],
            _ => nat_pmp(0, 40_000, 7_001),
        }]
    });
    assert!(Mapping::ask_at(inside(), router.0).is_none());
    drop(asked(router));
}
