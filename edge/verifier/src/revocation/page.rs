//! One page of the feed and its form.
//!
//! All numbers are little-endian. Forty bytes come first: `prv1`, for how many seconds entries are kept (4 bytes), from when
//! and until when everything is told of, when it was read (8 each, milliseconds since 1970), and how many sessions and
//! accounts follow (4 each). A session is its key (8). An account is its key, the key of the session that goes on or 0 (8
//! each), the session epoch that began and when it did, in Unix seconds (4 each). Both lists are sorted by key.
//!
//! On the page that ends now stands, besides, whose broker credentials are frozen: an account whose session that goes on is
//! all ones, with the session epoch 0 and the time 0, so that it ends no token; the account 0 stands for everybody.
//!
//! A signing key that was withdrawn stands among the sessions of the page that ends now ([`key_of_kid`]).
//!
//! The key of an id is 64 bits made of its 128 ([`key`]). That the key of a live session is by chance among a million listed
//! ones has a probability of
//! 10⁶ ÷ 2⁶²: once in four trillion tokens.

use alloc::vec::Vec;

const MAGIC: [u8; 4] = *b"prv1";
const HEAD: usize = 40;
const SESSION: usize = 8;
const ACCOUNT: usize = 24;

/// From when until when, in milliseconds since 1970; the end is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first millisecond.
    pub from: u64,
    /// The first millisecond after it.
    pub until: u64,
}

/// The tokens of an account that are of an earlier session epoch have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountCutoff {
    /// The key of the account's id.
    pub account: u64,
    /// The key of the id of the session that goes on; 0 if there is none.
    pub except: u64,
    /// The session epoch that began; the greatest number stands for all.
    pub epoch: u32,
    /// When it began, in Unix seconds.
    pub revoked_at: u32,
}

/// In place of the session that goes on: that the credentials of the account are frozen.
const FROZEN: u64 = u64::MAX;
/// In place of the key of an account: everybody. No id has it by more than chance.
const EVERYBODY: u64 = 0;

impl AccountCutoff {
    /// Returns the entry that says that the credentials of this account are frozen. It ends no token: none is of an epoch
    /// below 0.
    pub const fn frozen(account: u64) -> Self {
        Self { account, except: FROZEN, epoch: 0, revoked_at: 0 }
    }

    /// Returns the entry that says that everybody's are.
    pub const fn everybody_frozen() -> Self {
        Self::frozen(EVERYBODY)
    }
}

/// The bytes are no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the page of revocations is malformed")]
pub struct MalformedPage;

/// Everything that was revoked in one span of time, kept as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The span it tells of.
    pub span: Span,
    /// When it was read from the table, in milliseconds since 1970.
    pub as_of: u64,
    /// For how many seconds an entry concerns anybody.
    pub kept_for: u32,
    /// Grows with every page that a timeline takes in.
    pub(super) revision: u64,
    sessions: usize,
    bytes: Vec<u8>,
}

/// Returns the key of an id; `None` if it is not an id that the identity service makes, which nothing is listed under.
pub fn key(id: &str) -> Option<u64> {
    let (prefix, digits) = id.split_at_checked(4)?;
    let mut bytes = [0; 16];
    hex::decode_to_slice(digits, &mut bytes).ok().filter(|()| prefix.ends_with('_'))?;
    Some(key_of(u128::from_be_bytes(bytes)))
}

/// Returns what a signing key is listed under, among sessions, once it was withdrawn: the first characters of its id, which
/// are of a digest. No session is listed under the same by more than chance.
pub fn key_of_kid(kid: &str) -> Option<u64> {
    kid.as_bytes().first_chunk().copied().map(u64::from_le_bytes)
}

