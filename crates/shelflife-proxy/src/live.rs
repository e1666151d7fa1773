//! The configuration in force, which can be replaced while requests are answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shelflife::Cache;
use tower_layer::Layer;

use crate::config::{Config, ConfigError, HostSetting};
use crate::figures::Figures;
use crate::forward::{Name, Trail};
use crate::front::Front;
use crate::pipeline::Cached;
use crate::upstream::{self, Connector, Host, Upstream};
use crate::{h1, h2, tls};

/// What requests are answered by, as one configuration has it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) name: Name,
    pub(crate) front: Front,
    pub(crate) upstream: Upstream,
    pub(crate) cached: Cached,
}

/// The site in force.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) figures: Arc<Figures>,
    /// Counts replacements. Release when written, after the site; Acquire when read: who sees the number finds the site.
    version: AtomicU64,
    /// Held for a clone or an assignment.
    site: Mutex<Arc<Site>>,
}

impl Live {
    pub(crate) fn new(site: Site, figures: Arc<Figures>) -> Arc<Self> {
        Arc::new(Live {
            figures,
            version: AtomicU64::new(0),
            site: Mutex::new(Arc::new(site)),
        })
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The version first: a site that is newer than its number is taken once more, one that is older never stays.
    pub(crate) fn current(&self) -> (u64, Arc<Site>) {
        (self.version(), self.lock().clone())
    }

    pub(crate) fn replace(&self, site: Site) {
        *self.lock() = Arc::new(site);
        self.version.fetch_add(1, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Site>> {
        self.site.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Site {
    /// Opens what the configuration names: certificates and keys. Connects to nothing.
    pub(crate) fn open(
        config: &Config,
        cache: &Cache,
        instance: &Arc<str>,
        figures: &Arc<Figures>,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let name = Name {
            via: config.forward.via.as_str().into(),
            instance: instance.clone(),
        };
        // The upstream last: what is refused changes no figure.
        let layer = config.cache.layer(cache, &config.rule)?;
        let front = open_front(config)?;
        let upstream = open_upstream(config, name.clone(), figures)?;
        Ok(Site {
            name,
            front,
            cached: layer.layer(upstream.clone()),
            upstream,
        })
    }
}

fn open_front(config: &Config) -> Result<Front, ConfigError> {
    let clients = &config.clients;
    let h1 = h1::Limits {
        head: clients.head,
        idle: clients.idle,
        body: clients.body,
        write: clients.write,
        tunnel: clients.tunnel,
        head_size: clients.head_size,
        fields: clients.fields,
        target: clients.target,
    };
    let most = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(Front {
        tls: config.tls.as_ref().map(tls::acceptor).transpose()?,
        h1: Arc::new(h1),
        h2: h2::Limits {
            idle: clients.idle,
            body: clients.body,
            write: clients.write,
            streams: most(clients.streams),
            head_size: most(clients.head_size),
        },
    })
}

fn open_upstream(
    config: &Config,
    name: Name,
    figures: &Arc<Figures>,
) -> Result<Upstream, ConfigError> {
    let section = &config.upstream;
    let address = section.url.clone();
    let address = address.ok_or_else(|| ConfigError::missing("upstream.url", "the API's URL"))?;
    let host = match &section.host {
        HostSetting::Preserve => Host::Preserve,
        HostSetting::Upstream => fixed(&address.authority)?,
        HostSetting::Fixed(name) => fixed(name)?,
    };
    let dial = address
        .secure
        .then(|| tls::dial(&address, section))
        .transpose()?;
    let trail = Trail {
        name,
        trust: config.forward.trust.clone(),
        forwarded: config.forward.forwarded,
        x_forwarded: config.forward.x_forwarded,
    };
    let limits = upstream::Limits {
        connect: section.connect,
        first_byte: section.first_byte,
        between_bytes: section.between_bytes,
        idle: section.idle,
        go_on: section.go_on,
        requests: section.requests,
    };
    let connector = Connector::new(dial, section.head_size, section.fields);
    let figures = figures.clone();
    Ok(Upstream::new(
        address, connector, host, trail, limits, figures,
    ))
}

fn fixed(name: &str) -> Result<Host, ConfigError> {
    let host = http::HeaderValue::from_str(name);
    host.map(Host::Fixed)
        .map_err(|_| ConfigError::value("upstream.host", name, "no host's name"))
}
