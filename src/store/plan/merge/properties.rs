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

/// Jobs of both conversations as they stand there: each numbered in its own, whatever the order of their ids. Sends are
/// replies or the API's.
fn jobs() -> impl Strategy<Value = Vec<StandingJob>> {
    let route = prop::option::of(prop::sample::select(vec!["desk", "bot"]));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    prop::collection::vec((any::<u64>(), route, any::<bool>(), flags), 0..20).prop_map(|jobs| {
        let mut sequences = BTreeMap::new();
        let standing = jobs.into_iter().enumerate().map(
            |(number, (mark, route, stays, (ordered, api, parked, held)))| {
                let conversation = conversation(if stays { STAYS } else { GOES });
                let sequence = sequences.entry(conversation).or_insert(0_i64);
                *sequence += 1;
                let first = if api && route.is_none() { API_PLACES_FROM } else { 0 };
                StandingJob {
                    id: JobId::new(Ulid((u128::from(mark) << 64) + number as u128)),
                    kind: if route.is_some() { JobKind::Deliver } else { JobKind::Send },
                    ordered: ordered || route.is_none(),
                    route: route.unwrap_or_default().to_owned(),
                    conversation,
                    sequence: first + *sequence,
                    parked,
                    held: held && !parked,
                }
            },
        );
        standing.collect()
    })
}

/// What was handed out, whatever class it is in.
const fn number(sequence: i64) -> i64 {
    if sequence >= API_PLACES_FROM { sequence - API_PLACES_FROM } else { sequence }
}

/// The one that stays, its last number no smaller than any job's: it is joined with the other before.
fn stays(jobs: &[StandingJob]) -> ConversationRecord {
    ConversationRecord {
        id: conversation(STAYS),
        business: "+15550100001".to_owned(),
        last_sequence: jobs.iter().map(|job| number(job.sequence)).max().unwrap_or_default(),
        window: Window::default(),
        first_inbound: None,
        last_event_at: Timestamp::UNIX_EPOCH,
        muted_until: None,
        handed_back_at: None,
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
        let mut numbers: Vec<_> = places.iter().map(|place| number(place.sequence)).collect();
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (before + 1..=stays.last_sequence).collect::<Vec<_>>());
        for place in &places {
            let job = &jobs.iter().find(|job| job.id == place.job).expect("known");
            prop_assert_eq!(place.lane.is_some(), job.ordered);
            prop_assert_eq!(place.sequence >= API_PLACES_FROM, job.sequence >= API_PLACES_FROM);
        }
    }

    #[test]
    fn in_each_lane_only_the_first_that_waits_for_nobody_may_begin(jobs in jobs()) {
        let places = line_up(&mut stays(&jobs), jobs.clone());
        for (name, lane) in lanes(&jobs, &places) {
            let waiting: Vec<_> = lane.iter().filter(|(_, job)| !job.parked).collect();
            let (api, first): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|(place, _)| place.sequence >= API_PLACES_FROM);
            if let Some(((head, _), others)) = first.split_first() {
                prop_assert!(!head.blocked, "{name} stands still");
                prop_assert!(others.iter().all(|(place, _)| place.blocked), "two at once in {name}");
            }
            if let Some(((head, job), others)) = api.split_first() {
                // One that has begun is not overtaken; one that has not waits for the replies.
                prop_assert_eq!(head.blocked, !first.is_empty() && !job.held);
                prop_assert!(others.iter().all(|(place, _)| place.blocked), "two at once in {name}");
            }
        }
        let free = places.iter().filter(|place| place.lane.is_none());
        prop_assert!(free.into_iter().all(|place| !place.blocked));
    }

    /// As both databases take jobs out of a lane: what is held ends at any time, the first begins unless it is blocked, and
    /// whoever is gone lets the first of the others begin.
    #[test]
    fn every_lane_drains(jobs in jobs(), mut picks in prop::collection::vec(any::<prop::sample::Index>(), 1..9)) {
        let places = line_up(&mut stays(&jobs), jobs.clone());
        for (name, mut lane) in lanes(&jobs, &places) {
            lane.retain(|(_, job)| !job.parked);
            while !lane.is_empty() {
                let may_go = |at: &usize| lane[*at].1.held || (*at == 0 && !lane[*at].0.blocked);
                let free: Vec<_> = (0..lane.len()).filter(may_go).collect();
                prop_assert!(!free.is_empty(), "{name} stands still");
                picks.rotate_left(1);
                lane.remove(free[picks[0].index(free.len())]);
                if let Some((first, _)) = lane.first_mut() {
                    first.blocked = false;
                }
            }
        }
    }

    #[test]
    fn in_each_lane_nobody_overtakes_but_who_has_begun(jobs in jobs()) {
        let places = line_up(&mut stays(&jobs), jobs.clone());
        for lane in lanes(&jobs, &places).into_values() {
            let ranks = lane.iter().map(|(place, job)| {
                (place.sequence >= API_PLACES_FROM, !job.held, job.conversation, job.sequence)
            });
            prop_assert!(ranks.is_sorted());
        }
    }
}
