//! `shelflife get`: what stands under a key, judged now.

use shelflife::Inspection;

use crate::args::GetArgs;
use crate::connect;
use crate::failure::Failure;
use crate::output;

pub(crate) async fn run(args: GetArgs) -> Result<(), Failure> {
    let cache = connect::shared(&args.operator.store).await?;
    let found = cache.inspect(connect::key(&args.key)).await;
    let found =
        found.map_err(|error| Failure::new(format!("cannot look at {}: {error}", args.key)))?;
    if args.operator.json {
        output::json(&found)?;
    } else {
        show(&found)?;
    }
    match found.state {
        "fresh" | "stale" => Ok(()),
        "absent" => Err(Failure::negative(format!(
            "nothing is stored under {}",
            found.key
        ))),
        state => Err(Failure::negative(format!(
            "{} is {state}: {}",
            found.key, found.reason
        ))),
    }
}

fn show(found: &Inspection) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut row = |name: &str, text: Option<String>| {
        rows.extend(text.map(|text| vec![name.to_owned(), text]))
    };
    row("key", Some(found.key.clone()));
    row("state", Some(format!("{} ({})", found.state, found.reason)));
    row("age", found.age_ms.map(seconds));
    row("fresh for", found.fresh_ms.map(seconds));
    row("servable for", found.stale_ms.map(seconds));
    row(
        "load cost",
        found
            .cost_us
            .map(|cost| format!("{:.1} ms", f64::from(cost) / 1000.0)),
    );
    row("size", size(found));
    row(
        "leased",
        found
            .leased
            .then(|| "yes: somebody is loading it".to_owned()),
    );
    row("epoch", found.epoch.clone());
    row("clock", Some(found.clock.clone()));
    for tag in &found.tags {
        row(
            "tag",
            Some(format!(
                "{} ({})",
                tag.tag,
                last_invalidated(tag.hard, tag.soft)
            )),
        );
    }
    output::table(&rows, &[])?;
    let Some(value) = &found.value else {
        return Ok(());
    };
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
    output::line(format!("\n{text}"))
}

fn seconds(ms: i64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}

fn size(found: &Inspection) -> Option<String> {
    let bytes = found.bytes?;
    Some(match found.stored_bytes {
        Some(stored) if stored != bytes => format!("{bytes} bytes, stored in {stored}"),
        _ => format!("{bytes} bytes"),
    })
}

/// The ticks beside which the entry's epoch is to be held.
fn last_invalidated(hard: Option<u64>, soft: Option<u64>) -> String {
    match (hard, soft) {
        (None, _) => "its record is missing".to_owned(),
        (Some(hard), None | Some(0)) => format!("tick {hard}"),
        (Some(hard), Some(soft)) => format!("tick {hard}, soft {soft}"),
    }
}
