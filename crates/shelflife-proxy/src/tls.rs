//! TLS on both sides, by rustls: certificates and keys from PEM files.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::config::{ConfigError, Tls, UpstreamSection};
use crate::upstream::{Address, Dial};

/// For clients: HTTP/2 if they can, else HTTP/1.1 (RFC 7301).
pub(crate) fn acceptor(section: &Tls) -> Result<Arc<ServerConfig>, ConfigError> {
    let chain = certificates("tls.certificate", &section.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&section.key)
        .map_err(|error| unreadable("tls.key", &section.key, &error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| ConfigError::other(format!("tls.certificate and tls.key: {error}")))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Towards the upstream: HTTP/1.1.
pub(crate) fn dial(address: &Address, section: &UpstreamSection) -> Result<Dial, ConfigError> {
    let mut roots = RootCertStore::empty();
    match &section.ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            for certificate in certificates("upstream.ca", file)? {
                roots.add(certificate).map_err(|error| {
                    ConfigError::value("upstream.ca", &file.display().to_string(), error)
                })?;
            }
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::other(format!("TLS towards the upstream: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = section.name.as_deref().unwrap_or(&address.host);
    let server = ServerName::try_from(name.to_owned());
    Ok(Dial {
        config: Arc::new(config),
        name: server.map_err(|error| ConfigError::value("upstream.name", name, error))?,
    })
}

fn certificates(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let found: Result<Vec<_>, pem::Error> =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let found = found.map_err(|error| unreadable(key, file, &error))?;
    if found.is_empty() {
        let file = file.display().to_string();
        return Err(ConfigError::value(
            key,
            &file,
            "there is no certificate in it",
        ));
    }
    Ok(found)
}

fn unreadable(key: &str, file: &Path, error: &pem::Error) -> ConfigError {
    ConfigError::value(key, &file.display().to_string(), error)
}
