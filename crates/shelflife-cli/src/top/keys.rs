//! What is looked at, and what a key does to that.
//!
//! Must not: draw, or read a terminal.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::figures::Figures;
use super::questions::Question;
use super::talk::{Heard, Talk};

/// What fills the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Panel {
    /// A little of all.
    #[default]
    All,
    Hot,
    Largest,
    Why,
    Log,
    Processes,
}

impl Panel {
    pub(super) const ALL: [Self; 6] = [
        Self::All,
        Self::Hot,
        Self::Largest,
        Self::Why,
        Self::Log,
        Self::Processes,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Hot => "hot",
            Self::Largest => "largest",
            Self::Why => "why",
            Self::Log => "log",
            Self::Processes => "processes",
        }
    }

    fn beside(self, step: usize) -> Self {
        let at = Self::ALL.iter().position(|it| *it == self).unwrap_or(0);
        Self::ALL[(at + step) % Self::ALL.len()]
    }
}

/// How it is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) panel: Panel,
    /// How many lines of a list are above the first one that is shown.
    pub(super) above: usize,
    pub(super) paused: bool,
    pub(super) help: bool,
    pub(super) talk: Talk,
}

/// What a key has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pressed {
    GoOn,
    /// Somebody is to be asked.
    Ask(Question),
    Quit,
}

impl View {
    pub(super) fn press(&mut self, key: KeyEvent, figures: &Figures) -> Pressed {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if is_control {
            return match key.code {
                KeyCode::Char('c' | 'd') => Pressed::Quit,
                _ => Pressed::GoOn,
            };
        }
        match self.talk.press(key.code) {
            Heard::Passed => {}
            heard => {
                self.help = false;
                return match heard {
                    Heard::Ask(question) => Pressed::Ask(question),
                    _ => Pressed::GoOn,
                };
            }
        }
        match key.code {
            KeyCode::Char('q') => return Pressed::Quit,
            KeyCode::Esc if self.help => self.help = false,
            KeyCode::Esc => return Pressed::Quit,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('?' | 'h') => self.help = !self.help,
            KeyCode::Tab | KeyCode::Right => self.turn_to(self.panel.beside(1)),
            KeyCode::BackTab | KeyCode::Left => {
                self.turn_to(self.panel.beside(Panel::ALL.len() - 1))
            }
            code => self.above = moved(self.above, self.last(figures), code),
        }
        Pressed::GoOn
    }

    fn turn_to(&mut self, panel: Panel) {
        self.panel = panel;
        self.above = 0;
    }

    /// The last line of what is listed.
    fn last(&self, figures: &Figures) -> usize {
        let look = figures.look.as_ref();
        let listed = match self.panel {
            Panel::All | Panel::Log => figures.log.len(),
            Panel::Hot => look.and_then(|it| it.hot_keys.as_ref()).map_or(0, Vec::len),
            Panel::Largest => look.and_then(|it| it.largest.as_ref()).map_or(0, Vec::len),
            Panel::Why => figures.reasons().len(),
            Panel::Processes => look.map_or(0, |it| it.members.len()),
        };
        listed.saturating_sub(1)
    }
}

/// To which line of a list a key leads; where it leads nowhere, to the same.
pub(super) fn moved(from: usize, last: usize, code: KeyCode) -> usize {
    match code {
        KeyCode::Down | KeyCode::Char('j') => (from + 1).min(last),
        KeyCode::PageDown => (from + 10).min(last),
        KeyCode::Up | KeyCode::Char('k') => from.saturating_sub(1),
        KeyCode::PageUp => from.saturating_sub(10),
        KeyCode::Home => 0,
        _ => from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::log::Line;

    fn press(view: &mut View, figures: &Figures, code: KeyCode) -> Pressed {
        view.press(KeyEvent::new(code, KeyModifiers::NONE), figures)
    }

    #[test]
    fn keys_choose_pause_scroll_and_quit() {
        let mut figures = Figures::new(String::new());
        for n in 0..3 {
            figures.log.push_front(Line::remark(n.to_string()));
        }
        let mut view = View::default();
        for (code, panel) in [
            (KeyCode::Tab, Panel::Hot),
            (KeyCode::Right, Panel::Largest),
            (KeyCode::Right, Panel::Why),
            (KeyCode::Right, Panel::Log),
            (KeyCode::BackTab, Panel::Why),
            (KeyCode::BackTab, Panel::Largest),
            (KeyCode::BackTab, Panel::Hot),
            (KeyCode::Left, Panel::All),
            (KeyCode::Left, Panel::Processes),
            (KeyCode::Tab, Panel::All),
        ] {
            assert_eq!(press(&mut view, &figures, code), Pressed::GoOn);
            assert_eq!(view.panel, panel);
        }
        for _ in 0..9 {
            press(&mut view, &figures, KeyCode::Down);
        }
        assert_eq!(view.above, 2, "not past the end");
        press(&mut view, &figures, KeyCode::PageUp);
        assert_eq!(view.above, 0);
        press(&mut view, &figures, KeyCode::Char('p'));
        press(&mut view, &figures, KeyCode::Char('?'));
        assert!(view.paused && view.help);
        assert_eq!(press(&mut view, &figures, KeyCode::Esc), Pressed::GoOn);
        assert!(!view.help);
        assert_eq!(
            press(&mut view, &figures, KeyCode::Char('q')),
            Pressed::Quit
        );
        press(&mut view, &figures, KeyCode::Char('?'));
        press(&mut view, &figures, KeyCode::Char('/'));
        assert!(!view.help, "one box at a time");
        assert_eq!(
            press(&mut view, &figures, KeyCode::Char('q')),
            Pressed::GoOn,
            "text, where text is typed"
        );
        let asked = Pressed::Ask(Question::Find("q".to_owned()));
        assert_eq!(press(&mut view, &figures, KeyCode::Enter), asked);
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.press(control_c, &figures), Pressed::Quit);
    }
}
