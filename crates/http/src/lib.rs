//! Listeners: the certificate authority, TLS configuration, bounded servers with a clean stop.
