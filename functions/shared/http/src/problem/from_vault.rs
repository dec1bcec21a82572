//! What clients learn about the errors of `vault`: the one place where the two meet.

use portcullis_vault::{BrokerError, Error};

use super::{Code, Problem};

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Identity(error) => error.into(),
            Error::TooManyTradingAccounts => Code::TooManyTradingAccounts.into(),
            Error::Frozen => Code::CredentialsFrozen.into(),
            Error::NothingToCancel => Code::NothingToCancel.into(),
            Error::Disabled => Code::TradingAccountDisabled.into(),
            Error::Unreadable => Code::CredentialUnavailable.into(),
            Error::NoBrokerSession => Code::NoBrokerSession.into(),
            Error::SessionsUnknown => Code::BrokerWithoutSessions.into(),
            Error::TooManyReads { retry_after } => {
                Self::new(Code::TooManyAttempts).with_retry_after(retry_after)
            }
            Error::Broker { advice, cause } => {
                let passes = matches!(cause, BrokerError::Down | BrokerError::RateLimited);
                let code = if passes { Code::BrokerUnavailable } else { Code::BrokerRefused };
                Self::new(code).with_detail(advice)
            }
        }
    }
}
