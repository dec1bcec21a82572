//! The contract for programs: an OpenAPI 3.1 document that grows from the code of the routes.

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ComponentsBuilder, Content, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi,
    OpenApiBuilder, OpenApiVersion, RefOr, Schema, Server, Type,
};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::edge;
use crate::problem::responses::{
    BadRequest, Forbidden, InternalError, PayloadTooLarge, RequestTimeout, Unavailable, Unprocessable,
    UnsupportedMediaType, described,
};
use crate::{FieldError, ProblemDocument, PublicUrl, RefreshCookie};

/// The name of the security scheme of routes that want an access token: `security(("access_token" = []))`.
pub const ACCESS_TOKEN: &str = "access_token";

/// The name of the security scheme of routes that want the refresh token.
pub const REFRESH_COOKIE: &str = "refresh_cookie";

/// The name of the security scheme of routes that also take an API key.
pub const API_KEY: &str = "api_key";

/// The name of the security scheme of routes for services.
pub const SERVICE_TOKEN: &str = "service_token";

/// The groups of routes, in the order in which somebody who is new here needs them.
const TAGS: [(&str, &str); 15] = [
    ("auth", "Registration, sign-in, refresh, sign-out and passwords"),
    ("users", "The own account"),
    ("sessions", "The own sessions"),
    ("mfa", "The own second factor"),
    ("passkeys", "The own passkeys"),
    ("api-keys", "The own API keys"),
    ("trading-accounts", "The own accounts at brokers"),
    ("approvals", "Orders that wait for the own approval"),
    ("providers", "The health of brokers and other providers"),
    ("authz", "What the caller may do"),
    ("audit", "The own audit trail"),
    ("admin", "For administrators"),
    ("internal", "For services of the platform"),
    ("keys", "Published keys and metadata"),
    ("service", "The service itself"),
];

/// What stands in the examples for what only a running service knows, and what that is. Everything else in them can be sent as
/// it stands.
pub const PLACEHOLDERS: [(&str, &str); 25] = [
    ("usr_0199f3c2a6e47d0c8f21b7e5d4a39c10", "the id of an account"),
    ("ses_0199f3c2a6e47d0c8f21b7e5d4a39c10", "the id of a session"),
    ("key_0199f3c2a6e47d0c8f21b7e5d4a39c10", "the id of an API key"),
    ("acc_0199f3c2a6e47d0c8f21b7e5d4a39c10", "the id of a trading account"),
    ("psk_0199f3c2a6e47d0c8f21b7e5d4a39c10", "the id of a passkey"),
    ("apr_0199f3c2a6e47d0c8f21b7e5d4a39c10", "the id of an approval"),
    ("vrf_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U", "the token in the link that confirms an address"),
    ("rst_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U", "the token in the link that resets a password"),
    ("chg_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U", "the token in the link to a new address"),
    ("bck_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U", "the token in the link back to an earlier address"),
    ("mfa_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U", "the `session_token` of a sign-in that wants a code"),
    (
        "rot_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U",
        "the `session_token` of the error `password_expired`",
    ),
    ("pkc_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U", "the `ceremony_token` of a passkey that is made"),
    ("pkg_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U", "the `ceremony_token` of a passkey that is shown"),
    ("Cm9Xc1dU4qN2vB8kJ7yLwQ", "the id that an authenticator gave a passkey"),
    ("eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0", "the `clientDataJSON` of a passkey that is made"),
    ("o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YQ", "the `attestationObject` of a passkey that is made"),
    ("eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0", "the `clientDataJSON` of a passkey that is shown"),
    (
        "SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2MFAAAAAA",
        "the `authenticatorData` of a passkey that is shown",
    ),
    ("MEUCIQDx9vSg0w2n", "the `signature` of a passkey that is shown"),
    ("b3BhcXVlIHVzZXIgaGFuZGxl", "the `userHandle` of a passkey that is shown"),
    ("rt_0199f3c2a6e47d0c8f21b7e5d4a39c10.kbZ0n5rR1xqfYw3vH8uJ2m", "a refresh token"),
    ("pk_0199f3c2a6e47d0c8f21b7e5d4a39c10_kbZ0n5rR1xqfYw3vH8uJ2mL6cT9eS4aGdPiOoXyQh7U3Rk9Qd", "an API key"),
    ("Zr7kQm2xWc5nTb9vLd4sHy8gJf3pUaE6", "the `request_token` of a login at the broker"),
    ("050471", "the code of an authenticator app, or a backup code"),
];

