//! Figures as cells: the same for a screen and for lines of text.
//!
//! Names come from whoever may write to the store: what would speak to a terminal never becomes a cell.
//!
//! Must not: ask anybody anything.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Sparkline, Widget};
use serde_json::Value;

use super::figures::{Figures, Hot, Look, Rates};
use super::keys::{Panel, View};
use crate::output;
use crate::units;

/// Below this there is room for one column only.
const TWO_COLUMNS: u16 = 76;
/// How high the boxes are.
const FIRST: u16 = 8;
const SECOND: u16 = 7;
const HOT: u16 = 7;

const HELP: &str = "\
q, Esc, Ctrl-C   end
p, space         pause, go on
Tab, arrows      all, hot, log, processes
up, down, PgUp, PgDn, Home   scroll
?                this

hit ratio   reads that needed no load: L1, L2, stale
lag         how far behind the newest invalidation
window      closed: its memory answers nothing";

/// How high a frame is that shows all but the older part of the log.
pub(super) fn height(figures: &Figures) -> u16 {
    const LOG: usize = 12;
    let log = figures.log.len().clamp(1, LOG);
    let hot = if has_hot(figures) { HOT } else { 0 };
    let log = u16::try_from(log).unwrap_or(1);
    // Title, boxes, the log in its own, keys.
    1 + FIRST + SECOND + hot + log + 2 + 1
}

fn has_hot(figures: &Figures) -> bool {
    figures
        .look
        .as_ref()
        .is_some_and(|it| it.hot_keys.is_some())
}

/// One frame as lines of text, without what is empty at their ends.
pub(super) fn lines(figures: &Figures, view: &View, width: u16, height: u16) -> Vec<String> {
    let area = Rect::new(0, 0, width, height);
    let mut cells = Buffer::empty(area);
    render(figures, view, area, &mut cells);
    let row = |y: u16| {
        let row: String = (0..width)
            .filter_map(|x| Some(cells.cell((x, y))?.symbol()))
            .collect();
        row.trim_end().to_owned()
    };
    // The last line is for keys.
    (0..height.saturating_sub(1)).map(row).collect()
}

pub(super) fn render(figures: &Figures, view: &View, area: Rect, cells: &mut Buffer) {
    let [title, body, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(area);
    heading(figures, view).render(title, cells);
    match view.panel {
        Panel::All => all(figures, view, body, cells),
        Panel::Hot => hot(figures, view.above, body, cells),
        Panel::Log => log(figures, view.above, body, cells),
        Panel::Processes => processes(figures, view.above, body, cells),
    }
    footer(view).render(keys, cells);
    if view.help {
        help(area, cells);
    }
}

fn all(figures: &Figures, view: &View, area: Rect, cells: &mut Buffer) {
    let hot_rows = if has_hot(figures) { HOT } else { 0 };
    if area.width < TWO_COLUMNS {
        let [above, below, rest] = Layout::vertical([
            Constraint::Length(7),
            Constraint::Length(8),
            Constraint::Min(3),
        ])
        .areas(area);
        reads(figures, above, cells);
        times(figures, below, cells);
        return log(figures, view.above, rest, cells);
    }
    let rows = [
        Constraint::Length(FIRST),
        Constraint::Length(SECOND),
        Constraint::Length(hot_rows),
        Constraint::Min(3),
    ];
    let [first, second, third, rest] = Layout::vertical(rows).areas(area);
    let halves = |area: Rect| -> [Rect; 2] {
        Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area)
    };
    let [left, right] = halves(first);
    reads(figures, left, cells);
    times(figures, right, cells);
    let [left, right] = halves(second);
    server(figures, left, cells);
    processes(figures, 0, right, cells);
    if hot_rows > 0 {
        hot(figures, 0, third, cells);
    }
    log(figures, view.above, rest, cells);
}

/// A style, where there are colours.
fn tone(colour: Color) -> Style {
    match output::has_colours() {
        true => Style::new().fg(colour),
        false => Style::new(),
    }
}

fn strong() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn boxed(title: &str) -> Block<'static> {
    Block::bordered().title(format!(" {title} "))
}

fn heading(figures: &Figures, view: &View) -> Text<'static> {
    let mut parts = vec![Span::styled("shelflife top ", strong())];
    if let Some(look) = &figures.look {
        parts.push(Span::raw(look.namespace.clone()));
        if let Some(process) = &look.process {
            let up = look.uptime_ms.map_or(String::new(), |ms| {
                format!(", up {}", units::span(ms * 1000))
            });
            parts.push(Span::raw(format!(", {process}{up}")));
        }
    }
    parts.push(Span::raw(format!(" on {}", figures.place)));
    if view.paused {
        parts.push(Span::styled("  paused", tone(Color::Yellow)));
    }
    let trouble = figures.look.as_ref().and_then(|look| look.trouble.as_ref());
    if let Some(why) = figures.lost.as_ref().or(trouble) {
        parts.push(Span::styled(format!("  {why}"), tone(Color::Red)));
    }
    Text::from(parts)
}

