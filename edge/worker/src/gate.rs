//! The decision on a request, and all that an isolate remembers for it.

use std::borrow::Cow;
use std::rc::Rc;

use portcullis_verifier::api_key;
use portcullis_verifier::jwks::{Jwk, JwksError};
use portcullis_verifier::policy::{ApprovalNeed, Asked};
use portcullis_verifier::revocation::{Ask, MalformedPage};
use portcullis_verifier::route::{Astray, Needed, Route};
use portcullis_verifier::{AwaitedToken, MAX_TOKEN_BYTES, UnverifiedToken};

use crate::api_keys::{ApiKeys, KeyStatus, MalformedLookup};
use crate::approval::{self, NotSpent, Redemption, RedemptionOutcome};
use crate::awaiting::{Awaiting, Ticket, Undecided};
use crate::caller::{AuthMethod, Caller};
use crate::cors::{self, Page};
use crate::feed::Feed;
use crate::forward::Forward;
use crate::keys::{KeyNumber, Keys, Selection};
use crate::problem::{self, Code};
use crate::query;
use crate::remembered::{Fingerprint, Remembered};
use crate::request_head::RequestHead;
use crate::settings::{Addresses, ServiceToken, Settings};
use crate::socket::Socket;
use crate::verdict::{Check, EdgeResponse, Verdict};
use crate::{LEEWAY, Millis, SettingsError};

/// In place of the interval of the feed where it is not followed.
const UNFOLLOWED_POLL: Millis = 5000;

/// The gate of one isolate.
#[derive(Debug)]
pub struct Gate {
    settings: Rc<Settings>,
    keys: Keys,
    remembered: Remembered,
    feed: Option<Feed>,
    api_keys: ApiKeys,
    awaiting: Awaiting,
    /// Names this isolate in the ids it makes: of requests that bring none, and of proofs.
    instance: String,
    ids: u64,
}

/// Has a signature verified: ticket, key, signature and signed bytes.
pub type Verify<'v> = dyn FnMut(Ticket, KeyNumber, &[u8], &[u8]) + 'v;

/// When a request is looked at, and when it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    asked_at: Millis,
    now: Millis,
}

/// Why there is no caller yet.
enum Stop {
    Refuse(Code),
    /// The sign-in of the caller is not what the route needs.
    Challenge(Needed),
    Check(Check),
    /// The signature of this token is being looked at.
    Signature(Fingerprint, AwaitedToken),
}

impl From<Code> for Stop {
    fn from(code: Code) -> Self {
        Self::Refuse(code)
    }
}

/// What a request brings to prove who sends it, and the query without it.
struct Credential<'a> {
    kind: Kind<'a>,
    query: Option<Cow<'a, str>>,
}

