//! `switchboard verify`: whether a signature belongs to a body.

use std::path::Path;

use super::signing::Signing;
use super::{Surroundings, Terminal};
use crate::connectly::signature::{Rejection, verify};

/// Shown below the help.
pub const EXAMPLES: &str =
    "Every secret of the account is tried, as the webhook does. Exit code 0: it belongs to the body. 1: it \
does not.

Examples:
  switchboard verify body.json --signature qp4uNXX11wmLbKzNeQiIw21f22M0KnO62i1qUXR6hJQ=
  switchboard events body 01K9ZZ2Q6M3H8B4T5V6W7X8Y9Z | switchboard verify --signature ..";

/// Which body and signature, and which secrets.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The value of the header `x-connectly-hmac-sha256`
    #[arg(long, value_name = "BASE64")]
    signature: String,
    #[command(flatten)]
    signing: Signing,
}

pub(super) fn run(
    args: &Args,
    file: Option<&Path>,
    surroundings: &Surroundings,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let keys = args.signing.keys(file, surroundings)?;
    let body = args.signing.body()?;
    let bytes = body.len();
    match verify(&keys, Some(args.signature.as_bytes()), body.into()) {
        Ok(_verified) => Ok(terminal.line("the signature is valid")?),
        Err(Rejection::Missing | Rejection::Malformed) => {
            anyhow::bail!("the signature is malformed: expected 44 characters of Base64, the last one `=`")
        }
        Err(Rejection::Mismatch) => anyhow::bail!(
            "the signature does not match the body ({bytes} bytes): another secret, or not the very bytes that were signed \
            (a newline more at the end is enough)"
        ),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::connection::{FOLDER, tests::connection};
    use crate::cli::testing::Captured;
    use crate::cli::{Cli, Surroundings, Usage, dispatch};
    use crate::clock::Clock;
    use crate::config::Environment;

    /// What `printf %s '{"a":1}' | openssl dgst -sha256 -hmac secret -binary | base64` prints.
    const KNOWN: &str = "qp4uNXX11wmLbKzNeQiIw21f22M0KnO62i1qUXR6hJQ=";

    /// A folder with a body and a secret, and an environment.
    struct Desk {
        folder: tempfile::TempDir,
        environment: Vec<(&'static str, &'static str)>,
    }

    impl Desk {
        fn new(environment: &[(&'static str, &'static str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("body.json"), r#"{"a":1}"#).unwrap();
            std::fs::write(folder.path().join("secret"), "secret\n").unwrap();
            Self { folder, environment: environment.to_vec() }
        }

        async fn run(&self, line: &[&str]) -> anyhow::Result<Captured> {
            let here = |word: &&str| match *word {
                "body.json" | "secret" => self.folder.path().join(word).display().to_string(),
                other => other.to_owned(),
            };
            let line = ["switchboard"].iter().chain(line).map(here);
            let cli = Cli::try_parse_from(line).unwrap();
            let surroundings = Surroundings {
                clock: Clock::system(),
                folder: self.folder.path().into(),
                configured: None,
                app: crate::App::default(),
                environment: self.environment.iter().copied().collect::<Environment>(),
            };
            let mut captured = Captured::default();
            dispatch(cli, &surroundings, &mut captured.terminal()).await?;
            Ok(captured)
        }
    }

    #[tokio::test]
    async fn the_value_is_what_connectly_would_send() {
        let desk = Desk::new(&[]);
        let signed = desk.run(&["sign", "body.json", "--secret-file", "secret"]).await.unwrap();
        assert_eq!(signed.out(), format!("{KNOWN}\n"));
        let line = ["verify", "body.json", "--secret-file", "secret", "--signature", KNOWN];
        assert_eq!(desk.run(&line).await.unwrap().out(), "the signature is valid\n");
    }

    #[tokio::test]
    async fn secrets_come_from_the_environment_too_and_each_is_tried() {
        let rotated = Desk::new(&[
            ("CONNECTLY_WEBHOOK_SECRET", "new"),
            ("CONNECTLY_WEBHOOK_SECRET_PREVIOUS", "secret"),
        ]);
        let line = ["verify", "body.json", "--signature", KNOWN];
        assert!(rotated.run(&line).await.is_ok());
        let signed = rotated.run(&["sign", "body.json"]).await.unwrap();
        assert_ne!(signed.out(), format!("{KNOWN}\n"), "the current secret signs");
    }

    #[tokio::test]
    async fn what_dev_left_is_the_last_resort() {
        let desk = Desk::new(&[]);
        let line = ["sign", "body.json"];
        let error = desk.run(&line).await.err().unwrap();
        assert!(error.is::<Usage>() && error.to_string().contains("--secret-file"), "{error}");
        connection(None).write(&desk.folder.path().join(FOLDER)).unwrap();
        assert_eq!(desk.run(&line).await.unwrap().out().trim().len(), KNOWN.len());
    }

    #[tokio::test]
    async fn what_does_not_belong_together_fails_with_the_reason() {
        let desk = Desk::new(&[("CONNECTLY_WEBHOOK_SECRET", "another")]);
        for (signature, reason) in
            [(KNOWN, "does not match the body (7 bytes)"), ("nonsense", "malformed"), ("", "malformed")]
        {
            let error = desk.run(&["verify", "body.json", "--signature", signature]).await.err().unwrap();
            assert!(!error.is::<Usage>() && error.to_string().contains(reason), "{error}");
        }
    }
}
