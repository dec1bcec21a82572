//! Authentication of requests: callers with an access token, API keys, services, and what each of them is allowed to do.

pub(crate) mod api_keys;
pub(crate) mod caller;
pub(crate) mod edge_proofs;
pub(crate) mod given_key;
pub(crate) mod lease_secret;
pub(crate) mod policy_document;
pub(crate) mod principal;
pub(crate) mod service_rights;
pub(crate) mod services;
