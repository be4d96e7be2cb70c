package haproxy

import (
	"muster/modules"
)

// Config is haproxy.cfg as a task declares it. Its fields are arguments of kind haproxy.
//
// Fields become directives by their types and their cfg tags, in the order in which they
// stand here; render.go says how.
type Config struct {
	// The section "global": the process as a whole.
	Global *Global `arg:"global"`
	// The section "defaults": what holds for every section that doesn't say otherwise. Where
	// it has what only HTTP knows, such as the option forwardfor, sections of mode "tcp" get
	// a section "defaults" without that.
	Defaults *Defaults `arg:"defaults"`
	// Frontends by name: where clients connect, and to which backend they go.
	Frontend map[string]Frontend `arg:"frontend"`
	// Backends by name: servers, and how they are chosen and checked. Versions from 3.1 on
	// refuse a frontend's name here.
	Backend map[string]Backend `arg:"backend"`
	// Sections by name that are a frontend and a backend in one.
	Listen map[string]Listen `arg:"listen"`
	// Other sections as HAProxy has them, such as resolvers, peers, userlist or cache, each
	// with its first line.
	Raw modules.OneOrMore `arg:"raw"`
}

// Global is the section of that name.
type Global struct {
	// How many connections the process takes at once.
	MaxConn *int `arg:"maxconn"`
	// How many threads there are. Not given: as many as there are processors.
	NbThread *int `arg:"nbthread"`
	// The user that the process runs as.
	User string `arg:"user" cfg:"user"`
	// The group that the process runs as.
	Group string `arg:"group"`
	// The folder that the process is locked into once it has started.
	Chroot string `arg:"chroot"`
	// Where logs go: "/dev/log local0", "10.0.0.9:514 local0 notice".
	Log []string `arg:"log"`
	// The host's name in logs that are sent elsewhere.
	LogSendHostname string `arg:"log_send_hostname"`
	// Sockets on which the process can be asked and told.
	StatsSocket []StatsSocket `arg:"stats_socket" cfg:"stats socket"`
	// How long such a connection may say nothing.
	StatsTimeout *modules.Duration `arg:"stats_timeout" cfg:"stats timeout"`
	// How long old processes may go on with their connections after a reload.
	HardStopAfter *modules.Duration `arg:"hard_stop_after"`
	// The folder that certificates are in whose paths don't begin with "/".
	CRTBase string `arg:"crt_base"`
	// The folder that certificates of authorities are in whose paths don't begin with "/".
	CABase string `arg:"ca_base"`
	// The ciphers of TLS 1.2 and older for clients, in OpenSSL's form: "ECDHE+AESGCM:…".
	SSLDefaultBindCiphers string `arg:"ssl_default_bind_ciphers"`
	// The cipher suites of TLS 1.3 for clients.
	SSLDefaultBindCiphersuites string `arg:"ssl_default_bind_ciphersuites"`
	// Options for clients: "ssl-min-ver TLSv1.2", "no-tls-tickets".
	SSLDefaultBindOptions []string `arg:"ssl_default_bind_options" cfg:",oneline"`
	// The curves for clients: "X25519:P-256".
	SSLDefaultBindCurves string `arg:"ssl_default_bind_curves"`
	// The ciphers of TLS 1.2 and older for servers.
	SSLDefaultServerCiphers string `arg:"ssl_default_server_ciphers"`
	// The cipher suites of TLS 1.3 for servers.
	SSLDefaultServerCiphersuites string `arg:"ssl_default_server_ciphersuites"`
	// Options for servers, as for clients.
	SSLDefaultServerOptions []string `arg:"ssl_default_server_options" cfg:",oneline"`
	// A file of parameters for Diffie-Hellman key exchange.
	SSLDHParamFile string `arg:"ssl_dh_param_file"`
	// Whether certificates of servers are verified where nothing else is said: HAProxy's own
	// default is "required".
	SSLServerVerify string `arg:"ssl_server_verify" oneof:"none required"`
	// By how many percent, at most, the times between checks are spread: 0 to 50.
	SpreadChecks *int `arg:"spread_checks"`
	// Tuning by its name without "tune.": {"ssl.default-dh-param" = 2048}.
	Tune map[string]string `arg:"tune" cfg:"tune.,joined"`
	// Lines of the section as HAProxy has them, for what has no argument.
	Raw modules.OneOrMore `arg:"raw" cfg:",raw"`
}

// StatsSocket is one of the sockets on which the process can be asked.
type StatsSocket struct {
	// Its path, or an address such as "ipv4@127.0.0.1:9999".
	Path string `arg:"path,required" cfg:"-"`
	// The file's mode, in octal: "660".
	Mode string `arg:"mode"`
	// The file's owner.
	User string `arg:"user"`
	// The file's group.
	Group string `arg:"group"`
	// What may be done there: "user" only reads what isn't sensitive, "operator" reads all,
	// "admin" changes things.
	Level string `arg:"level" oneof:"user operator admin"`
	// Lets the next process take over the listening sockets through this one. Under systemd
	// they go over without it.
	ExposeFD bool `arg:"expose_fd" cfg:"expose-fd listeners"`
	// Further words of the line as HAProxy has them.
	Params string `arg:"params" cfg:"-,rule"`
}

// Defaults is the section of that name.
type Defaults struct {
	Proxy
	Client
	Origin
	// The backend of frontends that name none.
	DefaultBackend string `arg:"default_backend" cfg:"default_backend"`
	// Lines of the section as HAProxy has them, for what has no argument.
	Raw modules.OneOrMore `arg:"raw" cfg:",raw"`
}

// Frontend is a section of that name.
type Frontend struct {
	Binds
	Proxy
	Client
	Rules
	Routes
}

// Backend is a section of that name.
type Backend struct {
	Proxy
	Origin
	Rules
	Farm
}

// Listen is a frontend and a backend in one.
type Listen struct {
	Binds
	Proxy
	Client
	Origin
	Rules
	Routes
	Farm
}

// given reports whether anything of haproxy.cfg is declared.
func (c *Config) given() bool {
	return c.Global != nil || c.Defaults != nil || c.Frontend != nil || c.Backend != nil || c.Listen != nil || c.Raw != nil
}
