//! Every route against everybody who must not use it.
//!
//! A route that is missing below fails the test: whoever adds one says here who may call it.
#![cfg(test)]

use std::collections::BTreeSet;

use portcullis_harness::app::App;
use portcullis_harness::call::Call;
use portcullis_harness::in_process::PASSWORD;
use reqwest::Method;
use serde_json::json;

/// What a caller has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// Nothing.
    Nothing,
    /// An access token whose session is alive.
    AccessToken,
    /// An access token or an API key.
    AccessTokenOrApiKey,
    /// An access token, an API key, or the token of a service.
    AnyCredential,
    /// An access token of somebody with the role `admin`.
    AdminToken,
    /// The token of a service of ours, in `X-Service-Token`.
    ServiceToken,
    /// A refresh token, in the body or as a cookie.
    RefreshToken,
    /// A refresh token or an access token.
    EitherToken,
}

const ROUTES: &[(&str, &str, Shows)] = &[
    ("delete", "/v1/admin/providers/{name}/mark", Shows::AccessToken),
    ("delete", "/v1/admin/users/{id}", Shows::AdminToken),
    ("delete", "/v1/api-keys/{id}", Shows::AccessToken),
    ("delete", "/v1/passkeys/{id}", Shows::AccessToken),
    ("delete", "/v1/sessions", Shows::AccessToken),
    ("delete", "/v1/sessions/{id}", Shows::AccessToken),
    ("delete", "/v1/trading-accounts/{id}", Shows::AccessToken),
    ("delete", "/v1/users/me", Shows::AccessToken),
    ("get", "/.well-known/oauth-authorization-server", Shows::Nothing),
    ("get", "/.well-known/webauthn", Shows::Nothing),
    ("get", "/healthz", Shows::Nothing),
    ("get", "/v1/admin/audit", Shows::AdminToken),
    ("get", "/v1/admin/freeze", Shows::AdminToken),
    ("get", "/v1/admin/users", Shows::AdminToken),
    ("get", "/v1/admin/users/{id}", Shows::AdminToken),
    ("get", "/v1/admin/users/{id}/api-keys", Shows::AdminToken),
    ("get", "/v1/admin/roles", Shows::AdminToken),
    ("get", "/v1/admin/users/{id}/sessions", Shows::AdminToken),
    ("get", "/v1/admin/users/{id}/trading-accounts", Shows::AdminToken),
    ("get", "/v1/api-keys", Shows::AccessToken),
    ("get", "/v1/approvals", Shows::AccessToken),
    ("get", "/v1/approvals/{id}", Shows::AnyCredential),
    ("get", "/v1/audit", Shows::AccessToken),
    ("get", "/v1/audit/integrity", Shows::AccessToken),
    ("get", "/v1/auth/.well-known/jwks.json", Shows::Nothing),
    ("get", "/v1/auth/status", Shows::AccessToken),
    ("get", "/v1/authz/permissions", Shows::AccessTokenOrApiKey),
    ("get", "/v1/internal/revocations", Shows::ServiceToken),
    ("get", "/v1/internal/trading-accounts/{id}/freeze", Shows::ServiceToken),
    ("get", "/v1/passkeys", Shows::AccessToken),
    ("get", "/v1/providers", Shows::AccessToken),
    ("get", "/v1/providers/fallback", Shows::AccessToken),
    ("get", "/v1/providers/{name}", Shows::AccessToken),
    ("get", "/v1/sessions", Shows::AccessToken),
    ("get", "/v1/trading-accounts", Shows::AccessToken),
    ("get", "/v1/trading-accounts/freeze", Shows::AccessToken),
    ("get", "/v1/trading-accounts/{id}", Shows::AccessToken),
    ("get", "/v1/trading-accounts/{id}/leases", Shows::AccessToken),
    ("get", "/v1/users/me", Shows::AccessTokenOrApiKey),
    ("patch", "/v1/admin/users/{id}", Shows::AdminToken),
    ("patch", "/v1/passkeys/{id}", Shows::AccessToken),
    ("patch", "/v1/trading-accounts/{id}", Shows::AccessToken),
    ("patch", "/v1/users/me", Shows::AccessToken),
    ("post", "/v1/users/me/email", Shows::AccessToken),
    ("put", "/v1/users/me/username", Shows::AccessToken),
    ("post", "/v1/admin/users", Shows::AdminToken),
    ("post", "/v1/admin/freeze", Shows::AdminToken),
    ("post", "/v1/admin/unfreeze", Shows::AdminToken),
    ("post", "/v1/admin/users/{id}/freeze", Shows::AdminToken),
    ("post", "/v1/admin/users/{id}/unfreeze", Shows::AdminToken),
    ("post", "/v1/admin/users/{id}/reset-mfa", Shows::AdminToken),
    ("post", "/v1/admin/users/{id}/revoke-sessions", Shows::AdminToken),
    ("post", "/v1/admin/users/{id}/send-reset", Shows::AdminToken),
    ("post", "/v1/admin/users/{id}/unlock", Shows::AdminToken),
    ("post", "/v1/admin/users/{id}/verify-email", Shows::AdminToken),
    ("post", "/v1/api-keys", Shows::AccessToken),
    ("post", "/v1/api-keys/{id}/rotate", Shows::AccessToken),
    ("post", "/v1/approvals", Shows::AnyCredential),
    ("post", "/v1/approvals/{id}/challenge", Shows::AccessToken),
    ("post", "/v1/approvals/{id}/decide", Shows::AccessToken),
    ("post", "/v1/auth/email/resend", Shows::Nothing),
    ("post", "/v1/auth/email/change", Shows::Nothing),
    ("post", "/v1/auth/email/restore", Shows::Nothing),
    ("post", "/v1/auth/email/verify", Shows::Nothing),
    ("post", "/v1/auth/login", Shows::Nothing),
    ("post", "/v1/auth/logout", Shows::EitherToken),
    ("post", "/v1/auth/mfa/verify", Shows::Nothing),
    ("post", "/v1/auth/passkey/options", Shows::Nothing),
    ("post", "/v1/auth/passkey/verify", Shows::Nothing),
    ("post", "/v1/auth/password/change", Shows::AccessToken),
    ("post", "/v1/auth/password/forgot", Shows::Nothing),
    ("post", "/v1/auth/password/recover", Shows::Nothing),
    ("post", "/v1/auth/password/remove", Shows::AccessToken),
    ("post", "/v1/auth/password/reset", Shows::Nothing),
    ("post", "/v1/auth/password/rotate", Shows::Nothing),
    ("post", "/v1/auth/password/set", Shows::AccessToken),
    ("post", "/v1/auth/refresh", Shows::RefreshToken),
    ("post", "/v1/auth/register", Shows::Nothing),
    ("post", "/v1/auth/step-up", Shows::EitherToken),
    ("post", "/v1/authz/check", Shows::AccessTokenOrApiKey),
    ("post", "/v1/internal/api-keys/verify", Shows::ServiceToken),
    ("post", "/v1/internal/approvals/{id}/redeem", Shows::ServiceToken),
    ("post", "/v1/internal/providers/{name}/outcomes", Shows::ServiceToken),
    ("post", "/v1/internal/trading-accounts/{id}/credentials", Shows::ServiceToken),
    ("post", "/v1/internal/trading-accounts/{id}/freeze/ack", Shows::ServiceToken),
    ("post", "/v1/internal/trading-accounts/{id}/postbacks/verify", Shows::ServiceToken),
    ("post", "/v1/mfa/backup-codes", Shows::AccessToken),
    ("post", "/v1/mfa/totp/disable", Shows::AccessToken),
    ("post", "/v1/mfa/totp/enable", Shows::AccessToken),
    ("post", "/v1/mfa/totp/setup", Shows::AccessToken),
    ("post", "/v1/passkeys", Shows::AccessToken),
    ("post", "/v1/passkeys/options", Shows::AccessToken),
    ("post", "/v1/trading-accounts", Shows::AccessToken),
    ("post", "/v1/trading-accounts/freeze", Shows::AccessToken),
    ("post", "/v1/trading-accounts/unfreeze", Shows::AccessToken),
    ("post", "/v1/trading-accounts/{id}/session", Shows::AccessToken),
    ("post", "/v1/trading-accounts/{id}/verify", Shows::AccessToken),
    ("put", "/v1/admin/providers/{name}/mark", Shows::AccessToken),
    ("put", "/v1/trading-accounts/{id}/credentials", Shows::AccessToken),
];

