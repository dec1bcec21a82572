//! Since when the trail of one person is as it was written, for the person to ask at any time: of each of the two chains
//! the newest records are verified, so many that it costs little.
//!
//! `verification` says what can be wrong with a chain. Here a record that the head alone still has counts as there: the
//! next event writes it again.

use jiff::Timestamp;

use super::chain::{Chain, Placed};
use super::seal::AuditSeal;
use super::verification::{Group, Wrong, begins_otherwise};
use crate::attributes::ItemReader;
use crate::connection::Store;
use crate::error::StoreError;
use crate::id::AccountId;
use crate::item::Attributes;

/// How far back a trail is as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrailIntegrity {
    /// When the first record was written from which on every record is there and unchanged; `None` where not even the last
    /// one is.
    pub whole_since: Option<Timestamp>,
    /// Whether a record before that was changed or is missing. Where `false`, everything is whole that is kept, or that was
    /// looked at.
    pub is_damaged: bool,
}

/// The newest part of a chain, as it was found.
#[derive(Debug)]
enum Part {
    /// All that is kept of it is as it was written, from this time on if there is anything.
    Whole(Option<Timestamp>),
    /// It is as it was written from this time on. Before that there is more that was not looked at.
    Since(Timestamp),
    /// Something is wrong, and everything behind it was written from this time on.
    Damaged(Option<Timestamp>),
}

impl Store {
    /// Verifies the trail of an account, whose sign-ins lie under this address: of each of its two chains the `most` newest
    /// records. A chain in which something seems wrong is read once more, so that a record written meanwhile is none.
    pub async fn trail_integrity(
        &self,
        (account, made): (AccountId, Timestamp),
        email: &str,
        most: usize,
        seal: &AuditSeal,
        now: Timestamp,
    ) -> Result<TrailIntegrity, StoreError> {
        let of_account = Chain::Account(account);
        let of_sign_ins = Chain::SignIns(email.to_owned());
        // Boxed: each is a future of some size, and they are waited for side by side.
        let (own, sign_ins) = tokio::try_join!(
            Box::pin(self.verified_part((&of_account, Some(made)), most, seal, now)),
            Box::pin(self.verified_part((&of_sign_ins, None), most, seal, now)),
        )?;
        Ok(together(&own, &sign_ins, made))
    }

    async fn verified_part(
        &self,
        chain: (&Chain, Option<Timestamp>),
        most: usize,
        seal: &AuditSeal,
        now: Timestamp,
    ) -> Result<Part, StoreError> {
        let found = self.newest_part(chain, most).await?.verify(most, seal, now);
        match found {
            Part::Damaged(_) => Ok(self.newest_part(chain, most).await?.verify(most, seal, now)),
            found => Ok(found),
        }
    }

    /// Reads the newest records of a chain and its head; `made` is when its account was, for the chain of an account.
    async fn newest_part(
        &self,
        (chain, made): (&Chain, Option<Timestamp>),
        most: usize,
    ) -> Result<Newest, StoreError> {
        let partition = chain.partition();
        let mut items = self
            .chain_query(&partition)
            .scan_index_forward(false)
            .into_paginator()
            // The head, and one more than is verified, which tells whether there are more.
            .page_size(i32::try_from(most + 2).unwrap_or(i32::MAX))
            .items()
            .send();
        let (mut records, mut head) = (Vec::new(), None);
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| StoreError::from_sdk("verifying a trail", error))?;
            if item.contains_key("latest") {
                head = Some(item);
            } else {
                records.push(item);
            }
            if records.len() > most {
                break;
            }
        }
        records.reverse();
        let in_account = match chain {
            Chain::Account(account) if head.is_none() && records.len() <= 1 => {
                Box::pin(self.end_in_account(*account)).await?.head.map(|first| first.item)
            }
            _ => None,
        };
        Ok(Newest { partition, records, head, in_account, made })
    }
}

/// The newest records of a chain, oldest first, and what says that they are the last.
struct Newest {
    partition: String,
    records: Vec<Attributes>,
    head: Option<Attributes>,
    in_account: Option<Attributes>,
    made: Option<Timestamp>,
}

