//! Deciding an approval: in a session of the person who is asked, in two rounds behind the token.
//!
//! To approve takes a proof of its own: a code, or a passkey whose challenge contains the digest of the order, so that what the
//! authenticator signed shows later what was approved. To refuse takes none: whoever stole a session can keep an order from being
//! placed with it, as with a freeze, and nothing else.
//!
//! **A lost answer**: the row has a keyed digest of the request that decided it. The same request gets the same answer as long as
//! the approval lives, without a proof being spent again; another one is told that it comes too late.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jiff::Timestamp;
use portcullis_store::{
    APPROVED_FOR, AccountId, Approval, ApprovalDecision, ApprovalEnd, ApprovalId, ApprovalOutcome,
    ApprovalProof, ApprovalStatus, Assertion, AuditEvent, AuditKind, ChainEnd, ChallengeKind, Digest, Factor,
    Freeze, Passkey, PasskeyUse, Round, until_settled,
};
use portcullis_verifier::Assurance;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::access::caller::Caller;
use crate::error::Error;
use crate::invalid::{Field, InvalidField};
use crate::limits::DECISIONS;
use crate::mfa::PresentedCode;
use crate::passkeys::{Bound, Ceremony, PresentedPasskey};
use crate::{ClientContext, Identity};

/// What the owner of an approval decides.
#[derive(Debug)]
pub enum Verdict {
    /// It may be done, and this is the proof that its owner says so.
    Approve(PresentedProof),
    /// It may not.
    Deny,
}

/// What the owner of an approval proves themselves with, unverified.
#[derive(Debug)]
pub enum PresentedProof {
    /// A code of the second factor.
    Code(PresentedCode),
    /// A passkey, shown in a ceremony that was begun for this approval.
    Passkey(Box<PresentedPasskey>),
}

/// What was decided, as its owner is told.
pub struct Decided {
    /// What was decided.
    pub status: ApprovalStatus,
    /// The token that says so, of an approval that was approved.
    pub token: Option<String>,
    /// How long that is valid, from when it was decided.
    pub expires_in: Duration,
}

impl fmt::Debug for Decided {
    /// Whoever reads the token can have the order placed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decided").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A passkey is shown for this approval, by its owner.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ApprovalCeremony {
    pub(super) account: AccountId,
    pub(super) approval: ApprovalId,
}

impl Bound for ApprovalCeremony {
    const KIND: ChallengeKind = ChallengeKind::Approval;
}

impl Ceremony<ApprovalCeremony> {
    /// Returns what an authenticator has to sign: random bytes, then the id of the approval, then the digest of its details as
    /// its row has them. Whoever has the client data later finds the digest at the end of its challenge.
    pub(super) fn bound_to(&self, approval: &Approval) -> Vec<u8> {
        [self.challenge.as_slice(), &approval.id.number().to_be_bytes(), &approval.digest].concat()
    }
}

/// What a proof is judged by, as it was read.
enum Evidence {
    Factor(Factor),
    Passkeys(Vec<Passkey>),
    NotNeeded,
}

/// A proof that was judged to be right, and what the decision spends of it.
enum Proof {
    Code(Factor),
    Passkey(Box<PasskeyUse>, Assertion),
    NotNeeded,
}

impl Proof {
    /// How surely the person proved who they are with it.
    fn assurance(&self) -> Option<Assurance> {
        match self {
            Self::Code(_) => Some(Assurance::Aal2),
            Self::Passkey(..) => Some(Assurance::Phr),
            Self::NotNeeded => None,
        }
    }

    fn to_spend(&self) -> ApprovalProof<'_> {
        match self {
            Self::Code(next) => ApprovalProof::Code(next),
            Self::Passkey(used, _) => ApprovalProof::Passkey(used),
            Self::NotNeeded => ApprovalProof::Nothing,
        }
    }
}

