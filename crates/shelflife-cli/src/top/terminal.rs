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
        let drawn = self.terminal.draw(|frame| {
            let area = frame.area();
            draw::render(figures, view, area, frame.buffer_mut());
        });
        drawn
            .map(|_| ())
            .map_err(|error| Failure::new(format!("cannot draw: {error}")))
    }

    /// The next key. Cancel safe.
    pub(super) async fn pressed(&mut self) -> Result<KeyEvent, Failure> {
        match self.keys.recv().await {
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

/// A panic's message belongs on the screen that stays.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
    });
}
