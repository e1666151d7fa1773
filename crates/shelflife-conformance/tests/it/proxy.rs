//! The whole suite through our proxy, as it is when nobody has configured anything but the upstream.

use std::net::{Ipv4Addr, SocketAddr};

use shelflife_conformance::{Origin, suite};
use shelflife_proxy::{Config, Proxy};

#[tokio::test(flavor = "multi_thread")]
async fn our_proxy_passes_every_required_case_that_can_be_passed() {
    let origin = Origin::listen(0).await.unwrap();
    let config = Config::default()
        .with_listen([SocketAddr::from((Ipv4Addr::LOCALHOST, 0))])
        .with_upstream(&format!("http://{}", origin.address()))
        .unwrap();
    let proxy = Proxy::bind(config, crate::cache().await).await.unwrap();
    let address = proxy.addresses()[0];
    let control = proxy.control();
    let serving = tokio::spawn(proxy.serve());
    crate::passes(&origin, &suite(), address).await;
    control.shutdown();
    serving.await.unwrap();
}
