//! The program under test: a demo that is asked over HTTP, and commands that end by themselves.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use shelflife_testkit::Child;

use crate::http::{self, Answer};

const START_LIMIT: Duration = Duration::from_secs(60);

/// A running demo on a small database; killed on drop.
pub(crate) struct Demo {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Demo {
    pub(crate) fn start(database: &Path, more: &[&str]) -> Self {
        let mut child = Child::spawn(demo(database).args(["--listen", "127.0.0.1:0"]).args(more));
        let line = child.expect_line("listening on ", START_LIMIT);
        let address = line.rsplit('/').next().unwrap().to_owned();
        Demo { child, address }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        http::send(&self.address, "GET", path, "")
    }

    /// Asks until the answer is a hit: a response is stored behind its client.
    pub(crate) fn until_hit(&self, path: &str) -> Answer {
        let began = Instant::now();
        loop {
            let answer = self.get(path);
            if answer.cache_status().contains("; hit") {
                return answer;
            }
            assert!(began.elapsed() < START_LIMIT, "{answer:?}");
        }
    }

    pub(crate) fn put(&self, path: &str, body: &str) -> Answer {
        http::send(&self.address, "PUT", path, body)
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        http::send(&self.address, "DELETE", path, "")
    }

    /// How often the database was asked.
    pub(crate) fn queries(&self) -> u64 {
        self.get("/stats").body["database"]["queries"]
            .as_u64()
            .expect("a number of queries")
    }
}

pub(crate) fn demo(database: &Path) -> Command {
    let mut command = shelflife(&["demo", "--users", "200", "--orders", "5000", "--database"]);
    command.arg(database);
    command
}

/// The command, out of reach of the environment's own settings.
pub(crate) fn shelflife(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shelflife"));
    for (name, _) in std::env::vars_os() {
        if name == "REDIS_URL" || name.to_string_lossy().starts_with("SHELFLIFE_") {
            command.env_remove(name);
        }
    }
    command.args(args);
    command
}

pub(crate) fn run(args: &[&str]) -> Output {
    shelflife(args).output().expect("the command starts")
}

/// Runs a command that must succeed, and reads each of its lines as JSON.
pub(crate) fn run_json(args: &[&str]) -> Vec<Value> {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
