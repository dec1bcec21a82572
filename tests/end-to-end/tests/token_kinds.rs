//! No token of one kind is taken as another: every kind that there is, at every place that takes one.
#![cfg(test)]
#![allow(clippy::large_futures, reason = "a story is told in one go")]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis_harness::in_process::{Begun, Enrolled, PASSWORD, World, by_passkey, code, order, password};
use portcullis_harness::passkey::SoftPasskey;
use portcullis_harness::service::service_token;
use portcullis_identity::{
    ApiKeyName, ApiKeyRequest, ApprovalAsker, ApprovalId, ApprovalRequest, AuthorizationDetails,
    ClientContext, Email, Error, Login, MfaSignIn, ShownToken, StepUp, Verdict,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

const SEED: u64 = 20_261_130;
const ASHA: &str = "asha@example.com";
const ROOT: &str = "root@example.com";
const NEXT_PASSWORD: &str = "granite harbour sings at noon";

static ORIGIN: ClientContext =
    ClientContext { ip: None, user_agent: None, request_id: String::new(), device: None };

/// A kind of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Access,
    Refresh,
    ApiKey,
    Service,
    Code,
    Enrolment,
    Reset,
    Creation,
    FirstCreation,
    Assertion,
    ApprovalCeremony,
    Approval,
    Device,
}

const KINDS: [Kind; 13] = [
    Kind::Access,
    Kind::Refresh,
    Kind::ApiKey,
    Kind::Service,
    Kind::Code,
    Kind::Enrolment,
    Kind::Reset,
    Kind::Creation,
    Kind::FirstCreation,
    Kind::Assertion,
    Kind::ApprovalCeremony,
    Kind::Approval,
    Kind::Device,
];

/// A place that takes a token, and whether it took this one: an error about something else is no refusal of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Authenticate,
    Refresh,
    StepUpByRefreshToken,
    AuthenticateKey,
    AskWithToken,
    AskWithKey,
    AuthenticateService,
    FinishByCode,
    EnrolFirst,
    BeginFirstPasskey,
    ResetPassword,
    AddPasskey,
    AddFirstPasskey,
    SignInWithPasskey,
    DecideWithPasskey,
}

const PLACES: [Place; 15] = [
    Place::Authenticate,
    Place::Refresh,
    Place::StepUpByRefreshToken,
    Place::AuthenticateKey,
    Place::AskWithToken,
    Place::AskWithKey,
    Place::AuthenticateService,
    Place::FinishByCode,
    Place::EnrolFirst,
    Place::BeginFirstPasskey,
    Place::ResetPassword,
    Place::AddPasskey,
    Place::AddFirstPasskey,
    Place::SignInWithPasskey,
    Place::DecideWithPasskey,
];

impl Place {
    /// The one kind it takes.
    fn takes(self) -> Kind {
        match self {
            Self::Authenticate | Self::AskWithToken => Kind::Access,
            Self::Refresh | Self::StepUpByRefreshToken => Kind::Refresh,
            Self::AuthenticateKey | Self::AskWithKey => Kind::ApiKey,
            Self::AuthenticateService => Kind::Service,
            Self::FinishByCode => Kind::Code,
            Self::EnrolFirst | Self::BeginFirstPasskey => Kind::Enrolment,
            Self::ResetPassword => Kind::Reset,
            Self::AddPasskey => Kind::Creation,
            Self::AddFirstPasskey => Kind::FirstCreation,
            Self::SignInWithPasskey => Kind::Assertion,
            Self::DecideWithPasskey => Kind::ApprovalCeremony,
        }
    }
}

/// Somebody who holds one living token of each kind.
struct Holder {
    world: World,
    asha: Enrolled,
    passkey: SoftPasskey,
    details: AuthorizationDetails,
    /// The approval that is pending, and whether a ceremony was begun for it.
    approval: Mutex<ApprovalId>,
    /// The sign-in of somebody else that waits for a factor.
    waiting: Mutex<SecretString>,
}

impl Holder {
    async fn new() -> Self {
        let world = World::with_executors(SEED).await;
        let person = world.person(ASHA).await;
        let (passkey, _) = person.with_passkey().await;
        let details = order(person.link().await, "INFY", "10");
        let asha = person.enrol().await.seen_again().await;
        let approval = Mutex::new(asha.ask(&details, None).await.unwrap().approval.id);
        Self { world, asha, passkey, details, approval, waiting: Mutex::default() }
    }

    fn approval(&self) -> ApprovalId {
        *self.approval.lock().unwrap()
    }

