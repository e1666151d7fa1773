//! In place of the codings, where none is built in: nothing is offered, so nothing is made.

use super::Coding;

/// None.
pub(super) const OFFERED: &[Coding] = &[];

pub(super) fn code(_: Coding, _: &[u8]) -> Option<Vec<u8>> {
    None
}