enum Kind<'a> {
    Nothing,
    Token(Cow<'a, str>),
    ApiKey(&'a str),
}

impl Gate {
    /// A gate that has seen nothing yet. `instance` is random text that names the isolate.
    pub fn new(variables: &str, instance: &str, now: Millis) -> Result<Self, SettingsError> {
        let mut settings = Settings::parse(variables)?;
        let feed = settings.revocation_poll.map(|poll| Feed::new(poll, settings.revocation_max_staleness));
        Ok(Self {
            keys: Keys::new(settings.bundle.take(), now),
            remembered: Remembered::new(),
            feed,
            api_keys: ApiKeys::new(),
            awaiting: Awaiting::new(),
            instance: instance.to_owned(),
            ids: 0,
            settings: Rc::new(settings),
        })
    }

    /// Decides on a request that arrived at `asked_at`, or returns what is needed first. `verify` has been called when the
    /// verdict is [`Check::Signature`].
    pub fn admit(
        &mut self,
        head: Rc<RequestHead>,
        asked_at: Millis,
        now: Millis,
        verify: &mut Verify<'_>,
    ) -> Verdict {
        self.consider(head, None, Moment { asked_at, now }, verify)
    }

    /// Resumes the request of this ticket, whose signature is valid or not. No time has passed: the clock of a worker stands
    /// still while it computes.
    pub fn resume(&mut self, ticket: Ticket, is_valid: bool, verify: &mut Verify<'_>) -> Verdict {
        let Some(undecided) = self.awaiting.take(ticket) else {
            return Verdict { check: Check::Again, keys_are_due: false, list_is_due: false };
        };
        if !self.learn(&undecided, is_valid) {
            let refusal = self.refusal(Code::InvalidToken, &undecided.head, &undecided.head.request_id);
            return self.verdict(Check::Respond(refusal), undecided.moment.now);
        }
        self.consider(undecided.head, Some(undecided.fingerprint), undecided.moment, verify)
    }

    /// Remembers a token if it is good.
    fn learn(&mut self, undecided: &Undecided, is_valid: bool) -> bool {
        let Undecided { token, fingerprint, moment, .. } = undecided;
        let claims = token.accept(is_valid, &self.settings.expectations, moment.now / 1000);
        claims.map(|claims| self.remembered.keep(*fingerprint, token.kid().to_owned(), claims)).is_ok()
    }

    /// `fingerprint` is that of the request's token, where it has been computed before.
    fn consider(
        &mut self,
        head: Rc<RequestHead>,
        fingerprint: Option<Fingerprint>,
        moment: Moment,
        verify: &mut Verify<'_>,
    ) -> Verdict {
        let check = match self.step(&head, fingerprint, moment, verify) {
            Ok(check) => check,
            Err((fingerprint, token)) => {
                Check::Signature(self.awaiting.put(Undecided { head, fingerprint, token, moment }))
            }
        };
        self.verdict(check, moment.now)
    }

    /// The next step, unless it is to wait for the signature of this token.
    fn step(
        &mut self,
        head: &RequestHead,
        fingerprint: Option<Fingerprint>,
        moment: Moment,
        verify: &mut Verify<'_>,
    ) -> Result<Check, (Fingerprint, AwaitedToken)> {
        let settings = Rc::clone(&self.settings);
        let request_id = self.id_of(&head.request_id);
        let page = Page::of(&head.origin, &settings.origins);
        // Not redirected: a client that sends credentials in the clear has to notice.
        if !head.url.is_encrypted_or_local() {
            return Ok(Check::Respond(problem::response(Code::HttpsRequired, &request_id, page)));
        }
        if head.is_preflight() {
            return Ok(Check::Respond(page.preflight(&request_id)));
        }
        match self.decide(&settings, head, fingerprint, moment, &request_id, verify) {
            Ok(forward) => Ok(Check::Forward(Box::new(forward))),
            Err(Stop::Check(check)) => Ok(check),
            Err(Stop::Refuse(code)) => Ok(Check::Respond(problem::response(code, &request_id, page))),
            Err(Stop::Challenge(needed)) => Ok(Check::Respond(problem::challenge(needed, &request_id, page))),
            Err(Stop::Signature(fingerprint, token)) => Err((fingerprint, token)),
        }
    }

    fn verdict(&self, check: Check, now: Millis) -> Verdict {
        Verdict {
            check,
            keys_are_due: self.keys.is_due(now),
            list_is_due: self.revocations_wanted(now).is_some(),
        }
    }

    fn decide(
        &mut self,
        settings: &Settings,
        head: &RequestHead,
        fingerprint: Option<Fingerprint>,
        moment: Moment,
        request_id: &str,
        verify: &mut Verify<'_>,
    ) -> Result<Forward, Stop> {
        if !cors::METHODS.split(',').any(|method| method == head.method) {
            return Err(Code::MethodNotAllowed.into());
        }
        let route = settings.routes.find(head.url.path()).map_err(|astray| match astray {
            Astray::Unknown => Code::NotFound,
            Astray::Ambiguous => Code::BadRequest,
        })?;
        let (caller, query, approval_need) = if route.is_public() {
            (None, head.url.query().map(Cow::Borrowed), ApprovalNeed::Never)
        } else {
            // CORS does not hold for them: a page of any origin may open one, and read what comes. Programs send no origin.
            let is_foreign =
                || !head.origin.is_empty() && !Page::of(&head.origin, &settings.origins).is_allowed();
            if head.is_websocket() && is_foreign() {
                return Err(Code::OriginNotAllowed.into());
            }
            let Credential { kind, query } = credential(head)?;
            let caller = match kind {
                Kind::Nothing => return Err(Code::AuthenticationRequired.into()),
                Kind::Token(token) => self.bearer(&token, fingerprint, moment, verify)?,
                Kind::ApiKey(text) => self.key_holder(text, moment)?,
            };
            self.authorise(settings, route, &caller, moment)?;
            let approval_need = approval_need(settings, route, &caller, moment);
            // Nobody would see the orders that go through it.
            if head.is_websocket() && approval_need != ApprovalNeed::Never {
                return Err(Code::ApprovalRequired.into());
            }
            (Some(caller), query, approval_need)
        };
        let mut forward =
            Forward::new(settings, route, head, query.as_deref(), caller, request_id.to_owned())
                .ok_or(Stop::Refuse(Code::Unavailable))?;
        forward.followed_at = self.feed.as_ref().and_then(Feed::followed_at);
        forward.approval_need = approval_need;
        Ok(forward)
    }

    /// Who a token speaks for.
    fn bearer(
        &mut self,
        token: &str,
        fingerprint: Option<Fingerprint>,
        Moment { asked_at, now }: Moment,
        verify: &mut Verify<'_>,
    ) -> Result<Rc<Caller>, Stop> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Code::InvalidToken.into());
        }
        let fingerprint = fingerprint.unwrap_or_else(|| Fingerprint::of(token));
        if let Some(known) = self.remembered.find(fingerprint, LEEWAY, now / 1000) {
            if self.keys.trusts(&known.kid, now) {
                return Ok(Rc::clone(&known.caller));
            }
            self.remembered.forget(fingerprint);
        }
        let token = UnverifiedToken::parse(token).map_err(|_| Code::InvalidToken)?;
        match self.keys.select(token.kid(), token.algorithm(), asked_at, now) {
            Selection::Key(key) => {
                verify(self.awaiting.next_ticket(), key, token.signature(), token.signing_input());
                Err(Stop::Signature(fingerprint, token.await_signature()))
            }
            Selection::Fetch(wait) => Err(Stop::Check(Check::Keys(wait))),
            Selection::Absent => Err(Code::InvalidToken.into()),
            Selection::Unavailable => Err(Code::Unavailable.into()),
        }
    }

    /// Verifies the token of a request and decides nothing else. Returns whether it is good, or `None` if that depends on
    /// the signature that `verify` was called with; [`Self::token_verified`] goes on from there.
    #[cfg(feature = "measure")]
    pub fn verify_token(
        &mut self,
        head: Rc<RequestHead>,
        now: Millis,
        verify: &mut Verify<'_>,
    ) -> Option<bool> {
        let moment = Moment { asked_at: now, now };
        let token = head.authorization.strip_prefix("Bearer ").unwrap_or_default();
        match self.bearer(token, None, moment, verify) {
            Ok(_) => Some(true),
            Err(Stop::Signature(fingerprint, token)) => {
                self.awaiting.put(Undecided { head, fingerprint, token, moment });
                None
            }
            Err(_) => Some(false),
        }
    }

    /// Whether the token of this ticket is good.
    #[cfg(feature = "measure")]
    pub fn token_verified(&mut self, ticket: Ticket, is_valid: bool) -> bool {
        self.awaiting.take(ticket).is_some_and(|undecided| self.learn(&undecided, is_valid))
    }

    /// Who holds an API key.
    fn key_holder(&mut self, text: &str, Moment { asked_at, now }: Moment) -> Result<Rc<Caller>, Stop> {
        if !api_key::is_candidate(text) {
            return Err(Code::InvalidApiKey.into());
        }
        let key = Fingerprint::of(text);
        let holder = match self.api_keys.find(key, now) {
            KeyStatus::Good(caller) => Rc::clone(caller),
            KeyStatus::Bad => return Err(Code::InvalidApiKey.into()),
            KeyStatus::Unknown => return Err(Stop::Check(Check::ApiKey)),
        };
        // Something was revoked for this user after the last look at the key: look again. What was learnt for this very
        // request is newer than the list.
        let is_news = holder.proven_at >= asked_at / 1000;
        if !is_news && self.feed.as_ref().is_some_and(|feed| feed.concerns(&holder)) {
            self.api_keys.forget(key);
            return Err(Stop::Check(Check::ApiKey));
        }
        Ok(holder)
    }

    /// Whether a proven caller may use the route now.
    fn authorise(
        &self,
        settings: &Settings,
        route: &Route,
        caller: &Caller,
        Moment { asked_at, now }: Moment,
    ) -> Result<(), Stop> {
        if let Some(feed) = &self.feed {
            if feed.must_wait(caller, asked_at, now) {
                return Err(Stop::Check(Check::Revocations));
            }
            if caller.method == AuthMethod::Token && feed.covers(caller) {
                return Err(Code::SessionRevoked.into());
            }
            if route.is_critical() && (feed.is_stale(now) || feed.lacks(caller)) {
                return Err(Code::Unavailable.into());
            }
        }
        let permission = route.permission();
        let by_roles = settings.policy.allows_service(&caller.roles, route.service())
            && permission.is_none_or(|permission| settings.policy.allows(&caller.roles, permission));
        if !(by_roles && caller.reaches(route.service(), permission)) {
            return Err(Code::Forbidden.into());
        }
        // Not told to whom the route is closed anyway.
        if route.is_trading() && self.feed.as_ref().is_none_or(|feed| feed.freezes(caller)) {
            return Err(Code::TradingFrozen.into());
        }
        // Last: whom no proof would help is not asked for one.
        let needed = route.needed();
        if caller.meets(needed, now / 1000) { Ok(()) } else { Err(Stop::Challenge(needed)) }
    }

    /// Returns how the approval of a request is spent whose body is this; `None` if its order needs none. Fails with the response
    /// to a request that has to bring one and does not.
    pub fn redemption(
        &mut self,
        forward: &Forward,
        head: &RequestHead,
        body: &[u8],
    ) -> Result<Option<Redemption>, EdgeResponse> {
        approval::redemption(&self.settings.addresses, forward, head, body)
            .map_err(|code| self.refusal(code, head, &forward.request_id))
    }

    /// Takes what the identity service said when the approval of a request was to be spent. Fails with the response to a request
    /// whose approval was not.
    pub fn redeemed(
        &self,
        forward: &mut Forward,
        head: &RequestHead,
        outcome: RedemptionOutcome,
    ) -> Result<(), EdgeResponse> {
        let page = Page::of(&head.origin, &self.settings.origins);
        match outcome.approved(forward, head) {
            Ok(approved) => {
                forward.approved = Some(approved);
                Ok(())
            }
            Err(NotSpent::Refused(status, problem)) => {
                Err(problem::passed_on(status, problem, &forward.request_id, page))
            }
            Err(NotSpent::Unknown) => Err(problem::response(Code::Unavailable, &forward.request_id, page)),
        }
    }

    /// Returns the response for a reason outside the gate: a limit, an upstream, a fault.
    pub fn refusal(&mut self, code: Code, head: &RequestHead, request_id: &str) -> EdgeResponse {
        let request_id = self.id_of(request_id);
        problem::response(code, &request_id, Page::of(&head.origin, &self.settings.origins))
    }

    /// Returns a proof that the request came through the edge, as the value of its header, for one attempt to send it on: a
    /// second one needs another, or who saw the first would take it for a replay. `None` if it cannot be made.
    pub fn prove(&mut self, forward: &Forward, now: Millis) -> Option<String> {
        let nonce = self.new_id();
        forward.prove(&nonce, now / 1000)
    }

    /// Returns the WebSocket that a request becomes which may pass, to be decided on every now and then; `None` if it is
    /// none, or if nothing ends it but its two sides.
    pub fn open_socket(&self, forward: &Forward, head: &Rc<RequestHead>, now: Millis) -> Option<Socket> {
        // With the age that a page may have when it is asked for again, a revocation is known after `REVOCATION_POLL`.
        let interval = self.settings.revocation_poll.unwrap_or(UNFOLLOWED_POLL) * 2 / 5;
        Socket::open(forward, Rc::clone(head), (interval, self.settings.revocation_max_staleness), now)
    }

    /// Returns the addresses of the identity service.
    pub fn addresses(&self) -> &Addresses {
        &self.settings.addresses
    }

    /// Returns what the identity service recognises the edge by.
    pub fn service_token(&self) -> &ServiceToken {
        &self.settings.service_token
    }

    /// Returns the keys that signatures are verified with.
    pub fn keys(&self) -> impl Iterator<Item = (KeyNumber, &Jwk)> {
        self.keys.numbered()
    }

    /// A fetch of the keys begins.
    pub fn keys_fetching(&mut self, now: Millis) {
        self.keys.fetching(now);
    }

    /// The fetch of the keys brought this.
    pub fn keys_arrived(&mut self, json: &[u8], max_age: Option<u64>, now: Millis) -> Result<(), JwksError> {
        let arrived = self.keys.arrived(json, max_age, now);
        self.withdraw_keys();
        arrived
    }

    /// Takes keys out of service that the feed says were withdrawn.
    fn withdraw_keys(&mut self) {
        if let Some(feed) = &self.feed {
            self.keys.withdraw(|kid| feed.withdraws(kid));
        }
    }

    /// The fetch of the keys brought nothing.
    pub fn keys_failed(&mut self) {
        self.keys.failed();
    }

    /// Returns which page of revocations to ask for now.
    pub fn revocations_wanted(&self, now: Millis) -> Option<Ask> {
        self.feed.as_ref()?.wanted(now)
    }

    /// Returns whether a page does that another isolate was given at `obtained_at`.
    pub fn revocations_take(&self, ask: &Ask, obtained_at: Millis, now: Millis) -> bool {
        self.feed.as_ref().is_some_and(|feed| feed.takes(ask, obtained_at, now))
    }

    /// A page of revocations came that was asked for at `asked_at`. Returns whether nothing can be added to it any more; fails
    /// if it is no page.
    pub fn revocations_arrived(
        &mut self,
        ask: &Ask,
        bytes: Vec<u8>,
        asked_at: Millis,
    ) -> Result<bool, MalformedPage> {
        let arrived = self.feed.as_mut().map_or(Ok(false), |feed| feed.arrived(ask, bytes, asked_at));
        self.withdraw_keys();
        arrived
    }

    /// A page of revocations could not be had.
    pub fn revocations_failed(&mut self, ask: &Ask, now: Millis) {
        if let Some(feed) = &mut self.feed {
            feed.failed(ask, now);
        }
    }

    /// The identity service said this about an API key when it was asked at `asked_at`. `time` reads a time (RFC 3339).
    pub fn api_key_looked_up(
        &mut self,
        key: &str,
        json: &[u8],
        time: &dyn Fn(&str) -> Millis,
        asked_at: Millis,
    ) -> Result<(), MalformedLookup> {
        self.api_keys.looked_up(Fingerprint::of(key), json, time, asked_at)
    }

    /// The id a request came with, if it is one; otherwise one of ours.
    fn id_of(&mut self, given: &str) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if (1..=128).contains(&given.len()) && given.bytes().all(plain) {
            return given.to_owned();
        }
        self.new_id()
    }

    /// Returns a text that was not returned before, by this isolate or any other.
    fn new_id(&mut self) -> String {
        self.ids += 1;
        format!("{}-{:x}", self.instance, self.ids)
    }
}

