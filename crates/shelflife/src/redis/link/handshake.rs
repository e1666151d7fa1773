//! The handshake: is this a server that can be used, and is it the primary?

use std::time::Duration;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{ErrorKind as RedisKind, FromRedisValue as _, RedisError, ServerErrorKind};

use super::node::Patience;
use crate::error::ErrorKind;
use crate::store::{StoreError, StoreResult};

/// How many requests may wait for a place in a connection's pipeline (the driver's default is 50).
const PIPELINE: usize = 1024;

/// What a server is among its replicas.
pub(super) enum Role {
    /// The primary, what its life as such is called, and what its process is: another one has others.
    Primary { replid: String, run: String },
    /// A replica: what it calls itself.
    Other(String),
}

/// Connects, and finds out what is at the other end: each of the two within the time to connect.
pub(super) async fn connect(
    client: &redis::Client,
    of_a_cluster: bool,
    patience: Patience,
    response_timeout: Option<Duration>,
) -> StoreResult<(MultiplexedConnection, Role)> {
    let within = patience.connect;
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(within))
        .set_response_timeout(response_timeout)
        .set_pipeline_buffer_size(PIPELINE);
    // The driver's own limit does not cover every step of TLS and authentication.
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    let mut connection = tokio::time::timeout(within, connecting)
        .await
        .map_err(|_| StoreError::unavailable("connecting took too long"))?
        .map_err(|e| refusal(&e))?;
    let verifying = verify(&mut connection, of_a_cluster);
    let role = tokio::time::timeout(within, verifying)
        .await
        .map_err(|_| StoreError::unavailable("the handshake took too long"))??;
    Ok((connection, role))
}

/// Checks the version, and whether it is a node of a cluster as it should be, or not; gives the role.
async fn verify(connection: &mut MultiplexedConnection, of_a_cluster: bool) -> StoreResult<Role> {
    let text = match info(connection, &["server", "replication"]).await {
        // Two sections at once came with Redis 7.0: one that is older is to be told of as such.
        Err(error) if error.code() == Some("ERR") => {
            let server = info(connection, &["server"])
                .await
                .map_err(|e| refusal(&e))?;
            check_version(&server)?;
            let replication = info(connection, &["replication"]).await;
            replication.map(|replication| server + &replication)
        }
        got => got,
    };
    let text = text.map_err(|e| refusal(&e))?;
    check_version(&text)?;
    check_mode(&text, of_a_cluster)?;
    Ok(match field(&text, "role") {
        Some("master") | None => {
            let replid = field(&text, "master_replid").unwrap_or("");
            Role::Primary {
                replid: replid.to_owned(),
                run: field(&text, "run_id").unwrap_or(replid).to_owned(),
            }
        }
        Some(role) => Role::Other(role.to_owned()),
    })
}

async fn info(
    connection: &mut MultiplexedConnection,
    sections: &[&str],
) -> Result<String, RedisError> {
    let asked = redis::cmd("INFO").arg(sections).take();
    let value = connection.req_packed_command(&asked).await;
    Ok(String::from_redis_value(value?.extract_error()?)?)
}

/// Whether it is a primary that takes writes as far as its role and its replicas go: the error that a write would get, if nothing else was
/// wrong. That `min-replicas-to-write` is more than one is not seen while one replica follows: how many it asks for, nobody may read.
pub(super) async fn stands(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    let text = info(connection, &["replication"]).await?;
    let code = if field(&text, "role").is_some_and(|role| role != "master") {
        "READONLY"
    } else if field(&text, "min_slaves_good_slaves") == Some("0") {
        "NOREPLICAS"
    } else {
        return Ok(());
    };
    let says = "it takes no writes, and another may have taken over";
    Err(redis::make_extension_error(
        code.to_owned(),
        Some(says.to_owned()),
    ))
}

pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

fn check_version(info: &str) -> StoreResult<()> {
    let (what, version, least) = match field(info, "valkey_version") {
        Some(version) => ("Valkey", version, (7, 2)),
        None => (
            "Redis",
            field(info, "redis_version").unwrap_or("unknown"),
            (7, 0),
        ),
    };
    let mut parts = version.split('.').map(|part| part.parse::<u32>());
    let Some(Ok(major)) = parts.next() else {
        // A compatible server that hides its version may still do.
        return Ok(());
    };
    let minor = parts.next().and_then(Result::ok).unwrap_or(0);
    if (major, minor) >= least {
        return Ok(());
    }
    Err(StoreError::new(
        ErrorKind::Unsupported,
        format!(
            "the server is {what} {version}; shelflife needs Redis 7.0 or newer, or Valkey 7.2 or newer"
        ),
    ))
}

