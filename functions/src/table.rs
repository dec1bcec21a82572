//! The table of functions: the name of each in the cloud, and the routes or the job it serves.

use axum::Router;
use portcullis_http::{AppState, HttpSettings, healthz_routes};
use portcullis_platform::SecretPurpose;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    ScheduledJob, admin, api_keys, approvals, audit, authz, broker_credentials, broker_sessions, console,
    introspection, jwks, login, logout, mfa, passkeys, password, providers, refresh, register, sessions,
    sign_in_names, trading_accounts, users,
};

/// One function of a deployment. Each has a role, memory, alarms and log fields of its own.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// The `Handler` of its resource in `infra/template.yaml`, and the field `function` of its log.
    pub name: &'static str,
    /// The work it does.
    pub work: Work,
    /// What it needs secrets for, beside what tells who is calling. It can read no others.
    pub secrets: &'static [SecretPurpose],
}

/// The work of a function.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// Requests to these routes, which API Gateway forwards.
    Requests(fn() -> OpenApiRouter<AppState>),
    /// Requests for pages, which say nothing of anybody: no table, no secret and no key is needed for them.
    Pages(fn(&HttpSettings) -> Router),
    /// A job that a schedule starts.
    Scheduled(ScheduledJob),
    /// The rotation of secrets, which Secrets Manager starts. Of the table it uses what is about tokens of services and keys.
    KeyRotation,
}

/// Every function of a deployment. The order is the order of the OpenAPI document.
pub const FUNCTIONS: &[Function] = &[
    requests("register", RECORDS, register::routes),
    requests("login", SIGN_IN, login::routes),
    requests("mfa", SIGN_IN, mfa::routes),
    requests("passkeys", SIGN_IN, passkeys::routes),
    requests("password", SIGN_IN, password::routes),
    requests("sign-in-names", RECORDS, sign_in_names::routes),
    requests("api-keys", RECORDS, api_keys::routes),
    requests("authz", RECORDS, authz::routes),
    requests("introspection", SERVICES, introspection::routes),
    requests("trading-accounts", RECORDS, trading_accounts::routes),
    requests("broker-sessions", SERVICES, broker_sessions::routes),
    requests("broker-credentials", SERVICES, broker_credentials::routes),
    requests("approvals", APPROVALS, approvals::routes),
    requests("providers", SERVICES, providers::routes),
    requests("refresh", SIGN_IN, refresh::routes),
    requests("logout", SIGN_OUT, logout::routes),
    requests("users", RECORDS, users::routes),
    requests("sessions", RECORDS, sessions::routes),
    requests("audit", RECORDS, audit::routes),
    requests("admin", RECORDS, admin::routes),
    requests("jwks", NONE, || jwks::routes().merge(healthz_routes())),
    Function { name: "console", work: Work::Pages(console::routes), secrets: NONE },
    scheduled("provider-check", NONE, ScheduledJob::CheckProviders),
    scheduled("freeze-sweep", RECORDS, ScheduledJob::FinishFreezes),
    scheduled("session-news", NONE, ScheduledJob::TellOfSessions),
    scheduled("credential-rotation", RECORDS, ScheduledJob::ReencryptCredentials),
    scheduled("canary", NONE, ScheduledJob::ReachPublicUrl),
    Function { name: "key-rotation", work: Work::KeyRotation, secrets: SecretPurpose::ALL },
];

const NONE: &[SecretPurpose] = &[];
const RECORDS: &[SecretPurpose] = &[SecretPurpose::Records];
const SERVICES: &[SecretPurpose] = &[SecretPurpose::Records, SecretPurpose::Services];
/// It knows services that ask and redeem, and signs that something was approved.
const APPROVALS: &[SecretPurpose] =
    &[SecretPurpose::Records, SecretPurpose::Services, SecretPurpose::Signing];
const SIGN_OUT: &[SecretPurpose] = &[SecretPurpose::Records, SecretPurpose::Sessions];
const SIGN_IN: &[SecretPurpose] = &[SecretPurpose::Records, SecretPurpose::Sessions, SecretPurpose::Signing];

const fn requests(
    name: &'static str,
    secrets: &'static [SecretPurpose],
    routes: fn() -> OpenApiRouter<AppState>,
) -> Function {
    Function { name, work: Work::Requests(routes), secrets }
}

const fn scheduled(name: &'static str, secrets: &'static [SecretPurpose], job: ScheduledJob) -> Function {
    Function { name, work: Work::Scheduled(job), secrets }
}

impl Function {
    /// Returns the function of this name; `None` where the table has no such row.
    pub fn named(name: &str) -> Option<&'static Self> {
        FUNCTIONS.iter().find(|function| function.name == name)
    }

    /// Returns the routes of the API that the function serves; `None` for one that no request of it reaches.
    pub fn routes(&self) -> Option<OpenApiRouter<AppState>> {
        match self.work {
            Work::Requests(routes) => Some(routes()),
            Work::Pages(_) | Work::Scheduled(_) | Work::KeyRotation => None,
        }
    }

    /// Returns the pages the function serves; `None` for one that serves none.
    pub fn pages(&self, settings: &HttpSettings) -> Option<Router> {
        match self.work {
            Work::Pages(pages) => Some(pages(settings)),
            Work::Requests(_) | Work::Scheduled(_) | Work::KeyRotation => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What every function's document says by itself, before they are merged and one of two namesakes is lost.
    fn documents() -> impl Iterator<Item = (&'static str, utoipa::openapi::OpenApi)> {
        FUNCTIONS.iter().filter_map(|function| Some((function.name, function.routes()?.into_openapi())))
    }

    #[test]
    fn no_two_schemas_have_one_name() {
        let mut seen = BTreeMap::new();
        for (function, document) in documents() {
            for (name, schema) in document.components.into_iter().flat_map(|components| components.schemas) {
                let (first, known) = seen.entry(name.clone()).or_insert_with(|| (function, schema.clone()));
                assert!(*known == schema, "{name} of {first} and {name} of {function} are not the same");
            }
        }
        assert!(seen.len() > 50, "{} schemas", seen.len());
    }

    #[test]
    fn every_operation_has_an_id_of_its_own_and_says_what_its_responses_are() {
        let mut ids = BTreeMap::new();
        for (function, document) in documents() {
            let document = serde_json::to_value(&document).unwrap();
            let operations = document["paths"].as_object().unwrap().values();
            for operation in operations.flat_map(|item| item.as_object().unwrap().values()) {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let about = response["description"].as_str().unwrap_or_default();
                    assert!(response.get("$ref").is_some() || !about.is_empty(), "{id}: {status}");
                }
                assert_eq!(ids.insert(id.clone(), function), None, "{id} is the id of two operations");
            }
        }
    }
}
