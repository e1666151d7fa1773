//! The caller's options for a server, and what they mean for its URLs.

use std::path::Path;

use crate::access::{Access, Credentials};
use crate::percent::encoded;
use crate::tls::Certificates;

/// Chosen by the kit: two servers would want the same.
const PORTS: [&str; 3] = ["--port", "--tls-port", "--cluster-port"];

/// What the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A server, told by its command line alone.
    Server,
    /// A server that may write its own file anew, as sentinels and clusters have it do.
    Member,
    /// The same, in a cluster: it has a second port.
    Node,
    /// Watches others.
    Sentinel,
}

/// What a server is started with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) kind: Kind,
    /// As they stand on the command line, where they win over the file.
    args: Vec<String>,
    /// The lines of its file, when it is first started.
    pub(super) conf: Vec<String>,
    credentials: Option<Credentials>,
    tls: Option<Certificates>,
}

impl Options {
    /// # Panics
    ///
    /// When a port is among them.
    pub(super) fn new(args: &[&str]) -> Self {
        for name in PORTS {
            assert!(
                !args.contains(&name),
                "{name} cannot be set: a free port is chosen; see RedisServer::port"
            );
        }
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let password = value(&args, "--requirepass");
        Self {
            kind: Kind::Server,
            credentials: password.map(Credentials::password),
            conf: Vec::new(),
            tls: None,
            args,
        }
    }

    /// For a part of something bigger.
    pub(crate) fn part(kind: Kind, access: &Access, conf: Vec<String>) -> Self {
        let credentials = match kind {
            Kind::Sentinel => &access.sentinel_user,
            _ => &access.user,
        };
        Self {
            kind,
            args: Vec::new(),
            conf,
            credentials: credentials.clone(),
            tls: access.tls.clone(),
        }
    }

    pub(super) fn with_tls(mut self, certificates: &Certificates) -> Self {
        self.tls = Some(certificates.clone());
        self
    }

    pub(super) fn tls(&self) -> Option<&Certificates> {
        self.tls.as_ref()
    }

    pub(super) fn args(&self) -> &[String] {
        &self.args
    }

    pub(super) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The URL of what listens at `host`.
    pub(super) fn url(&self, host: &str) -> String {
        let userinfo = Credentials::userinfo(self.credentials());
        match &self.tls {
            None => format!("redis://{userinfo}{host}"),
            Some(certificates) => format!("rediss://{userinfo}{host}?{}", certificates.query()),
        }
    }

    pub(super) fn socket(&self) -> Option<&str> {
        value(&self.args, "--unixsocket")
    }

    /// The URL of the Unix socket of a server that runs in `directory`.
    pub(super) fn unix_url(&self, directory: &Path) -> Option<String> {
        let socket = directory.join(self.socket()?);
        let query = match self.credentials() {
            Some(with) => format!("?pass={}", encoded(&with.password)),
            None => String::new(),
        };
        Some(format!("unix://{}{query}", socket.display()))
    }
}

fn value<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    let at = args.iter().position(|arg| arg == name)?;
    args.get(at + 1).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_carry_the_password_and_the_socket() {
        let options = Options::new(&["--requirepass", "p@ss", "--unixsocket", "s.sock"]);
        assert_eq!(options.url("h:1"), "redis://:p%40ss@h:1");
        let url = options.unix_url(Path::new("/run/it"));
        assert_eq!(url.as_deref(), Some("unix:///run/it/s.sock?pass=p%40ss"));
    }

    #[test]
    fn plain_options_leave_the_urls_plain() {
        let options = Options::new(&["--maxmemory", "1mb"]);
        assert_eq!(options.url("h:1"), "redis://h:1");
        assert_eq!(options.unix_url(Path::new("/run/it")), None);
    }

    #[test]
    fn a_named_user_and_tls_are_in_the_url() {
        let certificates = Certificates::new();
        let access = Access {
            user: Some(Credentials::user("app", "s:cret")),
            tls: Some(certificates.clone()),
            ..Access::default()
        };
        let options = Options::part(Kind::Member, &access, Vec::new());
        let url = options.url("h:1");
        let expected = format!("rediss://app:s%3Acret@h:1?{}", certificates.query());
        assert_eq!(url, expected);
    }

    #[test]
    #[should_panic(expected = "--port cannot be set")]
    fn the_port_is_not_an_option() {
        Options::new(&["--port", "6379"]);
    }
}
