//! Functions that a schedule calls: what is done of itself and asked for by nobody.

use std::process::ExitCode;

use portcullis_platform_aws::serve_events;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;

use crate::function::{Function, NotReady};
use crate::start::started;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chore {
    /// Every broker is asked whether it answers.
    CheckProviders,
    /// Credentials that have been under one data key for long enough are sealed anew.
    ResealCredentials,
}

/// What the scheduler sends; nothing in it matters.
#[derive(Debug, Deserialize)]
struct Tick {}

#[derive(Debug, thiserror::Error)]
enum Undone {
    #[error("there are no operations to do it with")]
    NotReady(#[source] Option<NotReady>),
    #[error("sealing credentials anew")]
    Vault(#[from] portcullis_vault::Error),
}

/// Does the chore as the function `name` whenever it is called, until Lambda ends the process.
pub async fn run_scheduled(name: &str, chore: Chore) -> ExitCode {
    let Some(function) = Box::pin(started(name, OpenApiRouter::default())).await else {
        return ExitCode::FAILURE;
    };
    match serve_events(|_: Tick| Box::pin(perform(&function, chore))).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "the Runtime API is gone");
            ExitCode::FAILURE
        }
    }
}

async fn perform(function: &Function, chore: Chore) -> Result<(), Undone> {
    let vault = function.operations().await.map_err(|error| Undone::NotReady(Some(error)))?;
    let vault = vault.ok_or(Undone::NotReady(None))?;
    match chore {
        Chore::CheckProviders => vault.providers.probe_all().await,
        Chore::ResealCredentials => {
            let resealed = vault.reseal_old().await?;
            tracing::warn!(?resealed, "credentials were sealed anew");
        }
    }
    Ok(())
}