/// A request that decides, with what names it.
struct Deciding<'a> {
    caller: &'a Caller,
    id: ApprovalId,
    verdict: &'a Verdict,
    mark: Digest,
    now: Timestamp,
    client: &'a ClientContext,
}

impl Identity {
    /// Decides an approval of the caller and returns the decision; of the same request again the same. Fails with
    /// [`Error::NotFound`], also for another person's; with [`Error::ApprovalDecided`] where another request decided it, and
    /// with [`Error::ApprovalOver`] where its time is over or it was ended; with [`Error::WrongCode`], [`Error::MfaNotSetUp`],
    /// [`Error::WrongPasskey`], or [`Error::Invalid`] for a ceremony that was not begun for it; with
    /// [`Error::TooManyAttempts`].
    pub async fn decide_approval(
        &self,
        caller: &Caller,
        id: ApprovalId,
        verdict: &Verdict,
        client: &ClientContext,
    ) -> Result<Decided, Error> {
        let (mark, now) = (self.mark_of(caller, id, verdict)?, self.clock.now());
        let deciding = &Deciding { caller, id, verdict, mark, now, client };
        let mut is_counted = false;
        until_settled(|| {
            let counts = !std::mem::replace(&mut is_counted, true);
            Box::pin(self.decide_once(deciding, counts))
        })
        .await
    }

    /// Reads, decides and writes. `Raced` where another writer was faster, and nothing was spent.
    async fn decide_once(&self, deciding: &Deciding<'_>, counts: bool) -> Result<Round<Decided>, Error> {
        let owner = deciding.caller.account.id;
        let (approval, end, everybody, evidence, ()) = tokio::try_join!(
            async { Ok(self.store.approval(owner, deciding.id).await?) },
            async { Ok(self.store.account_trail_end(owner).await?) },
            async { Ok(self.store.last_freeze_of_everybody().await?) },
            self.evidence(owner, deciding.verdict),
            self.count_decision(deciding, counts),
        )?;
        let approval = approval.ok_or(Error::NotFound)?;
        if let Some(settled) = Box::pin(self.settled_before(deciding, &approval)).await? {
            return Ok(Round::Settled(settled));
        }
        if matches!(deciding.verdict, Verdict::Approve(_)) {
            may_be_approved(&approval, everybody.as_ref(), deciding.now)?;
        }
        let proof = match Box::pin(self.judge_proof(deciding, &approval, evidence)).await {
            Ok(Round::Settled(proof)) => proof,
            Ok(Round::Raced) => return Ok(Round::Raced),
            Err(refused) => {
                return Box::pin(self.spent_by_the_same(deciding, refused)).await.map(Round::Settled);
            }
        };
        Box::pin(self.write_decision(deciding, &approval, &proof, end)).await
    }

    /// What the proof of a verdict is judged by.
    async fn evidence(&self, owner: AccountId, verdict: &Verdict) -> Result<Evidence, Error> {
        Ok(match verdict {
            Verdict::Approve(PresentedProof::Code(_)) => Evidence::Factor(self.store.factor(owner).await?),
            // All of them: to ask whose the credential is, and then for it, would be a round more.
            Verdict::Approve(PresentedProof::Passkey(_)) => {
                Evidence::Passkeys(self.store.passkeys(owner).await?)
            }
            Verdict::Deny => Evidence::NotNeeded,
        })
    }

    /// Counts a decision, so that nobody finds out by trying which code an approval was approved with.
    async fn count_decision(&self, deciding: &Deciding<'_>, counts: bool) -> Result<(), Error> {
        if !counts {
            return Ok(());
        }
        let owner = deciding.caller.account.id.to_string();
        self.limit(&DECISIONS, &owner, deciding.client, deciding.now).await
    }

