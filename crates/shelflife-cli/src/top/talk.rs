//! What somebody asks for, step by step: a search with what it finds, an invalidation with what it would hit.
//!
//! ```text
//!   /  text ─► keys ─► an entry ─┐
//!   i  kind and name ◄───────────┘ ─► counted ─► y ─► done
//! ```
//!
//! Pure. Must not: ask anybody, or draw.

use crossterm::event::KeyCode;
use serde_json::Value;

use super::keys::moved;
use super::questions::{Answer, Count, Found, Kind, Question, Wish, facts};
use crate::units;

/// How much text a line takes.
const LONGEST: usize = 4 << 10;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Talk {
    pub(super) step: Step,
    /// What was found last: where one goes back to from an entry.
    pub(super) found: Option<Found>,
    /// The outcome of what was done last, until the next key.
    pub(super) said: Option<Said>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is asked: keys choose what is looked at.
    #[default]
    None,
    /// What to search for is being typed.
    Search(String),
    /// Keys that were found.
    Found { found: Found, chosen: usize },
    /// An entry, and how many of its lines are above the first one that is shown.
    Entry {
        key: String,
        state: String,
        lines: Vec<String>,
        above: usize,
    },
    /// What to invalidate is being typed.
    Wish(Wish),
    /// It was counted: nothing is done before it is confirmed.
    Sure { wish: Wish, count: Count },
    /// Somebody is being asked.
    Waiting(Question),
}

/// A line for what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) well: bool,
}

/// What becomes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is not for this room.
    Passed,
    Taken,
    Ask(Question),
}

impl Talk {
    pub(super) fn press(&mut self, code: KeyCode) -> Heard {
        // A screen of another size is no key.
        if code != KeyCode::Null {
            self.said = None;
        }
        match std::mem::take(&mut self.step) {
            Step::None => self.begin(code),
            Step::Search(text) => self.search(text, code),
            Step::Found { found, chosen } => self.choose(found, chosen, code),
            Step::Entry {
                key,
                state,
                lines,
                above,
            } => self.read(key, state, lines, above, code),
            Step::Wish(wish) => self.wish(wish, code),
            Step::Sure { wish, count } => self.confirm(wish, count, code),
            Step::Waiting(question) => self.wait(question, code),
        }
    }

    /// Whether an answer is still wanted.
    pub(super) fn waits(&self) -> bool {
        matches!(self.step, Step::Waiting(_))
    }

    /// What was asked is answered.
    pub(super) fn answered(&mut self, answer: Result<Answer, String>) {
        let question = match std::mem::take(&mut self.step) {
            Step::Waiting(question) => question,
            other => {
                self.step = other;
                return;
            }
        };
        match (question, answer) {
            (Question::Find(text), Ok(Answer::Found(found))) if found.keys.is_empty() => {
                let seen = match found.part {
                    true => "no key matches among those that there was time for",
                    false => "no key matches",
                };
                self.step = Step::Search(text);
                self.say(seen, false);
            }
            (Question::Find(_), Ok(Answer::Found(found))) => {
                self.step = Step::Found { found, chosen: 0 };
            }
            (Question::Show(key), Ok(Answer::Entry(entry))) => self.step = shown(key, &entry),
            (Question::Count(wish), Ok(Answer::Counted(count))) => {
                self.step = Step::Sure { wish, count };
            }
            (Question::Invalidate(wish), Ok(Answer::Done { receipt, took_us })) => {
                let how = if wish.soft { "softly " } else { "" };
                let took = units::span(took_us);
                let (kind, name) = (wish.kind.name(), &wish.name);
                let text = format!("{how}invalidated {kind} {name} in {took}, receipt {receipt}");
                self.say(text, true);
            }
            (question, Ok(_)) => {
                self.say(format!("{}: another answer came", about(&question)), false)
            }
            (question, Err(why)) => {
                self.say(format!("{}: {why}", about(&question)), false);
                self.back(question);
            }
        }
    }

    fn say(&mut self, text: impl Into<String>, well: bool) {
        self.said = Some(Said {
            text: text.into(),
            well,
        });
    }

    fn begin(&mut self, code: KeyCode) -> Heard {
        self.found = None;
        match code {
            KeyCode::Char('/') => self.step = Step::Search(String::new()),
            KeyCode::Char('i') => self.step = Step::Wish(Wish::default()),
            _ => return Heard::Passed,
        }
        Heard::Taken
    }

    fn ask(&mut self, question: Question) -> Heard {
        self.step = Step::Waiting(question.clone());
        Heard::Ask(question)
    }

    fn search(&mut self, mut text: String, code: KeyCode) -> Heard {
        match code {
            KeyCode::Esc => return Heard::Taken,
            KeyCode::Enter if !text.trim().is_empty() => {
                return self.ask(Question::Find(text.trim().to_owned()));
            }
            code => edit(&mut text, code),
        }
        self.step = Step::Search(text);
        Heard::Taken
    }

