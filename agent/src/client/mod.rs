//! Requests to the control plane, and the few that go to a storage. The only place that knows the HTTP library. Signs each request with the agent's own short-lived token, and keeps the difference to the server's clock.

mod error;
pub mod s3;
pub mod setup;
pub mod storage;

pub use error::{ClientError, Refusal};

use crate::identity::Identity;
use reqwest::{Method, RequestBuilder, Response};
use restic_manager_shared::id::{JobId, QueryId};
use restic_manager_shared::jwt;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::MAX_BODY;
use restic_manager_shared::wire::enroll::EnrollResponse;
use restic_manager_shared::wire::fire::FireReport;
use restic_manager_shared::wire::job::{ClaimRequest, ClaimResponse, FinishReport};
use restic_manager_shared::wire::operation::SnapshotsPart;
use restic_manager_shared::wire::poll::{PollRequest, PollResponse};
use restic_manager_shared::wire::progress::{ChunkRequest, ChunkResponse};
use restic_manager_shared::wire::query::QueryAnswer;
use restic_manager_shared::wire::recall::{RecallRequest, RecallResponse};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long an ordinary request may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// A token is used for so long, which is less than its life.
const TOKEN_USE: Duration = Duration::from_secs(240);
/// Clocks that differ by less are left alone.
const CLOCK_TOLERANCE: i64 = 5_000_000;

/// Speaks to one control plane as one host.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    identity: Arc<Identity>,
    token: Mutex<Option<(String, Timestamp)>>,
    /// Server's clock minus ours, in microseconds.
    offset: AtomicI64,
    /// How often the server told its time.
    told: AtomicU64,
}

