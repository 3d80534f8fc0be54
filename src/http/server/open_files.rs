//! How many connections fit into the files that this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The connections that listeners for operators hold at most: a few people, dashboards and scrapers.
pub const ADMIN_CONNECTIONS: usize = 256;
/// What is left for everything else: the admin listener, the store, requests to Connectly, files.
const RESERVED: usize = ADMIN_CONNECTIONS + 256;

/// How many connections the public listener can hold, at most as many as wanted.
///
/// Every connection is an open file. The number that the process may open is first raised to the most that the system
/// grants: the usual first limit of 1,024 is meant for programs that wait with `select`, which this one does not.
pub fn room_for(wanted: usize) -> usize {
    raise().map_or(wanted, |limit| wanted.min(beside_the_rest(limit)))
}

/// The limit that is in force afterwards; `None` is none.
fn raise() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Some systems grant less than they say; what was in force before stays then.
    let in_force = if setrlimit(Resource::Nofile, most).is_ok() { limit.maximum } else { limit.current };
    in_force.map(|files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// At least half, should the limit be very low.
const fn beside_the_rest(limit: usize) -> usize {
    let (rest, half) = (limit.saturating_sub(RESERVED), limit / 2);
    if rest > half { rest } else { half }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_something_left_for_the_rest() {
        assert_eq!(beside_the_rest(64), 32);
        assert_eq!(beside_the_rest(1024), 512);
        assert_eq!(beside_the_rest(20_000), 19_488);
        assert_eq!(room_for(10), 10);
    }
}
