//! What `dev` leaves in its folder, so that the other commands find it without being told.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::draft::{self, Draft};

/// The folder that `dev` keeps its things in, inside the folder it was started in.
pub const FOLDER: &str = ".switchboard";
/// The file inside [`FOLDER`].
const FILE: &str = "connection.json";

/// How to reach a running server.
#[derive(Debug, Clone, Deserialize)]
pub struct Connection {
    /// The admin listener.
    pub admin_url: String,
    /// What the admin listener asks for.
    pub admin_token: SecretString,
    /// The public listener.
    pub public_url: String,
    /// Where Connectly would post to.
    pub webhook_url: String,
    /// What Connectly would sign with.
    pub webhook_secret: SecretString,
    /// The emulator, when one runs beside the server.
    pub emulator_url: Option<String>,
    /// The business that the emulator plays.
    pub business_id: Option<String>,
    /// What the emulator asks for.
    pub api_key: Option<SecretString>,
}

impl Connection {
    /// Leaves the connection in a folder, which is made if need be. Only the owner can read the file at any time, and a
    /// reader finds the old one or the new one, never a part.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let made = private_folder().create(folder);
        made.with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let target = folder.join(FILE);
        let written = Draft::beside(&target).and_then(|mut draft| {
            draft.write(self.text().as_bytes())?;
            draft.finish()
        });
        written.with_context(|| format!("cannot write {}", target.display()))
    }

    /// Reads what was left in a folder, if anything was.
    pub fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        // The parser's own words may quote what is in the file; its place is enough.
        let connection = serde_json::from_slice(&bytes).map_err(|error| {
            anyhow::anyhow!("{} is broken at line {}: start `dev` again", path.display(), error.line())
        });
        connection.map(Some)
    }

    /// Takes the connection away; it is fine if there is none.
    pub fn remove(folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(FILE);
        draft::remove(&path).with_context(|| format!("cannot remove {}", path.display()))
    }

    fn text(&self) -> String {
        let connection = json!({
            "admin_url": self.admin_url,
            "admin_token": self.admin_token.expose_secret(),
            "public_url": self.public_url,
            "webhook_url": self.webhook_url,
            "webhook_secret": self.webhook_secret.expose_secret(),
            "emulator_url": self.emulator_url,
            "business_id": self.business_id,
            "api_key": self.api_key.as_ref().map(ExposeSecret::expose_secret),
        });
        format!("{connection:#}\n")
    }
}

fn private_folder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn connection(emulator_url: Option<&str>) -> Connection {
        Connection {
            admin_url: "http://127.0.0.1:8081".into(),
            admin_token: "token-1".into(),
            public_url: "http://127.0.0.1:8080".into(),
            webhook_url: "http://127.0.0.1:8080/webhooks/connectly".into(),
            webhook_secret: "secret-1".into(),
            emulator_url: emulator_url.map(str::to_owned),
            business_id: emulator_url.map(|_| "dev".to_owned()),
            api_key: emulator_url.map(|_| "key-1".into()),
        }
    }

    #[test]
    fn what_was_written_is_read_and_can_be_removed() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(FOLDER);
        assert!(Connection::read(&folder).unwrap().is_none());
        connection(None).write(&folder).unwrap();
        connection(Some("http://127.0.0.1:8082")).write(&folder).unwrap();
        let read = Connection::read(&folder).unwrap().unwrap();
        assert_eq!(read.text(), connection(Some("http://127.0.0.1:8082")).text());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        Connection::remove(&folder).unwrap();
        Connection::remove(&folder).unwrap();
        assert!(Connection::read(&folder).unwrap().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        connection(None).write(home.path()).unwrap();
        let mode = fs::metadata(home.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn neither_debug_output_nor_errors_show_a_secret() {
        let shown = format!("{:?}", connection(Some("http://127.0.0.1:8082")));
        assert!(["token-1", "secret-1", "key-1"].iter().all(|secret| !shown.contains(secret)), "{shown}");
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(FILE), r#"{"admin_url": "x", "admin_token": ["hunter2"]}"#).unwrap();
        let error = format!("{:#}", Connection::read(home.path()).unwrap_err());
        assert!(error.contains("is broken at line 1") && !error.contains("hunter2"), "{error}");
    }
}
