//! Sitemaps (sitemaps.org): the URLs of a site, or of further sitemaps.
//!
//! Must not: parse XML. All that is wanted of it stands between `<loc>` and `</loc>`.

use std::collections::HashSet;
use std::io::{self, Read as _};

use axum::http::HeaderMap;
use flate2::read::MultiGzDecoder;

use crate::failure::Failure;
use crate::web::{self, Web};

/// How many sitemaps an index may name in all, and how many URLs there may be.
const SITEMAPS: usize = 1_000;
const URLS: usize = 1_000_000;
/// How large a compressed one may become; sitemaps.org allows 50 MB.
const UNPACKED: u64 = 64 << 20;

/// All URLs of a sitemap, those of the sitemaps that it names included.
pub(super) async fn urls(place: &str, web: &Web) -> Result<Vec<String>, Failure> {
    let (mut urls, mut seen) = (Vec::new(), HashSet::from([place.to_owned()]));
    let mut places = vec![place.to_owned()];
    while let Some(place) = places.pop() {
        let text = text(&place, web).await?;
        let found = locations(&text);
        if found.is_empty() {
            return Err(Failure::new(format!(
                "{place} is no sitemap: it has no <loc>"
            )));
        }
        if !is_index(&text) {
            urls.extend(found);
        } else {
            places.extend(found.into_iter().filter(|place| seen.insert(place.clone())));
        }
        if seen.len() > SITEMAPS || urls.len() > URLS {
            return Err(Failure::new(format!(
                "{place}: more than {SITEMAPS} sitemaps or {URLS} URLs are too many for one run"
            )));
        }
    }
    Ok(urls)
}

async fn text(place: &str, web: &Web) -> Result<String, Failure> {
    let failed = |why: &str| Failure::new(format!("cannot read the sitemap {place}: {why}"));
    let bytes = if place.starts_with("http://") || place.starts_with("https://") {
        let request = web::get(&web::url("--sitemap", place)?, &HeaderMap::new());
        let answer = web.ask(request).await.map_err(|error| failed(&error))?;
        if !answer.status.is_success() {
            return Err(failed(&format!("it was answered with {}", answer.status)));
        }
        answer.content.to_vec()
    } else {
        std::fs::read(place).map_err(|error| failed(&error.to_string()))?
    };
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        gunzip(&bytes).map_err(|error| failed(&format!("it is compressed, and {error}")))?
    } else {
        bytes
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn gunzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    let size = MultiGzDecoder::new(bytes)
        .take(UNPACKED + 1)
        .read_to_end(&mut unpacked)?;
    if size as u64 > UNPACKED {
        let why = format!("unpacked it has more than {} MiB", UNPACKED >> 20);
        return Err(io::Error::other(why));
    }
    Ok(unpacked)
}

fn is_index(text: &str) -> bool {
    text.contains("<sitemapindex")
}

/// What stands between `<loc>` and `</loc>`.
fn locations(text: &str) -> Vec<String> {
    let parts = text.split("<loc>").skip(1);
    let located = parts.filter_map(|part| part.split_once("</loc>"));
    located.map(|(url, _)| unescaped(url.trim())).collect()
}

fn unescaped(text: &str) -> String {
    let bare = text
        .strip_prefix("<![CDATA[")
        .and_then(|t| t.strip_suffix("]]>"));
    if let Some(bare) = bare {
        return bare.trim().to_owned();
    }
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    // The ampersand last: what it makes must not be read once more.
    entities.iter().fold(text.to_owned(), |text, (entity, is)| {
        text.replace(entity, is)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn compressed_ones_are_unpacked_up_to_a_bound() {
        let mut packed = gzip(b"<loc>a</loc>");
        packed.extend(gzip(b"<loc>b</loc>"));
        assert_eq!(gunzip(&packed).unwrap(), b"<loc>a</loc><loc>b</loc>");
        packed.truncate(packed.len() - 3);
        assert!(gunzip(&packed).is_err(), "cut off");
        let bomb = gzip(&vec![b' '; UNPACKED as usize + 1]);
        let error = gunzip(&bomb).unwrap_err().to_string();
        assert_eq!(error, "unpacked it has more than 64 MiB");
    }

    #[test]
    fn locations_are_found_and_unescaped() {
        let text = "<?xml version='1.0'?><urlset><url>\n<loc> http://h/a?b=1&amp;c=&lt;2 </loc></url>\
                    <url><loc><![CDATA[http://h/x&y]]></loc></url><url><loc>open</url></urlset>";
        assert_eq!(locations(text), ["http://h/a?b=1&c=<2", "http://h/x&y"]);
        assert_eq!(unescaped("&amp;lt;"), "&lt;");
        assert!(locations("no sitemap").is_empty());
    }
}
