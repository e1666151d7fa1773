//! The lines for a shell that mend something: whole, quoted, and without a password.

use redis::ConnectionAddr;

use super::{Facts, Place};

/// How the server and the namespace are named on a command line.
pub(super) struct Mend {
    cli: String,
    /// The same for each replica: none is told what is set at its primary, and each may be the next one.
    replicas: Vec<String>,
    /// The part of these that names the user.
    user: Option<String>,
    url: String,
    namespace: String,
    of_a_cluster: bool,
}

impl Mend {
    pub(super) fn of(place: &Place, namespace: &str) -> Self {
        let user = match (place.has_secret, place.user.as_str()) {
            (true, user) if user != "default" => Some(format!(" --user {}", quoted(user))),
            _ => None,
        };
        Self {
            cli: cli(place, &place.address, user.as_deref()),
            replicas: Vec::new(),
            user,
            url: url(place),
            namespace: namespace.to_owned(),
            of_a_cluster: place.of_a_cluster,
        }
    }

    /// The lines for a server and for the replicas that it has told of.
    pub(super) fn with_replicas(facts: &Facts) -> Self {
        let mut mend = Self::of(&facts.place, &facts.namespace);
        let replicas = facts.replicas().into_iter().map(|(host, port)| {
            let address = facts.place.beside(host, port);
            cli(&facts.place, &address, mend.user.as_deref())
        });
        mend.replicas = replicas.collect();
        mend
    }

    pub(super) fn has_replicas(&self) -> bool {
        !self.replicas.is_empty()
    }

