//! Groups: when they are committed, what bounds them, and what harms whom.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::*;
use crate::connectly::signature::{Key, verify};
use crate::model::event::EventType;
use crate::store::testing::FakeStore;
use crate::store::{Result, StoreError};

fn verified(text: &str) -> Verified {
    let key = Key::new(&SecretString::from("secret"));
    let body = Bytes::from(text.to_owned());
    let signature = key.sign(&body);
    verify(&[key], Some(signature.as_bytes()), body).unwrap()
}

/// The groups that reached the store, as the texts of their bodies.
#[derive(Clone, Default)]
struct Groups(Arc<Mutex<Vec<Vec<String>>>>);

impl Groups {
    fn note(&self, group: &[Arrival]) {
        let texts = group.iter().map(|arrival| String::from_utf8_lossy(&arrival.body).into_owned());
        self.0.lock().unwrap().push(texts.collect());
    }

    fn all(&self) -> MutexGuard<'_, Vec<Vec<String>>> {
        self.0.lock().unwrap()
    }
}

fn kept(group: &[Arrival]) -> Vec<Receipt> {
    group.iter().map(|arrival| Receipt { id: arrival.id, duplicate: false, jobs: 0 }).collect()
}

/// An ingest over a store that notes its groups and refuses what `refuse` names.
fn ingest(
    groups: &Groups,
    gate: Option<Semaphore>,
    budget: usize,
    refuse: fn(&Arrival) -> Option<StoreError>,
) -> (Ingest, Arc<FakeStore>) {
    let noted = groups.clone();
    let commit = move |group: &[Arrival]| -> Result<Vec<Receipt>> {
        noted.note(group);
        group.iter().find_map(refuse).map_or_else(|| Ok(kept(group)), Err)
    };
    over(FakeStore { commits: Some(Box::new(commit)), gate, ..FakeStore::default() }, budget)
}

fn over(store: FakeStore, budget: usize) -> (Ingest, Arc<FakeStore>) {
    let store = Arc::new(store);
    let signals =
        Signals { committed: watch::Sender::new(0), work: Arc::new(Notify::new()), sends: Arc::default() };
    let metrics = Arc::new(Metrics::new());
    let (ingest, _writer) = Ingest::start(
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::default(),
        Clock::system(),
        metrics,
        signals,
        Handover::closed(),
        budget,
    );
    (ingest, store)
}

/// A delivery that is being accepted beside the test.
fn accepting(ingest: &Ingest, text: &'static str) -> JoinHandle<std::result::Result<Receipt, IngestError>> {
    let ingest = ingest.clone();
    tokio::spawn(async move { ingest.accept("default", verified(text)).await })
}

fn nothing(_: &Arrival) -> Option<StoreError> {
    None
}

const PLENTY: usize = 1024 * 1024;

#[tokio::test(start_paused = true)]
async fn a_single_delivery_is_committed_at_once() {
    let groups = Groups::default();
    let (ingest, _store) = ingest(&groups, None, PLENTY, nothing);
    // Time stands still unless somebody waits for a timer.
    let committed = tokio::time::timeout(Duration::from_nanos(1), ingest.accept("default", verified("one")));
    assert!(committed.await.is_ok(), "a timer was waited for");
    assert_eq!(*groups.all(), [["one"]]);
}

#[tokio::test]
async fn what_arrives_during_a_commit_is_the_next_group() {
    let groups = Groups::default();
    let (ingest, store) = ingest(&groups, Some(Semaphore::new(0)), PLENTY, nothing);
    let texts = ["one", "two", "three", "four"];
    let waiting = texts.map(|text| accepting(&ingest, text));
    // The writer takes what is there when it first looks; the rest comes while it is held at the gate.
    while ingest.budget.available_permits() > PLENTY - 4 * OVERHEAD {
        tokio::task::yield_now().await;
    }
    store.gate.as_ref().unwrap().add_permits(10);
    for task in waiting {
        task.await.unwrap().unwrap();
    }
    let sizes: Vec<_> = groups.all().iter().map(Vec::len).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 4);
    assert!(sizes.len() <= 2, "{sizes:?}");
}

