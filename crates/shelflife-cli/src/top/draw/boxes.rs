//! The boxes of a frame, one a function.
//!
//! Must not: know where on the screen they are.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Block, Paragraph, Sparkline, Widget, Wrap};
use serde_json::Value;

use crate::output;
use crate::top::figures::{Figures, Hot, Large, Look, Member, Node, Rates};
use crate::top::log::Line;
use crate::units;

/// A style, where there are colours.
pub(super) fn tone(colour: Color) -> Style {
    match output::has_colours() {
        true => Style::new().fg(colour),
        false => Style::new(),
    }
}

pub(super) fn strong() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

pub(super) fn boxed(title: &str) -> Block<'static> {
    Block::bordered().title(format!(" {title} "))
}

fn percent(part: f64) -> String {
    format!("{:5.1} %", part * 100.0)
}

pub(super) fn reads(figures: &Figures, area: Rect, cells: &mut Buffer) {
    let block = boxed("reads");
    let inner = block.inner(area);
    block.render(area, cells);
    let stats = figures
        .look
        .as_ref()
        .map_or(&Value::Null, |look| &look.stats);
    if stats.is_null() {
        let text = "a store does not know what its processes read: name one with --url";
        return Paragraph::new(text)
            .wrap(Wrap { trim: true })
            .render(inner, cells);
    }
    let rates = figures.rates.unwrap_or_default();
    let curves = [
        (
            format!("{:>7}/s  ", units::short(rates.reads)),
            &figures.reads,
            Color::Cyan,
        ),
        (
            format!("{} hit", percent(rates.hit_ratio())),
            &figures.ratio,
            Color::Green,
        ),
    ];
    let mut y = inner.y;
    for (text, figures, colour) in curves {
        if y >= inner.bottom() {
            return;
        }
        let [label, curve] = Layout::horizontal([Constraint::Length(13), Constraint::Fill(1)])
            .areas(Rect::new(inner.x, y, inner.width, 1));
        Paragraph::new(text)
            .style(tone(colour))
            .render(label, cells);
        let data: Vec<u64> = figures
            .iter()
            .rev()
            .take(usize::from(curve.width))
            .map(|n| units::whole(n * 1000.0))
            .collect();
        let data: Vec<u64> = data.into_iter().rev().collect();
        let most = data.iter().max().copied().unwrap_or(0).max(1);
        Sparkline::default()
            .data(data)
            .max(most)
            .style(tone(colour))
            .render(curve, cells);
        y += 1;
    }
    let rest = Rect::new(inner.x, y, inner.width, inner.bottom().saturating_sub(y));
    Paragraph::new(tiers(&rates, stats)).render(rest, cells);
}

fn tiers(rates: &Rates, stats: &Value) -> Vec<Text<'static>> {
    let total = |name: &str| stats[name].as_u64().unwrap_or(0);
    let filled = match (total("l1_bytes"), total("l1_limit")) {
        (bytes, 1..) => format!(
            "{} of {}",
            units::bytes(bytes),
            units::bytes(total("l1_limit"))
        ),
        (bytes, 0) => units::bytes(bytes),
    };
    [
        format!(
            "L1 {} L2 {} stale {}",
            percent(rates.l1),
            percent(rates.l2),
            percent(rates.stale)
        ),
        format!(
            "miss {}  {} loads/s, {} fail/s",
            percent(rates.miss),
            units::short(rates.loads),
            units::short(rates.load_failures)
        ),
        format!(
            "{} invalidations/s, {} store errors/s",
            units::short(rates.invalidations),
            units::short(rates.store_errors)
        ),
        format!("in memory {} entries, {filled}", total("l1_entries")),
        format!(
            "loads {} running, {} waiting, {} shed",
            total("loads_running"),
            total("loads_waiting"),
            total("loads_shed")
        ),
        format!(
            "{} sets waiting, {} invalidations not confirmed",
            total("sets_waiting"),
            total("unconfirmed")
        ),
    ]
    .map(Text::from)
    .to_vec()
}

