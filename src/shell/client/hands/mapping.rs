//! Asks the router for what the core wants mapped, one thing after the other: nothing else waits for it.

use std::net::SocketAddr;

use async_channel::{Receiver, WeakSender, bounded};

use super::Hands;
use crate::client::{Mapped, is_behind_router};
use crate::shell::client::news::News;
use crate::shell::platform::Platform;

/// Mappings that are kept for later: of connections to the server that are gone, by which private links have come.
const KEPT: usize = 8;

/// Orders that wait for the router. Further ones are not carried out: what is mapped ends by itself.
const WAITING: usize = 32;

/// What to ask of the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shell::client) enum Order {
    Map { attempt: u64, inside: SocketAddr },
    Unmap,
}

impl<P: Platform> Hands<P> {
    pub(super) fn map_port(&mut self, attempt: u64) {
        let is_asked = self.mapped_address().is_some_and(|inside| {
            let orders = self.router.take().unwrap_or_else(|| {
                let (orders, ordered) = bounded(WAITING);
                self.executor.spawn(self.obeying(ordered)).detach();
                orders
            });
            let is_asked = orders.try_send(Order::Map { attempt, inside }).is_ok();
            self.router = Some(orders);
            is_asked
        });
        if !is_asked {
            let _ = self.urgent.try_send(News::PortMapped { attempt, mapped: None });
        }
    }

    pub(super) fn unmap_port(&self) {
        if let Some(orders) = &self.router {
            let _ = orders.try_send(Order::Unmap);
        }
    }

    fn obeying(&self, orders: Receiver<Order>) -> impl Future<Output = ()> + 'static {
        let (platform, urgent, linked) =
            (self.platform.clone(), self.urgent.clone(), self.linked.downgrade());
        async move {
            let map = async |inside, known| platform.map_port(inside, known).await;
            let unmap = async |mapping| platform.unmap_port(mapping).await;
            let tell = async |attempt, mapped| {
                // Fails only when the program has ended.
                let _ = urgent.send(News::PortMapped { attempt, mapped }).await;
            };
            obey(orders, linked, map, unmap, tell).await;
        }
    }

    /// Where this client listens, if a router may stand between that and the server.
    fn mapped_address(&self) -> Option<SocketAddr> {
        let (mut inside, server) = self.server.local.zip(self.server.remote)?;
        if let Some(ip) = self.places.private_bind.filter(|ip| !ip.is_unspecified()) {
            inside.set_ip(ip);
        }
        if let Some(port) = self.places.private_port {
            inside.set_port(port);
        }
        let inside = SocketAddr::new(inside.ip().to_canonical(), inside.port());
        is_behind_router(inside.ip(), server.ip()).then_some(inside)
    }
}

/// Obeys until there is nobody to give orders any more. Then all mappings are given back; the program waits for that, as
/// long as it waits for its links.
async fn obey<M>(
    orders: Receiver<Order>,
    linked: WeakSender<()>,
    map: impl AsyncFn(SocketAddr, Option<M>) -> Option<(Mapped, M)>,
    unmap: impl AsyncFn(M),
    tell: impl AsyncFn(u64, Option<Mapped>),
) {
    let mut mappings: Vec<(SocketAddr, M)> = Vec::new();
    let mut holds = None;
    while let Ok(order) = orders.recv().await {
        match order {
            // The core does not wait for it any more, as there are later orders.
            Order::Map { attempt, .. } if !orders.is_empty() => tell(attempt, None).await,
            Order::Map { attempt, inside } => {
                let place = mappings.iter().position(|(mapped, _)| *mapped == inside);
                let known = place.map(|place| mappings.remove(place).1);
                let (mapped, mapping) = map(inside, known).await.unzip();
                mappings.extend(mapping.map(|mapping| (inside, mapping)));
                tell(attempt, mapped).await;
                if mappings.len() > KEPT {
                    unmap(mappings.remove(0).1).await;
                }
            }
            Order::Unmap => give_back(&mut mappings, &unmap).await,
        }
        holds = if mappings.is_empty() { None } else { linked.upgrade() };
    }
    give_back(&mut mappings, &unmap).await;
    drop(holds);
}