    /// Asks for an approval, in a session that began just now: time passes here.
    async fn ask(&self) -> ApprovalId {
        let token = self.session().await.access_token;
        let wanted =
            ApprovalRequest { details: self.details.clone(), expires_in: None, idempotency_key: None };
        let asked = self.world.identity.ask_for_approval(ApprovalAsker::Person(&token), &wanted, &ORIGIN);
        asked.await.unwrap().approval.id
    }

    /// Asks for another approval in place of the one that is pending.
    async fn ask_again(&self) -> ApprovalId {
        drop(self.asha.decide(self.approval(), &Verdict::Deny).await);
        let id = self.ask().await;
        *self.approval.lock().unwrap() = id;
        id
    }

    async fn session(&self) -> portcullis_identity::SignedIn {
        self.world.sign_in_with(&self.passkey).await.unwrap()
    }

    /// Shows the password of somebody who has to set a factor up.
    async fn wait_for_factor(&self) -> SecretString {
        self.world.clock.advance(Duration::from_mins(1));
        let Login::EnrolmentRequired(challenge) = self.world.login(ROOT).await.unwrap() else {
            panic!("a factor is to be set up")
        };
        let token = challenge.token.secret().clone();
        self.waiting.lock().unwrap().clone_from(&token);
        token
    }

    /// A new token of this kind, and what an authenticator signs for it where it begins a ceremony.
    async fn token(&self, kind: Kind) -> (SecretString, Option<Begun>) {
        let identity = &self.world.identity;
        let plain = |secret: SecretString| (secret, None);
        match kind {
            Kind::Access => plain(self.session().await.access_token.into()),
            Kind::Refresh => plain(self.session().await.refresh.token.secret().clone()),
            Kind::Device => plain(self.session().await.device.expose_secret().into()),
            Kind::ApiKey => {
                let name = ApiKeyName::parse("nightly").unwrap();
                let wanted = ApiKeyRequest { name, scopes: None, expires_at: None, idempotency_key: None };
                plain(identity.create_api_key(&self.asha.caller, wanted, &ORIGIN).await.unwrap().text)
            }
            Kind::Service => plain(service_token("desk").into()),
            Kind::Code => plain(self.asha.challenge().await),
            Kind::Enrolment => plain(self.wait_for_factor().await),
            Kind::Reset => {
                // As long as it takes until another link is sent.
                self.world.clock.advance(Duration::from_mins(25));
                plain(self.world.reset_token(ASHA).await)
            }
            Kind::Creation => {
                let proof = StepUp::Code(code(&self.code()));
                let creation = identity.begin_passkey(&self.asha.caller, &proof, &ORIGIN).await.unwrap();
                let token = creation.token.secret().clone();
                let options = json!({"challenge": BASE64URL.encode(creation.challenge), "rpId": "localhost"});
                (token.clone(), Some(Begun { token, options }))
            }
            Kind::FirstCreation => {
                let begun = self.world.begin_first_passkey(&self.wait_for_factor().await).await.unwrap();
                (begun.token.clone(), Some(begun))
            }
            Kind::Assertion => {
                let begun = self.world.begin_passkey_sign_in();
                (begun.token.clone(), Some(begun))
            }
            Kind::ApprovalCeremony => {
                let begun = self.asha.begin_approval(self.ask_again().await).await.unwrap();
                (begun.token.clone(), Some(begun))
            }
            Kind::Approval => {
                let id = self.ask().await;
                let decided = self.asha.approve_by_passkey(id, &self.passkey).await.unwrap();
                plain(decided.token.unwrap().into())
            }
        }
    }

    /// A code that was not shown before.
    fn code(&self) -> String {
        self.world.clock.advance(Duration::from_secs(30));
        self.asha.code()
    }

