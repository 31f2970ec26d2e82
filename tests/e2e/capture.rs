//! Stream captures: nothing the pool does may disturb one.

use cupool_tests::Victim;

use crate::{ALL, same};

same! {
    allocating_and_freeing_in_three_modes: Victim::new("capture"), ALL;
    another_thread_works_meanwhile: Victim::new("capture_thread"), ALL;
}
