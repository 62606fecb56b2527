//! Static files of the pages: style, script, icons. They live inside the program, at addresses that change with their content, so that
//! browsers may keep them for ever; each is compressed once, when it is first asked for. Not user data: nothing here needs a sign-in.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, get, web};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::LazyLock;

#[derive(RustEmbed)]
#[folder = "../templates/static/"]
struct Static;

/// All files, and the one hash that stands in their addresses: with one hash for all, a style sheet can name a picture beside it.
struct Bundle {
    hash: String,
    files: BTreeMap<String, Asset>,
}

struct Asset {
    mime: &'static str,
    plain: web::Bytes,
    brotli: Option<web::Bytes>,
    gzip: Option<web::Bytes>,
}

static BUNDLE: LazyLock<Bundle> = LazyLock::new(bundle);

fn bundle() -> Bundle {
    let mut all = Sha256::new();
    let mut files = BTreeMap::new();
    let mut names: Vec<_> = Static::iter().map(|name| name.to_string()).collect();
    names.sort();
    for name in names {
        let Some(file) = Static::get(&name) else { continue };
        all.update(name.as_bytes());
        all.update(file.metadata.sha256_hash());
        files.insert(name.clone(), asset(mime(&name), file.data.into_owned()));
    }
    let hash = all.finalize().iter().take(6).map(|b| format!("{b:02x}")).collect();
    Bundle { hash, files }
}

fn mime(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn asset(mime: &'static str, data: Vec<u8>) -> Asset {
    let smaller = |packed: Vec<u8>| (packed.len() < data.len()).then(|| web::Bytes::from(packed));
    Asset { mime, brotli: brotli(&data).and_then(smaller), gzip: gzip(&data).and_then(smaller), plain: data.into() }
}

fn brotli(data: &[u8]) -> Option<Vec<u8>> {
    let mut packed = vec![];
    let params = brotli::enc::BrotliEncoderParams { quality: 9, ..Default::default() };
    brotli::BrotliCompress(&mut &*data, &mut packed, &params).ok()?;
    Some(packed)
}

fn gzip(data: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    encoder.write_all(data).ok()?;
    encoder.finish().ok()
}

/// The address of a static file; none if there is no such file.
#[must_use]
pub fn url(name: &str) -> Option<String> {
    BUNDLE.files.contains_key(name).then(|| format!("/static/{}/{name}", BUNDLE.hash))
}

/// One static file. An address with an old hash is gone: the page that named it is gone, too.
#[get("/static/{hash}/{name}")]
pub async fn serve(req: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    let (hash, name) = path.into_inner();
    let Some(asset) = BUNDLE.files.get(&name).filter(|_| hash == BUNDLE.hash) else {
        return HttpResponse::NotFound().content_type("text/plain").body("there is no such file\n");
    };
    let accepted = req.headers().get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let takes = |coding: &str| accepted.split(',').any(|a| a.split(';').next().map(str::trim) == Some(coding));
    let (coding, body) = match (&asset.brotli, &asset.gzip) {
        (Some(body), _) if takes("br") => (Some("br"), body),
        (_, Some(body)) if takes("gzip") => (Some("gzip"), body),
        _ => (None, &asset.plain),
    };
    let mut answer = HttpResponse::Ok();
    answer
        .content_type(asset.mime)
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((header::VARY, "accept-encoding"));
    if let Some(coding) = coding {
        answer.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static(coding)));
    }
    answer.body(body.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_addresses_and_shrink() {
        for name in ["app.css", "app.js", "icons.svg", "favicon.svg", "check.svg"] {
            assert!(url(name).is_some_and(|u| u.ends_with(name)), "{name}");
        }
        assert_eq!(url("../Cargo.toml"), None);
        let css = &BUNDLE.files["app.css"];
        assert!(css.brotli.as_ref().is_some_and(|b| b.len() * 3 < css.plain.len()));
        assert!(css.gzip.is_some());
    }
}
