//! What there is not, in the words of the person who asked for it.

/// That nothing is known by what a path names; nothing for a path that names no single thing.
pub fn missing(path: &[&str]) -> Option<String> {
    match path {
        ["messages", id, ..] => Some(format!("no message has the id {id}, ours or Connectly's")),
        ["events", id, ..] => Some(format!("no event has the id {id}")),
        ["jobs", id, ..] => Some(format!("no job has the id {id}")),
        ["conversations", id, "state", route] => {
            Some(format!("{route} keeps nothing for a conversation with the id {id}"))
        }
        ["conversations", id, ..] => Some(format!("no conversation has the id {id}")),
        ["customers", name, ..] => Some(format!("no customer is known as {name}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_names_is_told_and_a_list_names_nothing() {
        let told = |path| missing(path).unwrap_or_default();
        assert_eq!(told(&["messages", "01M1", "resolve"]), "no message has the id 01M1, ours or Connectly's");
        assert_eq!(told(&["events", "01E1", "body"]), "no event has the id 01E1");
        assert_eq!(told(&["jobs", "01J1"]), "no job has the id 01J1");
        assert_eq!(told(&["conversations", "01C1"]), "no conversation has the id 01C1");
        assert_eq!(
            told(&["conversations", "01C1", "state", "front-desk"]),
            "front-desk keeps nothing for a conversation with the id 01C1"
        );
        assert_eq!(told(&["customers", "+15550100001", "opt-out"]), "no customer is known as +15550100001");
        assert_eq!(missing(&["messages"]), None);
    }
}
