//! A TCP relay that records every byte, to stand between the proxy and the database.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A relay on 127.0.0.1. Dropping it closes everything.
pub struct Relay {
    /// Its port.
    pub port: u16,
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Bytes towards the target, one buffer per connection.
    sent: Mutex<Vec<Vec<u8>>>,
    /// Bytes back from the target, one buffer per connection.
    received: Mutex<Vec<Vec<u8>>>,
    /// Both ends of the connections that are open, by their number.
    open: Mutex<HashMap<usize, [TcpStream; 2]>>,
    /// Nothing is recorded.
    forgetful: AtomicBool,
    refusing: AtomicBool,
    closed: AtomicBool,
}

impl Relay {
    /// Starts one towards `target` on 127.0.0.1.
    pub fn start(target: u16) -> Relay {
        Relay::start_at("127.0.0.1", target)
    }

    /// Starts one at this address of the machine.
    pub fn start_at(address: &str, target: u16) -> Relay {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let for_acceptor = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || {
            for client in listener.incoming() {
                if for_acceptor.closed.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(client) = client {
                    let _ = for_acceptor.connect(client, target);
                }
            }
        });
        Relay { port: address.port(), address, shared, acceptor: Some(acceptor) }
    }

    /// Everything sent towards the target so far, all connections joined.
    pub fn sent(&self) -> Vec<u8> {
        self.shared.sent.lock().unwrap().join(&b"\n-- next connection --\n"[..])
    }

    /// What each connection sent towards the target so far.
    pub fn connections(&self) -> Vec<Vec<u8>> {
        self.shared.sent.lock().unwrap().clone()
    }

    /// Everything that came back so far, all connections joined.
    pub fn received(&self) -> Vec<u8> {
        self.shared.received.lock().unwrap().join(&b"\n-- next connection --\n"[..])
    }

    /// Forgets what was recorded.
    pub fn clear(&self) {
        for buffers in [&self.shared.sent, &self.shared.received] {
            buffers.lock().unwrap().iter_mut().for_each(Vec::clear);
        }
    }

    /// Records nothing from now on.
    pub fn forget(&self) {
        self.shared.forgetful.store(true, Ordering::SeqCst);
        self.clear();
    }

    /// Cuts every connection, and refuses new ones until [`Relay::resume`].
    pub fn cut(&self) {
        self.shared.refusing.store(true, Ordering::SeqCst);
        self.shared.close_all();
    }

    /// Lets connections through again.
    pub fn resume(&self) {
        self.shared.refusing.store(false, Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.shared.close_all();
        // Wakes the acceptor so that it sees the flag.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream, target: u16) -> std::io::Result<()> {
        if self.refusing.load(Ordering::SeqCst) {
            return client.shutdown(Shutdown::Both);
        }
        let server = TcpStream::connect(("127.0.0.1", target))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ends = [client.try_clone()?, server.try_clone()?];
        let index = {
            let mut sent = self.sent.lock().unwrap();
            self.received.lock().unwrap().push(Vec::new());
            sent.push(Vec::new());
            sent.len() - 1
        };
        self.open.lock().unwrap().insert(index, ends);
        let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
        let (there, back) = (Arc::clone(self), Arc::clone(self));
        std::thread::spawn(move || {
            let back = std::thread::spawn(move || back.pump(server, client, index, &back.received));
            there.pump(from_client, to_server, index, &there.sent);
            let _ = back.join();
            there.open.lock().unwrap().remove(&index);
        });
        Ok(())
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, index: usize, record: &Mutex<Vec<Vec<u8>>>) {
        let mut buffer = vec![0; 65536];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            if !self.forgetful.load(Ordering::SeqCst) {
                record.lock().unwrap()[index].extend_from_slice(&buffer[..n]);
            }
            if to.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Read);
        let _ = to.shutdown(Shutdown::Write);
    }

    fn close_all(&self) {
        for (_, ends) in self.open.lock().unwrap().drain() {
            for stream in ends {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}
