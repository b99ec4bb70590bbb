//! Tells the task that owns the state that somebody presses keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::news::News;

/// Told of each key.
pub(super) struct Keys {
    /// One is told, and not taken up yet: the next ones are told with it.
    told: Arc<AtomicBool>,
    news: async_channel::Sender<News>,
}

/// That keys were pressed; later ones are told anew once this is dropped.
pub(super) struct Pressed(Arc<AtomicBool>);

impl Keys {
    pub(super) fn new(news: async_channel::Sender<News>) -> Keys {
        Keys { told: Arc::default(), news }
    }

    /// A key was pressed.
    pub(super) fn press(&self) {
        if !self.told.swap(true, Ordering::SeqCst) {
            // Nobody waits for it when the program ends.
            let _ = self.news.try_send(News::Keys(Pressed(Arc::clone(&self.told))));
        }
    }
}

impl Drop for Pressed {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}
