//! `migrate`: the schema, brought up to date without serving.

use std::path::Path;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;

use super::{Surroundings, Terminal, Usage};
use crate::config::Config;
use crate::store::{self, OpenOptions};

pub(super) async fn run(
    file: Option<&Path>,
    surroundings: &Surroundings,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let loaded = Config::load(file, &surroundings.environment).map_err(|problems| Usage::of(&problems))?;
    let url = loaded.config.store.url.as_ref();
    let url = url.ok_or_else(|| Usage("store.url is not set (DATABASE_URL works too)".to_owned()))?;
    let options = OpenOptions { migrate: true, connections: 1 };
    let opened = store::open(url.expose_secret(), &options, surroundings.clock.clone()).await;
    let store = opened.context("the store cannot be opened")?;
    store.close().await;
    terminal.line("the schema is up to date")?;
    Ok(())
}
