//! Private texts: what was typed, where it was shown, and that nobody else reads them.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

use super::{Check, Verdict, hold};
use crate::sim::check::number_of;
use crate::sim::evil::steps::SECRET;
use crate::sim::trace::ProcessId;

const ONLY_WHAT_WAS_SAID: &str = "only what the other has said is shown";
const IN_ORDER: &str = "texts are shown in order, each once, and none is left out";

/// All private texts that were ever typed.
#[derive(Debug, Default)]
pub(super) struct Words {
    texts: BTreeMap<u32, Typed>,
    talks: u32,
    /// For each conversation of a reader: whose of the other side it is the other end of, and the last text shown.
    paired: BTreeMap<u32, (u32, u32)>,
    shown: u64,
}

/// A private text.
#[derive(Debug)]
pub(super) struct Typed {
    by: &'static str,
    to: String,
    whole: String,
    /// In which conversation of its writer.
    talk: Option<u32>,
    is_shown: bool,
    is_refused: bool,
}

impl Words {
    pub(super) const fn new_talk(&mut self) -> u32 {
        self.talks += 1;
        self.talks
    }

    pub(super) const fn shown(&self) -> u64 {
        self.shown
    }

    pub(super) fn is_refused(&mut self, number: u32) {
        if let Some(text) = self.texts.get_mut(&number) {
            text.is_refused = true;
        }
    }

    pub(super) fn was_shown(&self, number: u32) -> bool {
        self.texts.get(&number).is_some_and(|text| text.is_shown)
    }

    pub(super) fn receiver(&self, number: u32) -> Option<&str> {
        self.texts.get(&number).map(|text| text.to.as_str())
    }

    /// The first text of a conversation after another that was not refused.
    fn next_of(&self, talk: u32, after: u32) -> Option<u32> {
        let mut later = self.texts.range(after + 1..);
        later.find(|(_, text)| text.talk == Some(talk) && !text.is_refused).map(|(number, _)| *number)
    }
}

impl Check {
    pub(super) fn typed(&mut self, process: ProcessId, line: u64, text: &str) {
        let Some(client) = self.clients.get_mut(&process) else { return };
        let private = text.strip_prefix("private ").and_then(|rest| rest.split_once(' '));
        let number = private.and_then(|(_, whole)| number_of(whole));
        client.open.insert(line, number);
        client.chooses |= text.starts_with("path ");
        if let (Some((to, whole)), Some(number)) = (private, number) {
            let typed = Typed {
                by: client.user,
                to: to.to_string(),
                whole: whole.to_string(),
                talk: client.talks.get(to).map(|talk| talk.number),
                is_shown: false,
                is_refused: false,
            };
            self.words.texts.insert(number, typed);
        }
    }

    /// A private text is shown.
    pub(super) fn text_shown(&mut self, process: ProcessId, from: &str, whole: &str) -> Verdict {
        let key = self.speaker(process);
        let Some(client) = self.clients.get(&process) else { return Ok(()) };
        let (reader, talk) = (client.user, client.talks.get(from).copied());
        let Some(talk) = talk else {
            hold!(self, false, "private texts come in conversations", "{process:?}: {from}: {whole}");
            return Ok(());
        };
        let keeps = key == Some(talk.key);
        hold!(
            self,
            keeps,
            "a conversation is with one key",
            "{process:?}: {from} has {key:?}, not {:?}",
            talk.key
        );
        if self.devices.get(from) != Some(&talk.key) {
            return Ok(());
        }
        let number = number_of(whole).unwrap_or_default();
        let Some(text) = self.words.texts.get_mut(&number) else {
            hold!(self, false, ONLY_WHAT_WAS_SAID, "{process:?}: {from}: {whole}");
            return Ok(());
        };
        let is_said = text.by == from && text.to == reader && text.whole == whole;
        let again = core::mem::replace(&mut text.is_shown, true);
        let of = text.talk;
        self.words.shown += 1;
        hold!(self, is_said, ONLY_WHAT_WAS_SAID, "{process:?}: {from}: {whole}");
        hold!(self, !again, IN_ORDER, "{process:?}: {from}: {whole} again");
        let Some(of) = of else {
            hold!(self, false, IN_ORDER, "{process:?}: {from}: {whole} before there was a conversation");
            return Ok(());
        };
        let (paired, last) = self.words.paired.get(&talk.number).copied().unwrap_or((of, 0));
        hold!(self, paired == of, "a conversation has two ends", "{process:?}: {from}: {whole}");
        let next = self.words.next_of(of, last);
        hold!(self, next == Some(number), IN_ORDER, "{process:?}: {from}: {whole}, not t{next:?}");
        self.words.paired.insert(talk.number, (of, number));
        Ok(())
    }

    /// What a client writes to the server has no private text in it, and keeps to the way that its user wants.
    pub(super) fn wrote(&mut self, process: ProcessId, bytes: &[u8]) -> Verdict {
        let has = |bytes: &[u8]| memchr::memmem::find(bytes, SECRET.as_bytes()).is_some();
        hold!(self, !has(bytes), "nothing private comes to the server", "{process:?}");
        for line in bytes.split(|byte| *byte == b'\n').filter_map(|line| core::str::from_utf8(line).ok()) {
            if let Some(sealed) = line.strip_prefix("relay data ").and_then(|rest| rest.split(' ').nth(1)) {
                let bytes =
                    crate::wire::Sealed::new(sealed).map(crate::wire::Sealed::bytes).unwrap_or_default();
                hold!(self, !has(&bytes), "nothing private comes to the server", "{process:?}: {line}");
            }
            self.keeps_to_its_way(process, line)?;
        }
        Ok(())
    }
}
