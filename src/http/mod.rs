//! The outside: the webhook, the admin API, health.
//!
//! Two listeners that share nothing but their [`server`] and the manners of `frame`: [`public`] takes deliveries and shows
//! nothing (P12), over [`tls`] if there is a certificate; [`admin`] shows and changes what is stored, behind a token. It calls
//! no handler and no provider: accepting and working meet in what was committed. Whatever goes wrong is answered as a
//! [`problem`], without anything internal in it.
//!
//! To add an endpoint: a function in its family's file under `admin/` with its description, its line in that file's `router`,
//! and its tests. A kind of refusal that is not there yet is one constructor in [`problem`].

pub mod admin;
mod frame;
mod json;
pub mod problem;
pub mod public;
pub mod server;
#[cfg(test)]
mod testing;
pub mod tls;