pub(super) fn times(figures: &Figures, area: Rect, cells: &mut Buffer) {
    let timings = figures
        .look
        .as_ref()
        .map_or(&Value::Null, |look| &look.stats["timings"]);
    let block = boxed("how long it takes: p50, p99");
    let inner = block.inner(area);
    block.render(area, cells);
    if timings.is_null() {
        return Paragraph::new("not told").render(inner, cells);
    }
    let kinds = [
        ("load", &timings["loads"]),
        ("fill", &timings["fills"]),
        ("invalidation", &timings["invalidations"]),
        ("store read", &timings["store"]["read"]["time"]),
        ("wait for a lease", &timings["lease_waits"]),
        ("log to memory", &timings["log_delay"]),
    ];
    let row = |(name, it): (&str, &Value)| {
        let time = |quantile: &str| {
            let seconds = it[quantile].as_f64();
            seconds.map_or("-".to_owned(), |s| units::span(units::whole(s * 1e6)))
        };
        Text::from(format!("{name:<17}{:>9}{:>9}", time("p50"), time("p99")))
    };
    Paragraph::new(kinds.into_iter().map(row).collect::<Vec<_>>()).render(inner, cells);
}

pub(super) fn server(figures: &Figures, area: Rect, cells: &mut Buffer) {
    let block = boxed("server");
    let inner = block.inner(area);
    block.render(area, cells);
    let server = figures
        .look
        .as_ref()
        .map_or(&Value::Null, |look| &look.server);
    let number = |name: &str| server[name].as_u64();
    let Some(used) = number("used_memory") else {
        return Paragraph::new("not told").render(inner, cells);
    };
    let word = |name: &str| server[name].as_str().unwrap_or("?").to_owned();
    let most = number("max_memory").filter(|most| *most > 0);
    let memory = match most {
        Some(most) => format!(
            "{} of {} used, {}",
            units::bytes(used),
            units::bytes(most),
            word("eviction_policy")
        ),
        None => format!("{} used, no limit", units::bytes(used)),
    };
    let told = |name: &str| number(name).map_or("?".to_owned(), |n| units::short(n as f64));
    let lines = [
        format!("{} {}, {}", word("product"), word("version"), word("role")),
        memory,
        format!(
            "{} evicted, {} expired",
            told("evicted_keys"),
            told("expired_keys")
        ),
        format!(
            "{} commands/s, {} clients",
            told("commands_per_second"),
            told("clients")
        ),
        format!("log {} entries", told("log")),
    ];
    let mut style = Style::new();
    if most.is_some_and(|most| used > most / 100 * 95) {
        style = tone(Color::Yellow);
    }
    let lines: Vec<Text<'_>> = lines
        .into_iter()
        .enumerate()
        .map(|(at, line)| Text::styled(line, if at == 1 { style } else { Style::new() }))
        .collect();
    Paragraph::new(lines).render(inner, cells);
}

/// Nodes that are not well. Those that are need no line.
pub(super) fn nodes(unwell: &[Node], area: Rect, cells: &mut Buffer) {
    let title = match unwell.len() {
        1 => "1 node is not well".to_owned(),
        n => format!("{n} nodes are not well"),
    };
    let row = |it: &Node| {
        let (how, colour) = match it.up {
            0 => (
                "no connection, its circuit breaker is open".to_owned(),
                Color::Red,
            ),
            up => (
                format!("{up} of {} connections", it.connections),
                Color::Yellow,
            ),
        };
        Text::from(vec![
            Span::raw(format!("{:<22}", it.address)),
            Span::styled(format!(" {how}"), tone(colour)),
            Span::raw(format!(", down {} times so far", it.times_down)),
        ])
    };
    let rows: Vec<Text<'_>> = unwell.iter().map(row).collect();
    Paragraph::new(rows)
        .block(boxed(&title))
        .render(area, cells);
}

pub(super) fn processes(figures: &Figures, above: usize, area: Rect, cells: &mut Buffer) {
    let members = figures
        .look
        .as_ref()
        .map(|look| look.members.as_slice())
        .unwrap_or_default();
    let title = match members.len() {
        1 => "1 process follows the log".to_owned(),
        n => format!("{n} processes follow the log"),
    };
    let row = |it: &Member| {
        let lag = match it.lag_us {
            None => "resyncing".to_owned(),
            Some(0) => "up to date".to_owned(),
            Some(us) => format!("{} behind", units::span(us)),
        };
        let (window, colour) = match it.window_open {
            true => ("open", Color::Green),
            false => ("closed", Color::Yellow),
        };
        Text::from(vec![
            Span::raw(format!("{:<17}{lag:<14}", it.name)),
            Span::styled(format!("{window:<7}"), tone(colour)),
            Span::raw(format!("{} ago", units::span(it.silent_ms * 1000))),
        ])
    };
    let rows: Vec<Text<'_>> = members.iter().skip(above).map(row).collect();
    Paragraph::new(rows)
        .block(boxed(&title))
        .render(area, cells);
}

