use proptest::prelude::*;

use super::*;

const TABLE: &str = r#"[
    {"prefix": "/v1/portfolio", "service": "portfolio", "upstreams": ["https://portfolio.example"]},
    {"prefix": "/v1/portfolio/admin", "service": "monitoring", "upstreams": ["https://portfolio.example"], "critical": true, "proof_key": "2"},
    {"prefix": "/v1/auth", "service": "identity", "upstreams": ["https://a.example", "https://b.example:8080"], "public": true},
    {"prefix": "/", "service": "web", "upstreams": ["https://web.example"], "public": true, "timeout_seconds": 5}
]"#;

fn service(path: &str) -> Result<String, Astray> {
    RouteTable::parse(TABLE).unwrap().find(path).map(|route| route.service().into())
}

#[test]
fn the_longest_prefix_of_whole_segments_counts() {
    for (path, expected) in [
        ("/v1/portfolio", "portfolio"),
        ("/v1/portfolio/", "portfolio"),
        ("/v1/portfolio/42/Positions", "portfolio"),
        ("/v1/portfolio/administration", "portfolio"),
        ("/v1/portfolio/admin", "monitoring"),
        ("/v1/portfolio/admin/x", "monitoring"),
        ("/v1/portfolios", "web"),
        ("/v1/auth/.well-known/jwks.json", "identity"),
        ("/", "web"),
        ("/v1/portfolio/a%20b", "portfolio"),
        ("/v1/portfolio/caf%C3%A9", "portfolio"),
        ("/v1/portfolio/a..b/...", "portfolio"),
        ("/v1/portfolio/%FF", "portfolio"),
        ("/v1/portfolio/a;b=c", "portfolio"),
    ] {
        assert_eq!(service(path), Ok(expected.to_owned()), "{path}");
    }
    let small = TABLE.replace(r#""prefix": "/","#, r#""prefix": "/web","#);
    assert_eq!(RouteTable::parse(&small).unwrap().find("/elsewhere"), Err(Astray::Unknown));
}

#[test]
fn a_route_is_what_was_written() {
    let table = RouteTable::parse(TABLE).unwrap();
    let auth = table.find("/v1/auth/login").unwrap();
    assert_eq!(auth.upstreams(), ["https://a.example", "https://b.example:8080"]);
    assert!(auth.is_public() && !auth.is_critical());
    assert!(table.find("/v1/portfolio/admin").unwrap().is_critical());
    assert_eq!(table.find("/x").unwrap().timeout_seconds(), Some(5));
    assert_eq!([auth, table.find("/v1/portfolio/admin").unwrap()].map(Route::proof_key), ["1", "2"]);
    assert_eq!(table.iter().map(Route::prefix).last(), Some("/"));
}

#[test]
fn a_route_of_trading_is_critical_too() {
    let table = r#"[{"prefix": "/a", "service": "s", "upstreams": ["https://x.example"], "trading": true},
                    {"prefix": "/b", "service": "s", "upstreams": ["https://x.example"], "critical": true}]"#;
    let table = RouteTable::parse(table).unwrap();
    let of = |path: &str| {
        let route = table.find(path).unwrap();
        (route.is_trading(), route.is_critical())
    };
    assert_eq!((of("/a"), of("/b")), ((true, true), (false, true)));
}

