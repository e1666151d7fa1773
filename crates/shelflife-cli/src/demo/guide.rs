//! What to try: printed at the start, and the answer to `GET /`.

use std::net::SocketAddr;
use std::path::Path;

use super::DemoArgs;
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
pub(crate) fn print(address: SocketAddr, store: &str, args: &DemoArgs) -> Result<(), Failure> {
    let base = format!("http://{address}");
    // First and alone on its line: scripts wait for it.
    output::line(format!("listening on {base}"))?;
    output::line("")?;
    output::table(
        &[
            vec!["  database".to_owned(), args.database.display().to_string()],
            vec!["  cache".to_owned(), store.to_owned()],
            vec![
                "  answers".to_owned(),
                format!(
                    "fresh for {}, then stale for at most {}",
                    args.ttl, args.stale
                ),
            ],
        ],
        &[],
    )?;
    output::line("\nTry, in this order, and watch Cache-Status:\n")?;
    for example in &EXAMPLES {
        output::line(format!(
            "  # {}\n  {}",
            example.shows,
            example.command(&base)
        ))?;
    }
    output::line(format!(
        "  # {}\n  {}",
        "the database gone: stored answers go on",
        away(&args.database)
    ))?;
    output::line("\nor let it walk by itself: shelflife demo --tour. Ctrl-C ends it.")
}

fn away(database: &Path) -> String {
    let name = database.display();
    format!("mv '{name}' '{name}-away'   # and back: mv '{name}-away' '{name}'")
}
