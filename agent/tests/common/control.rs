//! A control plane of a hundred lines: it offers what a test tells it to, remembers what it is told, and can go away.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use restic_manager_shared::id::{ControlId, HostId, JobId, QueryId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{FinishReport, Offer, Task};
use restic_manager_shared::wire::operation::{JobSecrets, SnapshotsPart, job_seal_name};
use restic_manager_shared::wire::poll::{HeldPhase, PollRequest};
use restic_manager_shared::wire::progress::ChunkRequest;
use restic_manager_shared::wire::query::{Query, QueryAnswer, QueryAsk};
use restic_manager_shared::wire::state::{CredentialMode, DesiredState, RepositorySecrets, RepositorySpec, seal_name};
use restic_manager_shared::{jwt, seal};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(90);

/// What it knows.
#[derive(Default)]
pub struct Memory {
    pub offers: Vec<Offer>,
    pub cancel: Vec<JobId>,
    pub claims: Vec<(JobId, i32)>,
    pub chunks: BTreeMap<JobId, Vec<ChunkRequest>>,
    pub finished: BTreeMap<JobId, FinishReport>,
    /// Long lists of snapshots, part by part.
    pub parts: BTreeMap<JobId, Vec<SnapshotsPart>>,
    /// So many parts are refused with 503 before one is stored.
    pub refuse_parts: u32,
    /// What the last poll said of the host's hooks.
    pub hooks: Option<Vec<String>>,
    pub finish_calls: u32,
    pub polls: u32,
    pub state: Option<DesiredState>,
    /// Requests are cut without an answer.
    pub away: bool,
    /// Seconds to add to the clock that it shows and judges by.
    pub skew: i64,
    /// Questions, until they are answered.
    pub queries: Vec<Query>,
    pub answers: BTreeMap<QueryId, QueryAnswer>,
    sealing_key: Vec<u8>,
    signing_key: Vec<u8>,
}

struct Shared {
    memory: Mutex<Memory>,
    changed: Condvar,
    key: Ed25519KeyPair,
    host: HostId,
    control: ControlId,
}

