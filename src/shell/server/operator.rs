//! Signals of the operator.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_signal::{Signal, Signals};
use futures_lite::StreamExt;
use smol::LocalExecutor;

use super::control::Asker;
use super::inbox::{Item, Sender, Wish};
use super::log::Sink;
use super::service_manager;
use super::setup::config::Sources;
use super::setup::identity::Keys;
use super::setup::reload::{Reload, ReloadError, reload};
use super::setup::settings::Settings;
use crate::shell::platform::{Platform, System};

/// How often it is looked whether the certificate is to be renewed: the clock may have been set.
const LOOK: Duration = Duration::from_secs(3_600);
/// The age at which a certificate is renewed, which lasts for three times as long.
const RENEWAL: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Reads settings, credentials and certificate again, for an operator who waits, or for none.
pub(super) type ReadAgain = Rc<dyn Fn(Option<Asker>)>;

/// Makes a certificate anew, with these settings.
pub(super) type RenewCertificate = Rc<dyn Fn(&Settings)>;

/// The signals the server handles. SIGXFSZ is among them because by default it ends the process; handled, the
/// write fails instead, as on a full disk.
///
/// # Errors
/// The I/O error.
pub(super) fn signals() -> io::Result<Signals> {
    Signals::new([Signal::Int, Signal::Term, Signal::Hup, Signal::Usr1, Signal::Xfsz])
}

/// Passes signals to the inbox.
pub(super) async fn listen(mut signals: Signals, reload: ReadAgain, inbox: Sender<impl Platform>) {
    while let Some(signal) = signals.next().await {
        match signal {
            Ok(Signal::Hup) => reload(None),
            Ok(Signal::Xfsz) => {}
            Ok(signal) => {
                let item = if signal == Signal::Usr1 { Item::Restart(Wish::Signal) } else { Item::Stop };
                if inbox.send(item).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::error!("signals are not heard: {error}"),
        }
    }
}

/// Returns the function that reads settings, credentials and certificate again. It does so on another thread, because
/// files may be slow. Invalid ones change nothing.
pub(super) fn reloader(
    executor: Rc<LocalExecutor<'static>>,
    sources: Sources,
    keys: Arc<Keys>,
    platform: System,
    inbox: Sender<impl Platform>,
) -> ReadAgain {
    Rc::new(move |asker| {
        service_manager::reloading();
        let (sources, inbox, keys) = (sources.clone(), inbox.clone(), Arc::clone(&keys));
        let read = move || -> Result<Reload, ReloadError> {
            let mut found = reload(&sources)?;
            found.log = Sink::open(&found.settings.log)?;
            found.acceptor = keys.acceptor(&found.settings, platform.now())?;
            Ok(found)
        };
        let reading = async move {
            let read = smol::unblock(read).await.map(Box::new);
            // Fails only when the program ends.
            let _ = inbox.send(Item::Reloaded(read, asker)).await;
        };
        executor.spawn(reading).detach();
    })
}

/// Returns the function that makes the certificate anew, on another thread.
pub(super) fn renewer(
    executor: Rc<LocalExecutor<'static>>,
    keys: Arc<Keys>,
    platform: System,
    inbox: Sender<impl Platform>,
) -> RenewCertificate {
    Rc::new(move |settings| {
        let (settings, keys, inbox) = (settings.clone(), Arc::clone(&keys), inbox.clone());
        let renewing = async move {
            match smol::unblock(move || keys.acceptor(&settings, platform.now())).await {
                // Fails only when the program ends.
                Ok(acceptor) => drop(inbox.send(Item::CertificateRenewed(acceptor)).await),
                Err(error) => tracing::error!("the certificate is not renewed: {error}"),
            }
        };
        executor.spawn(renewing).detach();
    })
}

/// Says when the certificate is to be renewed.
pub(super) async fn watch_certificate<P: Platform>(platform: P, inbox: Sender<impl Platform>) {
    let mut made_at = platform.now();
    loop {
        platform.after(LOOK).await;
        if platform.now().since(made_at) >= RENEWAL {
            made_at = platform.now();
            if inbox.send(Item::CertificateDue).await.is_err() {
                return;
            }
        }
    }
}
