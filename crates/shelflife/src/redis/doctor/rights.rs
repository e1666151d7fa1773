//! Rights: those that shelflife needs, and those that a cache should not have.

use super::facts::Place;
use super::mend::{Mend, quoted};
use super::{Facts, diagnosis};
use crate::doctor::{Diagnosis, Severity};
use crate::redis::names::Names;
use crate::settings::is_namespace;

/// Stands for a key in the words of a command.
const KEY: &str = "KEY";
/// A key of somebody else.
const OTHERS: &str = "shelflife-doctor:a-key-of-somebody-else";

/// Kinds of keys, as rights tell them apart.
const CLOCK: usize = 0;
const LOG: usize = 1;
const MEMBERS: usize = 2;
const TAGS: usize = 3;
const ENTRIES: usize = 4;
const KINDS: usize = 5;

/// What is needed: the rule that grants it, the command, the kinds of keys that it is run on.
type Need = (&'static str, &'static [&'static str], &'static [usize]);

/// The same as deploy/redis/users.acl gives to applications.
const NEEDED: &[Need] = &[
    (
        "client|setinfo",
        &["CLIENT", "SETINFO", "lib-name", "x"],
        &[],
    ),
    ("info", &["INFO"], &[]),
    ("ping", &["PING"], &[]),
    ("time", &["TIME"], &[]),
    ("eval", &["EVAL", "return 1", "0"], &[]),
    ("evalsha", &["EVALSHA", "x", "0"], &[]),
    ("scan", &["SCAN", "0"], &[]),
    ("type", &["TYPE", KEY], &[MEMBERS, ENTRIES]),
    ("exists", &["EXISTS", KEY], &[MEMBERS]),
    ("pttl", &["PTTL", KEY], &[TAGS, ENTRIES]),
    ("pexpire", &["PEXPIRE", KEY, "1"], &[TAGS, ENTRIES]),
    ("persist", &["PERSIST", KEY], &[ENTRIES]),
    ("unlink", &["UNLINK", KEY], &[ENTRIES]),
    ("del", &["DEL", KEY], &[LOG, MEMBERS]),
    ("get", &["GET", KEY], &[CLOCK, MEMBERS, TAGS, ENTRIES]),
    ("getrange", &["GETRANGE", KEY, "0", "1"], &[ENTRIES]),
    ("mget", &["MGET", KEY], &[CLOCK, MEMBERS, TAGS, ENTRIES]),
    ("set", &["SET", KEY, "x"], &[CLOCK, MEMBERS, TAGS, ENTRIES]),
    ("setrange", &["SETRANGE", KEY, "0", "x"], &[ENTRIES]),
    ("xadd", &["XADD", KEY, "*", "f", "v"], &[LOG]),
    ("xlen", &["XLEN", KEY], &[LOG]),
    ("xrange", &["XRANGE", KEY, "-", "+"], &[LOG]),
    ("xread", &["XREAD", "STREAMS", KEY, "0"], &[LOG]),
    ("xrevrange", &["XREVRANGE", KEY, "+", "-"], &[LOG]),
    ("zadd", &["ZADD", KEY, "1", "x"], &[MEMBERS]),
    ("zrange", &["ZRANGE", KEY, "0", "1"], &[MEMBERS]),
    (
        "zrangebyscore",
        &["ZRANGEBYSCORE", KEY, "0", "1"],
        &[MEMBERS],
    ),
    ("zrem", &["ZREM", KEY, "x"], &[MEMBERS]),
    ("zscore", &["ZSCORE", KEY, "x"], &[MEMBERS]),
];

/// What is needed for another database than the first.
const ELSEWHERE: &[Need] = &[("select", &["SELECT", "1"], &[])];
/// What is needed in a cluster: there the words after `@cluster@` in that file.
const OF_A_CLUSTER: &[Need] = &[
    ("asking", &["ASKING"], &[]),
    ("cluster|nodes", &["CLUSTER", "NODES"], &[]),
];

/// What would empty the server, stop it, hold it up, or hand it over.
const DANGEROUS: &[(&str, &[&str])] = &[
    ("flushall", &["FLUSHALL"]),
    ("flushdb", &["FLUSHDB"]),
    ("swapdb", &["SWAPDB", "0", "1"]),
    ("keys", &["KEYS", "*"]),
    ("monitor", &["MONITOR"]),
    ("shutdown", &["SHUTDOWN"]),
    ("debug", &["DEBUG", "SLEEP", "0"]),
    ("config|set", &["CONFIG", "SET", "x", "x"]),
    ("acl|setuser", &["ACL", "SETUSER", "x"]),
    ("replicaof", &["REPLICAOF", "NO", "ONE"]),
    ("module|load", &["MODULE", "LOAD", "x"]),
    ("script|flush", &["SCRIPT", "FLUSH"]),
];

/// What is asked about, and how the answers are read.
#[derive(Debug)]
pub(in crate::redis) struct Checks {
    needed: Vec<Need>,
    /// All keys that are needed.
    pub(super) patterns: [String; KINDS],
    names: [String; KINDS],
}

/// What the user may do, and may not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rights {
    /// Rules that grant what is needed, as far as the server knows it.
    pub(crate) needed: Vec<&'static str>,
    /// Those of them that are not granted.
    pub(crate) missing: Vec<&'static str>,
    /// Patterns of keys that are out of reach.
    pub(crate) unreachable: Vec<String>,
    pub(crate) dangerous: Vec<&'static str>,
    /// Whether other keys than shelflife's are in reach.
    pub(crate) reaches_others: bool,
}

