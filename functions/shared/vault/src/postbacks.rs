//! Postbacks: what a broker sends to a platform when an order changes, with a checksum that is made with the API secret. Services
//! have it checked here, so that none of them needs the secret.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use portcullis_identity::{ClientContext, InvalidValue, Service};
use portcullis_store::{AccountStatus, TradingAccountId, TradingAccountStatus};

use crate::Vault;
use crate::error::Error;
use crate::opening::{AccessBy, AccessRequest};

/// The name of the counter that limits how often a service asks.
const OPERATION: &str = "postbacks";
/// A wrong checksum is one of 2^256, so this is not about guessing: each question decrypts something.
const PER_MINUTE: u64 = 600;
const PURPOSE: &str = "verify-postback";
/// What stands for a digit in the time of an order.
const TIME: &[u8] = b"dddd-dd-dd dd:dd:dd";

/// What a broker said of an order, and how it vouches for it.
#[derive(Debug, Clone)]
pub struct Postback {
    /// The order's id at the broker.
    pub order_id: OrderId,
    /// When the order changed.
    pub order_timestamp: OrderTime,
    /// The broker's checksum over both and the secret.
    pub checksum: Checksum,
}

/// The id of an order at a broker: 1 to 64 letters, digits, `-` and `_`.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct OrderId(pub(crate) String);

/// The time of an order as Kite writes it, `YYYY-MM-DD hh:mm:ss`. Its length is fixed, so that what is joined to it cannot be read in
/// two ways.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct OrderTime(pub(crate) String);

/// A SHA-256 in hexadecimal, in small letters.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Checksum(String);

impl OrderId {
    /// Returns the id; fails when it has other characters, or is empty or too long.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidValue::new("1 to 64 letters, digits, `-` and `_` are needed"))
    }
}

impl OrderTime {
    /// Returns the time; fails when it is not of that form.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let fits =
            |(byte, form): (u8, &u8)| if *form == b'd' { byte.is_ascii_digit() } else { byte == *form };
        if text.len() == TIME.len() && text.bytes().zip(TIME).all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidValue::new("YYYY-MM-DD hh:mm:ss is needed"))
    }
}

impl Checksum {
    /// Returns the checksum; fails when it is not 64 hexadecimal digits in small letters.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let allowed = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 64 && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidValue::new("64 hexadecimal digits are needed"))
    }
}

macro_rules! read_by_parsing {
    ($($name:ident),+) => {
        $(impl TryFrom<String> for $name {
            type Error = InvalidValue;

            fn try_from(text: String) -> Result<Self, InvalidValue> {
                Self::parse(&text)
            }
        })+
    };
}

read_by_parsing!(OrderId, OrderTime, Checksum);

impl Vault {
    /// Returns whether the broker of an account made this checksum, for a service with the right; never for a broker that makes
    /// none. Fails when the service has no such right or asks too often, and when the account is unknown or disabled.
    ///
    /// A freeze does not stop it: nothing leaves the vault but this one bit, and what a postback tells then is that an order was
    /// cancelled.
    pub async fn verify_postback(
        &self,
        service: &Service,
        id: TradingAccountId,
        postback: &Postback,
        origin: &ClientContext,
    ) -> Result<bool, Error> {
        service.require("postback", "verify")?;
        let now = self.identity.clock.now();
        let (wait, owner) = tokio::try_join!(
            self.store().reserve_request(OPERATION, &service.name, PER_MINUTE, now),
            self.store().trading_account_owner(id),
        )?;
        if let Some(retry_after) = wait {
            return Err(Error::TooManyReads { retry_after });
        }
        let owner = owner.ok_or_else(Error::not_found)?;
        let (account, person) =
            tokio::try_join!(self.store().trading_account(owner, id), self.store().account(owner))?;
        let account = account.ok_or_else(Error::not_found)?;
        let is_active = person.is_some_and(|person| person.status == AccountStatus::Active);
        if !is_active || account.status == TradingAccountStatus::Disabled {
            return Err(Error::Disabled);
        }
        let broker = self.brokers().of_record(&account.broker)?;
        if !broker.signs_postbacks() {
            return Ok(false);
        }
        let by = AccessBy::Service(&service.name, PURPOSE);
        let access = AccessRequest { owner, id, origin, by, during_freeze: false };
        let credentials = self.open_credentials(access, &account).await?;
        let Some(expected) = broker.postback_checksum(&credentials, postback) else { return Ok(false) };
        Ok(verify_slices_are_equal(expected.as_bytes(), postback.checksum.0.as_bytes()).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_cannot_be_read_in_two_ways() {
        assert!(OrderTime::parse("2026-11-30 09:24:25").is_ok());
        for wrong in
            ["", "2026-11-30T09:24:25", "2026-11-30 09:24:2", "12026-11-30 09:24:25", "२०२६-11-30 09:24"]
        {
            assert!(OrderTime::parse(wrong).is_err(), "{wrong}");
        }
        assert!(OrderId::parse("220303000308932").is_ok());
        assert!([&"1".repeat(65), "", "1 2", "१"].iter().all(|wrong| OrderId::parse(wrong).is_err()));
        assert!(Checksum::parse(&"a0".repeat(32)).is_ok());
        for wrong in [&"A0".repeat(32), &"a0".repeat(31), &"g0".repeat(32)] {
            assert!(Checksum::parse(wrong).is_err(), "{wrong}");
        }
    }
}
