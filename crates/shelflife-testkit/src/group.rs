//! A primary, its replicas and the sentinels that watch them, for one test.
//!
//! ```text
//! sentinel ── sentinel ── sentinel     who is the primary? what they agree on
//!     │  watch      │
//!   primary ──▶ replica                real servers, which copy what the primary does
//! ```

use std::fmt;
use std::time::Duration;

use crate::access::{Access, Credentials};
use crate::held::HeldBack;
use crate::process::poll;
use crate::resp::Reply;
use crate::sentinel::Sentinel;
use crate::server::{Kind, Options, RedisServer};

/// How long all may take to know each other, or to find together again.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the sentinels call it.
const NAME: &str = "mymaster";

/// Real servers and real sentinels. Which of the servers is the primary is for the sentinels to say. Killed, reaped and tidied up on
/// drop.
///
/// ```no_run
/// use shelflife_testkit::Group;
///
/// let mut group = Group::start(1, 3);
/// let old = group.primary();
/// group.kill(old);
/// let new = group.next_primary(old);
/// assert_ne!(old, new);
/// ```
#[derive(Debug)]
pub struct Group {
    servers: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
    access: Access,
}

impl Group {
    /// A primary with so many replicas, and so many sentinels, of which more than half have to agree. All know each other.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`], and when they do not find together within 30 seconds.
    pub fn start(replicas: usize, sentinels: usize) -> Self {
        Self::start_with(replicas, sentinels, Access::default())
    }

    /// The same, set up like this.
    ///
    /// # Panics
    ///
    /// As [`Group::start`].
    pub fn start_with(replicas: usize, sentinels: usize, access: Access) -> Self {
        let start = |_| {
            let conf = access.server_conf();
            RedisServer::start_as(Options::part(Kind::Member, &access, conf))
        };
        let servers: Vec<RedisServer> = (0..=replicas).map(start).collect();
        let mut group = Self {
            servers,
            sentinels: Vec::new(),
            access,
        };
        let primary = group.servers[0].port().to_string();
        for replica in &group.servers[1..] {
            replica.cli(&["REPLICAOF", "127.0.0.1", &primary]);
            // So that it is one after a restart, too.
            replica.cli(&["CONFIG", "REWRITE"]);
        }
        // A sentinel that finds a replica without its primary looks again only much later.
        group.wait("the replicas have their copy", |group| {
            group.servers[1..].iter().all(follows)
        });
        let quorum = sentinels / 2 + 1;
        let start = |_| Sentinel::start_with(NAME, &group.servers[0], quorum, &group.access);
        group.sentinels = (0..sentinels).map(start).collect();
        group.settle();
        group
    }

