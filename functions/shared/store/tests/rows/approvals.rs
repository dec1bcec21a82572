//! Approvals of orders.

use portcullis_store::{
    Account, Approval, ApprovalAsked, ApprovalDecision, ApprovalEnd, ApprovalOutcome, ApprovalProof,
    ApprovalRate, ApprovalStatus, Assertion, AuditKind, ChainEnd, Freeze, Freezer, IdempotentRequest,
    NewSession, OpenApprovals, Redemption,
};

use crate::story::{Story, at, digest, pinned};
use crate::trading_accounts::trading_account;

/// The session in which everything is decided, the trading account, and an approval that is pending.
async fn asked(story: &Story, asha: &Account) -> (NewSession, Approval) {
    let session = story.sign_in(asha, 5, 5, false).await;
    let account = trading_account(asha.id, story.id(6), None);
    let event = story.event(AuditKind::TradingAccountLinked, asha.id, 6);
    story.store.link_trading_account(&account, None, &event).await.unwrap();
    let approval = Approval {
        id: story.id(10),
        owner: asha.id,
        session_epoch: asha.session_epoch,
        freezes: 0,
        trading_account: account.id,
        details: r#"[{"type":"order"}]"#.to_owned(),
        digest: digest(7),
        display: "Buy 10 INFY.".to_owned(),
        asked_by: "self".to_owned(),
        place: 3,
        status: ApprovalStatus::Pending,
        created_at: at(10),
        expires_at: at(310),
        decision: None,
        redemption: None,
    };
    (session, approval)
}

#[tokio::test]
async fn approvals() {
    let mut story = Story::begin().await;
    let asha = story.register("asha@example.com", None, &["user"], None).await;
    let (session, approval) = asked(&story, &asha).await;
    story.meter.take();
    let ground = story.store.approval_ground(asha.id, approval.trading_account, at(10));
    let ground = Box::pin(ground).await.unwrap();
    story.cost("read what a request for an approval is decided on");
    let rate = ApprovalRate { window: 1, ends: at(3_600), most: 2 };
    let request = IdempotentRequest { key_digest: "again".to_owned(), fingerprint: digest(9) };
    let event = story.event(AuditKind::ApprovalRequested, asha.id, 10);
    let table = story.store.clone();
    let ask = async |approval: &Approval, open: &OpenApprovals, end: ChainEnd| {
        let event = event.clone().behind(end);
        let (open, kept) = ((open, &rate), at(9_999));
        table.ask_for_approval(approval, open, Some(&request), kept, &event).await.unwrap()
    };
    assert!(matches!(ask(&approval, &ground.open, ground.end.clone()).await, ApprovalAsked::Asked));
    story.cost("ask for an approval");
    let again = Approval { id: story.id(11), ..approval.clone() };
    let repeated = ask(&again, &ground.open, ground.end).await;
    assert!(matches!(repeated, ApprovalAsked::Repeated(first) if first == approval.id), "{repeated:?}");
    story.meter.take();

    let end = story.store.account_trail_end(asha.id).await.unwrap();
    let mut decision = ApprovalDecision::new(at(20), session.id, digest(8));
    decision.acr = Some("phr".to_owned());
    decision.assertion = Some(Assertion {
        passkey: story.id(9),
        public_key: vec![1; 4],
        client_data_json: b"{}".to_vec(),
        authenticator_data: vec![2; 4],
        signature: vec![3; 4],
    });
    let event = story.event(AuditKind::ApprovalGranted, asha.id, 20).behind(end);
    let decide = async |approval: &Approval| {
        let (status, proof) = (ApprovalStatus::Approved, ApprovalProof::Nothing);
        table.decide_approval(approval, status, &decision, proof, &event).await.unwrap()
    };
    story.meter.take();
    assert!(matches!(decide(&approval).await, ApprovalOutcome::Done));
    story.cost("decide an approval, without what its proof costs");
    assert!(matches!(decide(&approval).await, ApprovalOutcome::Changed(_)));
    story.meter.take();

    let approved = story.store.approval_by_id(approval.id).await.unwrap().unwrap();
    story.cost("read an approval by its id");
    assert_eq!(story.store.approval(asha.id, approval.id).await.unwrap(), Some(approved.clone()));
    assert_eq!((approved.status, approved.expires_at), (ApprovalStatus::Approved, at(140)));
    story.meter.take();
    let redemption = Redemption { at: at(30), service: "trading".to_owned(), mark: Some(digest(6)) };
    let event = story.event(AuditKind::ApprovalRedeemed, asha.id, 30).behind(approved.trail_then().unwrap());
    let redeemed = story.store.redeem_approval(&approved, &redemption, &event).await.unwrap();
    assert!(matches!(redeemed, ApprovalOutcome::Done));
    story.cost("redeem an approval");
    let again = story.store.redeem_approval(&approved, &redemption, &event).await.unwrap();
    assert!(matches!(again, ApprovalOutcome::Changed(now) if now.redemption == Some(redemption)));
    story.meter.take();
    let listed = story.store.approvals(asha.id, 10, None, |_| true).await.unwrap();
    assert_eq!(listed.approvals.len(), 1);
    story.cost("list approvals");
    let event = story.event(AuditKind::CredentialsFrozen, asha.id, 40);
    let own = (asha.id, Freezer::Owner);
    let frozen = story.store.put_freeze(own, &Freeze::of(&event), None, &[event]).await.unwrap();
    frozen.unwrap().write().await;
    let ended = story.store.check_approval(&approved).await.unwrap();
    assert!(matches!(ended, ApprovalOutcome::Ended(ApprovalEnd::Frozen)), "{ended:?}");
    pinned("rows_of_approvals", &story.table().await);
    pinned("costs_of_approvals", &story.costs);
}
