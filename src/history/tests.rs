//! The ring from one thread and from several.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{Action, Event, History};

fn event(number: u64) -> Event {
    Event {
        action: Action::ALL[number as usize % Action::ALL.len()],
        device: (number % 3) as i32 - 1,
        address: number << 9,
        bytes: number * 3,
        micros: number * 7,
    }
}

#[test]
fn the_last_events_are_remembered_in_their_order() {
    let history = History::new(8).expect("on");
    assert!(history.events().is_empty());
    for number in 0..5 {
        history.add(event(number));
    }
    assert_eq!(history.events(), (0..5).map(event).collect::<Vec<_>>());
    assert_eq!(history.forgotten(), 0);
    for number in 5..29 {
        history.add(event(number));
    }
    assert_eq!(history.events(), (21..29).map(event).collect::<Vec<_>>());
    assert_eq!(history.forgotten(), 21);
}

#[test]
fn none_is_no_ring() {
    assert!(History::new(0).is_none());
}

/// A thread that was put off in the middle keeps its slot, however many events come meanwhile.
#[test]
fn what_is_being_written_is_not_written_over() {
    let history = History::new(4).expect("on");
    let number = history.next.fetch_add(1, Ordering::Relaxed);
    let slot = &history.slots[number as usize];
    slot.state.store(1, Ordering::Relaxed);
    (1..=4).for_each(|number| history.add(event(number)));
    assert_eq!(history.events(), (1..=3).map(event).collect::<Vec<_>>());
    assert_eq!(history.forgotten(), 1, "the one that came to that slot");
    // It is done; its event is the oldest, until another one comes there.
    slot.state.store(2, Ordering::Relaxed);
    assert_eq!(history.events().len(), 4);
    (5..=8).for_each(|number| history.add(event(number)));
    assert_eq!(history.events(), (5..=8).map(event).collect::<Vec<_>>());
}

/// Writers of a short ring overtake each other all the time; no event is ever seen mixed.
#[test]
fn events_are_whole_whoever_writes_and_reads() {
    const EACH: u64 = if cfg!(miri) { 60 } else { 20_000 };
    let history = History::new(4).expect("on");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) || seen == 0 {
                for found in history.events() {
                    assert_eq!(found, event(found.bytes / 3), "mixed of two events");
                    seen += 1;
                }
                thread::yield_now();
            }
        });
        let writers = [0, 1, 2].map(|writer| {
            let history = &history;
            scope.spawn(move || (0..EACH).for_each(|n| history.add(event(n * 3 + writer))))
        });
        for writer in writers {
            writer.join().expect("a writer");
        }
        done.store(true, Ordering::Relaxed);
        reader.join().expect("the reader");
    });
    // A writer that was put off in the middle may have cost the last round of its slot.
    assert!(!history.events().is_empty());
}
