//! Mailboxes: blocks that come after the mail, quotas.

use support::{Server, password};

/// Mail of hans and luke waits for yoda, who logs in and blocks hans before reading it.
fn held(held_on_block: &str) -> (Server, support::Client) {
    let server = Server::start(&["offline_delivery=manual", held_on_block]);
    let (mut hans, mut luke) = (server.user("hans"), server.user("luke"));
    hans.ok("message yoda of hans");
    luke.ok("message yoda of luke");
    let mut yoda = server.user("yoda");
    yoda.ok("block hans");
    (server, yoda)
}

#[test]
fn mail_accepted_before_a_block_is_held_while_it_stands() {
    let (server, mut yoda) = held("held_on_block=hold");
    assert_eq!(yoda.ok("offline")["messages"], 1);
    yoda.message("of luke");
    yoda.log_out();
    let mut yoda = server.client(&[]);
    yoda.answer("yoda");
    yoda.answer(password("yoda"));
    assert_eq!(yoda.wait_for("login")["unread"], 0, "held mail does not count");
    yoda.ok("unblock hans");
    assert_eq!(yoda.message("of hans")["stored"], true);
    assert_eq!(yoda.ok("offline")["messages"], 0);
    yoda.log_out();
    let mut yoda = server.user("yoda");
    assert_eq!(yoda.ok("offline")["messages"], 0);
}

#[test]
fn held_mail_may_be_delivered_all_the_same() {
    let (_server, mut yoda) = held("held_on_block=deliver");
    assert_eq!(yoda.ok("offline")["messages"], 2);
    yoda.message("of hans");
}

#[test]
fn held_mail_may_be_dropped() {
    let (server, mut yoda) = held("held_on_block=drop");
    assert_eq!(yoda.ok("offline")["messages"], 1);
    yoda.ok("unblock hans");
    assert_eq!(yoda.ok("offline")["messages"], 0);
    yoda.has_not("what was dropped", |object| object["text"] == "of hans");
    yoda.log_out();
    assert_eq!(server.user("yoda").ok("offline")["messages"], 0);
}

#[test]
fn a_block_holds_automatic_delivery_over_logins() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let mut yoda = server.user("yoda");
    yoda.ok("block luke");
    yoda.log_out();
    hans.ok("message yoda from hans");
    let mut yoda = server.user("yoda");
    yoda.message("from hans");
    yoda.log_out();
}

#[test]
fn a_full_mailbox_refuses_and_keeps_the_old() {
    let server = Server::start(&["mailbox_messages=2"]);
    let (mut hans, mut luke) = (server.user("hans"), server.user("luke"));
    hans.ok("message yoda one");
    luke.ok("message yoda two");
    assert_eq!(hans.fails("message yoda three"), "mailbox_full");
    hans.ok("message vader another mailbox");
    let mut yoda = server.user("yoda");
    yoda.message("one");
    yoda.message("two");
    assert_eq!(hans.ok("message yoda four")["status"], "delivered");
    yoda.has_not("the refused", |object| object["text"] == "three");
    yoda.log_out();
    hans.ok("message yoda five");
}

#[test]
fn a_sender_has_a_quota_of_each_mailbox() {
    let server = Server::start(&["mailbox_per_sender=1"]);
    let (mut hans, mut luke) = (server.user("hans"), server.user("luke"));
    hans.ok("message yoda one");
    assert_eq!(hans.fails("message yoda two"), "mailbox_full");
    luke.ok("message yoda one of luke");
    hans.ok("message vader one");
}

#[test]
fn bytes_are_counted_for_one_and_for_all() {
    let server = Server::start(&["mailbox_bytes=100"]);
    let mut hans = server.user("hans");
    hans.ok(&format!("message yoda {}", "x".repeat(60)));
    assert_eq!(hans.fails(&format!("message yoda {}", "x".repeat(60))), "mailbox_full");
    hans.ok(&format!("message luke {}", "x".repeat(60)));
    let server = Server::start(&["mailbox_total_bytes=100"]);
    let mut hans = server.user("hans");
    hans.ok(&format!("message yoda {}", "x".repeat(60)));
    assert_eq!(hans.fails(&format!("message luke {}", "x".repeat(60))), "mailbox_full");
}

#[test]
fn quotas_hold_over_a_restart() {
    let mut server = Server::start(&["mailbox_messages=1"]);
    server.user("hans").ok("message yoda one");
    server.restart();
    let mut hans = server.user("hans");
    assert_eq!(hans.fails("message yoda two"), "mailbox_full");
    server.user("yoda").message("one");
    hans.log_out();
}

#[test]
fn a_recipient_who_does_not_acknowledge_makes_it_stored() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let yoda = server.user("yoda");
    hans.presence("yoda", true);
    yoda.signal(rustix::process::Signal::STOP);
    assert_eq!(hans.ok("message yoda are you frozen")["status"], "stored");
    yoda.signal(rustix::process::Signal::CONT);
    let mut yoda = yoda;
    yoda.message("are you frozen");
    yoda.log_out();
    let mut yoda = server.user("yoda");
    yoda.has_not("it twice", |object| object["type"] == "message");
}
