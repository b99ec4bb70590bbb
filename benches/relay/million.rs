//! A million messages through one pair, each looked at: none lost, none doubled, none out of order,
//! none with the text of another.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hobnob::wire::{Answer, Freshness, ServerLine, Status};

use super::connection::{Connection, Poller, scratch};
use super::members::Members;
use super::pairs::TEXT_BYTES;
use super::program::{Program, user};

/// How many.
pub(crate) const MESSAGES: u64 = 1_000_000;
/// Commands without an answer; as many as our own client allows itself.
const UNDER_WAY: u64 = 256;
/// Messages for one acknowledgement.
const ACKNOWLEDGE_AFTER: u64 = 64;
/// Without anything for so long, something was lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends them all; the time it took.
pub(crate) fn run(server: &Program) -> Result<Duration> {
    let mut members = Members::log_in(server, 0..2)?.list.into_iter();
    let (Some(sender), Some(receiver)) = (members.next(), members.next()) else {
        anyhow::bail!("two members");
    };
    let (mut sender, mut receiver) = (sender.connection, receiver.connection);
    let mut poller = Poller::new()?;
    poller.add(&sender, 0)?;
    poller.add(&receiver, 1)?;
    let mut scratch = scratch();
    let (mut sent, mut received, mut answered) = (0, 0, 0);
    let began = Instant::now();
    while answered < MESSAGES {
        while sent < MESSAGES && sent - answered < UNDER_WAY {
            sent += 1;
            writeln!(sender.out, "#{sent} message {} {}", user(1), text(sent))?;
        }
        sender.flush()?;
        let tokens: Vec<u64> = poller.wait(Some(PATIENCE))?.collect();
        ensure!(!tokens.is_empty(), "of {sent} messages {received} came and {answered} were answered");
        for token in tokens {
            if token == 0 {
                take_answers(&mut sender, &mut scratch, &mut answered)?;
            } else {
                take_messages(&mut receiver, &mut scratch, &mut received)?;
            }
        }
    }
    ensure!(received == MESSAGES, "{received} came");
    Ok(began.elapsed())
}

/// The text of one message, unlike that of any other.
fn text(number: u64) -> String {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{number:016} {mixed:020} {:010}", mixed >> 40)
}

fn take_messages(receiver: &mut Connection, scratch: &mut [u8], received: &mut u64) -> Result<()> {
    let lines = receiver.read(scratch)?;
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let shown = String::from_utf8_lossy(line);
        let Ok(ServerLine::Message(delivery)) = ServerLine::parse(line) else {
            anyhow::bail!("message {} was: {shown}", *received + 1);
        };
        *received += 1;
        let own = delivery.text.as_str() == text(*received)
            && delivery.id.number == *received
            && delivery.from == user(0)
            && delivery.freshness == Freshness::Live
            && delivery.origin.is_some_and(|origin| origin.number == *received);
        ensure!(own, "message {received} was: {shown}");
        if received.is_multiple_of(ACKNOWLEDGE_AFTER) || *received == MESSAGES {
            writeln!(receiver.out, "ack {} -", delivery.id)?;
        }
    }
    Ok(receiver.flush()?)
}

fn take_answers(sender: &mut Connection, scratch: &mut [u8], answered: &mut u64) -> Result<()> {
    let lines = sender.read(scratch)?;
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        *answered += 1;
        let right = matches!(ServerLine::parse(line), Ok(ServerLine::Done {
            number,
            answer: Answer::Message { status: Status::Delivered, .. },
        }) if number == Some(*answered));
        ensure!(right, "answer {answered} was: {}", String::from_utf8_lossy(line));
    }
    if !lines.is_empty() {
        // Leaves with the next messages.
        writeln!(sender.out, "ack - {answered}")?;
    }
    Ok(())
}

const _: () = assert!(TEXT_BYTES == 16 + 1 + 20 + 1 + 10);
