//! The caller's options for a server, and what they mean for its URLs.

use std::fmt::Write;
use std::path::Path;

/// Options as they stand on the server's command line.
#[derive(Debug)]
pub(super) struct Options {
    args: Vec<String>,
}

impl Options {
    /// # Panics
    ///
    /// When `--port` is among them.
    pub(super) fn new(args: &[&str]) -> Self {
        let options = Self {
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
        };
        assert!(
            options.value("--port").is_none(),
            "--port cannot be set: a free port is chosen; see RedisServer::port"
        );
        options
    }

    pub(super) fn args(&self) -> &[String] {
        &self.args
    }

    pub(super) fn password(&self) -> Option<&str> {
        self.value("--requirepass")
    }

    /// `:password@`, or nothing.
    pub(super) fn userinfo(&self) -> String {
        match self.password() {
            Some(password) => format!(":{}@", percent_encoded(password)),
            None => String::new(),
        }
    }

    /// The URL of the Unix socket of a server that runs in `directory`.
    pub(super) fn unix_url(&self, directory: &Path) -> Option<String> {
        let socket = directory.join(self.value("--unixsocket")?);
        let query = match self.password() {
            Some(password) => format!("?pass={}", percent_encoded(password)),
            None => String::new(),
        };
        Some(format!("unix://{}{query}", socket.display()))
    }

    fn value(&self, name: &str) -> Option<&str> {
        let at = self.args.iter().position(|arg| arg == name)?;
        self.args.get(at + 1).map(String::as_str)
    }
}

/// RFC 3986 §2.3: all but the unreserved characters may have a meaning in a URL.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_carry_the_password_and_the_socket() {
        let options = Options::new(&["--requirepass", "p@ss", "--unixsocket", "s.sock"]);
        assert_eq!(options.userinfo(), ":p%40ss@");
        let url = options.unix_url(Path::new("/run/it"));
        assert_eq!(url.as_deref(), Some("unix:///run/it/s.sock?pass=p%40ss"));
    }

    #[test]
    fn plain_options_leave_the_urls_plain() {
        let options = Options::new(&["--maxmemory", "1mb"]);
        assert_eq!(options.userinfo(), "");
        assert_eq!(options.unix_url(Path::new("/run/it")), None);
    }

    #[test]
    #[should_panic(expected = "--port cannot be set")]
    fn the_port_is_not_an_option() {
        Options::new(&["--port", "6379"]);
    }
}