/// Returns the key of the id whose digits are this number.
pub const fn key_of(id: u128) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "the halves of it")]
    let (high, low) = ((id >> 64) as u64, id as u64);
    // The two bits that every id has in common come last, and the bits of the time go into those of chance.
    low.rotate_left(2) ^ high.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Page {
    /// Returns the bytes of a page; whoever reads them finds what is given here in whatever order.
    pub fn encode(
        span: Span,
        as_of: u64,
        kept_for: u32,
        mut sessions: Vec<u64>,
        mut accounts: Vec<AccountCutoff>,
    ) -> Vec<u8> {
        sessions.sort_unstable();
        sessions.dedup();
        accounts.sort_unstable();
        accounts.dedup();
        let mut bytes = Vec::with_capacity(HEAD + sessions.len() * SESSION + accounts.len() * ACCOUNT);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&kept_for.to_le_bytes());
        for time in [span.from, span.until, as_of] {
            bytes.extend_from_slice(&time.to_le_bytes());
        }
        for count in [sessions.len(), accounts.len()] {
            bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        }
        for session in sessions {
            bytes.extend_from_slice(&session.to_le_bytes());
        }
        for AccountCutoff { account, except, epoch, revoked_at } in accounts {
            bytes.extend_from_slice(&account.to_le_bytes());
            bytes.extend_from_slice(&except.to_le_bytes());
            bytes.extend_from_slice(&epoch.to_le_bytes());
            bytes.extend_from_slice(&revoked_at.to_le_bytes());
        }
        bytes
    }

    /// Reads a page; fails if the bytes are none. The entries are looked at when they are asked for.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, MalformedPage> {
        Self::read(bytes).ok_or(MalformedPage)
    }

    fn read(bytes: Vec<u8>) -> Option<Self> {
        let rest = bytes.strip_prefix(&MAGIC)?;
        let (kept_for, rest) = rest.split_first_chunk()?;
        let (from, rest) = rest.split_first_chunk()?;
        let (until, rest) = rest.split_first_chunk()?;
        let (as_of, rest) = rest.split_first_chunk()?;
        let (sessions, rest) = rest.split_first_chunk()?;
        let (accounts, rest) = rest.split_first_chunk()?;
        let count = |number: &[u8; 4]| usize::try_from(u32::from_le_bytes(*number)).ok();
        let (sessions, accounts) = (count(sessions)?, count(accounts)?);
        let length = sessions.checked_mul(SESSION)?.checked_add(accounts.checked_mul(ACCOUNT)?)?;
        let span = Span { from: u64::from_le_bytes(*from), until: u64::from_le_bytes(*until) };
        let (as_of, kept_for) = (u64::from_le_bytes(*as_of), u32::from_le_bytes(*kept_for));
        let is_whole = rest.len() == length && span.from < span.until && span.until <= as_of;
        is_whole.then_some(Self { span, as_of, kept_for, revision: 0, sessions, bytes })
    }

    /// Returns whether nothing of its span can be added any more.
    pub fn is_settled(&self) -> bool {
        self.span.until.saturating_add(super::SLACK) <= self.as_of
    }

    /// Returns how many bytes the page takes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    fn sessions(&self) -> &[[u8; SESSION]] {
        let listed = self.bytes.get(HEAD..HEAD + self.sessions * SESSION).unwrap_or_default();
        listed.as_chunks().0
    }

    fn cutoffs(&self, account: u64) -> impl Iterator<Item = AccountCutoff> {
        let listed: &[[u8; ACCOUNT]] =
            self.bytes.get(HEAD + self.sessions * SESSION..).unwrap_or_default().as_chunks().0;
        let first = listed.partition_point(|entry| cutoff(entry).account < account);
        let here = listed.get(first..).unwrap_or_default().iter().map(cutoff);
        here.take_while(move |entry| entry.account == account)
    }

    /// Returns whether a token of this session, account and session epoch is to be refused.
    pub fn covers(&self, session: u64, account: u64, epoch: u64) -> bool {
        self.sessions().binary_search_by_key(&session, |key| u64::from_le_bytes(*key)).is_ok()
            || self.cutoffs(account).any(|cutoff| {
                epoch < u64::from(cutoff.epoch) && (cutoff.except == 0 || cutoff.except != session)
            })
    }

    /// Returns whether the broker credentials of this account are frozen, or everybody's.
    pub fn freezes(&self, account: u64) -> bool {
        [account, EVERYBODY].into_iter().any(|key| self.cutoffs(key).any(|entry| entry.except == FROZEN))
    }

    /// Returns whether something of this account was revoked at or after `time`, in Unix seconds.
    pub fn concerns(&self, account: u64, time: u64) -> bool {
        let revoked = |entry: AccountCutoff| entry.except != FROZEN && u64::from(entry.revoked_at) >= time;
        self.cutoffs(account).any(revoked)
    }
}

