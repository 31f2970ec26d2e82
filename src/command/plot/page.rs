//! A picture as one page, and as one file of shapes.

use std::fmt::Write;

use super::picture::{Content, Picture};
use super::svg::{Anchor, Drawing, WIDTH, escaped};
use super::{map, sizes, timeline};

/// Colours of the page, which follows the reader's choice of light or dark.
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// The same light colours for a file that stands alone, where nothing but names of classes counts.
const ALONE: &str = include_str!("alone.css");

fn draw(content: &Content) -> Drawing {
    match content {
        Content::Timeline(content) => timeline::draw(content),
        Content::Map(segments) => map::draw(segments),
        Content::Sizes(content) => sizes::draw(content),
    }
}

/// The whole page: it fetches nothing from anywhere.
pub fn html(pictures: &[Picture]) -> String {
    let mut body = String::new();
    for picture in pictures {
        let (title, source) = (escaped(&picture.title), escaped(&picture.source));
        let _ = write!(body, "<header><h1>{title}</h1><p>{source}</p></header>\n<dl>");
        for (name, value) in &picture.facts {
            let _ =
                write!(body, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(name), escaped(value));
        }
        body.push_str("</dl>\n");
        for chart in &picture.charts {
            let Drawing { shapes, height, data } = draw(&chart.content);
            let (heading, note) = (escaped(&chart.heading), escaped(&chart.note));
            let _ = write!(
                body,
                "<section><h2>{heading} <small>{note}</small></h2>\n\
                 <svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{heading}\" {data}>\n\
                 {shapes}</svg></section>\n"
            );
        }
    }
    let title = pictures.first().map_or(String::new(), |picture| escaped(&picture.title));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>{title} – cupool</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         {body}</main>\n<div id=\"tip\" hidden></div>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

/// Everything below each other as one SVG file.
pub fn svg(pictures: &[Picture]) -> String {
    const MARGIN: f64 = 24.0;
    let mut all = Drawing::default();
    let mut y = MARGIN;
    for picture in pictures {
        all.text(0.0, y + 18.0, Anchor::Start, "title", &picture.title);
        all.text(WIDTH, y + 18.0, Anchor::End, "label", &picture.source);
        y += 36.0;
        let column = WIDTH / picture.facts.len().max(1) as f64;
        for (number, (name, value)) in picture.facts.iter().enumerate() {
            let x = number as f64 * column;
            all.text(x, y + 14.0, Anchor::Start, "label", name);
            all.text(x, y + 34.0, Anchor::Start, "fact", value);
        }
        y += 58.0;
        for chart in &picture.charts {
            let heading = format!("{} – {}", chart.heading, chart.note);
            all.text(0.0, y + 14.0, Anchor::Start, "heading", &heading);
            y += 30.0;
            let drawing = draw(&chart.content);
            let _ = writeln!(
                all.shapes,
                "<g transform=\"translate(0,{y:.1})\">\n{}</g>",
                drawing.shapes
            );
            y += drawing.height + 20.0;
        }
    }
    let (width, shapes) = (WIDTH + 2.0 * MARGIN, all.shapes);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{y:.0}\" \
         viewBox=\"{left} 0 {width} {y:.0}\">\n<style>\n{ALONE}</style>\n\
         <rect x=\"{left}\" y=\"0\" width=\"{width}\" height=\"{y:.0}\" class=\"paper\"/>\n\
         {shapes}</svg>\n",
        left = -MARGIN,
    )
}
