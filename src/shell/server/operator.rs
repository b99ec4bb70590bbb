//! Signals of the operator.

use std::io;
use std::rc::Rc;

use async_signal::{Signal, Signals};
use futures_lite::StreamExt;
use smol::LocalExecutor;

use super::inbox::{Item, Sender};
use super::setup::config::Sources;
use super::setup::reload::reload;
use crate::shell::platform::Platform;

/// The signals the server handles. SIGXFSZ is among them because by default it ends the process; handled, the
/// write fails instead, as on a full disk.
///
/// # Errors
/// The I/O error.
pub(super) fn signals() -> io::Result<Signals> {
    Signals::new([Signal::Int, Signal::Term, Signal::Hup, Signal::Xfsz])
}

/// Passes signals to the inbox.
pub(super) async fn listen(mut signals: Signals, reload: Rc<dyn Fn()>, inbox: Sender<impl Platform>) {
    while let Some(signal) = signals.next().await {
        match signal {
            Ok(Signal::Hup) => reload(),
            Ok(Signal::Xfsz) => {}
            Ok(_) => {
                if inbox.send(Item::Stop).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::error!("signals are not heard: {error}"),
        }
    }
}

/// Returns the function that reads settings and credentials again. It does so on another thread, because
/// files may be slow. Invalid ones change nothing.
pub(super) fn reloader(
    executor: Rc<LocalExecutor<'static>>,
    sources: Sources,
    inbox: Sender<impl Platform>,
) -> Rc<dyn Fn()> {
    Rc::new(move || {
        let (sources, inbox) = (sources.clone(), inbox.clone());
        let reading = async move {
            match smol::unblock(move || reload(&sources)).await {
                Ok(reload) => {
                    for warning in &reload.accounts.warnings {
                        tracing::warn!("{warning}");
                    }
                    // Fails only when the program ends.
                    let _ = inbox.send(Item::Reloaded(Box::new(reload))).await;
                }
                Err(error) => tracing::error!("nothing was changed: {error}"),
            }
        };
        executor.spawn(reading).detach();
    })
}
