package haproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/host"
)

// serveTime is how long a worker may take to serve, after a start or a reload.
const serveTime = 30 * time.Second

// serveLook is how often it is looked for meanwhile.
const serveLook = 20 * time.Millisecond

// keepStates writes what was set through sockets where the next worker takes it up, and
// returns the servers it is about. Where nobody answers there is nothing to be kept: a
// broken HAProxy is mended all the same.
func keepStates(ctx context.Context, h *host.Host, d *daemon, want, tried *parsed) (servers map[string]bool, err error) {
	file := emptyState("")
	if d.running() {
		old := loadedText(d)
		if s, err := d.worker(h.Dial, []byte(old)); err == nil {
			if answer, err := s.ask(ctx, "show servers state"); err == nil {
				file, servers = kept(answer, parse(old), want, tried)
			}
		}
	}
	return servers, putState(keptPath, []byte(file))
}

// serve reloads HAProxy, or starts it, and waits for the worker that then serves.
func serve(ctx context.Context, h *host.Host, d *daemon, start bool) (process, error) {
	before, _ := newestWorker(d.PID)
	failed := d.failures(ctx, h)
	argv := []string{"systemctl", "reload", "--", unit}
	if start || !d.running() {
		_, _ = h.Runner.Run(ctx, host.Command{Argv: []string{"systemctl", "reset-failed", "--", unit}})
		argv[1] = "restart"
	}
	since := time.Now()
	if _, err := h.Run(ctx, host.Command{Argv: argv}); err != nil {
		return process{}, withLog(ctx, h, since, err)
	}
	ctx, cancel := context.WithTimeout(ctx, serveTime)
	defer cancel()
	look := time.NewTicker(serveLook)
	defer look.Stop()
	for {
		now, err := lookDaemon(func(c host.Command) (host.Output, error) { return h.Runner.Run(ctx, c) }, os.ReadFile)
		if err == nil && now != nil {
			*d = *now
		}
		worker, ok := newestWorker(d.PID)
		switch {
		case err == nil && now != nil && (now.Active == "failed" || now.Active == "inactive"):
			return process{}, withLog(ctx, h, since, errors.New("HAProxy has ended"))
		case ok && worker.id() != before.id() && serves(ctx, h, d, worker):
			return worker, nil
		case d.failures(ctx, h) > failed:
			return process{}, withLog(ctx, h, since, errors.New("HAProxy was told to load its files, and its new worker didn't come up: the one before goes on"))
		}
		select {
		case <-ctx.Done():
			return process{}, withLog(ctx, h, since, fmt.Errorf("no new worker of HAProxy serves after %s", serveTime))
		case <-look.C:
		}
	}
}

// failures is how many reloads have failed since the master's start, as it counts them.
func (d *daemon) failures(ctx context.Context, h *host.Host) int {
	if d.masterSocket() == "" || !d.running() {
		return 0
	}
	list, err := socket{dial: h.Dial, address: d.masterSocket()}.processes(ctx)
	if err != nil {
		return 0
	}
	for _, p := range list {
		if p.Type == "master" {
			return p.Failed
		}
	}
	return 0
}

// serves reports whether a worker is the one that answers.
func serves(ctx context.Context, h *host.Host, d *daemon, worker process) bool {
	config, _ := os.ReadFile(d.configs()[0])
	s, err := d.worker(h.Dial, config)
	if err != nil {
		return true // it can't be asked, and runs
	}
	answer, err := s.ask(ctx, "show info")
	if err != nil {
		return false
	}
	return slices.Contains(strings.Split(answer, "\n"), "Pid: "+strconv.Itoa(worker.PID))
}