impl Checks {
    pub(in crate::redis) fn of(names: &Names, place: &Place) -> Self {
        let mut needed = NEEDED.to_vec();
        if place.db != 0 {
            needed.extend(ELSEWHERE);
        }
        if place.of_a_cluster {
            needed.extend(OF_A_CLUSTER);
        }
        Self {
            needed,
            patterns: patterns(names),
            names: [
                names.clock.clone(),
                names.log.clone(),
                names.members_beats.clone(),
                names.tag("shelflife-doctor"),
                names.entry("shelflife-doctor"),
            ],
        }
    }

    /// The commands that are asked about, each as its words.
    pub(in crate::redis) fn commands(&self) -> Vec<Vec<&str>> {
        let with = |words: &'static [&'static str], key| {
            let word = |word: &'static str| if word == KEY { key } else { word };
            words.iter().copied().map(word).collect::<Vec<&str>>()
        };
        let needed = self.needed.iter().flat_map(|(_, words, kinds)| {
            // A command without a key is asked about once.
            let times = if kinds.is_empty() { 1 } else { KINDS };
            (0..times).map(move |kind| with(words, &self.names[kind]))
        });
        let dangerous = DANGEROUS.iter().map(|(_, words)| words.to_vec());
        needed
            .chain(dangerous)
            .chain([vec!["GET", OTHERS]])
            .collect()
    }

    /// What the answers to these say; `None` when they are not as many.
    pub(in crate::redis) fn read(&self, answers: &str) -> Option<Rights> {
        let mut answers = answers.bytes();
        let mut rights = Rights::default();
        let mut out_of_reach = [false; KINDS];
        for (rule, _, kinds) in &self.needed {
            let times = if kinds.is_empty() { 1 } else { KINDS };
            let said: Vec<u8> = answers.by_ref().take(times).collect();
            if said.len() < times {
                return None;
            }
            if said.contains(&b'?') {
                continue;
            }
            rights.needed.push(rule);
            if !said.contains(&b'y') {
                rights.missing.push(rule);
                continue;
            }
            for &kind in *kinds {
                out_of_reach[kind] |= said[kind] != b'y';
            }
        }
        // Where no command is granted on any key, the keys are what is missing, too.
        let keyed = self.needed.iter().filter(|(.., kinds)| !kinds.is_empty());
        let none = keyed
            .clone()
            .all(|(rule, ..)| rights.missing.contains(rule));
        let missed = self.patterns.iter().zip(out_of_reach);
        rights.unreachable = missed
            .filter(|(_, missed)| *missed || none)
            .map(|(pattern, _)| pattern.clone())
            .collect();
        for (rule, _) in DANGEROUS {
            if answers.next()? == b'y' {
                rights.dangerous.push(rule);
            }
        }
        rights.reaches_others = answers.next()? == b'y';
        Some(rights)
    }
}

/// The keys of a namespace, as rules.
fn patterns(names: &Names) -> [String; KINDS] {
    let control = names.control_prefix();
    [
        format!("~{}", names.clock),
        format!("~{}", names.log),
        format!("~{control}members:*"),
        format!("~{}*", names.tag_prefix),
        format!("~{}*", names.entry_prefix),
    ]
}

/// The namespaces of a server: a user may be used for more than the one that is looked at.
pub(super) struct Beside {
    namespaces: Vec<String>,
    /// Whether there are no others.
    all: bool,
}

impl Beside {
    /// How many of them one line names: each is five patterns.
    const NAMED: usize = 50;