    /// Whether a place takes this token: it succeeds, or is refused for something behind the token.
    async fn takes(&self, place: Place, token: &SecretString, begun: Option<&Begun>) -> bool {
        let identity = &self.world.identity;
        let text = token.expose_secret();
        let wanted =
            ApprovalRequest { details: self.details.clone(), expires_in: None, idempotency_key: None };
        // What is signed is signed for the challenge that belongs to the token, where there is one.
        let options = begun
            .map_or_else(|| json!({"challenge": "AAAA", "rpId": "localhost"}), |begun| begun.options.clone());
        let ceremony = Begun { token: token.clone(), options };
        match place {
            Place::Authenticate => identity.authenticate(text).await.is_ok(),
            Place::Refresh => identity.refresh(token, &ORIGIN).await.is_ok(),
            Place::StepUpByRefreshToken => {
                let proof = StepUp::Code(code(&self.code()));
                identity.step_up(ShownToken::Refresh(token), &proof, &ORIGIN).await.is_ok()
            }
            Place::AuthenticateKey => identity.authenticate_key(token).await.is_ok(),
            Place::AskWithToken => {
                identity.ask_for_approval(ApprovalAsker::Person(text), &wanted, &ORIGIN).await.is_ok()
            }
            Place::AskWithKey => {
                identity.ask_for_approval(ApprovalAsker::Key(token), &wanted, &ORIGIN).await.is_ok()
            }
            Place::AuthenticateService => identity.authenticate_service(token).await.is_ok(),
            Place::FinishByCode => {
                let sign_in = MfaSignIn { session_token: token.clone(), code: code(&self.code()) };
                identity.sign_in_with_code(&sign_in, &ORIGIN).await.is_ok()
            }
            Place::BeginFirstPasskey => identity.begin_first_passkey(token, &ORIGIN).await.is_ok(),
            Place::EnrolFirst => identity.set_up_first_mfa(token, &ORIGIN).await.is_ok(),
            Place::ResetPassword => {
                identity.reset_password(token, &password(NEXT_PASSWORD), &ORIGIN).await.is_ok()
            }
            Place::AddPasskey => {
                // Any other fault is told of the credential, and not of the token.
                let mut another = self.world.authenticator();
                let options = json!({"challenge": "AAAA", "rp": {"id": "localhost"}, "user": {"id": "AAAA"}});
                let made = another.create(&options);
                let refused = self.world.finish_passkey(&self.asha.caller, token, made).await.unwrap_err();
                format!("{refused:?}").contains("Credential")
            }
            Place::AddFirstPasskey => {
                if !text.starts_with("pkf_") {
                    self.wait_for_factor().await;
                }
                let waiting = self.waiting.lock().unwrap().clone();
                let mut another = self.world.authenticator();
                let options = json!({"challenge": "AAAA", "rp": {"id": "localhost"}, "user": {"id": "AAAA"}});
                let made = another.create(&options);
                let refused = self.world.finish_first_passkey(&waiting, token, made).await.unwrap_err();
                format!("{refused:?}").contains("Credential")
            }
            Place::SignInWithPasskey => {
                let shown = self.passkey.get(&ceremony.options);
                self.world.finish_passkey_sign_in(token, shown).await.is_ok()
            }
            Place::DecideWithPasskey => {
                let id = match begun {
                    Some(begun) if begun.token.expose_secret().starts_with("apr_") => self.approval(),
                    _ => self.ask_again().await,
                };
                let verdict = by_passkey(&ceremony, self.passkey.get(&ceremony.options));
                identity.decide_approval(&self.asha.caller, id, &verdict, &ORIGIN).await.is_ok()
            }
        }
    }
}

async fn make_root(world: &World) {
    use portcullis_identity::{AccountRequest, AccountStatus, FirstPassword, Operator, PersonName};
    let request = AccountRequest {
        email: Some(Email::parse(ROOT).unwrap()),
        name: PersonName::parse("Root").unwrap(),
        username: None,
        phone: None,
        password: FirstPassword::Chosen(password(PASSWORD)),
        roles: vec!["admin".to_owned()],
        status: AccountStatus::Active,
        email_verified: true,
    };
    let operator = Operator::CommandLine("tester".to_owned());
    world.identity.create_account(&operator, request, &ORIGIN).await.unwrap();
}

/// Every kind at every place that takes another one, first; then each at its own, so that no refusal was for another reason.
#[tokio::test]
async fn a_token_is_taken_as_what_it_is_and_as_nothing_else() {
    let holder = Holder::new().await;
    make_root(&holder.world).await;
    let mut confused = Vec::new();
    for kind in KINDS {
        for place in PLACES.into_iter().filter(|place| place.takes() != kind) {
            let (token, begun) = holder.token(kind).await;
            if holder.takes(place, &token, begun.as_ref()).await {
                confused.push((kind, place));
            }
        }
    }
    assert_eq!(confused, []);
    let mut accepted = BTreeSet::new();
    for place in PLACES {
        if place == Place::ResetPassword {
            continue;
        }
        let (token, begun) = holder.token(place.takes()).await;
        assert!(holder.takes(place, &token, begun.as_ref()).await, "{place:?}");
        accepted.insert(place.takes());
    }
    // It ends everything else, so it comes last.
    let (token, _) = holder.token(Kind::Reset).await;
    assert!(holder.takes(Place::ResetPassword, &token, None).await);
    accepted.insert(Kind::Reset);
    // Nothing here takes the token of an approval or of a device by itself.
    let not_taken: Vec<Kind> = KINDS.into_iter().filter(|kind| !accepted.contains(kind)).collect();
    assert_eq!(not_taken, [Kind::Approval, Kind::Device]);
    assert!(matches!(holder.world.identity.authenticate("").await, Err(Error::UnverifiedAccessToken(_))));
}
