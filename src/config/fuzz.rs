//! Parsing text that nobody would write.

use super::Options;

fn joined(options: &Options) -> String {
    let entries = options.pairs().into_iter().map(|(key, value)| format!("{key}:{value}"));
    entries.collect::<Vec<_>>().join(",")
}

/// Text that is often nearly right: fragments of the grammar, names, and anything else.
struct Scribe(u64);

impl Scribe {
    fn below(&mut self, bound: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn text(&mut self) -> String {
        const FRAGMENTS: &[&str] = &[
            ":",
            ",",
            " ",
            "%",
            "+",
            "-",
            ".",
            "0",
            "1",
            "9",
            "20",
            "4096",
            "K",
            "GiB",
            "ms",
            "s",
            "h",
            "none",
            "auto",
            "fence",
            "strict",
            "lazy",
            "exact",
            "true",
            "off",
            "USR2",
            "RTMIN+",
            "/tmp/",
            "%p",
            "%%",
            "default",
            "stderr",
            "debug",
            "é",
            "\0",
            "\n",
            "\u{2028}",
            "18446744073709551615",
        ];
        let mut text = String::new();
        for _ in 0..self.below(6) {
            text.push_str(Options::NAMES[self.below(Options::NAMES.len())]);
            text.push(':');
            for _ in 0..=self.below(3) {
                text.push_str(FRAGMENTS[self.below(FRAGMENTS.len())]);
            }
            text.extend(
                char::from_u32(self.below(0x11_0000) as u32).filter(|_| self.0.is_multiple_of(8)),
            );
            text.push(',');
        }
        text
    }
}

#[test]
fn whatever_is_written_parses_and_what_parsed_round_trips() {
    let rounds = if cfg!(miri) { 10 } else { 20_000 };
    let mut scribe = Scribe(0x9e37_79b9_7f4a_7c15);
    let mut set = 0;
    for _ in 0..rounds {
        let text = scribe.text();
        let (options, _) = Options::parse(&text, true);
        set += usize::from(options != Options::defaults());
        assert_eq!(Options::parse(&joined(&options), true), (options, Vec::new()), "{text:?}");
    }
    assert!(set > rounds / 10, "only {set} of {rounds} texts set anything");
}
