//! As much of HTTP/1.1 as it takes to be asked for one page.

use super::page::Form;

/// The longest head of a request.
pub(super) const HEAD_BYTES: usize = 8_192;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It asks for the page.
    Page(Form),
    /// It asks for what comes before the page.
    Head(Form),
    /// There is no such page.
    NotFound,
    /// It is neither GET nor HEAD.
    NotAllowed,
    /// It is longer than [`HEAD_BYTES`].
    TooLong,
    /// It is no request.
    Bad,
}

/// What becomes of what was read of a request up to now; `None`: its head is not over.
pub(super) fn judge(read: &[u8]) -> Option<Verdict> {
    let over =
        [&b"\r\n\r\n"[..], b"\n\n"].iter().any(|end| read.windows(end.len()).any(|found| found == *end));
    if !over {
        return (read.len() >= HEAD_BYTES).then_some(Verdict::TooLong);
    }
    let line = read.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)) else {
        return Some(Verdict::Bad);
    };
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Some(Verdict::Bad);
    };
    if !matches!(version, "HTTP/1.0" | "HTTP/1.1") || method.is_empty() || !target.starts_with('/') {
        return Some(Verdict::Bad);
    }
    let path = target.split('?').next().unwrap_or(target);
    Some(match (path, method) {
        ("/metrics", "GET") => Verdict::Page(form(read)),
        ("/metrics", "HEAD") => Verdict::Head(form(read)),
        ("/metrics", _) => Verdict::NotAllowed,
        _ => Verdict::NotFound,
    })
}

/// How the page is to be written: as OpenMetrics, unless the request accepts the older text and not that.
fn form(head: &[u8]) -> Form {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let accepted: Vec<&str> = head.lines().filter_map(|line| line.strip_prefix("accept:")).collect();
    let accepts = |kind: &str| accepted.iter().any(|kinds| kinds.contains(kind));
    if accepts("text/plain") && !accepts("application/openmetrics-text") {
        Form::Prometheus
    } else {
        Form::OpenMetrics
    }
}

/// A whole answer, after which the connection ends.
pub(super) fn answer(status: &str, content_type: &str, body: &str) -> String {
    head(status, content_type, body) + body
}

/// What comes before the body.
pub(super) fn head(status: &str, content_type: &str, body: &str) -> String {
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{allow}\
         Connection: close\r\n\r\n"
    )
}

/// The answer to all that is not the page.
pub(super) fn refusal(status: &str) -> String {
    answer(status, "text/plain; charset=utf-8", &format!("{status}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Verdict = Verdict::Page(Form::OpenMetrics);

    #[test]
    fn the_older_text_is_for_those_who_accept_nothing_else() {
        for (accept, form) in [
            ("Accept: text/plain", Form::Prometheus),
            ("accept: text/plain;version=0.0.4;q=0.3, */*;q=0.2", Form::Prometheus),
            ("Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3", Form::OpenMetrics),
            ("Accept: */*", Form::OpenMetrics),
            ("User-Agent: text/plain", Form::OpenMetrics),
        ] {
            let request = format!("GET /metrics HTTP/1.1\r\nHost: a\r\n{accept}\r\n\r\n");
            assert_eq!(judge(request.as_bytes()), Some(Verdict::Page(form)), "{accept}");
        }
    }

    #[test]
    fn only_get_and_head_of_the_page_get_it() {
        for (request, verdict) in [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", Some(PAGE)),
            ("GET /metrics?a=b HTTP/1.0\n\n", Some(PAGE)),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n", None),
            ("", None),
            ("GET / HTTP/1.1\r\n\r\n", Some(Verdict::NotFound)),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", Some(Verdict::NotFound)),
            ("POST /metrics HTTP/1.1\r\n\r\n", Some(Verdict::NotAllowed)),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", Some(Verdict::Head(Form::OpenMetrics))),
            ("HEAD / HTTP/1.1\r\n\r\n", Some(Verdict::NotFound)),
            ("get /metrics HTTP/1.1\r\n\r\n", Some(Verdict::NotAllowed)),
            ("GET  /metrics HTTP/1.1\r\n\r\n", Some(Verdict::Bad)),
            ("GET /metrics HTTP/2\r\n\r\n", Some(Verdict::Bad)),
            ("GET /metrics\r\n\r\n", Some(Verdict::Bad)),
            ("\r\n\r\n", Some(Verdict::Bad)),
            ("GET http://a/metrics HTTP/1.1\r\n\r\n", Some(Verdict::Bad)),
        ] {
            assert_eq!(judge(request.as_bytes()), verdict, "{request:?}");
        }
        assert_eq!(judge(b"\xff\xfe /metrics HTTP/1.1\r\n\r\n"), Some(Verdict::Bad));
        assert_eq!(judge(&[b'a'; HEAD_BYTES - 1]), None);
        assert_eq!(judge(&[b'a'; HEAD_BYTES]), Some(Verdict::TooLong));
    }

    #[test]
    fn an_answer_says_how_long_it_is_and_that_it_is_the_last() {
        assert_eq!(
            refusal("405 Method Not Allowed"),
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 23\r\n\
             Allow: GET, HEAD\r\nConnection: close\r\n\r\n405 Method Not Allowed\n"
        );
    }
}
