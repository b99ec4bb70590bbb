//! Strangers at the private ports of clients.

use std::cell::RefCell;
use std::rc::Rc;

use super::chance::Chance;
use super::kernel::{Kernel, Model};

/// What they say; no call among it is whole.
const WORDS: [&str; 5] = ["", "\u{1b}", "hobnob-private 2 ", "ready\n", "nominate\n"];

/// The connections of those who have come last.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Vec<usize>);

impl Strangers {
    /// Some come to each private port, and those who came before go.
    pub(crate) fn come(&mut self, kernel: &Rc<RefCell<Kernel>>, chance: &mut Chance) {
        let model = Model::new(kernel);
        let mut kernel = kernel.borrow_mut();
        self.go(&mut kernel);
        for port in kernel.private_ports() {
            for _ in 0..chance.size(1, 30) {
                let Ok(id) = kernel.connect(model.process, port) else { continue };
                kernel.judge.tally.strangers += 1;
                let Kernel { connections, chance, now, .. } = &mut *kernel;
                let words = *chance.pick(&WORDS);
                let _ = connections[id].write(0, words.as_bytes(), *now, chance);
                self.0.push(id);
            }
        }
    }

    /// All go.
    pub(crate) fn go(&mut self, kernel: &mut Kernel) {
        self.0.drain(..).for_each(|id| kernel.close(id, 0));
    }
}