/// A request for a route with a body that names nobody.
fn call(app: &App, method: &str, path: &str, token: Option<&str>) -> Call {
    let method: Method = method.to_uppercase().parse().unwrap();
    let call = app.call(method.clone(), path.replace("{id}", "ses_0190f5d7a0007000800000000000000a"));
    let call = if let Some(token) = token { call.bearer(token) } else { call };
    let has_body = matches!(method, Method::POST | Method::PATCH | Method::DELETE);
    if has_body { call.json(json!({"password": PASSWORD})) } else { call }
}

#[tokio::test]
async fn every_route_is_in_the_table_and_the_table_has_no_other() {
    let document = App::start().get("/openapi.json").await.body;
    let served: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone()))
        })
        .collect();
    let listed: BTreeSet<(String, String)> =
        ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(served, listed);
    for (method, path, shows) in ROUTES {
        let security = &document["paths"][path][method]["security"];
        let names = security.to_string();
        match shows {
            Shows::Nothing => assert_eq!(names, "[]", "{method} {path}"),
            Shows::AccessToken | Shows::AdminToken => {
                assert!(
                    names.contains("access_token") && !names.contains("api_key"),
                    "{method} {path}: {names}"
                );
                assert!(!names.contains("service_token"), "{method} {path}: {names}");
            }
            Shows::AnyCredential => {
                for name in ["access_token", "api_key", "service_token"] {
                    assert!(names.contains(name), "{method} {path}: {names}");
                }
            }
            Shows::AccessTokenOrApiKey => {
                assert!(
                    names.contains("access_token") && names.contains("api_key"),
                    "{method} {path}: {names}"
                );
            }
            Shows::ServiceToken => assert!(names.contains("service_token"), "{method} {path}: {names}"),
            Shows::RefreshToken => assert!(names.contains("refresh_cookie"), "{method} {path}: {names}"),
            Shows::EitherToken => {
                let both = names.contains("refresh_cookie") && names.contains("access_token");
                assert!(both, "{method} {path}: {names}");
            }
        }
    }
}

