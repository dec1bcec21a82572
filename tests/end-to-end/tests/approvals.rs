//! Approvals from inside: one order, one person, one time.
#![cfg(test)]
#![allow(clippy::large_futures, reason = "a story is told in one go")]

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use futures_util::future::join_all;
use portcullis_harness::in_process::{Enrolled, PASSWORD, Person, World, by_passkey, code, order, password};
use portcullis_harness::passkey::SoftPasskey;
use portcullis_harness::service::service_token;
use portcullis_identity::{
    ApiKeyName, ApiKeyRequest, ApprovalAsker, ApprovalId, ApprovalMethod, ApprovalRequest, ApprovalState,
    ApprovalStatus, AuthorizationDetails, ClientContext, Decided, Error, Operator, PresentedProof, Principal,
    Redeemed, RedemptionRequest, StepUp, TradingAccountId, Verdict,
};
use portcullis_platform::SystemEntropy;
use portcullis_store::{Approval, Id};
use portcullis_vault::{AccountChange, FreezeReason, OperatorFreeze};
use serde_json::Value;

const SEED: u64 = 20_261_130;
const ASHA: &str = "asha@example.com";
const RAVI: &str = "ravi@example.com";
static ORIGIN: ClientContext =
    ClientContext { ip: None, user_agent: None, request_id: String::new(), device: None };

/// Somebody with an app, a passkey and a trading account, and services that redeem.
struct Scene {
    world: World,
    asha: Enrolled,
    passkey: SoftPasskey,
    account: TradingAccountId,
    details: AuthorizationDetails,
}

impl Scene {
    async fn new() -> Self {
        let world = World::with_executors(SEED).await;
        let person = world.person(ASHA).await;
        let (passkey, _) = person.with_passkey().await;
        let account = person.link().await;
        let asha = person.enrol().await.seen_again().await;
        let details = order(account, "INFY", "10");
        Self { world, asha, passkey, account, details }
    }

    async fn ask(&self) -> ApprovalId {
        // Ids of one millisecond have no order.
        self.world.clock.advance(Duration::from_millis(1));
        self.asha.ask(&self.details, None).await.unwrap().approval.id
    }

    async fn approved(&self) -> ApprovalId {
        let id = self.ask().await;
        self.asha.approve_by_passkey(id, &self.passkey).await.unwrap();
        id
    }

    async fn redeem(&self, id: ApprovalId) -> Result<Redeemed, Error> {
        self.world.redeem("executor", id, &self.details, None).await
    }

    async fn state(&self, id: ApprovalId) -> ApprovalState {
        let caller = Principal::Person(Box::new(self.asha.caller.clone()));
        self.world.identity.own_approval(&caller, id).await.unwrap().state
    }

    async fn row(&self, id: ApprovalId) -> Approval {
        self.world.truth.approval_by_id(id).await.unwrap().unwrap()
    }
}

