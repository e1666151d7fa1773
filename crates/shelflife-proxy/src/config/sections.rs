//! The sections of the file, with their defaults and why they are so.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::text;
use crate::forward::Network;
use crate::h1::MOST_FIELDS;
use crate::upstream::Address;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `[tls]`: certificate and key, in PEM. Clients speak HTTP/2 or HTTP/1.1, as ALPN has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// The certificate and those between it and the root.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// `[upstream]`: the API, and how long it may take.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UpstreamSection {
    #[serde(deserialize_with = "url")]
    pub(crate) url: Option<Address>,
    #[serde(deserialize_with = "text::parsed")]
    pub(crate) host: HostSetting,
    #[serde(deserialize_with = "text::duration")]
    pub(crate) connect: Duration,
    #[serde(deserialize_with = "text::duration")]
    pub(crate) first_byte: Duration,
    #[serde(deserialize_with = "text::duration")]
    pub(crate) between_bytes: Duration,
    #[serde(deserialize_with = "text::duration")]
    pub(crate) idle: Duration,
    #[serde(deserialize_with = "text::duration")]
    pub(crate) go_on: Duration,
    #[serde(deserialize_with = "text::count")]
    pub(crate) requests: usize,
    #[serde(deserialize_with = "text::size")]
    pub(crate) head_size: usize,
    #[serde(deserialize_with = "text::count")]
    pub(crate) fields: usize,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) name: Option<String>,
}

impl Default for UpstreamSection {
    fn default() -> Self {
        UpstreamSection {
            url: None,
            host: HostSetting::Preserve,
            connect: seconds(5),
            first_byte: seconds(60),
            between_bytes: seconds(60),
            // Below the 5 s after which the most common servers of APIs close: a request that meets the
            // closing can't be sent again.
            idle: seconds(4),
            // RFC 9110 §10.1.1: not for ever. What others wait, too.
            go_on: seconds(1),
            requests: 1024,
            head_size: 64 << 10,
            fields: 256,
            ca: None,
            name: None,
        }
    }
}

/// What Host says to the origin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum HostSetting {
    /// What the client said: the origin can make links of it.
    Preserve,
    /// What the URL names.
    Upstream,
    Fixed(String),
}

impl FromStr for HostSetting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "preserve" => Ok(HostSetting::Preserve),
            "upstream" => Ok(HostSetting::Upstream),
            name if crate::forward::is_host(name.as_bytes()) => {
                Ok(HostSetting::Fixed(name.to_owned()))
            }
            _ => Err("valid are \"preserve\", \"upstream\", or a host's name"),
        }
    }
}

/// `[clients]`: what a client may take.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Clients {
    #[serde(deserialize_with = "text::count")]
    pub(crate) connections: usize,
    #[serde(deserialize_with = "text::duration")]
    pub(crate) head: Duration,
    #[serde(deserialize_with = "text::duration")]
    pub(crate) idle: Duration,
    #[serde(deserialize_with = "text::duration")]
    pub(crate) body: Duration,
    #[serde(deserialize_with = "text::duration")]
    pub(crate) write: Duration,
    #[serde(deserialize_with = "text::duration")]
    pub(crate) tunnel: Duration,
    #[serde(deserialize_with = "text::size")]
    pub(crate) head_size: usize,
    #[serde(deserialize_with = "fields")]
    pub(crate) fields: usize,
    #[serde(deserialize_with = "text::size")]
    pub(crate) target: usize,
    #[serde(deserialize_with = "text::count")]
    pub(crate) streams: usize,
}

impl Default for Clients {
    fn default() -> Self {
        Clients {
            connections: 16_384,
            head: seconds(10),
            idle: seconds(75),
            body: seconds(30),
            write: seconds(30),
            tunnel: seconds(3600),
            head_size: 32 << 10,
            fields: 128,
            target: 8 << 10,
            streams: 128,
        }
    }
}

/// `[forward]`: what the origin is told about the client.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Forward {
    #[serde(deserialize_with = "pseudonym")]
    pub(crate) via: String,
    #[serde(deserialize_with = "text::one_or_many")]
    pub(crate) trust: Vec<Network>,
    pub(crate) forwarded: bool,
    pub(crate) x_forwarded: bool,
}

impl Default for Forward {
    fn default() -> Self {
        Forward {
            via: "shelflife".to_owned(),
            trust: Vec::new(),
            forwarded: true,
            x_forwarded: true,
        }
    }
}

/// `[admin]`: the listener of operators.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Admin {
    #[serde(deserialize_with = "text::parsed")]
    pub(crate) listen: SocketAddr,
    #[serde(deserialize_with = "token")]
    pub(crate) token: String,
    /// Another listener, for metrics alone.
    #[serde(default, deserialize_with = "address")]
    pub(crate) metrics: Option<SocketAddr>,
}

fn address<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    text::parsed(from).map(Some)
}

/// A token is a secret: it is in no log.
impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin")
            .field("listen", &self.listen)
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}

/// `[shutdown]`: the end.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Shutdown {
    #[serde(deserialize_with = "text::duration")]
    pub(crate) grace: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown { grace: seconds(30) }
    }
}

fn url<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Address>, D::Error> {
    let text = String::deserialize(from)?;
    Address::parse(&text)
        .map(Some)
        .map_err(serde::de::Error::custom)
}

/// RFC 9110 §7.6.3: a pseudonym is a token.
fn pseudonym<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let is_token = |c: char| c.is_ascii_alphanumeric() || "-._~!#$%&'*+^`|".contains(c);
    if text.is_empty() || !text.chars().all(is_token) {
        let valid = "a name for Via has letters, digits, and -._";
        return Err(serde::de::Error::custom(valid));
    }
    Ok(text)
}

/// Long enough that it can't be found by trying.
fn token<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.len() < 16 || !visible {
        let valid = "a token has at least 16 visible characters of ASCII and no space";
        return Err(serde::de::Error::custom(valid));
    }
    Ok(text)
}

/// As many as are looked at.
fn fields<'de, D: serde::Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let fields = text::count(from)?;
    match fields <= MOST_FIELDS {
        true => Ok(fields),
        false => Err(serde::de::Error::custom(format!("at most {MOST_FIELDS}"))),
    }
}
