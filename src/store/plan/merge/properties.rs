//! What holds of every lane of a conversation that stays, whatever stood in the two.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ulid::Ulid;

use super::*;

const STAYS: u128 = 1;
const GOES: u128 = 2;

fn conversation(id: u128) -> ConversationId {
    ConversationId::new(Ulid(id))
}

/// Jobs of both conversations as they stand there: each numbered in its own, whatever the order of their ids.
fn jobs() -> impl Strategy<Value = Vec<StandingJob>> {
    let route = prop::option::of(prop::sample::select(vec!["desk", "bot"]));
    let job = (any::<u64>(), any::<bool>(), route, any::<bool>(), any::<bool>(), any::<bool>());
    prop::collection::vec(job, 0..20).prop_map(|jobs| {
        let mut sequences = BTreeMap::new();
        let standing =
            jobs.into_iter().enumerate().map(|(number, (mark, stays, route, ordered, parked, held))| {
                let conversation = conversation(if stays { STAYS } else { GOES });
                let sequence = sequences.entry(conversation).or_insert(0_i64);
                *sequence += 1;
                StandingJob {
                    id: JobId::new(Ulid((u128::from(mark) << 64) + number as u128)),
                    kind: if route.is_some() { JobKind::Deliver } else { JobKind::Send },
                    route: route.unwrap_or_default().to_owned(),
                    conversation,
                    ordered,
                    sequence: *sequence,
                    parked,
                    held: held && !parked,
                }
            });
        standing.collect()
    })
}

/// The one that stays, its last number no smaller than any job's: it is joined with the other before.
fn stays(jobs: &[StandingJob]) -> ConversationRecord {
    ConversationRecord {
        id: conversation(STAYS),
        business: "+15550100001".to_owned(),
        last_sequence: jobs.iter().map(|job| job.sequence).max().unwrap_or_default(),
        window: Window::default(),
        first_inbound: None,
        last_event_at: Timestamp::UNIX_EPOCH,
    }
}

/// The places of each lane in their order, with the job that takes each.
fn lanes(jobs: &[StandingJob], places: &[Place]) -> BTreeMap<String, Vec<(Place, StandingJob)>> {
    let mut lanes: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for place in places {
        let job = jobs.iter().find(|job| job.id == place.job).expect("a place is some job's");
        if let Some(lane) = &place.lane {
            lanes.entry(lane.to_string()).or_default().push((place.clone(), job.clone()));
        }
    }
    for lane in lanes.values_mut() {
        lane.sort_by_key(|(place, _)| place.sequence);
    }
    lanes
}

proptest! {
    #[test]
    fn every_job_gets_one_place_with_a_number_of_its_own(jobs in jobs()) {
        let mut stays = stays(&jobs);
        let before = stays.last_sequence;
        let places = line_up(&mut stays, jobs.clone());
        let mut placed: Vec<_> = places.iter().map(|place| place.job).collect();
        let mut standing: Vec<_> = jobs.iter().map(|job| job.id).collect();
        placed.sort();
        standing.sort();
        prop_assert_eq!(placed, standing);
        let mut numbers: Vec<_> = places.iter().map(|place| place.sequence).collect();
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (before + 1..=stays.last_sequence).collect::<Vec<_>>());
        for place in &places {
            let job = &jobs.iter().find(|job| job.id == place.job).expect("known");
            prop_assert_eq!(place.lane.is_some(), job.ordered);
        }
    }

    #[test]
    fn in_each_lane_only_the_first_that_waits_for_nobody_may_begin(jobs in jobs()) {
        let places = line_up(&mut stays(&jobs), jobs.clone());
        for (name, lane) in lanes(&jobs, &places) {
            let mut waiting = lane.iter().filter(|(_, job)| !job.parked).map(|(place, _)| place.blocked);
            prop_assert!(waiting.next().is_none_or(|blocked| !blocked), "{name} stands still");
            prop_assert!(waiting.all(|blocked| blocked), "two at once in {name}");
        }
        let free = places.iter().filter(|place| place.lane.is_none());
        prop_assert!(free.into_iter().all(|place| !place.blocked));
    }

    #[test]
    fn in_each_lane_nobody_overtakes_but_who_has_begun(jobs in jobs()) {
        let places = line_up(&mut stays(&jobs), jobs.clone());
        for lane in lanes(&jobs, &places).into_values() {
            let ranks = lane.iter().map(|(_, job)| (!job.held, job.conversation, job.sequence));
            prop_assert!(ranks.is_sorted());
        }
    }
}