/// What the token of a decision says, without its signature.
fn said(decided: &Decided) -> Value {
    let token = decided.token.as_ref().unwrap();
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn a_person_approves_an_order_with_a_passkey_and_a_service_spends_it_once() {
    let scene = Scene::new().await;
    scene.world.notifications.take();
    let asked = scene.asha.ask(&scene.details, None).await.unwrap();
    let id = asked.approval.id;
    let mails = scene.world.notifications.take();
    let [told] = mails.as_slice() else { panic!("{mails:?}") };
    assert_eq!((told.to.as_str(), told.subject.as_str()), (ASHA, "An order waits for your approval"));
    assert!(!format!("{told:?}").contains("INFY"), "nothing that was sent is in a mail");
    assert_eq!(
        asked.approval.display,
        "Buy 10 INFY on NSE for 1500.50 each at most (limit order). Product CNC. Until the end of the day. \
         Account AB1234 at kite."
    );
    assert!(matches!(scene.redeem(id).await, Err(Error::ApprovalPending)));

    let challenge = scene.world.identity.challenge_approval(&scene.asha.caller, id).await.unwrap();
    assert_eq!(challenge.methods, [ApprovalMethod::Passkey, ApprovalMethod::Code]);
    let decided = scene.asha.approve_by_passkey(id, &scene.passkey).await.unwrap();
    assert_eq!((decided.status, scene.state(id).await), (ApprovalStatus::Approved, ApprovalState::Approved));
    let said = said(&decided);
    let now = scene.world.unix_now();
    assert_eq!((said["iat"].as_u64(), said["exp"].as_u64()), (Some(now), Some(now + 120)));
    assert_eq!((&said["jti"], &said["acr"]), (&id.to_string().into(), &"phr".into()));
    assert_eq!(
        (&said["aud"], &said["sub"]),
        (&"trading_platform/execution".into(), &scene.asha.account.id.to_string().into())
    );
    assert_eq!(said["authorization_details"][0]["price"], "1500.50");
    assert_eq!(said["details_digest"], asked.details_digest());

    let redeemed = scene.redeem(id).await.unwrap();
    assert_eq!((redeemed.owner, redeemed.acr.as_str()), (scene.asha.account.id, "phr"));
    assert_eq!(redeemed.order_tag, asked.order_tag());
    assert_eq!(scene.state(id).await, ApprovalState::Redeemed);
    assert!(matches!(scene.redeem(id).await, Err(Error::AlreadyRedeemed)));
    let trail = scene.world.trail(&scene.asha.account).await;
    let about: Vec<_> = trail.iter().filter(|kind| kind.starts_with("approval_")).collect();
    assert_eq!(about, ["approval_requested", "approval_granted", "approval_redeemed"]);
    let whole = scene.world.identity.own_trail_integrity(&scene.asha.caller).await.unwrap();
    assert!(!whole.is_damaged);
}

#[tokio::test]
async fn a_code_approves_too_and_is_spent_everywhere_by_it() {
    let scene = Scene::new().await;
    let (id, shown) = (scene.ask().await, scene.asha.code());
    let decided = scene.asha.approve_by_code(id, &shown).await.unwrap();
    assert_eq!(said(&decided)["acr"], "aal2");
    assert!(matches!(scene.asha.sign_in(&shown).await, Err(Error::InvalidCode)));
    let another = scene.ask().await;
    assert!(matches!(scene.asha.approve_by_code(another, &shown).await, Err(Error::WrongCode)));
    let wrong = scene.asha.approve_by_code(another, &scene.asha.wrong_code()).await;
    assert!(matches!(wrong, Err(Error::WrongCode)), "{wrong:?}");
    assert_eq!(scene.state(another).await, ApprovalState::Pending);
    scene.redeem(id).await.unwrap();
}

#[tokio::test]
async fn wrong_codes_here_and_at_sign_ins_are_one_budget() {
    let scene = Scene::new().await;
    let id = scene.ask().await;
    for _ in 0..3 {
        let refused = scene.asha.approve_by_code(id, &scene.asha.wrong_code()).await;
        assert!(matches!(refused, Err(Error::WrongCode)), "{refused:?}");
    }
    for _ in 0..2 {
        assert!(matches!(scene.asha.sign_in(&scene.asha.wrong_code()).await, Err(Error::InvalidCode)));
    }
    let throttled = scene.asha.approve_by_code(id, &scene.asha.code()).await;
    assert!(matches!(throttled, Err(Error::TooManyAttempts { .. })), "a right one, too: {throttled:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixty_four_redemptions_at_once_one_wins() {
    let scene = Scene::new().await;
    for round in 0..3 {
        let id = scene.approved().await;
        let racing = (0..64).map(|number| {
            let (world, details) = (scene.world.clone(), scene.details.clone());
            let service = if number % 2 == 0 { "executor" } else { "other" };
            // Half of them say that they may be sent again; each is another request all the same.
            let key = (number % 4 < 2).then(|| format!("{number}"));
            tokio::spawn(async move { world.redeem(service, id, &details, key.as_deref()).await })
        });
        let outcomes: Vec<_> = join_all(racing).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "round {round}");
        let spent = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::AlreadyRedeemed)));
        assert_eq!(spent.count(), 63, "round {round}: {outcomes:?}");
        let trail = scene.world.trail(&scene.asha.account).await;
        assert_eq!(trail.iter().filter(|kind| *kind == "approval_redeemed").count(), round + 1);
    }
}

#[tokio::test]
async fn for_any_other_order_nothing_is_spent() {
    let scene = Scene::new().await;
    let other_account = scene.asha.link().await;
    let id = scene.approved().await;
    for other in [
        order(scene.account, "INFY", "10.0"),
        order(scene.account, "INFY", "11"),
        order(scene.account, "INFO", "10"),
        order(other_account, "INFY", "10"),
    ] {
        let refused = scene.world.redeem("executor", id, &other, None).await;
        assert!(matches!(refused, Err(Error::DetailsMismatch)), "{refused:?}");
    }
    assert_eq!(scene.state(id).await, ApprovalState::Approved);
    scene.redeem(id).await.unwrap();
    let trail = scene.world.trail(&scene.asha.account).await;
    assert_eq!(trail.iter().filter(|kind| *kind == "approval_refused").count(), 4);
}

#[tokio::test]
async fn an_approval_of_somebody_else_is_none_and_stays_unspent() {
    let scene = Scene::new().await;
    let ravi = scene.world.person(RAVI).await;
    let id = scene.approved().await;
    let shown =
        |owner, idempotency_key| RedemptionRequest { details: &scene.details, owner, idempotency_key };
    let redeem = async |shown| scene.world.redeem_as("executor", id, shown).await;
    let (asha, ravi) = (Some(scene.asha.account.id), Some(ravi.account.id));
    for key in [None, Some("order 7")] {
        let refused = redeem(shown(ravi, key)).await;
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    }
    assert_eq!(scene.state(id).await, ApprovalState::Approved);
    let first = redeem(shown(asha, Some("order 7"))).await.unwrap();
    assert_eq!(redeem(shown(asha, Some("order 7"))).await.unwrap(), first);
    let refused = redeem(shown(ravi, Some("order 7"))).await;
    assert!(matches!(refused, Err(Error::NotFound)), "nor once it is spent: {refused:?}");
    let trail = scene.world.trail(&scene.asha.account).await;
    assert_eq!(trail.iter().filter(|kind| *kind == "approval_refused").count(), 3, "its owner is told");
}

