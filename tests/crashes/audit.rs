//! The auditor: what was confirmed, what was shown, and what is wrong between the two.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde_json::Value;

use crate::people::{Life, Typed};

/// Counts, and each fault in words.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) confirmed: usize,
    pub(crate) shown: usize,
    /// Shown again, and said to be, by a client that came after one that was killed.
    pub(crate) again: usize,
    /// Broadcasts that a later client of the same user has shown as well: they are remembered only as
    /// long as a client runs.
    pub(crate) broadcast_again: usize,
    /// Results that say that the outcome cannot be known.
    pub(crate) unknown: usize,
    pub(crate) lost: Vec<String>,
    pub(crate) doubled: Vec<String>,
    pub(crate) disordered: Vec<String>,
    /// Shown although it was refused, was never typed to its end, or goes to somebody else.
    pub(crate) invented: Vec<String>,
    /// Lines without a result, or with more than one.
    pub(crate) results: Vec<String>,
}

impl Findings {
    pub(crate) fn faults(&self) -> Vec<&String> {
        let all = [&self.lost, &self.doubled, &self.disordered, &self.invented, &self.results];
        all.into_iter().flatten().collect()
    }

    /// How many there are of each fault.
    pub(crate) fn counts(&self) -> String {
        let Findings { lost, doubled, disordered, invented, results, .. } = self;
        format!(
            "{} lost, {} doubled, {} out of order, {} invented, {} wrong results",
            lost.len(),
            doubled.len(),
            disordered.len(),
            invented.len(),
            results.len()
        )
    }

    pub(crate) fn assert_clean(&self) {
        let faults = self.faults();
        let first: Vec<_> = faults.iter().take(20).collect();
        assert!(faults.is_empty(), "{self}\n{first:#?}");
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings { confirmed, shown, again, broadcast_again, unknown, .. } = self;
        write!(f, "{confirmed} confirmed, {shown} shown, {again} marked as shown again, ")?;
        write!(f, "{broadcast_again} broadcasts shown by two clients of a user, {unknown} unknown: ")?;
        f.write_str(&self.counts())
    }
}

/// The fate of one text.
#[derive(Debug, Default)]
struct Fate<'l> {
    /// The users whose clients have shown it, each once.
    seen_by: Vec<&'l str>,
}

/// Examines all lives; those of each user come in order of time.
pub(crate) fn audit(lives: &[Life]) -> Findings {
    let mut findings = Findings::default();
    let fates = read_shown(lives, &mut findings);
    let nothing = Fate::default();
    let mut typed_texts = HashSet::new();
    for life in lives {
        count_results(life, &mut findings);
        for (index, typed) in life.typed.iter().enumerate() {
            let line = index + 1;
            let result = life.objects.iter().find(|o| o["type"] == "result" && o["line"] == line);
            findings.unknown += usize::from(result.is_some_and(|r| r["error"] == "outcome_unknown"));
            if let Some(text) = text_of(typed) {
                assert!(typed_texts.insert(text), "every text is typed once: {text}");
                compare(life, typed, result, fates.get(text).unwrap_or(&nothing), &mut findings);
            }
        }
    }
    for text in fates.keys().filter(|text| !typed_texts.contains(*text)) {
        findings.invented.push(format!("nobody typed {text:?}"));
    }
    check_order(lives, &mut findings);
    findings
}

fn text_of(typed: &Typed) -> Option<&str> {
    match typed {
        Typed::Message { text, .. }
        | Typed::Group { text, .. }
        | Typed::Broadcast { text }
        | Typed::Torn { text } => Some(text),
        Typed::Command(_) => None,
    }
}

fn messages(life: &Life) -> impl Iterator<Item = &Value> {
    life.objects.iter().filter(|object| object["type"] == "message")
}

