//! Many who are online and listen.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::stage::Stage;
use super::talk::{Talk, host};

/// Logins at the same time.
const AT_ONCE: usize = 8;
/// The first street in which they live.
const STREET: u8 = 10;

/// Sessions that read all that comes.
#[derive(Debug)]
pub(crate) struct Crowd {
    heard: Arc<Heard>,
    done: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Heard {
    cut: AtomicUsize,
    bytes: AtomicU64,
}

impl Crowd {
    /// Logs these in and lets them listen.
    pub(crate) fn log_in(stage: &Stage, names: &[String]) -> Result<Crowd> {
        let share = names.len().div_ceil(AT_ONCE).max(1);
        let to = stage.address;
        let logins: Vec<_> = (STREET..)
            .zip(names.chunks(share))
            .map(|(street, names)| {
                let names = names.to_vec();
                thread::spawn(move || {
                    let houses = (1..=200).cycle();
                    let login = |(name, house): (String, u8)| Talk::log_in(host(street, house), to, &name);
                    let logins = names.into_iter().zip(houses).map(login);
                    logins.map(|login| Ok(login?.0)).collect::<Result<Vec<Talk>>>()
                })
            })
            .collect();
        let mut streams = Vec::new();
        for login in logins {
            let talks = login.join().map_err(|_| anyhow!("a login broke"))??;
            streams.extend(talks.into_iter().map(Talk::into_stream));
        }
        let (heard, done) = (Arc::new(Heard::default()), Arc::new(AtomicBool::new(false)));
        let listener = Listener::new(streams)?;
        let reader = {
            let (heard, done) = (Arc::clone(&heard), Arc::clone(&done));
            thread::spawn(move || listener.listen(&heard, &done))
        };
        Ok(Crowd { heard, done, reader: Some(reader) })
    }

    /// How many have lost their connection.
    pub(crate) fn cut(&self) -> usize {
        self.heard.cut.load(Ordering::Relaxed)
    }

    /// The bytes that have come.
    pub(crate) fn bytes(&self) -> u64 {
        self.heard.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

struct Listener {
    streams: Vec<Option<TcpStream>>,
    epoll: OwnedFd,
}

impl Listener {
    fn new(streams: Vec<TcpStream>) -> Result<Listener> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (at, stream) in streams.iter().enumerate() {
            stream.set_nonblocking(true)?;
            let at = u64::try_from(at).context("few streams")?;
            epoll::add(&epoll, stream, epoll::EventData::new_u64(at), epoll::EventFlags::IN)?;
        }
        Ok(Listener { streams: streams.into_iter().map(Some).collect(), epoll })
    }

    fn listen(mut self, heard: &Heard, done: &AtomicBool) {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(1_024);
        let mut scratch = vec![0; 64 * 1024];
        let wait = Timespec::try_from(Duration::from_millis(50)).ok();
        while !done.load(Ordering::Relaxed) {
            events.clear();
            if epoll::wait(&self.epoll, spare_capacity(&mut events), wait.as_ref()).is_err() {
                continue;
            }
            for event in &events {
                let Some(slot) =
                    usize::try_from(event.data.u64()).ok().and_then(|at| self.streams.get_mut(at))
                else {
                    continue;
                };
                let Some(stream) = slot else { continue };
                match stream.read(&mut scratch) {
                    Ok(count @ 1..) => {
                        heard.bytes.fetch_add(count as u64, Ordering::Relaxed);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Ok(_) | Err(_) => {
                        heard.cut.fetch_add(1, Ordering::Relaxed);
                        *slot = None;
                    }
                }
            }
        }
    }
}
