//! The store against a small model of it: random operations, and after each the two must agree.
//!
//! The model knows nothing of tables: lanes are queues, a job is at one of a few places, a message has a state. A run is
//! made from a seed, which a failure names; `MODEL_SEED=7` repeats one run, `MODEL_RUNS=200` makes more of them.

mod customers;
mod deliveries;
mod sends;
mod world;

use rstest::rstest;
use switchboard::config::Environment;

use self::world::World;
use crate::support::Backend;

/// Operations of one run.
const STEPS: u32 = 150;

#[rstest]
#[tokio::test]
async fn the_store_does_what_its_model_does(#[values(Backend::Sqlite, Backend::Postgres)] backend: Backend) {
    let environment = Environment::from_process();
    let number = |name: &str| environment.get(name).and_then(|value| value.parse::<u64>().ok());
    let seeds = match number("MODEL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MODEL_RUNS").unwrap_or(6),
    };
    for seed in seeds {
        let mut world = World::open(backend, seed).await;
        for _ in 0..STEPS {
            world.step().await;
            world.compare().await;
        }
        world.finish().await;
    }
}
