//! Where a primary is: at a fixed place, or where sentinels say.

use std::fmt;
use std::sync::Arc;

use redis::ConnectionInfo;

use super::sentinels::{Sentinels, moved};
use crate::error::ErrorKind;
use crate::store::{StoreError, StoreResult};

/// Where a primary is.
#[derive(Clone)]
pub(super) enum Place {
    Fixed {
        client: Box<redis::Client>,
        /// Whether it has to be a node of a cluster, or must not be.
        of_a_cluster: bool,
    },
    Told(Arc<Told>),
}

/// Where sentinels say.
pub(super) struct Told {
    sentinels: Sentinels,
    /// The primary, but for its place.
    template: ConnectionInfo,
}

/// How to connect to a primary, as of the moment of asking.
pub(super) struct Way {
    pub(super) client: redis::Client,
    /// Where sentinels said it is; nothing where the place is fixed.
    told: Option<(String, u16)>,
    /// Whether that was news: connections from before lead to one that is the primary no more.
    pub(super) is_news: bool,
}

impl Place {
    pub(super) fn fixed(info: ConnectionInfo, of_a_cluster: bool) -> StoreResult<Self> {
        Ok(Self::Fixed {
            client: Box::new(client(info)?),
            of_a_cluster,
        })
    }

    pub(super) fn told(sentinels: Sentinels, template: ConnectionInfo) -> Self {
        Self::Told(Arc::new(Told {
            sentinels,
            template,
        }))
    }

    pub(super) fn is_of_a_cluster(&self) -> bool {
        matches!(
            self,
            Self::Fixed {
                of_a_cluster: true,
                ..
            }
        )
    }

    /// How it is connected to, as far as is known.
    pub(super) fn info(&self) -> ConnectionInfo {
        match self {
            Self::Fixed { client, .. } => client.get_connection_info().clone(),
            Self::Told(told) => match told.sentinels.last() {
                Some(place) => moved(&told.template, place),
                None => told.template.clone(),
            },
        }
    }

    /// Whether somebody tells when the place changes.
    pub(super) fn is_told(&self) -> bool {
        matches!(self, Self::Told(_))
    }

    /// How to connect to it now.
    pub(super) async fn way(&self) -> StoreResult<Way> {
        match self {
            Self::Fixed { client, .. } => Ok(Way {
                client: redis::Client::clone(client),
                told: None,
                is_news: false,
            }),
            Self::Told(told) => {
                let primary = told.sentinels.primary().await?;
                Ok(Way {
                    client: client(moved(&told.template, primary.at.clone()))?,
                    told: Some(primary.at),
                    is_news: primary.is_news,
                })
            }
        }
    }

    /// Whether nobody has told meanwhile that it is elsewhere.
    pub(super) fn is_still(&self, way: &Way) -> bool {
        match self {
            Self::Fixed { .. } => true,
            Self::Told(told) => told.sentinels.last() == way.told,
        }
    }

    /// Waits until the primary is said to be elsewhere than was known; `false` when who was listened to has ended.
    pub(super) async fn moves(&self) -> bool {
        match self {
            Self::Fixed { .. } => std::future::pending().await,
            Self::Told(told) => told.sentinels.hear_of_another().await,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed { client, .. } => write!(f, "{}", client.get_connection_info().addr()),
            Self::Told(told) => match told.sentinels.last() {
                Some((host, port)) => write!(f, "{host}:{port}"),
                None => write!(f, "{}", told.sentinels),
            },
        }
    }
}

fn client(info: ConnectionInfo) -> StoreResult<redis::Client> {
    redis::Client::open(info)
        .map_err(|e| StoreError::new(ErrorKind::Config, format!("bad setting url: {e}")))
}
