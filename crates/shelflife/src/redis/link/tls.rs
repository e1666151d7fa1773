//! Certificates: whom to believe, and who we are.
//!
//! Read once, when the cache is built: a process that is to use others is started anew.

use std::fs;
use std::path::Path;

use rustls::crypto::CryptoProvider;

use redis::{ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};

use crate::error::ErrorKind;
use crate::settings::Settings;
use crate::store::{StoreError, StoreResult};

/// The same server, with the certificates of the settings.
///
/// # Errors
///
/// Of kind `Config`: a file that can't be read or is no PEM, a certificate without its key, or certificates
/// for a URL that does not speak TLS.
pub(super) fn with_certificates(
    info: ConnectionInfo,
    settings: &Settings,
) -> StoreResult<ConnectionInfo> {
    let encrypted = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    if encrypted && CryptoProvider::get_default().is_none() {
        // The driver takes what the process has chosen. Where it has chosen nothing: who came first has chosen.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let (ca, cert, key) = (&settings.tls_ca, &settings.tls_cert, &settings.tls_key);
    if ca.is_none() && cert.is_none() && key.is_none() {
        return Ok(info);
    }
    if !encrypted {
        return Err(bad(
            "tls_ca, tls_cert and tls_key are for rediss:// or valkeys://, which speak TLS",
        ));
    }
    let client_tls = match (cert, key) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some(ClientTlsConfig {
            client_cert: pem("tls_cert", cert, "CERTIFICATE")?,
            client_key: pem("tls_key", key, "PRIVATE KEY")?,
        }),
        _ => {
            return Err(bad(
                "tls_cert and tls_key belong together: set both, or neither",
            ));
        }
    };
    let root_cert = ca
        .as_deref()
        .map(|ca| pem("tls_ca", ca, "CERTIFICATE"))
        .transpose()?;
    let certificates = TlsCertificates {
        client_tls,
        root_cert,
    };
    let client = redis::Client::build_with_tls(info, certificates)
        .map_err(|e| bad(&format!("the certificates can't be used: {e}")))?;
    Ok(client.get_connection_info().clone())
}

fn pem(setting: &str, path: &Path, wanted: &str) -> StoreResult<Vec<u8>> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|e| bad(&format!("{setting}={shown}: {e}")))?;
    let text = String::from_utf8_lossy(&bytes);
    if !text.contains("-----BEGIN ") || !text.contains(&format!("{wanted}-----")) {
        return Err(bad(&format!(
            "{setting}={shown} holds no {}; expected a PEM file",
            wanted.to_lowercase()
        )));
    }
    Ok(bytes)
}

fn bad(what: &str) -> StoreError {
    StoreError::new(ErrorKind::Config, format!("bad setting: {what}"))
}
