use super::Options;

#[test]
fn the_defaults_parse() {
    assert_eq!(Options::parse("", false), (Options::defaults(), Vec::new()));
}
