//! Dots from shapes.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};

/// Dots for each unit of a shape: pictures are looked at on dense screens.
const SCALE: f32 = 2.0;

/// The PNG file of an SVG file.
///
/// # Errors
/// One line with what to do.
pub fn draw(svg: &str) -> Result<Vec<u8>, String> {
    let mut fonts = Database::new();
    fonts.load_system_fonts();
    if fonts.is_empty() {
        return Err("no font for the PNG; install one (fonts-dejavu-core), or use --svg".to_owned());
    }
    // What `sans-serif` means where the system does not say so.
    let known = ["DejaVu Sans", "Liberation Sans", "Noto Sans"];
    let has = |name: &&str| {
        fonts.faces().any(|face| face.families.iter().any(|(family, _)| family == name))
    };
    let any = fonts.faces().next().and_then(|face| face.families.first()).map(|f| f.0.clone());
    let family = known.iter().find(|name| has(name)).map(|name| (*name).to_owned()).or(any);
    if let Some(family) = family {
        fonts.set_sans_serif_family(family);
    }
    let options = Options { fontdb: Arc::new(fonts), ..Options::default() };
    let failed = |error: &dyn std::fmt::Display| format!("drawing failed: {error}; use --svg");
    let tree = Tree::from_str(svg, &options).map_err(|error| failed(&error))?;
    let size = tree.size().to_int_size().scale_by(SCALE);
    let mut dots = size
        .and_then(|size| Pixmap::new(size.width(), size.height()))
        .ok_or_else(|| failed(&"the picture is too large"))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut dots.as_mut());
    dots.encode_png().map_err(|error| failed(&error))
}
