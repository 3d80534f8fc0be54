//! Registering an address for a topic, whatever is registered already: decided by the list, done by one more request.
//!
//! Connectly's pages disagree on what creating does when the topic has a registration: it replaces that one silently, or it
//! is refused with 409. So a topic that is listed is updated, and on a 409 the list is asked for once more.

use super::webhooks::{Registration, Wanted};
use super::{CallError, Client};

/// What is to be registered.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The topic.
    pub topic: String,
    /// The address to post to.
    pub address: String,
    /// The other settings.
    pub wanted: Wanted,
    /// The id of a registration of this topic that may be given the address, although it has another one now.
    pub replace: Option<String>,
}

/// What has to be done for a wish.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan<'a> {
    /// The topic is not registered.
    Create,
    /// This registration is to be changed.
    Update(&'a Registration),
    /// This registration is as it should be.
    Nothing(&'a Registration),
}

/// What was done for a wish, with the registration's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// There is a new registration; its id is there if Connectly told it.
    Created(Option<String>),
    /// A registration was changed.
    Updated(String),
    /// A registration was as it should be.
    Unchanged(String),
}

/// Why a wish was not fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// A request failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What is registered stands in its way; nothing was changed.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// Why what is registered stands in the way of a wish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The topic's only registration has another address, and may be somebody else's.
    #[error("{} is registered with {} ({})", .0.topic, .0.address, .0.id)]
    Elsewhere(Box<Registration>),
    /// The topic has several registrations, and which one is meant cannot be told.
    #[error("{topic} is registered more than once: {}", listed(.registered))]
    Several {
        /// The topic.
        topic: String,
        /// Its registrations.
        registered: Vec<Registration>,
    },
    /// No registration of the topic has the id that may be replaced.
    #[error("no registration of {topic} has the id {id}")]
    NotThere {
        /// The topic.
        topic: String,
        /// The id.
        id: String,
    },
}

impl Wish {
    /// What is to be done, given what is registered: of the topic's registrations that a program made, the one with our
    /// address is ours. If there is none, the one that may be replaced is made ours; the topic's only one, which has another
    /// address, is not touched by itself.
    pub fn plan<'a>(&self, registered: &'a [Registration]) -> Result<Plan<'a>, PlanError> {
        if let Some(id) = &self.replace {
            return self.plan_for(id, registered);
        }
        let (ours, others): (Vec<_>, Vec<_>) =
            self.of_topic(registered).partition(|registration| registration.posts_to(&self.address));
        match (ours.as_slice(), others.as_slice()) {
            ([], []) => Ok(Plan::Create),
            ([ours], _) => Ok(self.change(ours)),
            ([], [other]) => Err(PlanError::Elsewhere(Box::new((*other).clone()))),
            (several @ [_, ..], _) | ([], several) => Err(self.several(several)),
        }
    }

    /// The plan when a registration is named. One that would become the second with our address is left alone: every event
    /// would come twice.
    fn plan_for<'a>(&self, id: &str, registered: &'a [Registration]) -> Result<Plan<'a>, PlanError> {
        let found: Vec<&Registration> = self.of_topic(registered).collect();
        let not_there = || PlanError::NotThere { topic: self.topic.clone(), id: id.to_owned() };
        let named = *found.iter().find(|registration| registration.id == id).ok_or_else(not_there)?;
        let is_registered = found.iter().any(|registration| registration.posts_to(&self.address));
        if is_registered && !named.posts_to(&self.address) {
            return Err(self.several(&found));
        }
        Ok(self.change(named))
    }

    fn several(&self, registered: &[&Registration]) -> PlanError {
        let registered = registered.iter().map(|registration| (*registration).clone()).collect();
        PlanError::Several { topic: self.topic.clone(), registered }
    }

    /// The registrations of the topic that a program made.
    pub fn of_topic<'a>(&self, registered: &'a [Registration]) -> impl Iterator<Item = &'a Registration> {
        registered.iter().filter(|registration| {
            registration.topic.eq_ignore_ascii_case(&self.topic) && registration.is_custom()
        })
    }

    fn change<'a>(&self, registration: &'a Registration) -> Plan<'a> {
        let as_wished = registration.posts_to(&self.address) && registration.configuration.fits(&self.wanted);
        if as_wished { Plan::Nothing(registration) } else { Plan::Update(registration) }
    }
}

impl Client {
    /// Registers what is wished, in two requests, or four when the first list did not show what is there. Safe to repeat.
    pub async fn register(&self, wish: &Wish) -> Result<Registered, RegisterError> {
        let registered = self.webhooks().await?;
        match self.carry_out(wish, &wish.plan(&registered)?).await {
            Err(CallError::Conflict(detail)) => {
                let registered = self.webhooks().await?;
                match wish.plan(&registered)? {
                    // Refused for a registration that is in no list: nothing can be done about it.
                    Plan::Create => Err(CallError::Conflict(detail).into()),
                    plan => Ok(self.carry_out(wish, &plan).await?),
                }
            }
            done => Ok(done?),
        }
    }

    async fn carry_out(&self, wish: &Wish, plan: &Plan<'_>) -> Result<Registered, CallError> {
        match plan {
            Plan::Create => {
                let id = self.create_webhook(&wish.topic, &wish.address, &wish.wanted).await?;
                Ok(Registered::Created(id))
            }
            Plan::Update(registration) => {
                self.update_webhook(registration, &wish.address, &wish.wanted).await?;
                Ok(Registered::Updated(registration.id.clone()))
            }
            Plan::Nothing(registration) => Ok(Registered::Unchanged(registration.id.clone())),
        }
    }
}

fn listed(registered: &[Registration]) -> String {
    let entry = |registration: &Registration| format!("{} ({})", registration.id, registration.address);
    registered.iter().map(entry).collect::<Vec<_>>().join(", ")
}