impl Client {
    /// A client for the server at `base`.
    #[must_use]
    pub fn new(http: reqwest::Client, base: &str, identity: Arc<Identity>) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self { http, base, identity, token: Mutex::new(None), offset: AtomicI64::new(0), told: AtomicU64::new(0) }
    }

    /// Now, by the server's clock as far as it is known.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let micros = Timestamp::now().micros();
        Timestamp::from_micros(micros.saturating_add(self.offset.load(Ordering::Relaxed)))
    }

    /// How often the server has told its time so far. When the number has grown, [`now`](Self::now) follows from a newer word of it.
    #[must_use]
    pub fn times_told(&self) -> u64 {
        self.told.load(Ordering::Acquire)
    }

    /// The long poll.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn poll(&self, body: &PollRequest, patience: Duration) -> Result<PollResponse, ClientError> {
        let answer: PollResponse = self.post("/agent/v1/poll", body, patience).await?;
        self.learn_clock(answer.server_time);
        Ok(answer)
    }

    /// Claims a job.
    ///
    /// # Errors
    /// [`ClientError`]; a refusal with 404, 409 or 410 means that the job is not ours to run.
    pub async fn claim(&self, job: JobId, body: ClaimRequest) -> Result<ClaimResponse, ClientError> {
        self.post(&format!("/agent/v1/jobs/{job}/claim"), &body, PATIENCE).await
    }

    /// Tells a fire.
    ///
    /// # Errors
    /// [`ClientError`]; without one the server has stored it.
    pub async fn fire(&self, body: &FireReport) -> Result<ClaimResponse, ClientError> {
        self.post("/agent/v1/fires", body, PATIENCE).await
    }

    /// Sends a progress chunk.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn chunk(&self, job: JobId, body: &ChunkRequest) -> Result<ChunkResponse, ClientError> {
        self.post(&format!("/agent/v1/jobs/{job}/chunks"), body, PATIENCE).await
    }

    /// Sends a job's end.
    ///
    /// # Errors
    /// [`ClientError`]; without one the server has stored it.
    pub async fn finish(&self, job: JobId, body: &FinishReport) -> Result<(), ClientError> {
        self.post::<_, Option<IgnoredAny>>(&format!("/agent/v1/jobs/{job}/finish"), body, PATIENCE).await.map(drop)
    }

    /// Tells of a job that a control plane out of an export may have forgotten.
    ///
    /// # Errors
    /// [`ClientError`]; a refusal with 404 means that it does not want to know.
    pub async fn recall(&self, job: JobId, body: &RecallRequest) -> Result<RecallResponse, ClientError> {
        self.post(&format!("/agent/v1/jobs/{job}/recall"), body, PATIENCE).await
    }

    /// Sends a part of a long list of snapshots, before the job's end.
    ///
    /// # Errors
    /// [`ClientError`]; without one the server has stored it.
    pub async fn snapshots(&self, job: JobId, body: &SnapshotsPart) -> Result<(), ClientError> {
        self.post::<_, Option<IgnoredAny>>(&format!("/agent/v1/jobs/{job}/snapshots"), body, PATIENCE).await.map(drop)
    }

    /// Answers a question.
    ///
    /// # Errors
    /// [`ClientError`]; a refusal means that nobody waits for it any more.
    pub async fn answer(&self, query: QueryId, body: &QueryAnswer) -> Result<(), ClientError> {
        self.post::<_, Option<IgnoredAny>>(&format!("/agent/v1/queries/{query}/answer"), body, PATIENCE).await.map(drop)
    }

    /// Fetches a release of the agent from an offset on, piece by piece. The sink hears at which offset each piece begins; a server or proxy
    /// that does not know ranges begins at 0.
    ///
    /// # Errors
    /// [`ClientError`]; what the sink has is kept, and a later call goes on from there.
    pub async fn fetch_release(
        &self,
        version: &str,
        target: &str,
        from: u64,
        sink: &mut (dyn FnMut(u64, &[u8]) -> std::io::Result<()> + Send),
    ) -> Result<(), ClientError> {
        let mut response = self.get(&format!("/agent/v1/releases/{version}/{target}"), from).await?;
        let mut at = if response.status() == reqwest::StatusCode::PARTIAL_CONTENT { from } else { 0 };
        loop {
            // A line that is dead without having been cut would hold this for ever.
            let part = tokio::time::timeout(PATIENCE, response.chunk()).await.map_err(|_| ClientError::Timeout)?;
            let Some(part) = part.map_err(|e| ClientError::from_reqwest(&e))? else { return Ok(()) };
            sink(at, &part).map_err(|e| ClientError::Setup(format!("the release cannot be written: {e}")))?;
            at += part.len() as u64;
        }
    }

    /// Asks for a release and takes nothing of it: whether the control plane is reached and knows this host.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn try_release(&self, version: &str, target: &str) -> Result<(), ClientError> {
        self.get(&format!("/agent/v1/releases/{version}/{target}"), 0).await.map(drop)
    }

    async fn get(&self, path: &str, from: u64) -> Result<Response, ClientError> {
        match self.get_once(path, from).await {
            Err(ClientError::Problem(refusal)) if refusal.status == 401 => {
                self.renew(&refusal);
                self.get_once(path, from).await
            }
            result => result,
        }
    }

    async fn get_once(&self, path: &str, from: u64) -> Result<Response, ClientError> {
        let request = self.http.request(Method::GET, format!("{}{path}", self.base)).bearer_auth(self.token()?);
        // Ranges of what is sent as it is: compressed on the way, an offset would mean something else.
        let request = request.header("accept-encoding", "identity").header("range", format!("bytes={from}-"));
        let sent = tokio::time::timeout(PATIENCE, request.send()).await.map_err(|_| ClientError::Timeout)?;
        let response = sent.map_err(|e| ClientError::from_reqwest(&e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = header_seconds(&response);
        let body = read(response).await?;
        Err(ClientError::Problem(Box::new(Refusal::read(status.as_u16(), retry_after, &body))))
    }

    /// After a 401: another token, and the server's clock if that is what is wrong.
    fn renew(&self, refusal: &Refusal) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(time) = refusal.server_time {
            self.learn_clock(time);
        }
    }

    async fn post<B, A>(&self, path: &str, body: &B, patience: Duration) -> Result<A, ClientError>
    where
        B: Serialize + Sync,
        A: DeserializeOwned,
    {
        match self.post_once(path, body, patience).await {
            Err(ClientError::Problem(refusal)) if refusal.status == 401 => {
                // Once more with a new token, and with the server's clock if that is what is wrong.
                *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
                match refusal.server_time {
                    Some(time) => self.learn_clock(time),
                    None if refusal.code == "clock_skew" => return Err(ClientError::Problem(refusal)),
                    None => {}
                }
                self.post_once(path, body, patience).await
            }
            result => result,
        }
    }

    async fn post_once<B, A>(&self, path: &str, body: &B, patience: Duration) -> Result<A, ClientError>
    where
        B: Serialize + Sync,
        A: DeserializeOwned,
    {
        let token = self.token()?;
        let request = self.http.request(Method::POST, format!("{}{path}", self.base)).bearer_auth(token).json(body);
        send(request.timeout(patience)).await
    }

    fn token(&self) -> Result<String, ClientError> {
        let now = self.now();
        let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((token, born)) = held.as_ref().filter(|(_, born)| now >= *born && now.since(*born) < TOKEN_USE) {
            let _ = born;
            return Ok(token.clone());
        }
        let id = &self.identity;
        let token = jwt::sign(&id.signing_key, id.host_id, id.control_id, now).map_err(|_| ClientError::Key)?;
        *held = Some((token.clone(), now));
        Ok(token)
    }

    fn learn_clock(&self, server: Timestamp) {
        let offset = server.micros().saturating_sub(Timestamp::now().micros());
        let known = self.offset.load(Ordering::Relaxed);
        if offset.saturating_sub(known).saturating_abs() > CLOCK_TOLERANCE {
            tracing::warn!(
                seconds = offset / 1_000_000,
                "this host's clock differs from the control plane's; corrected by the difference"
            );
            self.offset.store(offset, Ordering::Relaxed);
        }
        self.told.fetch_add(1, Ordering::Release);
    }
}

/// Enrols: the one request that is not signed by a known host.
///
/// # Errors
/// [`ClientError`]; a refusal carries the server's words.
pub async fn enroll(
    http: &reqwest::Client,
    base: &str,
    body: &serde_json::Value,
) -> Result<EnrollResponse, ClientError> {
    let url = format!("{}/agent/v1/enroll", base.trim_end_matches('/'));
    send(http.post(url).json(body).timeout(PATIENCE)).await
}

async fn send<A: DeserializeOwned>(request: RequestBuilder) -> Result<A, ClientError> {
    let response = request.send().await.map_err(|e| ClientError::from_reqwest(&e))?;
    let status = response.status();
    let retry_after = header_seconds(&response);
    let body = read(response).await?;
    if !status.is_success() {
        return Err(ClientError::Problem(Box::new(Refusal::read(status.as_u16(), retry_after, &body))));
    }
    let body = if body.is_empty() { b"null".as_slice() } else { &body };
    serde_json::from_slice(body).map_err(|e| ClientError::BadAnswer(e.to_string()))
}

fn header_seconds(response: &Response) -> Option<Duration> {
    let value = response.headers().get("retry-after")?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// The body, bounded after decompression: nothing that the server sends may fill this host's memory.
async fn read(mut response: Response) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|e| ClientError::from_reqwest(&e))? {
        if body.len() + part.len() > 4 * MAX_BODY {
            return Err(ClientError::BadAnswer("the answer is too large".into()));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}