/// What the routes are added to: `OpenApiRouter::with_openapi(openapi::base(&settings.public_url))`.
pub fn base(public_url: &PublicUrl) -> OpenApi {
    let info = InfoBuilder::new()
        .title("Portcullis")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(about()))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()));
    OpenApiBuilder::new()
        .openapi(OpenApiVersion::Version31)
        .info(info.build())
        .tags(Some(TAGS.map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build())))
        .servers(Some([Server::new(public_url.as_str())]))
        .components(Some(components(RefreshCookie::of(public_url))))
        .build()
}

/// Returns what is said of the service as a whole, in Markdown.
fn about() -> String {
    let row = |(literal, about): &(&str, &str)| format!("| `{literal}` | {about} |\n");
    let placeholders: String = PLACEHOLDERS.iter().map(row).collect();
    format!(
        "Identity, sessions and the vault of broker credentials.\n\nIn a request, an empty text in a member that may be left out \
         is none, and members that are not described are ignored, but for those of what is to be approved, where they are refused.\n\nThe examples can be sent as they stand, but for what only \
         a running service knows:\n\n| in an example | stands for |\n|---|---|\n{placeholders}"
    )
}

fn components(cookie: RefreshCookie) -> Components {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "An access token (RFC 9068), returned by sign-in and refresh. Clocks may differ by 5 seconds: it is accepted \
             until 5 seconds after `exp`, and from 5 seconds before `nbf` and `iat`.",
        ));
    let cookie = ApiKeyValue::with_description(
        cookie.name(),
        "The refresh token of a browser. The request must come from an allowed origin.",
    );
    let key = ApiKeyValue::with_description(
        "X-API-Key",
        "An API key of a person. It may do what both its scopes and the owner's roles permit.",
    );
    let service = ApiKeyValue::with_description("X-Service-Token", "The token of a service of the platform.");
    let mut schemas = Vec::new();
    ProblemDocument::schemas(&mut schemas);
    ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .schema(FieldError::name(), FieldError::schema())
        .schema(ProblemDocument::name(), ProblemDocument::schema())
        .responses_from_iter(described())
        .security_scheme(ACCESS_TOKEN, SecurityScheme::Http(bearer.build()))
        .security_scheme(API_KEY, SecurityScheme::ApiKey(ApiKey::Header(key)))
        .security_scheme(SERVICE_TOKEN, SecurityScheme::ApiKey(ApiKey::Header(service)))
        .security_scheme(REFRESH_COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)))
        .build()
}

/// Adds to every operation what its route says nothing of, because it is the same for all: the errors of the layers around
/// the routes, those of reading a body where there is one, and that no credentials are needed where none are named.
pub fn complete(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        let methods = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        methods.into_iter().flatten().for_each(|operation| complete_operation(path, operation));
    }
    if let Some(components) = &mut document.components {
        take_empty_texts(components);
    }
    document
}

/// A form sends an empty text for a field that was left empty. So where a text may be left out, it may be empty too.
fn take_empty_texts(components: &mut Components) {
    let of_text = |(name, schema): (&String, &RefOr<Schema>)| match schema {
        RefOr::T(Schema::Object(text)) if text.min_length.is_some() => {
            Some(format!("#/components/schemas/{name}"))
        }
        _ => None,
    };
    let texts: Vec<String> = components.schemas.iter().filter_map(of_text).collect();
    let is_text =
        |item: &RefOr<Schema>| matches!(item, RefOr::Ref(named) if texts.contains(&named.ref_location));
    for schema in components.schemas.values_mut() {
        let RefOr::T(Schema::Object(object)) = schema else { continue };
        for member in object.properties.values_mut() {
            if let RefOr::T(Schema::OneOf(either)) = member
                && either.items.iter().any(is_text)
            {
                let empty = ObjectBuilder::new().schema_type(Type::String).max_length(Some(0));
                either.items.push(empty.into());
            }
        }
    }
}

fn complete_operation(path: &str, operation: &mut Operation) {
    let mut add = |responses: std::collections::BTreeMap<_, _>| {
        for (status, response) in responses {
            operation.responses.responses.entry(status).or_insert(response);
        }
    };
    add(InternalError::responses());
    add(Unavailable::responses());
    // A `Content-Encoding` is refused before anybody looks whether there is a body.
    add(UnsupportedMediaType::responses());
    if path.contains('{') {
        // What stands there may be no text.
        add(BadRequest::responses());
    }
    if !edge::is_direct(path) {
        // Where `REQUIRE_EDGE` is set, and the request came another way.
        add(Forbidden::responses());
    }
    if let Some(body) = &mut operation.request_body {
        add(BadRequest::responses());
        add(RequestTimeout::responses());
        add(PayloadTooLarge::responses());
        add(Unprocessable::responses());
        if let RefOr::T(body) = body {
            body.content.values_mut().for_each(without_null);
        }
    }
    operation.security.get_or_insert_default();
}

