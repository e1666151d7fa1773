//! What somebody asks for, as a line at the foot of the screen and a box over it.
//!
//! Must not: know what a key does.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Clear, Paragraph, Widget, Wrap};

use super::boxes::{boxed, strong, tone};
use crate::top::questions::{Count, Found, Question, Wish};
use crate::top::talk::{Step, Talk};

/// How wide a box is at most.
const WIDE: u16 = 96;

/// The foot, where somebody asks for something or was told something.
pub(super) fn foot(talk: &Talk, width: u16) -> Option<Text<'static>> {
    if let Some(said) = &talk.said {
        let colour = if said.well { Color::Green } else { Color::Red };
        return Some(Text::styled(said.text.clone(), tone(colour)));
    }
    let keys = |keys: &'static str| Some(Text::from(keys));
    match &talk.step {
        Step::None => None,
        Step::Search(text) => Some(typed(
            "search".to_owned(),
            text,
            "a key, a part of one, a pattern; Enter, Esc",
            width,
        )),
        Step::Wish(wish) => Some(typed(
            format!("invalidate {}", wish.kind.name()),
            &wish.name,
            "Tab: tag, key, pattern; Enter counts; Esc",
            width,
        )),
        Step::Found { .. } => {
            keys("up, down  choose   Enter  shows it   /  searches anew   Esc  ends")
        }
        Step::Entry { .. } => {
            keys("up, down  scroll   Enter  looks again   i  invalidates this key   Esc  back")
        }
        Step::Sure { .. } => keys("y  invalidates   s  softly: stale, not dead   n, Esc  does not"),
        Step::Waiting(question) => keys(match question {
            Question::Find(_) => "searching…   Esc  gives up",
            Question::Show(_) => "looking…   Esc  gives up",
            Question::Count(_) => "counting what it would hit…   Esc  gives up",
            Question::Invalidate(_) => "invalidating…",
        }),
    }
}

/// A line in which somebody types: of a long text the end is seen.
fn typed(what: String, text: &str, keys: &'static str, width: u16) -> Text<'static> {
    let room = usize::from(width).saturating_sub(what.chars().count() + keys.chars().count() + 6);
    let hidden = text.chars().count().saturating_sub(room.max(8));
    let text: String = text.chars().skip(hidden).collect();
    Text::from(vec![
        Span::styled(format!("{what}: "), strong()),
        Span::raw(text),
        Span::styled(" ", Style::new().add_modifier(Modifier::REVERSED)),
        Span::raw(format!("  {keys}")),
    ])
}

/// The box, where there is something to show.
pub(super) fn over(talk: &Talk, area: Rect, cells: &mut Buffer) {
    match &talk.step {
        Step::Found { found, chosen } => keys(found, *chosen, area, cells),
        Step::Entry {
            key,
            state,
            lines,
            above,
        } => {
            let colour = match state.as_str() {
                "fresh" => Color::Green,
                "stale" => Color::Yellow,
                _ => Color::Red,
            };
            let mut all = vec![Text::from(vec![
                Span::styled(state.clone(), tone(colour)),
                Span::raw("  "),
                Span::styled(key.clone(), strong()),
            ])];
            all.extend(lines.iter().skip(*above).cloned().map(Text::from));
            show("entry", all, area, cells);
        }
        Step::Sure { wish, count } => show("invalidate?", would(wish, count), area, cells),
        _ => {}
    }
}

fn keys(found: &Found, chosen: usize, area: Rect, cells: &mut Buffer) {
    let title = match (found.keys.len(), found.part) {
        (1, false) => "1 key".to_owned(),
        (n, false) => format!("{n} keys"),
        (n, true) => format!("{n} keys, and there may be more"),
    };
    // The chosen one is always in sight.
    let room = usize::from(area.height.saturating_sub(8)).max(1);
    let first = (chosen + 1).saturating_sub(room);
    let row = |(at, key): (usize, &String)| {
        let style = match at == chosen {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new(),
        };
        Text::styled(key.clone(), style)
    };
    let rows = found.keys.iter().enumerate().skip(first).take(room);
    show(&title, rows.map(row).collect(), area, cells);
}

fn would(wish: &Wish, count: &Count) -> Vec<Text<'static>> {
    let extent = match count.complete {
        true => format!("{} names looked at, all there are", count.scanned),
        false => format!("cut short after {} names: there may be more", count.scanned),
    };
    let mut lines = vec![
        Text::styled(format!("{} {}", wish.kind.name(), wish.name), strong()),
        Text::from(format!("{} would be dead", count.told())),
        Text::from(extent),
    ];
    if wish.is_scan() {
        lines.push(Text::from(
            "softly, too, it removes what it matches: it needs a scan, unlike users:*",
        ));
    }
    lines.push(Text::from(""));
    lines.extend(count.examples.iter().cloned().map(Text::from));
    let more = count.entries.saturating_sub(count.examples.len() as u64);
    lines.extend((more > 0).then(|| Text::from(format!("and {more} more"))));
    lines
}

fn show(title: &str, lines: Vec<Text<'static>>, area: Rect, cells: &mut Buffer) {
    let width = area.width.saturating_sub(4).min(WIDE);
    let inner = usize::from(width.saturating_sub(2)).max(1);
    // Long lines are broken; a row more than needed does no harm.
    let rows: usize = lines.iter().map(|line| line.width() / inner + 1).sum();
    let rows = u16::try_from(rows + 2).unwrap_or(u16::MAX);
    let height = rows.min(area.height.saturating_sub(4));
    let place = Rect::new(
        area.x + (area.width - width) / 2,
        area.y + (area.height - height) / 2,
        width,
        height,
    );
    Clear.render(place, cells);
    Paragraph::new(lines)
        .wrap(Wrap { trim: false })
        .block(boxed(title))
        .render(place, cells);
}
