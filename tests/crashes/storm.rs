//! Twenty clients at work, the server killed again and again under them.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use support::{PATIENCE, Place, Server, Wire};

use crate::audit::{Findings, audit};
use crate::database;
use crate::people::{Life, Person, Typed};
use crate::random::Random;
use crate::shelf::{self, Row};
use crate::user::{Known, Story, User, Weather};
use crate::{report, share_the_machine};

const USERS: usize = 20;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|value| value.parse().ok())
}

#[test]
fn nothing_confirmed_is_lost_or_doubled_when_the_server_is_killed_under_load() {
    let _machine = share_the_machine();
    let kills = number("HOBNOB_KILLS").unwrap_or(12) as usize;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let seed = number("HOBNOB_SEED").unwrap_or(now as u64);
    report(&format!("storm: HOBNOB_SEED={seed} HOBNOB_KILLS={kills}, {USERS} clients"));
    let names: Vec<String> = (0..USERS).map(|index| format!("user{index:02}")).collect();
    let everybody: Vec<String> =
        names.iter().cloned().chain((0..kills).map(|n| format!("lock{n}"))).collect();
    let place = Place::of(&everybody).set("registration=open");
    let server = place.serve();
    let weather = Weather::new(place, server.port, names);
    let (mut stories, mut server, mut killer) = thread::scope(|scope| {
        let users: Vec<_> = (0..USERS)
            .map(|index| {
                scope.spawn({
                    let weather = &weather;
                    move || User::new(weather, index, seed).live()
                })
            })
            .collect();
        // If this thread panics, the users must end as well.
        let over = Over(&weather);
        let mut killer = Killer {
            weather: &weather,
            random: Random::new(seed),
            done: Vec::new(),
            found: Findings::default(),
            rows_read: 0,
        };
        let server = killer.kill_often(server, kills);
        drop(over);
        let stories: Vec<Story> = users.into_iter().map(|user| user.join().expect("a story")).collect();
        (stories, server, killer)
    });
    killer.sum_up();
    server.kill();
    check_database(&mut killer, &stories);
    let mut server = weather.place.serve_on(weather.port, &[]).expect("the server starts again");
    drain(&weather, &mut stories);
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let check = database::check(&weather.place);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    check_lives(&weather, &stories);
}

/// With all clients gone, everything confirmed and not shown must be in the database.
fn check_database(killer: &mut Killer<'_>, stories: &[Story]) {
    let rows = killer.look();
    shelf::compare(&rows, &lives_of(stories), &mut killer.found);
    check_facts(killer.weather, stories);
    report(&format!(
        "storm: read the database after each kill, {} messages in all: {}",
        killer.rows_read,
        killer.found.counts()
    ));
    killer.found.assert_clean();
}

/// Checks everything that the users were told and shown.
fn check_lives(weather: &Weather, stories: &[Story]) {
    let lives = lives_of(stories);
    let findings = audit(&lives);
    let killed = lives.iter().filter(|life| life.killed && !life.typed.is_empty());
    let torn = killed.clone().filter(|life| matches!(life.typed.last(), Some(Typed::Torn { .. })));
    report(&format!(
        "storm: {} lives of clients, {} ended by a kill, {} of these in the middle of a line, \
         {} cut off for good; {findings}",
        lives.len(),
        killed.count(),
        torn.count(),
        weather.cut_off.load(Ordering::Relaxed),
    ));
    findings.assert_clean();
    let contradictions: Vec<&String> = stories.iter().flat_map(|story| &story.contradictions).collect();
    assert!(contradictions.is_empty(), "{contradictions:#?}");
}

fn lives_of(stories: &[Story]) -> Vec<Life> {
    stories.iter().flat_map(|story| story.lives.clone()).collect()
}

/// Ends the storm when it goes.
struct Over<'w>(&'w Weather);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
        self.0.set_serving(true);
    }
}

/// Kills the server, starts it again, and asks the new one for what the old one has confirmed.
struct Killer<'w> {
    weather: &'w Weather,
    random: Random,
    done: Vec<Restart>,
    /// Faults within the database.
    found: Findings,
    rows_read: usize,
}

struct Restart {
    serving: Duration,
    first_login: Duration,
}

