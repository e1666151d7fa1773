//! The scripts: the steps of the protocol that must be atomic, in Lua, run by EVALSHA with EVAL as
//! fallback.

use redis::Cmd;

/// A script with its digest.
pub(super) struct Script {
    code: &'static str,
    sha: std::sync::OnceLock<String>,
}

impl Script {
    const fn new(code: &'static str) -> Self {
        Self {
            code,
            sha: std::sync::OnceLock::new(),
        }
    }

    pub(super) fn evalsha(&self, keys: usize) -> Cmd {
        let sha = self
            .sha
            .get_or_init(|| redis::Script::new(self.code).get_hash().to_owned());
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(sha).arg(keys);
        cmd
    }

    pub(super) fn eval(&self, keys: usize) -> Cmd {
        let mut cmd = redis::cmd("EVAL");
        cmd.arg(self.code).arg(keys);
        cmd
    }
}

macro_rules! scripts {
    (@one $name:ident = [$($before:literal),+] $file:literal) => {
        pub(super) static $name: Script =
            Script::new(concat!($(include_str!($before),)+ include_str!($file)));
    };
    ($before:tt: $($name:ident = $file:literal;)*) => {
        $(scripts! { @one $name = $before $file })*
    };
}

scripts! { ["scripts/prelude.lua"]:
    CLOCK = "scripts/clock.lua";
    ENSURE = "scripts/ensure.lua";
    FILL = "scripts/fill.lua";
    INVALIDATE = "scripts/invalidate.lua";
    LOG = "scripts/log.lua";
    ENSURE_SINCE = "scripts/ensure_since.lua";
    BEGIN_WRITE = "scripts/begin_write.lua";
    WRITE = "scripts/write.lua";
    BEAT = "scripts/beat.lua";
    MEMBERS = "scripts/members.lua";
}

scripts! { ["scripts/prelude.lua", "scripts/named.lua"]:
    SET = "scripts/set.lua";
    CHECK = "scripts/check.lua";
}

scripts! { ["scripts/entry.lua"]:
    BEGIN = "scripts/begin.lua";
    EXTEND = "scripts/extend.lua";
    RELEASE = "scripts/release.lua";
    STEAL = "scripts/steal.lua";
    PUT = "scripts/put.lua";
    SOFTEN = "scripts/soften.lua";
}

pub(super) static RENOUNCE: Script = Script::new(include_str!("scripts/renounce.lua"));
pub(super) static RIGHTS: Script = Script::new(include_str!("scripts/rights.lua"));
pub(super) static READ_MANY: Script = Script::new(include_str!("scripts/read_many.lua"));
