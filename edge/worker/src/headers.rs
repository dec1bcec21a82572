//! Which headers of a request never pass the edge, and which every response carries.

/// Names only the edge or the platform before it may write. Whatever begins with one of these is dropped.
const RESERVED: [&str; 15] = [
    "x-user-",
    "x-session-",
    "x-auth-",
    "x-edge-",
    "x-client-",
    "x-service-token",
    "x-request-id",
    "x-forwarded-",
    "x-real-ip",
    "x-original-",
    "x-rewrite-",
    "x-approval-",
    // Another method than the one that is decided on.
    "x-http-method",
    "x-method-override",
    "forwarded",
];

/// For one connection only (RFC 9110 section 7.6.1), or about the way to this proxy.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Whether a client's header of this name must not reach a service. Servers that hand headers on as variables (CGI,
/// WSGI) fold case and turn every other character into `_`, so `X_User.Id` is a spelling of `X-User-Id`.
pub fn is_reserved(name: &str) -> bool {
    let plain: String = name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
        .collect();
    RESERVED.iter().any(|reserved| plain.starts_with(reserved)) || HOP_BY_HOP.contains(&plain.as_str())
}

/// On every response, whatever the service said.
pub(crate) const ALWAYS: [(&str, &str); 6] = [
    // Two years, as browsers ask for before they remember a host.
    ("strict-transport-security", "max-age=63072000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "accelerometer=(), camera=(), display-capture=(), fullscreen=(), geolocation=(), gyroscope=(), microphone=(), \
         midi=(), payment=(), publickey-credentials-get=(), screen-wake-lock=(), usb=()",
    ),
];

/// Unless the service set its own.
pub(crate) const BY_DEFAULT: [(&str, &str); 2] = [
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_is_reserved_in_every_spelling() {
        for name in [
            "x-user-id",
            "X-User-Id",
            "x_user_id",
            "X-User_Id",
            "x.user~id",
            "x-user-anything",
            "x-session-id",
            "x-auth-method",
            "x-edge-proof",
            "X_EDGE_PROOF",
            "x-client-address",
            "x-service-token",
            "x-request-id",
            "x-forwarded-for",
            "x-forwarded-host",
            "forwarded",
            "x-real-ip",
            "x-original-url",
            "x-approval-id",
            "X_Approval.Order_Tag",
            "x-http-method-override",
            "X_HTTP_Method",
            "x-method-override",
            "connection",
            "upgrade",
            "proxy-authorization",
        ] {
            assert!(is_reserved(name), "{name}");
        }
        for name in
            ["authorization", "content-type", "x-trace-id", "accept", "user-agent", "x-username", "te-x"]
        {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
