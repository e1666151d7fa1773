//! The lines for a shell that mend something: whole, quoted, and without a password.

use redis::ConnectionAddr;

use super::Place;

/// How the server and the namespace are named on a command line.
pub(super) struct Mend {
    cli: String,
    /// The part of it that names the user.
    user: Option<String>,
    url: String,
    namespace: String,
}

impl Mend {
    pub(super) fn of(place: &Place, namespace: &str) -> Self {
        let (at, url) = match &place.address {
            ConnectionAddr::Tcp(host, port) => (
                format!("-h {} -p {port}", quoted(host)),
                format!("redis://{}:{port}", in_url(host)),
            ),
            ConnectionAddr::TcpTls { host, port, .. } => (
                format!("--tls -h {} -p {port}", quoted(host)),
                format!("rediss://{}:{port}", in_url(host)),
            ),
            ConnectionAddr::Unix(path) => {
                let path = path.to_string_lossy();
                (format!("-s {}", quoted(&path)), format!("unix://{path}"))
            }
            // Kinds that the driver may add.
            other => (format!("-h {}", quoted(&other.to_string())), String::new()),
        };
        let db = match place.db {
            0 => String::new(),
            db => format!(" -n {db}"),
        };
        let user = match (place.has_secret, place.user.as_str()) {
            (true, user) if user != "default" => Some(format!(" --user {}", quoted(user))),
            _ => None,
        };
        let url = match (place.has_secret, place.db, &place.address) {
            // Nobody's password is printed.
            (true, ..) => "\"$SHELFLIFE_URL\"".to_owned(),
            (_, 0, _) => quoted(&url),
            (_, db, ConnectionAddr::Unix(_)) => quoted(&format!("{url}?db={db}")),
            (_, db, _) => quoted(&format!("{url}/{db}")),
        };
        Self {
            cli: format!("redis-cli {at}{db}{}", user.as_deref().unwrap_or_default()),
            user,
            url,
            namespace: namespace.to_owned(),
        }
    }

    /// A command for the server.
    pub(super) fn server<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        let mut line = self.cli.clone();
        for word in words {
            line.push(' ');
            line.push_str(&quoted(word));
        }
        line
    }

    /// The same for somebody else, who has more rights.
    pub(super) fn admin<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        let line = self.server(words);
        match &self.user {
            Some(user) => line.replacen(user.as_str(), "", 1),
            None => line,
        }
    }

    /// The beginning of such a line, for what has to be written by hand.
    pub(super) fn cli(&self) -> &str {
        &self.cli
    }

    /// One setting of the server.
    pub(super) fn set(&self, name: &str, value: &str) -> String {
        self.server(["CONFIG", "SET", name, value])
    }

    /// Invalidation of keys, by the names that `shelflife ls` shows. Nothing for names that no shell can be given.
    pub(super) fn invalidate(&self, keys: &[String]) -> Vec<String> {
        let mut line = format!(
            "shelflife invalidate --redis {} --namespace {}",
            self.url, self.namespace
        );
        let keys: Vec<_> = keys.iter().filter(|key| is_plain(key)).collect();
        for key in &keys {
            line.push_str(" --key ");
            line.push_str(&quoted(key));
        }
        match keys.is_empty() {
            true => Vec::new(),
            false => vec![line],
        }
    }

    /// A doctor for another namespace of this server.
    pub(super) fn doctor(&self, namespace: &str) -> String {
        format!(
            "shelflife doctor --redis {} --namespace {}",
            self.url,
            quoted(namespace)
        )
    }

    /// The same command for names of the server, some at a time.
    pub(super) fn each(&self, words: &[&str], names: &[String], after: &[&str]) -> Vec<String> {
        let plain = names.iter().filter(|name| is_plain(name));
        plain
            .map(|name| {
                let words = words.iter().copied();
                self.server(words.chain([name.as_str()]).chain(after.iter().copied()))
            })
            .collect()
    }

    /// One command for several names of the server.
    pub(super) fn all(&self, words: &[&str], names: &[String]) -> Vec<String> {
        let plain: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| is_plain(name))
            .collect();
        match plain.is_empty() {
            true => Vec::new(),
            false => vec![self.server(words.iter().copied().chain(plain))],
        }
    }
}

/// Whether a name can be typed: one that had to be mended to be text is another name.
fn is_plain(name: &str) -> bool {
    !name.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER)
}

fn in_url(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}

/// A word for a POSIX shell.
pub(super) fn quoted(word: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(harmless) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(address: ConnectionAddr) -> Place {
        Place {
            address,
            ..Place::default()
        }
    }

    #[test]
    fn lines_name_the_server_and_quote_their_words() {
        let tcp = place(ConnectionAddr::Tcp("::1".to_owned(), 7000));
        let mend = Mend::of(&tcp, "shop");
        assert_eq!(
            mend.set("save", ""),
            "redis-cli -h ::1 -p 7000 CONFIG SET save ''"
        );
        assert_eq!(
            mend.invalidate(&["it's".to_owned(), "a\nb".to_owned()]),
            [r"shelflife invalidate --redis 'redis://[::1]:7000' --namespace shop --key 'it'\''s'"]
        );
        assert!(mend.invalidate(&["\u{fffd}".to_owned()]).is_empty());
        let unix = Place {
            db: 2,
            ..place(ConnectionAddr::Unix("/run/r.sock".into()))
        };
        assert_eq!(
            Mend::of(&unix, "d").server(["PING"]),
            "redis-cli -s /run/r.sock -n 2 PING"
        );
    }

    #[test]
    fn nobodys_password_is_printed() {
        let secret = Place {
            user: "ada".to_owned(),
            has_secret: true,
            ..place(ConnectionAddr::Tcp("h".to_owned(), 1))
        };
        let mend = Mend::of(&secret, "d");
        assert_eq!(mend.server(["PING"]), "redis-cli -h h -p 1 --user ada PING");
        assert_eq!(mend.admin(["PING"]), "redis-cli -h h -p 1 PING");
        assert!(mend.invalidate(&["a".to_owned()])[0].contains("--redis \"$SHELFLIFE_URL\""));
    }
}
