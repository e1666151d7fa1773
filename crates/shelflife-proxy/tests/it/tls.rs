//! TLS on both sides, with certificates of our own.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::origin::Origin;
use crate::proxy::{self, TOKEN};
use crate::raw;

/// A certificate for `localhost` in files of a directory, gone with the value.
struct Certificate {
    directory: PathBuf,
    made: CertifiedKey<rcgen::KeyPair>,
}

impl Certificate {
    fn new(name: &str) -> Certificate {
        let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let directory =
            std::env::temp_dir().join(format!("shelflife-tls-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Certificate { directory, made }
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    fn client(&self, alpn: &[&[u8]]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    fn server(&self) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = rustls::pki_types::PrivateKeyDer::try_from(self.made.signing_key.serialize_der())
            .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.made.cert.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

async fn connect(
    connector: TlsConnector,
    address: std::net::SocketAddr,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    connector
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
}

#[tokio::test]
async fn clients_get_the_version_that_they_ask_for() {
    let certificate = Certificate::new("alpn");
    let origin = Origin::ok().await;
    let tls = format!(
        "[tls]\ncertificate = {:?}\nkey = {:?}",
        certificate.file("cert.pem"),
        certificate.file("key.pem")
    );
    let proxy = proxy::before_with(&origin, &tls).await;

    let mut one = connect(certificate.client(&[b"http/1.1"]), proxy.address)
        .await
        .unwrap();
    one.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut said = String::new();
    one.read_to_string(&mut said).await.unwrap();
    assert!(
        said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("ok"),
        "{said}"
    );

    let two = connect(certificate.client(&[b"h2", b"http/1.1"]), proxy.address)
        .await
        .unwrap();
    assert_eq!(two.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) = h2::client::handshake(two).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://localhost/").body(()).unwrap();
    let response = sender.send_request(request, true).unwrap().0.await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(
        origin.seen()[1].field("x-forwarded-proto").as_deref(),
        Some("https")
    );
}

#[tokio::test]
async fn a_certificate_is_read_anew_on_reload() {
    let (old, new) = (Certificate::new("old"), Certificate::new("new"));
    let origin = Origin::ok().await;
    let tls = |certificate: &Certificate| {
        format!(
            "[tls]\ncertificate = {:?}\nkey = {:?}",
            certificate.file("cert.pem"),
            certificate.file("key.pem")
        )
    };
    let proxy = proxy::before_with(&origin, &tls(&old)).await;
    assert!(connect(old.client(&[]), proxy.address).await.is_ok());
    assert!(connect(new.client(&[]), proxy.address).await.is_err());
    let config = proxy::config(&format!("http://{}", origin.address), &tls(&new));
    proxy.control.reload(&config).unwrap();
    assert!(connect(new.client(&[]), proxy.address).await.is_ok());
}

#[tokio::test]
async fn the_upstream_has_to_be_who_it_says_it_is() {
    let certificate = Certificate::new("upstream");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = certificate.server();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut buffer = Vec::new();
            if raw::read_request(&mut stream, &mut buffer).await.is_some() {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
                    .await
                    .unwrap();
                stream.flush().await.unwrap();
                raw::read_head(&mut stream, &mut buffer).await;
            }
        }
    });
    for (host, ca, status) in [
        (
            "localhost",
            format!("ca = {:?}", certificate.file("cert.pem")),
            200,
        ),
        (
            "127.0.0.1",
            format!(
                "ca = {:?}\nname = \"localhost\"",
                certificate.file("cert.pem")
            ),
            200,
        ),
        (
            "127.0.0.1",
            format!("ca = {:?}", certificate.file("cert.pem")),
            502,
        ),
        ("localhost", String::new(), 502),
    ] {
        let text = format!(
            "listen = \"127.0.0.1:0\"\n[upstream]\nurl = \"https://{host}:{port}\"\n{ca}\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\""
        );
        let proxy = proxy::start(shelflife_proxy::Config::from_toml("t", &text).unwrap()).await;
        let response = raw::get(proxy.address, "/").await;
        assert_eq!(
            response.status(),
            status,
            "{host} {ca}: {}",
            response.text()
        );
        assert_eq!(response.text() == "secret", status == 200);
    }
    serving.abort();
}
