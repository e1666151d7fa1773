//! nginx and Varnish as whoever installs them would set them up: one worker, because they get one core.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use shelflife_testkit::{Scratch, free_port};

use super::load::{first_core, pinned};
use crate::Outcome;

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server of somebody else's, before an upstream. Killed on drop.
pub(crate) struct Peer {
    child: Child,
    url: String,
    _scratch: Scratch,
}

impl Peer {
    /// nginx with `proxy_cache`; `None` when it is not installed.
    pub(crate) fn nginx(upstream: u16) -> Outcome<Option<Self>> {
        if !installed("nginx", "-v") {
            return Ok(None);
        }
        let (scratch, port) = (Scratch::new(), free_port());
        let dir = scratch.path().display();
        let config = format!(
            "daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log;
             user root;
             events {{ worker_connections 1024; }}
             http {{
               access_log off; keepalive_requests 100000000; tcp_nodelay on;
               client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
               fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
               proxy_cache_path {dir}/cache keys_zone=all:16m;
               server {{
                 listen 127.0.0.1:{port};
                 location / {{
                   proxy_pass http://127.0.0.1:{upstream}; proxy_cache all;
                   proxy_http_version 1.1; proxy_set_header Connection '';
                 }}
               }}
             }}"
        );
        let file = scratch.path().join("nginx.conf");
        std::fs::write(&file, config)?;
        let mut command = pinned("nginx", first_core());
        command.arg("-c").arg(&file).arg("-p").arg(scratch.path());
        Self::start(command, port, scratch).map(Some)
    }

    /// Varnish with memory of its own; `None` when it is not installed.
    pub(crate) fn varnish(upstream: u16) -> Outcome<Option<Self>> {
        if !installed("varnishd", "-V") {
            return Ok(None);
        }
        let (scratch, port) = (Scratch::new(), free_port());
        let mut command = pinned("varnishd", first_core());
        command
            .args(["-F", "-a", &format!("127.0.0.1:{port}")])
            .args(["-b", &format!("127.0.0.1:{upstream}")])
            .args(["-s", "malloc,64m", "-p", "thread_pools=1"])
            .arg("-n")
            .arg(scratch.path());
        Self::start(command, port, scratch).map(Some)
    }

    fn start(mut command: Command, port: u16, scratch: Scratch) -> Outcome<Self> {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = quiet.stderr(Stdio::null()).spawn()?;
        let mut peer = Self {
            child,
            url: format!("http://127.0.0.1:{port}/item"),
            _scratch: scratch,
        };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = peer.child.try_wait()? {
                return Err(format!("{command:?} ended: {status}").into());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{command:?} does not listen").into());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(peer)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends its own workers when it is asked to; killed, it would leave them.
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        let began = Instant::now();
        while asked.is_ok() && began.elapsed() < PATIENCE {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn installed(program: &str, version: &str) -> bool {
    Command::new(program).arg(version).output().is_ok()
}
