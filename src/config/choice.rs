//! The values that are words of a fixed set, and those that are a word or something else.

use super::value::Value;
use crate::files::check_pattern;

/// An enum of words: `Variant = "word"`, and `Variant = "word" if testing` for tests alone, where
/// `testing` is the name in parentheses.
macro_rules! choice {
    (
        $(#[doc = $doc:literal])+
        $type:ident($testing:ident) = $form:literal {
            $($(#[doc = $help:literal])+ $variant:ident = $word:literal $(if $guard:ident)?,)+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type {
            $($(#[doc = $help])+ $variant,)+
        }

        impl $type {
            /// The word in `CUPOOL_CONF` and in the stats file.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl Value for $type {
            const FORM: &'static str = $form;

            fn parse(text: &str, $testing: bool) -> Result<Self, &'static str> {
                match text.to_ascii_lowercase().as_str() {
                    $($word $(if $guard)? => Ok(Self::$variant),)+
                    _ => Err("not one of the words"),
                }
            }

            fn show(&self) -> String {
                self.name().to_owned()
            }
        }
    };
}

choice! {
    /// When a freed block may be handed out again.
    Order(testing) = "strict|fence|auto|lazy" {
        /// The host waits for the device inside every free, as natively.
        Strict = "strict",
        /// A fence on the device at every free; the host's wait is owed.
        Fence = "fence",
        /// `Fence` as long as nobody can tell, then `Strict`.
        Auto = "auto",
        /// A fence before a block is reused.
        Lazy = "lazy",
        /// No order at all. Corrupts memory: it shows that the hazard tests can fail.
        Unordered = "unordered" if testing,
    }
}

choice! {
    /// Where physical memory comes from.
    Backing(_testing) = "auto|arena|exact" {
        /// The arena where the device and the program allow it.
        Auto = "auto",
        /// Reserved addresses, and physical memory mapped where it is needed.
        Arena = "arena",
        /// Every block is one driver allocation.
        Exact = "exact",
    }
}

choice! {
    /// What memory is overwritten with that changes hands.
    Fill(_testing) = "none|junk|zero" {
        /// Nothing.
        None = "none",
        /// Bytes that no program takes for a value of its own.
        Junk = "junk",
        /// Zeros.
        Zero = "zero",
    }
}

choice! {
    /// What the lines of the log are.
    LogFormat(_testing) = "text|json" {
        /// For people.
        Text = "text",
        /// An object of JSON each.
        Json = "json",
    }
}

choice! {
    /// What happens in a process at which a tool looks that wants to see each allocation.
    UnderTools(_testing) = "auto|aside|serve" {
        /// As `Aside` where the tool checks memory, else as `Serve`.
        Auto = "auto",
        /// The driver serves the process.
        Aside = "aside",
        /// The pool serves it.
        Serve = "serve",
    }
}

impl Fill {
    /// The byte that stands in memory that is handed out.
    pub const fn allocated(self) -> Option<u8> {
        match self {
            Self::None => None,
            Self::Junk => Some(0xa5),
            Self::Zero => Some(0),
        }
    }

    /// The byte that stands in memory that was freed.
    pub const fn freed(self) -> Option<u8> {
        match self {
            Self::None => None,
            Self::Junk => Some(0x5a),
            Self::Zero => Some(0),
        }
    }
}

/// Which signal asks for a flush and a stats file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignalChoice {
    /// None: no handler is installed.
    None,
    /// `SIGUSR1`
    Usr1,
    /// `SIGUSR2`
    Usr2,
    /// `SIGRTMIN` plus this much.
    RealTime(u8),
}

impl SignalChoice {
    /// glibc keeps the signals 32 and 33 and leaves 34 to 64 to programs.
    const LAST_REAL_TIME: u8 = 30;

    /// The signal's number in this process; `None` where there is none to catch.
    pub fn number(self) -> Option<i32> {
        match self {
            Self::None => None,
            Self::Usr1 => Some(libc::SIGUSR1),
            Self::Usr2 => Some(libc::SIGUSR2),
            Self::RealTime(offset) => {
                let number = libc::SIGRTMIN() + i32::from(offset);
                (number <= libc::SIGRTMAX()).then_some(number)
            }
        }
    }
}

impl Value for SignalChoice {
    const FORM: &'static str = "USR1|USR2|RTMIN+n|none";

    fn parse(text: &str, _testing: bool) -> Result<Self, &'static str> {
        let upper = text.to_ascii_uppercase();
        match upper.strip_prefix("SIG").unwrap_or(&upper) {
            "NONE" => Ok(Self::None),
            "USR1" => Ok(Self::Usr1),
            "USR2" => Ok(Self::Usr2),
            "RTMIN" => Ok(Self::RealTime(0)),
            other => match other.strip_prefix("RTMIN+").map(str::parse) {
                Some(Ok(offset)) if offset <= Self::LAST_REAL_TIME => Ok(Self::RealTime(offset)),
                Some(_) => Err("n goes from 0 to 30"),
                None => Err("not a signal for programs to use"),
            },
        }
    }

    fn show(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Usr1 => "USR1".to_owned(),
            Self::Usr2 => "USR2".to_owned(),
            Self::RealTime(offset) => format!("RTMIN+{offset}"),
        }
    }
}

/// Where the stats file goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatsFile {
    /// The default name in the default directory.
    Default,
    /// Nowhere: none is written unless a path is named with the request.
    Off,
    /// A path with the patterns of [`crate::files`].
    At(String),
}

impl Value for StatsFile {
    const FORM: &'static str = "default|none|PATH (without comma; %p %h %e %t %n %%)";

    fn parse(text: &str, _testing: bool) -> Result<Self, &'static str> {
        match text {
            "default" => Ok(Self::Default),
            "none" | "off" => Ok(Self::Off),
            _ => path(text).map(Self::At),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Default => "default".to_owned(),
            Self::Off => "none".to_owned(),
            Self::At(path) => path.clone(),
        }
    }
}

/// Where the trace goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceFile {
    /// Nowhere: nothing is recorded.
    Off,
    /// A path with the patterns of [`crate::files`].
    At(String),
}

impl Value for TraceFile {
    const FORM: &'static str = "none|PATH (without comma; %p %h %e %t %%)";

    fn parse(text: &str, _testing: bool) -> Result<Self, &'static str> {
        match text {
            "none" | "off" => Ok(Self::Off),
            _ => path(text).map(Self::At),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Off => "none".to_owned(),
            Self::At(path) => path.clone(),
        }
    }
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFile {
    /// The process's standard error.
    Stderr,
    /// A path with the patterns of [`crate::files`]; lines are appended.
    At(String),
}

impl Value for LogFile {
    const FORM: &'static str = "stderr|PATH (without comma; %p %h %e %t %%)";

    fn parse(text: &str, _testing: bool) -> Result<Self, &'static str> {
        match text {
            "stderr" => Ok(Self::Stderr),
            _ => path(text).map(Self::At),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Stderr => "stderr".to_owned(),
            Self::At(path) => path.clone(),
        }
    }
}

/// A path as the environment can hold it.
fn path(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("an empty path"),
        _ if text.contains('\0') => Err("a path holds no NUL"),
        _ => check_pattern(text).map(|()| text.to_owned()),
    }
}
