//! Which server binary is run.
//!
//! Must not fall back from a binary that was asked for to one that was not.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Names the binary to run.
const VARIABLE: &str = "SHELFLIFE_TEST_REDIS_SERVER";

/// What is looked for when nothing is named.
const NAMES: [&str; 2] = ["redis-server", "valkey-server"];

/// Finds the binary, or says how to get one.
pub(super) fn find() -> Result<PathBuf, String> {
    let named = env::var_os(VARIABLE).filter(|name| !name.is_empty());
    let path = env::var_os("PATH").unwrap_or_default();
    choose(named.as_deref(), &path)
}

fn choose(named: Option<&OsStr>, path: &OsStr) -> Result<PathBuf, String> {
    if let Some(name) = named {
        return locate(name, path).ok_or_else(|| {
            let name = name.display();
            missing(&format!(
                "{VARIABLE} names {name}, and there is no such file"
            ))
        });
    }
    NAMES
        .iter()
        .find_map(|name| locate(OsStr::new(name), path))
        .ok_or_else(|| missing("neither redis-server nor valkey-server is in PATH"))
}

/// A bare name is looked for in `path`, as a shell does; anything else is a path itself.
fn locate(name: &OsStr, path: &OsStr) -> Option<PathBuf> {
    let direct = Path::new(name);
    if direct.components().count() > 1 {
        // The server is started in another directory.
        return direct.is_file().then(|| std::path::absolute(direct).ok())?;
    }
    env::split_paths(path)
        .map(|directory| directory.join(direct))
        .find(|candidate| candidate.is_file())
}

fn missing(why: &str) -> String {
    format!(
        "these tests need a real Redis or Valkey server: {why}.\n\
         Debian, Ubuntu: apt-get install redis-server\n\
         macOS:          brew install redis\n\
         elsewhere:      set {VARIABLE} to the path of a redis-server or valkey-server"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::scratch::Scratch;

    fn directory_with(names: &[&str]) -> Scratch {
        let scratch = Scratch::new();
        for name in names {
            std::fs::write(scratch.path().join(name), "").unwrap();
        }
        scratch
    }

    #[test]
    fn redis_comes_before_valkey_and_either_will_do() {
        let both = directory_with(&["redis-server", "valkey-server"]);
        let valkey = directory_with(&["valkey-server"]);
        let found = choose(None, both.path().as_os_str());
        assert_eq!(found, Ok(both.path().join("redis-server")));
        let found = choose(None, valkey.path().as_os_str());
        assert_eq!(found, Ok(valkey.path().join("valkey-server")));
    }

    #[test]
    fn the_named_binary_is_taken_by_name_or_by_path() {
        let bin = directory_with(&["redis-server", "other-server"]);
        let other = bin.path().join("other-server");
        let path = bin.path().as_os_str();
        assert_eq!(
            choose(Some(OsStr::new("other-server")), path),
            Ok(other.clone())
        );
        assert_eq!(choose(Some(other.as_os_str()), OsStr::new("")), Ok(other));
    }

    #[test]
    fn a_missing_binary_is_an_error_that_says_how_to_get_it() {
        let bin = directory_with(&["redis-server"]);
        let named = choose(Some(OsStr::new("absent-server")), bin.path().as_os_str()).unwrap_err();
        assert!(
            named.contains("SHELFLIFE_TEST_REDIS_SERVER names absent-server"),
            "{named}"
        );
        let none = choose(None, OsStr::new("")).unwrap_err();
        for hint in [
            "apt-get install redis-server",
            "brew install redis",
            VARIABLE,
        ] {
            assert!(none.contains(hint), "{none}");
        }
    }
}