async fn give_back<M>(mappings: &mut Vec<(SocketAddr, M)>, unmap: &impl AsyncFn(M)) {
    for (_, mapping) in mappings.drain(..) {
        unmap(mapping).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use futures_lite::future::{block_on, zip};

    use super::*;

    fn inside(port: u16) -> SocketAddr {
        ([192, 168, 1, 2], port).into()
    }

    /// What a router is asked when these orders are given together, or one after the other, and the program ends then.
    fn asked(orders: &[Order], together: bool, gives: bool) -> String {
        let (giving, given) = bounded(WAITING);
        let (linked, ended) = bounded::<()>(1);
        let asked = RefCell::new(Vec::new());
        let done = Cell::new(0);
        let obeying = obey(
            given,
            linked.downgrade(),
            async |inside: SocketAddr, known: Option<u64>| {
                let port = inside.port();
                asked.borrow_mut().push(known.map_or(format!("map {port}"), |old| format!("renew {old}")));
                let outside = ([198, 51, 100, 7], port).into();
                gives.then_some((Mapped { outside, lease_secs: 9 }, u64::from(port)))
            },
            async |mapping| asked.borrow_mut().push(format!("end {mapping}")),
            async |attempt, mapped: Option<Mapped>| {
                done.set(done.get() + 1);
                let port = mapped.map_or("nothing".into(), |mapped| mapped.outside.port().to_string());
                asked.borrow_mut().push(format!("{attempt} has {port}"));
            },
        );
        let commanding = async {
            for order in orders {
                giving.send(*order).await.expect("a place");
                while !together && !giving.is_empty() {
                    futures_lite::future::yield_now().await;
                }
            }
            futures_lite::future::yield_now().await;
            drop(giving);
            drop(linked);
            // Closed when nothing is to be given back any more.
            assert!(ended.recv().await.is_err());
            asked.borrow_mut().push("closed".into());
        };
        block_on(zip(obeying, commanding));
        asked.into_inner().join(", ")
    }

    fn map(attempt: u64, port: u16) -> Order {
        Order::Map { attempt, inside: inside(port) }
    }

    #[test]
    fn the_end_of_the_program_waits_until_the_mapping_is_given_back() {
        assert_eq!(asked(&[map(1, 5_000)], false, true), "map 5000, 1 has 5000, end 5000, closed");
        assert_eq!(asked(&[map(1, 5_000)], false, false), "map 5000, 1 has nothing, closed");
        assert_eq!(asked(&[], false, true), "closed");
    }

    #[test]
    fn what_is_mapped_already_is_renewed_and_another_port_is_mapped_beside_it() {
        let orders = [map(1, 5_000), map(2, 5_000), map(3, 6_000), Order::Unmap, map(4, 5_000)];
        assert_eq!(
            asked(&orders, false, true),
            "map 5000, 1 has 5000, renew 5000, 2 has 5000, map 6000, 3 has 6000, end 5000, end 6000, \
             map 5000, 4 has 5000, end 5000, closed"
        );
    }

    #[test]
    fn a_router_is_not_asked_for_what_is_not_wanted_any_more() {
        let orders = [map(1, 5_000), Order::Unmap, map(2, 6_000), map(3, 7_000)];
        assert_eq!(
            asked(&orders, true, true),
            "1 has nothing, 2 has nothing, map 7000, 3 has 7000, end 7000, closed"
        );
    }

    #[test]
    fn few_mappings_are_kept() {
        let orders: Vec<Order> = (0..=8).map(|port| map(1, 5_000 + port)).collect();
        assert!(asked(&orders, false, true).contains("map 5008, 1 has 5008, end 5000, end 5001"));
    }
}
