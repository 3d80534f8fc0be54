//! Asking before what cannot be taken back.

use std::io::{self, BufRead, IsTerminal as _};

use super::Usage;
use super::terminal::Terminal;

/// Asks on the terminal whether to go on; where nobody can answer, `--yes` has to have been given.
pub fn confirm(yes: bool, question: &str, terminal: &mut Terminal<'_>) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    let mut stdin = io::stdin().lock();
    if !stdin.is_terminal() {
        return Err(Usage(format!("{question}; give --yes to go on")).into());
    }
    Ok(ask(question, &mut stdin, terminal)?)
}

fn ask(question: &str, answers: &mut dyn BufRead, terminal: &mut Terminal<'_>) -> io::Result<bool> {
    terminal.hint(&format!("{question}. Go on? [y/N]"))?;
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    let agreed = ["y", "yes"].contains(&answer.trim().to_lowercase().as_str());
    if !agreed {
        terminal.hint("nothing was changed")?;
    }
    Ok(agreed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Captured;

    #[test]
    fn only_a_clear_yes_goes_on() {
        for (answer, agreed) in
            [("y\n", true), ("YES\n", true), ("\n", false), ("", false), ("yeah\n", false)]
        {
            let mut captured = Captured::default();
            assert_eq!(
                ask("It ends", &mut answer.as_bytes(), &mut captured.terminal()).unwrap(),
                agreed,
                "{answer:?}"
            );
            assert!(captured.err().starts_with("It ends. Go on? [y/N]\n"));
        }
    }
}
