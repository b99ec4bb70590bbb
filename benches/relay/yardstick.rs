//! Yardsticks: a relay that copies bytes without parsing them, beside which the server is measured, and a
//! plain copy between two sockets, beside which the relay is measured. Each runs in a separate process.
//!
//! A connection names its part in one line, `source ROUTE` or `sink ROUTE`, and hears `ok`. Bytes from the
//! source of a route go to all its sinks.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result, bail};

use hobnob::shell::platform::Socket as _;
use hobnob::shell::tunnel::acceptor::Acceptor;
use hobnob::shell::tunnel::{Received, Tunnel};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::connection::{Poller, Wire, shake_hands, write_all};

/// A read takes at most so much, like a read of the server.
const READ_BYTES: usize = 16 * 1024;
const LISTENER: u64 = u64::MAX;

enum End {
    Source(usize),
    Sink(usize),
}

/// One end of a route.
struct Line {
    wire: Wire,
    /// With TLS.
    tunnel: Option<Tunnel>,
}

/// One thread, one epoll, one read and one write for each turn of each source.
pub(crate) fn relay(acceptor: &Acceptor) -> Result<()> {
    let listener = announce()?;
    let mut poller = Poller::new()?;
    poller.add_stream(&listener, LISTENER)?;
    let mut sources: Vec<(Line, usize)> = Vec::new();
    let mut routes: Vec<Vec<Line>> = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut ready = Vec::new();
    loop {
        ready.clear();
        ready.extend(poller.wait(None)?);
        for &token in &ready {
            if token != LISTENER {
                let Some((source, route)) = sources.get_mut(usize::try_from(token)?) else { continue };
                let sinks = routes.get_mut(*route).map_or(&mut [][..], Vec::as_mut_slice);
                if !pass_on(source, sinks, &mut buffer)? {
                    return Ok(());
                }
                continue;
            }
            let (stream, end) = accept(&listener, acceptor)?;
            match end {
                End::Source(route) => {
                    poller.add_stream(&stream.wire.0, sources.len() as u64)?;
                    sources.push((stream, route));
                }
                End::Sink(route) => {
                    routes.resize_with(routes.len().max(route + 1), Vec::new);
                    routes[route].push(stream);
                }
            }
        }
    }
}

/// A server of TLS that does nothing: it accepts, does handshakes as ours does them (with tickets that are good for an
/// hour), and says what it hears. One thread, one epoll, one read for each turn of each connection.
pub(crate) fn echo(acceptor: &Acceptor) -> Result<()> {
    let listener = announce()?;
    listener.set_nonblocking(true)?;
    let mut poller = Poller::new()?;
    poller.add_stream(&listener, LISTENER)?;
    let mut lines: HashMap<u64, Line> = HashMap::new();
    let (mut next, mut buffer, mut ready) = (0, vec![0; READ_BYTES], Vec::new());
    loop {
        ready.clear();
        ready.extend(poller.wait(None)?);
        for &token in &ready {
            if token == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    stream.set_nonblocking(true)?;
                    poller.add_stream(&stream, next)?;
                    lines.insert(next, Line { wire: Wire(stream), tunnel: Some(acceptor.tunnel()?) });
                    next += 1;
                }
            } else if let Some(line) = lines.get_mut(&token)
                && !answer(line, &mut buffer)
            {
                lines.remove(&token);
            }
        }
    }
}

/// One read, and what is to be said to it; `false` at the end.
fn answer(line: &mut Line, buffer: &mut [u8]) -> bool {
    let Some(tunnel) = &mut line.tunnel else { return false };
    match tunnel.read(&line.wire, buffer) {
        Ok(Received::Bytes(bytes)) => write_all(tunnel, &line.wire, &bytes).is_ok(),
        Ok(Received::End | Received::Cut) => false,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// One read and a write to each sink; `false` at the end of the stream.
fn pass_on(source: &mut Line, sinks: &mut [Line], buffer: &mut [u8]) -> io::Result<bool> {
    if let Some(tunnel) = &mut source.tunnel {
        return match tunnel.read(&source.wire, buffer) {
            Ok(Received::Bytes(bytes)) => pass_on_tls(&bytes, sinks).map(|()| true),
            Ok(Received::End | Received::Cut) => Ok(false),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        };
    }
    let count = match source.wire.read(buffer) {
        Ok(0) => return Ok(false),
        Ok(count) => count,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
        Err(error) => return Err(error),
    };
    for sink in sinks {
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            match sink.wire.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(true)
}

fn pass_on_tls(bytes: &[u8], sinks: &mut [Line]) -> io::Result<()> {
    for sink in sinks {
        if let Some(tunnel) = &mut sink.tunnel {
            write_all(tunnel, &sink.wire, bytes)?;
        }
    }
    Ok(())
}

/// A key of its own, as the server has one.
pub(crate) fn acceptor() -> Result<Acceptor> {
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(Acceptor::tls(vec![certificate.der().clone()], key, 3_600)?)
}

/// A thread for each route, which reads and writes and does nothing else. One sink a route.
pub(crate) fn copy() -> Result<()> {
    let listener = announce()?;
    let mut sinks: Vec<Option<TcpStream>> = Vec::new();
    loop {
        let (Line { wire: Wire(stream), .. }, end) = accept(&listener, &Acceptor::Plain)?;
        stream.set_nonblocking(false)?;
        match end {
            End::Sink(route) => {
                sinks.resize_with(sinks.len().max(route + 1), || None);
                sinks[route] = Some(stream);
            }
            End::Source(route) => {
                let sink = sinks.get_mut(route).and_then(Option::take).context("the sink comes first")?;
                thread::spawn(move || copy_all(stream, sink));
            }
        }
    }
}

fn copy_all(mut source: TcpStream, mut sink: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        sink.write_all(&buffer[..count])?;
    }
}

fn announce() -> Result<TcpListener> {
    // Ends with the program that started it.
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {}", listener.local_addr()?)?;
    stdout.flush()?;
    Ok(listener)
}

/// The next connection and its part.
fn accept(listener: &TcpListener, acceptor: &Acceptor) -> Result<(Line, End)> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let (wire, mut tunnel) = (Wire(stream), acceptor.tunnel()?);
    let (mut line, mut byte) = (shake_hands(&mut tunnel, &wire)?, [0; 512]);
    while line.last() != Some(&b'\n') {
        match tunnel.read(&wire, &mut byte) {
            Ok(Received::Bytes(bytes)) => line.extend_from_slice(&bytes),
            Ok(Received::End | Received::Cut) => bail!("an end instead of a line"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
            Err(error) => return Err(error.into()),
        }
    }
    let line = String::from_utf8(line)?;
    let end = match line.trim().split_once(' ') {
        Some(("source", route)) => End::Source(route.parse()?),
        Some(("sink", route)) => End::Sink(route.parse()?),
        Some(_) | None => bail!("neither source nor sink: {line}"),
    };
    write_all(&mut tunnel, &wire, b"ok\n")?;
    let tunnel = acceptor.fingerprint().map(|_| tunnel);
    Ok((Line { wire, tunnel }, end))
}
