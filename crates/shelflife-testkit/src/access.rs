//! Who may use the servers of a group or a cluster, and how they are spoken to.

use std::time::Duration;

use crate::percent::encoded;
use crate::tls::Certificates;

/// See [`Access::down_after`].
const DOWN_AFTER: Duration = Duration::from_secs(1);

/// A name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// `None` is the user `default`: a password is all that is asked for.
    pub user: Option<String>,
    /// In clear text.
    pub password: String,
}

impl Credentials {
    /// Of a user of the ACL.
    pub fn user(name: &str, password: &str) -> Self {
        Self {
            user: Some(name.to_owned()),
            password: password.to_owned(),
        }
    }

    /// A password, and no name.
    pub fn password(password: &str) -> Self {
        Self {
            user: None,
            password: password.to_owned(),
        }
    }

    /// `user:password@`, or nothing.
    pub(crate) fn userinfo(credentials: Option<&Self>) -> String {
        credentials.map_or_else(String::new, |with| {
            let user = encoded(with.user.as_deref().unwrap_or_default());
            format!("{user}:{}@", encoded(&with.password))
        })
    }

    /// The words of `AUTH`.
    pub(crate) fn words(&self) -> Vec<&[u8]> {
        let user = self.user.as_deref().map(str::as_bytes);
        user.into_iter().chain([self.password.as_bytes()]).collect()
    }

    /// Lines of a server's file: who is let in.
    pub(crate) fn demanded(&self) -> Vec<String> {
        match &self.user {
            None => vec![format!("requirepass {}", self.password)],
            Some(user) => vec![format!("user {user} on >{} ~* &* +@all", self.password)],
        }
    }

    /// Lines of a server's file: as whom it follows its primary.
    pub(crate) fn to_follow(&self) -> Vec<String> {
        let user = self.user.as_ref().map(|user| format!("masteruser {user}"));
        let password = format!("masterauth {}", self.password);
        user.into_iter().chain([password]).collect()
    }
}

/// How the servers of a [`Group`](crate::Group) or a [`Cluster`](crate::Cluster) are set up. By default they
/// let everybody in, and speak in clear text.
///
/// ```no_run
/// use shelflife_testkit::{Access, Certificates, Cluster, Credentials};
///
/// let cluster = Cluster::start_with(3, Access {
///     user: Some(Credentials::user("app", "secret")),
///     tls: Some(Certificates::new()),
///     ..Access::default()
/// });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Whom the servers let in.
    pub user: Option<Credentials>,
    /// As whom replicas follow their primary, and sentinels look at the servers; if nobody, as `user`. One of their own can be
    /// shut out: [`Group::cut_off`](crate::Group::cut_off).
    pub peers: Option<Credentials>,
    /// Whom the sentinels let in.
    pub sentinel_user: Option<Credentials>,
    /// With what they speak TLS, all of them, and nothing else.
    pub tls: Option<Certificates>,
    /// Further lines for each server's file: `min-replicas-to-write 1`.
    pub conf: Vec<String>,
    /// For how long a server is silent until it is thought to be down; 1 s if nothing is said. A busy machine is silent for longer
    /// than one may think.
    pub down_after: Option<Duration>,
}

impl Access {
    /// The lines of the file of a server.
    pub(crate) fn server_conf(&self) -> Vec<String> {
        let demanded = self.user.iter().chain(&self.peers);
        let user = demanded.flat_map(Credentials::demanded);
        let user = user.chain(self.peers().into_iter().flat_map(Credentials::to_follow));
        let nobody = self.user.as_ref().is_some_and(|user| user.user.is_some());
        let nobody = nobody.then(|| "user default off".to_owned());
        user.chain(nobody)
            .chain(self.conf.iter().cloned())
            .collect()
    }

    /// See the field, in ms.
    pub(crate) fn down_after_ms(&self) -> u128 {
        self.down_after.unwrap_or(DOWN_AFTER).as_millis()
    }

    /// As whom servers and sentinels come to a server.
    pub(crate) fn peers(&self) -> Option<&Credentials> {
        self.peers.as_ref().or(self.user.as_ref())
    }

    /// What a URL of this kind is: `redis+…://user:password@host,host/path?query`, with TLS `rediss`.
    pub(crate) fn url(&self, kind: &str, hosts: &[String], path: &str, query: &[String]) -> String {
        let scheme = if self.tls.is_some() {
            "rediss"
        } else {
            "redis"
        };
        let tls = self.tls.iter().map(Certificates::query);
        let query: Vec<String> = tls.chain(query.iter().cloned()).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!(
            "{scheme}+{kind}://{}{}{path}{mark}{}",
            Credentials::userinfo(self.user.as_ref()),
            hosts.join(","),
            query.join("&")
        )
    }
}