    /// A command for the server.
    pub(super) fn server<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        with_words(self.cli.clone(), words)
    }

    /// The same for somebody else, who has more rights.
    pub(super) fn admin<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        with_words(self.without_user(&self.cli), words)
    }

    /// The beginning of such a line, for what has to be written by hand.
    pub(super) fn cli(&self) -> &str {
        &self.cli
    }

    /// The beginning of a line for the server, and for each of its replicas.
    pub(super) fn clis(&self) -> impl Iterator<Item = &str> {
        [&self.cli]
            .into_iter()
            .chain(&self.replicas)
            .map(String::as_str)
    }

    /// The same for somebody else, who has more rights.
    pub(super) fn admins(&self) -> impl Iterator<Item = String> {
        self.clis().map(|cli| self.without_user(cli))
    }

    fn without_user(&self, cli: &str) -> String {
        match &self.user {
            Some(user) => cli.replacen(user.as_str(), "", 1),
            None => cli.to_owned(),
        }
    }

    /// A command for the server, and for each of its replicas.
    pub(super) fn everywhere(&self, words: &[&str]) -> Vec<String> {
        let line = |cli: &str| with_words(cli.to_owned(), words.iter().copied());
        self.clis().map(line).collect()
    }

    /// The same for somebody else, who has more rights.
    pub(super) fn admin_everywhere(&self, words: &[&str]) -> Vec<String> {
        let line = |cli| with_words(cli, words.iter().copied());
        self.admins().map(line).collect()
    }

    /// One setting of one replica.
    pub(super) fn set_replica(&self, nth: usize, name: &str, value: &str) -> Option<String> {
        let cli = self.replicas.get(nth)?.clone();
        Some(with_words(cli, ["CONFIG", "SET", name, value]))
    }

    /// One setting, of the server and of its replicas.
    pub(super) fn set(&self, name: &str, value: &str) -> Vec<String> {
        self.everywhere(&["CONFIG", "SET", name, value])
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

    /// One of our own commands, for a namespace of this server.
    pub(super) fn shelflife(&self, command: &str, namespace: &str) -> String {
        format!(
            "shelflife {command} --redis {} --namespace {}",
            self.url,
            quoted(namespace)
        )
    }

    /// Removal of names: at once, but where each may be on another node.
    pub(super) fn unlink(&self, names: &[String]) -> Vec<String> {
        match self.of_a_cluster {
            true => self.each(&["UNLINK"], names, &[]),
            false => self.all(&["UNLINK"], names),
        }
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

fn with_words<'a>(mut line: String, words: impl IntoIterator<Item = &'a str>) -> String {
    for word in words {
        line.push(' ');
        line.push_str(&quoted(word));
    }
    line
}

/// The beginning of a line for the server at this address.
fn cli(place: &Place, address: &ConnectionAddr, user: Option<&str>) -> String {
    let at = match address {
        ConnectionAddr::Tcp(host, port) => format!("-h {} -p {port}", quoted(host)),
        ConnectionAddr::TcpTls {
            host,
            port,
            insecure,
            ..
        } => format!("{} -h {} -p {port}", tls(place, *insecure), quoted(host)),
        ConnectionAddr::Unix(path) => format!("-s {}", quoted(&path.to_string_lossy())),
        // Kinds that the driver may add.
        other => format!("-h {}", quoted(&other.to_string())),
    };
    let db = match place.db {
        0 => String::new(),
        db => format!(" -n {db}"),
    };
    // -c: a name may be another node's.
    let follows = if place.of_a_cluster { " -c" } else { "" };
    format!("redis-cli{follows} {at}{db}{}", user.unwrap_or_default())
}

/// The URL for our own commands.
fn url(place: &Place) -> String {
    let url = match &place.address {
        ConnectionAddr::Tcp(host, port) => format!("redis://{}:{port}", in_url(host)),
        ConnectionAddr::TcpTls { host, port, .. } => format!("rediss://{}:{port}", in_url(host)),
        ConnectionAddr::Unix(path) => format!("unix://{}", path.to_string_lossy()),
        _ => String::new(),
    };
    let given = &place.given;
    match (place.has_secret, place.db, &place.address) {
        // Nobody's password is printed.
        (true, ..) => "\"$SHELFLIFE_URL\"".to_owned(),
        // One server's URL is not that of its cluster.
        _ if place.of_a_cluster => {
            let place = given.after.strip_prefix('@').unwrap_or(&given.after);
            quoted(&format!("{}{place}", given.before))
        }
        (_, 0, _) => quoted(&with_files(&url, place)),
        (_, db, ConnectionAddr::Unix(_)) => quoted(&format!("{url}?db={db}")),
        (_, db, _) => quoted(&with_files(&format!("{url}/{db}"), place)),
    }
}

/// What redis-cli has to be told to speak TLS as this process does.
fn tls(place: &Place, insecure: bool) -> String {
    let files = &place.certificates;
    let files = [
        ("--cacert", &files.ca),
        ("--cert", &files.cert),
        ("--key", &files.key),
    ];
    let mut words = "--tls".to_owned();
    if insecure {
        words.push_str(" --insecure");
    }
    for (option, file) in files {
        if let Some(file) = file {
            words.push_str(&format!(" {option} {}", quoted(&file.to_string_lossy())));
        }
    }
    words
}

/// A URL with the certificates as its settings.
fn with_files(url: &str, place: &Place) -> String {
    let files = &place.certificates;
    let files = [
        ("tls_ca", &files.ca),
        ("tls_cert", &files.cert),
        ("tls_key", &files.key),
    ];
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, file) in files {
        if let Some(file) = file {
            query.append_pair(name, &file.to_string_lossy());
        }
    }
    match query.finish() {
        query if query.is_empty() => url.to_owned(),
        query => format!("{url}?{query}"),
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
            ["redis-cli -h ::1 -p 7000 CONFIG SET save ''"]
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
    fn tls_takes_the_certificates_of_the_settings() {
        let mut tls = place(ConnectionAddr::TcpTls {
            host: "h".to_owned(),
            port: 1,
            insecure: false,
            tls_params: None,
        });
        tls.certificates.ca = Some("/etc/my ca.pem".into());
        tls.certificates.cert = Some("/etc/c.pem".into());
        tls.certificates.key = Some("/etc/k.pem".into());
        let mend = Mend::of(&tls, "d");
        assert_eq!(
            mend.server(["PING"]),
            "redis-cli --tls --cacert '/etc/my ca.pem' --cert /etc/c.pem --key /etc/k.pem -h h -p 1 PING"
        );
        assert_eq!(
            mend.shelflife("members", "d"),
            "shelflife members --redis 'rediss://h:1?tls_ca=%2Fetc%2Fmy+ca.pem&tls_cert=%2Fetc%2Fc.pem&tls_key=%2Fetc%2Fk.pem' --namespace d"
        );
    }

    #[test]
    fn in_a_cluster_each_name_may_be_elsewhere() {
        let node = Place {
            of_a_cluster: true,
            given: crate::redis::address::Given::of("redis+cluster://h1:1,h2"),
            ..place(ConnectionAddr::Tcp("h1".to_owned(), 1))
        };
        let mend = Mend::of(&node, "d");
        assert_eq!(
            mend.unlink(&["a".to_owned(), "b".to_owned()]),
            [
                "redis-cli -c -h h1 -p 1 UNLINK a",
                "redis-cli -c -h h1 -p 1 UNLINK b"
            ]
        );
        assert_eq!(
            mend.shelflife("members", "d"),
            "shelflife members --redis redis+cluster://h1:1,h2 --namespace d"
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
