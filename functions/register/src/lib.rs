//! functions/register