    /// What the sentinels call it.
    pub fn name(&self) -> &'static str {
        NAME
    }

    /// The addresses of the sentinels.
    pub fn hosts(&self) -> Vec<String> {
        self.sentinels.iter().map(Sentinel::host).collect()
    }

    /// `redis+sentinel://user:password@sentinel,sentinel/name/0?…`, with the user of the sentinels and the paths of the certificates in the query.
    pub fn url(&self) -> String {
        self.url_at(&self.hosts())
    }

    /// The same for who reaches the sentinels elsewhere: by a [`Proxy`](crate::Proxy).
    pub fn url_at(&self, sentinels: &[String]) -> String {
        let mut query = Vec::new();
        if let Some(with) = &self.access.sentinel_user {
            query = sentinel_query(with);
        }
        self.access
            .url("sentinel", sentinels, &format!("/{NAME}/0"), &query)
    }

    /// How many servers there are.
    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    /// A server; the first was the primary when all began.
    ///
    /// # Panics
    ///
    /// When there is none of that number; so do all that take one.
    pub fn server(&self, server: usize) -> &RedisServer {
        &self.servers[server]
    }

    /// A server, to be asked or harmed directly.
    pub fn server_mut(&mut self, server: usize) -> &mut RedisServer {
        &mut self.servers[server]
    }

    /// How many sentinels there are.
    pub fn sentinels(&self) -> usize {
        self.sentinels.len()
    }

    /// A sentinel.
    pub fn sentinel(&self, sentinel: usize) -> &Sentinel {
        &self.sentinels[sentinel]
    }

    /// A sentinel, to be killed or frozen.
    pub fn sentinel_mut(&mut self, sentinel: usize) -> &mut Sentinel {
        &mut self.sentinels[sentinel]
    }

    /// The server that is the primary, as the sentinel says that knows the newest.
    ///
    /// # Panics
    ///
    /// When no sentinel is awake, or what it names is none of these.
    pub fn primary(&self) -> usize {
        let reign = self.reign();
        let (primary, _) = reign.unwrap_or_else(|| panic!("no sentinel answers\n{self}"));
        primary
    }

    /// The same, with the epoch in which it was elected: any that takes over has a newer one. None while no sentinel answers.
    ///
    /// # Panics
    ///
    /// When what they name is none of these.
    pub fn reign(&self) -> Option<(usize, u64)> {
        let told = self.awake_sentinels().filter_map(|sentinel| {
            let told = sentinel.told_of(NAME)?;
            Some((number(&told, "config-epoch")?, number(&told, "port")?))
        });
        let (epoch, port) = told.max()?;
        let of_port = |server: &RedisServer| u64::from(server.port()) == port;
        let primary = self.servers.iter().position(of_port);
        let primary =
            primary.unwrap_or_else(|| panic!("the sentinels name a server at port {port}"));
        Some((primary, epoch))
    }

    /// Waits until another server is the primary, and says so itself.
    ///
    /// # Panics
    ///
    /// When there is none within 30 seconds.
    pub fn next_primary(&self, old: usize) -> usize {
        self.wait("another primary", |group| {
            let new = group.primary();
            new != old && group.claims(new)
        });
        self.primary()
    }

    /// Has the sentinels make another server the primary, as an operator does: the old one is well.
    ///
    /// # Panics
    ///
    /// When no sentinel is awake, or it refuses.
    pub fn switch(&self) {
        assert!(self.try_switch(), "no sentinel does\n{self}");
    }

    /// The same; whether one does. It may just be at it, or know of no replica that is well.
    pub fn try_switch(&self) -> bool {
        let mut sentinels = self.awake_sentinels();
        let does = |sentinel: &Sentinel| {
            let reply = sentinel.ask(&["SENTINEL", "FAILOVER", NAME]);
            reply == Some(Reply::Simple("OK".to_owned()))
        };
        sentinels.next().is_some_and(does)
    }

    /// Kills a server (SIGKILL).
    ///
    /// # Panics
    ///
    /// When it has been killed already.
    pub fn kill(&mut self, server: usize) {
        self.servers[server].kill();
    }

    /// Freezes a server (SIGSTOP).
    ///
    /// # Panics
    ///
    /// When it is not running.
    pub fn stop(&mut self, server: usize) {
        self.servers[server].stop();
    }

    /// Lets a frozen server go on (SIGCONT). If it was the primary it still thinks so, until a sentinel tells it better.
    ///
    /// # Panics
    ///
    /// When it is not running.
    pub fn wake(&mut self, server: usize) {
        self.servers[server].resume();
    }

    /// Has the other servers carry out nothing from now on that a server does, once they have done all that it has done by now. It does not
    /// notice, nor does a sentinel within a second or two.
    ///
    /// # Panics
    ///
    /// When one does not follow it.
    pub fn hold_back(&self, primary: usize) -> HeldBack {
        let replicas = (0..self.servers.len())
            .filter(|server| *server != primary && self.servers[*server].is_awake());
        HeldBack::of(&self.servers, primary, replicas.collect())
    }

    /// Whether there are any, and each lacks something that its primary has done since.
    pub fn lag(&self, held: &HeldBack) -> bool {
        held.lag(&self.servers)
    }

    /// Lets them go on. They carry out what they lack, if their primary is still there.
    ///
    /// # Panics
    ///
    /// When one does not answer.
    pub fn let_go(&self, held: HeldBack) {
        held.let_go(&self.servers);
    }

    /// Lets them go on without what they lack. Their primary has to be gone, frozen, or cut off: they ask it for all of that again.
    ///
    /// # Panics
    ///
    /// When one does not answer.
    pub fn let_go_without(&self, held: HeldBack) {
        held.let_go_without(&self.servers);
    }

    /// Shuts the sentinels and the other servers out of a server, while everybody else goes on to use it: a network that has split.
    ///
    /// # Panics
    ///
    /// When they have no user of their own.
    pub fn cut_off(&self, server: usize) {
        let peers = self.peers();
        self.servers[server].cli(&["ACL", "SETUSER", peers, "off"]);
        self.servers[server].cli(&["CLIENT", "KILL", "USER", peers]);
    }

    /// Lets them in again.
    ///
    /// # Panics
    ///
    /// As [`Group::cut_off`].
    pub fn rejoin(&self, server: usize) {
        self.servers[server].cli(&["ACL", "SETUSER", self.peers(), "on"]);
        // A sentinel that was refused stays connected, without a name, and would never try again.
        self.servers[server].cli(&["CLIENT", "KILL", "USER", "default"]);
    }

    fn peers(&self) -> &str {
        let peers = self.access.peers.as_ref();
        let name = peers.and_then(|with| with.user.as_deref());
        name.unwrap_or_else(|| panic!("the servers have no user of their own"))
    }

    /// Whether a server says of itself that it is a primary.
    pub fn claims(&self, server: usize) -> bool {
        self.servers[server].is_awake() && role(&self.servers[server]) == "master"
    }

    /// Starts a server anew on the same port, empty. It is what it was last told to be.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`].
    pub fn restart(&mut self, server: usize) {
        self.servers[server].restart();
    }

    /// Waits until all who are awake agree: one primary, all others have its copy, every sentinel knows all of them and the other
    /// sentinels.
    ///
    /// # Panics
    ///
    /// When they don't within 30 seconds.
    pub fn settle(&self) {
        self.wait("all agree", Self::is_settled);
    }

    /// Whether that is so.
    pub fn is_settled(&self) -> bool {
        let awake: Vec<usize> = (0..self.servers.len())
            .filter(|&server| self.servers[server].is_awake())
            .collect();
        let Some((primary, _)) = self.reign() else {
            return false;
        };
        let in_place = awake.iter().all(|&server| match server == primary {
            true => role(&self.servers[server]) == "master",
            false => follows(&self.servers[server]),
        });
        awake.contains(&primary)
            && in_place
            && self
                .awake_sentinels()
                .all(|sentinel| self.knows_all(sentinel, primary, awake.len() - 1))
    }

    /// Whether a sentinel could carry out a failover at once.
    fn knows_all(&self, sentinel: &Sentinel, primary: usize, replicas: usize) -> bool {
        let told = sentinel.told_of(NAME);
        let quorum = sentinel.ask(&["SENTINEL", "CKQUORUM", NAME]);
        let known = sentinel.ask(&["SENTINEL", "REPLICAS", NAME]);
        let (Some(told), Some(Reply::Array(known))) = (told, known) else {
            return false;
        };
        let well = known
            .iter()
            .filter(|replica| text(replica, "master-link-status") == "ok")
            .filter(|replica| text(replica, "flags") == "slave")
            .count();
        number(&told, "port") == Some(u64::from(self.servers[primary].port()))
            && text(&told, "flags") == "master"
            && number(&told, "num-other-sentinels") == Some(self.sentinels.len() as u64 - 1)
            && matches!(quorum, Some(Reply::Simple(text)) if text.starts_with("OK"))
            && well == replicas
    }

    fn awake_sentinels(&self) -> impl Iterator<Item = &Sentinel> {
        self.sentinels.iter().filter(|sentinel| sentinel.is_awake())
    }

    fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let held = poll(PATIENCE, || holds(self).then_some(()));
        assert!(held.is_some(), "not within {PATIENCE:?}: {what}\n{self}");
    }
}

