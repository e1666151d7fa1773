//! A real sentinel for one test.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use crate::access::Access;
use crate::resp::{Connection, Reply};
use crate::server::{Kind, Options, RedisServer};

/// Of themselves, sentinels ask servers every 10 s who they are, and every second whether they are there. A server hangs up on them when it
/// is promoted: if the last answer was old by then, it would be thought to be down at once. No more often: what a replica has said counts for
/// five such periods, and while its primary is down it is asked every second.
const ASKS: [(&str, &str); 2] = [("INFO-PERIOD", "500"), ("PING-PERIOD", "400")];

/// Of themselves, they tell each other what they know every 2 s. Whoever has heard nothing else four times as long makes a server what it
/// should be by what it knows itself.
const TELLS: [(&str, &str); 1] = [("PUBLISH-PERIOD", "500")];

/// How long one that is awake may take to say something.
const PROBE: Duration = Duration::from_secs(1);

/// A sentinel process of its own, which watches one primary: that is down when it has been silent for [`Access::down_after`].
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
        sentinel.hurries(&ASKS);
        sentinel.hurries(&TELLS);
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
        // What it remembers may be old, and it must not act by that: it listens for as long as it would of itself.
        self.hurries(&ASKS);
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

    /// What it has logged since it was last started: what it found, and what was agreed.
    pub fn log(&self) -> String {
        self.server.log()
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
    pub(crate) fn told_of(&self, name: &str) -> Option<Reply> {
        self.ask(&["SENTINEL", "MASTER", name])
    }

    /// Runs one command, if it answers at all.
    pub(crate) fn ask(&self, words: &[&str]) -> Option<Reply> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let mut connection = self.server.connect_within(PROBE).ok()?;
        connection.command(&words).ok()
    }

    fn hurries(&self, periods: &[(&str, &str)]) {
        for (period, ms) in periods {
            let reply = self.command(&["SENTINEL", "DEBUG", period, ms]);
            assert_eq!(reply, Reply::Simple("OK".to_owned()), "{period}");
        }
    }
}

fn conf(name: &str, port: u16, quorum: usize, access: &Access) -> Vec<String> {
    let down_after = access.down_after_ms();
    let mut conf = vec![
        format!("sentinel monitor {name} 127.0.0.1 {port} {quorum}"),
        format!("sentinel down-after-milliseconds {name} {down_after}"),
        format!("sentinel failover-timeout {name} 3000"),
    ];
    if let Some(with) = access.peers() {
        let user = with.user.iter();
        conf.extend(user.map(|user| format!("sentinel auth-user {name} {user}")));
        conf.push(format!("sentinel auth-pass {name} {}", with.password));
    }
    if let Some(with) = &access.sentinel_user {
        conf.extend(with.demanded());
        if let Some(user) = &with.user {
            conf.push("user default off".to_owned());
            conf.push(format!("sentinel sentinel-user {user}"));
        }
        conf.push(format!("sentinel sentinel-pass {}", with.password));
    }
    conf
}
