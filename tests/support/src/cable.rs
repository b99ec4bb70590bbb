//! A cable between clients and a server, to be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes bytes between whoever connects and a server.
#[derive(Debug)]
pub struct Cable {
    /// Where clients connect.
    pub port: u16,
    strands: Arc<Mutex<Vec<Strand>>>,
}

#[derive(Debug)]
struct Strand {
    client: TcpStream,
    server: TcpStream,
}

impl Cable {
    /// To the server on this port.
    #[must_use]
    pub fn to(port: u16) -> Cable {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = listener.local_addr().expect("an address").port();
        let strands = Arc::new(Mutex::new(Vec::new()));
        let made = Arc::clone(&strands);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let strand = Strand { client, server };
                pass(&strand.client, &strand.server);
                pass(&strand.server, &strand.client);
                made.lock().expect("not poisoned").push(strand);
            }
        });
        Cable { port: own, strands }
    }

    /// Cuts all that is connected: both sides see it.
    pub fn cut(&self) {
        for strand in self.strands.lock().expect("not poisoned").drain(..) {
            let _ = strand.client.shutdown(Shutdown::Both);
            let _ = strand.server.shutdown(Shutdown::Both);
        }
    }

    /// Cuts the client's side only: the server still believes in the connection.
    pub fn cut_half(&self) {
        for strand in self.strands.lock().expect("not poisoned").iter() {
            let _ = strand.client.shutdown(Shutdown::Both);
        }
    }
}

/// Copies one way until the source is cut; does not pass the end on, as a dead machine does not.
fn pass(from: &TcpStream, to: &TcpStream) {
    let mut from = from.try_clone().expect("a stream");
    let mut to = to.try_clone().expect("a stream");
    thread::spawn(move || {
        let mut chunk = [0; 4_096];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            if to.write_all(&chunk[..count]).is_err() {
                return;
            }
        }
    });
}
