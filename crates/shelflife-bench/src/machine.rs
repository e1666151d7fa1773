//! What the figures depend on.

use crate::Outcome;
use crate::server::Server;

/// Facts about this machine and the server.
pub(crate) fn facts(server: &Server) -> Outcome<Vec<(&'static str, String)>> {
    let cores = std::thread::available_parallelism()?.get();
    let profile = if cfg!(debug_assertions) {
        "debug (figures mean nothing)"
    } else {
        "release"
    };
    Ok(vec![
        ("cores", cores.to_string()),
        ("cpu", cpu().unwrap_or_else(|| "unknown".into())),
        (
            "system",
            format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        ),
        ("server", server.version()?),
        ("build", profile.into()),
    ])
}

fn cpu() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
