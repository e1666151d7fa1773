//! Requests a second over loopback: the layer beside the handler that it stands before, the proxy beside
//! nginx and Varnish; and what the processes hold in memory.
//!
//! ```text
//!   wrk (last core) ──► server (first core): axum | axum + layer | proxy | nginx | varnish
//!                          └─► upstream (first core; asked once)
//! ```
//!
//! Every server is a process of its own, and stays on one core; the load comes from another. Contenders
//! take turns, and a ratio is the median of the rounds' ratios.

mod load;
mod peers;
pub(crate) mod serve;

use std::time::Duration;

use crate::Outcome;
use crate::measure::{Turn, compete};
use crate::report::{Report, Row, Target, Unit};

use load::Load;
use peers::Peer;
use serve::{Kind, Served};

const SPEED: &str = "HTTP hit, requests a second";
const MEMORY: &str = "HTTP, memory of the process";
const ROUNDS: usize = 5;
/// How long a turn is.
const TURN: Duration = Duration::from_secs(2);
/// Connections of the load.
const CONNECTIONS: usize = 64;

pub(crate) fn run(report: &mut Report) -> Outcome<()> {
    let Some(load) = Load::find(CONNECTIONS, TURN) else {
        report.note(SPEED, "not measured: wrk is not installed");
        return Ok(());
    };
    report.note(
        SPEED,
        "one body of 2.5 KB, 64 connections; each server on one core, wrk on another;",
    );
    report.note(
        SPEED,
        "the layer beside the axum handler that returns the same bytes, the proxy beside the peer named",
    );
    layer(&load, report)?;
    proxy(&load, report)
}

/// The layer beside the handler alone.
fn layer(load: &Load, report: &mut Report) -> Outcome<()> {
    let bare = Served::start(Kind::Axum, None)?;
    let layer = Served::start(Kind::Layer, None)?;
    let mut turns: [Turn<'_>; 2] = [load.turn(bare.url()), load.turn(layer.url())];
    let times = compete(ROUNDS, &mut turns)?;
    report.row(
        Row::new(
            SPEED,
            "axum + layer, beside axum",
            a_second(times[1].median()),
            Unit::PerSecond,
        )
        .beside(a_second(times[0].median()), times[0].over(&times[1]))
        .target(Target::AtLeast(0.9)),
    );
    Ok(())
}

/// The proxy beside nginx and Varnish, all before the same upstream.
fn proxy(load: &Load, report: &mut Report) -> Outcome<()> {
    let upstream = Served::start(Kind::Axum, None)?;
    let proxy = Served::start(Kind::Proxy, Some(&upstream.origin()))?;
    let at_rest = proxy.memory()?;
    for (name, peer) in [
        ("nginx", Peer::nginx(upstream.port())?),
        ("varnish", Peer::varnish(upstream.port())?),
    ] {
        let Some(peer) = peer else {
            report.note(
                SPEED,
                match name {
                    "nginx" => "nginx is not installed: not measured",
                    _ => "varnish is not installed: not measured",
                },
            );
            continue;
        };
        let mut turns: [Turn<'_>; 2] = [load.turn(peer.url()), load.turn(proxy.url())];
        let times = compete(ROUNDS, &mut turns)?;
        report.row(
            Row::new(
                SPEED,
                format!("proxy, beside {name}"),
                a_second(times[1].median()),
                Unit::PerSecond,
            )
            .beside(a_second(times[0].median()), times[0].over(&times[1]))
            .target(Target::AtLeast(1.2)),
        );
    }
    let loaded = proxy.memory()?;
    report.note(
        MEMORY,
        "resident bytes of the proxy before its first request and after the load",
    );
    report.row(Row::new(MEMORY, "proxy, at rest", at_rest, Unit::Bytes));
    report.row(Row::new(MEMORY, "proxy, after load", loaded, Unit::Bytes));
    Ok(())
}

/// Times are in ns a request.
fn a_second(ns: f64) -> f64 {
    1e9 / ns
}
