//! A bad network between agents and the control plane: a proxy that knows where a request ends, and by seed or by order loses, cuts,
//! delays and repeats. Answers are bytes to it.

use crate::dice::Dice;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It never arrives.
    LoseRequest,
    /// Half of it arrives.
    CutRequest,
    /// It is answered, and the answer never arrives.
    LoseAnswer,
    /// Half of the answer arrives.
    CutAnswer,
    /// It arrives twice; the second answer is given.
    Repeat,
    /// It arrives late.
    Delay,
}

const ALL: [Fault; 6] =
    [Fault::LoseRequest, Fault::CutRequest, Fault::LoseAnswer, Fault::CutAnswer, Fault::Repeat, Fault::Delay];

/// The proxy, listening until it is dropped.
pub struct Proxy {
    pub url: String,
    state: Arc<State>,
    accepting: tokio::task::JoinHandle<()>,
}

struct State {
    upstream: SocketAddr,
    dice: Mutex<Dice>,
    percent: AtomicU64,
    /// Nothing gets through.
    shut: AtomicBool,
    /// Faults that wait for a request whose path ends so, or answer that holds so.
    ordered: Mutex<Vec<(&'static str, Fault)>>,
    done: Mutex<BTreeMap<Fault, u64>>,
    happened: Notify,
    /// Told to cut every connection.
    cut: Notify,
}

impl Proxy {
    /// Before the server at this URL; faultless until it is told otherwise.
    pub async fn before(url: &str, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            upstream: url.trim_start_matches("http://").parse().unwrap(),
            dice: Mutex::new(Dice::new(seed, "network")),
            percent: AtomicU64::new(0),
            shut: AtomicBool::new(false),
            ordered: Mutex::default(),
            done: Mutex::default(),
            happened: Notify::new(),
            cut: Notify::new(),
        });
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.shut.load(Ordering::Relaxed) {
                    continue;
                }
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    tokio::select! {
                        _ = serve(client, &state) => {}
                        () = state.cut.notified() => {}
                    }
                });
            }
        });
        Self { url: format!("http://{address}"), state, accepting }
    }

    /// From now on so many requests of a hundred meet a fault.
    pub fn faults(&self, percent: u64) {
        self.state.percent.store(percent, Ordering::Relaxed);
    }

    /// The next request whose path ends so meets this.
    pub fn order(&self, path: &'static str, fault: Fault) {
        self.state.ordered.lock().unwrap().push((path, fault));
    }

    /// Waits until all that was ordered has happened.
    pub async fn until_done(&self) {
        loop {
            let happened = self.state.happened.notified();
            if self.state.ordered.lock().unwrap().is_empty() {
                return;
            }
            happened.await;
        }
    }

    /// Pulls the cable, or plugs it in again.
    pub fn shut(&self, shut: bool) {
        self.state.shut.store(shut, Ordering::Relaxed);
        if shut {
            self.cut_all();
        }
    }

    /// Cuts every connection that there is now.
    pub fn cut_all(&self) {
        self.state.cut.notify_waiters();
    }

    /// How often each fault happened.
    pub fn done(&self) -> BTreeMap<Fault, u64> {
        self.state.done.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut_all();
    }
}

impl State {
    fn fault(&self, path: &str) -> Option<(Fault, u64)> {
        let ordered = {
            let mut ordered = self.ordered.lock().unwrap();
            let at = ordered.iter().position(|(end, _)| path.ends_with(end));
            at.map(|at| ordered.remove(at).1)
        };
        let mut dice = self.dice.lock().unwrap();
        let by_chance = dice.chance(self.percent.load(Ordering::Relaxed));
        let (kind, size) = (ALL[dice.below(ALL.len() as u64) as usize], dice.throw());
        drop(dice);
        Some((ordered.or(by_chance.then_some(kind))?, size))
    }

    fn count(&self, fault: Fault) -> io::Result<()> {
        *self.done.lock().unwrap().entry(fault).or_default() += 1;
        self.happened.notify_waiters();
        Ok(())
    }
}

async fn serve(mut client: TcpStream, state: &State) -> io::Result<()> {
    let mut server = TcpStream::connect(state.upstream).await?;
    while let Some(request) = next_request(&mut client, &mut server).await? {
        if state.shut.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some((fault, size)) = state.fault(path_of(&request)) else {
            server.write_all(&request).await?;
            continue;
        };
        match fault {
            Fault::LoseRequest => return state.count(fault),
            Fault::CutRequest => {
                server.write_all(&request[..request.len() / 2]).await?;
                return state.count(fault);
            }
            Fault::LoseAnswer | Fault::CutAnswer => {
                server.write_all(&request).await?;
                let Some(answer) = answer_to(&mut client, &mut server).await? else { return Ok(()) };
                if fault == Fault::CutAnswer {
                    client.write_all(&answer[..answer.len() / 2]).await?;
                }
                return state.count(fault);
            }
            Fault::Repeat => {
                server.write_all(&request).await?;
                if answer_to(&mut client, &mut server).await?.is_none() {
                    return Ok(());
                }
                server = TcpStream::connect(state.upstream).await?;
                server.write_all(&request).await?;
            }
            Fault::Delay => {
                tokio::time::sleep(Duration::from_millis(size % 1_500)).await;
                server.write_all(&request).await?;
            }
        }
        state.count(fault)?;
    }
    Ok(())
}

/// The beginning of the answer; none if either side went away first.
async fn answer_to(client: &mut TcpStream, server: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let (mut answer, mut nothing) = (vec![0; 64 * 1024], [0; 1]);
    tokio::select! {
        n = server.read(&mut answer) => {
            answer.truncate(n?);
            Ok((!answer.is_empty()).then_some(answer))
        }
        _ = client.read(&mut nothing) => Ok(None),
    }
}

/// Passes answers on until the client has sent a whole request. None when either side is done.
async fn next_request(client: &mut TcpStream, server: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let (mut request, mut asked, mut answered) = (Vec::new(), vec![0; 16 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            n = client.read(&mut asked) => match n? {
                0 => return Ok(None),
                n => request.extend_from_slice(&asked[..n]),
            },
            n = server.read(&mut answered) => match n? {
                0 => return Ok(None),
                n => client.write_all(&answered[..n]).await?,
            },
        }
        if is_whole(&request) {
            return Ok(Some(request));
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    request.len() >= end + 4 + length
}

fn path_of(request: &[u8]) -> &str {
    let line = request.split(|b| *b == b'\r').next().unwrap_or_default();
    std::str::from_utf8(line).ok().and_then(|l| l.split(' ').nth(1)).unwrap_or_default()
}
