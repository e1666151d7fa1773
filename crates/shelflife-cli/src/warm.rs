//! `shelflife warm`: fills a cache by asking for what clients will ask for.
//!
//! ```text
//!   lines of a file or of stdin │ a sitemap          (list)
//!        └─► URLs, each once, without those that are noted as done ─► workers ─► tally ─► sum
//!                                        rate, per host, retries       (work)
//! ```
//!
//! Nothing is stored by hand: the cache on the way stores what it may, by its own rules.
//!
//! Must not: know a rule of HTTP caching. What a cache did it tells itself.

mod journal;
mod list;
mod show;
mod sitemap;
mod tally;
mod work;

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use axum::http::Uri;
use axum::http::uri::{PathAndQuery, Scheme};
use tokio::task::JoinError;

use crate::args::WarmArgs;
use crate::connect;
use crate::failure::Failure;
use crate::signals;
use crate::web::{self, Web};
use journal::Journal;
use list::Lines;
use show::Show;
use tally::Tally;
use work::{Job, Outcome, Work};

pub(crate) async fn run(args: WarmArgs) -> Result<(), Failure> {
    let patience = connect::duration("--timeout", &args.timeout)?;
    let web = Web::new(patience);
    let place = Place::of(&args)?;
    let (journal, done) = Journal::open(args.resume.as_deref())?;
    let ended = signals::end()?;
    tokio::pin!(ended);

    let lines = tokio::select! {
        lines = list::lines(&args, &web) => lines?,
        () = &mut ended => return Err(Failure::new("interrupted before anything was asked for")),
    };
    let work = Work::new(&args, web)?;
    let show = Show::new(args.json, lines.known());
    let mut tally = Tally::new();
    let feeding = Feed {
        place,
        lines,
        done,
        journal,
    };
    let interrupted = go(feeding, &work, &show, &mut tally, &mut ended).await?;
    show.end(&tally, interrupted)?;
    if interrupted {
        return Err(Failure::new("interrupted: not everything was asked for"));
    }
    match tally.failed {
        0 => Ok(()),
        n => Err(Failure::negative(format!("{n} of {} failed", tally.asked))),
    }
}

/// What is to be asked for, and where what is done is noted.
struct Feed {
    place: Place,
    lines: Lines,
    done: HashSet<String>,
    journal: Journal,
}

/// Asks for all of it, or until somebody has had enough: `true` then.
async fn go(
    mut feed: Feed,
    work: &Work,
    show: &Show,
    tally: &mut Tally,
    ended: &mut (impl Future<Output = ()> + Unpin),
) -> Result<bool, Failure> {
    let mut under_way = tokio::task::JoinSet::new();
    let mut more = true;
    while more || !under_way.is_empty() {
        tokio::select! {
            biased;
            () = &mut *ended => {
                under_way.abort_all();
                return Ok(true);
            }
            Some(finished) = under_way.join_next() => {
                count(finished, &mut feed.journal, tally)?;
                show.progress(tally);
            }
            next = feed.lines.next(), if more && under_way.len() < work.at_once() => match next? {
                None => more = false,
                Some(line) => {
                    let Some(job) = feed.place.job(&line, &mut feed.done, tally) else {
                        continue;
                    };
                    let work = work.clone();
                    under_way.spawn(async move { work.carry_out(job).await });
                }
            },
        }
    }
    Ok(false)
}

/// A request that has ended, however it did.
fn count(
    finished: Result<Outcome, JoinError>,
    journal: &mut Journal,
    tally: &mut Tally,
) -> Result<(), Failure> {
    match finished {
        Ok(outcome) => {
            journal.note(&outcome)?;
            tally.add(outcome);
        }
        // Which one it was has gone with it; it was asked for, and not answered.
        Err(error) => tally.refuse("a request", error.to_string()),
    }
    Ok(())
}

/// Whether a line names nothing that could be asked for: it is empty, or a comment where lines are URLs.
fn names_nothing(line: &str, template: Option<&str>) -> bool {
    let line = line.trim();
    line.is_empty() || (line.starts_with('#') && template.is_none())
}

/// From lines to URLs.
struct Place {
    base: Option<Uri>,
    keep_host: bool,
    template: Option<String>,
}

impl Place {
    fn of(args: &WarmArgs) -> Result<Self, Failure> {
        let base = args.base.as_deref().map(|text| web::url("--base", text));
        let base = base.transpose()?;
        if let Some(template) = &args.url {
            web::url("--url", &template.replace("{}", "x"))?;
            if !template.contains("{}") {
                return Err(Failure::new(format!("--url {template} has no {{}}")).hint(
                    "{} stands for each line, as in --url 'http://127.0.0.1:8080/users/{}'",
                ));
            }
        }
        Ok(Self {
            base,
            keep_host: args.keep_host,
            template: args.url.clone(),
        })
    }