// confirm asks the worker that serves whether it has the frontends and servers that it
// is to have.
func confirm(ctx context.Context, h *host.Host, d *daemon, want *parsed) error {
	config, _ := os.ReadFile(d.configs()[0])
	s, err := d.worker(h.Dial, config)
	if err != nil {
		return nil
	}
	answer, err := s.ask(ctx, "show stat")
	if err != nil {
		return unanswered(err)
	}
	have := stats(answer)
	for _, f := range want.frontends {
		switch st := have[f+"/FRONTEND"]; st {
		case "OPEN":
		case "":
			return fmt.Errorf("the worker that serves hasn't got the frontend %s", f)
		default:
			return fmt.Errorf("the frontend %s is %s", f, st)
		}
	}
	for _, w := range want.servers {
		if have[w.proxy+"/"+w.name] == "" {
			return fmt.Errorf("the worker that serves hasn't got the server %s/%s", w.proxy, w.name)
		}
	}
	for _, b := range want.binds {
		if n := b.listening(); !n {
			return fmt.Errorf("nobody listens on %s", net.JoinHostPort(b.host, strconv.Itoa(b.ports[0])))
		}
	}
	return nil
}

// stats are the states of `show stat` by "PROXY/NAME", where NAME is a server or FRONTEND.
func stats(answer string) map[string]string {
	out := map[string]string{}
	status := -1
	for l := range strings.Lines(answer) {
		f := strings.Split(strings.TrimSpace(l), ",")
		if strings.HasPrefix(l, "# ") {
			f[0] = strings.TrimPrefix(f[0], "# ")
			status = slices.Index(f, "status")
			continue
		}
		if status > 1 && len(f) > status {
			out[f[0]+"/"+f[1]] = f[status]
		}
	}
	return out
}

// asConfigured asks whether servers have the addresses, the weights and the states of the
// configuration, but for what somebody has set of those that are named.
func (s socket) asConfigured(ctx context.Context, want *parsed, set map[string]bool) error {
	answer, err := s.ask(ctx, "show servers state")
	if err != nil {
		return err
	}
	list, _ := rows(answer)
	for _, r := range list {
		w := want.server(r[colProxy], r[colName])
		if w == nil {
			continue
		}
		name := w.proxy + "/" + w.name
		if r.elsewhere(w) {
			return fmt.Errorf("the server %s is at %s, not at %s", name, net.JoinHostPort(r[colAddress], r[colPort]), net.JoinHostPort(w.host, w.port))
		}
		state, weight := r.setBy(want)
		admin, _ := strconv.Atoi(r[colAdmin])
		switch {
		case set[name]:
		case weight && w.weight != "" && !slices.Contains(w.rest, "agent-check"): // agents set weights
			return fmt.Errorf("the server %s has the weight %s, not %s", name, r[colWeight], w.weight)
		case state, w.disabled && admin&(forcedMaint|configuredMaint) == 0:
			return fmt.Errorf("the server %s isn't in the state that the configuration has it in", name)
		}
	}
	return nil
}

// elsewhere reports whether a server is at another address than the configuration has.
func (r stateRow) elsewhere(w *server) bool {
	if net.ParseIP(w.host) == nil || w.port == "" || strings.HasPrefix(w.port, "+") {
		return false // a name, or an offset
	}
	return !net.ParseIP(r[colAddress]).Equal(net.ParseIP(w.host)) || r[colPort] != w.port
}

// certificate has the running HAProxy take a certificate from its file.
func (s socket) certificate(ctx context.Context, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	answer, err := s.askWith(ctx, "set ssl cert "+path, string(data))
	if err == nil && !strings.Contains(answer, "Transaction created") && !strings.Contains(answer, "Transaction updated") {
		err = fmt.Errorf("HAProxy refuses the certificate %s: %s", path, answer)
	}
	if err != nil {
		return err
	}
	if answer, err = s.ask(ctx, "commit ssl cert "+path); err == nil && !strings.Contains(answer, "Success") {
		err = fmt.Errorf("HAProxy refuses the certificate %s: %s", path, answer)
		_, _ = s.ask(ctx, "abort ssl cert "+path)
	}
	return err
}

