//! `shelflife doctor`: what bites a cache, and what mends it.
//!
//! Must not: know a rule. What is wrong, and what mends it, is told by the library.

use serde_json::Value;
use shelflife::{Checkup, CheckupPlan, Diagnosis, Severity};

use crate::args::{DoctorArgs, FailOn};
use crate::connect;
use crate::failure::Failure;
use crate::page::Page;
use crate::signals;

mod show;

use show::Show;

pub(crate) async fn run(args: DoctorArgs) -> Result<(), Failure> {
    let (cache, store) = connect::ailing(&args.operator.store).await?;
    let plan = CheckupPlan::new()
        .rate(args.rate)
        .most(args.names)
        .pings(args.pings);
    let checkup = cache.checkup(plan).await;
    let mut checkup = checkup.map_err(|error| store.cannot_open(&error))?;
    if let Some(url) = &args.url {
        hear(&mut checkup, &Page::open(url, args.token_file.as_deref())?).await?;
    }
    let show = Show::new(args.operator.json);
    let whole = look(&mut checkup, &show).await?;
    let mut findings = checkup.findings();
    findings.retain(|it| !args.ignore.iter().any(|name| name == it.check));
    show.end(&checkup.vitals(), &findings)?;
    if !whole {
        return Err(Failure::new("interrupted: not every name was looked at"));
    }
    verdict(&findings, args.fail_on)
}

/// What a process reads most, what takes most of its memory, and of which namespace that is, by its page.
async fn hear(checkup: &mut Checkup, page: &Page) -> Result<(), Failure> {
    let now = page.ask("now").await?;
    let (hot, large) = (page.ask("hot?n=20").await?, page.ask("largest?n=20").await?);
    let each = |listed: &Value| listed.as_array().cloned().unwrap_or_default();
    let name = |it: &Value, of: &str| it[of].as_str().map(str::to_owned);
    let hot = each(&hot["keys"]);
    let hot = hot
        .iter()
        .filter_map(|it| Some((name(it, "name")?, it["share"].as_f64()?)));
    let large = each(&large["entries"]);
    let large = large
        .iter()
        .filter_map(|it| Some((name(it, "key")?, it["bytes"].as_u64()?)));
    checkup.heard(hot.collect(), large.collect());
    if let Some(namespace) = now["namespace"].as_str() {
        checkup.heard_in(namespace);
    }
    Ok(())
}

/// Looks to the end, or until somebody has had enough: `false` then.
async fn look(checkup: &mut Checkup, show: &Show) -> Result<bool, Failure> {
    let ended = signals::end()?;
    tokio::pin!(ended);
    loop {
        let stepped = tokio::select! {
            biased;
            () = &mut ended => return Ok(false),
            stepped = checkup.step() => stepped,
        };
        match stepped {
            Ok(Some(progress)) => show.progress(progress),
            Ok(None) => return Ok(true),
            Err(error) => return Err(Failure::new(format!("cannot check: {error}"))),
        }
    }
}

fn verdict(findings: &[Diagnosis], fail_on: FailOn) -> Result<(), Failure> {
    let least = match fail_on {
        FailOn::Info => Severity::Info,
        FailOn::Unchecked => Severity::Unchecked,
        FailOn::Warning => Severity::Warning,
        FailOn::Error => Severity::Error,
        FailOn::Never => return Ok(()),
    };
    let bad: Vec<&str> = findings
        .iter()
        .filter(|it| it.severity >= least)
        .map(|it| it.check)
        .collect();
    match bad.is_empty() {
        true => Ok(()),
        false => Err(Failure::negative(format!(
            "to be mended: {}",
            bad.join(", ")
        ))),
    }
}
