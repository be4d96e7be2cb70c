package haproxy

import "muster/modules"

// Proxy is what defaults and all proxies have.
type Proxy struct {
	// What is spoken: "http", or "tcp" for anything else. HAProxy's own default is "tcp".
	Mode string `arg:"mode" oneof:"http tcp log spop"`
	// Where logs go: "global" for where the section "global" says, or as there.
	Log []string `arg:"log"`
	// The program's name in logs.
	LogTag string `arg:"log_tag"`
	// What HAProxy calls options, with their words: "httplog", "dontlognull",
	// "forwardfor except 127.0.0.0/8", "http-server-close", "redispatch",
	// "mysql-check user haproxy". "no redispatch" takes one of the defaults back.
	Options []string `arg:"options" cfg:"option,option"`
	// How long to wait for what.
	Timeout *Timeout `arg:"timeout" cfg:",each"`
	// Files with answers for errors that HAProxy makes itself, by code:
	// {503 = "/etc/haproxy/errors/503.http"}.
	ErrorFiles map[string]string `arg:"errorfiles" cfg:"errorfile"`
	// Which answers are compressed.
	Compression *Compression `arg:"compression" cfg:",each"`
}

// Timeout is how long to wait for what.
type Timeout struct {
	// For a connection to a server.
	Connect *modules.Duration `arg:"connect"`
	// For a client to send or take something.
	Client *modules.Duration `arg:"client"`
	// For a server to send or take something.
	Server *modules.Duration `arg:"server"`
	// For a client's whole request, without its body.
	HTTPRequest *modules.Duration `arg:"http_request"`
	// For a client's next request.
	HTTPKeepAlive *modules.Duration `arg:"http_keep_alive"`
	// For a server to have a connection free.
	Queue *modules.Duration `arg:"queue"`
	// For a server's answer to a check. Not given: the time between checks.
	Check *modules.Duration `arg:"check"`
	// For either side of a tunnel, such as a WebSocket, to send something.
	Tunnel *modules.Duration `arg:"tunnel"`
	// For a client that has closed its side.
	ClientFin *modules.Duration `arg:"client_fin"`
	// For a server that has closed its side.
	ServerFin *modules.Duration `arg:"server_fin"`
	// How long connections are held that a rule tarpits.
	Tarpit *modules.Duration `arg:"tarpit"`
}

// Compression is which answers are compressed.
type Compression struct {
	// Algorithms, the best first: "gzip", "deflate", "raw-deflate", "identity".
	Algo modules.OneOrMore `arg:"algo" cfg:",words"`
	// Types of content: "text/html", "application/json". Not given: all.
	Type modules.OneOrMore `arg:"type" cfg:",words"`
	// Servers are asked for answers without compression.
	Offload bool `arg:"offload"`
}

// Client is what defaults and sections that clients connect to have.
type Client struct {
	// How many connections are taken at once. Further ones wait.
	MaxConn *int `arg:"maxconn"`
	// How many connections may wait for being taken.
	Backlog *int `arg:"backlog"`
	// What a line of the log looks like, as one text: "%ci:%cp [%tr] %ft %b/%s %ST".
	LogFormat string `arg:"log_format"`
	// What a line of the log looks like for a connection that failed.
	ErrorLogFormat string `arg:"error_log_format"`
	// What identifies a request: "%{+X}o%ci:%cp_%fi:%fp_%Ts_%rt:%pid".
	UniqueIDFormat string `arg:"unique_id_format"`
	// The header that servers get it in: "X-Request-ID".
	UniqueIDHeader string `arg:"unique_id_header"`
	// A path that HAProxy answers itself with 200, for those who check whether it is there.
	MonitorURI string `arg:"monitor_uri"`
}