/// Whatever ends approvals, done and undone: what was asked for and what was approved before is good for nothing after it.
#[tokio::test]
async fn a_freeze_kills_what_is_pending_and_what_is_approved_and_lifting_it_revives_neither() {
    let scene = Scene::new().await;
    let (pending, approved) = (scene.ask().await, scene.approved().await);
    let caller = &scene.asha.caller;
    scene.world.vault.freeze(caller, false, &ORIGIN).await.unwrap();
    let frozen = scene.asha.ask(&scene.details, None).await;
    assert!(matches!(frozen, Err(Error::Frozen)), "{frozen:?}");
    scene.are_over(pending, approved).await;
    let proof = StepUp::Code(code(&scene.asha.code()));
    scene.world.vault.unfreeze(caller, &proof, &ORIGIN).await.unwrap();
    scene.are_over(pending, approved).await;
    let again = scene.approved().await;
    scene.redeem(again).await.unwrap();
}

#[tokio::test]
async fn a_freeze_of_everybody_kills_approvals_too_and_lifting_it_revives_none() {
    let scene = Scene::new().await;
    let (pending, approved) = (scene.ask().await, scene.approved().await);
    let spent = scene.approved().await;
    let redeem = async |id| scene.world.redeem("executor", id, &scene.details, Some("order 7")).await;
    redeem(spent).await.unwrap();
    let (vault, operator) = (&scene.world.vault, Operator::CommandLine("tester".to_owned()));
    let reason = FreezeReason::parse("a fault at the exchange").unwrap();
    let wanted = OperatorFreeze { reason, lasts: Some(Duration::from_mins(2)), cancel_orders: false };
    vault.freeze_everybody(&operator, wanted, &ORIGIN).await.unwrap();
    let asked = scene.asha.ask(&scene.details, None).await;
    assert!(matches!(asked, Err(Error::Frozen)), "{asked:?}");
    scene.world.clock.advance(Duration::from_secs(30));
    let decided = scene.asha.approve_by_code(pending, &scene.asha.code()).await;
    assert!(matches!(decided, Err(Error::Frozen)), "{decided:?}");
    for id in [approved, spent] {
        let redeemed = redeem(id).await;
        assert!(matches!(redeemed, Err(Error::ApprovalOver)), "no order behind a freeze: {redeemed:?}");
    }
    vault.unfreeze_everybody(&operator, &ORIGIN).await.unwrap();
    scene.are_over(pending, approved).await;
    let redeemed = redeem(spent).await;
    assert!(matches!(redeemed, Err(Error::ApprovalOver)), "{redeemed:?}");
    let again = scene.approved().await;
    scene.redeem(again).await.unwrap();
}

impl Scene {
    /// Neither can be approved or spent, and both are told to be over.
    async fn are_over(&self, pending: ApprovalId, approved: ApprovalId) {
        // A code that was not shown before.
        self.world.clock.advance(Duration::from_secs(30));
        let refused = self.asha.approve_by_code(pending, &self.asha.code()).await;
        assert!(matches!(refused, Err(Error::ApprovalOver)), "{refused:?}");
        let refused = self.redeem(approved).await;
        assert!(matches!(refused, Err(Error::ApprovalOver)), "{refused:?}");
        assert_eq!(self.state(pending).await, ApprovalState::Ended);
        assert_eq!(self.state(approved).await, ApprovalState::Ended);
    }
}

#[tokio::test]
async fn ending_all_other_sessions_kills_approvals_and_so_does_switching_the_account_off() {
    let scene = Scene::new().await;
    let (pending, approved) = (scene.ask().await, scene.approved().await);
    scene.world.identity.revoke_other_sessions(&scene.asha.caller, &ORIGIN).await.unwrap();
    let scene = Scene { asha: scene.asha.seen_again().await, ..scene };
    scene.are_over(pending, approved).await;

    let approved = scene.approved().await;
    scene.world.disable(&scene.asha.caller.account).await;
    assert!(matches!(scene.redeem(approved).await, Err(Error::ApprovalOver)));
    let pending = scene.asha.ask(&scene.details, None).await;
    assert!(matches!(pending, Err(Error::InvalidAccessToken)), "{pending:?}");
}

