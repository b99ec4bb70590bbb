//! New hashes for old ones, on their way to the credentials file (R55 of PROTOCOL.md).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::hands::Hands;
use super::inbox::Item;
use crate::shell::credentials::renew;
use crate::shell::platform::Platform;
use crate::words::Credential;

/// Renewals are gathered for so long, because each write is one of the whole file.
const GATHERED: Duration = Duration::from_secs(2);
/// Renewals that may wait. Beyond it a hash is renewed at a later login.
const WAITING: usize = 1_024;

/// Hashes with their renewals, which wait to be written.
#[derive(Debug, Default)]
pub(super) struct Renewals(Rc<RefCell<Vec<(Credential, Credential)>>>);

impl<P: Platform> Hands<P> {
    /// Replaces a hash in the credentials file, soon.
    pub(super) fn replace_hash(&self, before: Credential, after: Credential) {
        let mut waiting = self.renewals.0.borrow_mut();
        if waiting.len() >= WAITING || waiting.iter().any(|(known, _)| *known == before) {
            return;
        }
        waiting.push((before, after));
        if waiting.len() > 1 {
            return;
        }
        let (platform, waiting) = (self.platform.clone(), Rc::clone(&self.renewals.0));
        let (path, inbox) = (self.settings.credentials.clone(), self.sender.clone());
        let writing = async move {
            platform.after(GATHERED).await;
            let renewals = waiting.take();
            match smol::unblock(move || renew(&path, &renewals)).await {
                Ok(renewals) => {
                    tracing::info!("hashes of passwords renewed: {}", renewals.len());
                    // Fails only when the program ends.
                    let _ = inbox.send(Item::HashesRenewed(renewals)).await;
                }
                Err(error) => tracing::warn!("hashes of passwords could not be renewed: {error}"),
            }
        };
        self.executor.spawn(writing).detach();
    }
}
