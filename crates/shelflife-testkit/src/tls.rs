//! Certificates for one test: an authority of its own, and what it has signed.
//!
//! Must not use keys or certificates that outlive the test: they are made anew each time.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::percent::encoded;
use crate::scratch::Scratch;

/// What a certificate of the server is for, unless the test says something else.
const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

/// An authority that nobody else knows, a certificate for servers and one for clients, as files.
/// They are gone when the last clone is.
///
/// ```no_run
/// use shelflife_testkit::{Certificates, RedisServer};
///
/// let certificates = Certificates::new();
/// let server = RedisServer::start_tls(&certificates, &[]);
/// assert!(server.url().starts_with("rediss://"));
/// // Of another authority: the server does not let it in, and its client does not believe the server.
/// let stranger = Certificates::new();
/// let refused = format!("rediss://{}?{}", server.address(), stranger.query());
/// ```
#[derive(Clone, Debug)]
pub struct Certificates(Arc<Scratch>);

impl Certificates {
    /// For servers at `localhost` and `127.0.0.1`.
    ///
    /// # Panics
    ///
    /// When they can't be made or written.
    #[expect(
        clippy::new_without_default,
        reason = "it makes files: nothing to be had by the way"
    )]
    pub fn new() -> Self {
        Self::for_names(&HERE)
    }

    /// For servers of other names: a client that looks closely refuses them here.
    ///
    /// # Panics
    ///
    /// As [`Certificates::new`], and when something is no name.
    pub fn for_names(names: &[&str]) -> Self {
        let scratch = Scratch::new();
        make(scratch.path(), names)
            .unwrap_or_else(|error| panic!("cannot make certificates: {error}"));
        Self(Arc::new(scratch))
    }

    /// The certificate of the authority.
    pub fn ca(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// A certificate for a client; the server lets nobody in without one.
    pub fn cert(&self) -> PathBuf {
        self.file("client.pem")
    }

    /// The key of [`Certificates::cert`].
    pub fn key(&self) -> PathBuf {
        self.file("client.key")
    }

    /// `tls_ca=…&tls_cert=…&tls_key=…`, for the query of a URL.
    pub fn query(&self) -> String {
        let mut query = String::new();
        for (name, path) in [
            ("tls_ca", self.ca()),
            ("tls_cert", self.cert()),
            ("tls_key", self.key()),
        ] {
            let separator = if query.is_empty() { "" } else { "&" };
            // Writing to a String cannot fail.
            let _ = write!(
                query,
                "{separator}{name}={}",
                encoded(&path.to_string_lossy())
            );
        }
        query
    }

    /// What a server has to be told, as on its command line. It demands a certificate of who connects, and
    /// speaks TLS to other servers, too.
    pub(crate) fn server_args(&self) -> Vec<String> {
        let files = [
            ("--tls-ca-cert-file", self.ca()),
            ("--tls-cert-file", self.file("server.pem")),
            ("--tls-key-file", self.file("server.key")),
        ];
        let files = files
            .into_iter()
            .flat_map(|(name, path)| [name.to_owned(), path.display().to_string()]);
        let yes = ["--tls-auth-clients", "--tls-replication", "--tls-cluster"];
        let yes = yes
            .into_iter()
            .flat_map(|name| [name.to_owned(), "yes".to_owned()]);
        files.chain(yes).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn make(home: &Path, names: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
        .distinguished_name
        .push(DnType::CommonName, "an authority of one test");
    let key = KeyPair::generate()?;
    fs::write(home.join("ca.pem"), params.self_signed(&key)?.pem())?;
    let authority = Issuer::new(params, key);
    sign(home, "server", names, &authority)?;
    sign(home, "client", &[], &authority)
}

fn sign(
    home: &Path,
    whose: &str,
    names: &[&str],
    authority: &Issuer<'_, KeyPair>,
) -> Result<(), Box<dyn std::error::Error>> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, whose);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // A server is a client of other servers, too.
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    fs::write(home.join(format!("{whose}.pem")), certificate.pem())?;
    fs::write(home.join(format!("{whose}.key")), key.serialize_pem())?;
    Ok(())
}
