//! The `%` codes in paths.

use crate::report::ProcessFacts;

/// Replaces the codes in `text`. One that does not exist stays as it is.
pub(super) fn expand(text: &str, process: &ProcessFacts, sequence: u64) -> String {
    let mut expanded = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        expanded.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some('p') => expanded.push_str(&process.pid.to_string()),
            Some('h') => expanded.push_str(&part_of_name(&process.host)),
            Some('e') => expanded.push_str(&part_of_name(process.executable_name())),
            // Whole seconds: the cast drops the fraction.
            Some('t') => {
                expanded.push_str(&(process.start_time.unwrap_or(0.0) as u64).to_string());
            }
            Some('n') => expanded.push_str(&sequence.to_string()),
            Some('%') => expanded.push('%'),
            Some(other) => expanded.extend(['%', other]),
            None => expanded.push('%'),
        }
        rest = chars.as_str();
    }
    expanded.push_str(rest);
    expanded
}

/// Whether every code in `text` exists.
pub(crate) fn check(text: &str) -> Result<(), &'static str> {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '%' && !matches!(chars.next(), Some('p' | 'h' | 'e' | 't' | 'n' | '%')) {
            return Err("an unknown % code");
        }
    }
    Ok(())
}

/// Hosts and executables are named by others: nothing in a name may lead to another directory.
fn part_of_name(text: &str) -> String {
    match text {
        "." | ".." => "_".to_owned(),
        _ => text.replace(['/', '\0'], "_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> ProcessFacts {
        ProcessFacts {
            pid: 4242,
            start_time: Some(1_700_000_000.99),
            executable: "/usr/bin/python3.12".to_owned(),
            host: "../node%p".to_owned(),
        }
    }

    #[test]
    fn every_code_is_replaced() {
        let expanded = expand("%p %e %t %n %%p %h", &process(), 7);
        assert_eq!(expanded, "4242 python3.12 1700000000 7 %p .._node%p");
    }

    #[test]
    fn what_is_no_code_stays() {
        assert_eq!(expand("a%qb%é%", &process(), 7), "a%qb%é%");
        assert_eq!(expand("", &process(), 7), "");
    }

    #[test]
    fn unknown_codes_are_found() {
        assert_eq!(check("/a/%p.%h.%e.%t.%n.%%q"), Ok(()));
        for wrong in ["%q", "%", "%%%", "a%é"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_never_is_a_directory() {
        let process = ProcessFacts { executable: String::new(), host: "..".into(), ..process() };
        assert_eq!(expand("%h%e", &process, 0), "_");
    }
}