/// The control plane.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Control {
    pub fn start() -> Self {
        let pkcs8 = jwt::generate_signing_key().expect("key");
        let key = Ed25519KeyPair::from_pkcs8(&pkcs8).expect("key");
        let shared = Arc::new(Shared {
            memory: Mutex::default(),
            changed: Condvar::new(),
            key,
            host: HostId::new(),
            control: ControlId::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("address");
        let this = Self { shared, address };
        let server = this.clone();
        std::thread::spawn(move || {
            for peer in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(&peer));
            }
        });
        this
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes what it knows; parked polls look again.
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.shared.changed.notify_all();
        self.shared.memory.lock().expect("lock")
    }

    /// Waits until something is so.
    pub fn until<T>(&self, what: &str, mut look: impl FnMut(&mut Memory) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut memory = self.memory();
        loop {
            if let Some(found) = look(&mut memory) {
                return found;
            }
            let left =
                end.checked_duration_since(Instant::now()).unwrap_or_else(|| panic!("waited too long for {what}"));
            memory = self.shared.changed.wait_timeout(memory, left).expect("lock").0;
        }
    }

    /// Gives the host a repository.
    pub fn repository(&self, url: &str, init_if_missing: bool, secrets: &RepositorySecrets) -> RepositoryId {
        self.repository_with(url, init_if_missing, secrets, CredentialMode::AppendOnly)
    }

    /// Gives the host a repository and the means to do everything with it.
    pub fn full(&self, url: &str, secrets: &RepositorySecrets) -> RepositoryId {
        self.repository_with(url, true, secrets, CredentialMode::Full)
    }

    fn repository_with(
        &self,
        url: &str,
        init_if_missing: bool,
        secrets: &RepositorySecrets,
        mode: CredentialMode,
    ) -> RepositoryId {
        let id = RepositoryId::new();
        let mut memory = self.memory();
        let sealed = seal::seal(
            &self.shared.key,
            &memory.sealing_key,
            self.shared.host,
            &seal_name(id),
            secrets.to_json().as_bytes(),
        );
        let version = memory.state.as_ref().map_or(1, |s| s.version + 1);
        let spec = RepositorySpec {
            id,
            name: "r".into(),
            url: url.into(),
            ca_pem: None,
            mode,
            init_if_missing,
            secrets: sealed.expect("seals"),
        };
        let mut repositories = memory.state.take().map(|s| s.repositories).unwrap_or_default();
        repositories.push(spec);
        memory.state =
            Some(DesiredState { version, host_name: "web1".into(), schedules: vec![], repositories, pauses: vec![] });
        id
    }

    /// Offers a job.
    pub fn offer(&self, task: Task) -> JobId {
        let mut memory = self.memory();
        let state_version = memory.state.as_ref().map_or(0, |s| s.version);
        let offer = Offer {
            id: JobId::new(),
            attempt: 1,
            schedule_id: Some(ScheduleId::new()),
            state_version,
            task,
            secrets: None,
            repository_url: None,
        };
        memory.offers.push(offer.clone());
        drop(memory);
        self.shared.changed.notify_all();
        offer.id
    }

    /// Offers a job with secrets of its own.
    pub fn offer_with(&self, task: Task, secrets: &JobSecrets) -> JobId {
        self.offer_sealed(task, secrets, None)
    }

    /// Offers a job with a credential of its own.
    pub fn offer_at(&self, task: Task, secrets: &JobSecrets, url: &str) -> JobId {
        self.offer_sealed(task, secrets, Some(url.to_owned()))
    }

    fn offer_sealed(&self, task: Task, secrets: &JobSecrets, repository_url: Option<String>) -> JobId {
        let mut memory = self.memory();
        let state_version = memory.state.as_ref().map_or(0, |s| s.version);
        let id = JobId::new();
        let name = job_seal_name(id);
        let json = secrets.to_json();
        let sealed = seal::seal(&self.shared.key, &memory.sealing_key, self.shared.host, &name, json.as_bytes());
        let secrets = Some(sealed.expect("seals"));
        memory.offers.push(Offer { id, attempt: 1, schedule_id: None, state_version, task, repository_url, secrets });
        drop(memory);
        self.shared.changed.notify_all();
        id
    }

    /// Asks, and waits for the answer.
    pub fn ask(&self, repository_id: RepositoryId, ask: QueryAsk) -> QueryAnswer {
        let id = QueryId::new();
        let deadline = Timestamp::from_seconds(Timestamp::now().seconds() + 60);
        self.memory().queries.push(Query { id, repository_id, repository_url: None, deadline, ask });
        self.shared.changed.notify_all();
        self.until("an answer", |m| m.answers.get(&id).cloned())
    }

    /// Asks until it is more than how far the index is.
    pub fn asks(&self, repository_id: RepositoryId, ask: &QueryAsk) -> QueryAnswer {
        loop {
            match self.ask(repository_id, ask.clone()) {
                QueryAnswer::Indexing(_) => {}
                answer => return answer,
            }
        }
    }

    /// Waits for a job's end.
    pub fn end_of(&self, job: JobId) -> FinishReport {
        self.until("the end of a job", |m| m.finished.get(&job).cloned())
    }

    /// All log lines of a job.
    pub fn lines(&self, job: JobId) -> Vec<String> {
        let memory = self.memory();
        memory.chunks.get(&job).into_iter().flatten().flat_map(|c| &c.lines).map(|l| l.text.clone()).collect()
    }

    fn serve(&self, peer: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(peer);
        loop {
            let (path, token, body) = read_request(&mut reader)?;
            if self.memory().away {
                return None;
            }
            let (status, answer) = self.answer(&path, &token, &body)?;
            let text = answer.to_string();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                text.len()
            );
            (&*peer).write_all(format!("{head}{text}").as_bytes()).ok()?;
        }
    }

    fn answer(&self, path: &str, token: &str, body: &[u8]) -> Option<(u16, Value)> {
        if path == "/agent/v1/enroll" {
            return Some((200, self.enroll(body)));
        }
        let (now, key) = {
            let memory = self.memory();
            (Timestamp::from_seconds(Timestamp::now().seconds() + memory.skew), memory.signing_key.clone())
        };
        if jwt::verify(token, &key, self.shared.host, self.shared.control, now).is_err() {
            return Some((401, problem(401, "clock_skew", Some(now))));
        }
        if path == "/agent/v1/poll" {
            return self.poll(body, now);
        }
        if let Some(rest) = path.strip_prefix("/agent/v1/queries/") {
            let id: QueryId = rest.strip_suffix("/answer")?.parse().ok()?;
            assert!(body.len() < 1 << 20, "an answer fits a body");
            let mut memory = self.memory();
            memory.queries.retain(|q| q.id != id);
            memory.answers.insert(id, serde_json::from_slice(body).expect("an answer"));
            self.shared.changed.notify_all();
            return Some((200, json!({})));
        }
        let mut parts = path.strip_prefix("/agent/v1/jobs/")?.split('/');
        let job: JobId = parts.next()?.parse().ok()?;
        Some(match parts.next()? {
            "claim" => self.claim(job, body),
            "chunks" => self.chunk(job, body),
            "snapshots" => self.part(job, body),
            _ => self.finish(job, body),
        })
    }

    fn enroll(&self, body: &[u8]) -> Value {
        let request: Value = serde_json::from_slice(body).expect("json");
        let raw = |name: &str| B64.decode(request[name].as_str().expect("text")).expect("base64");
        let mut memory = self.memory();
        memory.sealing_key = raw("sealing_key");
        memory.signing_key = raw("signing_key");
        json!({
            "host_id": self.shared.host, "host_name": "web1", "control_id": self.shared.control,
            "control_key": B64.encode(self.shared.key.public_key().as_ref()),
            "state": {"version": 0, "host_name": "web1", "schedules": [], "repositories": []},
        })
    }

    fn poll(&self, body: &[u8], now: Timestamp) -> Option<(u16, Value)> {
        let request: PollRequest = serde_json::from_slice(body).expect("a poll");
        let end = Instant::now() + Duration::from_secs(request.hold.min(5).into());
        let mut memory = self.memory();
        memory.polls += 1;
        memory.hooks.clone_from(&request.hooks);
        self.shared.changed.notify_all();
        loop {
            if memory.away {
                return None;
            }
            let held = |id: &JobId| request.jobs.iter().find(|j| j.id == *id);
            let state = memory.state.clone().filter(|s| s.version != request.state_version);
            let free = request.free_slots as usize;
            let offers: Vec<_> = memory
                .offers
                .iter()
                .filter(|o| held(&o.id).is_none() && !memory.finished.contains_key(&o.id))
                .filter(|o| !memory.claims.iter().any(|(id, _)| *id == o.id))
                .take(free)
                .cloned()
                .collect();
            let running = |id: &&JobId| held(id).is_some_and(|j| j.phase != HeldPhase::Finished);
            let cancel: Vec<_> = memory.cancel.iter().filter(running).copied().collect();
            memory.cancel.retain(|id| !cancel.contains(id));
            let queries: Vec<_> = memory.queries.iter().filter(|q| !request.queries.contains(&q.id)).cloned().collect();
            let left = end.checked_duration_since(Instant::now());
            let quiet = state.is_none() && offers.is_empty() && cancel.is_empty() && queries.is_empty();
            if let (true, Some(left)) = (quiet, left) {
                memory = self.shared.changed.wait_timeout(memory, left).expect("lock").0;
                continue;
            }
            let answer = json!({"server_time": now, "state": state, "offers": offers, "cancel": cancel, "queries": queries, "hold": 5, "pause_ms": 0});
            return Some((200, answer));
        }
    }

    fn claim(&self, job: JobId, body: &[u8]) -> (u16, Value) {
        let request: Value = serde_json::from_slice(body).expect("json");
        let attempt = i32::try_from(request["attempt"].as_i64().expect("number")).expect("small");
        self.memory().claims.push((job, attempt));
        (200, json!({"lease": 120}))
    }

    fn chunk(&self, job: JobId, body: &[u8]) -> (u16, Value) {
        let chunk: ChunkRequest = serde_json::from_slice(body).expect("a chunk");
        let mut memory = self.memory();
        let chunks = memory.chunks.entry(job).or_default();
        let stored = chunks.last().map_or(0, |c| c.seq);
        if chunk.seq == stored + 1 {
            chunks.push(chunk);
        }
        let stored = chunks.last().map_or(0, |c| c.seq);
        self.shared.changed.notify_all();
        (200, json!({"stored": stored, "cancel": false}))
    }

    fn part(&self, job: JobId, body: &[u8]) -> (u16, Value) {
        let part: SnapshotsPart = serde_json::from_slice(body).expect("a part");
        let mut memory = self.memory();
        if memory.refuse_parts > 0 {
            memory.refuse_parts -= 1;
            return (503, problem(503, "busy", None));
        }
        memory.parts.entry(job).or_default().push(part);
        (200, json!({}))
    }

    fn finish(&self, job: JobId, body: &[u8]) -> (u16, Value) {
        let report: FinishReport = serde_json::from_slice(body).expect("a report");
        let mut memory = self.memory();
        memory.finish_calls += 1;
        memory.finished.insert(job, report);
        self.shared.changed.notify_all();
        (200, json!({}))
    }
}

fn problem(status: u16, code: &str, server_time: Option<Timestamp>) -> Value {
    json!({"type": format!("/problems/{code}"), "title": code, "status": status, "code": code, "server_time": server_time})
}

/// Path, bearer token, body.
fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<(String, String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let (mut length, mut token) = (0, String::new());
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => token = value.strip_prefix("Bearer ")?.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, token, body))
}