fn check_mode(info: &str, of_a_cluster: bool) -> StoreResult<()> {
    let what = match (field(info, "redis_mode"), of_a_cluster) {
        (Some("cluster"), false) => {
            "the server is a node of a cluster: its URL begins with redis+cluster://"
        }
        (Some("standalone"), true) => {
            "the server is no node of a cluster: its URL begins with redis://"
        }
        (Some("sentinel"), _) => {
            "the server is a sentinel: the URL begins with redis+sentinel://, and ends with the name of the primary"
        }
        _ => return Ok(()),
    };
    Err(StoreError::new(
        ErrorKind::Config,
        format!("bad setting url: {what}"),
    ))
}

/// What a failed attempt to connect means.
pub(super) fn refusal(error: &RedisError) -> StoreError {
    match error.kind() {
        RedisKind::AuthenticationFailed => StoreError::new(
            ErrorKind::Denied,
            format!("the server refused the user or password: {error}"),
        ),
        RedisKind::InvalidClientConfig => StoreError::new(ErrorKind::Config, error.to_string()),
        _ if matches!(error.code(), Some("WRONGPASS" | "NOAUTH")) => StoreError::new(
            ErrorKind::Denied,
            format!("the server refused the user or password: {error}"),
        ),
        RedisKind::Server(ServerErrorKind::NoPerm) => server_error(error),
        _ => StoreError::unavailable(error.to_string()),
    }
}

/// What an error means that the server itself gave.
pub(super) fn server_error(error: &RedisError) -> StoreError {
    match error.kind() {
        RedisKind::Server(ServerErrorKind::NoPerm) => StoreError::new(
            ErrorKind::Denied,
            format!("the server's ACL forbids it: {error}"),
        ),
        // A primary that became a replica, that is loading, or whose cluster is down: it passes.
        RedisKind::Server(
            ServerErrorKind::ReadOnly
            | ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::TryAgain
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask,
        ) => StoreError::unavailable(error.to_string()),
        // One that has lost its replicas, and must not write until they are back.
        _ if error.code() == Some("NOREPLICAS") => StoreError::unavailable(error.to_string()),
        _ => StoreError {
            // A disk that is full, a script of somebody else that does not end, no memory.
            of_server: matches!(error.code(), Some("MISCONF" | "BUSY" | "OOM")),
            ..StoreError::new(ErrorKind::Store, error.to_string())
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_was_asked_wrongly() {
        let said = |line: &str| {
            let value = redis::parse_redis_value(line.as_bytes()).unwrap();
            server_error(&value.extract_error().unwrap_err())
        };
        for line in [
            "-MISCONF Redis is configured to save RDB snapshots\r\n",
            "-BUSY Redis is busy running a script.\r\n",
            "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        ] {
            let error = said(line);
            assert_eq!(
                (error.kind, error.passes()),
                (ErrorKind::Store, true),
                "{line}"
            );
        }
        for line in [
            "-LOADING Redis is loading\r\n",
            "-NOREPLICAS Not enough\r\n",
        ] {
            assert_eq!(said(line).kind, ErrorKind::Unavailable, "{line}");
        }
        for line in [
            "-WRONGTYPE Operation against a key\r\n",
            "-NOPERM this user has no permissions\r\n",
            "-ERR unknown command\r\n",
        ] {
            assert!(!said(line).passes(), "{line}");
        }
    }

    #[test]
    fn versions_are_checked_for_both_servers() {
        let check = |info: &str| check_version(info).map_err(|e| e.kind);
        assert!(check("redis_version:7.0.0\r\n").is_ok());
        assert!(check("redis_version:8.2.1\r\n").is_ok());
        assert!(check("redis_version:7.2.4\r\nvalkey_version:8.0.1\r\n").is_ok());
        assert!(check("redis_version:6.2.14\r\n") == Err(ErrorKind::Unsupported));
        assert!(
            check("redis_version:7.2.4\r\nvalkey_version:7.1.9\r\n") == Err(ErrorKind::Unsupported)
        );
        let message = check_version("redis_version:6.2.14\r\n")
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("6.2.14") && message.contains("7.0"),
            "{message}"
        );
    }
}