/// What the sentinels have logged.
impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = self.servers.iter().map(RedisServer::port);
        let ports: Vec<String> = ports.map(|port| port.to_string()).collect();
        write!(f, "servers at {}", ports.join(", "))?;
        for (number, sentinel) in self.sentinels.iter().enumerate() {
            write!(f, "\nsentinel {number}, at {}", sentinel.host())?;
            let log = sentinel.log();
            for line in log
                .lines()
                .filter(|line| line.contains('+') || line.contains('-'))
            {
                write!(f, "\n  {line}")?;
            }
        }
        Ok(())
    }
}

fn sentinel_query(with: &Credentials) -> Vec<String> {
    let encoded = crate::percent::encoded;
    let user = with.user.iter();
    let user = user.map(|user| format!("sentinel_user={}", encoded(user)));
    let password = format!("sentinel_password={}", encoded(&with.password));
    user.chain([password]).collect()
}

/// What a server says of itself: `master` or `slave`; nothing while it hangs up on who asks, as one does that changes its role.
fn role(server: &RedisServer) -> String {
    said(server, "role:").unwrap_or_default()
}

/// Whether a server follows its primary, and has its copy.
pub(crate) fn follows(server: &RedisServer) -> bool {
    said(server, "master_link_status:").as_deref() == Some("up")
}

pub(crate) fn said(server: &RedisServer, what: &str) -> Option<String> {
    let mut connection = server.connect_within(Duration::from_secs(1)).ok()?;
    let told = connection.command(&[b"INFO", b"replication"]).ok()?;
    let told = told.to_string();
    let line = told.lines().find_map(|line| line.strip_prefix(what));
    line.map(ToOwned::to_owned)
}

/// A value among names and values.
fn text(told: &Reply, name: &str) -> String {
    let Reply::Array(words) = told else {
        return String::new();
    };
    let mut pairs = words.chunks_exact(2);
    let found = pairs.find(|pair| pair[0].to_string() == name);
    found.map_or_else(String::new, |pair| pair[1].to_string())
}

fn number(told: &Reply, name: &str) -> Option<u64> {
    text(told, name).parse().ok()
}