    /// Returns the answer where there is nothing to decide: the first one for the same request again. Fails for any other request
    /// where the approval was decided, or its time is over.
    async fn settled_before(
        &self,
        deciding: &Deciding<'_>,
        approval: &Approval,
    ) -> Result<Option<Decided>, Error> {
        let is_in_time = approval.expires_at > deciding.now;
        let Some(decision) = &approval.decision else {
            return if is_in_time { Ok(None) } else { Err(Error::ApprovalOver) };
        };
        if verify_slices_are_equal(&decision.mark, &deciding.mark).is_err() {
            return Err(Error::ApprovalDecided);
        }
        if approval.status == ApprovalStatus::Denied {
            return self.answer(approval, decision).map(Some);
        }
        match self.store.check_approval(approval).await? {
            ApprovalOutcome::Done if is_in_time => self.answer(approval, decision).map(Some),
            _ => Err(Error::ApprovalOver),
        }
    }

    /// Returns the first answer where the proof was refused because the same request had spent it in between; fails with
    /// `refused` otherwise.
    async fn spent_by_the_same(&self, deciding: &Deciding<'_>, refused: Error) -> Result<Decided, Error> {
        if !matches!(refused, Error::WrongCode | Error::WrongPasskey) {
            return Err(refused);
        }
        let approval = self.store.approval(deciding.caller.account.id, deciding.id).await?;
        let approval = approval.filter(|approval| approval.decision.is_some()).ok_or(refused)?;
        self.settled_before(deciding, &approval).await?.ok_or(Error::ApprovalDecided)
    }

    fn answer(&self, approval: &Approval, decision: &ApprovalDecision) -> Result<Decided, Error> {
        let is_denied = approval.status == ApprovalStatus::Denied;
        let token = if is_denied { None } else { Some(self.approval_token(approval, decision)?) };
        let status = if is_denied { ApprovalStatus::Denied } else { ApprovalStatus::Approved };
        Ok(Decided { status, token, expires_in: APPROVED_FOR })
    }

    /// Returns what a right proof spends; `Raced` where it was judged on an old copy.
    async fn judge_proof(
        &self,
        deciding: &Deciding<'_>,
        approval: &Approval,
        evidence: Evidence,
    ) -> Result<Round<Proof>, Error> {
        let (owner, client) = (&deciding.caller.account, deciding.client);
        match (deciding.verdict, evidence) {
            (Verdict::Approve(PresentedProof::Code(code)), Evidence::Factor(factor)) => {
                let next = Box::pin(self.spend_code(owner, factor, code, deciding.now, client)).await?;
                Ok(match next {
                    Round::Settled(next) => Round::Settled(Proof::Code(next)),
                    Round::Raced => Round::Raced,
                })
            }
            (Verdict::Approve(PresentedProof::Passkey(shown)), Evidence::Passkeys(passkeys)) => {
                self.judge_passkey(deciding, approval, shown, &passkeys).await.map(Round::Settled)
            }
            (Verdict::Deny, _) => Ok(Round::Settled(Proof::NotNeeded)),
            _ => Err(Error::Internal("a proof is judged by another kind of evidence")),
        }
    }

    async fn judge_passkey(
        &self,
        deciding: &Deciding<'_>,
        approval: &Approval,
        shown: &PresentedPasskey,
        passkeys: &[Passkey],
    ) -> Result<Proof, Error> {
        let owner = &deciding.caller.account;
        let keys = &self.keyring.ceremony_keys;
        let ceremony = Ceremony::<ApprovalCeremony>::open(&shown.ceremony_token, keys, deciding.now)
            .ok()
            .filter(|opened| (opened.bound.account, opened.bound.approval) == (owner.id, approval.id))
            .ok_or_else(|| Error::Invalid(InvalidField::new(Field::CeremonyToken, NOT_OF_THIS)))?;
        let credential = &shown.credential;
        let challenge = ceremony.bound_to(approval);
        let (ceremony, when) = ((challenge.as_slice(), ceremony.spent()?), (deciding.client, deciding.now));
        let used = Box::pin(self.judge_own(ceremony, credential, (owner, passkeys), when)).await?;
        let assertion = Assertion {
            passkey: used.passkey.id,
            public_key: used.passkey.public_key.clone(),
            client_data_json: credential.response.client_data_json.as_slice().to_vec(),
            authenticator_data: credential.response.authenticator_data.as_slice().to_vec(),
            signature: credential.response.signature.as_slice().to_vec(),
        };
        Ok(Proof::Passkey(Box::new(used), assertion))
    }