/// A body that may be left out is described as one of what it holds and `null`; but `null` is a body, and refused.
fn without_null(content: &mut RefOr<Content>) {
    let RefOr::T(content) = content else { return };
    let Some(RefOr::T(Schema::OneOf(either))) = &content.schema else { return };
    if let Some(held @ RefOr::Ref(_)) = either.items.first() {
        content.schema = Some(held.clone());
    }
}

/// `GET /openapi.json`. The document is finished when this is called, and written out once.
pub fn routes(document: &OpenApi) -> Result<Router, serde_json::Error> {
    let json = Bytes::from(document.to_json()?);
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
    Ok(Router::new().route("/openapi.json", get(move || async move { (headers, json) })))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use utoipa_axum::router::OpenApiRouter;
    use utoipa_axum::routes;

    use super::*;
    use crate::responses::Unauthorized;
    use crate::testing::{app, request, send};
    use crate::{Code, Json, List, Page, Query};

    /// One of everything a route may mention.
    #[utoipa::path(get, path = "/things", params(Page), security(("access_token" = [])),
        responses((status = 200, body = List<String>), Unauthorized))]
    async fn things(_: Query<Page>) -> Json<List<String>> {
        Json(List { items: Vec::new(), next_cursor: None })
    }

    async fn document() -> Value {
        let url = PublicUrl::parse("https://auth.example.com").unwrap();
        let router: OpenApiRouter = OpenApiRouter::with_openapi(base(&url)).routes(routes!(things));
        let (_, document) = router.merge(crate::healthz::routes()).split_for_parts();
        let document = complete(document);
        let answer =
            send(&app(super::routes(&document).unwrap()), request("GET", "/openapi.json", &[])).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
        answer.json()
    }

    #[tokio::test]
    async fn the_base_names_the_product_and_the_ways_to_authenticate() {
        let document = document().await;
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["title"], "Portcullis");
        assert_eq!(document["servers"][0]["url"], "https://auth.example.com");
        insta::assert_json_snapshot!(document["components"]["securitySchemes"], @r#"
        {
          "access_token": {
            "bearerFormat": "JWT",
            "description": "An access token (RFC 9068), returned by sign-in and refresh. Clocks may differ by 5 seconds: it is accepted until 5 seconds after `exp`, and from 5 seconds before `nbf` and `iat`.",
            "scheme": "bearer",
            "type": "http"
          },
          "api_key": {
            "description": "An API key of a person. It may do what both its scopes and the owner's roles permit.",
            "in": "header",
            "name": "X-API-Key",
            "type": "apiKey"
          },
          "refresh_cookie": {
            "description": "The refresh token of a browser. The request must come from an allowed origin.",
            "in": "cookie",
            "name": "__Host-refresh",
            "type": "apiKey"
          },
          "service_token": {
            "description": "The token of a service of the platform.",
            "in": "header",
            "name": "X-Service-Token",
            "type": "apiKey"
          }
        }
        "#);
    }

    #[tokio::test]
    async fn a_problem_is_described_once_with_every_code() {
        let document = document().await;
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["Code"]["enum"].as_array().unwrap().len(), Code::ALL.len());
        insta::assert_json_snapshot!(schemas["Problem"]["required"], @r#"
        [
          "type",
          "title",
          "status",
          "detail",
          "code",
          "request_id"
        ]
        "#);
        let responses = &document["components"]["responses"];
        for (name, header) in [
            ("NotFound", "X-Request-Id"),
            ("Unauthorized", "WWW-Authenticate"),
            ("Unavailable", "Retry-After"),
        ] {
            let content = &responses[name]["content"]["application/problem+json"];
            assert_eq!(content["schema"]["$ref"], "#/components/schemas/Problem", "{name}");
            assert!(responses[name]["headers"][header].is_object(), "{name}: {header}");
        }
    }

    #[tokio::test]
    async fn pages_lists_and_errors_of_a_route_are_described() {
        let document = document().await;
        let route = &document["paths"]["/things"]["get"];
        let limit = &route["parameters"][0];
        assert_eq!((&limit["name"], &limit["required"]), (&"limit".into(), &false.into()));
        assert_eq!((&limit["schema"]["minimum"], &limit["schema"]["maximum"]), (&1.into(), &100.into()));
        assert_eq!(route["parameters"][1]["name"], "cursor");
        assert_eq!(route["responses"]["401"]["$ref"], "#/components/responses/Unauthorized");
        let list = &document["components"]["schemas"]["List_String"];
        assert_eq!(list["required"], serde_json::json!(["items", "next_cursor"]));
    }

    #[tokio::test]
    async fn no_reference_leads_nowhere() {
        let document = document().await;
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
