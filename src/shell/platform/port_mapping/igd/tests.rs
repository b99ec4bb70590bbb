//! A router of the test on the loopback interface, and others that are none.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::*;

const INSIDE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 2), 40_000);

/// What a router says of itself.
fn description(control: &str) -> String {
    let device = |kind: &str, inner: &str| {
        format!("<device><deviceType>urn:schemas-upnp-org:device:{kind}:1</deviceType>{inner}</device>")
    };
    let list = |devices: String| format!("<deviceList>{devices}</deviceList>");
    let service = format!(
        "<serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
         <controlURL>{control}</controlURL><SCPDURL>/scpd</SCPDURL></service></serviceList>"
    );
    let wan = device("WANDevice", &list(device("WANConnectionDevice", &service)));
    let root = device("InternetGatewayDevice", &list(wan));
    format!("<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\">{root}</root>")
}

fn actions() -> String {
    let argument = |name: &&str| format!("<argument><name>{name}</name><direction>in</direction></argument>");
    let action = |name: &str, arguments: &[&str]| {
        let arguments: String = arguments.iter().map(argument).collect();
        format!("<action><name>{name}</name><argumentList>{arguments}</argumentList></action>")
    };
    let key = ["NewRemoteHost", "NewExternalPort", "NewProtocol"];
    let more = ["NewInternalPort", "NewInternalClient", "NewEnabled", "NewPortMappingDescription"];
    let all = [&key[..], &more, &["NewLeaseDuration"]].concat();
    let list = action("GetExternalIPAddress", &[])
        + &action("AddPortMapping", &all)
        + &action("DeletePortMapping", &key);
    format!(
        "<?xml version=\"1.0\"?><scpd xmlns=\"urn:schemas-upnp-org:service-1-0\"><actionList>{list}</actionList></scpd>"
    )
}

fn soap(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">\
         <s:Body>{body}</s:Body></s:Envelope>"
    )
}

fn fault(code: u16) -> String {
    soap(&format!(
        "<s:Fault><detail><UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>{code}</errorCode>\
         <errorDescription>no</errorDescription></UPnPError></detail></s:Fault>"
    ))
}

/// What a friendly router answers.
fn friendly(request: &str) -> String {
    if request.starts_with("GET /desc") {
        description("/control")
    } else if request.starts_with("GET /scpd") {
        actions()
    } else if request.contains("#GetExternalIPAddress") {
        soap(
            "<u:GetExternalIPAddressResponse xmlns:u=\"x\"><NewExternalIPAddress>198.51.100.7\
             </NewExternalIPAddress></u:GetExternalIPAddressResponse>",
        )
    } else if request.contains("#AddPortMapping") {
        soap("<u:AddPortMappingResponse xmlns:u=\"x\"/>")
    } else {
        soap("<u:DeletePortMappingResponse xmlns:u=\"x\"/>")
    }
}

/// A router: where it is, and what it was asked.
struct Router {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Router {
    fn new(ip: &str, answer: impl Fn(&str) -> String + Send + 'static) -> Router {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let request = read(&mut stream);
                let body = answer(&request);
                heard.lock().unwrap().push(request);
                let length = body.len();
                let head =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all((head + &body).as_bytes());
            }
        });
        Router { port, requests }
    }

    /// An answer to a search that names it.
    fn answer(&self, ip: &str) -> Vec<u8> {
        let port = self.port;
        format!("HTTP/1.1 200 OK\r\nST: x\r\nLOCATION: http://{ip}:{port}/desc\r\n\r\n").into_bytes()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// So often it was asked to map a port.
    fn adds(&self) -> usize {
        self.requests().iter().filter(|request| request.contains("#AddPortMapping")).count()
    }

    fn ask(&self) -> Option<(Mapped, Mapping)> {
        Mapping::ask_router(INSIDE, (Ipv4Addr::LOCALHOST, self.answer("127.0.0.1")))
    }
}

/// A request with its body.
fn read(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut chunk = [0; 4_096];
    loop {
        let count = stream.read(&mut chunk).unwrap_or(0);
        request.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if count == 0 || is_whole(&text) {
            return text;
        }
    }
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    body.len() >= length.map_or(0, |length| length.trim().parse().unwrap())
}

fn value<'a>(request: &'a str, name: &str) -> &'a str {
    let (_, rest) = request.split_once(&format!("<{name}>")).unwrap();
    rest.split_once('<').unwrap().0
}