fn cutoff(bytes: &[u8; ACCOUNT]) -> AccountCutoff {
    let word = |at: usize| {
        let four = bytes.get(at..).and_then(<[u8]>::first_chunk);
        four.map_or(0, |four| u32::from_le_bytes(*four))
    };
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    AccountCutoff { account: long(0), except: long(8), epoch: word(16), revoked_at: word(20) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const SPAN: Span = Span { from: 1_000, until: 9_000 };

    fn page() -> Vec<u8> {
        let cutoff =
            |account, except, epoch, revoked_at| AccountCutoff { account, except, epoch, revoked_at };
        let accounts = alloc::vec![cutoff(7, 3, 3, 900), cutoff(7, 0, 2, 1000), cutoff(5, 0, u32::MAX, 1)];
        Page::encode(SPAN, 9_000, 960, alloc::vec![9, 1, 4, 9], accounts)
    }

    #[test]
    fn a_session_is_over_and_an_account_begins_anew() {
        let page = Page::parse(page()).unwrap();
        assert_eq!((page.span, page.as_of, page.kept_for), (SPAN, 9_000, 960));
        assert_eq!(page.size(), 40 + 3 * 8 + 3 * 24, "an entry given twice is told of once");
        for session in [1, 4, 9] {
            assert!(page.covers(session, 0, 0) && page.covers(session, 0, 9));
        }
        assert!(!page.covers(2, 0, 0) && !page.covers(10, 0, 0));
        assert!(page.covers(2, 7, 2) && !page.covers(2, 7, 3), "of an earlier epoch and of the present one");
        assert!(!page.covers(3, 7, 2), "the session the others were ended from");
        assert!(page.covers(3, 7, 1), "ended by the other entry all the same");
        assert!(page.covers(2, 5, 1 << 31), "of all");
        assert!(page.concerns(7, 1000) && !page.concerns(7, 1001) && !page.concerns(6, 0));
    }

    #[test]
    fn who_is_frozen_stands_beside_what_ended_and_ends_nothing() {
        let [asha, bela] = [7, 5];
        let ended = AccountCutoff { account: asha, except: 0, epoch: 3, revoked_at: 900 };
        let page = |frozen: &[AccountCutoff]| {
            let accounts = [&[ended], frozen].concat();
            Page::parse(Page::encode(SPAN, 9_000, 960, Vec::new(), accounts)).unwrap()
        };
        let none = page(&[]);
        assert!(!none.freezes(asha) && !none.freezes(bela));
        let one = page(&[AccountCutoff::frozen(bela), AccountCutoff::frozen(bela)]);
        assert!(!one.freezes(asha) && one.freezes(bela));
        assert!(!one.covers(1, bela, 0) && !one.concerns(bela, 0), "it ends no token and is no news");
        let both = page(&[AccountCutoff::frozen(asha)]);
        assert!(both.freezes(asha) && both.covers(1, asha, 2) && !both.covers(1, asha, 3));
        let all = page(&[AccountCutoff::everybody_frozen()]);
        assert!(all.freezes(asha) && all.freezes(bela) && !all.covers(1, bela, 0));
        // As many as a page has, found by a search.
        let many: Vec<_> = (1..=16_384).map(|account| AccountCutoff::frozen(account * 3)).collect();
        let many = page(&many);
        assert!((1..=16_384).all(|account| many.freezes(account * 3) && !many.freezes(account * 3 + 1)));
    }

    #[test]
    fn what_is_cut_too_long_or_out_of_order_is_no_page() {
        let good = page();
        for length in 0..good.len() {
            assert_eq!(Page::parse(good[..length].to_vec()), Err(MalformedPage), "{length}");
        }
        assert!(Page::parse([good.clone(), alloc::vec![0]].concat()).is_err());
        assert!(Page::parse([b"prv2", &good[4..]].concat()).is_err());
        for span in [Span { from: 9_000, until: 9_000 }, Span { from: 1, until: 9_001 }] {
            assert!(Page::parse(Page::encode(span, 9_000, 1, Vec::new(), Vec::new())).is_err(), "{span:?}");
        }
        let mut huge = Page::encode(SPAN, 9_000, 1, Vec::new(), Vec::new());
        huge[32..40].fill(0xff);
        assert!(Page::parse(huge).is_err());
    }

    #[test]
    fn an_id_has_one_key_and_what_is_no_id_has_none() {
        let id = |number: u128| format!("ses_{number:032x}");
        let keys: alloc::collections::BTreeSet<_> =
            (0..1000_u128).flat_map(|n| [n, n << 64, n << 100]).map(|n| key(&id(n)).unwrap()).collect();
        assert_eq!(keys.len(), 2998, "each bit counts");
        for text in ["", "ses_", "ses_1", "séé_1", "sess00000000000000000000000000000000", &id(1)[..35]] {
            assert_eq!(key(text), None, "{text}");
        }
    }
}
