//! `shelflife doctor`: what bites a cache, and what mends it.
//!
//! Must not: know a rule. What is wrong, and what mends it, is told by the library.

use shelflife::{Checkup, CheckupPlan, Diagnosis, Severity};

use crate::args::{DoctorArgs, FailOn};
use crate::connect;
use crate::failure::Failure;
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