/// Which orders of a caller a person has to approve on a route, now.
fn approval_need(settings: &Settings, route: &Route, caller: &Caller, moment: Moment) -> ApprovalNeed {
    let asked = Asked {
        service: route.service(),
        permission: route.permission(),
        by_key: caller.method != AuthMethod::Token,
        now: moment.now / 1000,
    };
    settings.policy.approval_need(&caller.roles, &asked)
}

/// Finds the one credential of a request. Two of them could speak for two callers.
fn credential(head: &RequestHead) -> Result<Credential<'_>, Code> {
    let bearer = head
        .authorization
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| Cow::Borrowed(token.trim_matches(' ')));
    let api_key = Some(head.api_key.as_str()).filter(|key| !key.is_empty());
    let mut query = head.url.query().map(Cow::Borrowed);
    let mut in_query = None;
    if let Some(text) = head.url.query().filter(|_| head.is_websocket())
        && let Some(found) = query::take_token(text).map_err(|_| Code::BadRequest)?
    {
        query = Some(Cow::Owned(found.rest));
        in_query = Some(Cow::Owned(found.token));
    }
    let kind = match (bearer, in_query, api_key) {
        (None, None, None) => Kind::Nothing,
        (Some(token), None, None) | (None, Some(token), None) => Kind::Token(token),
        (None, None, Some(key)) => Kind::ApiKey(key),
        _ => return Err(Code::BadRequest),
    };
    Ok(Credential { kind, query })
}
