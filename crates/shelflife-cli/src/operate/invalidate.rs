//! `shelflife invalidate`: makes entries dead, or stale, for every process that shares the store.

use serde_json::json;
use shelflife::Invalidation;

use crate::args::{InvalidateArgs, WhatArgs};
use crate::connect;
use crate::failure::Failure;
use crate::output;

pub(crate) async fn run(args: InvalidateArgs) -> Result<(), Failure> {
    let cache = connect::shared(&args.operator.store).await?;
    let invalidating = cache.invalidate(invalidation(&args.what, args.soft));
    let receipt = match args.everywhere {
        true => invalidating.everywhere().await,
        false => invalidating.await,
    };
    let receipt = receipt.map_err(|error| {
        Failure::new(format!("not confirmed: {error}"))
            .hint("entries may still be served; run it again")
    })?;
    if args.operator.json {
        return output::json(&json!({
            "receipt": receipt.to_string(),
            "keys": args.what.key,
            "tags": args.what.tag,
            "patterns": args.what.pattern,
            "all": args.what.all,
            "soft": args.soft,
            "everywhere": args.everywhere,
        }));
    }
    let how = if args.soft { "softly " } else { "" };
    output::line(format!(
        "{how}invalidated {}, receipt {receipt}",
        describe(&args.what)
    ))
}

fn invalidation(what: &WhatArgs, soft: bool) -> Invalidation {
    let mut invalidation = Invalidation::new();
    for key in &what.key {
        invalidation = invalidation.key(connect::key(key));
    }
    for tag in &what.tag {
        invalidation = invalidation.tag(tag.as_str());
    }
    for pattern in &what.pattern {
        invalidation = invalidation.pattern(pattern.as_str());
    }
    if what.all {
        invalidation = invalidation.all();
    }
    if soft {
        invalidation.soft()
    } else {
        invalidation
    }
}

fn describe(what: &WhatArgs) -> String {
    let kinds = [
        ("key", &what.key),
        ("tag", &what.tag),
        ("pattern", &what.pattern),
    ];
    let named = kinds
        .iter()
        .flat_map(|(kind, names)| names.iter().map(move |name| format!("{kind} {name}")));
    named
        .chain(what.all.then(|| "everything".to_owned()))
        .collect::<Vec<_>>()
        .join(", ")
}
