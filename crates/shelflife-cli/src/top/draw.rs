//! Figures as cells: the same for a screen and for lines of text.
//!
//! Names come from whoever may write to the store: what would speak to a terminal never becomes a cell.
//!
//! Must not: ask anybody anything.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Clear, Paragraph, Widget};

use super::figures::{Figures, Node};
use super::keys::{Panel, View};
use crate::units;

mod boxes;
mod talk;

use boxes::{boxed, hot, largest, log, nodes, processes, reads, server, strong, times, tone, why};

/// Below this there is room for one column only.
const TWO_COLUMNS: u16 = 76;
/// How high the boxes are.
const FIRST: u16 = 10;
const SECOND: u16 = 7;
const HOT: u16 = 7;
/// How many nodes that are not well have a line. How many there are is in the title.
const NODES: usize = 4;

const HELP: &str = "\
q, Esc, Ctrl-C   end
p, space         pause, go on
Tab, arrows      all, hot, largest, why, log, processes
up, down, PgUp, PgDn, Home   scroll
/                search: is a key fresh, stale or dead, and why
i                invalidate by tag, key or pattern: counts first
?                this

hit ratio   reads answered with something fresh: L1, L2
stale       answered past its time, which is no hit
shed        loads for which there was no place
lag         how far behind the newest invalidation
window      closed: its memory answers nothing";

/// How high a frame is that shows all but the older part of the log.
pub(super) fn height(figures: &Figures) -> u16 {
    const LOG: usize = 12;
    let log = figures.log.len().clamp(1, LOG);
    let hot = if has_hot(figures) { HOT } else { 0 };
    let log = u16::try_from(log).unwrap_or(1);
    // Title, boxes, the log in its own, keys.
    1 + FIRST + SECOND + rows_of(&figures.unwell()) + hot + log + 2 + 1
}

/// How high the box of the nodes is: while all are well there is none.
fn rows_of(unwell: &[Node]) -> u16 {
    match u16::try_from(unwell.len().min(NODES)) {
        Ok(0) | Err(_) => 0,
        Ok(lines) => lines + 2,
    }
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
        Panel::Largest => largest(figures, view.above, body, cells),
        Panel::Why => why(figures, view.above, body, cells),
        Panel::Log => log(figures, view.above, body, cells),
        Panel::Processes => processes(figures, view.above, body, cells),
    }
    let foot = talk::foot(&view.talk, keys.width);
    foot.unwrap_or_else(|| footer(view)).render(keys, cells);
    talk::over(&view.talk, area, cells);
    if view.help {
        help(area, cells);
    }
}

fn all(figures: &Figures, view: &View, area: Rect, cells: &mut Buffer) {
    let hot_rows = if has_hot(figures) { HOT } else { 0 };
    let unwell = figures.unwell();
    let node_rows = rows_of(&unwell);
    if area.width < TWO_COLUMNS {
        let [above, below, between, rest] = Layout::vertical([
            Constraint::Length(7),
            Constraint::Length(8),
            Constraint::Length(node_rows),
            Constraint::Min(3),
        ])
        .areas(area);
        reads(figures, above, cells);
        times(figures, below, cells);
        if node_rows > 0 {
            nodes(&unwell, between, cells);
        }
        return log(figures, view.above, rest, cells);
    }
    let rows = [
        Constraint::Length(FIRST),
        Constraint::Length(SECOND),
        Constraint::Length(node_rows),
        Constraint::Length(hot_rows),
        Constraint::Min(3),
    ];
    let [first, second, between, third, rest] = Layout::vertical(rows).areas(area);
    let halves = |area: Rect| -> [Rect; 2] {
        Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area)
    };
    let [left, right] = halves(first);
    reads(figures, left, cells);
    times(figures, right, cells);
    let [left, right] = halves(second);
    server(figures, left, cells);
    processes(figures, 0, right, cells);
    if node_rows > 0 {
        nodes(&unwell, between, cells);
    }
    if hot_rows > 0 {
        hot(figures, 0, third, cells);
    }
    log(figures, view.above, rest, cells);
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
    parts.push(Span::raw(
        " Tab  ? help  q end  / search  i invalidate  p pause",
    ));
    Text::from(parts)
}

fn help(area: Rect, cells: &mut Buffer) {
    let lines = u16::try_from(HELP.lines().count()).unwrap_or(u16::MAX);
    let (width, height) = (66.min(area.width), (lines + 2).min(area.height));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::figures::{Hot, Look};
    use crate::top::log::Line;
    use crate::top::questions::{Count, Found, Question, Wish};
    use crate::top::talk::{Step, Talk};
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
        assert!(
            !text.contains("well"),
            "of nodes that are well nothing: {text}"
        );
    }

    #[test]
    fn nodes_that_are_not_well_have_a_box() {
        let mut figures = figures();
        let mut look = figures.look.clone().unwrap();
        let node = |address: &str, up: u64| json!({"address": address, "connections": 2, "connections_up": up, "times_down": 3});
        look.stats["nodes"] = json!([
            node("10.0.0.1:6379", 2),
            node("10.0.0.2:6379", 1),
            node("10.0.0.3:6379", 0)
        ]);
        let before = height(&figures);
        figures.add(look);
        assert_eq!(height(&figures), before + 4);
        for width in [60, 100] {
            let text = lines(&figures, &View::default(), width, 44).join("\n");
            for part in [
                "2 nodes are not well",
                "10.0.0.3:6379          no connection, its circuit",
                "10.0.0.2:6379          1 of 2 connections",
                "entry 2",
            ] {
                assert!(text.contains(part), "{part}:\n{text}");
            }
            assert!(!text.contains("10.0.0.1"), "{text}");
        }
        let many: Vec<Node> = figures.unwell().into_iter().cycle().take(9).collect();
        assert_eq!(rows_of(&many), 6);
    }

    /// Each step of a search and of an invalidation, with a name that would speak to a terminal.
    fn steps() -> Vec<Step> {
        let name = "user:\u{1b}]0;1\u{7}".to_owned();
        let wish = Wish {
            name: name.clone(),
            ..Wish::default()
        };
        let found = Found {
            keys: vec![name.clone(); 50],
            part: true,
        };
        let count = Count {
            entries: 3,
            examples: vec![name.clone()],
            ..Count::default()
        };
        vec![
            Step::Search(name.repeat(99)),
            Step::Found { found, chosen: 49 },
            Step::Entry {
                key: name.clone(),
                state: "fresh".to_owned(),
                lines: vec![name.repeat(99), String::new(), name.clone()],
                above: 2,
            },
            Step::Wish(wish.clone()),
            Step::Sure {
                wish: wish.clone(),
                count,
            },
            Step::Waiting(Question::Count(wish)),
        ]
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
                    ..View::default()
                };
                for (width, height) in [(1, 1), (10, 3), (40, 12), (80, 24), (200, 60)] {
                    lines(&figures, &view, width, height);
                    lines(&empty, &view, width, height);
                }
            }
        }
        for step in steps() {
            let view = View {
                talk: Talk {
                    step,
                    ..Talk::default()
                },
                ..View::default()
            };
            for (width, height) in [(1, 1), (10, 3), (40, 12), (80, 24), (200, 60)] {
                lines(&figures, &view, width, height);
            }
            let text = lines(&figures, &view, 80, 24).join("\n");
            assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
        }
        let help = View {
            help: true,
            ..View::default()
        };
        assert!(lines(&figures, &help, 80, 24).join("\n").contains("Ctrl-C"));
    }
}
