package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"muster/host"
	"muster/internal/remote"
	"muster/internal/wire"
	"muster/modules"
)

func TestDownloadsGoThroughTheProxyThatIsNamed(t *testing.T) {
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host != "files.example:8080" || r.Header.Get("Proxy-Authorization") == "" {
			t.Errorf("asked for %s with %v", r.URL, r.Header)
		}
		asked.Add(1)
		http.ServeContent(w, r, "", changed, strings.NewReader("proxied"))
	}))
	defer proxy.Close()
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", changed, strings.NewReader("direct"))
	}))
	defer own.Close()
	named := "http://user:secret@" + proxy.Listener.Addr().String()
	ownURL, _ := url.Parse(own.URL)
	for name, c := range map[string]struct {
		url, argument string
		environment   []string
		want          string
	}{
		"by argument":               {"http://files.example:8080/f", named, nil, "proxied"},
		"by the environment":        {"http://files.example:8080/f", "", []string{"http_proxy=" + named}, "proxied"},
		"by all_proxy":              {"http://files.example:8080/f", "", []string{"ALL_PROXY=" + named}, "proxied"},
		"none by argument":          {own.URL + "/f", "none", []string{"http_proxy=" + named}, "direct"},
		"excepted by no_proxy":      {own.URL + "/f", "", []string{"http_proxy=" + named, "no_proxy=localhost," + ownURL.Hostname() + ":" + ownURL.Port()}, "direct"},
		"nothing is said":           {own.URL + "/f", "", nil, "direct"},
		"the one of https isn't it": {own.URL + "/f", "", []string{"https_proxy=" + named}, "direct"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			args := map[string]any{"path": path, "url": c.url}
			if c.argument != "" {
				args["proxy"] = c.argument
			}
			s := remote.NewSession(modules.NewRegistry(Kinds()...), host.New(), nil)
			p, _ := s.Plan(t.Context(), wire.Task{ID: "0/task.download.t", Kind: "download", Args: args, Environment: c.environment})
			if d := s.Apply(context.Background(), p.ID); d.Status != wire.Changed {
				t.Fatalf("%+v\n%+v", p, d)
			}
			if got, _ := os.ReadFile(path); string(got) != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if asked.Load() == 0 {
		t.Error("nothing went through the proxy")
	}
}

func TestNoProxyExceptsNamesAddressesAndNetworks(t *testing.T) {
	for address, c := range map[string]struct {
		list string
		want bool
	}{
		"http://a.example/":     {"example", true},
		"http://b.example/":     {".example", true},
		"http://c.example/":     {"*.example", true},
		"http://notexample/":    {"example", false},
		"http://d.example:81/":  {"d.example:82", false},
		"https://e.example/":    {"e.example:443", true},
		"http://10.1.2.3/":      {"10.0.0.0/8", true},
		"http://11.1.2.3/":      {"10.0.0.0/8, 12.0.0.0/8", false},
		"http://[2001:db8::1]/": {"2001:db8::/32", true},
		"http://anything/":      {"*", true},
		"http://110.1.2.3/":     {"1.2.3", false},
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := direct(c.list, u); got != c.want {
			t.Errorf("no_proxy=%s, %s: %t", c.list, address, got)
		}
	}
}
