//! `shelflife demo`: a users API whose expensive reads are cached.
//!
//! ```text
//!   api ──► users ──► #[cached] ──► queries ──► database (SQLite, made by seed)
//!    ▲        └────► events ──► invalidations
//!   client ◄── tour
//! ```
//!
//! Read `users` first. Must not: sleep to look slow. What takes long is real work on real rows.

mod api;
mod client;
mod database;
mod error;
mod extract;
mod guide;
mod page;
mod queries;
mod random;
#[cfg(test)]
mod scratch;
mod seed;
mod tour;
mod users;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use self::client::ApiClient;
use self::database::Database;
use self::page::Page;
use self::users::Users;
use crate::args::DemoArgs;
use crate::connect::{self, Store};
use crate::failure::Failure;
use crate::output;
use crate::signals;

/// How long requests may take to finish after the signal to end.
const GRACE: Duration = Duration::from_secs(10);

/// Serves the API until it is told to end, or takes the tour.
pub(crate) async fn run(args: DemoArgs) -> Result<(), Failure> {
    let ttl = connect::duration("--ttl", &args.ttl)?;
    let stale = connect::duration("--stale", &args.stale)?;
    let database = prepare(&args).await?;
    let store = Store::new(&args.store);
    let cache = store.open().await?;
    if let Err(error) = cache.ping().await {
        output::note(format!(
            "{store} does not answer ({error}): every read will ask the database until it does"
        ));
    }
    users::register_handlers(&cache);
    let users = Users {
        cache: cache.clone(),
        database,
        ttl,
        stale,
    };
    let ended = match args.tour {
        true => take_tour(users).await,
        false => serve_until_signal(users, &store, &args).await,
    };
    cache.close().await;
    ended
}

/// The database, made first if it is not there.
async fn prepare(args: &DemoArgs) -> Result<Database, Failure> {
    let path = args.database.clone();
    let size = seed::Size {
        users: args.users,
        orders: args.orders,
    };
    let opened = tokio::task::spawn_blocking(move || {
        seed::ensure(&path, size)?;
        Database::open(&path).map_err(|error| Failure::new(error.to_string()))
    });
    opened
        .await
        .unwrap_or_else(|error| Err(Failure::new(format!("cannot make the database: {error}"))))
}

async fn serve_until_signal(users: Users, store: &Store, args: &DemoArgs) -> Result<(), Failure> {
    let listener = listen(args.listen, "--listen").await?;
    let address = listener
        .local_addr()
        .map_err(|error| cannot_listen(args.listen, "--listen", &error))?;
    let page = Page::open(&users.cache, args).await?;
    // Before the first line: whoever has read it may send the signal.
    let signal = signals::end()?;
    guide::print(address, &page.url(), store, &users, args)?;
    tokio::select! {
        served = serve(listener, users, signal) => served,
        broken = page.serve() => Err(broken),
    }
}

/// Starts the API on a free port, walks through it, and ends it.
async fn take_tour(users: Users) -> Result<(), Failure> {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = listen(any_port, "--listen").await?;
    let address = listener
        .local_addr()
        .map_err(|error| cannot_listen(any_port, "--listen", &error))?;
    let (end, ended) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, users.clone(), async {
        // Sent or dropped: either way the tour is over.
        let _ = ended.await;
    }));
    let walked = tour::walk(&ApiClient::new(address), &users).await;
    drop(end);
    let served = server
        .await
        .unwrap_or_else(|error| Err(Failure::new(format!("the API broke down: {error}"))));
    walked.and(served)
}

/// `option` is the one that names the address.
async fn listen(address: SocketAddr, option: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| cannot_listen(address, option, &error))
}

fn cannot_listen(address: SocketAddr, option: &str, error: &io::Error) -> Failure {
    let failure = Failure::new(format!("cannot listen on {address}: {error}"));
    let free = SocketAddr::new(address.ip(), 0);
    match error.kind() {
        io::ErrorKind::AddrInUse => failure.hint(format!(
            "something else listens there; end it, name another port, or take any free one: {option} {free}"
        )),
        _ => failure.hint(format!("try {option} {}", SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))),
    }
}

/// Serves until `end`, then lets the requests that are under way finish.
async fn serve(
    listener: TcpListener,
    users: Users,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failure> {
    let (ending, has_ended) = oneshot::channel();
    let end = async move {
        end.await;
        let _ = ending.send(());
    };
    let served = axum::serve(listener, api::router(users)?).with_graceful_shutdown(end);
    let out_of_patience = async {
        let _ = has_ended.await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = served.into_future() => served.map_err(|error| Failure::new(format!("the API broke down: {error}"))),
        () = out_of_patience => Err(Failure::new(format!("requests were cut off: not finished within {GRACE:?}"))),
    }
}