    async fn write_decision(
        &self,
        deciding: &Deciding<'_>,
        approval: &Approval,
        proof: &Proof,
        end: ChainEnd,
    ) -> Result<Round<Decided>, Error> {
        let session = deciding.caller.session.made.id;
        let mut decision = ApprovalDecision::new(deciding.now, session, deciding.mark);
        decision.acr = proof.assurance().map(|acr| acr.as_str().to_owned());
        if let Proof::Passkey(_, assertion) = proof {
            decision.assertion = Some(assertion.clone());
        }
        let (status, event) = self.event_of_decision(deciding, approval, end)?;
        let spent = proof.to_spend();
        match self.store.decide_approval(approval, status, &decision, spent, &event).await? {
            ApprovalOutcome::Done => {
                let decided = Approval { status, ..approval.clone() };
                self.answer(&decided, &decision).map(Round::Settled)
            }
            ApprovalOutcome::Ended(ApprovalEnd::Session) => Err(Error::InvalidAccessToken),
            ApprovalOutcome::Ended(_) => Err(Error::ApprovalOver),
            ApprovalOutcome::Unknown => Err(Error::NotFound),
            // What is there now says whether the same request was faster, or another one.
            ApprovalOutcome::Changed(_) | ApprovalOutcome::ProofOutdated => Ok(Round::Raced),
        }
    }

    fn event_of_decision(
        &self,
        deciding: &Deciding<'_>,
        approval: &Approval,
        end: ChainEnd,
    ) -> Result<(ApprovalStatus, AuditEvent), Error> {
        let (status, kind) = match deciding.verdict {
            Verdict::Approve(_) => (ApprovalStatus::Approved, AuditKind::ApprovalGranted),
            Verdict::Deny => (ApprovalStatus::Denied, AuditKind::ApprovalDenied),
        };
        let mut event = self.audit_event(kind, approval.owner, deciding.client)?.behind(end);
        event.target = Some(approval.id.to_string());
        event.session = Some(deciding.caller.session.made.id);
        Ok((status, event))
    }

    /// Returns what tells one request that decides from any other: keyed, because a code has six digits.
    fn mark_of(&self, caller: &Caller, id: ApprovalId, verdict: &Verdict) -> Result<Digest, Error> {
        let (owner, id) = (caller.account.id.to_string(), id.to_string());
        let of = |parts: [&[u8]; 3]| {
            let [kind, one, two] = parts;
            self.keyring.fingerprint(&[b"decision", owner.as_bytes(), id.as_bytes(), kind, one, two])
        };
        match verdict {
            Verdict::Deny => of([b"deny", b"", b""]),
            Verdict::Approve(PresentedProof::Code(code)) => of([b"code", code.text().as_bytes(), b""]),
            Verdict::Approve(PresentedProof::Passkey(shown)) => {
                let signature = shown.credential.response.signature.as_slice();
                of([b"passkey", shown.ceremony_token.expose_secret().as_bytes(), signature])
            }
        }
    }
}

/// Fails where everybody's credentials are frozen, or were since the approval was asked for.
fn may_be_approved(approval: &Approval, everybody: Option<&Freeze>, now: Timestamp) -> Result<(), Error> {
    match everybody {
        Some(freeze) if freeze.stands(now) => Err(Error::Frozen),
        Some(freeze) if freeze.closes(approval.created_at, now) => Err(Error::ApprovalOver),
        _ => Ok(()),
    }
}

const NOT_OF_THIS: &str = "was not begun for this approval, or took too long; begin again";
