//! The live view on the terminal.

use std::env;

use cupool::live::State;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{
    Block, Cell, Clear, Paragraph, RenderDirection, Row as Cells, Sparkline, Table, TableState,
};

use super::app::App;
use super::column::{COMMAND, Column};
use super::row::Row;
use crate::command::units::{bytes, short_bytes};

/// Idle memory from which on it is shown in colour.
const MUCH: u64 = 1 << 30;
/// Lines of the curves.
const CURVES: u16 = 6;
/// Lines of the terminal from which on there are curves.
const TALL: u16 = 14;

/// Draws everything.
pub fn draw(app: &App, frame: &mut Frame) {
    let curves = if frame.area().height >= TALL { CURVES } else { 0 };
    let [title, table, curve, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(2),
        Constraint::Length(curves),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(self::title(app), title);
    draw_table(app, frame, table);
    if curves > 0 {
        draw_curves(app, frame, curve);
    }
    frame.render_widget(self::keys(app), keys);
    if app.helps {
        draw_help(frame);
    }
}

/// A colour, unless the user wants none.
fn in_colour(color: Color) -> Style {
    match env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        true => Style::new(),
        false => Style::new().fg(color),
    }
}

fn title(app: &App) -> Paragraph<'static> {
    let sum = |of: fn(&Row) -> u64| {
        bytes(app.rows.iter().filter(|r| r.state != State::Gone).map(of).sum())
    };
    let mut pids: Vec<_> = app.rows.iter().map(|row| (row.pid, row.start_ticks)).collect();
    pids.sort_unstable();
    pids.dedup();
    let count = match pids.len() {
        1 => "1 process".to_owned(),
        count => format!("{count} processes"),
    };
    let mut spans = vec![
        Span::from("cupool").bold(),
        Span::from(format!(
            "  {count}, {} allocated, {} reserved, {} idle",
            sum(|row| row.allocated),
            sum(|row| row.reserved),
            sum(|row| row.idle),
        )),
    ];
    if app.paused {
        spans.push(Span::from("  PAUSED").style(in_colour(Color::Yellow)).bold());
    }
    Paragraph::new(Line::from(spans))
}

fn draw_table(app: &App, frame: &mut Frame, area: Rect) {
    if app.rows.is_empty() {
        let text =
            "\nNo process of yours runs under cupool.\nStart one with `cupool run -- COMMAND`.";
        frame.render_widget(Paragraph::new(text).alignment(Alignment::Center), area);
        return;
    }
    let columns = Column::fitting(area.width.into());
    let header = columns.iter().map(|&column| {
        let style = Style::new().add_modifier(Modifier::BOLD);
        let sorted = style.add_modifier(Modifier::UNDERLINED);
        let style = if column == app.sort { sorted } else { style };
        aligned(column, Line::from(Span::styled(column.title(), style)))
    });
    let rows = app.rows.iter().map(|row| {
        let cells = columns.iter().map(|&column| {
            let cell = aligned(column, Line::from(column.cell(row)));
            if column == Column::Idle && row.idle >= MUCH && row.state == State::Running {
                cell.style(in_colour(Color::Yellow))
            } else {
                cell
            }
        });
        let line = Cells::new(cells.collect::<Vec<_>>());
        match row.state {
            State::Gone => line.style(in_colour(Color::Red).add_modifier(Modifier::DIM)),
            State::Running | State::Elsewhere => line,
        }
    });
    let widths = columns.iter().map(|column| match column {
        Column::Command => Constraint::Min(COMMAND as u16),
        _ => Constraint::Length(column.width() as u16),
    });
    let table = Table::new(rows, widths)
        .header(Cells::new(header))
        .column_spacing(1)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(app.selection());
    frame.render_stateful_widget(table, area, &mut state);
}

/// Numbers to the right.
fn aligned(column: Column, line: Line<'_>) -> Cell<'_> {
    match column {
        Column::Command => Cell::from(line),
        _ => Cell::from(line.right_aligned()),
    }
}

/// What the selected process had reserved and allocated, on one scale.
fn draw_curves(app: &App, frame: &mut Frame, area: Rect) {
    let (Some(history), Some(at)) = (app.history(), app.selection()) else { return };
    let row = &app.rows[at];
    let halves: [Rect; 2] = Layout::vertical([Constraint::Fill(1); 2]).areas(area);
    let top = history.reserved.iter().chain(&history.allocated).max().copied().unwrap_or(0).max(1);
    for (area, name, values, now, color) in [
        (halves[0], "reserved", &history.reserved, row.reserved, Color::Blue),
        (halves[1], "allocated", &history.allocated, row.allocated, Color::Green),
    ] {
        let title = format!(" {name} by {}: {} (scale {}) ", row.pid, bytes(now), short_bytes(top));
        let width = usize::from(area.width);
        let curve = Sparkline::default()
            .block(Block::new().title(title))
            .direction(RenderDirection::RightToLeft)
            .data(values.iter().rev().take(width).copied())
            .max(top)
            .style(in_colour(color));
        frame.render_widget(curve, area);
    }
}

fn keys(app: &App) -> Paragraph<'_> {
    match app.message() {
        Some(message) => Paragraph::new(message).bold(),
        None => {
            Paragraph::new("q quit  ? help  space pause  f flush  ←→ sort  r reverse  ↑↓ select")
        }
    }
}

fn draw_help(frame: &mut Frame) {
    let mut lines: Vec<Line> = Column::ALL
        .iter()
        .map(|column| {
            Line::from(vec![format!(" {:<9}", column.title()).bold(), column.help().into()])
        })
        .collect();
    lines.push(Line::default());
    for (key, does) in [
        ("↑ ↓ k j", "select a process"),
        ("← → < >", "sort by another column"),
        ("r", "turn the order round"),
        ("space", "pause, and go on"),
        ("f", "ask the selected process to give its idle memory back"),
        ("q", "quit"),
    ] {
        lines.push(Line::from(vec![format!(" {key:<9}").bold(), does.into()]));
    }
    let area = frame.area();
    let (width, height) = (area.width.min(78), area.height.min(lines.len() as u16 + 2));
    let area = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(" cupool top: any key closes this ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
