//! Pauses as rows: one under `settings` for each thing that is paused, so that a claim asks for the one that concerns it.

use crate::model::pauses::Pauses;

/// The key of the pause of all sends.
const SENDS: &str = "pause/sends";
/// What the key of a route's pause begins with.
const ROUTE: &str = "pause/route/";

/// The keys of the rows, in order.
pub fn keys(pauses: &Pauses) -> Vec<String> {
    let routes = pauses.routes.iter().map(|route| format!("{ROUTE}{route}"));
    routes.chain(pauses.sends.then(|| SENDS.to_owned())).collect()
}

/// What the rows say.
pub fn of_keys(keys: &[String]) -> Pauses {
    let routes = keys.iter().filter_map(|key| route_of(key)).map(str::to_owned).collect();
    Pauses { sends: keys.iter().any(|key| key == SENDS), routes }
}

/// The route that a row pauses.
pub fn route_of(key: &str) -> Option<&str> {
    key.strip_prefix(ROUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for sends in [false, true] {
            let routes = ["front-desk", "sends"].map(str::to_owned).into();
            let pauses = Pauses { sends, routes };
            assert_eq!(of_keys(&keys(&pauses)), pauses);
        }
        assert_eq!(of_keys(&[]), Pauses::default());
    }
}
