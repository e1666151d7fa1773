//! A terminal, and a command in it.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child as Process, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::scratch::Scratch;

const LIMIT: Duration = Duration::from_secs(60);

/// A command in a terminal of its own (util-linux's `script`), and the screen as a person sees it.
pub(crate) struct Terminal {
    process: Process,
    screen: Arc<Mutex<vt100::Parser>>,
    pid: PathBuf,
    _scratch: Scratch,
}

impl Terminal {
    pub(crate) fn start(top: &str) -> Self {
        let scratch = Scratch::new();
        let pid = scratch.path("pid");
        let bin = env!("CARGO_BIN_EXE_shelflife");
        let inner = format!("echo $$ > {}; exec {bin} {top}", pid.display());
        // Before and after: how the terminal is set.
        let outer = format!(
            "stty rows 40 cols 100; a=$(stty -g); sh -c '{inner}'; echo ended $?; [ $a = $(stty -g) ] && echo as before"
        );
        let mut process = Command::new("script")
            .args(["-qefc", &outer, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script is there: it is part of util-linux (apt-get install bsdutils)");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(40, 100, 0)));
        let (mut from, to) = (process.stdout.take().unwrap(), screen.clone());
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut piece) {
                to.lock().unwrap().process(&piece[..n]);
            }
        });
        Terminal {
            process,
            screen,
            pid,
            _scratch: scratch,
        }
    }

    pub(crate) fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    pub(crate) fn wait_for(&self, part: &str) {
        let began = Instant::now();
        while !self.text().contains(part) {
            assert!(began.elapsed() < LIMIT, "no {part:?} in\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        let stdin = self.process.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Whether what is shown has a screen of its own.
    pub(crate) fn is_its_own(&self) -> bool {
        self.screen.lock().unwrap().screen().alternate_screen()
    }

    /// The id of the command.
    pub(crate) fn pid(&self) -> String {
        let pid = std::fs::read_to_string(&self.pid).unwrap();
        pid.trim().to_owned()
    }

    /// Whether it has ended with this code, and the terminal is as it was.
    pub(crate) fn assert_restored(mut self, code: &str) {
        self.wait_for(&format!("ended {code}"));
        self.wait_for("as before");
        self.process.wait().unwrap();
        let screen = self.screen.lock().unwrap();
        assert!(
            !screen.screen().alternate_screen(),
            "its own screen is left"
        );
        assert!(!screen.screen().hide_cursor(), "the cursor is back");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended is no failure.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
