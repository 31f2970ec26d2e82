//! Shapes as text.

use std::fmt::Write;

/// How wide every chart is.
pub const WIDTH: f64 = 1000.0;

/// A drawing of [`WIDTH`], as the inside of an `svg` element. Colours are classes, which the page or
/// the file around it defines.
#[derive(Default)]
pub struct Drawing {
    /// The elements.
    pub shapes: String,
    /// How high it is.
    pub height: f64,
    /// Attributes of the `svg` element, for the page's script.
    pub data: String,
}

/// Which end of a text is given.
#[derive(Clone, Copy)]
pub enum Anchor {
    /// Its left.
    Start,
    /// Its middle.
    Middle,
    /// Its right.
    End,
}

// Writing to a string cannot fail.
impl Drawing {
    /// A rectangle; one with a `tip` tells it when it is pointed at.
    pub fn rect(&mut self, [x, y, width, height]: [f64; 4], class: &str, tip: Option<&str>) {
        let shape = format_args!(
            r#"<rect x="{x:.2}" y="{y:.2}" width="{width:.2}" height="{height:.2}" class="{class}""#
        );
        let _ = match tip {
            None => writeln!(self.shapes, "{shape}/>"),
            Some(tip) => {
                let tip = escaped(tip);
                writeln!(self.shapes, r#"{shape} data-t="{tip}"><title>{tip}</title></rect>"#)
            }
        };
    }

    /// A path, with the same `tip`.
    pub fn path(&mut self, path: &str, class: &str, tip: Option<&str>) {
        let _ = match tip {
            None => writeln!(self.shapes, r#"<path d="{path}" class="{class}"/>"#),
            Some(tip) => {
                let tip = escaped(tip);
                writeln!(
                    self.shapes,
                    r#"<path d="{path}" class="{class}" data-t="{tip}"><title>{tip}</title></path>"#
                )
            }
        };
    }

    /// A text whose baseline is at `y`.
    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        let _ = writeln!(
            self.shapes,
            r#"<text x="{x:.2}" y="{y:.2}" text-anchor="{anchor}" class="{class}">{text}</text>"#
        );
    }

    /// A line.
    pub fn line(&mut self, [x1, y1, x2, y2]: [f64; 4], class: &str) {
        let _ = writeln!(
            self.shapes,
            r#"<line x1="{x1:.2}" y1="{y1:.2}" x2="{x2:.2}" y2="{y2:.2}" class="{class}"/>"#
        );
    }

    /// Squares with their names, from the left; gives where they end.
    pub fn legend(&mut self, mut x: f64, y: f64, entries: &[(&str, &str)]) {
        for (class, name) in entries {
            self.rect([x, y - 9.0, 10.0, 10.0], class, None);
            self.text(x + 15.0, y, Anchor::Start, "label", name);
            x += 33.0 + 6.2 * name.chars().count() as f64;
        }
    }
}

/// A text as it can stand in an element or an attribute.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' => escaped.push_str("&#10;"),
            // No other control character can stand in XML at all.
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(
            escaped("<a href='x'>\"&\u{1b}\n"),
            "&lt;a href=&#39;x&#39;&gt;&quot;&amp;\u{fffd}&#10;"
        );
    }
}
