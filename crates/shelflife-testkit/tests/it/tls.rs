//! A server that speaks TLS: who has a certificate of its authority is let in, and nobody else.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use shelflife_testkit::{Certificates, Connection, RedisServer};

/// A handshake by somebody else's TLS, which then asks for a `PONG`.
fn ping(server: &RedisServer, authority: &Certificates, own: Option<&Certificates>) -> Output {
    let mut command = Command::new("openssl");
    command
        .args([
            "s_client",
            "-quiet",
            "-verify_return_error",
            "-verify_ip",
            "127.0.0.1",
        ])
        .args(["-connect", &server.host()])
        .arg("-CAfile")
        .arg(authority.ca());
    if let Some(own) = own {
        command
            .arg("-cert")
            .arg(own.cert())
            .arg("-key")
            .arg(own.key());
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("this test needs openssl (apt-get install openssl): {error}")
        });
    let mut stdin = child.stdin.take().unwrap();
    // Whoever is refused may be gone before it has read anything.
    let _ = std::io::Write::write_all(&mut stdin, b"PING\r\nQUIT\r\n");
    // It ends with the connection, which QUIT ends; `stdin` stays open until then.
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    output
}

fn answers(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stdout).contains("+PONG")
}

#[test]
fn a_certificate_of_the_same_authority_is_let_in_and_believes_the_server() {
    let certificates = Certificates::new();
    let server = RedisServer::start_tls(&certificates, &["--requirepass", "p"]);
    assert_eq!(
        server.url(),
        format!("rediss://:p@{}?{}", server.host(), certificates.query())
    );
    assert_eq!(server.cli(&["PING"]), "PONG");
    let open = RedisServer::start_tls(&certificates, &[]);
    let asked = ping(&open, &certificates, Some(&certificates));
    assert!(answers(&asked), "{asked:?}");
}

#[test]
fn nobody_else_is() {
    let (certificates, stranger) = (Certificates::new(), Certificates::new());
    let server = RedisServer::start_tls(&certificates, &[]);
    for (authority, own) in [
        (&certificates, None),
        (&certificates, Some(&stranger)),
        (&stranger, Some(&certificates)),
    ] {
        let asked = ping(&server, authority, own);
        assert!(!answers(&asked), "{asked:?}");
    }
    let clear = Connection::open(server.address(), Duration::from_secs(5));
    assert!(clear.unwrap().command(&[b"PING"]).is_err());
}

#[test]
fn a_server_of_another_name_is_not_believed() {
    let certificates = Certificates::for_names(&["elsewhere.test"]);
    let server = RedisServer::start_tls(&certificates, &[]);
    let asked = ping(&server, &certificates, Some(&certificates));
    assert!(!answers(&asked), "{asked:?}");
}

#[test]
fn files_are_gone_with_the_last_who_uses_them() {
    let certificates = Certificates::new();
    let ca = certificates.ca();
    let mut server = RedisServer::start_tls(&certificates, &[]);
    drop(certificates);
    server.restart();
    assert!(ca.is_file());
    drop(server);
    assert!(!ca.exists());
}
