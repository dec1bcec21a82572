//! The web console: pages of this service's own, built from `functions/console/web` and held in the program.
//!
//! It has no rights. Every page is the same document, whose scripts call the routes of this service as any other client
//! does. An address that is no page is the 404 of every other route, and so is a script that is gone: a browser that got
//! a page in place of a script would show nothing at all.

use std::io::Read;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::read::GzDecoder;
use portcullis_http::{Brand, Code, HttpSettings, Problem};

/// The addresses of pages, as axum and API Gateway write them. `console/web/src/routes.tsx` has the same.
const PAGES: &[&str] = &[
    "/login",
    "/register",
    "/forgot-password",
    "/reset-password",
    "/verify-email",
    "/confirm-address",
    "/restore-address",
    "/rotate-password",
    "/",
    "/trading-accounts",
    "/approvals",
    "/broker-callback",
    "/readers",
    "/sessions",
    "/security",
    "/api-keys",
    "/audit",
    "/profile",
    "/admin/people",
    "/admin/people/{id}",
    "/admin/audit",
    "/admin/providers",
    "/admin/trouble",
];

/// Scripts and styles, whose names change with their content.
const ASSETS: &str = "/assets/{name}";
/// The colour of the platform.
const BRAND_STYLES: &str = "/console/brand.css";

/// Nothing but files of this service, nothing inline, and no script that makes markup from strings.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";
/// As everywhere, but that pages of this service may ask for passkeys of this service.
const PAGE_PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), fullscreen=(), geolocation=(), gyroscope=(), microphone=(), \
     midi=(), payment=(), publickey-credentials-create=(self), publickey-credentials-get=(self), \
     screen-wake-lock=(), usb=()";
/// Names of scripts and styles change with their content.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Asked for each time, and seldom sent again: an old page would ask for scripts that are gone.
const ASKED_FOR: &str = "no-cache";

/// The document of every page.
const DOCUMENT: &str = include_str!("../console/web/dist/index.html");

/// A script or a style.
#[derive(Debug)]
struct Asset {
    name: &'static str,
    media_type: &'static str,
    gzip: &'static [u8],
}

const BUILT: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Returns every path the console answers, as API Gateway writes them.
pub fn console_paths() -> impl Iterator<Item = &'static str> {
    PAGES.iter().copied().chain([ASSETS, BRAND_STYLES])
}

/// The function's routes.
pub(crate) fn routes(settings: &HttpSettings) -> Router {
    let brand = &settings.brand;
    let page = Fixed::new("text/html; charset=utf-8", document(brand), true);
    let styles = Fixed::new("text/css; charset=utf-8", brand.styles(), false);
    let mut router = Router::new();
    for path in PAGES {
        let page = page.clone();
        router = router.route(path, get(async move |headers: HeaderMap| page.answer(&headers)));
    }
    router
        .route(BRAND_STYLES, get(async move |headers: HeaderMap| styles.answer(&headers)))
        .route(ASSETS, get(async |Path(name): Path<String>, headers: HeaderMap| asset(&name, &headers)))
}

/// Returns the document with the name, the logo and the colour of the platform.
fn document(brand: &Brand) -> String {
    let (name, logo) = (escaped(brand.name()), escaped(brand.logo()));
    let styles = if brand.has_accent() {
        format!("<link rel=\"stylesheet\" href=\"{BRAND_STYLES}\">\n  </head>")
    } else {
        "</head>".to_owned()
    };
    DOCUMENT
        .replace(
            "name=\"brand-name\" content=\"Portcullis\"",
            &format!("name=\"brand-name\" content=\"{name}\""),
        )
        .replace("<title>Portcullis</title>", &format!("<title>{name}</title>"))
        .replace("name=\"brand-logo\" content=\"\"", &format!("name=\"brand-logo\" content=\"{logo}\""))
        .replace("</head>", &styles)
}

/// Returns the text for an attribute or an element of HTML.
fn escaped(text: &str) -> String {
    let entity = |letter| match letter {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        '\'' => "&#39;",
        _ => "",
    };
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match entity(letter) {
            "" => out.push(letter),
            entity => out.push_str(entity),
        }
    }
    out
}

/// A small file that is the same for as long as the program runs.
#[derive(Debug, Clone)]
struct Fixed {
    media_type: &'static str,
    body: Bytes,
    tag: HeaderValue,
    is_page: bool,
}

impl Fixed {
    fn new(media_type: &'static str, body: String, is_page: bool) -> Self {
        let digest = URL_SAFE_NO_PAD.encode(digest(&SHA256, body.as_bytes()));
        let tag = HeaderValue::from_str(&format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""));
        Self { media_type, body: body.into(), tag, is_page }
    }

    /// Returns the file, or 304 where the client has it already.
    fn answer(&self, request: &HeaderMap) -> Response {
        let mut response = if has(request, &self.tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(CONTENT_TYPE, self.media_type)], Body::from(self.body.clone())).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(ETAG, self.tag.clone());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(ASKED_FOR));
        if self.is_page {
            for (name, value) in [
                (CONTENT_SECURITY_POLICY, PAGE_POLICY),
                (HeaderName::from_static("permissions-policy"), PAGE_PERMISSIONS),
                (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        response
    }
}

/// Whether the client has the version with this tag (RFC 9110 section 13.1.2, which compares weakly).
fn has(request: &HeaderMap, tag: &HeaderValue) -> bool {
    let given = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|value| value.split(',')).any(|one| {
        let one = one.trim();
        one.strip_prefix("W/").unwrap_or(one).as_bytes() == tag.as_bytes()
    })
}