    fn choose(&mut self, found: Found, chosen: usize, code: KeyCode) -> Heard {
        let last = found.keys.len().saturating_sub(1);
        let chosen = match code {
            KeyCode::Esc => return Heard::Taken,
            KeyCode::Enter => {
                let key = found.keys.get(chosen).cloned().unwrap_or_default();
                self.found = Some(found);
                return self.ask(Question::Show(key));
            }
            KeyCode::Char('/') => {
                self.step = Step::Search(String::new());
                return Heard::Taken;
            }
            code => moved(chosen, last, code),
        };
        self.step = Step::Found { found, chosen };
        Heard::Taken
    }

    fn read(
        &mut self,
        key: String,
        state: String,
        lines: Vec<String>,
        above: usize,
        code: KeyCode,
    ) -> Heard {
        let last = lines.len().saturating_sub(1);
        let above = match code {
            KeyCode::Esc => {
                self.back(Question::Show(key));
                return Heard::Taken;
            }
            // Looked at again.
            KeyCode::Enter => return self.ask(Question::Show(key)),
            KeyCode::Char('i') => {
                self.step = Step::Wish(Wish {
                    kind: Kind::Key,
                    name: key,
                    soft: false,
                });
                return Heard::Taken;
            }
            code => moved(above, last, code),
        };
        self.step = Step::Entry {
            key,
            state,
            lines,
            above,
        };
        Heard::Taken
    }

    fn wish(&mut self, mut wish: Wish, code: KeyCode) -> Heard {
        match code {
            KeyCode::Esc => return Heard::Taken,
            KeyCode::Tab => wish.kind = wish.kind.next(),
            KeyCode::Enter if !wish.name.trim().is_empty() => {
                wish.name = wish.name.trim().to_owned();
                return self.ask(Question::Count(wish));
            }
            code => edit(&mut wish.name, code),
        }
        self.step = Step::Wish(wish);
        Heard::Taken
    }

    fn confirm(&mut self, wish: Wish, count: Count, code: KeyCode) -> Heard {
        match code {
            KeyCode::Char('y') => {
                return self.ask(Question::Invalidate(Wish {
                    soft: false,
                    ..wish
                }));
            }
            KeyCode::Char('s') => {
                return self.ask(Question::Invalidate(Wish { soft: true, ..wish }));
            }
            KeyCode::Esc | KeyCode::Char('n') => self.say("left as it is", true),
            _ => self.step = Step::Sure { wish, count },
        }
        Heard::Taken
    }

    fn wait(&mut self, question: Question, code: KeyCode) -> Heard {
        match (&question, code) {
            // Once begun it is finished, and its outcome is told.
            (Question::Invalidate(_), _) => self.step = Step::Waiting(question),
            (_, KeyCode::Esc) => self.back(question),
            _ => self.step = Step::Waiting(question),
        }
        Heard::Taken
    }

    /// To where something was asked from.
    fn back(&mut self, from: Question) {
        self.step = match from {
            Question::Find(text) => Step::Search(text),
            Question::Show(key) => match &self.found {
                Some(found) => Step::Found {
                    chosen: found.keys.iter().position(|it| *it == key).unwrap_or(0),
                    found: found.clone(),
                },
                None => Step::None,
            },
            Question::Count(wish) | Question::Invalidate(wish) => Step::Wish(wish),
        };
    }
}

fn shown(key: String, entry: &Value) -> Step {
    let word = |name: &str| entry[name].as_str().map(str::to_owned);
    Step::Entry {
        key: word("key").unwrap_or(key),
        state: word("state").unwrap_or_default(),
        lines: facts(entry),
        above: 0,
    }
}

/// What failed.
fn about(question: &Question) -> &'static str {
    match question {
        Question::Find(_) => "cannot search",
        Question::Show(_) => "cannot look at it",
        Question::Count(_) => "cannot count",
        Question::Invalidate(_) => "cannot invalidate",
    }
}

