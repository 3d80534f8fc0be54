//! What a webhook receiver goes through: the sixteen scenarios of a public conformance list, and ours on top, each with its
//! test.
//!
//! | Scenario | Test |
//! |---|---|
//! | single valid | [`deliveries::a_single_valid_delivery_is_kept_handled_and_answered`] |
//! | sequential duplicate | `p3_a_repeated_delivery_is_one_event` |
//! | concurrent duplicate | `p3_64_concurrent_deliveries_of_one_body_are_one_event` |
//! | reversed order | `p7_statuses_in_any_order_give_one_state` |
//! | time-out, then retry | [`interrupted::a_client_that_gave_up_and_retries_makes_one_event`] |
//! | connect failure, then retry; receiver restarted between attempts | [`interrupted::a_delivery_is_repeated_over_a_restart`] |
//! | missing, malformed, wrong-key signature | `p12_unsigned_deliveries_are_refused_and_not_stored` |
//! | body altered after signing | [`deliveries::a_body_altered_after_signing_is_refused`] |
//! | malformed body; unknown topic | `p2_whatever_is_signed_is_kept` |
//! | odd content type | [`deliveries::any_content_type_is_taken`] |
//! | crash after send | [`interrupted::a_crash_after_a_send_leaves_an_honest_doubt`] |
//! | side effect and dedupe in the wrong order | [`interrupted::a_commit_that_failed_does_not_count_as_seen`] |
//! | redaction canary | `p11_nothing_private_is_logged_or_answered` |
//! | PostgreSQL killed in mid-commit; processes killed; connections cut | `scripts/fire` |
//! | every connection to PostgreSQL waits | [`exhausted`] |
//! | disk full | `a_full_disk_is_unavailable_and_passes`, beside the SQLite store |
//! | clock step across the window's edge | `p8_what_is_late_expires` |
//! | a burst of 3,000 events | [`deliveries::a_burst_of_3000_is_kept`] |
//! | a handler that panics, hangs, or answers far too much | [`handlers`], [`http_handlers`] |
//! | Connectly answering 429, 5xx, or losing the answer | `p5_*` |
//! | secret rotated in mid-traffic | [`deliveries::a_secret_is_rotated_in_mid_traffic`] |
//! | 1 MB of callback data | [`deliveries::a_megabyte_of_callback_data_comes_back_whole`] |
//! | all payload generations | `every_fixture_decodes_as_its_snapshot_shows` |
//! | a customer who said STOP, reached for by every path | [`opted_out`] |
//! | a request to send, repeated, concurrent, over a restart | `p5_a_request_under_a_key_*` |
//! | what Connectly is sent, key by key | [`submissions`] |
//! | every byte-prefix of a valid body | [`deliveries::every_prefix_of_a_valid_body_is_kept`] |

mod deliveries;
mod exhausted;
mod handlers;
mod http_handlers;
mod interrupted;
mod opted_out;
mod submissions;
