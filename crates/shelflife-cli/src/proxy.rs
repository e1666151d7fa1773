//! `shelflife proxy`: starts the caching proxy, reloads it on SIGHUP, ends it on SIGTERM or Ctrl-C.
//!
//! Must not: know HTTP. What is served, and how, is the library's.

use std::io;
use std::path::Path;

use shelflife::{Builder, Cache};
use shelflife_proxy::{BindError, Config, Control, Proxy};
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::ProxyArgs;
use crate::failure::Failure;
use crate::output;
use crate::signals;

/// As many threads as were asked for.
pub(crate) fn runtime(args: &ProxyArgs) -> io::Result<Runtime> {
    let mut builder = match args.threads {
        // One needs no scheduler that shares out work.
        Some(1) => runtime::Builder::new_current_thread(),
        Some(threads) => {
            let mut builder = runtime::Builder::new_multi_thread();
            builder.worker_threads(threads.into());
            builder
        }
        None => runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build()
}

/// Serves until it is told to end.
pub(crate) async fn run(args: ProxyArgs) -> Result<(), Failure> {
    let config = read(&args)?;
    config.check().map_err(|error| {
        Failure::new(error.to_string()).hint(
            "shelflife proxy --listen 127.0.0.1:8080 --upstream http://127.0.0.1:9000, or a file: --config proxy.toml",
        )
    })?;
    let cache = open(&args, &config).await?;
    if let Err(error) = cache.ping().await {
        output::note(format!(
            "the store does not answer ({error}): every request will ask the upstream until it does"
        ));
    }
    let served = serve_until_signal(&args, config, cache.clone()).await;
    cache.close().await;
    served
}

async fn serve_until_signal(args: &ProxyArgs, config: Config, cache: Cache) -> Result<(), Failure> {
    let proxy = Proxy::bind(config, cache)
        .await
        .map_err(|error| cannot_bind(&error))?;
    let control = proxy.control();
    // Before the first line: whoever has read it may send a signal.
    let end = signals::end()?;
    let again = signal(SignalKind::hangup())
        .map_err(|error| Failure::new(format!("cannot listen for signals: {error}")))?;
    for address in proxy.addresses() {
        output::line(format!("listening on {address}"))?;
    }
    if let Some(address) = proxy.admin_address() {
        output::line(format!("operators on {address}"))?;
    }
    if let Some(address) = proxy.metrics_address() {
        output::line(format!("metrics on {address}"))?;
    }
    let ending = control.clone();
    tokio::spawn(async move {
        end.await;
        ending.shutdown();
    });
    tokio::select! {
        () = proxy.serve() => {}
        () = reload(args, again, &control) => {}
    }
    Ok(())
}

/// Reads the configuration anew at each SIGHUP.
async fn reload(args: &ProxyArgs, mut again: Signal, control: &Control) {
    while again.recv().await.is_some() {
        let reloaded = read(args).and_then(|config| {
            control
                .reload(&config)
                .map_err(|error| Failure::new(error.to_string()))
        });
        // Whoever reads no lines is not owed these either.
        let _ = output::line(match reloaded {
            Ok(()) => "reloaded: the configuration was read anew".to_owned(),
            Err(failure) => {
                format!("not reloaded: {failure}\n  the old configuration stays in force")
            }
        });
    }
    // No more signals can come: the proxy goes on without.
    std::future::pending::<()>().await;
}

fn read(args: &ProxyArgs) -> Result<Config, Failure> {
    let mut config = match &args.config {
        Some(path) => read_file(path)?,
        None => Config::default(),
    };
    if !args.listen.is_empty() {
        config = config.with_listen(args.listen.iter().copied());
    }
    if let Some(url) = &args.upstream {
        let told = |error| Failure::new(format!("--upstream: {error}"));
        config = config.with_upstream(url).map_err(told)?;
    }
    Ok(config)
}

fn read_file(path: &Path) -> Result<Config, Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read {name}: {error}")))?;
    Config::from_toml(&name, &text)
        .map_err(|error| Failure::new(error.to_string()).hint("every key is in docs/proxy.md"))
}

/// The store: the environment's, over that the file's, over that the options'.
async fn open(args: &ProxyArgs, config: &Config) -> Result<Cache, Failure> {
    let cannot = |error: shelflife::Error| Failure::new(format!("cannot use the store: {error}"));
    let mut builder: Builder = config.store(Cache::builder().from_env().map_err(cannot)?);
    if let Some(url) = &args.store.redis {
        builder = builder.url(url);
    }
    if let Some(namespace) = &args.store.namespace {
        builder = builder.namespace(namespace);
    }
    let cache = builder.build().await.map_err(cannot)?;
    match &args.store.namespace {
        Some(namespace) if cache.namespace() != namespace => Err(Failure::new(format!(
            "the store's URL leads to the namespace {}, and {namespace} was asked for",
            cache.namespace()
        ))
        .hint("does the URL name one (?namespace=...)? leave it out there")),
        _ => Ok(cache),
    }
}

fn cannot_bind(error: &BindError) -> Failure {
    let source = std::error::Error::source(error);
    Failure::new(match source {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })
}
