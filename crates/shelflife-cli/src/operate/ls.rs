//! `shelflife ls`: the keys of a namespace, as they are found.

use serde_json::json;

use crate::args::LsArgs;
use crate::connect;
use crate::failure::Failure;
use crate::output;

pub(crate) async fn run(args: LsArgs) -> Result<(), Failure> {
    let cache = connect::shared(&args.operator.store).await?;
    let mut scan = cache.scan(args.pattern.as_str());
    // Printed page by page: a large namespace is never held in memory.
    while let Some(keys) = scan
        .next()
        .await
        .map_err(|error| Failure::new(format!("cannot list: {error}")))?
    {
        for key in keys {
            match args.operator.json {
                true => output::json(&json!({ "key": key }))?,
                false => output::line(key)?,
            }
        }
    }
    Ok(())
}
