//! A gate in front of a server: it lets so many bytes of answers through, and then none until it is opened. What waits behind it waits
//! exactly there.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

#[derive(Default)]
struct State {
    left: usize,
    open: bool,
    reached: bool,
}

/// The gate.
#[derive(Clone)]
pub struct Gate {
    state: Arc<(Mutex<State>, Condvar)>,
    address: SocketAddr,
}

impl Gate {
    /// In front of a port of this machine, open.
    pub fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("address");
        let state = State { open: true, ..State::default() };
        let gate = Self { state: Arc::new((Mutex::new(state), Condvar::new())), address };
        let server = gate.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let (up_from, up_to) = (near.try_clone().expect("clones"), far.try_clone().expect("clones"));
                std::thread::spawn(move || copy(&up_from, &up_to, |_| ()));
                let gate = server.clone();
                std::thread::spawn(move || copy(&far, &near, |n| gate.pass(n)));
            }
        });
        gate
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on so many bytes go through.
    pub fn close_after(&self, bytes: usize) {
        let mut state = self.state.0.lock().expect("lock");
        *state = State { left: bytes, ..State::default() };
    }

    pub fn open(&self) {
        self.state.0.lock().expect("lock").open = true;
        self.state.1.notify_all();
    }

    /// Waits until something waits before the closed gate.
    pub fn reached(&self) {
        let state = self.state.0.lock().expect("lock");
        drop(self.state.1.wait_while(state, |s| !s.reached).expect("lock"));
    }

    fn pass(&self, bytes: usize) {
        let mut state = self.state.0.lock().expect("lock");
        if state.open {
            return;
        }
        if state.left >= bytes {
            state.left -= bytes;
            return;
        }
        state.left = 0;
        state.reached = true;
        self.state.1.notify_all();
        drop(self.state.1.wait_while(state, |s| !s.open).expect("lock"));
    }
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, mut before: impl FnMut(usize)) {
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).unwrap_or(0);
        if read == 0 {
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
        before(read);
        if to.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}