#[tokio::test]
async fn unlinking_or_switching_a_trading_account_off_kills_its_approvals() {
    let scene = Scene::new().await;
    let (caller, vault) = (&scene.asha.caller, &scene.world.vault);
    let (pending, approved) = (scene.ask().await, scene.approved().await);
    let off = AccountChange { enabled: Some(false), ..AccountChange::default() };
    vault.change(caller, scene.account, &off, &ORIGIN).await.unwrap();
    let refused = scene.asha.ask(&scene.details, None).await;
    assert!(matches!(refused, Err(Error::TradingAccountDisabled)), "{refused:?}");
    for _ in 0..2 {
        let refused = scene.asha.approve_by_passkey(pending, &scene.passkey).await;
        assert!(matches!(refused, Err(Error::ApprovalOver)), "{refused:?}");
        assert!(matches!(scene.redeem(approved).await, Err(Error::ApprovalOver)));
        drop(vault.unlink(caller, scene.account, &ORIGIN).await);
    }
    let refused = scene.asha.ask(&scene.details, None).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}

#[tokio::test]
async fn erasing_an_account_leaves_nothing_of_its_approvals() {
    let scene = Scene::new().await;
    let (pending, approved) = (scene.ask().await, scene.approved().await);
    let (caller, typed) = (&scene.asha.caller, password(PASSWORD).into());
    scene.world.identity.erase_account(caller, &typed, &ORIGIN).await.unwrap();
    for id in [pending, approved] {
        assert!(matches!(scene.redeem(id).await, Err(Error::NotFound)));
        assert!(scene.world.rows(&format!("APPROVAL#{id}"), "APPROVAL").await.is_empty());
    }
    let owner = scene.asha.account.id;
    assert!(scene.world.rows(&format!("APPROVALS#{owner}"), "").await.is_empty());
    assert!(scene.world.rows(&format!("VAULT#{owner}"), "").await.is_empty());
}

/// What ends an approval between the look at it and the write that spends it.
#[tokio::test]
async fn a_freeze_that_comes_between_the_look_and_the_write_wins() {
    let scene = Scene::new().await;
    let (pending, approved) = (scene.ask().await, scene.approved().await);
    let held = scene
        .world
        .faults
        .hold(|request| request.contains("TransactWriteItems") && request.contains("redemption"));
    let (world, details) = (scene.world.clone(), scene.details.clone());
    let racing = tokio::spawn(async move { world.redeem("executor", approved, &details, None).await });
    held.reached().await;
    scene.world.vault.freeze(&scene.asha.caller, false, &ORIGIN).await.unwrap();
    held.release();
    let refused = racing.await.unwrap();
    assert!(matches!(refused, Err(Error::ApprovalOver)), "{refused:?}");
    scene.are_over(pending, approved).await;
}

#[tokio::test]
async fn an_approval_is_good_for_two_minutes_and_waits_for_a_quarter_of_an_hour_at_most() {
    let scene = Scene::new().await;
    let (pending, approved) = (scene.ask().await, scene.approved().await);
    scene.world.clock.advance(Duration::from_secs(119));
    let last = scene.approved().await;
    scene.world.clock.advance(Duration::from_secs(1));
    assert!(matches!(scene.redeem(approved).await, Err(Error::ApprovalOver)));
    scene.redeem(last).await.unwrap();
    scene.world.clock.advance(Duration::from_mins(3));
    assert_eq!(scene.state(pending).await, ApprovalState::Expired);
    assert_eq!(scene.state(approved).await, ApprovalState::Expired);
    let late = scene.asha.approve_by_code(pending, &scene.asha.code()).await;
    assert!(matches!(late, Err(Error::ApprovalOver)), "{late:?}");
    let late = scene.world.identity.challenge_approval(&scene.asha.caller, pending).await;
    assert!(matches!(late, Err(Error::ApprovalOver)), "{late:?}");
}

