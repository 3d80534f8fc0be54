//! Retention from its beginning to its end, in rounds that let others in between.

use std::time::Duration;

use super::{Result, Store};
use crate::model::retention::{Keep, Purged};

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
