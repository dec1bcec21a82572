//! Events of every kind, through `lambda_http` as [`serve`](crate::serve) puts them.

use axum::body::Body;
use lambda_http::{Context, LambdaEvent};
use serde_json::{Value, json};

use super::*;
use crate::runtime::invoke;

/// What a test changes of an event.
type Change<'a> = &'a dyn Fn(&mut Value);

fn http_api(path: &str, change: Change) -> Value {
    let mut event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "limit=2&cursor=a%2Fb",
        "cookies": ["a=1", "refresh=rt_x"],
        "headers": {
            "content-type": "application/json", "host": "a b", "x-forwarded-for": "6.6.6.6",
            "x-forwarded-proto": "a b",
        },
        "requestContext": {
            "stage": "$default", "domainName": "c d", "http": {"method": "POST", "path": path, "sourceIp": "192.0.2.7"},
        },
        "body": "{}", "isBase64Encoded": false,
    });
    change(&mut event);
    event
}

fn rest_api(path: &str, change: Change) -> Value {
    let mut event = json!({
        "resource": "/{proxy+}", "path": path, "httpMethod": "POST",
        "headers": {
            "content-type": "application/json", "host": "a b", "x-forwarded-for": "6.6.6.6",
            "x-forwarded-proto": "a b", "cookie": "a=1; refresh=rt_x",
        },
        "multiValueHeaders": {
            "host": ["a b"], "content-type": ["application/json"], "cookie": ["a=1; refresh=rt_x"],
        },
        "queryStringParameters": {"cursor": "a/b&c=d %2F"},
        "multiValueQueryStringParameters": {"cursor": ["a/b&c=d %2F"]},
        "requestContext": {
            "stage": "prod", "domainName": "c d", "httpMethod": "POST", "identity": {"sourceIp": "192.0.2.7"},
        },
        "body": "{}", "isBase64Encoded": false,
    });
    change(&mut event);
    event
}

fn load_balancer(path: &str, change: Change) -> Value {
    let mut event = json!({
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:ap-south-1:1:targetgroup/x/1"}},
        "httpMethod": "POST", "path": path, "queryStringParameters": {"cursor": "a%2Fb%2520"},
        "headers": {
            "content-type": "application/json", "host": "a b", "x-forwarded-for": "6.6.6.6, 192.0.2.7",
            "x-forwarded-proto": "a b", "cookie": "a=1; refresh=rt_x",
        },
        "body": "{}", "isBase64Encoded": false,
    });
    change(&mut event);
    event
}

/// What the router is asked, or why nothing is.
fn request_of(event: Value) -> Result<Request<Bytes>, UnusableEvent> {
    let mut event: LambdaRequest = serde_json::from_value(event).unwrap();
    let raw = take_raw(&mut event)?;
    Ok(raw.restore(event.into()))
}

/// What the sender of the event is answered.
async fn answered(event: Value, response: impl Fn() -> Response<Body> + Send + Sync) -> Value {
    let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), Context::default());
    let respond = |_| std::future::ready(response());
    let answer = invoke(event, &respond).await.unwrap();
    serde_json::to_value(&answer).unwrap()
}

#[test]
fn an_event_is_the_request_it_was_made_of() {
    let kinds: [(Value, &str); 3] = [
        (http_api("/v1/sessions", &|_| {}), "/v1/sessions?limit=2&cursor=a%2Fb"),
        (rest_api("/v1/sessions", &|_| {}), "/v1/sessions?cursor=a%2Fb%26c%3Dd%20%252F"),
        (load_balancer("/v1/sessions", &|_| {}), "/v1/sessions?cursor=a%2Fb%2520"),
    ];
    for (event, uri) in kinds {
        let request = request_of(event).unwrap();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), uri);
        assert_eq!(request.headers()["cookie"], "a=1; refresh=rt_x");
        assert_eq!(request.headers()["content-type"], "application/json");
        assert_eq!(request.body(), "{}");
        let address = request.extensions().get::<ClientIp>().map(|ip| ip.0);
        assert_eq!(address, Some("192.0.2.7".parse().unwrap()), "and no header of the client decides it");
    }
}

#[test]
fn repeated_parameters_stay_repeated() {
    let event = rest_api("/v1", &|event| {
        event["multiValueQueryStringParameters"] = json!({"limit": ["1", "2"]});
    });
    assert_eq!(request_of(event).unwrap().uri().query(), Some("limit=1&limit=2"));
}

#[test]
fn repeated_headers_stay_repeated() {
    let event = rest_api("/v1", &|event| {
        event["headers"]["authorization"] = "Bearer b".into();
        event["multiValueHeaders"]["authorization"] = json!(["Bearer a", "Bearer b"]);
    });
    let request = request_of(event).unwrap();
    let values: Vec<_> = request.headers().get_all("authorization").iter().collect();
    assert_eq!(values, ["Bearer a", "Bearer b"], "what takes exactly one sees that there are two");
}

#[test]
fn an_address_that_a_client_put_before_the_balancers_is_not_believed() {
    let forwarded = |text: &str| {
        let event = load_balancer("/", &|event| event["headers"]["x-forwarded-for"] = text.into());
        request_of(event).unwrap().extensions().get::<ClientIp>().map(|ip| ip.0.to_string())
    };
    assert_eq!(forwarded("192.0.2.7").as_deref(), Some("192.0.2.7"));
    assert_eq!(forwarded("6.6.6.6,6.6.6.6, 2001:db8::1").as_deref(), Some("2001:db8::1"));
    assert_eq!(forwarded("é\u{80}, 192.0.2.7").as_deref(), Some("192.0.2.7"), "nor do its bytes hide it");
    assert_eq!(forwarded("6.6.6.6, 192.0.2.7:49152").as_deref(), Some("192.0.2.7"));
    assert_eq!(forwarded("6.6.6.6, [2001:db8::1]:49152").as_deref(), Some("2001:db8::1"));
    assert_eq!(forwarded("6.6.6.6, unknown"), None);
}