    pub(super) fn of(facts: &Facts) -> Self {
        let met = facts.survey.as_ref().ok();
        let others = met.into_iter().flat_map(|survey| survey.spaces.keys());
        let others = others.filter(|name| is_namespace(name) && **name != facts.namespace);
        let mut namespaces: Vec<String> = [&facts.namespace]
            .into_iter()
            .chain(others)
            .cloned()
            .collect();
        let too_many = namespaces.len() > Self::NAMED;
        namespaces.truncate(Self::NAMED);
        Self {
            namespaces,
            all: met.is_some_and(|survey| survey.complete && !survey.more_spaces) && !too_many,
        }
    }

    fn patterns(&self) -> Vec<String> {
        let each = self.namespaces.iter();
        each.flat_map(|name| patterns(&Names::of(name))).collect()
    }
}

impl Rights {
    /// The rules that give a user what is needed. A new one has nothing else; one that was made for another namespace,
    /// or another database, keeps what it has.
    fn rules(&self, beside: &Beside) -> Vec<String> {
        let mut rules = vec!["resetchannels".to_owned()];
        rules.extend(beside.patterns());
        rules.extend(self.needed.iter().map(|rule| format!("+{rule}")));
        rules
    }
}

pub(super) fn rules(facts: &Facts, mend: &Mend, beside: &Beside, found: &mut Vec<Diagnosis>) {
    if let Ok(rights) = &facts.rights {
        found.extend(missing(facts, rights, mend));
        found.extend(too_many(facts, rights, mend, beside));
    }
    found.extend(open(facts, mend, beside));
}

fn missing(facts: &Facts, rights: &Rights, mend: &Mend) -> Option<Diagnosis> {
    if rights.missing.is_empty() && rights.unreachable.is_empty() {
        return None;
    }
    let user = facts.place.user.as_str();
    let grants: Vec<String> = rights.missing.iter().map(|r| format!("+{r}")).collect();
    let words: Vec<&str> = ["ACL", "SETUSER", user]
        .into_iter()
        .chain(rights.unreachable.iter().map(String::as_str))
        .chain(grants.iter().map(String::as_str))
        .collect();
    let lacks: Vec<&str> = words.get(3..).unwrap_or_default().to_vec();
    Some(diagnosis(
        "rights_missing",
        Severity::Error,
        format!("the user {user} lacks {}", lacks.join(" ")),
        "what needs them is denied: nothing is stored, or no invalidation is confirmed, or no process can follow the log",
        [vec![ADMIN.to_owned()], mend.admin_everywhere(&words)].concat(),
    ))
}

const ADMIN: &str = "# as a user who may change users:";

fn too_many(facts: &Facts, rights: &Rights, mend: &Mend, beside: &Beside) -> Option<Diagnosis> {
    if rights.dangerous.is_empty() && !rights.reaches_others {
        return None;
    }
    let user = facts.place.user.as_str();
    let mut may = Vec::new();
    if !rights.dangerous.is_empty() {
        may.push(format!("run {}", rights.dangerous.join(", ")));
    }
    if rights.reaches_others {
        may.push("touch keys that are not shelflife's".to_owned());
    }
    let mends = match user {
        "default" => own_user(facts, rights, mend, beside),
        user => less(user, rights, mend, beside),
    };
    Some(diagnosis(
        "rights_excess",
        match facts.place.is_here() {
            true => Severity::Info,
            false => Severity::Warning,
        },
        format!("the user {user} may {}", may.join(", and ")),
        "an application that is taken over, or a mistake in it, can do that to everybody who uses this server",
        mends,
    ))
}

/// Takes away what is too much, and nothing else: what it is used for beside is its own.
fn less(user: &str, rights: &Rights, mend: &Mend, beside: &Beside) -> Vec<String> {
    let mut rules = Vec::new();
    let mut lines = vec![ADMIN.to_owned()];
    if rights.reaches_others {
        rules.push("resetkeys".to_owned());
        rules.extend(beside.patterns());
        lines.push(match beside.all {
            true => "# it keeps the keys of the namespaces that are in this database: add those that are still to come, and what else its applications keep here".to_owned(),
            false => "# it keeps the keys of the namespaces that were met, and not all names were looked at: add the others, and what else its applications keep here".to_owned(),
        });
    }
    rules.extend(rights.dangerous.iter().map(|rule| format!("-{rule}")));
    let words = ["ACL", "SETUSER", user].into_iter();
    let words: Vec<&str> = words.chain(rules.iter().map(String::as_str)).collect();
    lines.extend(mend.admin_everywhere(&words));
    lines
}

