//! One more proof by a passkey: what it raises a session to, that it is worth one effect, and that it has to be the caller's own.
#![cfg(test)]

use std::time::Duration;

use futures_util::future::join_all;
use portcullis_harness::in_process::{Person, World};
use portcullis_harness::passkey::{BACKUP_ELIGIBLE, PRESENT, SoftPasskey};
use portcullis_identity::{Assurance, ClientContext, Error, PresentedPasskey, ShownToken, StepUp, SteppedUp};

const SEED: u64 = 20_261_130;
const ASHA: &str = "asha@example.com";
const RAVI: &str = "ravi@example.com";

async fn raise(world: &World, person: &Person, shown: PresentedPasskey) -> Result<SteppedUp, Error> {
    let token = ShownToken::Access(&person.access_token);
    world.identity.step_up(token, &StepUp::Passkey(Box::new(shown)), &ClientContext::default()).await
}

/// Raises the session with the passkey after it was bent, and expects a refusal that leaves the session as it was.
async fn refused_when(
    world: &World,
    person: &Person,
    passkey: &SoftPasskey,
    bend: impl FnOnce(&mut SoftPasskey),
) {
    let mut changed = passkey.clone();
    bend(&mut changed);
    let outcome = raise(world, person, world.shown(&changed)).await;
    assert!(matches!(outcome, Err(Error::WrongPasskey)), "{outcome:?}");
}

#[tokio::test]
async fn a_passkey_raises_a_session_to_the_strongest_sign_in() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let (passkey, _) = asha.with_passkey().await;
    world.clock.advance(Duration::from_mins(11));
    assert!(world.identity.require_fresh_proof(&asha.caller).is_err());
    let shown = world.shown(&passkey);
    let before = world.faults.requests();
    let raised = raise(&world, &asha, shown).await.unwrap();
    let asked = "account and session; the passkeys and the end of the trail; all that is written at once";
    assert_eq!(world.faults.requests() - before, 5, "{asked}");
    let caller = world.identity.authenticate(&raised.access_token).await.unwrap();
    assert_eq!((caller.claims.acr, caller.claims.auth_time), (Assurance::Phr, world.unix_now()));
    assert_eq!(caller.claims.amr, ["pwd", "hwk", "user"]);
    world.identity.require_fresh_proof(&caller).unwrap();
    let refreshed =
        world.identity.refresh(asha.refresh.token.secret(), &ClientContext::default()).await.unwrap();
    let caller = world.identity.authenticate(&refreshed.access_token).await.unwrap();
    assert_eq!(caller.claims.acr, Assurance::Phr, "the session is raised, and not the token alone");
    assert!(world.identity.verify_audit().await.unwrap().findings.is_empty());
}

#[tokio::test]
async fn whoever_has_a_factor_may_show_a_passkey_in_place_of_a_code() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let (passkey, _) = asha.with_passkey().await;
    let proof = StepUp::Passkey(Box::new(world.shown(&passkey)));
    world.identity.confirm_strongly(&asha.caller, &proof, &ClientContext::default()).await.unwrap();
    let again = world.identity.confirm(&asha.caller, &proof, &ClientContext::default()).await;
    assert!(matches!(again, Err(Error::InvalidSessionToken)), "it confirms one operation: {again:?}");
    let StepUp::Passkey(spent) = proof else { unreachable!("it is one") };
    assert!(
        matches!(raise(&world, &asha, *spent).await, Err(Error::InvalidSessionToken)),
        "and is spent everywhere"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_challenge_shown_by_sixty_four_at_once_raises_one_session() {
    let world = World::with_variables(SEED, &[("RATE_LIMIT", "off")]).await;
    let asha = world.person(ASHA).await;
    let (passkey, _) = asha.with_passkey().await;
    let begun = world.begin_passkey_sign_in();
    let credential = passkey.get(&begun.options);
    let racing = (0..64).map(|_| {
        raise(&world, &asha, portcullis_harness::in_process::login(&begun.token, credential.clone()).shown)
    });
    let outcomes = join_all(racing).await;
    let raised = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(raised, 1);
    let spent = |outcome: &Result<SteppedUp, Error>| {
        matches!(outcome, Ok(_) | Err(Error::InvalidSessionToken | Error::WrongPasskey))
    };
    assert!(outcomes.iter().all(spent), "{outcomes:?}");
}

#[tokio::test]
async fn nothing_but_the_callers_own_passkey_with_its_user_verified_raises_a_session() {
    let world = World::new(SEED).await;
    let (asha, ravi) = (world.person(ASHA).await, world.person(RAVI).await);
    let (passkey, _) = asha.with_passkey().await;
    let (of_ravi, _) = ravi.with_passkey().await;
    let foreign = raise(&world, &asha, world.shown(&of_ravi)).await;
    assert!(matches!(foreign, Err(Error::WrongPasskey)), "{foreign:?}");
    let unknown = raise(&world, &asha, world.shown(&world.authenticator())).await;
    assert!(matches!(unknown, Err(Error::WrongPasskey)), "{unknown:?}");
    refused_when(&world, &asha, &passkey, |bent| bent.flags = PRESENT).await;
    refused_when(&world, &asha, &passkey, |bent| bent.flags |= BACKUP_ELIGIBLE).await;
    refused_when(&world, &asha, &passkey, |bent| bent.origin = "https://evil.example".to_owned()).await;
    let with_another_key = |bent: &mut SoftPasskey| {
        let id = std::mem::take(&mut bent.credential_id);
        *bent = bent.another();
        bent.credential_id = id;
    };
    refused_when(&world, &asha, &passkey, with_another_key).await;
    let claims = world.identity.authenticate(&asha.access_token).await.unwrap().claims;
    assert_eq!(claims.acr, Assurance::Aal1);
    raise(&world, &asha, world.shown(&passkey)).await.expect("it was nothing about the passkey itself");
}

#[tokio::test]
async fn a_session_that_is_over_is_not_raised_and_keeps_the_challenge_unspent() {
    let world = World::new(SEED).await;
    let asha = world.person(ASHA).await;
    let (passkey, _) = asha.with_passkey().await;
    let shown = world.shown(&passkey);
    world.faults.go_down_after(0);
    let down = raise(
        &world,
        &asha,
        PresentedPasskey {
            ceremony_token: shown.ceremony_token.clone(),
            credential: shown.credential.clone(),
        },
    )
    .await;
    assert!(matches!(down, Err(Error::Store(_))), "{down:?}");
    world.faults.come_back();
    raise(&world, &asha, shown).await.expect("a store that is down spends nothing");
    let shown = world.shown(&passkey);
    world
        .identity
        .revoke_session(&asha.caller, asha.caller.session.made.id, &ClientContext::default())
        .await
        .unwrap();
    assert!(matches!(raise(&world, &asha, shown).await, Err(Error::InvalidAccessToken)));
}
