//! What the functions of a deployment are given: their variables, and the routes that lead to them.

use std::collections::BTreeMap;
use std::path::Path;

use portcullis_platform::Environment;
use serde::Deserialize;

use crate::cloud::{Cloud, Unprepared};
use crate::template::{Described, Route};

/// A deployment.
#[derive(Debug)]
pub enum Deployment {
    /// Resources that belong to a folder, and routes as the template has them.
    OfFolder(Cloud),
    /// What a stack of the template would have, by the names of the functions.
    Stack(BTreeMap<String, Deployed>),
}

/// One function as `tests/deployment/stack.py` writes it.
#[derive(Debug, Deserialize)]
pub struct Deployed {
    variables: BTreeMap<String, String>,
    routes: Vec<Route>,
}

impl Deployment {
    /// Returns the deployment of a folder, with everything made that it lacks; fails when the engines do.
    pub async fn of_folder(folder: &Path, environment: &Environment) -> Result<Self, Unprepared> {
        Cloud::of_folder(folder, environment).await.map(Self::OfFolder)
    }

    /// Returns the deployment of this document; fails when it cannot be read.
    pub fn read(document: &Path) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(document)?;
        serde_json::from_str(&text).map(Self::Stack).map_err(std::io::Error::other)
    }

    /// Returns the environment variables of a function, and sets its routes to those that were deployed. A function that was
    /// not has neither.
    pub fn deploy(&self, described: &mut Described) -> Vec<(String, String)> {
        match self {
            Self::OfFolder(cloud) => cloud.variables().to_vec(),
            Self::Stack(functions) => {
                let deployed = functions.get(&described.logical_id);
                described.routes = deployed.map(|found| found.routes.clone()).unwrap_or_default();
                deployed.map(|found| found.variables.clone()).unwrap_or_default().into_iter().collect()
            }
        }
    }
}
