package memcached

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster/modules/file"
	"muster/modules/modulestest"
)

// The cases take a host with Debian's memcached and openssl: tests/real.sh makes one.
func TestConformance(t *testing.T) {
	path, err := filepath.Abs("testdata/memcached.sh")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("MEMCACHED", path)
	modulestest.Run(t, slices.Concat(Kinds(), file.Kinds())...)
}

func TestOptionsThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Server)
		want   string
	}{
		{"UDP", func(s *Server) { s.Extra = []string{"-U 11211"} }, "UDP"},
		{"UDP by its long name", func(s *Server) { s.Extra = []string{"--udp-port=11211"} }, "UDP"},
		{"UDP by a name that is cut short", func(s *Server) { s.Extra = []string{"--udp=11211"} }, "UDP"},
		{"UDP behind another letter", func(s *Server) { s.Extra = []string{"-vU11211"} }, "UDP"},
		{"UDP behind another option", func(s *Server) { s.Extra = []string{"-o modern --udp 11211"} }, "UDP"},
		{"a long name of an argument of its own", func(s *Server) { s.Extra = []string{"--listen=0.0.0.0"} }, `"listen"`},
		{"a bundled argument of its own", func(s *Server) { s.Extra = []string{"-vl0.0.0.0"} }, `"listen"`},
		{"a certificate", func(s *Server) { s.Extra = []string{"-o modern,ssl_key=/etc/key.pem"} }, `"tls"`},
		{"a unix socket", func(s *Server) { s.Extra = []string{"-s/run/m.sock"} }, "goes with how"},
		{"a name of several options", func(s *Server) { s.Extra = []string{"--p=1"} }, "--pidfile, --port, --protocol"},
		{"no option of Memcached's", func(s *Server) { s.Extra = []string{"--nothing"} }, "no option --nothing"},
		{"an option without its value", func(s *Server) { s.Extra = []string{"-o"} }, "needs a value"},
		{"a protocol that muster doesn't speak", func(s *Server) { s.Extra = []string{"-B binary"} }, "text protocol"},
		{"a command behind an option", func(s *Server) { s.Extra = []string{"-v; id >/var/run/memcached/pwned"} }, "read by a shell"},
		{"a command in a value", func(s *Server) { s.Extra = []string{"-o $(id)"} }, "read by a shell"},
		{"a file name for the shell", func(s *Server) { s.Extra = []string{"-e /var/tmp/*"} }, "read by a shell"},
		{"a comment", func(s *Server) { s.Extra = []string{"-v # quiet"} }, "read by a shell"},
		{"a certificate's path for the shell", func(s *Server) { s.TLS = &TLS{Certificate: "/etc/cert.pem;id", Key: "/etc/key.pem"} }, "isn't the whole path"},
		{"an address for the shell", func(s *Server) { s.Listen = []string{"::1%lo;id"} }, "is no address"},
		{"an argument of its own", func(s *Server) { s.Extra = []string{"-m 64"} }, `"memory"`},
		{"a password with a line break", func(s *Server) { s.Auth = map[string]string{"shop": "a\nb"} }, "memcached's file couldn't hold it"},
		{"a memory below a page", func(s *Server) { s.Memory = "1m" }, "8 or more"},
		{"a memory of parts of megabytes", func(s *Server) { s.Memory = "9000k" }, "whole megabytes"},
		{"no address", func(s *Server) { s.Listen = []string{"cache1"} }, "is no address"},
		{"nobody to let in", func(s *Server) { s.Auth = map[string]string{} }, "let in nobody"},
	} {
		s := &Server{Port: 11211, Memory: "64m", Connections: 1024, Threads: 4, MaxItemSize: "1m"}
		if errs := s.Check(func(string) bool { return false }); len(errs) > 0 {
			t.Fatal(errs)
		}
		c.change(s)
		errs := s.Check(func(string) bool { return false })
		if len(errs) != 1 || !strings.Contains(errs[0].Detail, c.want) {
			t.Errorf("%s: %v", c.name, errs)
		}
	}
}

func TestAMemcachedIsAskedWhereItsFileHasIt(t *testing.T) {
	p := placeOf("# -l 1.2.3.4\n-l 10.0.0.1,[::1]\n-p 11300\n-Z\n-Y /etc/memcached.auth\n")
	if !slices.Equal(p.Addresses, []string{"tcp:10.0.0.1:11300", "tcp:[::1]:11300", "tcp:127.0.0.1:11300"}) || !p.TLS || p.Auth != "/etc/memcached.auth" {
		t.Errorf("%+v", p)
	}
}

func TestOptionsAreReadAsMemcachedReadsThem(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"letters that share a dash", "-vvo modern -kC", "[-v -v -o modern -k -C]"},
		{"a value at once, and one behind it", "-omodern -o modern", "[-o modern -o modern]"},
		{"long names", "--extended=modern --lock-mem --verb --max-r 5", "[-o modern -k -v -R 5]"},
	} {
		list, err := options(strings.Fields(c.line))
		if got := fmt.Sprint(list); err != nil || got != c.want {
			t.Errorf("%s: %s, %v", c.name, got, err)
		}
	}
}

func TestOptionsOfAProcessAreComparedInAnySpelling(t *testing.T) {
	text := "# -o of a comment\n-l 127.0.0.1\n-vv\n-o modern\n-m 64\n"
	if missing, surplus := beyond(text, strings.Fields("/usr/bin/memcached -m 32 --extended modern -v -l127.0.0.1 -v")); len(missing)+len(surplus) > 0 {
		t.Errorf("%v %v", missing, surplus)
	}
	if missing, surplus := beyond(text, strings.Fields("/usr/bin/memcached -l 0.0.0.0 -vv -k")); fmt.Sprint(missing, surplus) != "[-l 127.0.0.1 -o modern] [-l 0.0.0.0 -k]" {
		t.Errorf("%v %v", missing, surplus)
	}
}
