//! What the operator says by signals.

use std::io;
use std::rc::Rc;

use async_signal::{Signal, Signals};
use futures_lite::StreamExt;
use smol::LocalExecutor;

use super::config::Sources;
use super::inbox::{Item, Sender};
use super::reload::reload;

/// Signals the server listens to. It is told as well when a file would grow beyond the limit of the
/// process, so that this does not end it: who writes is refused, as on a full disk.
///
/// # Errors
/// What the system says.
pub(super) fn signals() -> io::Result<Signals> {
    Signals::new([Signal::Int, Signal::Term, Signal::Hup, Signal::Xfsz])
}

/// Hands on what the operator says, for ever.
pub(super) async fn listen(mut signals: Signals, reload: Rc<dyn Fn()>, inbox: Sender) {
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

/// What reads settings and credentials again, beside the state: files may be slow. Bad ones change
/// nothing.
pub(super) fn reloader(
    executor: Rc<LocalExecutor<'static>>,
    sources: Sources,
    inbox: Sender,
) -> Rc<dyn Fn()> {
    Rc::new(move || {
        let (sources, inbox) = (sources.clone(), inbox.clone());
        let reading = async move {
            match smol::unblock(move || reload(&sources)).await {
                Ok(reload) => {
                    for warning in &reload.accounts.warnings {
                        tracing::warn!("{warning}");
                    }
                    // Without a reader of the inbox the program ends anyway.
                    let _ = inbox.send(Item::Reloaded(Box::new(reload))).await;
                }
                Err(error) => tracing::error!("nothing was changed: {error}"),
            }
        };
        executor.spawn(reading).detach();
    })
}