#[test]
fn a_router_maps_renews_and_ends() {
    let router = Router::new("127.0.0.1", friendly);
    let (mapped, mapping) = router.ask().unwrap();
    let outside = "198.51.100.7:40000".parse().unwrap();
    assert_eq!(mapped, Mapped { outside, lease_secs: 1_200 });
    let (mapped, mapping) = mapping.renew().unwrap();
    assert_eq!((mapped.outside, router.adds()), (outside, 2));
    mapping.end();
    let requests = router.requests();
    let add = requests.iter().find(|request| request.contains("#AddPortMapping")).unwrap();
    for (name, said) in [
        ("NewInternalClient", "192.168.1.2"),
        ("NewInternalPort", "40000"),
        ("NewExternalPort", "40000"),
        ("NewProtocol", "TCP"),
        ("NewLeaseDuration", "1200"),
        ("NewPortMappingDescription", "Hobnob"),
    ] {
        assert_eq!(value(add, name), said, "{name}");
    }
    let last = requests.last().unwrap();
    assert!(last.contains("#DeletePortMapping") && value(last, "NewExternalPort") == "40000", "{last}");
}

#[test]
fn another_port_is_tried_if_somebody_has_the_first() {
    let router = Router::new("127.0.0.1", |request| {
        let taken = request.contains("#AddPortMapping") && value(request, "NewExternalPort") == "40000";
        if taken { fault(718) } else { friendly(request) }
    });
    assert_eq!(router.ask().unwrap().0.outside.port(), 46_151);
    let full = Router::new("127.0.0.1", |request| {
        if request.contains("#AddPortMapping") { fault(718) } else { friendly(request) }
    });
    assert!(full.ask().is_none());
    assert_eq!(full.adds(), 3);
}

#[test]
fn nothing_is_mapped_for_ever() {
    let router = Router::new("127.0.0.1", |request| {
        if request.contains("#AddPortMapping") { fault(725) } else { friendly(request) }
    });
    assert!(router.ask().is_none());
    assert_eq!(router.adds(), 1);
}

#[test]
fn no_other_address_than_the_routers_is_called() {
    let other = Router::new("127.0.0.2", friendly);
    // The answer names another machine.
    let answer = other.answer("127.0.0.2");
    assert!(Mapping::ask_router(INSIDE, (Ipv4Addr::LOCALHOST, answer)).is_none());
    // The router itself does, where it is to be controlled.
    let control = format!("http://127.0.0.2:{}/control", other.port);
    let router = Router::new("127.0.0.1", move |request| {
        if request.starts_with("GET /desc") { description(&control) } else { friendly(request) }
    });
    assert!(router.ask().is_none());
    assert_eq!((router.requests().len(), other.requests().len()), (1, 0));
}

#[test]
fn an_evil_router_gives_nothing() {
    let deep = "<a>".repeat(200_000);
    let endless = "x".repeat(2 << 20);
    for body in [String::new(), "<root/>".into(), deep, endless, "\u{1b}]0;x\u{7}".into()] {
        let router = Router::new("127.0.0.1", move |_| body.clone());
        assert!(router.ask().is_none());
    }
    let answers = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"LOCATION: http://x:1/\r\n", b"LOCATION: \r\n", b"\xff"];
    for answer in answers.map(<[u8]>::to_vec) {
        assert!(Mapping::ask_router(INSIDE, (Ipv4Addr::LOCALHOST, answer)).is_none());
    }
}

#[test]
fn only_the_router_is_heard_when_one_is_searched_for() {
    let network = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let SocketAddr::V4(to) = network.local_addr().unwrap() else { panic!("IPv4") };
    let answering = thread::spawn(move || {
        let mut question = [0; 1_000];
        let (count, searcher) = network.recv_from(&mut question).unwrap();
        let stranger = UdpSocket::bind(("127.0.0.2", 0)).unwrap();
        stranger.send_to(b"stranger", searcher).unwrap();
        network.send_to(b"router", searcher).unwrap();
        String::from_utf8_lossy(&question[..count]).into_owned()
    });
    let found = search(Ipv4Addr::LOCALHOST, to, |from| from == Ipv4Addr::LOCALHOST).unwrap();
    assert_eq!(found, Some((Ipv4Addr::LOCALHOST, b"router".to_vec())));
    let question = answering.join().unwrap();
    assert!(question.starts_with("M-SEARCH * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\n"), "{question}");
}

#[test]
fn nothing_goes_to_a_proxy() {
    let set = |wanted: &'static str| move |name: &str| (name == wanted).then(|| "http://p:1".to_owned());
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        assert!(has_proxy(set(name)), "{name}");
    }
    assert!(!has_proxy(set("https_proxy")) && !has_proxy(|_| Some(String::new())));
}

#[test]
fn further_ports_are_no_low_ones() {
    for port in [0, 80, 1_024, 1_025, 40_000, 60_000, u16::MAX] {
        for steps in [0, MORE_PORTS[0], MORE_PORTS[1]] {
            assert!(further(port, steps) > 1_024, "{port} + {steps}");
        }
    }
    assert_eq!((further(40_000, 0), further(40_000, 6_151)), (40_000, 46_151));
}
