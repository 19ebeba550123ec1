//! The host names by which a port can be reached: protection against DNS rebinding.

use http::{HeaderMap, HeaderName, header};

/// The loopback names.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Verifies the headers `Host` and `Origin` of a request.
#[derive(Debug)]
pub(crate) struct HostAllowlist {
    /// The configured names, in lower case.
    allowed: Vec<String>,
    /// The port listens on a loopback address only.
    loopback: bool,
}

impl HostAllowlist {
    pub(crate) fn new(allowed: &[String], loopback: bool) -> Self {
        Self { allowed: allowed.iter().map(|name| name.to_ascii_lowercase()).collect(), loopback }
    }

    /// Whether the request was sent to an allowed host name and, from a browser, by a page of an allowed origin.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> bool {
        // On other addresses every request needs a key, which a foreign page does not have. Host names are verified there if
        // some are configured.
        let host_is_allowed = (!self.loopback && self.allowed.is_empty()) || self.allows_header(headers, &header::HOST);
        host_is_allowed && (self.allows_header(headers, &header::ORIGIN) || self.is_same_origin(headers))
    }

    /// Whether the header is missing or contains an allowed name.
    fn allows_header(&self, headers: &HeaderMap, name: &HeaderName) -> bool {
        let Some(value) = headers.get(name) else { return true };
        let value = value.to_str().unwrap_or_default().to_ascii_lowercase();
        let without_http = value.strip_prefix("http://").unwrap_or(&value);
        let without_scheme = value.strip_prefix("https://").unwrap_or(without_http);
        let is_port_suffix =
            |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        let matches_name = |text: &str, name: &str| text.strip_prefix(name).is_some_and(is_port_suffix);
        LOCAL.iter().any(|local| matches_name(without_http, local))
            || self.allowed.iter().any(|name| matches_name(without_scheme, name))
    }

    /// Whether the page has the same origin as the request. On a loopback address this proves nothing, because DNS rebinding
    /// gives a foreign page the same origin.
    fn is_same_origin(&self, headers: &HeaderMap) -> bool {
        let [host, origin] = [header::HOST, header::ORIGIN].map(|name| headers.get(name).and_then(|v| v.to_str().ok()));
        let origin_host = origin.map(|origin| origin.trim_start_matches("https://").trim_start_matches("http://"));
        !self.loopback && host.is_some() && host == origin_host
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
