//! The headers by which the edge tells a service who sends a request: listed once, here.

use core::array;

/// Declares [`IdentityHeaders`] from one list of fields and header names.
macro_rules! identity_headers {
    ($($(#[$documentation:meta])* $field:ident = $name:literal,)*) => {
        /// One value for each identity header, in the order in which the proof covers them. A value that does not apply
        /// (the session of an API key) is empty, and an empty value is not sent.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct IdentityHeaders<T> {
            $($(#[$documentation])* pub $field: T,)*
        }

        impl<T> IdentityHeaders<T> {
            /// The names, in lower case.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// Returns the values that `value` finds for each name, as a service reads them from a request.
            pub fn read(mut value: impl FnMut(&'static str) -> T) -> Self {
                Self { $($field: value($name),)* }
            }

            /// Returns each name with a reference to its value.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, &T)> {
                [$(($name, &self.$field)),*].into_iter()
            }
        }

        /// Each name with its value.
        impl<T> IntoIterator for IdentityHeaders<T> {
            type Item = (&'static str, T);
            type IntoIter = array::IntoIter<Self::Item, { IdentityHeaders::<()>::NAMES.len() }>;

            fn into_iter(self) -> Self::IntoIter {
                [$(($name, self.$field)),*].into_iter()
            }
        }

        impl<T: AsRef<str>> IdentityHeaders<T> {
            /// Returns the same headers with borrowed values.
            pub fn borrowed(&self) -> IdentityHeaders<&str> {
                IdentityHeaders { $($field: self.$field.as_ref(),)* }
            }
        }
    };
}

identity_headers! {
    /// The id of the caller.
    user_id = "x-user-id",
    /// The caller's e-mail address.
    email = "x-user-email",
    /// The caller's roles, separated by commas.
    roles = "x-user-roles",
    /// The scopes an API key is narrowed to, separated by commas.
    scopes = "x-user-scopes",
    /// The session a token belongs to.
    session_id = "x-session-id",
    /// `jwt` or `api_key`.
    auth_method = "x-auth-method",
    /// The id of the request.
    request_id = "x-request-id",
    /// The address of the client.
    client_address = "x-client-address",
    /// The approval that was spent for the request, where it needed one.
    approval_id = "x-approval-id",
    /// What the order that was approved is to be tagged with at the broker.
    approval_order_tag = "x-approval-order-tag",
}

/// The last so many are of requests that were approved.
pub(crate) const OF_APPROVALS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_by_name_is_written_by_name() {
        let headers = IdentityHeaders::read(|name| name);
        assert!(headers.iter().all(|(name, value)| name == *value));
        assert_eq!(
            headers.iter().map(|(name, _)| name).collect::<alloc::vec::Vec<_>>(),
            IdentityHeaders::<()>::NAMES
        );
        assert_eq!(headers.session_id, "x-session-id");
    }
}
