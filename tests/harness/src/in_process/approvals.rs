//! People who are asked for approvals, and services that ask and redeem.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis_identity::{
    ApprovalAsker, ApprovalId, ApprovalRequest, ApprovalView, AuthorizationDetails, ClientContext, Decided,
    Decimal, Error, Exchange, Order, OrderType, PresentedPasskey, PresentedProof, Product, Redeemed,
    RedemptionRequest, Side, Symbol, TradingAccountId, Validity, Verdict,
};
use portcullis_vault::{BrokerUser, Credentials, NewTradingAccount};
use serde_json::{Value, json};

use crate::in_process::enrolled::code;
use crate::in_process::passkeys::Begun;
use crate::in_process::person::Person;
use crate::in_process::world::World;
use crate::passkey::SoftPasskey;
use crate::service::{service_token, service_tokens};

/// Who may ask, who may redeem, and who may do neither.
pub const SERVICES: &str =
    r#"{"desk":["approval:request"],"executor":["approval:redeem"],"other":["approval:redeem"],"ticker":[]}"#;

/// An order for this account.
///
/// # Panics
/// Where it is none.
#[expect(clippy::expect_used, reason = "there is no test without it")]
pub fn order(account: TradingAccountId, symbol: &str, quantity: &str) -> AuthorizationDetails {
    let what = (Exchange::parse("NSE").expect("an exchange"), Symbol::parse(symbol).expect("a symbol"));
    let number = |text: &str| Decimal::parse(text).expect("a number");
    let order = Order::new(account, what, (Side::Buy, number(quantity)), OrderType::Limit);
    let order = order.at(Some(number("1500.50")), None).expect("its price");
    let product = Product::parse("CNC").expect("a product");
    AuthorizationDetails::of(order.held(Some(product), Some(Validity::Day))).expect("details")
}

impl World {
    /// A world with these services, in which somebody does everything more often than anybody may.
    pub async fn with_executors(seed: u64) -> Self {
        let tokens = service_tokens(&["desk", "executor", "other", "ticker"]);
        let variables = [("SERVICE_TOKENS", tokens.as_str()), ("SERVICES", SERVICES), ("RATE_LIMIT", "off")];
        Self::with_variables(seed, &variables).await
    }

    /// Redeems an approval as this service, whosever it is.
    ///
    /// # Panics
    /// Where there is no such service.
    pub async fn redeem(
        &self,
        service: &str,
        id: ApprovalId,
        details: &AuthorizationDetails,
        key: Option<&str>,
    ) -> Result<Redeemed, Error> {
        self.redeem_as(service, id, RedemptionRequest { details, owner: None, idempotency_key: key }).await
    }

    /// Redeems an approval as this service.
    ///
    /// # Panics
    /// Where there is no such service.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub async fn redeem_as(
        &self,
        service: &str,
        id: ApprovalId,
        shown: RedemptionRequest<'_>,
    ) -> Result<Redeemed, Error> {
        let token = service_token(service).into();
        let service = self.identity.authenticate_service(&token).await.expect("a service");
        self.identity.redeem_approval(&service, id, shown, &ClientContext::default()).await
    }
}

impl Person {
    /// Links a trading account.
    ///
    /// # Panics
    /// When it is refused.
    #[expect(clippy::expect_used, reason = "there is no test without it")]
    pub async fn link(&self) -> TradingAccountId {
        let wanted = NewTradingAccount {
            broker: "kite".to_owned(),
            broker_user: BrokerUser::parse("AB1234").expect("a user"),
            credentials: Credentials::parse(&"kitekey".into(), &"kitesecret".into()).expect("credentials"),
            label: None,
            idempotency_key: None,
        };
        let linked = self.world.vault.link(&self.caller, wanted, &ClientContext::default()).await;
        linked.expect("linked").id
    }

    /// Asks for an approval with the access token.
    pub async fn ask(
        &self,
        details: &AuthorizationDetails,
        idempotency_key: Option<&str>,
    ) -> Result<ApprovalView, Error> {
        let wanted = ApprovalRequest {
            details: details.clone(),
            expires_in: None,
            idempotency_key: idempotency_key.map(str::to_owned),
        };
        let asker = ApprovalAsker::Person(&self.session.access_token);
        self.world.identity.ask_for_approval(asker, &wanted, &ClientContext::default()).await
    }

    /// Approves with this code.
    pub async fn approve_by_code(&self, id: ApprovalId, text: &str) -> Result<Decided, Error> {
        self.decide(id, &Verdict::Approve(PresentedProof::Code(code(text)))).await
    }

    /// Decides.
    pub async fn decide(&self, id: ApprovalId, verdict: &Verdict) -> Result<Decided, Error> {
        self.world.identity.decide_approval(&self.caller, id, verdict, &ClientContext::default()).await
    }

    /// Begins to approve with a passkey.
    ///
    /// # Panics
    /// Where there is none.
    #[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
    pub async fn begin_approval(&self, id: ApprovalId) -> Result<Begun, Error> {
        let challenge = self.world.identity.challenge_approval(&self.caller, id).await?;
        let (token, signed) = challenge.ceremony.expect("a passkey");
        let rp_id = self.world.identity.relying_party().expect("a relying party").id();
        let options = json!({"challenge": BASE64URL.encode(signed), "rpId": rp_id});
        Ok(Begun { token: token.secret().clone(), options })
    }

    /// Approves with this answer of an authenticator.
    pub async fn finish_approval(
        &self,
        id: ApprovalId,
        begun: &Begun,
        credential: Value,
    ) -> Result<Decided, Error> {
        self.decide(id, &by_passkey(begun, credential)).await
    }

    /// Approves with this passkey.
    pub async fn approve_by_passkey(&self, id: ApprovalId, passkey: &SoftPasskey) -> Result<Decided, Error> {
        let begun = self.begin_approval(id).await?;
        self.finish_approval(id, &begun, passkey.get(&begun.options)).await
    }
}

/// A verdict with this answer of an authenticator.
///
/// # Panics
/// Where it is no credential at all.
#[expect(clippy::expect_used, reason = "a test that cannot go on says so")]
pub fn by_passkey(begun: &Begun, credential: Value) -> Verdict {
    let credential = serde_json::from_value(credential).expect("a credential");
    let shown = PresentedPasskey { ceremony_token: begun.token.clone(), credential };
    Verdict::Approve(PresentedProof::Passkey(Box::new(shown)))
}