fn edit(text: &mut String, code: KeyCode) {
    match code {
        KeyCode::Char(c) if !c.is_control() && text.len() < LONGEST => text.push(c),
        KeyCode::Backspace => {
            text.pop();
        }
        KeyCode::Delete => text.clear(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn typed(talk: &mut Talk, text: &str) {
        for c in text.chars() {
            assert_eq!(talk.press(KeyCode::Char(c)), Heard::Taken);
        }
    }

    fn wish(kind: Kind, name: &str) -> Wish {
        Wish {
            kind,
            name: name.to_owned(),
            soft: false,
        }
    }

    #[test]
    fn a_search_leads_to_an_entry_and_back() {
        let mut talk = Talk::default();
        assert_eq!(talk.press(KeyCode::Char('q')), Heard::Passed);
        assert_eq!(talk.press(KeyCode::Char('/')), Heard::Taken);
        assert_eq!(talk.press(KeyCode::Enter), Heard::Taken, "nothing is typed");
        // What would be a key elsewhere is text here.
        typed(&mut talk, "iq?x");
        assert_eq!(talk.press(KeyCode::Backspace), Heard::Taken);
        let find = Question::Find("iq?".to_owned());
        assert_eq!(talk.press(KeyCode::Enter), Heard::Ask(find));
        let found = Found {
            keys: vec!["a".to_owned(), "b".to_owned()],
            part: false,
        };
        talk.answered(Ok(Answer::Found(found.clone())));
        talk.press(KeyCode::Down);
        talk.press(KeyCode::Down);
        let show = Question::Show("b".to_owned());
        assert_eq!(talk.press(KeyCode::Enter), Heard::Ask(show));
        let entry = json!({"key": "b", "state": "fresh", "why": "Fresh."});
        talk.answered(Ok(Answer::Entry(entry)));
        assert!(matches!(&talk.step, Step::Entry { key, .. } if key == "b"));
        talk.press(KeyCode::Esc);
        assert_eq!(talk.step, Step::Found { found, chosen: 1 });
        talk.press(KeyCode::Esc);
        assert_eq!(talk.step, Step::None);
    }

    #[test]
    fn nothing_is_invalidated_before_it_was_counted_and_confirmed() {
        let mut talk = Talk::default();
        talk.press(KeyCode::Char('i'));
        talk.press(KeyCode::Tab);
        talk.press(KeyCode::Tab);
        typed(&mut talk, "y*");
        let asked = wish(Kind::Pattern, "y*");
        assert_eq!(
            talk.press(KeyCode::Enter),
            Heard::Ask(Question::Count(asked.clone()))
        );
        // While it is counted nothing is confirmed.
        assert_eq!(talk.press(KeyCode::Char('y')), Heard::Taken);
        let count = Count {
            entries: 2,
            ..Count::default()
        };
        assert_eq!(count.told(), "at least 2 entries");
        talk.answered(Ok(Answer::Counted(count.clone())));
        for other in [
            KeyCode::Enter,
            KeyCode::Char(' '),
            KeyCode::Char('Y'),
            KeyCode::Tab,
        ] {
            assert_eq!(talk.press(other), Heard::Taken);
            assert!(matches!(talk.step, Step::Sure { .. }), "{other:?}");
        }
        for no in [KeyCode::Esc, KeyCode::Char('n')] {
            let mut talk = talk.clone();
            assert_eq!(talk.press(no), Heard::Taken);
            assert_eq!(talk.said.unwrap().text, "left as it is");
        }
        let soft = Wish {
            soft: true,
            ..asked.clone()
        };
        assert_eq!(
            talk.clone().press(KeyCode::Char('s')),
            Heard::Ask(Question::Invalidate(soft))
        );
        assert_eq!(
            talk.press(KeyCode::Char('y')),
            Heard::Ask(Question::Invalidate(asked))
        );
        // It can't be given up, and its outcome is told.
        talk.press(KeyCode::Esc);
        assert!(talk.waits());
        talk.answered(Ok(Answer::Done {
            receipt: "a:1".to_owned(),
            took_us: 1_500,
        }));
        let said = talk.said.clone().unwrap();
        assert!(said.well && !talk.waits());
        assert_eq!(said.text, "invalidated pattern y* in 1.5 ms, receipt a:1");
        talk.press(KeyCode::Null);
        assert!(talk.said.is_some(), "another size is no key");
        assert_eq!(talk.press(KeyCode::Char('q')), Heard::Passed);
        assert_eq!(talk.said, None);
    }

    #[test]
    fn what_fails_is_said_and_can_be_tried_again() {
        let mut talk = Talk::default();
        talk.press(KeyCode::Char('i'));
        typed(&mut talk, "t");
        talk.press(KeyCode::Enter);
        talk.answered(Err("the store does not answer".to_owned()));
        assert_eq!(talk.step, Step::Wish(wish(Kind::Tag, "t")));
        let said = talk.said.clone().unwrap();
        assert_eq!(
            (said.text.as_str(), said.well),
            ("cannot count: the store does not answer", false)
        );
        talk.press(KeyCode::Enter);
        talk.press(KeyCode::Esc);
        assert_eq!(talk.step, Step::Wish(wish(Kind::Tag, "t")), "given up");
        talk.answered(Ok(Answer::Counted(Count::default())));
        assert_eq!(talk.step, Step::Wish(wish(Kind::Tag, "t")), "too late");
    }

    #[test]
    fn nothing_found_is_said() {
        let mut talk = Talk::default();
        talk.press(KeyCode::Char('/'));
        typed(&mut talk, "x");
        talk.press(KeyCode::Enter);
        talk.answered(Ok(Answer::Found(Found::default())));
        assert_eq!(talk.said.clone().unwrap().text, "no key matches");
        assert_eq!(talk.step, Step::Search("x".to_owned()));
    }
}