#[tokio::test]
async fn a_route_takes_the_token_it_asks_for_and_no_other_kind() {
    let app = App::start();
    let (mut asha, over) = (app.person("asha@example.com").await, app.person("over@example.com").await);
    let sign_out = json!({"refresh_token": over.refresh_token()});
    app.post("/v1/auth/logout", sign_out).await.assert_status(200);
    let access = asha.access_token();
    let (head, signature) = access.rsplit_once('.').unwrap();
    let unsigned = format!("{head}.");
    let swapped = format!("{head}.{}", signature.chars().rev().collect::<String>());
    let foreign = [
        ("nothing at all", None),
        ("a refresh token", Some(asha.refresh_token())),
        ("a user id", Some(asha.user_id())),
        ("a password", Some(PASSWORD)),
        ("a token without its signature", Some(unsigned.as_str())),
        ("a token with another signature", Some(swapped.as_str())),
        ("a token of a session that is over", Some(over.access_token())),
    ];
    let closed = |shows: Shows| {
        matches!(
            shows,
            Shows::AccessToken
                | Shows::AdminToken
                | Shows::AccessTokenOrApiKey
                | Shows::AnyCredential
                | Shows::ServiceToken
        )
    };
    for (method, path, _) in ROUTES.iter().filter(|(_, _, shows)| closed(*shows)) {
        for (what, token) in foreign {
            let reply = call(&app, method, path, token).await;
            assert_eq!(reply.status, 401, "{method} {path} with {what}");
            let challenge = reply.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Bearer error="), "{method} {path} with {what}: {challenge}");
        }
    }
    for (method, path, _) in ROUTES.iter().filter(|(_, _, shows)| *shows == Shows::AdminToken) {
        call(&app, method, path, Some(access)).await.assert_status(403);
    }
    for token in [access, PASSWORD, "rt_made.up.0.AA.AA", asha.user_id()] {
        app.refresh(token).await.assert_status(401);
    }
    // None of all this has touched the session.
    asha.me().await.assert_status(200);
    asha.refresh().await.assert_status(200);
}
