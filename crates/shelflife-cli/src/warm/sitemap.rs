//! Sitemaps (sitemaps.org): the URLs of a site, or of further sitemaps.
//!
//! Must not: parse XML (all that is wanted of it stands between `<loc>` and `</loc>`), or open a file because somebody
//! elsewhere says so.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _};

use axum::http::HeaderMap;
use flate2::read::MultiGzDecoder;
use tokio::sync::oneshot;

use crate::failure::Failure;
use crate::web::{self, Web};

/// How many sitemaps an index may name in all, and how many URLs there may be.
const SITEMAPS: usize = 1_000;
const URLS: usize = 1_000_000;
/// How large one may be, or become when it is unpacked; sitemaps.org allows 50 MB.
const UNPACKED: u64 = 64 << 20;

/// Where a sitemap is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Web(String),
    /// What was named on the command line: it may be a pipe.
    Given(String),
    /// What a file of this machine has named.
    File(String),
}

impl Place {
    fn as_str(&self) -> &str {
        match self {
            Self::Web(place) | Self::Given(place) | Self::File(place) => place,
        }
    }

    /// A place that a sitemap names. What comes over a network leads to nowhere else.
    fn named_by(by: &Place, place: String) -> Result<Self, Failure> {
        match (is_web(&place), by) {
            (true, _) => Ok(Self::Web(place)),
            (false, Self::Given(_) | Self::File(_)) => Ok(Self::File(place)),
            (false, Self::Web(by)) => Err(Failure::new(format!(
                "the sitemap {by} names {place}, which is no http or https URL: it opens no file here"
            ))),
        }
    }
}

fn is_web(place: &str) -> bool {
    // RFC 3986 §3.1: schemes do not differ by case.
    let begins = |with: &str| {
        place
            .get(..with.len())
            .is_some_and(|it| it.eq_ignore_ascii_case(with))
    };
    begins("http://") || begins("https://")
}

/// All URLs of a sitemap, those of the sitemaps that it names included.
pub(super) async fn urls(place: &str, web: &Web) -> Result<Vec<String>, Failure> {
    let given = match is_web(place) {
        true => Place::Web(place.to_owned()),
        false => Place::Given(place.to_owned()),
    };
    let (mut urls, mut seen) = (Vec::new(), HashSet::from([place.to_owned()]));
    let mut places = vec![given];
    while let Some(place) = places.pop() {
        let text = text(&place, web).await?;
        let found = locations(&text);
        if found.is_empty() {
            return Err(Failure::new(format!(
                "{} is no sitemap: it has no <loc>",
                place.as_str()
            )));
        }
        if !is_index(&text) {
            urls.extend(found);
        } else {
            for named in found.into_iter().filter(|named| seen.insert(named.clone())) {
                places.push(Place::named_by(&place, named)?);
            }
        }
        if seen.len() > SITEMAPS || urls.len() > URLS {
            return Err(Failure::new(format!(
                "{}: more than {SITEMAPS} sitemaps or {URLS} URLs are too many for one run",
                place.as_str()
            )));
        }
    }
    Ok(urls)
}

async fn text(place: &Place, web: &Web) -> Result<String, Failure> {
    let failed =
        |why: &str| Failure::new(format!("cannot read the sitemap {}: {why}", place.as_str()));
    let bytes = match place {
        Place::Web(url) => {
            let request = web::get(&web::url("--sitemap", url)?, &HeaderMap::new());
            let answer = web.ask(request).await.map_err(|error| failed(&error))?;
            if !answer.status.is_success() {
                return Err(failed(&format!("it was answered with {}", answer.status)));
            }
            answer.content.to_vec()
        }
        Place::Given(path) | Place::File(path) => {
            let found = std::fs::metadata(path).map_err(|error| failed(&error.to_string()))?;
            if matches!(place, Place::File(_)) && !found.is_file() {
                return Err(failed("it is no regular file"));
            }
            let read = read(path.clone()).await;
            read.map_err(|error| failed(&error.to_string()))?
        }
    };
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        gunzip(&bytes).map_err(|error| failed(&format!("it is compressed, and {error}")))?
    } else {
        bytes
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads on a thread of its own: a pipe may be slow, and nobody waits for that thread at the end.
async fn read(path: String) -> io::Result<Vec<u8>> {
    let (to, read) = oneshot::channel();
    std::thread::spawn(move || {
        let read = File::open(path).and_then(|file| bounded(file, "it"));
        // Nobody may want it any more.
        let _ = to.send(read);
    });
    read.await
        .unwrap_or_else(|_| Err(io::Error::other("it was given up")))
}

fn gunzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    bounded(MultiGzDecoder::new(bytes), "unpacked it")
}

/// All of it, if that is no more than may be.
fn bounded(from: impl io::Read, what: &str) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let size = from.take(UNPACKED + 1).read_to_end(&mut all)?;
    if size as u64 > UNPACKED {
        let why = format!("{what} has more than {} MiB", UNPACKED >> 20);
        return Err(io::Error::other(why));
    }
    Ok(all)
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
    fn what_comes_over_a_network_leads_to_no_file() {
        let web = Place::Web("http://h/sitemap.xml".to_owned());
        for place in [
            "/etc/hostname",
            "file:///etc/hostname",
            "one.xml",
            "ftp://h/one.xml",
            "",
        ] {
            let told = Place::named_by(&web, place.to_owned())
                .unwrap_err()
                .to_string();
            assert!(told.contains("no http or https URL"), "{told}");
            let file = Place::named_by(&Place::Given("index.xml".to_owned()), place.to_owned());
            assert_eq!(file.unwrap(), Place::File(place.to_owned()));
        }
        let url = Place::named_by(&web, "HTTPS://h/one.xml".to_owned()).unwrap();
        assert_eq!(url, Place::Web("HTTPS://h/one.xml".to_owned()));
    }

    #[tokio::test]
    async fn files_are_read_up_to_a_bound() {
        let endless = read("/dev/zero".to_owned()).await.unwrap_err().to_string();
        assert_eq!(endless, "it has more than 64 MiB");
        let web = Web::new(std::time::Duration::from_secs(1));
        let device = Place::File("/dev/null".to_owned());
        let told = text(&device, &web).await.unwrap_err().to_string();
        assert!(told.contains("no regular file"), "{told}");
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
