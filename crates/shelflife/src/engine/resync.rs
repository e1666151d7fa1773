//! Which incarnation memory belongs to.
//!
//! Memory opens with the first clock that is seen. When a clock of another incarnation turns up (the
//! server was flushed, or lost its clock), memory closes, L1 is dropped, and memory opens again at a
//! clock that is read after that. Until then everything counts as touched.

use super::Engine;
use crate::epoch::Epoch;
use crate::store::StoreResult;

impl Engine {
    /// Makes sure that memory belongs to the incarnation of `clock`, which was just seen.
    pub(super) async fn belong_to(&self, clock: Epoch) -> StoreResult<()> {
        if self
            .memory()
            .start()
            .is_some_and(|start| start.inc == clock.inc)
        {
            return Ok(());
        }
        let _one_at_a_time = self.resync.lock().await;
        if self
            .memory()
            .start()
            .is_some_and(|start| start.inc == clock.inc)
        {
            return Ok(());
        }
        self.memory().close();
        self.local.clear();
        let position = self.store.clock().await?;
        tracing::info!(%position, "memory opens");
        self.memory().open(position);
        // What was admitted between the first drop and the opening was judged by nobody.
        self.local.clear();
        Ok(())
    }
}