pub(super) fn hot(figures: &Figures, above: usize, area: Rect, cells: &mut Buffer) {
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
    let look = figures.look.as_ref();
    let of = |names: fn(&Look) -> &Option<Vec<Hot>>| look.and_then(|look| names(look).as_deref());
    for (title, names, area) in [
        ("hottest keys", of(|look| &look.hot_keys), left),
        ("hottest tags", of(|look| &look.hot_tags), right),
    ] {
        let room = usize::from(area.width).saturating_sub(20);
        let row = |it: &Hot| {
            Text::from(format!(
                "{} {:>8}  {}",
                percent(it.share),
                units::short(it.reads as f64),
                cut(&it.name, room)
            ))
        };
        let rows: Vec<Text<'_>> = match names {
            Some(names) => names.iter().skip(above).map(row).collect(),
            None => vec![Text::from("not told")],
        };
        Paragraph::new(rows).block(boxed(title)).render(area, cells);
    }
}

pub(super) fn largest(figures: &Figures, above: usize, area: Rect, cells: &mut Buffer) {
    let room = usize::from(area.width).saturating_sub(16);
    let row = |it: &Large| {
        Text::from(format!(
            "{:>11}  {}",
            units::bytes(it.bytes),
            cut(&it.key, room)
        ))
    };
    let largest = figures.look.as_ref().and_then(|look| look.largest.as_ref());
    let rows: Vec<Text<'_>> = match largest {
        Some(largest) => largest.iter().skip(above).map(row).collect(),
        None => vec![Text::from("not told")],
    };
    Paragraph::new(rows)
        .block(boxed("largest entries in the memory of this process"))
        .render(area, cells);
}

pub(super) fn why(figures: &Figures, above: usize, area: Rect, cells: &mut Buffer) {
    let reasons = figures.reasons();
    let all: u64 = reasons.iter().map(|(_, n)| n).sum();
    let row = |(name, n): &(&str, u64)| {
        let part = *n as f64 / all.max(1) as f64;
        Text::from(format!(
            "{} {n:>12}  {}",
            percent(part),
            name.replace('_', " ")
        ))
    };
    let rows: Vec<Text<'_>> = match reasons.is_empty() {
        true => vec![Text::from("not told, or nothing was read yet")],
        false => reasons.iter().skip(above).map(row).collect(),
    };
    Paragraph::new(rows)
        .block(boxed(
            "why reads ended as they did, since the process began",
        ))
        .render(area, cells);
}

pub(super) fn log(figures: &Figures, above: usize, area: Rect, cells: &mut Buffer) {
    let row = |it: &Line| {
        let by = it
            .by
            .as_ref()
            .map_or(String::new(), |by| format!("  by {by}"));
        Text::from(vec![
            Span::styled(format!("{:<16}", it.time), tone(Color::Blue)),
            Span::raw(format!("{}{by}", it.what)),
        ])
    };
    let room = usize::from(area.height);
    let rows: Vec<Text<'_>> = figures.log.iter().skip(above).take(room).map(row).collect();
    let lost = figures
        .look
        .as_ref()
        .and_then(|look| look.log_lost.as_ref());
    let title = match lost {
        Some(why) => format!("log, the newest first; it cannot be followed: {why}"),
        None => "log, the newest first".to_owned(),
    };
    let rows = match (rows.is_empty(), lost) {
        (true, Some(_)) => vec![Text::from("what is invalidated is not known here")],
        (true, None) => vec![Text::from("nothing was invalidated of late")],
        (false, _) => rows,
    };
    Paragraph::new(rows)
        .block(boxed(&title))
        .render(area, cells);
}

/// The beginning of a name that is longer than its place.
fn cut(name: &str, room: usize) -> String {
    if name.chars().count() <= room {
        return name.to_owned();
    }
    let kept: String = name.chars().take(room.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_where_their_place_ends() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer", 5), "long…");
        assert_eq!(cut("x", 0), "…");
    }
}
