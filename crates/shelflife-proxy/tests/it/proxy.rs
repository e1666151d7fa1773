//! A proxy under test, on free ports, for as long as the value lives.

use std::net::SocketAddr;

use shelflife::Cache;
use shelflife_proxy::{Config, Control, Proxy};
use tokio::task::JoinHandle;

use crate::origin::Origin;
use crate::raw;

pub(crate) const TOKEN: &str = "0123456789-token";

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) control: Control,
    pub(crate) task: JoinHandle<()>,
}

/// The configuration that tests begin with; `more` goes behind it.
pub(crate) fn config(upstream: &str, more: &str) -> Config {
    let text = format!(
        "listen = \"127.0.0.1:0\"\n[upstream]\nurl = \"{upstream}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         token = \"{TOKEN}\"\n{more}"
    );
    Config::from_toml("test.toml", &text).unwrap()
}

pub(crate) async fn start(config: Config) -> Running {
    start_with(config, Cache::memory()).await
}

pub(crate) async fn start_with(config: Config, cache: Cache) -> Running {
    let proxy = Proxy::bind(config, cache).await.unwrap();
    Running {
        address: proxy.addresses()[0],
        admin: proxy.admin_address().unwrap(),
        control: proxy.control(),
        task: tokio::spawn(proxy.serve()),
    }
}

/// A proxy before this origin.
pub(crate) async fn before(origin: &Origin) -> Running {
    before_with(origin, "").await
}

pub(crate) async fn before_with(origin: &Origin, more: &str) -> Running {
    start(config(&format!("http://{}", origin.address), more)).await
}

impl Running {
    /// Waits until it has ended by itself, or says what it means that it does not.
    pub(crate) async fn ended(&mut self, otherwise: &str) {
        let ended = tokio::time::timeout(raw::PATIENCE, &mut self.task).await;
        ended.expect(otherwise).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}
