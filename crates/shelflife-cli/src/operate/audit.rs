//! `shelflife audit`: do the tiers answer what they promise?

use std::time::Duration;

use shelflife::{Audit, AuditPlan, Finding};
use tokio::time::Instant;

use crate::args::AuditArgs;
use crate::connect;
use crate::failure::Failure;
use crate::signals;

mod show;

use show::Show;

/// Between two attempts while the server is away.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at the progress.
const PROGRESS: Duration = Duration::from_millis(200);

pub(crate) async fn run(args: AuditArgs) -> Result<(), Failure> {
    let length = args.duration.as_deref();
    let length = length.map(|text| connect::duration("--for", text));
    let length = length.transpose()?;
    let cache = connect::member(&args.operator.store).await?;
    let plan = AuditPlan::new()
        .rate(args.rate)
        .keys(args.keys.as_str())
        .keep(args.keep as usize);
    let plan = match args.once {
        true => plan.once(),
        false => plan,
    };
    let audit = cache.audit(plan).await;
    let mut audit = audit.map_err(|error| Failure::new(format!("cannot audit: {error}")))?;
    let mut show = Show::new(args.operator.json, length);
    show.begin(cache.namespace())?;
    let looked = look(&mut audit, length, &mut show).await;
    // Leaves the list of members: nobody waits for what has ended.
    cache.close().await;
    looked?;
    let summary = audit.summary();
    show.end(&summary)?;
    match summary.violations {
        0 => Ok(()),
        1 => Err(Failure::negative("the promise was broken, once")),
        n => Err(Failure::negative(format!(
            "the promise was broken, {n} times"
        ))),
    }
}

/// Looks until the time is over, or everything has been looked at, or somebody has had enough.
async fn look(audit: &mut Audit, length: Option<Duration>, show: &mut Show) -> Result<(), Failure> {
    let ended = signals::end()?;
    let over = async move {
        match length {
            Some(length) => tokio::time::sleep(length).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(ended, over);
    let mut lost = false;
    let mut told = Instant::now();
    loop {
        let found = tokio::select! {
            biased;
            () = &mut ended => return Ok(()),
            () = &mut over => return Ok(()),
            found = audit.step() => found,
        };
        match found {
            Ok(findings) => {
                if std::mem::take(&mut lost) {
                    show.back()?;
                }
                for finding in findings {
                    if matches!(finding, Finding::Done) {
                        return Ok(());
                    }
                    show.finding(&finding, &audit.summary())?;
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut lost, true) {
                    show.lost(&error)?;
                }
                tokio::select! {
                    () = &mut ended => return Ok(()),
                    () = &mut over => return Ok(()),
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            show.progress(&audit.summary());
        }
    }
}