#[test]
fn the_host_and_dots_in_the_path_change_nothing() {
    for (path, uri) in [
        ("/v1/%2e%2e/admin", "/v1/%2e%2e/admin"),
        ("/v1/../admin", "/v1/../admin"),
        ("//evil.example/v1", "//evil.example/v1"),
        ("/v1/a b?x#y", "/v1/a%20b%3Fx%23y"),
        ("/v1/ä", "/v1/%C3%A4"),
        (":99999", "/:99999"),
        ("", "/"),
    ] {
        let without_query: Change = &|event: &mut Value| {
            event["rawQueryString"] = "".into();
            event["queryStringParameters"] = json!({});
            event["multiValueQueryStringParameters"] = json!({});
        };
        for event in
            [http_api(path, without_query), rest_api(path, without_query), load_balancer(path, without_query)]
        {
            let request = request_of(event).unwrap();
            assert_eq!(request.uri().path(), uri);
            assert_eq!(request.uri().host(), None);
        }
    }
}

#[test]
fn a_named_stage_is_no_part_of_the_path() {
    for (stage, path, uri) in [
        ("prod", "/prod/v1/sessions", "/v1/sessions"),
        ("prod", "/prod", "/"),
        ("prod", "/production/v1", "/production/v1"),
        ("$default", "/prod/v1", "/prod/v1"),
    ] {
        let event = http_api(path, &|event| event["requestContext"]["stage"] = stage.into());
        assert_eq!(request_of(event).unwrap().uri().path(), uri);
    }
}

const KINDS: [fn(&str, Change) -> Value; 3] = [http_api, rest_api, load_balancer];

#[tokio::test]
async fn binary_bodies_travel_as_base64() {
    for kind in KINDS {
        let encoded = |text: &'static str| {
            kind("/", &|event| {
                event["isBase64Encoded"] = true.into();
                event["body"] = text.into();
            })
        };
        assert_eq!(request_of(encoded("/w==")).unwrap().body().as_ref(), [0xff]);
        assert_eq!(request_of(encoded("?")).unwrap_err(), UnusableEvent::Body);
        let refused = answered(encoded("?"), || panic!("no router is asked")).await;
        assert_eq!(refused["statusCode"], 400);
        let image = || {
            let response = Response::builder().header("content-type", "image/png");
            response.body(Body::from(vec![0xff])).unwrap()
        };
        let answer = answered(encoded("/w=="), image).await;
        assert_eq!((&answer["body"], &answer["isBase64Encoded"]), (&json!("/w=="), &json!(true)));
    }
}

#[tokio::test]
async fn a_query_that_is_none_is_told_and_not_guessed_at() {
    for kind in [http_api, load_balancer] {
        let event = kind("/v1", &|event| {
            event["rawQueryString"] = "a=\u{7f} b".into();
            event["queryStringParameters"] = json!({"a": "\u{7f} b"});
        });
        assert_eq!(request_of(event.clone()).unwrap_err(), UnusableEvent::Path);
        assert_eq!(answered(event, || panic!("no router is asked")).await["statusCode"], 400);
    }
}

#[test]
fn headers_of_any_bytes_a_client_may_send_are_taken() {
    for kind in KINDS {
        let event = kind("/v1", &|event| {
            event["headers"]["user-agent"] = "Zoë\u{80}".into();
            if let Some(headers) = event.get_mut("multiValueHeaders") {
                headers["user-agent"] = json!(["Zoë\u{80}"]);
            }
        });
        assert!(request_of(event).unwrap().headers().contains_key("user-agent"));
    }
}

fn created() -> Response<Body> {
    let response = Response::builder()
        .status(201)
        .header("content-type", "application/json")
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2")
        .header("vary", "origin")
        .header("vary", "accept");
    response.body(Body::from("{}")).unwrap()
}

#[tokio::test]
async fn cookies_stand_apart_and_repeated_headers_are_joined() {
    let answer = answered(http_api("/", &|_| {}), created).await;
    insta::assert_json_snapshot!(answer, @r#"
    {
      "body": "{}",
      "cookies": [
        "a=1",
        "b=2"
      ],
      "headers": {
        "content-type": "application/json",
        "vary": "origin, accept"
      },
      "isBase64Encoded": false,
      "multiValueHeaders": {},
      "statusCode": 201
    }
    "#);
}

#[tokio::test]
async fn a_rest_api_and_a_balancer_are_answered_in_their_own_form() {
    for kind in [rest_api, load_balancer] {
        let answer = answered(kind("/", &|_| {}), created).await;
        assert_eq!(answer["statusCode"], 201);
        assert_eq!(answer["multiValueHeaders"]["set-cookie"], json!(["a=1", "b=2"]));
        assert_eq!(answer["multiValueHeaders"]["vary"], json!(["origin, accept"]));
        assert_eq!((&answer["body"], &answer["isBase64Encoded"]), (&json!("{}"), &json!(false)));
        assert!(answer.get("cookies").is_none());
    }
    let of_balancer = answered(load_balancer("/", &|_| {}), created).await;
    assert_eq!(of_balancer["statusDescription"], "201 Created");
    assert_eq!(
        of_balancer["headers"]["vary"], "origin, accept",
        "for a balancer without multi-value headers"
    );
}
