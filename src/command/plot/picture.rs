//! What is shown, before it is drawn.

use cupool::pools::Segment;

/// A page. Sizes are in bytes everywhere.
pub struct Picture {
    /// What it is of.
    pub title: String,
    /// Where that comes from.
    pub source: String,
    /// The figures that say most, each with its name.
    pub facts: Vec<(&'static str, String)>,
    /// One below the other.
    pub charts: Vec<Chart>,
}

/// A chart with its heading.
pub struct Chart {
    /// The heading.
    pub heading: String,
    /// What to know to read it.
    pub note: String,
    /// What is drawn.
    pub content: Content,
}

/// What is drawn.
pub enum Content {
    /// Memory over time.
    Timeline(Timeline),
    /// Segments and blocks at one moment.
    Map(Vec<Segment>),
    /// How many there are of which size.
    Sizes(Sizes),
}

/// Memory over time.
#[derive(Default)]
pub struct Timeline {
    /// By time.
    pub samples: Vec<Sample>,
    /// What happened besides.
    pub marks: Vec<Mark>,
    /// Whether a sample holds until the next, instead of being one of a line.
    pub steps: bool,
    /// Whether reserved memory is known.
    pub knows_reserved: bool,
}

/// Memory at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Since the first one.
    pub seconds: f64,
    /// In the program's hands.
    pub allocated: u64,
    /// Taken from the device.
    pub reserved: u64,
}

/// Something that happened.
pub struct Mark {
    /// As in [`Sample`].
    pub seconds: f64,
    /// What.
    pub kind: MarkKind,
    /// In a few words.
    pub text: String,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// Idle memory was given back.
    Flush,
    /// An allocation failed for lack of memory.
    OutOfMemory,
}

/// Sizes by powers of two.
pub struct Sizes {
    /// Count and bytes of those of 2^n to 2^(n+1) − 1 bytes.
    pub bins: Box<[(u64, u64); 64]>,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { bins: Box::new([(0, 0); 64]) }
    }
}

impl Sizes {
    /// One more.
    pub fn add(&mut self, bytes: u64) {
        if let Some(log2) = bytes.checked_ilog2() {
            let bin = &mut self.bins[log2 as usize];
            bin.0 += 1;
            bin.1 += bytes;
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bins.iter().all(|bin| bin.0 == 0)
    }
}