impl Newest {
    fn verify(mut self, most: usize, seal: &AuditSeal, now: Timestamp) -> Part {
        let is_cut = self.records.len() > most;
        self.restore_last(seal);
        let first = self.records.first().map_or(0, number_of);
        let group = Group {
            partition: self.partition,
            items: self.records.iter().cloned().chain(self.head).collect(),
            in_account: self.in_account,
        };
        // The registration is not among records that are cut off.
        let made = self.made.filter(|_| !is_cut);
        let lacks_registration =
            made.is_some_and(|made| begins_otherwise(self.records.first(), made, seal, now));
        // What is before the first one that was read is not missing.
        let findings = group.findings(seal, now);
        let seen = findings.iter().filter(|finding| !is_cut || finding.number >= first);
        // A record that is not linked is intact itself: it tells of the one before it.
        let wrong = seen.map(|finding| match finding.what {
            Wrong::Unlinked => finding.number.saturating_sub(1),
            _ => finding.number,
        });
        match wrong.chain(lacks_registration.then_some(1)).max() {
            Some(wrong) => Part::Damaged(since(self.records.iter().find(|record| number_of(record) > wrong))),
            None if is_cut => since(self.records.first()).map_or(Part::Damaged(None), Part::Since),
            None => Part::Whole(since(self.records.first())),
        }
    }

    /// Takes over the record that the head, or the row of the account, alone has: its writer was cut off, or it was removed
    /// and comes back.
    fn restore_last(&mut self, seal: &AuditSeal) {
        let of_head = self.head.clone().and_then(|head| Placed::of_head(head).ok());
        let of_account = self.in_account.clone().and_then(|first| Placed::of(first).ok());
        let Some(last) = of_head.or(of_account).filter(|last| seal.is_intact(&last.item)) else { return };
        if last.number == self.records.last().map_or(0, number_of) + 1 {
            self.records.push(last.item);
        }
    }
}

/// What the two chains of an account say together. Its address may have a past without it.
fn together(own: &Part, sign_ins: &Part, made: Timestamp) -> TrailIntegrity {
    let parts = [own, sign_ins];
    let is_damaged = parts.iter().any(|part| matches!(part, Part::Damaged(_)));
    let limits = parts.iter().filter_map(|part| match part {
        Part::Whole(_) => None,
        Part::Since(at) => Some(Some(*at)),
        Part::Damaged(at) => Some(*at),
    });
    let beginnings = parts.iter().filter_map(|part| match part {
        Part::Whole(at) => *at,
        Part::Since(_) | Part::Damaged(_) => None,
    });
    let limits: Option<Vec<Timestamp>> = limits.collect();
    let whole_since = limits.and_then(|limits| limits.into_iter().max().or_else(|| beginnings.min()));
    TrailIntegrity { whole_since: whole_since.map(|at| at.max(made)), is_damaged }
}

fn number_of(record: &Attributes) -> u64 {
    ItemReader::new("audit", record.clone()).number("seq").unwrap_or(0)
}

fn since(record: Option<&Attributes>) -> Option<Timestamp> {
    ItemReader::new("audit", record?.clone()).time("at").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_trail_is_whole_since_the_later_of_its_chains() {
        let made = at(10);
        let cases = [
            (Part::Whole(Some(at(10))), Part::Whole(Some(at(12))), Some(at(10)), false),
            (Part::Whole(Some(at(10))), Part::Whole(Some(at(3))), Some(at(10)), false),
            (Part::Whole(None), Part::Whole(None), None, false),
            (Part::Whole(Some(at(10))), Part::Since(at(50)), Some(at(50)), false),
            (Part::Since(at(70)), Part::Since(at(50)), Some(at(70)), false),
            (Part::Since(at(40)), Part::Damaged(Some(at(50))), Some(at(50)), true),
            (Part::Damaged(None), Part::Whole(Some(at(12))), None, true),
        ];
        for (own, sign_ins, whole_since, is_damaged) in cases {
            let said = together(&own, &sign_ins, made);
            assert_eq!(said, TrailIntegrity { whole_since, is_damaged }, "{own:?} {sign_ins:?}");
        }
    }
}
