//! An authenticator app: what a person photographs the QR code with.

use totp_rs::Totp;

/// An app with one secret in it.
#[derive(Debug, Clone)]
pub struct Authenticator(Totp);

impl Authenticator {
    /// Reads the `otpauth` URI.
    ///
    /// # Panics
    /// When it cannot be read; an app would say so, too.
    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    pub fn scan(uri: &str) -> Self {
        Self(Totp::from_url(uri).expect("an otpauth URI"))
    }

    /// What the app shows at this Unix second.
    pub fn code_at(&self, seconds: u64) -> String {
        self.0.generate(seconds).to_string()
    }

    /// A code the app does not show within a day of this second.
    pub fn wrong_code_at(&self, seconds: u64) -> String {
        let start = seconds.saturating_sub(86_400);
        let shown: std::collections::HashSet<String> =
            (0..5_760).map(|step| self.code_at(start + step * 30)).collect();
        (0..1_000_000).map(|code| format!("{code:06}")).find(|code| !shown.contains(code)).unwrap_or_default()
    }
}