    /// The job of a line; `None` for an empty one, a comment, or one that was done before. A line that is no
    /// URL counts as failed.
    fn job(&self, line: &str, done: &mut HashSet<String>, tally: &mut Tally) -> Option<Job> {
        let line = line.trim();
        if names_nothing(line, self.template.as_deref()) {
            return None;
        }
        match self.resolve(line) {
            Ok(job) if done.insert(job.name.clone()) => Some(job),
            Ok(_) => {
                tally.skipped += 1;
                None
            }
            Err(error) => {
                tally.refuse(line, error);
                None
            }
        }
    }

    fn resolve(&self, line: &str) -> Result<Job, String> {
        let filled = self
            .template
            .as_ref()
            .map(|t| t.replace("{}", &web::encoded(line)));
        let text = filled.as_deref().unwrap_or(line);
        let given: Uri = text.parse().map_err(|_| "is no URL".to_owned())?;
        let path = given.path_and_query().cloned();
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let host = given.authority().filter(|_| given.scheme().is_some());
        let is_web = matches!(given.scheme_str(), Some("http" | "https"));
        let uri = match (&self.base, host) {
            (None, Some(_)) if is_web => given.clone(),
            (None, _) => return Err("is no http or https URL, and there is no --base".to_owned()),
            (Some(base), _) if text.starts_with('/') || host.is_some() => Uri::builder()
                .scheme(base.scheme().cloned().unwrap_or(Scheme::HTTP))
                .authority(base.authority().map_or("", |host| host.as_str()))
                .path_and_query(path)
                .build()
                .map_err(|error| error.to_string())?,
            (Some(_), _) => return Err("begins with neither / nor http".to_owned()),
        };
        let host = host.filter(|_| self.keep_host && self.base.is_some());
        Ok(Job {
            name: text.to_owned(),
            uri,
            host: host.map(|host| host.as_str().to_owned()),
        })
    }
}

/// Between the first two attempts, and at most.
const BACK_OFF: Duration = Duration::from_millis(200);
const BACK_OFF_MOST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn place(base: Option<&str>, template: Option<&str>, keep_host: bool) -> Place {
        Place {
            base: base.map(|b| b.parse().unwrap()),
            keep_host,
            template: template.map(str::to_owned),
        }
    }

    #[test]
    fn lines_become_urls() {
        let base = Some("http://127.0.0.1:8080");
        let told = |place: Place, line: &str| {
            let job = place.resolve(line)?;
            Ok::<_, String>((job.uri.to_string(), job.host))
        };
        let url = |text: &str| Ok((text.to_owned(), None));
        assert_eq!(
            told(place(None, None, false), "http://h/a?b=1"),
            url("http://h/a?b=1")
        );
        assert_eq!(
            told(place(base, None, false), "/a?b=1"),
            url("http://127.0.0.1:8080/a?b=1")
        );
        assert_eq!(
            told(place(base, None, false), "https://shop/a"),
            url("http://127.0.0.1:8080/a")
        );
        assert_eq!(
            told(place(base, None, true), "https://shop/a"),
            Ok((
                "http://127.0.0.1:8080/a".to_owned(),
                Some("shop".to_owned())
            ))
        );
        assert_eq!(
            told(place(None, Some("http://h/users/{}/x"), false), "a b/ü"),
            url("http://h/users/a%20b%2F%C3%BC/x")
        );
        assert!(
            told(place(None, None, false), "/a")
                .unwrap_err()
                .contains("--base")
        );
        assert!(told(place(base, None, false), "a").is_err());
        assert!(told(place(None, None, false), "ftp://h/a").is_err());
    }

    #[tokio::test]
    async fn a_request_that_ended_without_an_outcome_has_failed() {
        let ended = tokio::spawn(async { panic!("on purpose") });
        let (mut journal, _) = Journal::open(None).unwrap();
        let mut tally = Tally::new();
        count(ended.await, &mut journal, &mut tally).unwrap();
        assert_eq!((tally.asked, tally.failed), (1, 1));
    }

    #[test]
    fn each_url_is_asked_for_once() {
        let place = place(Some("http://h"), None, false);
        let (mut done, mut tally) = (HashSet::from(["/b".to_owned()]), Tally::new());
        let lines = ["/a", "", "# a comment", "/a", "/b", " /c "];
        let jobs = lines
            .iter()
            .filter_map(|l| place.job(l, &mut done, &mut tally));
        let names: Vec<_> = jobs.map(|job| job.name).collect();
        assert_eq!(names, ["/a", "/c"]);
        assert_eq!(tally.skipped, 2);
    }
}