impl Killer<'_> {
    fn kill_often(&mut self, mut server: Server, kills: usize) -> Server {
        for round in 0..kills {
            self.wait_for_work();
            self.confirm_facts(round);
            thread::sleep(Duration::from_micros(self.random.below(60_000)));
            self.weather.set_serving(false);
            server.kill();
            self.look();
            let began = Instant::now();
            server = self.weather.place.serve_on(self.weather.port, &[]).expect("the server starts again");
            let serving = began.elapsed();
            self.weather.set_serving(true);
            let locked = Wire::connect(self.weather.port).ask(&format!("login lock{round} falcon"));
            assert!(locked.starts_with("refused locked_out "), "lock{round} after the kill: {locked}");
            self.done.push(Restart { serving, first_login: began.elapsed() });
            drop(Wire::user(self.weather.port, &format!("new{round}")));
            let counted = self.fail(&format!("count{round}"));
            assert_eq!(counted, "refused invalid_credentials 1", "the second failure of count{round}");
        }
        self.wait_for_work();
        server
    }

    /// Reads what the dead server has left.
    fn look(&mut self) -> Vec<Row> {
        let rows = shelf::rows(&self.weather.place);
        shelf::examine(&rows, &mut self.found);
        self.rows_read += rows.len();
        rows
    }

    /// A kill is worth something only while there is work.
    fn wait_for_work(&mut self) {
        let enough = self.weather.results.load(Ordering::Relaxed) + 40 + self.random.below(160);
        let deadline = Instant::now() + PATIENCE;
        while self.weather.results.load(Ordering::Relaxed) < enough {
            assert!(Instant::now() < deadline, "the clients have stopped working");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// A new account, a lock, and a first failure: all confirmed by the server that dies next.
    fn confirm_facts(&mut self, round: usize) {
        for name in [format!("new{round}"), format!("count{round}")] {
            let welcome = Wire::connect(self.weather.port).ask(&format!("register {name} falcon"));
            assert!(welcome.starts_with("welcome "), "{welcome}");
        }
        for answer in ["invalid_credentials 2", "invalid_credentials 1", "locked_out"] {
            let refused = self.fail(&format!("lock{round}"));
            assert!(refused.starts_with(&format!("refused {answer}")), "{refused}");
        }
        assert_eq!(self.fail(&format!("count{round}")), "refused invalid_credentials 2");
    }

    fn fail(&mut self, name: &str) -> String {
        Wire::connect(self.weather.port).ask(&format!("login {name} wrong"))
    }

    fn sum_up(&self) {
        let longest = |of: fn(&Restart) -> Duration| self.done.iter().map(of).max().unwrap_or_default();
        report(&format!(
            "storm: {} SIGKILLs; from restart to serving at most {:?}, to the first answered login {:?}",
            self.done.len(),
            longest(|restart| restart.serving),
            longest(|restart| restart.first_login),
        ));
    }
}

/// Blocks and groups are in the database as they were confirmed.
fn check_facts(weather: &Weather, stories: &[Story]) {
    let database = database::look(&weather.place);
    let pairs = |sql: &str| -> BTreeSet<(String, String)> {
        let mut statement = database.prepare(sql).expect("a query");
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
        rows.map(|row| row.expect("a row")).collect()
    };
    let blocks = pairs(
        "SELECT a.name, b.name FROM blocks JOIN names a ON a.id = blocker JOIN names b ON b.id = blocked",
    );
    let groups =
        pairs("SELECT groups.name, count(*) || '' FROM groups JOIN members ON group_id = id GROUP BY 1");
    for (story, name) in stories.iter().zip(&weather.names) {
        for (known, found) in [
            (story.blocks, blocks.contains(&(name.clone(), story.victim.clone()))),
            (story.has_group, groups.contains(&(story.group.clone(), "3".into()))),
        ] {
            let agrees = match known {
                Known::Yes => found,
                Known::No => !found,
                Known::Unknown => true,
            };
            assert!(agrees, "{name} was told {known:?}: {} {} {found}", story.victim, story.group);
        }
    }
}

/// Everybody comes, takes the blocks back so that mail held is shown, and reads all there is.
fn drain(weather: &Weather, stories: &mut [Story]) {
    let mut everybody: Vec<Person> =
        weather.names.iter().map(|name| Person::enter(&weather.place, weather.port, name)).collect();
    for (person, story) in everybody.iter_mut().zip(stories.iter()) {
        person.ask(&format!("unblock {}", story.victim));
    }
    database::wait_for_empty_mailboxes(&weather.place);
    for (person, story) in everybody.into_iter().zip(stories) {
        story.lives.push(person.leave());
    }
}