/// Returns the script or style of this name; 404 where there is none.
fn asset(name: &str, request: &HeaderMap) -> Response {
    let Some(found) = BUILT.iter().find(|asset| asset.name == name) else {
        return Problem::new(Code::NotFound).into_response();
    };
    let fixed = [(CONTENT_TYPE, found.media_type), (CACHE_CONTROL, FOREVER), (VARY, "accept-encoding")];
    if takes_gzip(request) {
        return (fixed, [(CONTENT_ENCODING, "gzip")], found.gzip).into_response();
    }
    let mut plain = Vec::new();
    match GzDecoder::new(found.gzip).read_to_end(&mut plain) {
        Ok(_) => (fixed, plain).into_response(),
        Err(_) => Problem::new(Code::InternalError).into_response(),
    }
}

/// Whether a client takes gzip: it names it, or everything, and not with a weight of 0 (RFC 9110 section 12.5.3).
fn takes_gzip(request: &HeaderMap) -> bool {
    let given = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|value| value.split(',')).any(|one| {
        let (coding, weight) = one.split_once(';').unwrap_or((one, ""));
        let is_refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        matches!(coding.trim().to_ascii_lowercase().as_str(), "gzip" | "*") && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn the_service_and_the_console_have_the_same_pages() {
        let source = include_str!("../console/web/src/routes.tsx");
        let paths =
            source.split("route(").filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
        let of_console: BTreeSet<String> = paths.map(|path| path.replace("/:id", "/{id}")).collect();
        assert_eq!(PAGES.iter().map(|path| (*path).to_owned()).collect::<BTreeSet<_>>(), of_console);
    }

    #[test]
    fn the_document_names_assets_that_there_are_and_nothing_inline() {
        let named: Vec<&str> =
            DOCUMENT.split("/assets/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(named.len() >= 3, "{named:?}");
        for name in named {
            assert!(BUILT.iter().any(|asset| asset.name == name), "{name}");
        }
        assert!(
            !DOCUMENT.contains("<style") && !DOCUMENT.contains("style=") && !DOCUMENT.contains("<script>")
        );
        assert!(!DOCUMENT.contains("//"), "something of another host");
    }

    #[test]
    fn a_brand_is_written_into_the_page_as_text() {
        let name = r#"Rao & "Sons" <script>"#;
        let brand = Brand::read(
            &[("BRAND_NAME", name), ("BRAND_LOGO", "/logo.svg"), ("BRAND_ACCENT", "#7a1f5c")]
                .into_iter()
                .collect(),
            &"https://auth.example.com".parse().unwrap(),
        );
        let page = document(&brand.unwrap());
        assert!(page.contains(r#"content="Rao &amp; &quot;Sons&quot; &lt;script&gt;""#), "{page}");
        assert!(page.contains(r#"name="brand-logo" content="/logo.svg""#), "{page}");
        assert!(page.contains(BRAND_STYLES) && !document(&Brand::default()).contains(BRAND_STYLES));
        assert_eq!(document(&Brand::default()), DOCUMENT);
    }

    #[test]
    fn a_page_that_is_known_is_not_sent_again() {
        let page = Fixed::new("text/html", "x".to_owned(), true);
        let tag = page.tag.to_str().unwrap().to_owned();
        for (given, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("\"other\"".to_owned(), 200),
            (String::new(), 200),
        ] {
            let answer = page.answer(&headers(&[(IF_NONE_MATCH, &given)]));
            assert_eq!(answer.status().as_u16(), status, "{given}");
            assert_eq!(answer.headers()[CACHE_CONTROL], "no-cache");
            assert_eq!(answer.headers()[CONTENT_SECURITY_POLICY], PAGE_POLICY);
        }
    }

    #[test]
    fn an_asset_is_compressed_for_who_takes_that() {
        for (given, is_compressed) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip;q=0.0, br", false),
            ("identity", false),
            ("", false),
        ] {
            let answer = asset(BUILT[0].name, &headers(&[(ACCEPT_ENCODING, given)]));
            assert_eq!(answer.headers().contains_key(CONTENT_ENCODING), is_compressed, "{given}");
            assert_eq!(answer.headers()[CACHE_CONTROL], FOREVER);
            assert_eq!(answer.headers()[VARY], "accept-encoding");
        }
    }

    #[test]
    fn what_is_no_asset_is_no_page_either() {
        for name in ["", "index.html", "../Cargo.toml", "index-00000000.js"] {
            let answer = asset(name, &HeaderMap::new());
            assert_eq!(answer.status(), 404, "{name}");
            assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json", "{name}");
        }
    }
}
