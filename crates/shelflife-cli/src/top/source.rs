//! Where looks come from: a process that tells about itself, or the store.

use std::time::Duration;

use serde_json::Value;
use shelflife::{Cache, Watch, Watched};

use super::api::Api;
use super::figures::{Look, Member};
use super::log::Line;
use super::remote::Remote;
use crate::args::TopArgs;
use crate::connect::{self, Store};
use crate::failure::Failure;

/// Where a demo has its page.
const DEMO: &str = "http://127.0.0.1:8081/_shelflife";
/// How far back the log is shown at first.
const BACK: Duration = Duration::from_secs(300);

pub(super) enum Source {
    Remote(Box<Remote>),
    Direct(Box<Direct>),
}

/// The store itself: what all processes share, and no process's own figures.
pub(super) struct Direct {
    cache: Cache,
    watch: Watch,
    place: String,
}

impl Source {
    pub(super) async fn open(args: &TopArgs) -> Result<Self, Failure> {
        let store = Store::new(&args.store);
        let url = match (&args.url, store.is_shared()) {
            (Some(url), _) => url.clone(),
            (None, true) => return Direct::open(args, &store).await,
            (None, false) => DEMO.to_owned(),
        };
        let remote = Remote::open(&url, args)?;
        Ok(Self::Remote(Box::new(remote)))
    }

    pub(super) fn place(&self) -> String {
        match self {
            Self::Remote(it) => it.place().to_owned(),
            Self::Direct(it) => it.place.clone(),
        }
    }

    /// For what somebody asks meanwhile.
    pub(super) fn api(&self) -> Result<Api, Failure> {
        match self {
            Self::Remote(it) => Ok(it.api()),
            Self::Direct(it) => Api::here(&it.cache),
        }
    }

    pub(super) async fn look(&mut self) -> Result<Look, Failure> {
        match self {
            Self::Remote(it) => it.look().await,
            Self::Direct(it) => it.look().await,
        }
    }
}

impl Direct {
    async fn open(args: &TopArgs, store: &Store) -> Result<Source, Failure> {
        let cache = connect::shared(&args.store).await?;
        let watch = cache.watch(BACK).await;
        let watch =
            watch.map_err(|error| Failure::new(format!("cannot watch the log: {error}")))?;
        Ok(Source::Direct(Box::new(Self {
            cache,
            watch,
            place: store.to_string(),
        })))
    }

    async fn look(&mut self) -> Result<Look, Failure> {
        let failed = |error| Failure::new(format!("cannot ask the store: {error}"));
        let mut look = Look::new(self.cache.namespace().to_owned());
        let members = self.cache.members().await.map_err(failed)?;
        let states = members.all.iter().map(as_json);
        look.members = states.filter_map(|state| Member::of(&state)).collect();
        look.server = server(&self.cache).await;
        while let Some(seen) = self.watch.try_next() {
            look.logged.extend(line(&seen));
        }
        Ok(look)
    }
}

fn line(seen: &Watched) -> Option<Line> {
    match seen {
        Watched::Entry(entry) => Line::of(&as_json(&**entry)),
        Watched::Gap => Some(Line::remark("entries are missing here")),
        Watched::Lost(error) => Some(Line::remark(format!("the server is out of reach: {error}"))),
        Watched::Back => Some(Line::remark("the server is back")),
        _ => None,
    }
}

fn as_json(it: &impl serde::Serialize) -> Value {
    serde_json::to_value(it).unwrap_or_default()
}

/// What the server says of itself; who does not tell is asked again at the next look.
async fn server(cache: &Cache) -> Value {
    match cache.server_info().await {
        Ok(info) => as_json(&info),
        Err(_) => Value::Null,
    }
}
