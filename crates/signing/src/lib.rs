//! Keys, DSSE envelopes, in-toto statements and the two cosign layouts.
