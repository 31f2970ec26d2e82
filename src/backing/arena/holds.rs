//! Blocks whose memory somebody is about to name to another process, so that it has to stay behind
//! them: one that is given back meanwhile is taken back only afterwards.

use crate::order::Stamp;

/// A block that is held.
#[derive(Debug)]
struct Hold {
    token: u32,
    holders: u32,
    /// The fence behind which it was given back meanwhile.
    given: Option<Stamp>,
}

/// The blocks that are held. Few, and for a moment.
#[derive(Debug, Default)]
pub(super) struct Holds(Vec<Hold>);

impl Holds {
    /// One holder more of block `token`.
    pub(super) fn hold(&mut self, token: u32) {
        match self.of(token) {
            Some(hold) => hold.holders += 1,
            None => self.0.push(Hold { token, holders: 1, given: None }),
        }
    }

    /// Puts off that block `token` is given back. False if nobody holds it.
    pub(super) fn put_off(&mut self, token: u32, stamp: Stamp) -> bool {
        self.of(token).map(|hold| hold.given = Some(stamp)).is_some()
    }

    /// One holder less of block `token`. If it was the last, gives the fence behind which the block
    /// is to be given back now.
    pub(super) fn let_go(&mut self, token: u32) -> Option<Stamp> {
        let at = self.0.iter().position(|hold| hold.token == token)?;
        self.0[at].holders -= 1;
        if self.0[at].holders > 0 {
            return None;
        }
        self.0.swap_remove(at).given
    }

    fn of(&mut self, token: u32) -> Option<&mut Hold> {
        self.0.iter_mut().find(|hold| hold.token == token)
    }
}
