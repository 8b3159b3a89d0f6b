use pinchpoint_load::Zipf;

use crate::{Check, HttpError, HttpSpec, Parameter, RequestSpec};

/// Parameters of one request.
const MOST_PARAMETERS: usize = 8;

/// A request as bytes, with slots for what is drawn.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    /// Text, and the parameter that follows it.
    parts: Vec<(Vec<u8>, Option<usize>)>,
    parameters: Vec<Draw>,
    pub(crate) checks: Vec<Check>,
    pub(crate) reads_body: bool,
    pub(crate) is_head: bool,
    /// Whether it may be sent again when it is not known to have arrived (RFC 9110, 9.2.2).
    pub(crate) is_idempotent: bool,
}

#[derive(Debug, Clone)]
enum Draw {
    Uniform(u64, u64),
    Zipf(u64, Box<Zipf>),
}

impl Template {
    pub(crate) fn new(spec: &HttpSpec, request: &RequestSpec) -> Result<Self, HttpError> {
        let bad = |reason: String| HttpError::Request { name: request.name.clone(), reason };
        let method = if request.method.is_empty() { "GET" } else { request.method.as_str() };
        if !method.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(bad(format!("{method:?} is no method")));
        }
        let parameters = draws(request).map_err(bad)?;
        let mut parts = path(request).map_err(bad)?;
        if let Some((first, _)) = parts.first_mut() {
            first.splice(0..0, format!("{method} ").into_bytes());
        }
        let mut tail = b" HTTP/1.1\r\n".to_vec();
        let named = |name: &str| request.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        // A server refuses a request with two.
        if !named("host") {
            tail.extend_from_slice(format!("Host: {}\r\n", spec.target.authority).as_bytes());
        }
        for (name, value) in &request.headers {
            let token = |b: u8| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&b);
            if name.is_empty() || !name.bytes().all(token) {
                return Err(bad(format!("{name:?} is no name of a header field")));
            }
            if value.bytes().any(|b| b < 0x20 && b != b'\t') {
                return Err(bad(format!("the value of {name} has a control character")));
            }
            tail.extend_from_slice(format!("{name}: ").as_bytes());
            for (text, parameter) in cut(value, request) {
                tail.extend_from_slice(&text);
                if parameter.is_some() {
                    add(&mut parts, std::mem::take(&mut tail), parameter);
                }
            }
            tail.extend_from_slice(b"\r\n");
        }
        if !named("accept") {
            tail.extend_from_slice(b"Accept: */*\r\n");
        }
        if !named("user-agent") {
            let agent = concat!("User-Agent: pinchpoint/", env!("CARGO_PKG_VERSION"), "\r\n");
            tail.extend_from_slice(agent.as_bytes());
        }
        if !spec.keep_alive && !named("connection") {
            tail.extend_from_slice(b"Connection: close\r\n");
        }
        let sends_body = !request.body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH");
        if sends_body && !named("content-length") {
            tail.extend_from_slice(
                format!("Content-Length: {}\r\n", request.body.len()).as_bytes(),
            );
        }
        tail.extend_from_slice(b"\r\n");
        tail.extend_from_slice(&request.body);
        add(&mut parts, tail, None);
        Ok(Self {
            parts,
            parameters,
            reads_body: request.checks.iter().any(Check::reads_body),
            checks: request.checks.clone(),
            is_head: method == "HEAD",
            is_idempotent: matches!(
                method,
                "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE"
            ),
        })
    }

    /// Whether a check says which statuses are right.
    pub(crate) fn checks_status(&self) -> bool {
        self.checks.iter().any(|c| matches!(c, Check::Status(_)))
    }

    /// The request, when nothing in it is drawn.
    pub(crate) fn fixed(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [(text, None)] => Some(text),
            _ => None,
        }
    }

    /// Writes the request with freshly drawn parameters.
    pub(crate) fn fill(&self, rng: &mut fastrand::Rng, out: &mut Vec<u8>) {
        out.clear();
        // Drawn once, wherever and however often it stands.
        let mut drawn = [0_u64; MOST_PARAMETERS];
        for (number, draw) in drawn.iter_mut().zip(&self.parameters) {
            *number = match draw {
                Draw::Uniform(min, max) => rng.u64(*min..=*max),
                Draw::Zipf(min, zipf) => min + zipf.draw(rng) - 1,
            };
        }
        for (text, parameter) in &self.parts {
            out.extend_from_slice(text);
            if let Some(number) = parameter.and_then(|at| drawn.get(at)) {
                put_number(*number, out);
            }
        }
    }
}