#[tokio::test]
async fn the_next_group_is_written_while_one_is_being_made_durable() {
    let groups = Groups::default();
    let noted = groups.clone();
    let commit = move |group: &[Arrival]| -> Result<Vec<Receipt>> {
        noted.note(group);
        Ok(kept(group))
    };
    let disk = Some(Semaphore::new(0));
    let (ingest, store) =
        over(FakeStore { commits: Some(Box::new(commit)), disk, ..FakeStore::default() }, PLENTY);
    let mut waiting = vec![accepting(&ingest, "one")];
    for (text, written) in [("two", 1), ("three", 2)] {
        let noted = async {
            while groups.all().len() < written {
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(10), noted).await;
        assert!(in_time.is_ok(), "group {written} is not written");
        waiting.push(accepting(&ingest, text));
    }
    while ingest.budget.available_permits() > PLENTY - 3 * OVERHEAD {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*groups.all(), [["one"], ["two"]], "one is written and one is made durable at a time");
    assert!(waiting.iter().all(|task| !task.is_finished()), "nobody is answered before that");
    store.disk.as_ref().unwrap().add_permits(3);
    for task in waiting {
        task.await.unwrap().unwrap();
    }
    assert_eq!(groups.all().len(), 3);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_room_comes_back() {
    let groups = Groups::default();
    let (ingest, store) = ingest(&groups, Some(Semaphore::new(0)), 2 * OVERHEAD, nothing);
    let held = accepting(&ingest, "one");
    while ingest.budget.available_permits() == 2 * OVERHEAD {
        tokio::task::yield_now().await;
    }
    assert_eq!(ingest.accept("default", verified("two")).await, Err(IngestError::Full));
    store.gate.as_ref().unwrap().add_permits(10);
    assert!(held.await.unwrap().is_ok());
    assert!(ingest.accept("default", verified("three")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_keeps_nobody_waiting_for_good() {
    let groups = Groups::default();
    let (ingest, store) = ingest(&groups, Some(Semaphore::new(0)), PLENTY, nothing);
    let (one, two) =
        tokio::join!(ingest.accept("default", verified("one")), ingest.accept("default", verified("two")));
    assert_eq!((one, two), (Err(IngestError::Unavailable), Err(IngestError::Unavailable)));
    // What was taken is kept all the same.
    store.gate.as_ref().unwrap().add_permits(10);
    ingest.accept("default", verified("three")).await.unwrap();
    assert_eq!(groups.all().concat(), ["one", "two", "three"]);
}

#[tokio::test]
async fn a_client_that_is_gone_changes_nothing() {
    let groups = Groups::default();
    let (ingest, store) = ingest(&groups, Some(Semaphore::new(0)), PLENTY, nothing);
    let gone = accepting(&ingest, "one");
    while ingest.budget.available_permits() == PLENTY {
        tokio::task::yield_now().await;
    }
    gone.abort();
    store.gate.as_ref().unwrap().add_permits(10);
    ingest.accept("default", verified("two")).await.unwrap();
    assert_eq!(groups.all().concat(), ["one", "two"]);
}

#[tokio::test]
async fn one_bad_delivery_harms_no_other_and_is_kept_as_unknown() {
    fn bad(arrival: &Arrival) -> Option<StoreError> {
        let refused = arrival.body.starts_with(b"{\"message\"")
            && EventType::of(&arrival.decoded.kind) != EventType::Unknown;
        refused.then(|| StoreError::Data("a test's refusal".to_owned()))
    }
    let groups = Groups::default();
    let (ingest, store) = ingest(&groups, Some(Semaphore::new(0)), PLENTY, bad);
    let poison = r#"{"message":{"text":"poison"}}"#;
    let texts = ["one", "two", poison, "three", "four"];
    let waiting = texts.map(|text| accepting(&ingest, text));
    store.gate.as_ref().unwrap().add_permits(100);
    for task in waiting {
        assert!(task.await.unwrap().is_ok());
    }
    let last = groups.all().iter().filter(|group| group.iter().any(|text| text == poison)).count();
    assert!(last >= 2, "it was tried with the others, alone, and at last as unknown");
}

#[tokio::test]
async fn a_store_that_is_away_is_told_and_the_next_delivery_may_succeed() {
    fn away(arrival: &Arrival) -> Option<StoreError> {
        arrival.body.starts_with(b"away").then(|| StoreError::Unavailable("a test's outage".to_owned()))
    }
    let groups = Groups::default();
    let (ingest, _store) = ingest(&groups, None, PLENTY, away);
    assert_eq!(ingest.accept("default", verified("away")).await, Err(IngestError::Unavailable));
    assert!(ingest.accept("default", verified("back")).await.is_ok());
}
