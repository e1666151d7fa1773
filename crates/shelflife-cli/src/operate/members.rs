//! `shelflife members`: the processes that follow the log, and how far each has applied it.

use crate::args::MembersArgs;
use crate::connect;
use crate::failure::Failure;
use crate::output;

pub(crate) async fn run(args: MembersArgs) -> Result<(), Failure> {
    let cache = connect::shared(&args.operator.store).await?;
    let members = cache
        .members()
        .await
        .map_err(|error| Failure::new(format!("cannot ask the store: {error}")))?;
    if args.operator.json {
        return output::json(&members);
    }
    if members.is_empty() {
        return output::line("nobody follows this namespace");
    }
    let heading = ["member", "applied", "lag", "silent", "window"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for member in members {
        let tick = |tick: Option<u64>| tick.map_or("none".to_owned(), |t| t.to_string());
        rows.push(vec![
            member.member,
            tick(member.applied),
            member.lag.map_or("-".to_owned(), |lag| format!("{lag} µs")),
            format!("{} ms", member.silent_ms),
            if member.window_open { "open" } else { "closed" }.to_owned(),
        ]);
    }
    output::table(&rows, &[1, 2, 3])
}
