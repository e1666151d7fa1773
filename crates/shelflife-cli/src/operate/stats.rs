//! `shelflife stats`: what the store holds, and how its server is doing.

use serde_json::Value;

use crate::args::StatsArgs;
use crate::connect;
use crate::failure::Failure;
use crate::output;

pub(crate) async fn run(args: StatsArgs) -> Result<(), Failure> {
    let cache = connect::shared(&args.operator.store).await?;
    let overview = cache
        .overview()
        .await
        .map_err(|error| Failure::new(format!("cannot ask the store: {error}")))?;
    if args.operator.json {
        return output::json(&overview);
    }
    let rows = serde_json::to_value(&overview).map_err(|error| Failure::new(error.to_string()))?;
    let rows = rows
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| row(name, value));
    output::table(&rows.collect::<Vec<_>>(), &[])
}

/// A line of the table under the name that JSON has too; nothing for what the store does not tell.
fn row(name: &str, value: &Value) -> Option<Vec<String>> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(vec![name.replace('_', " "), text])
}
