//! Takes the simulator's exam, and makes its table.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use hobnob::planted::Planted;
use hobnob::sim::exam::{Outcome, Place, Row, SMALL, look_for};

use crate::{Options, cpu_nanos};

pub(crate) fn take(options: &Options) -> ExitCode {
    let mut marks = Marks::default();
    // Planted bugs make assertions fail; that finds them.
    set_hook(Box::new(|_| ()));
    if options.subject.is_none() && options.jobs > 1 {
        each_in_its_process(options).into_iter().for_each(|row| marks.add(&row));
    } else {
        let asked = |bug: &&Planted| options.subject.as_ref().is_none_or(|only| only == bug.name());
        Planted::ALL.iter().filter(asked).for_each(|bug| marks.add(&row_of(*bug, options)));
    }
    println!("{}", marks.summary());
    if let Some(file) = options.write.as_ref().filter(|_| marks.passed())
        && let Err(error) = std::fs::write(file, marks.page(options.seconds))
    {
        eprintln!("{file}: {error}");
        return ExitCode::FAILURE;
    }
    println!("{} passed, {} failed", marks.steps.len(), marks.failed);
    if marks.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The rows of all bugs. What is planted is planted in the whole process, so each bug has one, some at a time.
fn each_in_its_process(options: &Options) -> Vec<Row> {
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(vec![None; Planted::ALL.len()]);
    let examine = || {
        while let Some((place, bug)) = {
            let place = next.fetch_add(1, Ordering::Relaxed);
            Planted::ALL.get(place).map(|bug| (place, *bug))
        } {
            let row = row_of_process(bug, options);
            rows.lock().expect("no thread fails")[place] = Some(row);
        }
    };
    std::thread::scope(|scope| (0..options.jobs).for_each(|_| drop(scope.spawn(examine))));
    rows.into_inner().expect("no thread fails").into_iter().flatten().collect()
}

fn row_of_process(bug: Planted, options: &Options) -> Row {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["exam", "--only", bug.name(), "--seconds", &options.seconds.to_string()]);
    command.args(options.hints.iter().flat_map(|file| ["--hints", file]));
    let output = command.output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let none = Row { bug: bug.name().into(), description: String::new(), outcome: Outcome::NoAnswer };
    said.lines().find_map(|line| line.parse().ok()).unwrap_or(none)
}

/// Where the table of an earlier exam found a bug.
fn hint(bug: Planted, table: &str) -> Option<Place> {
    let rows = table.lines().filter_map(|line| line.parse::<Row>().ok());
    rows.filter(|row| row.bug == bug.name()).find_map(|row| row.place())
}

/// Looks for a bug, and tells how it was found.
fn row_of(bug: Planted, options: &Options) -> Row {
    let before = cpu_nanos();
    let spent = || cpu_nanos() - before;
    let within = || spent() / 1_000_000_000 < options.seconds;
    let table = options.hints.as_ref().map(|file| std::fs::read_to_string(file).expect("a table to read"));
    let hint = table.and_then(|table| hint(bug, &table));
    let found = look_for(bug, options.seeds.start, hint, within, attempt);
    let tenths = (spent() + 50_000_000) / 100_000_000;
    let outcome = found.map_or(Outcome::NotFound(tenths), |found| Outcome::Found(found, tenths));
    Row { bug: bug.name().into(), description: bug.description().into(), outcome }
}

/// Does something; false if it panicked.
fn attempt(work: &mut dyn FnMut()) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_ok()
}

/// What an exam comes to.
#[derive(Default)]
struct Marks {
    rows: String,
    /// How small each failure became.
    steps: Vec<usize>,
    failed: u32,
}

impl Marks {
    /// What half of the failures made small may need.
    const MEDIAN_STEPS: usize = 12;

    fn add(&mut self, row: &Row) {
        match &row.outcome {
            Outcome::Found(found, _) => self.steps.push(found.steps),
            Outcome::NotFound(_) | Outcome::NoAnswer => self.failed += 1,
        }
        println!("{row}");
        self.rows.push_str(&format!("{row}\n"));
    }

    fn median(&self) -> usize {
        let mut sorted = self.steps.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(0)
    }

    fn passed(&self) -> bool {
        let most = self.steps.iter().max().is_none_or(|most| *most <= SMALL);
        self.failed == 0 && most && self.median() <= Marks::MEDIAN_STEPS
    }

    fn summary(&self) -> String {
        format!(
            "Found: {} of {}. Steps of the failures made small: {} at most (allowed {}), median {} (allowed {}).",
            self.steps.len(),
            self.steps.len() + self.failed as usize,
            self.steps.iter().max().unwrap_or(&0),
            SMALL,
            self.median(),
            Marks::MEDIAN_STEPS
        )
    }

    fn page(&self, seconds: u64) -> String {
        format!(
            "# The simulator's exam\n\n\
             Each of these bugs was planted, alone, and looked for on one core for {seconds} s at most; the seconds\n\
             include making the failure small. `just exam` makes this page; every CI run takes the exam, with each bug at its seed first.\n\n\
             {}\n\n\
             | planted bug | found by | seed | events | steps | seconds |\n|---|---|---|---|---|---|\n{}",
            self.summary(),
            self.rows
        )
    }
}
