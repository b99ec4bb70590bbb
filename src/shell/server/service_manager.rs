//! What systemd, or another service manager with its protocol, is told. Without one, nothing.

use sd_notify::NotifyState;

use super::inbox::{Item, Sender};
use crate::shell::platform::{Platform, System};

/// The server takes connections, or has read its settings again.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Settings, accounts and certificate are being read again, until [`ready`].
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!("the service manager is not told of the reload: {error}"),
    }
}

/// The server stops.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The state task runs.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// Asks the state task whether it runs, twice in the time after which the service manager takes the server for hung
/// (`WATCHDOG_USEC`).
pub(super) async fn watch(platform: System, inbox: Sender<impl Platform>) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    while inbox.send(Item::WatchdogDue).await.is_ok() {
        platform.after(patience / 2).await;
    }
}

fn tell(news: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(news) {
        tracing::warn!("the service manager is not told: {error}");
    }
}
