package haproxy

import "muster/modules"

// Binds is where a section listens, and what it notes of its clients.
type Binds struct {
	// Where clients connect.
	Bind []Bind `arg:"bind"`
	// What logs say of requests and answers: "request header Host len 64",
	// "cookie SESSION len 32".
	Capture []string `arg:"capture"`
	// Keeps a place for a rule's capture: "request len 64".
	DeclareCapture []string `arg:"declare_capture" cfg:"declare capture"`
}

// Bind is one address or several that clients connect to.
type Bind struct {
	// The address: ":80", "10.0.0.5:443", "[::]:80", "10.0.0.5:80,10.0.0.6:80", or the path
	// of a socket.
	Address string `arg:"address,required" cfg:"-"`
	// Clients speak TLS. Certificates imply it.
	SSL bool `arg:"ssl"`
	// Files of certificates with their keys, or folders of such.
	Certificates modules.OneOrMore `arg:"certificates" cfg:"crt,repeated"`
	// A file that lists certificates and the names that they are for.
	CRTList string `arg:"crt_list"`
	// Names that have no certificate are refused, instead of getting the first one.
	StrictSNI bool `arg:"strict_sni"`
	// What may be spoken inside TLS, the best first: ["h2", "http/1.1"].
	ALPN modules.OneOrMore `arg:"alpn" cfg:",commas"`
	// The oldest version of TLS that is spoken.
	SSLMinVer string `arg:"ssl_min_ver" oneof:"TLSv1.0 TLSv1.1 TLSv1.2 TLSv1.3"`
	// The youngest version of TLS that is spoken.
	SSLMaxVer string `arg:"ssl_max_ver" oneof:"TLSv1.0 TLSv1.1 TLSv1.2 TLSv1.3"`
	// The ciphers of TLS 1.2 and older.
	Ciphers string `arg:"ciphers"`
	// The cipher suites of TLS 1.3.
	Ciphersuites string `arg:"ciphersuites"`
	// The curves: "X25519:P-256".
	Curves string `arg:"curves"`
	// The authorities whose certificates clients may have.
	CAFile string `arg:"ca_file"`
	// The certificates of clients that are no longer good.
	CRLFile string `arg:"crl_file"`
	// Whether clients have to have a certificate, of ca_file.
	Verify string `arg:"verify" oneof:"none optional required"`
	// Clients come through another proxy, which tells their address (PROXY protocol). Those
	// who don't are refused.
	AcceptProxy bool `arg:"accept_proxy"`
	// The network interface that clients come in at.
	Interface string `arg:"interface"`
	// Its name in statistics.
	Name string `arg:"name"`
	// How many connections are taken at once.
	MaxConn *int `arg:"maxconn"`
	// An IPv6 address takes clients with IPv4 addresses too.
	V4V6 bool `arg:"v4v6"`
	// An IPv6 address takes no clients with IPv4 addresses.
	V6Only bool `arg:"v6only"`
	// Clients may come for addresses that aren't the host's.
	Transparent bool `arg:"transparent"`
	// A socket's mode, in octal: "660".
	Mode string `arg:"mode"`
	// A socket's owner.
	User string `arg:"user"`
	// A socket's group.
	Group string `arg:"group"`
	// Further words of the line as HAProxy has them.
	Params string `arg:"params" cfg:"-,rule"`
}

// filled is the bind with what its arguments imply.
func (b Bind) filled() any {
	b.SSL = b.SSL || len(b.Certificates) > 0 || b.CRTList != ""
	return b
}

// Rules is what happens to requests and answers. Rules are written as in HAProxy, without the
// words that the argument stands for: http_request = ["deny if bad"].
type Rules struct {
	// What is kept of clients, for rules that count them or keep them with their server.
	StickTable *StickTable `arg:"stick_table"`
	// Filters: "compression", "cache pages", "trace".
	Filter []string `arg:"filter"`
	// Conditions by name, for the rules: {api = "path_beg /api"}. Of several, one has to hold.
	ACL map[string]modules.OneOrMore `arg:"acl"`
	// Lines of the section as HAProxy has them, for what has no argument. They come before
	// the rules.
	Raw modules.OneOrMore `arg:"raw" cfg:",raw"`
	// Rules about connections: "connection reject if bad", "inspect-delay 5s". Those for
	// "connection" come first, then "session", then "content".
	TCPRequest []string `arg:"tcp_request"`
	// Rules about requests: "set-header X-Forwarded-Proto https if { ssl_fc }",
	// "redirect scheme https unless { ssl_fc }".
	HTTPRequest []string `arg:"http_request"`
	// Redirections: "prefix https://www.example.com if bare". They come after http_request.
	Redirect []string `arg:"redirect"`
	// Rules about answers of servers.
	HTTPResponse []string `arg:"http_response"`
	// Rules about all answers, HAProxy's own too.
	HTTPAfterResponse []string `arg:"http_after_response"`
	// The page of statistics.
	Stats *Stats `arg:"stats" cfg:",each"`
}

// StickTable is what is kept of clients.
type StickTable struct {
	// What the entries are found by: "ip", "ipv6", "integer", "string len 64".
	Type string `arg:"type,required" cfg:",rule"`
	// How many entries there are at most: "100k".
	Size string `arg:"size,required"`
	// After how long without use an entry is dropped.
	Expire *modules.Duration `arg:"expire"`
	// Entries are not dropped for others where the table is full.
	NoPurge bool `arg:"nopurge"`
	// The section "peers" with which it is shared, one of raw.
	Peers string `arg:"peers"`
	// What is kept: "conn_cur", "http_req_rate(10s)", "gpc0".
	Store modules.OneOrMore `arg:"store" cfg:",commas"`
}

// Stats is the page of statistics.
type Stats struct {
	// Its path: "/haproxy". HAProxy's own default is "/haproxy?stats".
	URI string `arg:"uri"`
	// How often browsers load it again.
	Refresh *modules.Duration `arg:"refresh"`
	// What browsers say when they ask for a password.
	Realm string `arg:"realm"`
	// Who may see it: "USER:PASSWORD".
	Auth modules.OneOrMore `arg:"auth" cfg:",repeated"`
	// The condition under which servers can be changed there: "TRUE", "{ src 10.0.0.0/8 }".
	Admin string `arg:"admin" cfg:"admin if,rule"`
	// HAProxy's version isn't shown.
	HideVersion bool `arg:"hide_version"`
	// More is shown where the pointer rests.
	ShowLegends bool `arg:"show_legends"`
	// The host's name is shown.
	ShowNode bool `arg:"show_node"`
	// Only these sections are shown; "." is this one.
	Scope modules.OneOrMore `arg:"scope" cfg:",repeated"`
	// Rules about who may see it: "allow if { src 10.0.0.0/8 }", "deny".
	HTTPRequest []string `arg:"http_request"`
}

// Routes is where requests go.
type Routes struct {
	// Backends for some requests. The first whose condition holds is taken.
	UseBackend []UseBackend `arg:"use_backend" cfg:"use_backend"`
	// The backend for all others.
	DefaultBackend string `arg:"default_backend" cfg:"default_backend"`
}

// UseBackend is a backend for some requests.
type UseBackend struct {
	// The backend, or an expression for its name: "%[req.hdr(Host),lower]".
	Backend string `arg:"backend,required" cfg:"-"`
	// The condition, of ACLs and expressions: "api !internal", "{ path_beg /api }".
	When string `arg:"when" cfg:"if,rule"`
	// The condition under which it isn't taken.
	Unless string `arg:"unless" cfg:"unless,rule"`
}
