package haproxy

import (
	"maps"

	"muster/modules"
)

// Farm is who answers requests.
type Farm struct {
	// Rules about what servers send.
	TCPResponse []string `arg:"tcp_response"`
	// Rules that keep a client with its server by stick_table: "on src", "match src table web",
	// "store-request src".
	Stick []string `arg:"stick"`
	// Servers for some requests. The first whose condition holds is taken.
	UseServer []UseServer `arg:"use_server"`
	// Servers by name. They are taken in the order of their names.
	Servers map[string]Server `arg:"servers" cfg:"server"`
}

// UseServer is a server for some requests.
type UseServer struct {
	// The server's name.
	Server string `arg:"server,required" cfg:"-"`
	// The condition, of ACLs and expressions.
	When string `arg:"when" cfg:"if,rule"`
	// The condition under which it isn't taken.
	Unless string `arg:"unless" cfg:"unless,rule"`
}

// Server is one that answers requests.
type Server struct {
	// Where it is: "10.0.0.11:8080", "[fd00::11]:8080", "app1.example.com:8080", or the path of
	// a socket. With ":+0" it is the port that the client came to.
	Address string `arg:"address,required" cfg:"-"`
	// What names it in the cookie. Not given: its name.
	Cookie string `arg:"cookie"`
	ServerOptions
}

// ServerOptions is what servers have, and default_server.
type ServerOptions struct {
	// Checks it. Not given: where the section or its defaults have "health".
	Check *bool `arg:"check"`
	// Its part of requests, 0 to 256. HAProxy's own default is 1.
	Weight *int `arg:"weight"`
	// It is taken only where all others are down.
	Backup *bool `arg:"backup"`
	// It begins in maintenance.
	Disabled bool `arg:"disabled"`
	// How many connections it gets at once. Further ones wait.
	MaxConn *int `arg:"maxconn"`
	// How many connections it gets at once while there are few in all; it grows to maxconn.
	MinConn *int `arg:"minconn"`
	// How many connections may wait for it.
	MaxQueue *int `arg:"maxqueue"`
	// How long it takes after it came up until it has its full part.
	SlowStart *modules.Duration `arg:"slowstart"`
	// The time between checks.
	Inter *modules.Duration `arg:"inter"`
	// The time between checks while it is on its way up or down.
	FastInter *modules.Duration `arg:"fastinter"`
	// The time between checks while it is down.
	DownInter *modules.Duration `arg:"downinter"`
	// After how many good checks it is up.
	Rise *int `arg:"rise"`
	// After how many bad checks it is down.
	Fall *int `arg:"fall"`
	// The address that is checked, where that isn't its own.
	Addr string `arg:"addr"`
	// The port that is checked, where that isn't its own.
	Port *int `arg:"port"`
	// What besides checks is watched for failures: "layer4", "layer7".
	Observe string `arg:"observe" oneof:"layer4 layer7"`
	// After how many of those on_error is done.
	ErrorLimit *int `arg:"error_limit"`
	// What is done then.
	OnError string `arg:"on_error" oneof:"fastinter fail-check sudden-death mark-down"`
	// What is done when it goes down.
	OnMarkedDown string `arg:"on_marked_down" oneof:"shutdown-sessions"`
	// What is done when it comes up.
	OnMarkedUp string `arg:"on_marked_up" oneof:"shutdown-backup-sessions"`
	// An agent beside it that tells its weight and its state.
	AgentCheck *AgentCheck `arg:"agent_check"`
	// The server of another backend whose state it has: "app/app1".
	Track string `arg:"track"`
	// It speaks TLS.
	SSL *bool `arg:"ssl"`
	// Whether its certificate is verified, by ca_file.
	Verify string `arg:"verify" oneof:"none required"`
	// The name that its certificate has to have.
	VerifyHost string `arg:"verifyhost"`
	// The authorities that its certificate may be of; "@system-ca" for the host's.
	CAFile string `arg:"ca_file"`
	// The certificate that HAProxy shows to it.
	CRT string `arg:"crt"`
	// The name that is asked for in TLS, an expression: "req.hdr(Host)", "str(www.example.com)".
	SNI string `arg:"sni"`
	// What may be spoken inside TLS: ["h2", "http/1.1"].
	ALPN modules.OneOrMore `arg:"alpn" cfg:",commas"`
	// The oldest version of TLS.
	SSLMinVer string `arg:"ssl_min_ver" oneof:"TLSv1.0 TLSv1.1 TLSv1.2 TLSv1.3"`
	// The youngest version of TLS.
	SSLMaxVer string `arg:"ssl_max_ver" oneof:"TLSv1.0 TLSv1.1 TLSv1.2 TLSv1.3"`
	// The ciphers of TLS 1.2 and older.
	Ciphers string `arg:"ciphers"`
	// The cipher suites of TLS 1.3.
	Ciphersuites string `arg:"ciphersuites"`
	// Checks speak TLS, whatever else does.
	CheckSSL *bool `arg:"check_ssl"`
	// The name that checks ask for in TLS.
	CheckSNI string `arg:"check_sni"`
	// What is spoken, where it isn't negotiated: "h2", "fcgi".
	Proto string `arg:"proto"`
	// It is told the client's address (PROXY protocol, version 1).
	SendProxy *bool `arg:"send_proxy"`
	// It is told the client's address (PROXY protocol, version 2).
	SendProxyV2 *bool `arg:"send_proxy_v2"`
	// The section "resolvers" that asks for its name while HAProxy runs, one of raw.
	Resolvers string `arg:"resolvers"`
	// Which of its addresses is preferred.
	ResolvePrefer string `arg:"resolve_prefer" oneof:"ipv4 ipv6"`
	// How its first address is found, in this order: "last", "libc", "none", an address.
	InitAddr modules.OneOrMore `arg:"init_addr" cfg:",commas"`
	// Further words of the line as HAProxy has them.
	Params string `arg:"params" cfg:"-,rule"`
}

// AgentCheck is an agent that tells a server's weight and state.
type AgentCheck struct {
	// Its port.
	Port *int `arg:"port,required" cfg:"agent-port"`
	// Its address, where that isn't the server's.
	Addr string `arg:"addr" cfg:"agent-addr"`
	// The time between its being asked.
	Interval *modules.Duration `arg:"interval" cfg:"agent-inter"`
}

// filled returns servers with what their section implies: checks where there is health, and
// names in the cookie where there is one that isn't dynamic.
func (o Origin) filled(servers map[string]Server) map[string]Server {
	out := maps.Clone(servers)
	for name, s := range out {
		own := o.DefaultServer
		if s.Check == nil && o.Health != nil && s.Track == "" && (own == nil || own.Check == nil && own.Track == "") {
			yes := true
			s.Check = &yes
		}
		if s.Cookie == "" && o.Cookie != nil && !o.Cookie.Dynamic {
			s.Cookie = name
		}
		out[name] = s
	}
	return out
}

// over returns what holds in a section, given its defaults.
func (o Origin) over(d *Defaults) Origin {
	if d == nil {
		return o
	}
	if o.Health == nil {
		o.Health = d.Health
	}
	if o.Cookie == nil {
		o.Cookie = d.Cookie
	}
	if o.DefaultServer == nil {
		o.DefaultServer = d.DefaultServer
	}
	return o
}