/// Makes a user of shelflife's own, and tells its URL: the same place, another user. Replicas have users of their own.
fn own_user(facts: &Facts, rights: &Rights, mend: &Mend, beside: &Beside) -> Vec<String> {
    let rules = rights.rules(beside);
    let rules: Vec<String> = rules.iter().map(|rule| quoted(rule)).collect();
    let given = &facts.place.given;
    let part = |text: &str| match text {
        "" => String::new(),
        text => quoted(text),
    };
    let mut lines = vec![
        // All nodes of a cluster, and all lines here, take the same one; in lower case it is no variable of an environment.
        format!(
            "own_password=${{own_password:-$({} ACL GENPASS)}}",
            mend.cli()
        ),
    ];
    lines.extend(mend.clis().map(|cli| {
        format!(
            "{cli} ACL SETUSER shelflife on \">$own_password\" {}",
            rules.join(" ")
        )
    }));
    if facts.has_sentinels() && !mend.has_replicas() {
        lines.push(
            "# and on each server that sentinels may make the primary: nobody tells it of users"
                .to_owned(),
        );
    }
    lines.push(format!(
        "echo SHELFLIFE_URL={}shelflife{}\"$own_password\"{}",
        part(&given.before),
        part(given.between),
        part(&given.after)
    ));
    if given.told_sentinels {
        lines.push("# with sentinel_user and sentinel_password as they are".to_owned());
    }
    lines
}

/// Gives the user `default` a password. It is not switched off: often nobody else may change users, or settings.
///
/// Replicas come to their primary as `default`, too, and have to be told before. Sentinels count a server that refuses
/// them as down: how they are to be told only those know who have set them up.
fn password(facts: &Facts, mend: &Mend) -> Vec<String> {
    if facts.has_sentinels() {
        return vec![
            "# sentinels take a server that refuses them for one that is down: before the user default has a password, they need auth-user and auth-pass, and each server masteruser and masterauth".to_owned(),
            "# deploy/compose.sentinel.yaml has all of it; then, on each server: ACL SETUSER default resetpass".to_owned(),
        ];
    }
    let mut lines = vec![
        "# from here on who has no password is refused: have the applications use theirs before"
            .to_owned(),
        format!(
            "admin_password=${{admin_password:-$({})}}",
            mend.admin(["ACL", "GENPASS"])
        ),
    ];
    if mend.has_replicas() {
        lines.push("# sentinels that watch these servers need auth-pass before".to_owned());
        for cli in mend.admins() {
            lines.push(format!("{cli} CONFIG SET masteruser default"));
            lines.push(format!("{cli} CONFIG SET masterauth \"$admin_password\""));
        }
    }
    lines.extend(
        mend.admins()
            .map(|cli| format!("{cli} ACL SETUSER default resetpass \">$admin_password\"")),
    );
    lines.push("export REDISCLI_AUTH=\"$admin_password\"".to_owned());
    lines.push("echo REDISCLI_AUTH=\"$admin_password\"".to_owned());
    lines
}

fn open(facts: &Facts, mend: &Mend, beside: &Beside) -> Option<Diagnosis> {
    if facts.open != Ok(true) {
        return None;
    }
    let is_loopback = |host: &str| {
        let host = host.trim_start_matches('-');
        host.starts_with("127.") || host == "::1"
    };
    // What is not told counts as open.
    let bound = facts.parameter("bind").filter(|bound| !bound.is_empty());
    let bound_here = bound.is_some_and(|bound| bound.split_whitespace().all(is_loopback));
    let protected = facts.parameter("protected-mode") == Some("yes");
    let contained = facts.place.is_here() && (protected || bound_here);
    let mends = match (facts.place.has_secret, &facts.rights) {
        (true, _) => [vec![ADMIN.to_owned()], password(facts, mend)].concat(),
        (false, Ok(rights)) if !rights.needed.is_empty() => {
            [
                own_user(facts, rights, mend, beside),
                password(facts, mend),
            ]
            .concat()
        }
        // Who is shut out then could not be given another way in.
        _ => vec![
            "# give applications a user of their own (deploy/redis/users.acl), then the user default a password".to_owned(),
        ],
    };
    Some(diagnosis(
        "open_server",
        match contained {
            true => Severity::Info,
            false => Severity::Error,
        },
        "the server lets in whoever names no user and no password",
        match contained {
            true => "every process on this machine may read, change and empty the cache",
            false => "whoever reaches the port may read, change and empty the cache",
        },
        mends,
    ))
}
