//! A look at a database from outside, for `check`: nothing is changed, and a server may be running on it.

use super::{StoreError, postgres, sqlite};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: `database`, `schema` or `durability`.
    pub subject: &'static str,
    /// What is well, or what is not and what to do about it.
    pub told: Result<String, String>,
}

impl Finding {
    /// Of the database itself: whether it answers and can be written to.
    pub(super) fn database(told: Result<String, String>) -> Self {
        Self { subject: "database", told }
    }

    /// Of its migrations.
    pub(super) fn schema(applied: Result<(), StoreError>) -> Self {
        let told = applied.map(|()| "every migration is applied".to_owned()).map_err(|error| match error {
            StoreError::Schema(detail) => detail,
            other => other.to_string(),
        });
        Self { subject: "schema", told }
    }

    /// Of the settings that let a commit reach the disk: name, value, and whether that is enough.
    pub(super) fn durability(settings: &[(&str, String, bool)]) -> Self {
        let shown = |wanted: bool| {
            let some = settings.iter().filter(|(_, _, enough)| *enough == wanted);
            some.map(|(name, value, _)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ")
        };
        let lost = "a crash of the machine can lose what was answered 200";
        let told = match shown(false) {
            wrong if wrong.is_empty() => Ok(shown(true)),
            wrong => Err(format!("{wrong}: {lost}")),
        };
        Self { subject: "durability", told }
    }
}

/// Looks at the database that a URL names: whether it is there, up to date, and keeps what it commits.
pub async fn inspect(url: &str) -> Vec<Finding> {
    let looked = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        postgres::inspect(url).await
    } else if url.starts_with("sqlite:") {
        sqlite::inspect(url).await
    } else {
        Err(StoreError::Url)
    };
    looked.unwrap_or_else(|error| vec![Finding::database(Err(error.to_string()))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_enough_is_named_alone() {
        let settings =
            |fsync: &str| [("fsync", fsync.to_owned(), fsync == "on"), ("other", "on".to_owned(), true)];
        assert_eq!(Finding::durability(&settings("on")).told.unwrap(), "fsync = on, other = on");
        let told = Finding::durability(&settings("off")).told.unwrap_err();
        assert_eq!(told, "fsync = off: a crash of the machine can lose what was answered 200");
    }

    #[tokio::test]
    async fn an_unknown_scheme_is_told() {
        assert!(inspect("mysql://localhost").await[0].told.is_err());
    }
}
