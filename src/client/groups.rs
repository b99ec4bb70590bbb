//! Who is in which group, as far as this client has seen: so it can say who did what to whom.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::view::{GroupChange, Success};

/// Names that are remembered, of groups and their members.
const NAMES: usize = 20_000;

/// The groups seen in a session.
#[derive(Default)]
pub(super) struct Groups {
    known: BTreeMap<String, Vec<String>>,
}

impl Groups {
    /// Learns from the result of an own command.
    pub(super) fn learn(&mut self, success: &Success) {
        if let Success::Group { group, members } = success {
            self.note(group, members);
        } else if let Success::Groups { groups } = success {
            groups.iter().for_each(|(group, members)| self.note(group, members));
        }
    }

    /// Another user has changed a group, and its members are these now; `own`: who this is.
    pub(super) fn change(&mut self, own: &str, group: &str, by: &str, members: &[String]) -> GroupChange {
        let before = self.known.get(group).cloned();
        self.note(group, members);
        let is_in = |name: &str| members.iter().any(|member| member == name);
        match before {
            _ if members.is_empty() => GroupChange::Deleted,
            _ if !is_in(own) => GroupChange::RemovedYou,
            _ if !is_in(by) => GroupChange::Left,
            None => GroupChange::Some,
            Some(before) => {
                let beside = |all: &[String], others: &[String]| -> Vec<String> {
                    all.iter().filter(|name| !others.contains(name)).cloned().collect()
                };
                match beside(&before, members) {
                    gone if gone.is_empty() => GroupChange::Added(beside(members, &before)),
                    gone => GroupChange::Removed(gone),
                }
            }
        }
    }

    fn note(&mut self, group: &str, members: &[String]) {
        let names: usize = self.known.values().map(|members| members.len() + 1).sum();
        if members.is_empty() {
            self.known.remove(group);
        } else if names + members.len() < NAMES {
            self.known.insert(group.into(), members.to_vec());
        } else {
            self.known.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;
    use alloc::vec;

    fn names(names: &str) -> Vec<String> {
        names.split_whitespace().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn it_is_told_who_did_what_to_whom() {
        let mut groups = Groups::default();
        for (by, members, change) in [
            ("yoda", "hans luke yoda", GroupChange::Some),
            ("yoda", "hans leia luke yoda", GroupChange::Added(vec!["leia".into()])),
            ("yoda", "hans leia yoda", GroupChange::Removed(vec!["luke".into()])),
            ("leia", "hans yoda", GroupChange::Left),
            ("yoda", "yoda", GroupChange::RemovedYou),
            ("yoda", "hans yoda", GroupChange::Added(vec!["hans".into()])),
            ("yoda", "", GroupChange::Deleted),
            ("yoda", "hans yoda", GroupChange::Some),
        ] {
            assert_eq!(groups.change("hans", "jedi", by, &names(members)), change, "{by}: {members}");
        }
    }

    #[test]
    fn own_results_teach_as_well_and_memory_has_an_end() {
        let mut groups = Groups::default();
        groups.learn(&Success::Groups { groups: vec![("jedi".into(), names("hans yoda"))] });
        let added = groups.change("hans", "jedi", "yoda", &names("hans luke yoda"));
        assert_eq!(added, GroupChange::Added(vec!["luke".into()]));
        groups.learn(&Success::Group { group: "crowd".into(), members: vec!["x".into(); NAMES] });
        assert!(groups.known.is_empty());
    }
}