/// Text, and the position of the parameter behind it.
type Parts = Vec<(Vec<u8>, Option<usize>)>;

/// The path in parts.
fn path(request: &RequestSpec) -> Result<Parts, String> {
    let path = request.path.as_str();
    if !path.starts_with('/') {
        return Err(format!("the path {path:?} does not begin with /"));
    }
    if path.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return Err(format!("the path {path:?} has a space or a control character; encode it"));
    }
    if !request.parameters.is_empty() {
        let mut rest = path;
        while let Some((_, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a { in its path is not closed")?;
            if request.parameters.iter().all(|p| p.name != name) {
                return Err(format!("its path has a slot for {name}, which is not defined"));
            }
            rest = after;
        }
    }
    Ok(cut(path, request))
}

/// A text in parts. Braces around anything but a parameter stand for themselves.
fn cut(text: &str, request: &RequestSpec) -> Parts {
    let (mut parts, mut before, mut rest) = (Vec::new(), String::new(), text);
    while let Some((literal, after)) = rest.split_once('{') {
        before.push_str(literal);
        let slot = after.split_once('}').and_then(|(name, after)| {
            Some((request.parameters.iter().position(|p| p.name == name)?, after))
        });
        if let Some((parameter, after)) = slot {
            parts.push((std::mem::take(&mut before).into_bytes(), Some(parameter)));
            rest = after;
        } else {
            before.push('{');
            rest = after;
        }
    }
    before.push_str(rest);
    parts.push((before.into_bytes(), None));
    parts
}

/// Adds a part; text behind text is one text.
fn add(parts: &mut Parts, text: Vec<u8>, parameter: Option<usize>) {
    match parts.last_mut() {
        Some((last, slot @ None)) => {
            last.extend_from_slice(&text);
            *slot = parameter;
        }
        _ => parts.push((text, parameter)),
    }
}

fn draws(request: &RequestSpec) -> Result<Vec<Draw>, String> {
    if request.parameters.len() > MOST_PARAMETERS {
        return Err(format!("it has more than {MOST_PARAMETERS} parameters"));
    }
    let draw = |p: &Parameter| {
        if p.min > p.max {
            return Err(format!("its parameter {} has its least above its largest", p.name));
        }
        Ok(match p.zipf {
            None => Draw::Uniform(p.min, p.max),
            Some(exponent) if exponent > 0.0 && exponent.is_finite() => {
                let values = (p.max - p.min).saturating_add(1);
                Draw::Zipf(p.min, Box::new(Zipf::new(values, exponent)))
            }
            Some(_) => {
                return Err(format!("the exponent of its parameter {} is not above 0", p.name));
            }
        })
    };
    request.parameters.iter().map(draw).collect()
}

/// Decimal digits; `write!` would cost several times as much.
fn put_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Target;

    #[test]
    fn a_parameter_is_drawn_once_for_path_and_headers() {
        let request = RequestSpec {
            path: "/users/{id}?x={id}".into(),
            parameters: vec![Parameter { name: "id".into(), min: 1, max: 1_000_000, zipf: None }],
            headers: vec![("cookie".into(), "session=s-{id}; {other}".into())],
            ..RequestSpec::default()
        };
        let template = template(&request).unwrap();
        let (mut rng, mut out) = (fastrand::Rng::with_seed(1), Vec::new());
        for _ in 0..100 {
            template.fill(&mut rng, &mut out);
            let text = String::from_utf8(out.clone()).unwrap();
            let id = text.split("?x=").nth(1).unwrap().split(' ').next().unwrap();
            assert!(text.starts_with(&format!("GET /users/{id}?x={id} HTTP/1.1\r\n")), "{text}");
            assert!(text.contains(&format!("\r\ncookie: session=s-{id}; {{other}}\r\n")), "{text}");
        }
    }

    fn template(request: &RequestSpec) -> Result<Template, HttpError> {
        let spec = HttpSpec {
            target: Target::parse("http://127.0.0.1:81").unwrap().0,
            requests: Vec::new(),
            timeout: Duration::from_secs(1),
            keep_alive: true,
            insecure: false,
        };
        Template::new(&spec, request)
    }

    fn get(path: &str) -> RequestSpec {
        RequestSpec { name: "r".to_owned(), path: path.to_owned(), ..RequestSpec::default() }
    }

    #[test]
    fn a_request_without_slots_is_made_once() {
        let made = template(&RequestSpec {
            method: "POST".to_owned(),
            headers: vec![("X-A".to_owned(), "b".to_owned())],
            body: b"{}".to_vec(),
            ..get("/a?b={c}")
        })
        .unwrap();
        let text = String::from_utf8(made.fixed().unwrap().to_vec()).unwrap();
        let agent = concat!("User-Agent: pinchpoint/", env!("CARGO_PKG_VERSION"));
        assert_eq!(
            text,
            format!(
                "POST /a?b={{c}} HTTP/1.1\r\nHost: 127.0.0.1:81\r\nX-A: b\r\nAccept: */*\r\n{agent}\r\n\
                 Content-Length: 2\r\n\r\n{{}}"
            )
        );
    }

    #[test]
    fn slots_are_drawn_within_their_range() {
        let parameters = vec![
            Parameter { name: "id".to_owned(), min: 7, max: 9, zipf: None },
            Parameter { name: "p".to_owned(), min: 3, max: 3, zipf: Some(1.0) },
        ];
        let made = template(&RequestSpec { parameters, ..get("/u/{id}/x{p}") }).unwrap();
        assert_eq!(made.fixed(), None);
        let (mut rng, mut out) = (fastrand::Rng::with_seed(1), Vec::new());
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            made.fill(&mut rng, &mut out);
            let line = String::from_utf8(out.clone()).unwrap();
            let line = line.lines().next().unwrap().to_owned();
            assert!(line.ends_with("/x3 HTTP/1.1"), "{line}");
            seen.insert(line["GET /u/".len()..].chars().next().unwrap());
        }
        assert_eq!(seen.into_iter().collect::<String>(), "789");
    }

    #[test]
    fn fields_of_the_user_stand_instead_of_ours() {
        let mine = ["Host: a.example", "accept: text/json", "User-Agent: me", "content-length: 3"];
        let fields = mine.iter().filter_map(|f| f.split_once(": "));
        let request = RequestSpec {
            method: "POST".to_owned(),
            body: b"abc".to_vec(),
            headers: fields.map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            ..get("/")
        };
        let made = template(&request).unwrap();
        let text = String::from_utf8(made.fixed().unwrap().to_vec()).unwrap();
        assert_eq!(text, format!("POST / HTTP/1.1\r\n{}\r\n\r\nabc", mine.join("\r\n")));
    }

    #[test]
    fn what_would_break_the_request_is_refused() {
        let field = |name: &str, value: &str| RequestSpec {
            headers: vec![(name.to_owned(), value.to_owned())],
            ..get("/")
        };
        for bad in [
            get("a"),
            get("/a b"),
            get("/a\r\nX: y"),
            field("A B", "c"),
            field("", "c"),
            field("A", "c\r\nX: y"),
            RequestSpec { method: "GET /".to_owned(), ..get("/") },
        ] {
            assert!(template(&bad).is_err(), "{bad:?}");
        }
    }
}
