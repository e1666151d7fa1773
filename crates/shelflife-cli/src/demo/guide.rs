//! What to try: printed at the start, and the answer to `GET /`.

use std::net::SocketAddr;
use std::path::Path;

use super::users::Users;
use crate::args::DemoArgs;
use crate::connect::Store;
use crate::failure::Failure;
use crate::output;

/// A command for a shell, and what it is there to show.
pub(crate) struct Example {
    options: &'static str,
    path: &'static str,
    pub(crate) shows: &'static str,
}

impl Example {
    /// The whole command, for the API at `base`.
    pub(crate) fn command(&self, base: &str) -> String {
        format!("curl -i{} '{base}{}'", self.options, self.path)
    }
}

pub(crate) const EXAMPLES: [Example; 7] = [
    Example {
        options: "",
        path: "/users/1",
        shows: "a miss: real queries over all orders",
    },
    Example {
        options: "",
        path: "/users/1",
        shows: "again, a hit: from this process's memory",
    },
    Example {
        options: r#" -X PUT -d '{"name": "Ada Lovelace", "city": "London"}'"#,
        path: "/users/1",
        shows: "a write: its event invalidates the profile and the lists",
    },
    Example {
        options: "",
        path: "/users/1",
        shows: "a miss again, with the new name",
    },
    Example {
        options: "",
        path: "/users?page=2",
        shows: "the list, the biggest spenders first",
    },
    Example {
        options: " -X DELETE",
        path: "/users/2",
        shows: "a user less: everybody's rank is out of date",
    },
    Example {
        options: "",
        path: "/stats",
        shows: "how often the database was asked, and what the cache did",
    },
];

/// Prints where the API is and what can be tried.
pub(crate) fn print(
    address: SocketAddr,
    page: &str,
    store: &Store,
    users: &Users,
    args: &DemoArgs,
) -> Result<(), Failure> {
    let base = format!("http://{address}");
    let cache = format!("{store}, namespace {}", users.cache.namespace());
    let answers = format!(
        "fresh for {}, then stale for at most {}",
        args.ttl, args.stale
    );
    // First and alone on its line: scripts wait for it.
    output::line(format!("listening on {base}\n"))?;
    let facts = [
        ("  database", args.database.display().to_string()),
        ("  cache", cache),
        ("  answers", answers),
        ("  page", format!("{page}  what the cache does, live")),
    ];
    output::table(&facts.map(|(name, text)| vec![name.to_owned(), text]), &[])?;
    output::line("\nTry, in this order, and watch Cache-Status:\n")?;
    for example in &EXAMPLES {
        show(example.shows, &example.command(&base))?;
    }
    show(
        "the database gone: what is stored goes on being answered",
        &away(&args.database),
    )?;
    if store.is_shared() {
        output::line(
            "Look inside, from another terminal, with the same --redis and --namespace:\n",
        )?;
        show(
            "what is stored, and why it is fresh, stale or dead",
            "shelflife get user:1",
        )?;
        show(
            "an invalidation by hand, for every demo on this server",
            "shelflife invalidate --tag user:1",
        )?;
    }
    output::line("Or let it walk by itself: shelflife demo --tour. Ctrl-C ends it.")
}

fn show(what: &str, command: &str) -> Result<(), Failure> {
    output::line(format!("  # {what}\n  {command}\n"))
}

fn away(database: &Path) -> String {
    let name = database.display();
    format!("mv '{name}' '{name}-away'   # and back: mv '{name}-away' '{name}'")
}