/// Collects the texts that each user was shown, and finds those shown twice.
fn read_shown<'l>(lives: &'l [Life], findings: &mut Findings) -> HashMap<&'l str, Fate<'l>> {
    let mut fates: HashMap<&str, Fate<'_>> = HashMap::new();
    // For each user: the life in which a text was last shown, and whether that life was killed.
    let mut last: HashMap<(&str, &str), (usize, bool)> = HashMap::new();
    for (number, life) in lives.iter().enumerate() {
        let mut ids = HashSet::new();
        for message in messages(life) {
            let text = message["text"].as_str().expect("a text");
            let id = message["id"].as_str().expect("an id");
            if !ids.insert(id) {
                findings.doubled.push(format!("{} saw id {id} twice", life.user));
            }
            match last.insert((&life.user, text), (number, life.killed)) {
                None => {
                    findings.shown += 1;
                    fates.entry(text).or_default().seen_by.push(&life.user);
                }
                Some((before, true)) if before < number && message["again"] == true => findings.again += 1,
                Some((before, _)) if before < number && message["kind"] == "broadcast" => {
                    findings.broadcast_again += 1;
                }
                Some((before, killed)) => findings.doubled.push(format!(
                    "{} saw {text:?} in life {before} (killed: {killed}) and {number}: {message}",
                    life.user
                )),
            }
        }
    }
    fates
}

/// Every line has one result; in a killed life at most one.
fn count_results(life: &Life, findings: &mut Findings) {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for object in life.objects.iter().filter(|object| object["type"] == "result") {
        *counts.entry(object["line"].as_u64().expect("a line")).or_default() += 1;
    }
    for (index, typed) in life.typed.iter().enumerate() {
        let count = counts.remove(&(index as u64 + 1)).unwrap_or(0);
        if count > 1 || (count == 0 && !life.killed) {
            findings.results.push(format!("{}: {count} results for {typed:?}", life.user));
        }
    }
    for line in counts.keys() {
        findings.results.push(format!("{}: a result for line {line}, which was not typed", life.user));
    }
}

/// Holds what the sender was told against what was shown.
fn compare(life: &Life, typed: &Typed, result: Option<&Value>, fate: &Fate<'_>, findings: &mut Findings) {
    let ok = result.is_some_and(|result| result["ok"] == true);
    let refused = result.is_some_and(|result| result["ok"] == false && result["error"] != "outcome_unknown");
    let told = || format!("{} typed {typed:?}, was told {result:?}, seen by {:?}", life.user, fate.seen_by);
    let seen = fate.seen_by.len();
    let most = match typed {
        Typed::Message { to, .. } => {
            if fate.seen_by.iter().any(|user| user != to) {
                findings.invented.push(told());
            }
            findings.confirmed += usize::from(ok);
            if ok && seen == 0 {
                findings.lost.push(told());
            }
            1
        }
        Typed::Group { others, .. } => {
            let count = |key: &str| result.and_then(|result| result[key].as_u64()).unwrap_or(0) as usize;
            let promised = if ok { count("delivered") + count("stored") } else { 0 };
            findings.confirmed += promised;
            if seen < promised {
                findings.lost.push(told());
            }
            // A user who blocks the sender now may have seen it before a crash, and is not counted.
            let is_exact = result.is_some_and(|result| result["withheld"] == false && result["refused"] == 0);
            if ok && is_exact { promised } else { *others }
        }
        Typed::Broadcast { .. } => usize::MAX,
        Typed::Torn { .. } => 0,
        Typed::Command(_) => return,
    };
    if seen > most || (refused && seen > 0) {
        findings.invented.push(told());
    }
}

