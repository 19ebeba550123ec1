//! By which names a port may be reached: protection against web pages in browsers that can reach it.

use http::{HeaderMap, HeaderName, header};

/// The names of this machine to itself.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Names that a request may have been sent to, and that pages may come from.
#[derive(Debug)]
pub(crate) struct HostAllowlist {
    /// Beside those of this machine to itself, in lower case.
    further: Vec<String>,
    /// Nobody but this machine can reach the port, but for web pages in its browsers.
    loopback: bool,
}

impl HostAllowlist {
    pub(crate) fn new(further: &[String], loopback: bool) -> Self {
        Self { further: further.iter().map(|name| name.to_ascii_lowercase()).collect(), loopback }
    }

    /// Whether a name that a stranger's DNS server maps to this machine is told apart, and a page of another site.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> bool {
        // Beyond loopback everybody needs a key, which no page of a stranger's has; there, names are checked when they are given.
        let host = (!self.loopback && self.further.is_empty()) || self.knows(headers, &header::HOST);
        host && (self.knows(headers, &header::ORIGIN) || self.is_same_origin(headers))
    }

    /// Whether a header is absent or names this machine.
    fn knows(&self, headers: &HeaderMap, name: &HeaderName) -> bool {
        let Some(value) = headers.get(name) else { return true };
        let value = value.to_str().unwrap_or_default().to_ascii_lowercase();
        let bare = value.strip_prefix("http://").unwrap_or(&value);
        let with_tls = value.strip_prefix("https://").unwrap_or(bare);
        let port =
            |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        let is = |text: &str, name: &str| text.strip_prefix(name).is_some_and(port);
        LOCAL.iter().any(|local| is(bare, local)) || self.further.iter().any(|name| is(with_tls, name))
    }

    /// A page that this very server was reached by. On loopback a stranger's DNS server could have made that so.
    fn is_same_origin(&self, headers: &HeaderMap) -> bool {
        let [host, origin] = [header::HOST, header::ORIGIN].map(|name| headers.get(name).and_then(|v| v.to_str().ok()));
        let bare = origin.map(|origin| origin.trim_start_matches("https://").trim_start_matches("http://"));
        !self.loopback && host.is_some() && host == bare
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn admits(names: &HostAllowlist, headers: &[(HeaderName, &'static str)]) -> bool {
        names.admit(&headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect())
    }

    /// On a loopback address, only local host names and the allowed names pass as `Host` or `Origin`. Names that merely
    /// contain them are rejected.
    #[test]
    fn loopback_admits_only_local_and_allowed_hosts() {
        let names = HostAllowlist::new(&["Ledger.Example.com".to_owned()], true);
        for host in ["localhost", "localhost:8081", "127.0.0.1:8081", "[::1]:8081", "ledger.example.com:443"] {
            assert!(admits(&names, &[(header::HOST, host)]), "{host}");
        }
        for host in ["localhost.evil.example", "evil.example", "127.0.0.1.evil.example:80", "a.ledger.example.com", ""]
        {
            assert!(!admits(&names, &[(header::HOST, host)]), "{host}");
        }
        for origin in ["http://localhost:3000", "https://ledger.example.com"] {
            assert!(admits(&names, &[(header::HOST, "localhost"), (header::ORIGIN, origin)]), "{origin}");
        }
        for origin in ["https://localhost", "null", "http://evil.example", "http://localhost.evil.example"] {
            assert!(!admits(&names, &[(header::HOST, "localhost"), (header::ORIGIN, origin)]), "{origin}");
        }
        assert!(!admits(&names, &[(header::HOST, "evil.example"), (header::ORIGIN, "http://evil.example")]));
    }

    /// On other addresses any `Host` passes until names are configured, and an `Origin` must name the same host.
    #[test]
    fn public_listener_admits_any_host_by_default() {
        let any = HostAllowlist::new(&[], false);
        assert!(admits(&any, &[(header::HOST, "ledger.example.com")]));
        assert!(admits(&any, &[(header::HOST, "a.example"), (header::ORIGIN, "https://a.example")]));
        assert!(!admits(&any, &[(header::HOST, "a.example"), (header::ORIGIN, "https://evil.example")]));
        let given = HostAllowlist::new(&["a.example".to_owned()], false);
        assert!(admits(&given, &[(header::HOST, "a.example")]));
        assert!(!admits(&given, &[(header::HOST, "b.example")]));
    }
}
