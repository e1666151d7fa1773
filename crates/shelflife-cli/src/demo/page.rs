//! The page that shows what the cache does: on a listener of its own, so that no client of the API reaches it.
//!
//! Must not: know the users.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use shelflife::Cache;
use shelflife_admin::{Access, router};
use tokio::net::TcpListener;

use super::{cannot_listen, listen};
use crate::args::DemoArgs;
use crate::failure::Failure;

/// Where it is mounted, here as in the proxy.
const PATH: &str = "/_shelflife";

/// Where it is when nobody says where.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);

/// The page, listening.
pub(crate) struct Page {
    listener: TcpListener,
    address: SocketAddr,
    app: Router,
}

impl Page {
    pub(crate) async fn open(cache: &Cache, args: &DemoArgs) -> Result<Self, Failure> {
        let listener = match args.admin {
            Some(address) => listen(address, "--admin").await?,
            None => usual().await?,
        };
        let address = listener
            .local_addr()
            .map_err(|error| cannot_listen(USUAL, "--admin", &error))?;
        let mut access = Access::listener(address);
        if let Some(token) = &args.admin_token {
            access = access.with_token(token);
        }
        let page = router(cache, access)
            .map_err(|error| Failure::new(error.to_string()).hint("--admin-token gives it one"))?;
        let app = Router::new()
            .route("/", get(async || Redirect::temporary("/_shelflife/")))
            .nest_service(PATH, page);
        Ok(Page {
            listener,
            address,
            app,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}{PATH}/", self.address)
    }

    /// Serves until it is dropped, or breaks down.
    pub(crate) async fn serve(self) -> Failure {
        let app = self.app.into_make_service_with_connect_info::<SocketAddr>();
        match axum::serve(self.listener, app).await {
            Ok(()) => Failure::new("the page has ended"),
            Err(error) => Failure::new(format!("the page broke down: {error}")),
        }
    }
}

/// The usual port, or any when another demo has it.
async fn usual() -> Result<TcpListener, Failure> {
    match TcpListener::bind(USUAL).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            listen(SocketAddr::new(USUAL.ip(), 0), "--admin").await
        }
        Err(error) => Err(cannot_listen(USUAL, "--admin", &error)),
    }
}