/// A user sees the texts of another for the first time in the order in which they were typed. Broadcasts are
/// live or lost, and not checked.
fn check_order(lives: &[Life], findings: &mut Findings) {
    let mut places: HashMap<&str, (&str, usize)> = HashMap::new();
    let mut next = 0;
    for life in lives {
        for typed in &life.typed {
            if let Typed::Message { text, .. } | Typed::Group { text, .. } = typed {
                places.insert(text, (&life.user, next));
            }
            next += 1;
        }
    }
    let mut newest: HashMap<(&str, &str), (usize, &str)> = HashMap::new();
    let mut seen = HashSet::new();
    for life in lives {
        for message in messages(life) {
            let text = message["text"].as_str().unwrap_or_default();
            let Some(&(from, place)) = places.get(text) else { continue };
            if message["from"] != from {
                findings.invented.push(format!("{text:?} of {from} came from {}", message["from"]));
            }
            if !seen.insert((&life.user, text)) {
                continue;
            }
            let newest = newest.entry((from, &life.user)).or_insert((place, text));
            if place < newest.0 {
                findings.disordered.push(format!("{} saw {text:?} after {:?}", life.user, newest.1));
            }
            *newest = (place.max(newest.0), if place < newest.0 { newest.1 } else { text });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sender(results: &[Value]) -> Life {
        let typed = ["a", "b"].map(|text| Typed::Message { to: "luke".into(), text: text.into() });
        Life { user: "hans".into(), killed: false, typed: typed.into(), objects: results.to_vec() }
    }

    fn told(line: usize, outcome: &str) -> Value {
        match outcome {
            "stored" | "delivered" => {
                json!({"type": "result", "line": line, "ok": true, "status": outcome})
            }
            error => json!({"type": "result", "line": line, "ok": false, "error": error}),
        }
    }

    fn receiver(killed: bool, texts: &[&str]) -> Life {
        let show = |(index, text): (usize, &&str)| {
            let (text, again) = text.strip_prefix("again ").map_or((*text, false), |text| (text, true));
            json!({"type": "message", "from": "hans", "text": text, "id": format!("1.{index}"), "again": again})
        };
        let objects = texts.iter().enumerate().map(show).collect();
        Life { user: "luke".into(), killed, typed: Vec::new(), objects }
    }

    fn both_stored() -> Life {
        sender(&[told(1, "stored"), told(2, "stored")])
    }

    #[test]
    fn a_clean_run_is_clean() {
        let findings = audit(&[both_stored(), receiver(true, &["a"]), receiver(false, &["again a", "b"])]);
        findings.assert_clean();
        assert_eq!((findings.confirmed, findings.shown, findings.again), (2, 2, 1));
    }

    #[test]
    fn each_fault_is_found() {
        let lost = audit(&[both_stored(), receiver(false, &["a"])]);
        assert_eq!(lost.lost.len(), 1);
        let twice_in_one_life = audit(&[both_stored(), receiver(true, &["a", "again a", "b"])]);
        assert_eq!(twice_in_one_life.doubled.len(), 1);
        let unmarked = audit(&[both_stored(), receiver(true, &["a"]), receiver(false, &["a", "b"])]);
        assert_eq!(unmarked.doubled.len(), 1);
        let after_a_good_end =
            audit(&[both_stored(), receiver(false, &["a", "b"]), receiver(false, &["again a"])]);
        assert_eq!(after_a_good_end.doubled.len(), 1);
        let disordered = audit(&[both_stored(), receiver(false, &["b", "a"])]);
        assert_eq!(disordered.disordered.len(), 1);
        let refused = sender(&[told(1, "storage_unavailable"), told(2, "stored")]);
        let refused = audit(&[refused, receiver(false, &["a", "b"])]);
        assert_eq!(refused.invented.len(), 1);
        let unknown = sender(&[told(1, "outcome_unknown"), told(2, "stored")]);
        assert_eq!(audit(&[unknown.clone(), receiver(false, &["b"])]).faults().len(), 0);
        assert_eq!(audit(&[unknown, receiver(false, &["a", "b"])]).faults().len(), 0);
        let made_up = audit(&[both_stored(), receiver(false, &["a", "b", "c"])]);
        assert_eq!(made_up.invented.len(), 1);
        let without = audit(&[sender(&[told(1, "stored")]), receiver(false, &["a"])]);
        assert_eq!(without.results.len(), 1);
        let twice = audit(&[
            sender(&[told(1, "stored"), told(1, "stored"), told(2, "stored")]),
            receiver(false, &["a", "b"]),
        ]);
        assert_eq!(twice.results.len(), 1);
    }

    #[test]
    fn a_group_message_reaches_as_many_as_were_promised() {
        let typed = vec![Typed::Group { others: 2, text: "g".into() }];
        let result = json!({"type": "result", "line": 1, "ok": true, "delivered": 1, "stored": 1});
        let sender = Life { user: "hans".into(), killed: false, typed, objects: vec![result] };
        let findings = audit(&[sender, receiver(false, &["g"])]);
        assert_eq!((findings.confirmed, findings.lost.len()), (2, 1));
    }
}