#[test]
fn a_route_may_ask_for_a_stronger_and_a_newer_sign_in() {
    let needed = |members: &str| {
        let text = r#"[{"prefix": "/a", "service": "s", "upstreams": ["https://x.example"]MEMBERS}]"#;
        RouteTable::parse(&text.replace("MEMBERS", members)).map(|table| table.find("/a").unwrap().needed())
    };
    let none = needed("").unwrap();
    assert!(none.is_nothing() && none.is_met(Assurance::Aal1, 0, u64::MAX));
    let both = needed(r#", "acr": "aal2", "max_age": 300"#).unwrap();
    assert_eq!(both, Needed { acr: Some(Assurance::Aal2), max_age: Some(300) });
    assert_eq!(both.to_string(), r#", acr_values="aal2", max_age="300""#);
    for (acr, auth_time, is_met) in [
        (Assurance::Aal2, 700, true),
        (Assurance::Phr, 1_000, true),
        // A clock of ours that is behind makes no token old.
        (Assurance::Aal2, 1_002, true),
        (Assurance::Aal2, 699, false),
        (Assurance::Aal1, 1_000, false),
        (Assurance::Phr, 0, false),
    ] {
        assert_eq!(both.is_met(acr, auth_time, 1_000), is_met, "{acr} {auth_time}");
    }
    assert_eq!(needed(r#", "max_age": 1"#).unwrap().to_string(), r#", max_age="1""#);
    let refused = "route `/a`: `acr` is one of aal1, aal2 and phr, `max_age` is 1 to 86400, on a route that is not public";
    for members in [
        r#", "acr": "aal3""#,
        r#", "acr": "AAL2""#,
        r#", "max_age": 0"#,
        r#", "max_age": 86401"#,
        r#", "public": true, "acr": "aal1""#,
        r#", "public": true, "max_age": 60"#,
    ] {
        assert_eq!(needed(members).unwrap_err().to_string(), refused, "{members}");
    }
    assert!(needed(r#", "max_age": -1"#).is_err() && needed(r#", "acr": ["aal2"]"#).is_err());
}

/// Whoever forwards a token in the clear has given it away.
#[test]
fn nothing_is_forwarded_in_the_clear() {
    for (upstream, is_taken) in [
        ("https://x.example", true),
        ("http://127.0.0.1:8080", true),
        ("http://localhost", true),
        ("http://x.example", false),
        ("http://10.0.0.7:8080", false),
        ("http://127.0.0.1.x.example", false),
        ("http://localhost.x.example", false),
    ] {
        let table = format!(r#"[{{"prefix": "/a", "service": "s", "upstreams": ["{upstream}"]}}]"#);
        assert_eq!(RouteTable::parse(&table).is_ok(), is_taken, "{upstream}");
    }
    for url in [
        "https://x.example/a?b",
        "http://127.0.0.1/a",
        "http://localhost:8787",
        "http://[::1]:1/",
        "http://[::1]?x",
    ] {
        assert!(is_encrypted_or_local(url), "{url}");
    }
    for url in [
        "",
        "/",
        "http://",
        "http://x.example",
        "HTTP://localhost",
        "http://localhost@x.example/",
        "http://localhost:x@x.example/",
        "http://x.example#localhost",
        "http://x.example/localhost",
        "http://[::2]/",
        "ws://localhost",
    ] {
        assert!(!is_encrypted_or_local(url), "{url}");
    }
}

/// Each of these is another service's path to some server.
#[test]
fn no_trick_reaches_another_prefix() {
    for path in [
        "",
        "v1/portfolio",
        "*",
        "/v1/auth/../portfolio",
        "/v1/auth/./x",
        "/v1/auth/..",
        "/v1/auth/%2e%2e/portfolio",
        "/v1/auth/.%2E/portfolio",
        "/v1/auth/%252e%252e/portfolio",
        "/v1/auth/%25252e%25252e/portfolio",
        "/v1/auth/..;/portfolio",
        "/v1/auth/..;x=y/portfolio",
        "/v1/auth/%2e%2e;/portfolio",
        "/v1/auth/..%3b/portfolio",
        "/v1/auth%2fportfolio",
        "/v1/auth/..%2fportfolio",
        "/v1/auth/..%2Fportfolio",
        "/v1/auth/..%252fportfolio",
        "/v1/auth/..%5cportfolio",
        "/v1/auth/..\\portfolio",
        "/v1/auth\\..\\portfolio",
        "/v1//portfolio",
        "//v1/portfolio",
        "/v1/portfolio//admin",
        "/v1/;/portfolio",
        "/;x/v1/portfolio",
        "/v1;/portfolio",
        "/V1;/PORTFOLIO",
        "/v1;a=b/portfolio",
        "/v1/portfolio;a/admin",
        "/V1/PORTFOLIO",
        "/v1/Portfolio",
        "/v1/portfolio/Admin",
        "/v1/portfolio/%61dmin",
        "/v1/portfolio/%2561dmin",
        "/v1/%70ortfolio",
        "/%76%31/portfolio",
        "/v1/portfolio%00",
        "/v1/portfolio\0",
        "/v1/portfolio%0a",
        "/v1/portfolio%2500",
        "/v1/portfolio/%3fx",
        "/v1/portfolio/%23x",
        "/v1/portfolio/%",
        "/v1/portfolio/100%25",
        "/v1/portfolio/%2",
        "/v1/portfolio/%zz",
        "/v1/portfolio/%+1",
    ] {
        assert_eq!(service(path), Err(Astray::Ambiguous), "{path}");
    }
    assert_eq!(service(&format!("/{}", "a".repeat(MAX_PATH_BYTES))), Err(Astray::Ambiguous), "too long");
}

#[test]
fn tables_that_are_refused_say_which_route() {
    let route = |change: &str, by: &str| {
        let sound =
            r#"[{"prefix": "/a", "service": "s", "upstreams": ["https://x.example"], "public": false}]"#;
        let text = sound.replace(change, by);
        assert_ne!(text, sound);
        RouteTable::parse(&text).unwrap_err().to_string()
    };
    for prefix in ["", "a", "/a/", "//", "/A", "/a%20", "/a//b", "/..", "/a/./b", "/a?b", "/é", "/a b", "/*"]
    {
        let message = route("/a", prefix);
        assert!(message.contains("a prefix is") || message.contains("not `https"), "{prefix}: {message}");
    }
    for upstream in [
        "",
        "x.example",
        "ftp://x.example",
        "https://",
        "https://x.example/",
        "https://x.example/base",
        "https://x.example?q",
        "https://user@x.example",
        "https://x.example:0",
        "https://x.example:99999",
        "https://X.example",
        "//x.example",
        "https://x.example#",
    ] {
        assert!(route("https://x.example", upstream).contains("upstream"), "{upstream}");
    }
    insta::assert_snapshot!(route("\"s\"", "\"S\""), @"route `/a`: service `S` is not a lower-case word");
    insta::assert_snapshot!(route("[\"https://x.example\"]", "[]"), @"route `/a`: has 1 to 4 upstreams");
    insta::assert_snapshot!(route("\"public\": false", "\"timeout_seconds\": 0"), @"route `/a`: `timeout_seconds` is 1 to 300");
    for (public, permission) in
        [(false, "orders"), (false, "*:read"), (false, "Orders:place"), (true, "orders:place")]
    {
        let message =
            route("\"public\": false", &format!("\"public\": {public}, \"permission\": \"{permission}\""));
        assert_eq!(message, "route `/a`: `permission` is `resource:action`, on a route that is not public");
    }
    let trading = "route `/a`: `trading` is for a route that is not public and has not `keeps_sockets`";
    for with in ["\"public\": true", "\"keeps_sockets\": true"] {
        assert_eq!(route("\"public\": false", &format!("{with}, \"trading\": true")), trading);
    }
    let proof_key =
        "route `/a`: `proof_key` is 1 to 16 of a-z, 0-9 and `-`, and not for the service `identity`";
    for id in ["", "A", "1 2", "1;", "1\\n2", "12345678901234567"] {
        assert_eq!(route("\"public\": false", &format!("\"proof_key\": \"{id}\"")), proof_key, "{id}");
    }
    assert_eq!(route("\"s\",", "\"identity\", \"proof_key\": \"2\","), proof_key);
    assert!(route("public", "pubic").contains("unknown field"), "a slip must not open or close a route");
    assert!(route("\"service\": \"s\",", "").contains("missing field `service`"));
    assert!(route("\"public\"", "\"prefix\": \"/b\", \"public\"").contains("duplicate field"));
    assert_eq!(RouteTable::parse("[]"), Err(RouteTableError::Count));
    assert!(matches!(RouteTable::parse("{}"), Err(RouteTableError::Json { .. })));
    let twice = TABLE.replace("/v1/portfolio/admin", "/v1/portfolio");
    assert_eq!(RouteTable::parse(&twice), Err(RouteTableError::Duplicate { prefix: "/v1/portfolio".into() }));
}

proptest! {
    /// A server that decodes, ignores case, resolves dots and merges slashes finds the same service.
    #[test]
    fn a_lenient_server_agrees(path in "(/|/v1|/V1|/%76|portfolio|Admin|auth|%2f|%2F|%2e|\\.|/\\.\\.|;|//|%25|[a-z]|\\\\){1,9}") {
        let path = format!("/{}", path.trim_start_matches('/'));
        if let Ok(found) = service(&path) {
            prop_assert_eq!(service(&lenient(&path)), Ok(found), "{}", path);
        }
    }
}

fn lenient(path: &str) -> String {
    let mut text = path.to_owned();
    for _ in 0..4 {
        for (code, plain) in [("%2f", "/"), ("%2F", "/"), ("%2e", "."), ("%76", "v"), ("%25", "%")] {
            text = text.replace(code, plain);
        }
    }
    let text = text.to_lowercase().replace('\\', "/");
    let mut segments = Vec::new();
    for segment in text.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name.to_owned()),
        }
    }
    format!("/{}", segments.join("/"))
}