// lines has the running HAProxy take a map's lines from its file, all at once.
func (s socket) lines(ctx context.Context, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	answer, err := s.ask(ctx, "prepare map "+path)
	if err != nil {
		return err
	}
	_, version, ok := strings.Cut(answer, "created: ")
	if !ok {
		if strings.Contains(answer, "Unknown map") {
			return nil // nothing of the configuration refers to it
		}
		return fmt.Errorf("HAProxy refuses the map %s: %s", path, answer)
	}
	version = strings.TrimSpace(version)
	if len(data) > 0 {
		if answer, err = s.askWith(ctx, "add map @"+version+" "+path, string(data)); err != nil {
			return err
		}
		if strings.TrimSpace(answer) != "" {
			return fmt.Errorf("HAProxy refuses the lines of %s: %s", path, answer)
		}
	}
	return s.do(ctx, "commit map @"+version+" "+path)
}

// served connects as a client does, and holds the numbers of the certificates that are
// shown against those of the files.
func served(ctx context.Context, want *parsed, files []string) error {
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		leaf := Certificate{Certificate: string(data)}.leaf()
		if leaf == nil || len(leaf.DNSNames) == 0 {
			continue
		}
		for _, b := range want.binds {
			if !b.takes(path) {
				continue
			}
			host := b.host
			if host == "" || host == "::" {
				host = "localhost"
			}
			d := tls.Dialer{NetDialer: &net.Dialer{Timeout: answerTime}, Config: &tls.Config{InsecureSkipVerify: true, ServerName: strings.Replace(leaf.DNSNames[0], "*.", "any.", 1)}}
			conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(b.ports[0])))
			if err != nil {
				if slices.Contains(b.words, "accept-proxy") || slices.Contains(b.words, "verify") {
					continue // a client of its own kind is needed
				}
				return fmt.Errorf("connecting to port %d as a client: %w", b.ports[0], err)
			}
			shown := conn.(*tls.Conn).ConnectionState().PeerCertificates
			conn.Close()
			if len(shown) == 0 || shown[0].SerialNumber.Cmp(leaf.SerialNumber) != 0 {
				if !slices.ContainsFunc(files, func(other string) bool { return other != path && sameKeyType(other, shown[0].SerialNumber.String()) }) {
					return fmt.Errorf("port %d serves the certificate %s for %s, not %s of %s", b.ports[0], serial(shown[0]), leaf.DNSNames[0], serial(leaf), path)
				}
			}
		}
	}
	return nil
}

// sameKeyType reports whether another file holds the certificate of a number: a name may
// have one for each type of key.
func sameKeyType(path, number string) bool {
	data, err := os.ReadFile(path)
	leaf := Certificate{Certificate: string(data)}.leaf()
	return err == nil && leaf != nil && leaf.SerialNumber.String() == number
}

// takes reports whether a bind has a certificate's file, or its folder.
func (b bind) takes(path string) bool {
	for i, w := range b.words {
		if w == "crt" && i+1 < len(b.words) && (b.words[i+1] == path || strings.TrimSuffix(b.words[i+1], "/") == certsFolder) {
			return true
		}
	}
	return false
}

// listening reports whether somebody listens where a bind says.
func (b bind) listening() bool {
	return len(b.sockets(b.ports[0])) > 0 || slices.Contains(b.words, "namespace")
}

// withLog adds to an error what HAProxy last complained of.
func withLog(ctx context.Context, h *host.Host, since time.Time, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	out, lerr := h.Runner.Run(ctx, host.Command{Argv: []string{"journalctl", "--no-pager", "--quiet", "-o", "cat", "--unit=" + unit, "--since=@" + strconv.FormatInt(since.Unix(), 10)}, OutputLimit: 64 << 10})
	if lerr != nil {
		return err
	}
	var wrong []string
	for l := range strings.Lines(string(out.Stdout)) {
		if l = strings.TrimSpace(l); strings.HasPrefix(l, "[ALERT]") && !slices.Contains(wrong, l) {
			wrong = append(wrong, l)
		}
	}
	if len(wrong) == 0 {
		return err
	}
	text := strings.Join(wrong[:min(len(wrong), 6)], "\n")
	if h.Redact != nil {
		text = h.Redact(text)
	}
	return &host.SaidError{Err: err, Said: text}
}
