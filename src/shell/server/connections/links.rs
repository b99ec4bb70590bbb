//! The open connections, found by their ids.

use std::net::SocketAddr;
use std::rc::Rc;

use smol::Task;

use super::connection::Connection;
use crate::shell::platform::{Platform, System};
use crate::words::LinkId;

/// Bits of an id that hold the slot of its connection. The other bits count, so ids increase and are never
/// reused.
const SLOT_BITS: u32 = 24;
const SLOTS: usize = 1 << SLOT_BITS;

/// An open connection with its task; the task ends when this is dropped.
pub(crate) struct Link<P: Platform = System> {
    pub(crate) id: LinkId,
    pub(crate) connection: Rc<Connection<P>>,
    /// Where it comes from.
    pub(crate) from: SocketAddr,
    /// Has output that was queued since the last write.
    pub(crate) dirty: bool,
    _task: Task<()>,
}

/// All open connections.
pub(crate) struct Links<P: Platform = System> {
    slots: Vec<Option<Link<P>>>,
    free: Vec<usize>,
    opened: u64,
}

impl<P: Platform> Default for Links<P> {
    fn default() -> Links<P> {
        Links { slots: Vec::new(), free: Vec::new(), opened: 0 }
    }
}

impl<P: Platform> Links<P> {
    /// Adds the connection that `open` makes for its id; `None` if there are too many.
    pub(crate) fn insert(
        &mut self,
        from: SocketAddr,
        open: impl FnOnce(LinkId) -> (Rc<Connection<P>>, Task<()>),
    ) -> Option<LinkId> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() < SLOTS => {
                self.slots.push(None);
                self.slots.len() - 1
            }
            None => return None,
        };
        self.opened += 1;
        let id = LinkId(self.opened << SLOT_BITS | slot as u64);
        let (connection, task) = open(id);
        *self.slots.get_mut(slot)? = Some(Link { id, connection, from, dirty: false, _task: task });
        Some(id)
    }

    pub(crate) fn get(&mut self, id: LinkId) -> Option<&mut Link<P>> {
        self.slots.get_mut(slot_of(id))?.as_mut().filter(|link| link.id == id)
    }

    pub(crate) fn remove(&mut self, id: LinkId) -> Option<Link<P>> {
        let slot = slot_of(id);
        let link = self.slots.get_mut(slot)?.take_if(|link| link.id == id)?;
        self.free.push(slot);
        Some(link)
    }

    /// Wakes the task of every connection that has unread input, whether or not the reactor has noticed it.
    pub(crate) fn wake_readable(&self, platform: &P) {
        let connections: Vec<&Connection<P>> =
            self.slots.iter().flatten().map(|link| &*link.connection).collect();
        let sockets: Vec<&P::Socket> = connections.iter().map(|connection| connection.socket()).collect();
        // Without an answer of the system, all of them look for themselves.
        let unread = platform.unread(&sockets).unwrap_or_else(|_| vec![true; sockets.len()]);
        for (connection, unread) in connections.iter().zip(unread) {
            if unread {
                connection.look();
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

fn slot_of(id: LinkId) -> usize {
    (id.0 & (SLOTS as u64 - 1)) as usize
}
