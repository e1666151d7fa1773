//! Where a primary is: at a fixed place, or where sentinels say.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Where they said last, when a connection was to be made. Held to look or to change.
    last: Mutex<Option<(String, u16)>>,
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
            last: Mutex::new(None),
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
            Self::Told(told) => match told.last() {
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
    pub(super) async fn client(&self) -> StoreResult<redis::Client> {
        match self {
            Self::Fixed { client, .. } => Ok(redis::Client::clone(client)),
            Self::Told(told) => {
                let place = told.sentinels.primary().await?;
                told.replace(place.clone());
                client(moved(&told.template, place))
            }
        }
    }

    /// Waits until the primary is said to be elsewhere than when a connection was made last; `false` when who
    /// was listened to has ended.
    pub(super) async fn moves(&self) -> bool {
        let Self::Told(told) = self else {
            return std::future::pending().await;
        };
        let moved =
            |primary: &(String, u16)| told.last().as_ref().is_some_and(|last| last != primary);
        let heard = told.sentinels.listen(moved).await;
        if heard {
            // Until a connection is made there.
            *told.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        heard
    }
}

impl Told {
    fn replace(&self, place: (String, u16)) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    fn last(&self) -> Option<(String, u16)> {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed { client, .. } => write!(f, "{}", client.get_connection_info().addr()),
            Self::Told(told) => match told.last() {
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
