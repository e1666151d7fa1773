//! A real sentinel for one test.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use crate::access::Access;
use crate::resp::{Connection, Reply};
use crate::server::{Kind, Options, RedisServer};

/// After how long a server is down that does not answer.
const DOWN_AFTER: Duration = Duration::from_millis(500);

/// Sentinels tell each other what they know every 2 s, and ask servers who they are every 10 s. Not in a test.
const PERIODS: [(&str, &str); 2] = [("PUBLISH-PERIOD", "100"), ("INFO-PERIOD", "500")];

/// A sentinel process of its own, which watches one primary: that is down when it has been silent for 500 ms.
/// Killed, reaped and tidied up on drop.
#[derive(Debug)]
pub struct Sentinel {
    server: RedisServer,
}

impl Sentinel {
    /// Starts a sentinel that watches `primary` by `name`; so many have to agree that it is down.
    ///
    /// # Panics
    ///
    /// When there is no server binary (saying how to get one), or it does not answer within 10 seconds.
    pub fn start(name: &str, primary: &RedisServer, quorum: usize) -> Self {
        Self::start_with(name, primary, quorum, &Access::default())
    }

    /// The same, of servers that are set up like this.
    ///
    /// # Panics
    ///
    /// As [`Sentinel::start`].
    pub fn start_with(name: &str, primary: &RedisServer, quorum: usize, access: &Access) -> Self {
        let conf = conf(name, primary.port(), quorum, access);
        let sentinel = Self {
            server: RedisServer::start_as(Options::part(Kind::Sentinel, access, conf)),
        };
        sentinel.hurries();
        sentinel
    }

    /// `127.0.0.1:port`, for a URL.
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// The process id.
    ///
    /// # Panics
    ///
    /// When it has been killed.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Whether it runs, and is not frozen.
    pub fn is_awake(&self) -> bool {
        self.server.is_awake()
    }

    /// Freezes it (SIGSTOP): its port still accepts, and answers nothing.
    ///
    /// # Panics
    ///
    /// When it is not running.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Lets it go on (SIGCONT). One that was frozen for more than 2 s does not act for the next 30 s: it knows that it has slept.
    ///
    /// # Panics
    ///
    /// When it is not running.
    pub fn wake(&mut self) {
        self.server.resume();
    }

    /// Kills it (SIGKILL).
    ///
    /// # Panics
    ///
    /// When it has been killed already.
    pub fn kill(&mut self) -> ExitStatus {
        self.server.kill()
    }

    /// Starts it anew on the same port; it remembers whom it watches, and the others who do.
    ///
    /// # Panics
    ///
    /// As [`Sentinel::start`].
    pub fn restart(&mut self) {
        self.server.restart();
        self.hurries();
    }

    /// Runs one command; an error of the sentinel is a reply.
    ///
    /// # Panics
    ///
    /// When it does not answer within 5 seconds.
    pub fn command(&self, words: &[&str]) -> Reply {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.server.command(&words)
    }

    /// Opens a connection, authenticated if that is asked for.
    ///
    /// # Errors
    ///
    /// When it does not accept, or is silent for 5 seconds.
    pub fn connect(&self) -> io::Result<Connection> {
        self.server.connect()
    }

    /// What it says of its primary: names and values, as `SENTINEL MASTER` gives them.
    pub(crate) fn told_of(&self, name: &str) -> Reply {
        self.command(&["SENTINEL", "MASTER", name])
    }

    fn hurries(&self) {
        for (period, ms) in PERIODS {
            let reply = self.command(&["SENTINEL", "DEBUG", period, ms]);
            assert_eq!(reply, Reply::Simple("OK".to_owned()), "{period}");
        }
    }
}

fn conf(name: &str, port: u16, quorum: usize, access: &Access) -> Vec<String> {
    let down_after = DOWN_AFTER.as_millis();
    let mut conf = vec![
        format!("sentinel monitor {name} 127.0.0.1 {port} {quorum}"),
        format!("sentinel down-after-milliseconds {name} {down_after}"),
        format!("sentinel failover-timeout {name} 3000"),
    ];
    if let Some(with) = &access.user {
        let user = with.user.iter();
        conf.extend(user.map(|user| format!("sentinel auth-user {name} {user}")));
        conf.push(format!("sentinel auth-pass {name} {}", with.password));
    }
    if let Some(with) = &access.sentinel_user {
        conf.extend(with.demanded());
        let user = with.user.iter();
        conf.extend(user.map(|user| format!("sentinel sentinel-user {user}")));
        conf.push(format!("sentinel sentinel-pass {}", with.password));
    }
    conf
}
