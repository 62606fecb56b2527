//! The file of a release as an answer, to agents and to people: as it is, from any offset on, so that a bad line goes on where it broke.

use super::problem::ApiError;
use crate::service::{Services, releases};
use actix_web::body::SizedStream;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use futures_util::stream::unfold;
use std::fs::File;
use std::io::{self, Read as _};

const PIECE: usize = 128 * 1024;

/// From which byte on: `bytes=N-`. Other ranges are answered with the whole file, as the standard lets one do.
fn offset(req: &HttpRequest) -> u64 {
    let text = req.headers().get(header::RANGE).and_then(|v| v.to_str().ok());
    let from = text.and_then(|t| t.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    from.unwrap_or(0)
}

/// One piece of a file, read where blocking does no harm.
async fn piece(mut file: File) -> Option<(Result<web::Bytes, io::Error>, Option<File>)> {
    let read = web::block(move || {
        let mut buffer = vec![0; PIECE];
        let n = file.read(&mut buffer)?;
        buffer.truncate(n);
        Ok::<_, io::Error>((buffer, file))
    });
    match read.await {
        Ok(Ok((buffer, _))) if buffer.is_empty() => None,
        Ok(Ok((buffer, file))) => Some((Ok(buffer.into()), Some(file))),
        Ok(Err(e)) => Some((Err(e), None)),
        Err(e) => Some((Err(io::Error::other(e)), None)),
    }
}

/// Answers with the file, or with what a range asks of it.
///
/// # Errors
/// There is no such release, or its file is not here.
pub async fn answer(
    s: &Services,
    (version, target): (&str, &str),
    req: &HttpRequest,
    adorn: impl FnOnce(&mut HttpResponseBuilder),
) -> Result<HttpResponse, ApiError> {
    let from = offset(req);
    let (file, size) = releases::open_file(s, version, target, from).await?;
    if from > 0 && from >= size {
        let range = (header::CONTENT_RANGE, format!("bytes */{size}"));
        return Ok(HttpResponse::build(StatusCode::RANGE_NOT_SATISFIABLE).insert_header(range).finish());
    }
    let asked = req.headers().contains_key(header::RANGE);
    let status = if asked { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut answer = HttpResponse::build(status);
    if asked {
        answer.insert_header((header::CONTENT_RANGE, format!("bytes {from}-{}/{size}", size.saturating_sub(1))));
    }
    adorn(&mut answer);
    let pieces = unfold(Some(file), |file| async move { piece(file?).await });
    Ok(answer
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Or it would be compressed on its way, and offsets would mean something else.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .content_type("application/octet-stream")
        .body(SizedStream::new(size - from, Box::pin(pieces))))
}
