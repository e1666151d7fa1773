//! The terminal: its own screen, its keys, and as it was before, however this ends.
//!
//! Must not: decide what is shown.

use std::io::{self, Stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::cursor::Show;
use crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, channel};

use super::draw;
use super::figures::Figures;
use super::keys::View;
use crate::failure::Failure;

/// How long the thread that reads keys waits for one before it looks whether it is still wanted.
const KEY_WAIT: Duration = Duration::from_millis(100);

/// Whether the terminal is not as it was. Set before it is changed: whoever restores restores too much
/// rather than too little.
static CHANGED: AtomicBool = AtomicBool::new(false);

/// Rung when something has panicked: the terminal is no longer this screen's, whoever goes on.
static BROKEN: Notify = Notify::const_new();

pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    keys: Receiver<io::Result<Input>>,
}

/// What comes from a terminal.
enum Input {
    Key(KeyEvent),
    /// Draw again: its size has changed.
    Resized,
}

impl Screen {
    pub(super) fn open() -> Result<Self, Failure> {
        restore_on_panic();
        CHANGED.store(true, Ordering::SeqCst);
        let opened = enable_raw_mode()
            .and_then(|()| execute!(io::stdout(), EnterAlternateScreen))
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match opened {
            Ok(terminal) => Ok(Self {
                terminal,
                keys: keys(),
            }),
            Err(error) => {
                restore();
                Err(Failure::new(format!("cannot use the terminal: {error}"))
                    .hint("--once prints one frame as text"))
            }
        }
    }

    pub(super) fn draw(&mut self, figures: &Figures, view: &View) -> Result<(), Failure> {
        if !CHANGED.load(Ordering::SeqCst) {
            return Err(broken());
        }
        let drawn = self.terminal.draw(|frame| {
            let area = frame.area();
            draw::render(figures, view, area, frame.buffer_mut());
        });
        drawn
            .map(|_| ())
            .map_err(|error| Failure::new(format!("cannot draw: {error}")))
    }

    /// The next key, or why there is none any more. Cancel safe.
    pub(super) async fn pressed(&mut self) -> Result<KeyEvent, Failure> {
        let input = tokio::select! {
            biased;
            () = BROKEN.notified() => return Err(broken()),
            input = self.keys.recv() => input,
        };
        match input {
            Some(Ok(Input::Key(key))) => Ok(key),
            // Nothing is bound to it: the next thing that is done is to draw.
            Some(Ok(Input::Resized)) => Ok(event::KeyCode::Null.into()),
            Some(Err(error)) => Err(Failure::new(format!("cannot read the terminal: {error}"))),
            None => Err(Failure::new("the terminal has gone")),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Reads on a thread of its own, which ends when nobody listens any more.
fn keys() -> Receiver<io::Result<Input>> {
    let (to, keys) = channel(64);
    std::thread::spawn(move || {
        while !to.is_closed() {
            let read = match event::poll(KEY_WAIT) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(error) => Err(error),
            };
            let input = match read {
                Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Ok(Input::Key(key)),
                Ok(Event::Resize(..)) => Ok(Input::Resized),
                Ok(_) => continue,
                Err(error) => Err(error),
            };
            let is_over = input.is_err();
            if to.blocking_send(input).is_err() || is_over {
                return;
            }
        }
    });
    keys
}

/// As it was before; once.
fn restore() {
    if !CHANGED.swap(false, Ordering::SeqCst) {
        return;
    }
    // There is nobody left to tell what fails here.
    let _ = disable_raw_mode();
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
}

fn broken() -> Failure {
    Failure::new("a part of it has failed, as told above: please report it")
}

/// A panic's message belongs on the screen that stays; whatever has panicked, nothing is drawn over it.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let was_shown = CHANGED.load(Ordering::SeqCst);
            restore();
            before(panic);
            if was_shown {
                BROKEN.notify_one();
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::{TerminalOptions, Viewport};

    use super::*;

    #[tokio::test]
    async fn a_panic_of_any_part_ends_what_is_shown() {
        restore_on_panic();
        let (to, keys) = channel(1);
        // Tests have no terminal that could tell its size.
        let fixed = TerminalOptions {
            viewport: Viewport::Fixed(Rect::new(0, 0, 10, 3)),
        };
        let mut screen = Screen {
            terminal: Terminal::with_options(CrosstermBackend::new(io::stdout()), fixed).unwrap(),
            keys,
        };
        CHANGED.store(true, Ordering::SeqCst);
        let part = tokio::spawn(async { panic!("on purpose") });
        assert!(part.await.is_err());
        let told = screen.pressed().await.unwrap_err().to_string();
        assert!(told.contains("a part of it has failed"), "{told}");
        let drawn = screen.draw(&Figures::new(String::new()), &View::default());
        assert!(drawn.is_err(), "the terminal is not its own any more");
        drop(to);
    }
}