#[tokio::test]
async fn the_same_decision_again_gets_the_same_answer_while_the_approval_lives_and_any_other_comes_too_late()
{
    let scene = Scene::new().await;
    let id = scene.ask().await;
    let begun = scene.asha.begin_approval(id).await.unwrap();
    let credential = scene.passkey.get(&begun.options);
    let first = scene.asha.finish_approval(id, &begun, credential.clone()).await.unwrap();
    scene.world.clock.advance(Duration::from_mins(1));
    let again = scene.asha.finish_approval(id, &begun, credential.clone()).await.unwrap();
    assert_eq!(said(&again), said(&first));
    let other = scene.asha.begin_approval(id).await;
    assert!(matches!(other, Err(Error::ApprovalDecided)), "{other:?}");
    let other = scene.asha.approve_by_code(id, &scene.asha.code()).await;
    assert!(matches!(other, Err(Error::ApprovalDecided)), "{other:?}");
    let other = scene.asha.decide(id, &Verdict::Deny).await;
    assert!(matches!(other, Err(Error::ApprovalDecided)), "{other:?}");
    scene.asha.sign_in(&scene.asha.code()).await.expect("no code was spent");
    scene.redeem(id).await.unwrap();
    let again = scene.asha.finish_approval(id, &begun, credential.clone()).await.unwrap();
    assert_eq!(said(&again), said(&first), "spent meanwhile");
    scene.world.clock.advance(Duration::from_mins(1));
    let late = scene.asha.finish_approval(id, &begun, credential).await;
    assert!(matches!(late, Err(Error::ApprovalOver)), "{late:?}");

    let id = scene.ask().await;
    for _ in 0..2 {
        let denied = scene.asha.decide(id, &Verdict::Deny).await.unwrap();
        assert_eq!((denied.status, denied.token), (ApprovalStatus::Denied, None));
    }
    let late = scene.asha.approve_by_passkey(id, &scene.passkey).await;
    assert!(matches!(late, Err(Error::ApprovalDecided)), "{late:?}");
    assert!(matches!(scene.redeem(id).await, Err(Error::ApprovalOver)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_decision_sent_sixty_four_times_at_once_decides_once_and_is_answered_alike() {
    let scene = Scene::new().await;
    for is_code in [false, true] {
        let id = scene.ask().await;
        let (begun, shown) = (scene.asha.begin_approval(id).await.unwrap(), scene.asha.code());
        let credential = scene.passkey.get(&begun.options);
        let racing = (0..64).map(|_| {
            let verdict = if is_code {
                Verdict::Approve(PresentedProof::Code(code(&shown)))
            } else {
                by_passkey(&begun, credential.clone())
            };
            let (world, caller) = (scene.world.clone(), scene.asha.caller.clone());
            tokio::spawn(async move { world.identity.decide_approval(&caller, id, &verdict, &ORIGIN).await })
        });
        let decided: Vec<_> =
            join_all(racing).await.into_iter().map(|racer| racer.unwrap().unwrap()).collect();
        let first = said(&decided[0]);
        assert!(decided.iter().all(|decided| said(decided) == first));
        scene.redeem(id).await.unwrap();
    }
    let trail = scene.world.trail(&scene.asha.account).await;
    assert_eq!(trail.iter().filter(|kind| *kind == "approval_granted").count(), 2);
    assert_eq!(trail.iter().filter(|kind| *kind == "mfa_failed").count(), 0);
}

#[tokio::test]
async fn the_same_redemption_again_gets_the_first_answer_while_the_approval_lives() {
    let scene = Scene::new().await;
    let id = scene.approved().await;
    let redeem =
        async |service: &str, key: Option<&str>| scene.world.redeem(service, id, &scene.details, key).await;
    let first = redeem("executor", Some("order 7")).await.unwrap();
    scene.world.clock.advance(Duration::from_secs(30));
    assert_eq!(redeem("executor", Some("order 7")).await.unwrap(), first);
    for (service, key) in [("executor", Some("order 8")), ("executor", None), ("other", Some("order 7"))] {
        let refused = redeem(service, key).await;
        assert!(matches!(refused, Err(Error::AlreadyRedeemed)), "{service} {key:?}: {refused:?}");
    }
    let other = order(scene.account, "INFY", "11");
    let refused = scene.world.redeem("executor", id, &other, Some("order 7")).await;
    assert!(matches!(refused, Err(Error::DetailsMismatch)), "{refused:?}");
    scene.world.vault.freeze(&scene.asha.caller, false, &ORIGIN).await.unwrap();
    let frozen = redeem("executor", Some("order 7")).await;
    assert!(matches!(frozen, Err(Error::ApprovalOver)), "no order behind a freeze: {frozen:?}");
}

/// What an authenticator signed proves which order it was, to whoever has the row and nothing else.
#[tokio::test]
async fn the_stored_assertion_proves_the_order_and_no_other() {
    let scene = Scene::new().await;
    let id = scene.approved().await;
    let row = scene.row(id).await;
    let kept = row.decision.unwrap().assertion.unwrap();
    let data: Value = serde_json::from_slice(&kept.client_data_json).unwrap();
    let challenge = BASE64URL.decode(data["challenge"].as_str().unwrap()).unwrap();
    assert!(challenge.ends_with(&scene.details.digest()), "the digest of the order");
    assert!(challenge[32..].starts_with(&id.number().to_be_bytes()), "of this approval");
    assert!(!challenge.ends_with(&order(scene.account, "INFY", "11").digest()));

    // Verified as a WebAuthn assertion is, by the key that was kept (section 7.2, steps 19 to 21).
    let mut signed = kept.authenticator_data.clone();
    signed.extend(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &kept.client_data_json).as_ref());
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1,
        scene.passkey.point(),
    );
    key.verify(&signed, &kept.signature).unwrap();
    assert_eq!(kept.public_key, scene.passkey.public_key());
    assert!(kept.authenticator_data[32] & 0b101 == 0b101, "the person was there, and was verified");
}

#[tokio::test]
async fn a_ceremony_is_of_one_approval_of_one_person() {
    let scene = Scene::new().await;
    let ravi = scene.world.person(RAVI).await;
    let (foreign, _) = ravi.with_passkey().await;
    let (one, other) = (scene.ask().await, scene.ask().await);
    let begun = scene.asha.begin_approval(one).await.unwrap();
    let credential = scene.passkey.get(&begun.options);
    let swapped = scene.asha.finish_approval(other, &begun, credential.clone()).await;
    assert!(matches!(swapped, Err(Error::Invalid(_))), "{swapped:?}");
    let foreign = scene.asha.finish_approval(one, &begun, foreign.get(&begun.options)).await;
    assert!(matches!(foreign, Err(Error::WrongPasskey)), "{foreign:?}");
    // What is signed for a sign-in approves nothing, and the other way round.
    let sign_in = scene.world.begin_passkey_sign_in();
    let shown = scene.passkey.get(&sign_in.options);
    let confused = scene.asha.finish_approval(one, &sign_in, shown.clone()).await;
    assert!(matches!(confused, Err(Error::Invalid(_))), "{confused:?}");
    let confused = scene.asha.finish_approval(one, &begun, shown).await;
    assert!(matches!(confused, Err(Error::WrongPasskey)), "{confused:?}");
    let confused = scene.world.finish_passkey_sign_in(&begun.token, credential.clone()).await;
    assert!(matches!(confused, Err(Error::InvalidSessionToken)), "{confused:?}");
    // Somebody else's approval is none.
    let refused = ravi.finish_approval(one, &begun, credential.clone()).await;
    assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    assert!(matches!(ravi.decide(one, &Verdict::Deny).await, Err(Error::NotFound)));
    scene.asha.finish_approval(one, &begun, credential).await.unwrap();
}

#[tokio::test]
async fn whoever_may_ask_asks_and_nobody_else() {
    let scene = Scene::new().await;
    let identity = &scene.world.identity;
    let owner = scene.asha.account.id;
    let key = async |scopes: &[&str]| {
        let name = ApiKeyName::parse("nightly").unwrap();
        let scopes = Some(scopes.iter().map(|scope| (*scope).to_owned()).collect());
        let wanted = ApiKeyRequest { name, scopes, expires_at: None, idempotency_key: None };
        identity.create_api_key(&scene.asha.caller, wanted, &ORIGIN).await.unwrap().text
    };
    let wanted =
        ApprovalRequest { details: scene.details.clone(), expires_in: Some(60), idempotency_key: None };
    let (may, may_not) = (key(&["approval:request"]).await, key(&["portfolio:read"]).await);
    let by_key = identity.ask_for_approval(ApprovalAsker::Key(&may), &wanted, &ORIGIN).await.unwrap();
    assert!(by_key.approval.asked_by.starts_with("key:key_"), "{}", by_key.approval.asked_by);
    let refused = identity.ask_for_approval(ApprovalAsker::Key(&may_not), &wanted, &ORIGIN).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");

    let service =
        async |name: &str| identity.authenticate_service(&service_token(name).into()).await.unwrap();
    let (desk, executor) = (service("desk").await, service("executor").await);
    let ask = async |service, user| {
        identity.ask_for_approval(ApprovalAsker::Service(service, user), &wanted, &ORIGIN).await
    };
    let by_service = ask(&desk, owner).await.unwrap();
    assert_eq!(by_service.approval.asked_by, "service:desk");
    assert!(matches!(ask(&executor, owner).await, Err(Error::Forbidden(_))));
    let nobody = Id::generate(scene.row(by_key.approval.id).await.created_at, &SystemEntropy).unwrap();
    assert!(matches!(ask(&desk, nobody).await, Err(Error::NotFound)));
    // An order with somebody else's account.
    let ravi = scene.world.person(RAVI).await;
    assert!(matches!(ask(&desk, ravi.account.id).await, Err(Error::Invalid(_))));
    assert!(matches!(ravi.ask(&scene.details, None).await, Err(Error::Invalid(_))));

    // Whoever asked may look at it; another service may not, nor one that redeems.
    let id = by_service.approval.id;
    identity.approval_of_service(&desk, id).await.unwrap();
    let own = identity.approval_of_service(&desk, by_key.approval.id).await;
    assert!(matches!(own, Err(Error::NotFound)), "{own:?}");
    assert!(matches!(identity.approval_of_service(&executor, id).await, Err(Error::Forbidden(_))));
    for (key, may) in [(may, true), (may_not, false)] {
        let holder = Principal::Key(Box::new(identity.authenticate_key(&key).await.unwrap()));
        assert_eq!(identity.own_approval(&holder, id).await.is_ok(), may);
    }
    let ravis = Principal::Person(Box::new(ravi.caller.clone()));
    assert!(matches!(identity.own_approval(&ravis, id).await, Err(Error::NotFound)));
    for (service, redeems) in [("desk", false), ("ticker", false), ("executor", true)] {
        let refused = scene.world.redeem(service, id, &scene.details, None).await;
        match refused {
            Err(Error::ApprovalPending) => assert!(redeems, "{service}"),
            Err(Error::Forbidden(_)) => assert!(!redeems, "{service}"),
            other => panic!("{service}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn who_has_neither_a_passkey_nor_an_app_cannot_approve() {
    let world = World::with_executors(SEED).await;
    let ravi = world.person(RAVI).await;
    let details = order(ravi.link().await, "INFY", "10");
    let id = ravi.ask(&details, None).await.unwrap().approval.id;
    let challenge = world.identity.challenge_approval(&ravi.caller, id).await;
    assert!(matches!(challenge, Err(Error::MfaNotSetUp)), "{challenge:?}");
    assert!(matches!(ravi.approve_by_code(id, "050471").await, Err(Error::MfaNotSetUp)));
    ravi.decide(id, &Verdict::Deny).await.expect("refusing takes no proof");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_for_more_than_twenty_at_a_time_however_many_ask_at_once() {
    let scene = Scene::new().await;
    let racing = (0..64).map(|_| {
        let (world, token, details) =
            (scene.world.clone(), scene.asha.access_token.clone(), scene.details.clone());
        tokio::spawn(async move {
            let wanted = ApprovalRequest { details, expires_in: None, idempotency_key: None };
            world.identity.ask_for_approval(ApprovalAsker::Person(&token), &wanted, &ORIGIN).await
        })
    });
    let outcomes: Vec<_> = join_all(racing).await.into_iter().map(Result::unwrap).collect();
    let asked: Vec<ApprovalId> = outcomes.iter().flatten().map(|asked| asked.approval.id).collect();
    assert!(asked.len() <= 20, "{}", asked.len());
    for refused in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert!(
            matches!(refused, Error::TooManyApprovals | Error::Contended | Error::Store(_)),
            "{refused:?}"
        );
    }
    for _ in asked.len()..20 {
        scene.ask().await;
    }
    let refused = scene.asha.ask(&scene.details, None).await;
    assert!(matches!(refused, Err(Error::TooManyApprovals)), "{refused:?}");
    // A decision makes room for one more, and so does the end of its time.
    scene.asha.decide(asked[0], &Verdict::Deny).await.unwrap();
    scene.ask().await;
    assert!(matches!(scene.asha.ask(&scene.details, None).await, Err(Error::TooManyApprovals)));
    scene.world.clock.advance(Duration::from_mins(5));
    scene.ask().await;
}

#[tokio::test]
async fn nobody_is_asked_more_than_a_hundred_and_twenty_times_an_hour() {
    let world = World::new(SEED).await;
    let ravi = world.person(RAVI).await;
    let details = order(ravi.link().await, "INFY", "10");
    for _ in 0..120 {
        let id = ravi.ask(&details, None).await.unwrap().approval.id;
        // Nobody decides so often either; those that are left make room by themselves.
        drop(ravi.decide(id, &Verdict::Deny).await);
    }
    let refused = ravi.ask(&details, None).await;
    assert!(matches!(refused, Err(Error::TooManyAttempts { .. })), "{refused:?}");
    world.clock.advance(Duration::from_hours(1));
    let ravi = Person::again(&world, RAVI).await;
    ravi.ask(&details, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_sent_again_asks_once() {
    let scene = Scene::new().await;
    let racing = (0..16).map(|_| {
        let (world, token, details) =
            (scene.world.clone(), scene.asha.access_token.clone(), scene.details.clone());
        tokio::spawn(async move {
            let wanted = ApprovalRequest { details, expires_in: None, idempotency_key: Some("7".to_owned()) };
            world.identity.ask_for_approval(ApprovalAsker::Person(&token), &wanted, &ORIGIN).await.unwrap()
        })
    });
    let asked: Vec<_> = join_all(racing).await.into_iter().map(|racer| racer.unwrap().approval.id).collect();
    assert!(asked.iter().all(|id| *id == asked[0]), "{asked:?}");
    let other = order(scene.account, "INFY", "11");
    let reused = scene.asha.ask(&other, Some("7")).await;
    assert!(matches!(reused, Err(Error::IdempotencyKeyReused)), "{reused:?}");
    // Even where it would be refused by now, and however it ended.
    for _ in 1..20 {
        scene.ask().await;
    }
    let again = scene.asha.ask(&scene.details, Some("7")).await.unwrap();
    assert_eq!((again.approval.id, again.state), (asked[0], ApprovalState::Pending));
    scene.asha.decide(asked[0], &Verdict::Deny).await.unwrap();
    let again = scene.asha.ask(&scene.details, Some("7")).await.unwrap();
    assert_eq!((again.approval.id, again.state), (asked[0], ApprovalState::Denied));
}

#[tokio::test]
async fn a_request_takes_one_round_behind_its_token_a_decision_two_and_a_redemption_two() {
    let scene = Scene::new().await;
    // That a service presents its token is noted once an hour.
    scene.world.identity.authenticate_service(&service_token("executor").into()).await.unwrap();
    let requests = || scene.world.faults.requests();
    let before = requests();
    let id = scene.ask().await;
    let asked = "account, session, trading account, freezes of two kinds, how many, places and the end of the trail at once; then all that is written";
    assert_eq!(requests() - before, 9, "{asked}");
    for is_code in [false, true] {
        let id = scene.ask().await;
        let begun = scene.asha.begin_approval(id).await.unwrap();
        let verdict = if is_code {
            Verdict::Approve(PresentedProof::Code(code(&scene.asha.code())))
        } else {
            by_passkey(&begun, scene.passkey.get(&begun.options))
        };
        let before = requests();
        scene.asha.decide(id, &verdict).await.unwrap();
        let asked = "the approval, everybody's freeze, the end of the trail and what the proof is judged by at once; then all that is written";
        assert_eq!(requests() - before, 5, "{asked}");
        let before = requests();
        scene.redeem(id).await.unwrap();
        assert_eq!(
            requests() - before,
            3,
            "the approval and everybody's freeze at once; then all that is written"
        );
    }
    // Where something else was recorded since the decision, its record is in the way once.
    scene.asha.approve_by_passkey(id, &scene.passkey).await.unwrap();
    scene.ask().await;
    let before = requests();
    scene.redeem(id).await.unwrap();
    assert_eq!(requests() - before, 5, "the write is refused, and the end of the trail read anew");
}

#[tokio::test]
async fn while_the_store_is_down_no_proof_is_spent() {
    let scene = Scene::new().await;
    let (id, shown) = (scene.ask().await, scene.asha.code());
    // The approval, everybody's freeze, the factor and the end of the trail are read; the write does not arrive.
    scene.world.faults.go_down_after(4);
    let refused = scene.asha.approve_by_code(id, &shown).await;
    assert!(matches!(refused, Err(Error::Store(_))), "{refused:?}");
    scene.world.faults.come_back();
    scene.asha.approve_by_code(id, &shown).await.unwrap();
    scene.world.faults.go_down_after(2);
    assert!(matches!(scene.redeem(id).await, Err(Error::Store(_))));
    scene.world.faults.come_back();
    scene.redeem(id).await.unwrap();
}

#[tokio::test]
async fn a_session_that_ends_between_the_look_and_the_write_decides_nothing() {
    let scene = Scene::new().await;
    let (id, shown) = (scene.ask().await, scene.asha.code());
    let held = scene
        .world
        .faults
        .hold(|request| request.contains("TransactWriteItems") && request.contains("decision"));
    let (world, caller, typed) = (scene.world.clone(), scene.asha.caller.clone(), shown.clone());
    let racing = tokio::spawn(async move {
        let verdict = Verdict::Approve(PresentedProof::Code(code(&typed)));
        world.identity.decide_approval(&caller, id, &verdict, &ORIGIN).await
    });
    held.reached().await;
    let session = scene.asha.caller.session.made.id;
    scene.world.identity.revoke_session(&scene.asha.caller, session, &ORIGIN).await.unwrap();
    held.release();
    let refused = racing.await.unwrap();
    assert!(matches!(refused, Err(Error::InvalidAccessToken)), "{refused:?}");
    scene.asha.sign_in(&shown).await.expect("the code was not spent");
}

#[tokio::test]
async fn a_list_shows_what_was_asked_newest_first_and_by_what_has_become_of_it() {
    let scene = Scene::new().await;
    let (denied, approved, pending) = (scene.ask().await, scene.approved().await, scene.ask().await);
    scene.asha.decide(denied, &Verdict::Deny).await.unwrap();
    let list = async |state, limit, after| {
        let found =
            scene.world.identity.list_approvals(&scene.asha.caller, state, limit, after).await.unwrap();
        (found.0.iter().map(|view| view.approval.id).collect::<Vec<_>>(), found.1)
    };
    assert_eq!(list(None, 50, None).await.0.len(), 3);
    assert_eq!(list(Some(ApprovalState::Pending), 50, None).await, (vec![pending], None));
    assert_eq!(list(Some(ApprovalState::Approved), 50, None).await.0, [approved]);
    assert_eq!(list(Some(ApprovalState::Ended), 50, None).await.0, []);
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (found, next) = list(None, 1, after).await;
        all.extend(found);
        let Some(next) = next else { break };
        after = Some(next);
    }
    assert_eq!(all.len(), 3);
    assert!(all.is_sorted_by(|one, other| one > other), "{all:?}");
    scene.world.vault.freeze(&scene.asha.caller, false, &ORIGIN).await.unwrap();
    assert_eq!(list(Some(ApprovalState::Ended), 50, None).await.0, [pending, approved]);
    let ravi = scene.world.person(RAVI).await;
    let others = scene.world.identity.list_approvals(&ravi.caller, None, 50, None).await.unwrap();
    assert!(others.0.is_empty());
}