// Origin is what defaults and sections with servers have.
type Origin struct {
	// How a server is chosen: "roundrobin", "leastconn", "source", "uri whole",
	// "hdr(X-User)".
	Balance string `arg:"balance" cfg:",rule"`
	// How hashes become servers, for "source" and its like: "consistent djb2 avalanche".
	HashType string `arg:"hash_type" cfg:",rule"`
	// How often a connection to a server is tried again.
	Retries *int `arg:"retries"`
	// What else is tried again: "conn-failure", "empty-response", "503",
	// "all-retryable-errors".
	RetryOn modules.OneOrMore `arg:"retry_on" cfg:",words"`
	// When connections to servers are shared by clients.
	HTTPReuse string `arg:"http_reuse" oneof:"never safe aggressive always"`
	// From how many connections on servers may have their full maxconn.
	FullConn *int `arg:"fullconn"`
	// The address that connections to servers come from: "10.0.0.5",
	// "0.0.0.0 usesrc clientip".
	Source string `arg:"source" cfg:",rule"`
	// The key of cookies that are made by themselves (dynamic).
	DynamicCookieKey string `arg:"dynamic_cookie_key"`
	// Keeps a client with its server by a cookie. Servers are named there by their
	// "cookie", else by their name.
	Cookie *Cookie `arg:"cookie"`
	// Checks the servers. An empty one only connects.
	Health *Health `arg:"health" cfg:"-"`
	// What holds for all servers that don't say otherwise.
	DefaultServer *ServerOptions `arg:"default_server"`
}

// Cookie keeps a client with its server.
type Cookie struct {
	// The cookie's name.
	Name string `arg:"name,required" cfg:"-"`
	// "insert" has HAProxy set the cookie, "rewrite" alters one that servers set, and
	// "prefix" puts the server's name before what it holds.
	Mode string `arg:"mode" oneof:"insert rewrite prefix" default:"insert" cfg:"-"`
	// Servers don't see the cookie, and clients who have it don't get it anew.
	Indirect bool `arg:"indirect"`
	// Answers that set the cookie aren't cached.
	NoCache bool `arg:"nocache"`
	// The cookie is set on answers to POST alone.
	PostOnly bool `arg:"postonly"`
	// A cookie that a server sets itself is left.
	Preserve bool `arg:"preserve"`
	// Scripts in the page can't read it.
	HTTPOnly bool `arg:"httponly"`
	// It is sent over TLS alone.
	Secure bool `arg:"secure"`
	// Domains that it is for: ".example.com".
	Domain modules.OneOrMore `arg:"domain" cfg:",repeated"`
	// How long it holds without a request.
	MaxIdle *modules.Duration `arg:"maxidle"`
	// How long it holds in all.
	MaxLife *modules.Duration `arg:"maxlife"`
	// Servers get values that are made of their addresses and dynamic_cookie_key.
	Dynamic bool `arg:"dynamic"`
	// Further attributes: "SameSite=Lax".
	Attr modules.OneOrMore `arg:"attr" cfg:",repeated"`
}

// Health is how servers are checked.
type Health struct {
	// The path that is asked for by HTTP: "/health".
	Path string `arg:"path"`
	// The method that it is asked for with. Not given: "GET".
	Method string `arg:"method"`
	// The name of the site that is asked for; the request is HTTP/1.1 then.
	Host string `arg:"host"`
	// Further headers of the request.
	Headers map[string]string `arg:"headers"`
	// The statuses that are well: "200", "200-299,404". HAProxy's own default is 200 to 399.
	ExpectStatus string `arg:"expect_status"`
	// A text that has to stand in the answer.
	ExpectString string `arg:"expect_string"`
	// Rules for the answer as HAProxy has them: "! rstatus ^5", "hdr name x-ready".
	Expect []string `arg:"expect"`
	// Steps of a check of something else than HTTP: "connect port 6379",
	// "send PING\\r\\n", "expect string +PONG".
	TCPCheck []string `arg:"tcp_check"`
	// The time between checks. HAProxy's own default is 2s.
	Interval *modules.Duration `arg:"interval"`
	// The time between checks while a server is on its way up or down.
	FastInterval *modules.Duration `arg:"fast_interval"`
	// The time between checks of a server that is down.
	DownInterval *modules.Duration `arg:"down_interval"`
	// After how many good checks a server is up. HAProxy's own default is 2.
	Rise *int `arg:"rise"`
	// After how many bad checks a server is down. HAProxy's own default is 3.
	Fall *int `arg:"fall"`
	// How long the answer may take.
	Timeout *modules.Duration `arg:"timeout"`
	// The port that is checked, where that isn't the server's own.
	Port *int `arg:"port"`

	connect bool // it only connects, and takes back what its defaults ask for
}
