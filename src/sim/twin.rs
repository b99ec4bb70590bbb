//! Twin runs: a blocked user learns no more than if the blocker were offline.
//!
//! Two worlds take the same steps. In one, A is online and has blocked B; in the other A never comes.
//! What the server sends to B must be the same, but for the answers that are to tell.

use alloc::string::String;
use alloc::vec::Vec;

use super::draw::Draw;
use super::scenario::{Kind, Step};
use super::trace::Seen;
use super::world::{Plan, World};
use crate::time::Time;
use crate::words::LinkId;

/// Who blocks, who is blocked, by seat and by place in the cast.
const A: u8 = 0;
const B: u8 = 1;

/// The name of the blocker.
const NAME_OF_A: &str = super::cast::USERS[A as usize];

/// What B may not see A do.
const SECRET: &[Kind] = &[
    Kind::Message,
    Kind::Whoelse,
    Kind::Since,
    Kind::Ping,
    Kind::Block,
    Kind::Logout,
    Kind::Start,
    Kind::Away,
];

/// What the others do, B among them.
const COMMON: &[Kind] = &[
    Kind::Message,
    Kind::Message,
    Kind::Message,
    Kind::Broadcast,
    Kind::Whoelse,
    Kind::Since,
    Kind::Ping,
    Kind::Seen,
    Kind::Away,
    Kind::Back,
    Kind::Block,
    Kind::Unblock,
    Kind::Logout,
    Kind::Start,
    Kind::Start,
    Kind::StartPrivate,
];

/// The first difference between what B was sent in the two worlds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where A has blocked B.
    pub blocked: String,
    /// Where A is offline.
    pub offline: String,
}

/// Plays both worlds of a seed.
///
/// # Errors
/// The first [`Difference`] that must not be.
pub fn compare(seed: u64, length: usize) -> Result<(), Difference> {
    compare_steps(&steps(seed, length))
}

/// Plays both worlds with the same steps.
pub(super) fn compare_steps(steps: &[Step]) -> Result<(), Difference> {
    let blocked = lines_of_b(steps, true);
    let offline = lines_of_b(steps, false);
    let same = blocked.iter().zip(&offline).take_while(|(one, other)| one == other).count();
    if same == blocked.len() && same == offline.len() {
        return Ok(());
    }
    let line = |lines: &[String]| lines.get(same).cloned().unwrap_or_default();
    Err(Difference { blocked: line(&blocked), offline: line(&offline) })
}

/// What happens in both worlds of a seed.
pub(super) fn steps(seed: u64, length: usize) -> Vec<Step> {
    let mut draw = Draw::new(seed ^ 0x7717);
    let mut steps = Vec::with_capacity(length);
    for _ in 0..length {
        let actor = u8::try_from(draw.below(5)).unwrap_or(0);
        let kinds = if actor == A { SECRET } else { COMMON };
        let kind = kinds[usize::try_from(draw.below(kinds.len() as u64)).unwrap_or(0)];
        let mut argument = u16::try_from(draw.below(5)).unwrap_or(0);
        if actor == A && argument == u16::from(B) {
            argument = 2;
        }
        // All play their own parts: the salt of a start chooses no other user.
        let salt = u32::try_from(draw.below(1 << 30)).unwrap_or(0) / 5 * 5 + 1;
        steps.push(Step { kind, actor, argument, salt });
    }
    steps
}

fn lines_of_b(steps: &[Step], a_is_here: bool) -> Vec<String> {
    let mut twin = Twin {
        world: World::new(Plan { hash_seed: 1, server_only: true, calm: true, ..Plan::default() }),
        links: Vec::new(),
        lines: Vec::new(),
        about_a: Vec::new(),
    };
    let start = |actor| Step { kind: Kind::Start, actor, argument: 0, salt: 1 };
    let block = Step { kind: Kind::Block, actor: A, argument: u16::from(B), salt: 1 };
    twin.take(start(A), a_is_here);
    twin.take(block, a_is_here);
    for step in [start(B), start(2), start(3), start(4)].iter().chain(steps) {
        twin.take(*step, a_is_here || step.actor != A);
        if step.actor == A && step.kind == Kind::Start {
            twin.take(block, false);
        }
    }
    twin.lines
}

struct Twin {
    world: World,
    /// The links that B has had.
    links: Vec<LinkId>,
    lines: Vec<String>,
    /// Numbers of B's commands about A on the present link.
    about_a: Vec<String>,
}

impl Twin {
    fn take(&mut self, step: Step, really: bool) {
        if really {
            self.world.step(step);
        } else {
            self.world.let_pass(step);
        }
        self.world.pass(Time(self.world.now().0 + 100_000), u32::MAX);
        if let Some(hand) = self.world.seats[usize::from(B)].hand {
            let link = self.world.hands[hand].link;
            if !self.links.contains(&link) {
                self.links.push(link);
                self.about_a.clear();
            }
        }
        for (_, seen) in self.world.trace().entries() {
            if let Seen::Told(super::trace::Told::Received { link, bytes }) = seen
                && self.links.contains(link)
            {
                let text = String::from_utf8_lossy(self.world.trace().bytes(*bytes)).into_owned();
                let about = text.lines().filter(|line| line.split(' ').any(|word| word == NAME_OF_A));
                self.about_a.extend(about.filter_map(|line| line.split(' ').next()).map(String::from));
            }
            if let Seen::Sent { link, bytes } = seen
                && self.links.contains(link)
            {
                let text = String::from_utf8_lossy(self.world.trace().bytes(*bytes)).into_owned();
                let lines = text.lines().filter_map(|line| comparable(line, &self.about_a));
                self.lines.extend(lines);
            }
        }
        self.world.forget();
    }
}

/// A line as it must be in both worlds; `None` if it is to tell.
fn comparable(line: &str, about_a: &[String]) -> Option<String> {
    let mut words = line.split(' ');
    let (first, second) = (words.next()?, words.next());
    let answers = matches!(first, "ok" | "error") && second.is_some_and(|word| word.starts_with('#'));
    if answers && about_a.iter().any(|number| Some(number.as_str()) == second) {
        return None;
    }
    if answers && line.contains(" broadcast ") {
        // Whether it was withheld from somebody is to be told.
        return Some(line.replace(" withheld", "").replace(" complete", ""));
    }
    let without_random = match first {
        // The id is a new one each time, and so is the token.
        "introduce" => 3,
        "welcome" | "resumed" => 6,
        _ => return Some(String::from(line)),
    };
    Some(line.split(' ').take(without_random).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_tell_is_left_out_and_the_rest_is_kept() {
        let about = [String::from("#3")];
        assert_eq!(comparable("error #3 blocked message", &about), None);
        assert_eq!(
            comparable("ok #2 broadcast 1 withheld", &about),
            comparable("ok #2 broadcast 1 complete", &about)
        );
        assert!(comparable("online hans", &about).is_some());
    }

    #[test]
    fn the_blocked_learns_no_more_than_if_the_blocker_were_offline() {
        for seed in 0..20 {
            assert_eq!(compare(seed, 150), Ok(()), "seed {seed}");
        }
    }
}
