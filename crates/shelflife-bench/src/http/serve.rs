//! The servers that are measured: this program again, as a process of its own on one core.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;
use bytes::Bytes;
use shelflife::Cache;
use shelflife::tower::CacheLayer;
use shelflife_proxy::{Config, Proxy};
use shelflife_testkit::Child;
use tokio::net::TcpListener;

use super::load::{first_core, pinned};
use crate::Outcome;

const STARTS_WITHIN: Duration = Duration::from_secs(20);
const LISTENING: &str = "listening on ";
/// Bytes of the answer's body.
const BODY: usize = 2_560;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// A handler that returns the bytes.
    Axum,
    /// The same behind the layer.
    Layer,
    /// The proxy.
    Proxy,
}

/// A server of ours in a process of its own. Killed on drop.
pub(crate) struct Served {
    child: Child,
    url: String,
    port: u16,
}

impl Served {
    pub(crate) fn start(kind: Kind, upstream: Option<&str>) -> Outcome<Self> {
        let mut command: Command = pinned(std::env::current_exe()?, first_core());
        command
            .arg("--serve")
            .arg(format!("{kind:?}").to_lowercase());
        if let Some(upstream) = upstream {
            command.args(["--upstream", upstream]);
        }
        let mut child = Child::spawn(&mut command);
        let line = child.expect_line(LISTENING, STARTS_WITHIN);
        let port = line.rsplit(':').next().unwrap_or_default().parse()?;
        let url = format!("http://127.0.0.1:{port}/item");
        Ok(Self { child, url, port })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Without a path: what a proxy stands before.
    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its resident memory in bytes.
    pub(crate) fn memory(&self) -> Outcome<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.pid()))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let kib = line.and_then(|l| l.trim().split(' ').next());
        let kib: f64 = kib.ok_or("no VmRSS")?.parse()?;
        Ok(kib * 1024.0)
    }
}

/// Is such a server until it is killed.
pub(crate) fn run(kind: Kind, upstream: Option<String>) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match kind {
            Kind::Axum => application(router()).await,
            Kind::Layer => application(router().layer(CacheLayer::new(Cache::memory()))).await,
            Kind::Proxy => proxy(&upstream.ok_or("a proxy needs an upstream")?).await,
        }
    })
}

async fn application(router: Router) -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    tell(listener.local_addr()?)?;
    Ok(axum::serve(listener, router).await?)
}

async fn proxy(upstream: &str) -> Outcome<()> {
    let config = Config::default()
        .with_listen(["127.0.0.1:0".parse()?])
        .with_upstream(upstream)?;
    let proxy = Proxy::bind(config, Cache::memory()).await?;
    tell(proxy.addresses().first().copied().ok_or("no address")?)?;
    proxy.serve().await;
    Ok(())
}

fn tell(address: SocketAddr) -> Outcome<()> {
    Ok(writeln!(std::io::stdout(), "{LISTENING}{address}")?)
}

fn router() -> Router {
    let body = Bytes::from(vec![b'x'; BODY]);
    let head = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "max-age=3600"),
    ];
    Router::new().route(
        "/item",
        get(move || std::future::ready((head, body.clone()))),
    )
}
