//! The live view: what is shown, and what the keys do.

use std::io;
use std::time::{Duration, Instant};

use cupool::live::{Asked as Devices, State, Urgency};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::column::Column;
use super::row::{Key, Row};
use super::sampler::{History, Sampler};
use super::screen;
use crate::command::ask::{Asked, ask, outcome};

/// How long a process that is gone is shown.
const FAREWELL: Duration = Duration::from_secs(10);
/// How long a message is shown.
const MESSAGE: Duration = Duration::from_secs(5);

/// The state of the view.
pub struct App {
    pub sort: Column,
    pub reversed: bool,
    pub paused: bool,
    pub helps: bool,
    pub rows: Vec<Row>,
    interval: Duration,
    sampler: Sampler,
    selected: Option<Key>,
    message: Option<(String, Instant)>,
    /// Who was asked for a flush, and has not answered yet.
    asked: Option<(Key, Asked)>,
    ends: bool,
}

impl App {
    /// A view that looks every `interval`.
    pub fn new(sort: Column, interval: Duration) -> Self {
        Self {
            sort,
            reversed: false,
            paused: false,
            helps: false,
            rows: Vec::new(),
            interval,
            sampler: Sampler::default(),
            selected: None,
            message: None,
            asked: None,
            ends: false,
        }
    }

    /// Shows it until the user quits.
    ///
    /// # Errors
    /// Those of the terminal, which is then as it was.
    pub fn run(mut self) -> io::Result<()> {
        let mut terminal = ratatui::try_init()?;
        let done = self.show(&mut terminal);
        ratatui::try_restore()?;
        done
    }

    fn show(&mut self, terminal: &mut ratatui::DefaultTerminal) -> io::Result<()> {
        let mut next = Instant::now();
        while !self.ends {
            if next <= Instant::now() {
                next = Instant::now() + self.interval;
                if !self.paused {
                    self.look();
                }
            }
            terminal.draw(|frame| screen::draw(self, frame))?;
            if event::poll(next.saturating_duration_since(Instant::now()))?
                && let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
            {
                self.press(key);
            }
        }
        Ok(())
    }

    fn look(&mut self) {
        if let Some(fault) = self.sampler.look().into_iter().next() {
            self.tell(fault.to_string());
        }
        self.rows = self.sampler.rows();
        self.arrange();
        self.sampler.clear_away(FAREWELL);
        self.hear();
    }

    fn arrange(&mut self) {
        self.sort.sort(&mut self.rows, self.reversed);
        if self.selection().is_none() {
            self.selected = self.rows.first().map(Row::key);
        }
    }

    fn press(&mut self, key: KeyEvent) {
        if self.helps {
            self.helps = false;
            return;
        }
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => self.ends = true,
            KeyCode::Char('q') | KeyCode::Esc => self.ends = true,
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char('?' | 'h') => self.helps = true,
            KeyCode::Char('f') => self.flush(),
            KeyCode::Char('r') => self.sort_by(self.sort, !self.reversed),
            KeyCode::Left | KeyCode::Char('<') => self.sort_by(self.sort.beside(-1), false),
            KeyCode::Right | KeyCode::Char('>') => self.sort_by(self.sort.beside(1), false),
            KeyCode::Up | KeyCode::Char('k') => self.select(-1),
            KeyCode::Down | KeyCode::Char('j') => self.select(1),
            _ => {}
        }
    }

    fn sort_by(&mut self, column: Column, reversed: bool) {
        (self.sort, self.reversed) = (column, reversed);
        self.arrange();
    }

    /// The selected row's place.
    pub fn selection(&self) -> Option<usize> {
        let selected = self.selected?;
        self.rows.iter().position(|row| row.key() == selected)
    }

    fn select(&mut self, steps: isize) {
        let Some(last) = self.rows.len().checked_sub(1) else { return };
        let at = self.selection().unwrap_or(0).saturating_add_signed(steps).min(last);
        self.selected = Some(self.rows[at].key());
    }

    /// What the selected row was at earlier looks.
    pub fn history(&self) -> Option<&History> {
        self.sampler.history(self.selected?)
    }

    fn flush(&mut self) {
        let Some(key) = self.selected else { return self.tell("nobody is selected".to_owned()) };
        let Some(page) = self.sampler.page(key) else { return };
        // All of its GPUs: somebody who wants memory back wants all of it.
        match ask(page, Devices::ALL, Urgency::Asked) {
            Ok(asked) => {
                self.asked = Some((key, asked));
                self.tell(format!("{} is asked for a flush", key.0));
            }
            Err(message) => self.tell(message),
        }
    }

    /// Tells what came back, once that is known.
    fn hear(&mut self) {
        let Some((key, asked)) = self.asked else { return };
        let page = self.sampler.page(key);
        let Some(page) = page.filter(|page| page.state != State::Gone) else {
            self.asked = None;
            return self.tell(format!("{} has ended", key.0));
        };
        let flush = page.figures.as_ref().and_then(|figures| match asked {
            Asked::Page(number) if figures.served >= number => figures.answer.clone(),
            Asked::Page(_) => None,
            Asked::Signal => figures.last_flush.clone().filter(|flush| flush.reason == "signal"),
        });
        if let Some(flush) = flush {
            self.asked = None;
            self.tell(format!("{} {}", key.0, outcome(&flush)));
        }
    }

    fn tell(&mut self, message: String) {
        self.message = Some((message, Instant::now()));
    }

    /// What is to be told now.
    pub fn message(&self) -> Option<&str> {
        let (message, since) = self.message.as_ref()?;
        (since.elapsed() < MESSAGE).then_some(message)
    }
}
