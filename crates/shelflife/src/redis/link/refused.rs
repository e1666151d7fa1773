//! Why a node did not do what it was asked, as whoever routes wants to know it.

use redis::{ErrorKind as RedisKind, RedisError, ServerErrorKind};

use super::handshake;
use crate::error::ErrorKind;
use crate::store::StoreError;

/// Why a node did not do what it was asked.
pub(in crate::redis) enum Refused {
    /// It does not know the script: send its text.
    NoScript(RedisError),
    /// Another node has the slot; for `once`, this command only, while the slot moves. No host: the same.
    Elsewhere { host: String, port: u16, once: bool },
    /// The slot moves: not all keys of the command are in one place.
    Moving,
    /// It was reached, and says this of the command.
    Said(RedisError),
    /// It was not reached, or can't do anything now.
    Failed(StoreError),
}

impl Refused {
    pub(super) fn of(error: RedisError) -> Self {
        match error.kind() {
            RedisKind::Server(ServerErrorKind::NoScript) => Self::NoScript(error),
            RedisKind::Server(ServerErrorKind::TryAgain) => Self::Moving,
            RedisKind::Server(kind @ (ServerErrorKind::Moved | ServerErrorKind::Ask)) => {
                let place = error.redirect_node().and_then(|(address, _)| {
                    let (host, port) = address.rsplit_once(':')?;
                    Some((host.to_owned(), port.parse().ok()?))
                });
                match place {
                    Some((host, port)) => Self::Elsewhere {
                        host,
                        port,
                        once: kind == ServerErrorKind::Ask,
                    },
                    None => Self::Failed(StoreError::unavailable(error.to_string())),
                }
            }
            _ => match handshake::server_error(&error) {
                failed if failed.kind == ErrorKind::Unavailable => Self::Failed(failed),
                _ => Self::Said(error),
            },
        }
    }
}

impl From<Refused> for StoreError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoScript(_) => StoreError {
                no_script: true,
                ..StoreError::unavailable("the server does not know the script")
            },
            Refused::Elsewhere { .. } => {
                StoreError::unavailable("the slot has moved to another node")
            }
            Refused::Moving => StoreError::unavailable("the slot is moving to another node"),
            Refused::Said(error) => handshake::server_error(&error),
            Refused::Failed(error) => error,
        }
    }
}