fn footer(view: &View) -> Text<'static> {
    let mut parts = Vec::new();
    for panel in Panel::ALL {
        let style = if panel == view.panel {
            strong()
        } else {
            Style::new()
        };
        parts.push(Span::styled(format!("{} ", panel.name()), style));
    }
    parts.push(Span::raw(" Tab  p pause  ? help  q end"));
    Text::from(parts)
}

fn help(area: Rect, cells: &mut Buffer) {
    let (width, height) = (58.min(area.width), 12.min(area.height));
    let place = Rect::new(
        (area.width - width) / 2,
        (area.height - height) / 2,
        width,
        height,
    );
    Clear.render(place, cells);
    Paragraph::new(HELP)
        .block(boxed("help"))
        .render(place, cells);
}

fn percent(part: f64) -> String {
    format!("{:5.1} %", part * 100.0)
}

fn reads(figures: &Figures, area: Rect, cells: &mut Buffer) {
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
            .wrap(ratatui::widgets::Wrap { trim: true })
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
            .map(|n| whole(n * 1000.0))
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
    ]
    .map(Text::from)
    .to_vec()
}

fn times(figures: &Figures, area: Rect, cells: &mut Buffer) {
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
            seconds.map_or("-".to_owned(), |s| units::span(whole(s * 1e6)))
        };
        Text::from(format!("{name:<17}{:>9}{:>9}", time("p50"), time("p99")))
    };
    Paragraph::new(kinds.into_iter().map(row).collect::<Vec<_>>()).render(inner, cells);
}

fn server(figures: &Figures, area: Rect, cells: &mut Buffer) {
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

fn processes(figures: &Figures, above: usize, area: Rect, cells: &mut Buffer) {
    let members = figures
        .look
        .as_ref()
        .map(|look| look.members.as_slice())
        .unwrap_or_default();
    let title = match members.len() {
        1 => "1 process follows the log".to_owned(),
        n => format!("{n} processes follow the log"),
    };
    let row = |it: &super::figures::Member| {
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

fn hot(figures: &Figures, above: usize, area: Rect, cells: &mut Buffer) {
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

fn log(figures: &Figures, above: usize, area: Rect, cells: &mut Buffer) {
    let row = |it: &super::log::Line| {
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
    let rows = match rows.is_empty() {
        true => vec![Text::from("nothing was invalidated of late")],
        false => rows,
    };
    Paragraph::new(rows)
        .block(boxed("log, the newest first"))
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

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts of floats saturate"
)]
fn whole(n: f64) -> u64 {
    n as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::log::Line;
    use serde_json::json;
    use std::time::{Duration, Instant};

    fn figures() -> Figures {
        let began = Instant::now();
        let mut figures = Figures::new("http://127.0.0.1:8081".to_owned());
        for n in 0..3_u64 {
            let mut look = Look::new("shop".to_owned());
            look.at = began + Duration::from_secs(n);
            look.process = Some("process 7".to_owned());
            look.stats = json!({"l1_hits": n * 90, "l2_hits": n * 5, "stale": 0, "misses": n * 5, "loads": n * 5,
                "l1_entries": 12, "l1_bytes": 2048, "l1_limit": 67_108_864_u64,
                "timings": {"loads": {"p50": 0.0021, "p99": 0.25}}});
            look.server = json!({"product": "redis", "version": "7.0.15", "role": "master", "used_memory": 1_048_576});
            look.members = vec![crate::top::figures::Member {
                name: "7-ab".to_owned(),
                lag_us: Some(0),
                silent_ms: 8,
                window_open: true,
            }];
            look.hot_keys = Some(vec![Hot {
                name: "user:\u{1b}]0;1\u{7}".to_owned(),
                reads: 900,
                share: 0.9,
            }]);
            look.logged = vec![Line::remark(format!("entry {n}"))];
            figures.add(look);
        }
        figures
    }

    #[test]
    fn a_frame_has_it_all() {
        let text = lines(&figures(), &View::default(), 100, 40).join("\n");
        for part in [
            "shelflife top shop, process 7",
            "100/s",
            "95.0 % hit",
            "L1  90.0 % L2   5.0 %",
            "load                2.1 ms   250 ms",
            "redis 7.0.15, master",
            "1.0 MiB used, no limit",
            "1 process follows the log",
            "up to date    open",
            "90.0 %      900  user:",
            "entry 2",
            "█",
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
        assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
    }

    #[test]
    fn every_size_and_panel_can_be_drawn() {
        let figures = figures();
        let empty = Figures::new("nowhere".to_owned());
        for panel in Panel::ALL {
            for help in [false, true] {
                let view = View {
                    panel,
                    help,
                    above: 1,
                    paused: true,
                };
                for (width, height) in [(1, 1), (10, 3), (40, 12), (80, 24), (200, 60)] {
                    lines(&figures, &view, width, height);
                    lines(&empty, &view, width, height);
                }
            }
        }
        let help = View {
            help: true,
            ..View::default()
        };
        assert!(lines(&figures, &help, 80, 24).join("\n").contains("Ctrl-C"));
    }

    #[test]
    fn names_are_cut_where_their_place_ends() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer", 5), "long…");
        assert_eq!(cut("x", 0), "…");
    }
}
