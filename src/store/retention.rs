//! What goes bit by bit, from its beginning to its end: retention in rounds, the history of one customer in steps. Others are
//! let in between.

use std::future::Future;
use std::time::Duration;

use ulid::Ulid;

use super::plan::retention::{FINISHED, Finished};
use super::{Result, Store};
use crate::model::id::{ConversationId, Id};
use crate::model::retention::{Erased, Keep, Purged};

/// Between two rounds: others come first.
const PAUSE: Duration = Duration::from_millis(20);

/// Takes away everything that is older than is kept, and counts it.
pub async fn purge(store: &dyn Store, keep: &Keep) -> Result<Purged> {
    purge_some(store, keep, u32::MAX).await
}

/// The same in so many rounds at most; what it counts says whether there may be more.
pub async fn purge_some(store: &dyn Store, keep: &Keep, rounds: u32) -> Result<Purged> {
    let mut purged = store.purge(keep).await?;
    for _ in 1..rounds {
        if !purged.more {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        purged.add(&store.purge(keep).await?);
    }
    Ok(purged)
}

/// The id of a row of any table.
pub type RowId = Id<()>;

/// What a step of an erasure took.
#[derive(Debug)]
pub struct Step {
    /// How much it was.
    pub erased: Erased,
    /// Behind which row the next one begins; nothing at the end.
    pub after: Option<RowId>,
}

/// Takes what is finished of these conversations, step by step.
pub async fn erase_finished<F: Future<Output = Result<Step>>>(
    conversations: &[ConversationId],
    step: impl Fn(&'static Finished, ConversationId, RowId) -> F,
) -> Result<Erased> {
    let mut erased = Erased::default();
    for conversation in conversations {
        for finished in &FINISHED {
            let mut after = Some(RowId::new(Ulid::nil()));
            while let Some(place) = after {
                let taken = step(finished, *conversation, place).await?;
                erased.add(&taken.erased);
                after = taken.after;
            }
        }
    }
    Ok(erased)
}
