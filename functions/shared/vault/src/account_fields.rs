//! Fields of trading accounts and of requests for them, checked when they are parsed.

use std::net::IpAddr;

use portcullis_identity::{InvalidValue, printable};

/// The owner's user id at the broker: 1 to 64 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct BrokerUser(pub(crate) String);

impl BrokerUser {
    /// Returns the user id without the space around it; fails when it is not 1 to 64 visible ASCII characters.
    pub fn parse(typed: &str) -> Result<Self, InvalidValue> {
        let text = typed.trim();
        if (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidValue::new("1 to 64 visible ASCII characters are needed"))
    }
}

/// The owner's label for an account: 1 to 100 characters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Label(pub(crate) String);

impl Label {
    /// Returns the label without the space around it; fails when it is not 1 to 100 printable characters.
    pub fn parse(typed: &str) -> Result<Self, InvalidValue> {
        printable(typed, 100).map(Self)
    }
}

/// The purpose that a service names to read a session in spite of a freeze.
pub(crate) const CANCEL_ORDERS: &str = "cancel-orders";

/// The purpose for which a service reads credentials, as it is in the audit trail: 1 to 64 of `a-z 0-9 . _ : -`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Purpose(pub(crate) String);

impl Purpose {
    /// Returns the purpose of a service that named none.
    pub fn unspecified() -> Self {
        Self("unspecified".to_owned())
    }

    /// Returns whether orders are to be cancelled with what is read.
    pub(crate) fn is_to_cancel(&self) -> bool {
        self.0 == CANCEL_ORDERS
    }

    /// Returns the purpose; fails when it has other characters than those, or is too long.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._:-".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidValue::new("1 to 64 of a-z, 0-9, `.`, `_`, `:` and `-` are needed"))
    }
}

/// The reason that an administrator gives for a freeze: 1 to 200 printable characters.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct FreezeReason(pub(crate) String);

impl FreezeReason {
    /// Returns the reason without the space around it; fails when it is not 1 to 200 printable characters.
    pub fn parse(typed: &str) -> Result<Self, InvalidValue> {
        printable(typed, 200).map(Self)
    }
}

/// The addresses that orders of an account are sent from, as they are registered at the broker: one or two.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct OrderIps(pub(crate) Vec<IpAddr>);

impl OrderIps {
    /// Returns the addresses; fails when they are not one or two different IPv4 or IPv6 addresses of single machines.
    pub fn parse(typed: &[String]) -> Result<Self, InvalidValue> {
        let needed = || InvalidValue::new("one or two different IP addresses of machines are needed");
        let parsed: Vec<IpAddr> =
            typed.iter().map(|text| text.trim().parse().map_err(|_| needed())).collect::<Result<_, _>>()?;
        let is_machine = |ip: &IpAddr| {
            !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || is_broadcast(*ip))
        };
        match parsed.as_slice() {
            [one] if is_machine(one) => Ok(Self(parsed)),
            [one, two] if one != two && is_machine(one) && is_machine(two) => Ok(Self(parsed)),
            _ => Err(needed()),
        }
    }
}

fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(v4) if v4.is_broadcast())
}

impl TryFrom<Vec<String>> for OrderIps {
    type Error = InvalidValue;

    fn try_from(typed: Vec<String>) -> Result<Self, InvalidValue> {
        Self::parse(&typed)
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

read_by_parsing!(BrokerUser, Label, Purpose, FreezeReason);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_from_one_machine_or_two() {
        let parse = |typed: &[&str]| {
            let typed: Vec<String> = typed.iter().map(|text| (*text).to_owned()).collect();
            OrderIps::parse(&typed)
        };
        assert_eq!(parse(&[" 203.0.113.7"]).unwrap().0.len(), 1);
        assert_eq!(parse(&["203.0.113.7", "2001:db8::7"]).unwrap().0.len(), 2);
        for wrong in [
            &[][..],
            &["203.0.113.7", "203.0.113.7"],
            &["203.0.113.7", "203.0.113.8", "203.0.113.9"],
            &["0.0.0.0"],
            &["127.0.0.1"],
            &["255.255.255.255"],
            &["203.0.113.7", "::1"],
            &["224.0.0.1"],
            &["203.0.113.0/24"],
            &["host.example"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
